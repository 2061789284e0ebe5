"""A list as rows and as CSV: one table of every column. Same lines, same bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from features.kit.values.tables import csv_text
from serving.outreach.export.columns import COLUMNS, Entry, Page


def rows_of(entries: Sequence[Entry], page: Page) -> list[list[Any]]:
    """Returns the cells of every line in column order; what the agent fills in is empty until the line is closed."""
    return [[column.cell(entry, page) for column in COLUMNS] for entry in entries]


def to_csv(entries: Sequence[Entry], page: Page) -> bytes:
    """Returns the list as CSV in UTF-8 with a byte-order mark, as Excel opens it; no cell starts a formula."""
    head = [column.header.get(page.locale) for column in COLUMNS]
    return csv_text([head, *rows_of(entries, page)], line_end="\r\n").encode("utf-8-sig")
