"""Usage re-rated under every plan; offers that do no harm."""
