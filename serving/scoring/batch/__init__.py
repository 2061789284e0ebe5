"""Scores of the whole base: written, read, compared with a challenger, and made again."""
