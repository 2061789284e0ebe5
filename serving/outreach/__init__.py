"""Who is contacted today, why, how and by whom; every line is a claim in a ledger."""
