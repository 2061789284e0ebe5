"""A list as rows and as CSV: one table of every column. Same lines, same bytes."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

from serving.outreach.export.columns import COLUMNS, Entry, Page

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def rows_of(entries: Sequence[Entry], page: Page) -> list[list[Any]]:
    """Returns the cells of every line in column order; what the agent fills in is empty until the line is closed."""
    return [[column.cell(entry, page) for column in COLUMNS] for entry in entries]


def to_csv(entries: Sequence[Entry], page: Page) -> bytes:
    """Returns the list as CSV in UTF-8 with a byte-order mark, as Excel opens it; no cell starts a formula."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow([column.header.get(page.locale) for column in COLUMNS])
    for row in rows_of(entries, page):
        writer.writerow([_harmless(cell) for cell in row])
    return buffer.getvalue().encode("utf-8-sig")


def _harmless(cell: Any) -> Any:
    if isinstance(cell, str) and cell != "-" and cell.startswith(_FORMULA_STARTS):
        return f"'{cell}"
    return cell
