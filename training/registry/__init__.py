"""Models on record: packed, tracked, promoted, rolled back."""
