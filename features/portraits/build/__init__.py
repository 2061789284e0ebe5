"""Portraits of a date, computed and written; and computed again as they were."""
