"""A list as files for people: an Excel sheet to work in and the same as CSV. Same lines, same bytes."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

from serving.outreach.dispositions import Disposition
from serving.outreach.export.columns import COLUMNS, Entry, ListColumn, Page

FIRST_ROW = 3
"""Rows above the first line: title, explanation, headers."""

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_WRITTEN_AT = datetime(2020, 1, 1, tzinfo=UTC).replace(tzinfo=None)


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


def to_xlsx(entries: Sequence[Entry], page: Page, *, title: str, note: str) -> bytes:
    """Returns the list as a workbook: the list with drop-downs, and a sheet that explains every disposition."""
    import xlsxwriter

    buffer = io.BytesIO()
    options = {
        "in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False,
    }  # fmt: skip
    book = xlsxwriter.Workbook(buffer, options)
    book.set_properties({"title": title, "created": _WRITTEN_AT})
    looks = _looks(book)
    zh = page.locale == "zh"
    sheet = book.add_worksheet("名单" if zh else "List")
    guide = book.add_worksheet("填写说明" if zh else "How to fill in")
    _write_guide(guide, looks, page)
    sheet.write_string(0, 0, title, looks["title"])
    sheet.write_string(1, 0, note, looks["note"])
    for place, column in enumerate(COLUMNS):
        sheet.set_column(place, place, column.width)
        sheet.write_string(
            FIRST_ROW - 1, place, column.header.get(page.locale), looks["head" if column.fill else "head_in"]
        )
    for number, row in enumerate(rows_of(entries, page)):
        sheet.set_row(FIRST_ROW + number, _height(row))
        for place, (column, cell) in enumerate(zip(COLUMNS, row, strict=True)):
            _write_cell(sheet, FIRST_ROW + number, place, cell, _look(looks, column, entries[number]))
    last = FIRST_ROW + max(len(entries), 1) - 1
    _add_validation(sheet, page, entries)
    sheet.freeze_panes(FIRST_ROW, 4)
    sheet.autofilter(FIRST_ROW - 1, 0, last, len(COLUMNS) - 1)
    sheet.set_landscape()
    sheet.repeat_rows(FIRST_ROW - 1)
    sheet.set_default_row(30)
    sheet.set_row(0, 24)
    sheet.set_row(1, 18)
    sheet.set_row(FIRST_ROW - 1, 32)
    sheet.activate()
    book.close()
    return buffer.getvalue()


def _looks(book: Any) -> dict[str, Any]:
    base = {"valign": "top", "text_wrap": True, "font_size": 10, "border": 1, "border_color": "#D9D9D9"}
    return {
        "title": book.add_format({"bold": True, "font_size": 14}),
        "note": book.add_format({"font_color": "#595959", "font_size": 10}),
        "head": book.add_format(base | {"bold": True, "bg_color": "#DDEBF7", "valign": "vcenter"}),
        "head_in": book.add_format(base | {"bold": True, "bg_color": "#FFE699", "valign": "vcenter"}),
        "text": book.add_format(base),
        "key": book.add_format(base | {"bold": True, "num_format": "@"}),
        "speech": book.add_format(base | {"bg_color": "#F2F9F1"}),
        "warning": book.add_format(base | {"font_color": "#C00000"}),
        "carried": book.add_format(base | {"bg_color": "#FCE4D6"}),
        "input": book.add_format(base | {"bg_color": "#FFF9E5", "num_format": "@"}),
    }


def _look(looks: dict[str, Any], column: ListColumn, entry: Entry) -> Any:
    if column.fill is None:
        return looks["input"]
    if column.name == "state" and entry.place.is_carried:
        return looks["carried"]
    names = {"line_id": "key", "opening": "speech", "say": "speech", "must_not_say": "warning"}
    return looks[names.get(column.name, "text")]


def _write_cell(sheet: Any, row: int, place: int, cell: Any, look: Any) -> None:
    if isinstance(cell, (int, float)):
        sheet.write_number(row, place, cell, look)
    elif cell == "":
        sheet.write_blank(row, place, None, look)
    else:
        sheet.write_string(row, place, cell, look)


def _height(row: Sequence[Any]) -> float:
    """Returns the height of a row in points that shows its longest cell; a Chinese character is two columns wide."""
    lines = 1
    for column, cell in zip(COLUMNS, row, strict=True):
        for part in str(cell).split("\n"):
            width = sum(2 if ord(character) > 0x2E7F else 1 for character in part)
            lines = max(lines, -(-width // max(column.width - 1, 1)) + str(cell).count("\n"))
    return float(min(14 * lines + 4, 200))


def _add_validation(sheet: Any, page: Page, entries: Sequence[Entry]) -> None:
    """Offers each line the dispositions that fit its channel."""
    place = next(k for k, column in enumerate(COLUMNS) if column.name == "disposition")
    message = "请从下拉列表选择" if page.locale == "zh" else "choose from the list"
    for number, entry in enumerate(entries, start=FIRST_ROW):
        choices = [code.choice(page.locale) for code in Disposition if code.fits(entry.line.channel)]
        sheet.data_validation(
            number, place, number, place, {"validate": "list", "source": choices, "error_message": message}
        )


def _write_guide(sheet: Any, looks: dict[str, Any], page: Page) -> None:
    zh = page.locale == "zh"
    sheet.set_column(0, 0, 30)
    sheet.set_column(1, 1, 70)
    headers = ("联系结果", "效果与必填项") if zh else ("disposition", "effect and what it needs")
    for place, header in enumerate(headers):
        sheet.write_string(0, place, header, looks["head"])
    for number, code in enumerate(Disposition, start=1):
        sheet.write_string(number, 0, code.choice(page.locale), looks["key"])
        sheet.write_string(number, 1, code.explanation.get(page.locale), looks["text"])
    notes = (
        "时间写作 2026-06-01 14:30（当地时间）；留空的行不导入。号码不在本表内，由拨号系统按行号外呼。"
        if zh
        else "Write times as 2026-06-01 14:30 (local). Rows without a disposition are not imported. "
        "The dialler knows the numbers by line_id."
    )
    sheet.write_string(len(Disposition) + 2, 0, notes, looks["note"])


def title_of(as_of: date, list_id: str, locale: str) -> str:
    """Returns the first row of a list."""
    return f"客户关怀名单 {as_of} · {list_id}" if locale == "zh" else f"Outreach list {as_of} · {list_id}"
