"""The leakage audit: ten ways in which the answer slips into the question, each found, named and explained."""
