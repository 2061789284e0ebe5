"""Scores of several targets as one table for people and other programs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from features.kit.files import atomic_path
from features.kit.values.tables import harmless_sql
from serving.scoring.batch.base import ScoreReport

COLUMNS = (
    "customer_id", "target", "status", "propensity", "percentile", "times_base", "band", "reason_codes",
    "model_version", "as_of", "missing", "flags",
)  # fmt: skip


def write_csv(reports: Sequence[ScoreReport], path: Path) -> None:
    """Writes the scores of the reports to one UTF-8 CSV file, by target and customer; lists are joined by `|`."""
    import duckdb

    parts = [
        "SELECT customer_id, ? AS target, status, propensity, percentile, times_base, band, "
        "array_to_string(reason_codes, '|') AS reason_codes, ? AS model_version, CAST(? AS DATE) AS as_of, "
        "array_to_string(missing, '|') AS missing, array_to_string(flags, '|') AS flags FROM read_parquet(?)"
        for _ in reports
    ]
    values = [value for report in reports for value in (report.target, report.version, report.as_of, str(report.path))]
    numbers = ("propensity", "percentile", "times_base", "as_of")
    shown = [name if name in numbers else f"{harmless_sql(name)} AS {name}" for name in COLUMNS]
    query = f"SELECT {', '.join(shown)} FROM ({' UNION ALL '.join(parts)}) ORDER BY target, customer_id"
    with atomic_path(path) as temporary, duckdb.connect() as database:
        database.sql(query, params=values).write_csv(str(temporary), header=True)
