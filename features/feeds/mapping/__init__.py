"""What an operator's mapping declares."""
