"""Which plans may be offered, and how an offer is named."""
