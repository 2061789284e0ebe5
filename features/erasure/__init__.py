"""What an erased person leaves behind in files, and how files are written again without them."""
