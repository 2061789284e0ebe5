"""Ground floor: what we know about a customer, as of a moment."""
