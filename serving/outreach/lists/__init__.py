"""Lists drawn, handed over, reported on: the ledger."""
