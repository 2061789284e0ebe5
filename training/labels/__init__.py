"""Who is in a cohort and what became of them."""
