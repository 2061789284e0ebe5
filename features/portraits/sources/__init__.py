"""Landed rows become sources of an as-of date, on DuckDB or Spark."""
