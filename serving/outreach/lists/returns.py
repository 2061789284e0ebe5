"""What agents send back: a filled-in list (XLSX or CSV) read into reports, with one error per bad row."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from features.kit.errors import DataError
from serving.outreach.dispositions import DISPOSITIONS, Disposition
from serving.outreach.export.columns import COLUMNS
from serving.outreach.lists.ledger import is_line_id

_TIME_FORMATS = ("%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y/%m/%d %H:%M", "%Y/%m/%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S")
_DATE_FORMATS = ("%Y-%m-%d", "%Y/%m/%d")
MORNING = time(10, 0)
"""When an appointment without a time is due."""


@dataclass(frozen=True)
class Report:
    """One agent's report on one line.

    Attributes:
        row: Row of the file, 1 for the first; or the place in a request.
        line_id: The line.
        disposition: What came of the attempt.
        attempted_at: When, if known.
        order_reference: The order, for `accepted`.
        ticket_id: The ticket, for `ticket_opened`; optional for `complained`.
        next_at: The appointment, for `thinking` and `callback`.
        agent: Who reports.
    """

    row: int
    line_id: str
    disposition: str
    attempted_at: datetime | None = None
    order_reference: str | None = None
    ticket_id: str | None = None
    next_at: datetime | None = None
    agent: str | None = None


@dataclass(frozen=True)
class RowError:
    """One row that was not imported, and why."""

    row: int
    column: str
    message: str


def read_reports(path: Path, time_zone: str) -> tuple[list[Report], list[RowError]]:
    """Returns the reports of a filled-in list and the rows that cannot be read.

    Rows without a disposition are left out.

    Raises:
        DataError: If the file is missing, is neither XLSX nor CSV, or has no column `line_id` or `disposition`.
    """
    rows = _rows(path)
    head, places = _header(path, rows)
    reports: list[Report] = []
    errors: list[RowError] = []
    for number, row in enumerate(rows[head + 1 :], start=head + 2):
        cells = {name: row[place] if place < len(row) else "" for name, place in places.items()}
        if not str(cells["disposition"]).strip():
            continue
        try:
            reports.append(_report(number, cells, time_zone))
        except ReportError as error:
            errors.append(RowError(number, error.column, error.message))
    return reports, errors


class ReportError(Exception):
    """One report that cannot be recorded: the column, and why."""

    def __init__(self, column: str, message: str) -> None:
        super().__init__(message)
        self.column = column
        self.message = message


def _rows(path: Path) -> list[list[Any]]:
    if not path.exists():
        raise DataError(f"{path}: no such file")
    if path.suffix.lower() == ".xlsx":
        from python_calamine import CalamineWorkbook

        try:
            with CalamineWorkbook.from_path(str(path)) as book:
                return list(book.get_sheet_by_index(0).to_python(skip_empty_area=False))
        except Exception as error:  # noqa: BLE001 - the reader raises its own kinds for a damaged file
            raise DataError(f"{path}: not a readable workbook ({error})", remedy="save it as .xlsx again") from None
    if path.suffix.lower() != ".csv":
        raise DataError(f"{path}: neither .xlsx nor .csv")
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        try:
            text = content.decode("gb18030")  # how Chinese Excel saves CSV
        except UnicodeDecodeError:
            raise DataError(f"{path}: neither UTF-8 nor GB18030", remedy="save it as UTF-8 CSV") from None
    return [list(row) for row in csv.reader(io.StringIO(text))]


def _header(path: Path, rows: Sequence[Sequence[Any]]) -> tuple[int, dict[str, int]]:
    names = {
        spelling: column.name for column in COLUMNS for spelling in (column.name, column.header.zh, column.header.en)
    }
    for number, row in enumerate(rows[:20]):
        places = {names[str(cell).strip()]: k for k, cell in enumerate(row) if str(cell).strip() in names}
        if "line_id" in places:
            if "disposition" not in places:
                raise DataError(f"{path}: no column 'disposition' ('联系结果*')", remedy="use the exported list")
            return number, places
    raise DataError(f"{path}: no column 'line_id' ('行号') in the first 20 rows", remedy="use the exported list")


def _report(number: int, cells: dict[str, Any], time_zone: str) -> Report:
    line_id = str(cells["line_id"]).strip().upper()
    if not is_line_id(line_id):
        raise ReportError("line_id", f"'{line_id}' is not a line id; compare it with the list")
    code = _disposition(str(cells["disposition"]).strip())
    report = Report(
        row=number,
        line_id=line_id,
        disposition=code,
        attempted_at=_instant(cells, "attempted_at", time_zone),
        order_reference=_words(cells.get("order_reference")),
        ticket_id=_words(cells.get("ticket_id")),
        next_at=_instant(cells, "next_at", time_zone, date_is_enough=code == "thinking"),
        agent=_words(cells.get("agent")),
    )
    check_needs(report)
    return report


def check_needs(report: Report) -> None:
    """Raises ReportError naming the column that the disposition needs and the report lacks."""
    needed = DISPOSITIONS[report.disposition].outcome.needs
    if needed is not None and getattr(report, needed) is None:
        raise ReportError(needed, f"'{report.disposition}' needs '{needed}'")


def _disposition(text: str) -> str:
    spoken = {code.text.zh: code.value for code in Disposition}
    for part in (text, text.split(maxsplit=1)[0], text.rsplit(maxsplit=1)[-1]):
        code = spoken.get(part, part)
        if code in DISPOSITIONS:
            return code
    raise ReportError("disposition", f"'{text}' is not a disposition; choose from the drop-down")


def _words(cell: Any) -> str | None:
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    text = str(cell).strip() if cell is not None else ""
    return text.removeprefix("'")[:100] or None


def _instant(cells: dict[str, Any], name: str, time_zone: str, *, date_is_enough: bool = False) -> datetime | None:
    cell = cells.get(name)
    found = cell if isinstance(cell, datetime) else None
    if found is None and isinstance(cell, date) and date_is_enough:
        found = datetime.combine(cell, MORNING)
    text = "" if cell is None else str(cell).strip()
    if found is None and text:
        found = _parsed(text, _TIME_FORMATS)
        day = _parsed(text, _DATE_FORMATS) if found is None and date_is_enough else None
        found = datetime.combine(day.date(), MORNING) if day is not None else found
        if found is None:
            raise ReportError(name, f"'{text}' is not a time; write it as 2026-06-01 14:30")
    return None if found is None else found.replace(tzinfo=ZoneInfo(time_zone), microsecond=0).astimezone(UTC)


def _parsed(text: str, formats: Sequence[str]) -> datetime | None:
    for pattern in formats:
        try:
            return datetime.strptime(text, pattern)  # noqa: DTZ007 - the operator's local time; the zone is added after
        except ValueError:
            continue
    return None
