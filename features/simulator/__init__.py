"""A synthetic operator with known potential outcomes."""
