"""Finds out which files still name somebody: in text, Parquet, SQLite and archives, every file below a folder.

A search by value, not by knowledge of what lies where, so that it also finds what nobody thought of.
"""

from __future__ import annotations

import gzip
import io
import re
import sqlite3
import zipfile
from collections.abc import Collection, Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from features.erasure.rewriting import mentions

_ZIP, _GZIP, _PARQUET, _SQLITE = b"PK\x03\x04", b"\x1f\x8b", b"PAR1", b"SQLite format 3\x00"
_PIECE = 1 << 24


@dataclass(frozen=True)
class Search:
    """What a search saw."""

    files: int  # files read
    naming: tuple[str, ...]  # those that name one of the names, relative to their root


def search(roots: Iterable[Path], names: Collection[str], *, skip: Collection[Path] = ()) -> Search:
    """Reads every file below the roots and returns those that hold one of the names as a whole word.

    A root that does not exist holds nothing; files in `skip` are left out.
    """
    pattern = mentions(names)
    files = 0
    naming: list[str] = []
    seen: set[Path] = set()
    for root in roots:
        for path in sorted(root.rglob("*")) if root.exists() else ():
            whole = path.resolve()
            if whole in seen or path in skip or not path.is_file():
                continue
            seen.add(whole)
            files += 1
            if _names(path, pattern, names):
                naming.append(path.relative_to(root).as_posix())
    return Search(files, tuple(naming))


def _names(path: Path, pattern: re.Pattern[str], names: Collection[str]) -> bool:
    with path.open("rb") as file:
        head = file.read(16)
    if head.startswith(_PARQUET):
        return _in_parquet(path, names)
    if head.startswith(_SQLITE):
        return _in_sqlite(path, pattern)
    if path.name.endswith(("-wal", "-journal")):
        return any(name.encode() in path.read_bytes() for name in names)
    return _in_bytes(path, _Words(tuple(name.encode() for name in names), re.compile(pattern.pattern.encode())))


@dataclass(frozen=True)
class _Words:
    """Names as bytes: looked for quickly, then as whole words."""

    needles: tuple[bytes, ...]
    pattern: re.Pattern[bytes]

    def search(self, content: bytes) -> bool:
        """Tells whether one of the names stands in a text."""
        return any(needle in content for needle in self.needles) and self.pattern.search(content) is not None


def _in_bytes(path: Path, pattern: _Words) -> bool:
    overlap = b""
    with path.open("rb") as file:
        if file.read(4) == _ZIP:
            return _in_zip(path.read_bytes(), pattern)
        file.seek(0)
        source: Any = gzip.GzipFile(fileobj=file) if file.read(2) == _GZIP else file
        file.seek(0)
        while piece := source.read(_PIECE):
            if pattern.search(overlap + piece):
                return True
            overlap = piece[-300:]
    return False


def _in_zip(content: bytes, pattern: _Words) -> bool:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return any(pattern.search(archive.read(member)) for member in archive.namelist())


def _in_parquet(path: Path, names: Collection[str]) -> bool:
    """Tells whether a text anywhere in a Parquet file names somebody; numbers and dates are not looked at."""
    import duckdb
    import pyarrow as pa
    import pyarrow.parquet as pq

    found = "|".join(re.escape(name) for name in sorted(names))
    pattern = f"(^|[^0-9A-Za-z])({found})([^0-9A-Za-z]|$)"
    texts = [
        '"' + field.name.replace('"', '""') + '"'
        for field in pq.read_schema(path)
        if pa.types.is_nested(field.type) or not (pa.types.is_primitive(field.type) or pa.types.is_decimal(field.type))
    ]
    if not texts:
        return False
    tests = " OR ".join(f"regexp_matches(CAST({text} AS VARCHAR), $pattern)" for text in texts)
    with duckdb.connect() as database:
        database.execute("SET threads=1")
        found_row = database.execute(
            f"SELECT 1 FROM read_parquet($path, hive_partitioning=false) WHERE {tests} LIMIT 1",
            {"path": str(path), "pattern": pattern},
        ).fetchone()
    return found_row is not None


def _in_sqlite(path: Path, pattern: re.Pattern[str]) -> bool:
    """Tells whether a value of any table names somebody; free pages are the business of `compact_sqlite`."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as database:
        database.text_factory = lambda raw: raw.decode(errors="replace")
        tables = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            for row in database.execute(f'SELECT * FROM "{table}"'):
                for value in row:
                    text = value.decode("latin-1") if isinstance(value, bytes) else value
                    if isinstance(text, str) and pattern.search(text):
                        return True
    return False
