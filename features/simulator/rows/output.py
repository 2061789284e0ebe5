"""The files of a simulated operator, appended chunk by chunk: CSV for small feeds, Parquet by month for daily feeds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq


class OperatorFiles:
    """Open files under one folder; rows arrive in chunks, each file keeps one handle."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._csv: dict[str, Any] = {}
        self._parquet: dict[str, pq.ParquetWriter] = {}
        self._sinks: list[Any] = []
        self.rows: dict[str, int] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def csv(self, feed: str, columns: dict[str, Any]) -> None:
        """Appends rows to `<feed>.csv` (UTF-8, header once)."""
        table = columns if isinstance(columns, pa.Table) else pa.table(columns)
        if feed not in self._csv:
            sink = (self._folder / f"{feed}.csv").open("wb")
            self._sinks.append(sink)
            self._csv[feed] = pc.CSVWriter(sink, table.schema)
        self._csv[feed].write_table(table)
        self.rows[feed] = self.rows.get(feed, 0) + table.num_rows

    def parquet(self, feed: str, month: str, table: pa.Table) -> None:
        """Appends one row group to `<feed>/<month>.parquet`."""
        name = f"{feed}/{month}.parquet"
        if name not in self._parquet:
            path = self._folder / name
            path.parent.mkdir(exist_ok=True)
            self._parquet[name] = pq.ParquetWriter(path, table.schema, compression="zstd", compression_level=1)
        self._parquet[name].write_table(table, row_group_size=1 << 30)
        self.rows[feed] = self.rows.get(feed, 0) + table.num_rows

    def close(self) -> None:
        """Closes every file."""
        for writer in (*self._csv.values(), *self._parquet.values(), *self._sinks):
            writer.close()
