"""What agents send back: a filled-in list (XLSX or CSV) read into reports, with one error per bad row.

What a person filled in is read, or refused by sheet, row and column; nothing is skipped in silence.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from features.kit.config import load_data
from features.kit.errors import DataError
from features.kit.language import Locale, Text
from features.kit.values.identifiers import damage, identifier
from serving.outreach.dispositions import DISPOSITIONS, Disposition
from serving.outreach.export.columns import COLUMNS
from serving.outreach.export.layout import SHEET_COLUMNS
from serving.outreach.feedback.returned_file import Comment, Sheet, column_letters, read_sheets
from serving.outreach.lists.ledger import is_line_id

_TIME_FORMATS = ("%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y/%m/%d %H:%M", "%Y/%m/%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S")
_DATE_FORMATS = ("%Y-%m-%d", "%Y/%m/%d")
_ROUNDED_FROM = 10**15
_SPOILED_NUMBER = re.compile(r"#+|\d(\.\d+)?[eE]\+?\d+|\d{15}0{3,}")
"""Hidden digits, an exponent, or a number of which a spreadsheet kept 15 digits."""
PRINTED = ("form_of_address", "number", "action", "channel")
"""Columns that say whose row it is and what was to be done: nobody may change them."""
MORNING = time(10, 0)
"""When an appointment without a time is due."""
_WHY: dict[str, Text] = load_data(dict[str, Text], Path(__file__).with_name("report_errors.yaml"))


@dataclass(frozen=True)
class Report:
    """One agent's report on one line."""

    row: int  # row of the file, 1 for the first; or the place in a request
    line_id: str
    disposition: str  # what came of the attempt
    attempted_at: datetime | None = None  # when, if known
    order_reference: str | None = None  # the order, for `accepted`
    ticket_id: str | None = None  # the ticket, for `ticket_opened`; optional for `complained`
    next_at: datetime | None = None  # the appointment, for `thinking` and `callback`
    agent: str | None = None  # who reports
    sheet: str = ""  # sheet of the workbook; empty for CSV and requests
    printed: dict[str, str] = field(default_factory=dict)  # what the row shows in `PRINTED`; empty for requests
    locale: Locale = "en"  # language of the sheet's headings


@dataclass(frozen=True)
class RowError:
    """One row that was not imported, and why; `is_transient` if the same row may be taken the next time."""

    row: int
    column: str
    message: str
    sheet: str = ""
    is_transient: bool = False
    locale: Locale = "en"

    @property
    def heading(self) -> str:
        """Returns the column as the sheet heads it; a column of the agent's own as it is."""
        header = next((column.header for column in COLUMNS if column.name == self.column), None)
        return header.get(self.locale) if header else self.column

    def sentence(self, *, is_kept: bool = True) -> str:
        """Returns place and message in the language of the sheet; a note is said not to be kept."""
        if self.locale == "zh":
            sheet = f"工作表“{self.sheet}”" if self.sheet else ""
            return f"{sheet}第{self.row}行，{self.heading}：{'' if is_kept else '未保存：'}{self.message}"
        sheet = f"sheet '{self.sheet}', " if self.sheet else ""
        return f"{sheet}row {self.row}, {self.heading}: {'' if is_kept else 'not kept: '}{self.message}"


@dataclass
class Returned:
    """What a filled-in list says."""

    reports: list[Report] = field(default_factory=list)  # what agents report, sheet by sheet and row by row
    errors: list[RowError] = field(default_factory=list)  # what cannot be read
    notes: list[RowError] = field(default_factory=list)  # not kept: notes beside the list's columns and comments


@dataclass(frozen=True)
class _Head:
    """One row of headings: the column of `line_id`, one set of filled-in columns per attempt, and all others."""

    line_id: int
    attempts: list[dict[str, int]]
    known: frozenset[int]
    printed: dict[str, int]
    locale: Locale


def read_reports(path: Path, time_zone: str) -> Returned:
    """Returns what agents filled in, from every sheet that carries the list's headings.

    Rows in which nothing is filled in are left out. A heading that stands twice is a second attempt on the line.

    Raises:
        DataError: If the file is missing, is neither XLSX nor CSV, has no column `line_id` or `disposition`, or has
            lines on a sheet without headings.
    """
    sheets, comments = read_sheets(path)
    found = Returned()
    headless, has_head = [], False
    for sheet in sheets:
        heads = [_head(path, sheet, row) for row in sheet.rows]
        if any(heads):
            has_head = True
            _read_sheet(sheet, heads, time_zone, found)
        else:
            headless.append(sheet)
    if not has_head:
        raise DataError(f"{path}: no column 'line_id' ('行号')", remedy="use the exported list")
    for sheet in headless:
        for number, row in enumerate(sheet.rows, start=1):
            if _has_line(row):
                raise DataError(
                    f"{path}: sheet '{sheet.name}', row {number}: a line without headings above it",
                    remedy="copy the row of headings ('行号', '联系结果*' ...) onto this sheet",
                )
    for comment in comments:
        _add_comment(comment, found)
    return found


class ReportError(Exception):
    """One report that cannot be recorded: the column, and why, as a code of `report_errors.yaml` with its slots."""

    def __init__(self, column: str, code: str, **slots: Any) -> None:
        super().__init__(code)
        self._column, self._why, self._slots = column, _WHY[code], slots

    def on(self, row: int, sheet: str, locale: Locale) -> RowError:
        """Returns the error of a row of a sheet, in the language of the sheet."""
        return RowError(row, self._column, self._why.get(locale).format(**self._slots), sheet, locale=locale)


def _key(text: Any) -> str:
    """Returns a heading or a disposition without what typing changes: width, case, blanks, hyphens, a star."""
    return re.sub(r"[\s_*\-]+", "", unicodedata.normalize("NFKC", str(text))).casefold()


_HEADINGS = {
    _key(spelling): column
    for column in (*SHEET_COLUMNS, *COLUMNS)
    for spelling in (column.name, column.header.zh, column.header.en)
}
_SPOKEN = {
    _key(spelling): code.value
    for code in Disposition
    for spelling in (
        code.value, code.text.zh, code.text.en, *(f"{code.value}{text}" for text in (code.text.zh, code.text.en)),
        *(f"{text}{code.value}" for text in (code.text.zh, code.text.en)),
    )
}  # fmt: skip
_BINDING = tuple(_key(text) for code in Disposition if code.outcome.on_closed_line
                 for text in (code.value, code.text.zh, code.text.en))  # fmt: skip
"""Words that may not be lost in a note: what a customer forbade or complained about."""
_BINDING_IN_PRINT = tuple(word for word in _BINDING if word != _key(Disposition.COMPLAINED.value))
"""Those that no text of a list says of itself."""
_LONGEST_HEADING = 40
_LINE = re.compile(r"[0-9A-Z]{4}-[0-9A-Z]{5}")


def _head(path: Path, sheet: Sheet, row: Sequence[Any]) -> _Head | None:
    """Returns the headings of a row, or None if it is no row of headings."""
    keys = [_key(cell) if isinstance(cell, str) and len(cell) <= _LONGEST_HEADING else "" for cell in row]
    found = [(place, _HEADINGS[key]) for place, key in enumerate(keys) if key in _HEADINGS]
    lines = [place for place, column in found if column.name == "line_id"]
    if not lines:
        return None
    where = f"{path}: sheet '{sheet.name}'" if sheet.name else str(path)
    if len(lines) > 1:
        raise DataError(f"{where}: column 'line_id' ('行号') stands twice", remedy="delete the second one")
    attempts: list[dict[str, int]] = []
    for place, column in found:
        if column.fill is None:
            free = next((attempt for attempt in attempts if column.name not in attempt), None)
            if free is None:
                attempts.append(free := {})
            free[column.name] = place
    if not any("disposition" in attempt for attempt in attempts):
        raise DataError(f"{where}: no column 'disposition' ('联系结果*')", remedy="use the exported list")
    locale: Locale = "zh" if keys[lines[0]] == _key("行号") else "en"
    printed = {column.name: place for place, column in found if column.name in PRINTED}
    return _Head(lines[0], attempts, frozenset(place for place, _ in found), printed, locale)


def _read_sheet(sheet: Sheet, heads: Sequence[_Head | None], time_zone: str, found: Returned) -> None:
    head: _Head | None = None
    headings: Sequence[Any] = ()
    for number, (row, new) in enumerate(zip(sheet.rows, heads, strict=True), start=1):
        if new is not None:
            head, headings = new, row
        elif head is None:
            if _has_line(row):
                found.errors.append(RowError(number, "line_id", "the line stands above the headings", sheet.name))
        else:
            _read_notes(number, row, sheet, head, headings, found)
            _read_row(number, row, sheet, head, time_zone, found)


def _read_row(number: int, row: Sequence[Any], sheet: Sheet, head: _Head, time_zone: str, found: Returned) -> None:
    def cell(place: int | None) -> Any:
        return row[place] if place is not None and place < len(row) else ""

    def fail(error: ReportError) -> None:
        found.errors.append(error.on(number, sheet.name, head.locale))

    merged = _merged(number - 1, sheet, head)
    if merged is not None:
        fail(ReportError(merged, "merged"))
        return
    for attempt in head.attempts:
        cells = {name: cell(place) for name, place in attempt.items()}
        if not any(str(value).strip() for value in cells.values()):
            continue
        if not str(cells.get("disposition", "")).strip():
            filled = next(name for name, value in cells.items() if str(value).strip())
            heading = next(column.header for column in COLUMNS if column.name == filled)
            fail(ReportError("disposition", "no_disposition", heading=heading))
            continue
        cells.setdefault("agent", cell(head.attempts[0].get("agent")))
        try:
            report = _report(number, cells | {"line_id": cell(head.line_id)}, time_zone, sheet.name)
            printed = {name: str(cell(place)) for name, place in head.printed.items()}
            found.reports.append(replace(report, printed=printed, locale=head.locale))
        except ReportError as error:
            fail(error)


def _read_notes(
    number: int, row: Sequence[Any], sheet: Sheet, head: _Head, headings: Sequence[Any], found: Returned
) -> None:
    """Takes up what stands where no report belongs: a disposition is an error, all else beside the columns a note."""
    filled = {place for attempt in head.attempts for place in attempt.values()}
    for place, value in enumerate(row):
        if place in filled or not str(value).strip():
            continue
        key, is_printed = _key(value), place in head.known
        is_result = key in _SPOKEN or any(word in key for word in (_BINDING_IN_PRINT if is_printed else _BINDING))
        if is_printed and not is_result:
            continue
        name = (str(headings[place]).strip() if place < len(headings) else "") or column_letters(place)
        if is_result:
            found.errors.append(ReportError(name, "outside", cell=value).on(number, sheet.name, head.locale))
        else:
            found.notes.append(RowError(number, name, str(value).strip(), sheet.name, locale=head.locale))


def _merged(row: int, sheet: Sheet, head: _Head) -> str | None:
    """Returns the filled-in column of a row that is merged with other cells that hold something."""
    for (top, left), (bottom, right) in sheet.merged:
        if top <= row <= bottom and top < len(sheet.rows) and left < len(sheet.rows[top]):
            for attempt in head.attempts:
                for name, place in attempt.items():
                    if left <= place <= right and str(sheet.rows[top][left]).strip():
                        return name
    return None


def _has_line(row: Sequence[Any]) -> bool:
    short = (cell for cell in row if isinstance(cell, str) and len(cell) <= _LONGEST_HEADING)
    texts = (unicodedata.normalize("NFKC", cell).strip().upper() for cell in short)
    return any(_LINE.fullmatch(text) and is_line_id(text) for text in texts)


def _add_comment(comment: Comment, found: Returned) -> None:
    key = _key(comment.text)
    if any(word in key for word in _BINDING):
        message = f"'{comment.text}' is a comment; put it under '联系结果*' ('disposition*') and delete the comment"
        found.errors.append(RowError(comment.row, comment.column, message))
    else:
        found.notes.append(RowError(comment.row, comment.column, comment.text))


def _report(number: int, cells: dict[str, Any], time_zone: str, sheet: str) -> Report:
    bare = re.sub(r"[\s\-\u2010-\u2015\u2212]", "", unicodedata.normalize("NFKC", str(cells["line_id"]))).upper()
    line_id = f"{bare[:4]}-{bare[4:]}"
    if not is_line_id(line_id):
        raise ReportError("line_id", "not_a_line", cell=cells["line_id"])
    code = _disposition(str(cells["disposition"]))
    report = Report(
        row=number,
        line_id=line_id,
        disposition=code,
        attempted_at=_instant(cells, "attempted_at", time_zone),
        order_reference=_reference(cells, "order_reference"),
        ticket_id=_reference(cells, "ticket_id"),
        next_at=_instant(cells, "next_at", time_zone, date_is_enough=code == "thinking"),
        agent=_words(cells.get("agent")),
        sheet=sheet,
    )
    check_needs(report)
    return report


def check_needs(report: Report) -> None:
    """Raises ReportError naming the column that the disposition needs and the report lacks."""
    needed = DISPOSITIONS[report.disposition].outcome.needs
    if needed is not None and getattr(report, needed) is None:
        raise needs_error(report, needed)


def needs_error(report: Report, needed: str) -> ReportError:
    """Returns the error of a report that lacks the column that its disposition needs."""
    heading = RowError(0, needed, "", locale="zh").heading
    return ReportError(needed, "needed", disposition=DISPOSITIONS[report.disposition], needs=needed, heading=heading)


def _disposition(text: str) -> str:
    code = _SPOKEN.get(_key(text))
    if code is None:
        raise ReportError("disposition", "not_a_disposition", cell=text.strip())
    return code


def _reference(cells: dict[str, Any], name: str) -> str | None:
    """Returns an order or ticket number as written; refuses what a spreadsheet made of a long one."""
    cell = cells.get(name)
    text = identifier(_words(cell) or "") or None
    is_rounded = isinstance(cell, (int, float)) and abs(cell) >= _ROUNDED_FROM
    if text is not None and (is_rounded or _SPOILED_NUMBER.fullmatch(text) or damage(text)):
        raise ReportError(name, "spoiled", cell=text)
    return text


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
            raise ReportError(name, "not_a_time", cell=text)
    return None if found is None else found.replace(tzinfo=ZoneInfo(time_zone), microsecond=0).astimezone(UTC)


def _parsed(text: str, formats: Sequence[str]) -> datetime | None:
    for pattern in formats:
        try:
            return datetime.strptime(text, pattern)  # noqa: DTZ007 - the operator's local time; the zone is added after
        except ValueError:
            continue
    return None
