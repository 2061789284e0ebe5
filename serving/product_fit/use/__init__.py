"""What customers used and paid, and what their own plan would have cost."""
