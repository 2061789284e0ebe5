"""The synthetic rows as an operator would write them."""
