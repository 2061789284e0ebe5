"""The operator's data as typed, checked event tables."""
