"""Which customers, with which action, within the capacity."""
