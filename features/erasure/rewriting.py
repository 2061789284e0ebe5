"""Takes single customers out of files that hold many: written beside, then switched; and looks for what is left."""

from __future__ import annotations

import mmap
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from datetime import date, datetime
from pathlib import Path
from typing import Any

from features.kit.clock import instant_of
from features.kit.errors import DataError, NotReadyError
from features.kit.files import atomic_path

ERASED = "erased"
"""What stands where an identifier of an erased person stood, in records that must stay."""

_BUSY_SECONDS = 30
_TEMPORARY = re.compile(r"^\.[0-9a-f]{8}\.")


def remove_rows(
    path: Path, customer_ids: frozenset[str], *, column: str = "customer_id", into: Path | None = None
) -> int:
    """Rewrites a Parquet file without the rows of some customers and returns how many there were.

    Nothing is written if it holds none of them. Row groups, order and types stay. `into` leaves the file itself alone.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        wanted = pa.array(sorted(customer_ids), pa.string())

        def is_gone(table: Any) -> Any:
            return pc.is_in(table[column].cast(pa.string()), value_set=wanted)

        gone = int(pc.sum(is_gone(file.read(columns=[column]))).as_py() or 0)
        if not gone:
            return 0
        kept = file.metadata.num_rows - gone
        with atomic_path(into or path) as temporary:
            with pq.ParquetWriter(temporary, file.schema_arrow, compression="zstd") as writer:
                for number in range(file.num_row_groups):
                    group = file.read_row_group(number)
                    writer.write_table(group.filter(pc.invert(is_gone(group))))
            if pq.read_metadata(temporary).num_rows != kept:
                raise DataError(f"{path}: fewer rows on disk than written", remedy="check the disk, then run again")
    return gone


def remove_from_dates(
    root: Path, pattern: str, gone_as_of: Callable[[datetime], frozenset[str]], time_zone: str,
    remove: Callable[[Path, frozenset[str]], int] = remove_rows,
) -> dict[str, int]:  # fmt: skip
    """Removes rows from every table in folders `as_of=DATE` and returns tables rewritten and rows removed.

    `pattern` finds the tables, e.g. `*/as_of=*/portrait.parquet`; `gone_as_of` are the customers to remove as of an
    instant; `remove` rewrites one table without some customers and returns how many rows there were.
    """
    tables = rows = 0
    for path in sorted(root.glob(pattern)):
        day = date.fromisoformat(path.parent.name.removeprefix("as_of="))
        removed = remove(path, gone_as_of(instant_of(day, time_zone).replace(tzinfo=None)))
        tables, rows = tables + bool(removed), rows + removed
    return {"tables": tables, "rows": rows}


def remove_from_files(folder: Path, names: frozenset[str], customer_ids: frozenset[str]) -> dict[str, int]:
    """Removes somebody from every CSV (one record a line) and Parquet file below a folder: a simulated delivery.

    Returns:
        Files rewritten and rows removed.
    """
    import pyarrow.parquet as pq

    remove_leftovers([folder])
    counts = [_remove_lines(path, names) for path in sorted(folder.rglob("*.csv"))]
    counts += [
        remove_rows(path, customer_ids)
        for path in sorted(folder.rglob("*.parquet"))
        if "customer_id" in pq.read_schema(path).names
    ]
    return {"files": sum(map(bool, counts)), "rows": sum(counts)}


def _remove_lines(path: Path, names: frozenset[str]) -> int:
    """Rewrites a file without the lines that name somebody, and returns how many."""
    pattern = re.compile(mentions(names).pattern.encode())
    if path.stat().st_size == 0:
        return 0
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        gone = sorted({line for name in names for line in _lines_with(content, name.encode())})
        gone = [(start, end) for start, end in gone if pattern.search(content[start:end])]
        if gone:
            with atomic_path(path) as temporary, temporary.open("wb") as out:
                place = 0
                for start, end in gone:
                    out.write(content[place:start])
                    place = end
                out.write(content[place:])
    return len(gone)


def _lines_with(content: mmap.mmap, needle: bytes) -> Iterator[tuple[int, int]]:
    """Yields the start and end of every line that holds a text."""
    place = content.find(needle)
    while place >= 0:
        start, end = content.rfind(b"\n", 0, place) + 1, content.find(b"\n", place) + 1 or len(content)
        yield start, end
        place = content.find(needle, end)


def compact_sqlite(path: Path) -> None:
    """Rewrites a SQLite file without its free pages and empties its log, so that no deleted row can be read back.

    Raises:
        NotReadyError: If another process keeps the file busy.
    """
    with closing(sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)) as database:
        database.execute("PRAGMA secure_delete = ON")
        try:
            database.execute("VACUUM")
            busy = database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        except sqlite3.OperationalError as error:
            raise _busy(path, str(error)) from None
        if busy:
            raise _busy(path, "a reader holds its log")


def _busy(path: Path, why: str) -> NotReadyError:
    return NotReadyError(f"{path}: cannot be compacted ({why})", remedy="run the same command again in a moment")


def remove_leftovers(folders: Iterable[Path]) -> int:
    """Removes temporary files that killed runs left behind; the caller holds the run lock. Returns how many."""
    removed = 0
    for folder in folders:
        for path in sorted(folder.rglob(".*")) if folder.exists() else ():
            if _TEMPORARY.match(path.name) and path.is_file():
                path.unlink(missing_ok=True)
                removed += 1
    return removed


def mentions(names: Iterable[str]) -> re.Pattern[str]:
    """Returns a pattern that finds one of the names as a whole word: not inside a longer id, nor in a decimal."""
    found = "|".join(re.escape(name) for name in sorted(names))
    return re.compile(rf"(?<![0-9A-Za-z])(?<!\d\.)(?:{found})(?![0-9A-Za-z])(?!\.\d)")
