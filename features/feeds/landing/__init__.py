"""Typed rows are checked, owned, versioned and kept by months."""
