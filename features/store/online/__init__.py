"""The newest portraits, read and written in Feast's own layout."""
