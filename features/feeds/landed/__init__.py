"""What has landed, and what of it was known when."""
