"""The commands that show a home and change what belongs to it."""
