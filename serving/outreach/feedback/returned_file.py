"""The cells of a file that came back: every sheet of a workbook or a CSV, refused before it can fill the memory."""

from __future__ import annotations

import csv
import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from features.kit.errors import DataError

MOST_ROWS = 100_000
MOST_CELLS = 2_000_000
MOST_BYTES = 100_000_000
"""Of all XML of a workbook unpacked, or of a CSV."""

_CHUNK = 1 << 20
_PLACE = re.compile(rb'\br="([A-Z]{0,3})([0-9]{1,7})"')
_COMMENT = re.compile(
    rb'<(?:comment|threadedComment)\b[^>]*?\bref="([A-Z]+)([0-9]+)"[^>]*>(.*?)</(?:comment|threaded)', re.DOTALL
)
_MARKUP = re.compile(r"<[^>]*>")
_SMALLER = "delete the empty rows and columns after the last line, or use the exported list"


@dataclass(frozen=True)
class Comment:
    """A comment that somebody pinned to a cell; which sheet it belongs to is not read."""

    column: str
    row: int
    text: str


@dataclass(frozen=True)
class Sheet:
    """One sheet: its name (empty for CSV), its cells, and merged ranges as first and last (row, column) from 0."""

    name: str
    rows: list[list[Any]]
    merged: list[tuple[tuple[int, int], tuple[int, int]]] = field(default_factory=list)


def read_sheets(path: Path) -> tuple[list[Sheet], list[Comment]]:
    """Returns every sheet of a file, hidden ones too: what a person filled in may stand in any of them.

    Raises:
        DataError: If the file is missing, damaged, too large, or neither XLSX nor CSV.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    if path.suffix.lower() == ".xlsx":
        comments = _measured(path)
        return _workbook(path), comments
    if path.suffix.lower() != ".csv":
        raise DataError(f"{path}: neither .xlsx nor .csv", remedy="save it as .xlsx")
    return [Sheet("", _csv(path))], []


def column_letters(place: int) -> str:
    """Returns the letters of a column counted from 0, as a spreadsheet shows them."""
    letters, place = "", place + 1
    while place:
        place, rest = divmod(place - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


def _workbook(path: Path) -> list[Sheet]:
    from python_calamine import CalamineWorkbook

    try:
        with CalamineWorkbook.from_path(str(path)) as book:
            found = []
            for name in book.sheet_names:
                sheet = book.get_sheet_by_name(name)
                merged = [((a[0], a[1]), (b[0], b[1])) for a, b in sheet.merged_cell_ranges or ()]
                found.append(Sheet(name, list(sheet.to_python(skip_empty_area=False)), merged))
            return found
    except Exception as error:  # noqa: BLE001 - the reader raises its own kinds for a damaged file
        raise DataError(f"{path}: not a readable workbook ({error})", remedy="save it as .xlsx again") from None


def _measured(path: Path) -> list[Comment]:
    """Returns the comments of a workbook, after a look at the size of every part as a stream."""
    comments: list[Comment] = []
    total = 0
    try:
        with zipfile.ZipFile(path) as parts:
            for part in parts.namelist():
                if not part.endswith(".xml"):
                    continue
                is_sheet, is_comments = "/worksheets/" in part, "omments" in part
                kept, rows, columns = b"", 0, 0
                for chunk in _chunks(parts, part):
                    total += len(chunk)
                    if total > MOST_BYTES:
                        raise DataError(f"{path}: more than {MOST_BYTES // 1_000_000} MB unpacked", remedy=_SMALLER)
                    if is_comments:
                        kept += chunk
                    elif is_sheet:
                        for letters, row in _PLACE.findall(kept + chunk):
                            rows, columns = max(rows, int(row)), max(columns, _number(letters))
                        kept = chunk[-32:]
                        _check_size(path, part, rows, columns)
                if is_comments:
                    comments += _comments(kept)
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError, zlib.error) as error:
        raise DataError(f"{path}: not a readable workbook ({error})", remedy="save it as .xlsx again") from None
    return comments


def _comments(part: bytes) -> list[Comment]:
    return [
        Comment(column.decode(), int(row), " ".join(_MARKUP.sub(" ", text.decode("utf-8", "replace")).split()))
        for column, row, text in _COMMENT.findall(part)
    ]


def _chunks(parts: zipfile.ZipFile, part: str) -> Iterator[bytes]:
    with parts.open(part) as stream:
        while chunk := stream.read(_CHUNK):
            yield chunk


def _number(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number


def _check_size(path: Path, name: str, rows: int, columns: int) -> None:
    if rows > MOST_ROWS or rows * columns > MOST_CELLS:
        raise DataError(
            f"{path}: {name} reaches to row {rows}, column {column_letters(max(columns, 1) - 1)}; "
            f"a list has at most {MOST_ROWS} rows and {MOST_CELLS} cells",
            remedy=_SMALLER,
        )


def _csv(path: Path) -> list[list[Any]]:
    if path.stat().st_size > MOST_BYTES:
        raise DataError(f"{path}: more than {MOST_BYTES // 1_000_000} MB", remedy=_SMALLER)
    text = _decoded(path, path.read_bytes())
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)  # Excel writes the separator of the country's settings
    rows: list[list[Any]] = []
    cells = 0
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
            rows.append(list(row))
            cells += len(row)
            if len(rows) > MOST_ROWS or cells > MOST_CELLS:
                _check_size(path, "the file", max(len(rows), MOST_ROWS + 1), len(row))
    except csv.Error as error:
        raise DataError(f"{path}: row {len(rows) + 1}: {error}", remedy="save it as .xlsx") from None
    return rows


def _decoded(path: Path, content: bytes) -> str:
    is_wide = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    for encoding in ("utf-16",) if is_wide else ("utf-8-sig", "gb18030"):  # GB18030 is how Chinese Excel saves CSV
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\x00" not in text:
            return text
    raise DataError(f"{path}: neither UTF-8, UTF-16 nor GB18030", remedy="save it as UTF-8 CSV")
