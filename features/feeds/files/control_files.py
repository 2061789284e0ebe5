"""Check files: what the operator says it delivered is what lies there, file by file and row by row.

A check file speaks for its own folder. A file that it names and that is not there, a file that it does not name, a file
of another length, and one file delivered twice under two names are all errors.
"""

from __future__ import annotations

import csv
import io
from fnmatch import fnmatch
from functools import lru_cache
from pathlib import Path

from features.feeds.files.text_stream import Utf8Stream
from features.feeds.mapping.layout import CheckFile, File
from features.feeds.mapping.sources import Source
from features.kit.errors import DataError
from features.kit.files import sha256_of


def check_deliveries(source: Source, data: Path) -> None:
    """Compares the files of every view that has a check file with it. Raises DataError naming the file."""
    counted_rows.cache_clear()
    for name, file in source.files.items():
        if file.check_file is None:
            continue
        counts = _counts(data, file)
        found = {path for pattern in file.patterns for path in data.glob(pattern) if path.is_file()}
        there = {path.relative_to(data).as_posix() for path in found if not path.name.startswith(".")}
        for relative in sorted(counts):
            if relative not in there and any(fnmatch(relative, pattern) for pattern in file.patterns):
                raise DataError(
                    f"{data / relative}: named in the check file and not delivered (files.{name})",
                    remedy="deliver the file",
                )
        spoken_for = {path.parent for path in data.glob(file.check_file.path)}
        for relative in sorted(there):
            if relative not in counts and (data / relative).parent not in spoken_for:
                raise DataError(
                    f"{(data / relative).parent}: no check file like '{file.check_file.path}' (files.{name})",
                    remedy="deliver the check file",
                )
            if relative not in counts:
                raise DataError(
                    f"{data / relative}: not named in a check file of its folder (files.{name})",
                    remedy="deliver the check file again, or remove the file",
                )
        _refuse_twins(data, sorted(there))


def check_rows(data: Path, file: File, path: Path, rows: int) -> None:
    """Compares the rows read from a file with its check file. Raises DataError with both counts."""
    if file.check_file is None:
        return
    counted = _counts(data, file)[path.relative_to(data).as_posix()]
    if rows != counted:
        what = "truncated or incomplete" if rows < counted else "delivered with more rows than counted"
        raise DataError(
            f"{path}: {rows:,} rows, {counted:,} in the check file; {what}", remedy="deliver the file again"
        )


def _counts(data: Path, file: File) -> dict[str, int]:
    counts: dict[str, int] = {}
    check = file.check_file
    for path in sorted(data.glob(check.path)) if check else ():
        for name, rows in counted_rows(path, check, file.encoding):
            counts[path.with_name(name).relative_to(data).as_posix()] = rows
    return counts


@lru_cache(maxsize=256)
def counted_rows(path: Path, check: CheckFile, encoding: str) -> tuple[tuple[str, int], ...]:
    """Returns the file names of a check file with their rows.

    Raises:
        DataError: If it lacks one of its two columns, names a file twice, or counts something that is no number.
    """
    layout = File(path="*", encoding=encoding)
    with Utf8Stream(path, layout) as stream:
        text = io.TextIOWrapper(io.BufferedReader(stream), encoding="utf-8", newline="")
        lines = [line for line in csv.reader(text, delimiter=check.delimiter) if line]
    header = lines[0] if lines else []
    for column in (check.file, check.rows):
        if column not in header:
            raise DataError(f"{path}: the check file has no column '{column}'", remedy="deliver it again")
    counts: dict[str, int] = {}
    for number, line in enumerate(lines[1:], start=1):
        name, count = (
            line[header.index(column)] if len(line) == len(header) else "" for column in (check.file, check.rows)
        )
        if not name or not (count.isascii() and count.isdigit()):
            raise DataError(f"{path}: row {number} of the check file counts no rows ('{count}')")
        if name in counts:
            raise DataError(f"{path}: the check file names '{name}' twice")
        counts[name] = int(count)
    return tuple(counts.items())


def _refuse_twins(data: Path, names: list[str]) -> None:
    """Refuses two equal files in one folder; across folders they are a repeated delivery, which changes nothing."""
    by_size: dict[tuple[str, int], list[str]] = {}
    for name in names:
        path = data / name
        by_size.setdefault((path.parent.as_posix(), path.stat().st_size), []).append(name)
    for alike in by_size.values():
        seen: dict[str, str] = {}
        for name in alike if len(alike) > 1 else ():
            twin = seen.setdefault(sha256_of(data / name), name)
            if twin != name:
                raise DataError(
                    f"{data / name}: the same content as {twin}; one file was delivered twice",
                    remedy="remove one of them, and deliver what it stands for",
                )
