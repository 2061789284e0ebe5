"""Tables as CSV that a person may open in a spreadsheet: no cell of them starts a formula, whoever wrote its value.

Every CSV of the house is written here, or by a statement whose text columns went through `harmless_sql`.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import Any

from features.kit.sql import literal

_STARTS = "[\t\r\n]|[ \u00a0\u3000\ufeff]*[=+@\uff1d\uff0b\uff0d\uff20-]"
"""How a formula begins; spreadsheets in Chinese take the full-width signs, too."""
_NUMBER = "[+-]?[0-9]*([.,][0-9]+)?"
"""What stays as it is in spite of its sign: a number, or a lone dash."""
_is_started = re.compile(_STARTS).match
_is_number = re.compile(_NUMBER).fullmatch


def harmless(cell: Any) -> Any:
    """Returns a cell that a spreadsheet shows as text: one that would start a formula has an apostrophe before it."""
    if isinstance(cell, str) and _is_started(cell) and not _is_number(cell):
        return f"'{cell}"
    return cell


def harmless_sql(column: str) -> str:
    """Returns a text column as `harmless` would write it."""
    starts, number = literal(f"^({_STARTS})"), literal(_NUMBER)
    return (
        f"CASE WHEN regexp_matches({column}, {starts}) AND NOT regexp_full_match({column}, {number}) "
        f"THEN '''' || {column} ELSE {column} END"
    )


def csv_text(rows: Iterable[Sequence[Any]], *, line_end: str = "\n") -> str:
    """Returns rows, the header first, as CSV of harmless cells."""
    text = io.StringIO()
    csv.writer(text, lineterminator=line_end).writerows([harmless(cell) for cell in row] for row in rows)
    return text.getvalue()
