"""The operational database: keys, lists, claims, outcomes, audit."""
