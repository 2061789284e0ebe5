"""An operator's files and tables become text views."""
