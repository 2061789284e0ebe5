"""A mapping proposed from the look of the files."""
