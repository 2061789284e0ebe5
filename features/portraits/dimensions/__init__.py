"""Every feature, one file a dimension."""
