"""Portraits and labels joined into rows to learn from."""
