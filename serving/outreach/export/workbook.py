"""A list as a workbook to work in and to print: an overview, a sheet per team and agent, how to fill it in."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from serving.outreach.dispositions import Disposition
from serving.outreach.export.columns import Entry, ListColumn, Page
from serving.outreach.export.layout import Part, columns_of, height_of, parts_of
from serving.outreach.export.wording import NAMES

FIRST_ROW = 3
"""Rows above the first line of a sheet: title, what holds for all lines, headings."""
A4 = 9
MARGIN_INCHES = 0.25
_WRITTEN_AT = datetime(2020, 1, 1, tzinfo=UTC).replace(tzinfo=None)
_OVERVIEW_WIDTHS = (30, 8, 8, 10, 14, 70)
_GUIDE_WIDTHS = (40, 90)


def to_xlsx(entries: Sequence[Entry], page: Page, *, title: str, note: str, warning: str = "") -> bytes:
    """Returns the list as a workbook; each sheet prints on A4, one page wide, with its headings on every page.

    The overview begins with the `note`, every sheet of lines with the `warning`.
    """
    import xlsxwriter

    buffer = io.BytesIO()
    options = {
        "in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False,
    }  # fmt: skip
    book = xlsxwriter.Workbook(buffer, options)
    book.set_properties({"title": title, "created": _WRITTEN_AT})
    looks = _looks(book)
    parts = parts_of(entries, page)
    overview = book.add_worksheet(page.phrase("overview"))
    for part in parts:
        _write_part(book.add_worksheet(part.name), looks, part, page, title, warning)
    _write_overview(overview, looks, parts, page, title, note)
    _write_guide(book.add_worksheet(page.phrase("guide")), looks, page, title)
    overview.activate()
    book.close()
    return buffer.getvalue()


def _looks(book: Any) -> dict[str, Any]:
    base = {"valign": "top", "text_wrap": True, "font_size": 10, "border": 1, "border_color": "#BFBFBF"}
    return {
        "title": book.add_format({"bold": True, "font_size": 14}),
        "note": book.add_format({"font_color": "#404040", "font_size": 10, "text_wrap": True, "valign": "top"}),
        "head": book.add_format(base | {"bold": True, "bg_color": "#DDEBF7", "valign": "vcenter"}),
        "head_in": book.add_format(base | {"bold": True, "bg_color": "#FFE699", "valign": "vcenter"}),
        "link": book.add_format(base | {"font_color": "#0563C1", "underline": 1}),
        "text": book.add_format(base),
        "key": book.add_format(base | {"bold": True, "num_format": "@"}),
        "sum": book.add_format(base | {"bold": True}),
        "speech": book.add_format(base | {"bg_color": "#F2F9F1"}),
        "warning": book.add_format(base | {"font_color": "#C00000"}),
        "carried": book.add_format(base | {"bg_color": "#FCE4D6"}),
        "input": book.add_format(base | {"bg_color": "#FFF9E5", "num_format": "@"}),
    }


def _write_part(sheet: Any, looks: dict[str, Any], part: Part, page: Page, title: str, warning: str) -> None:
    columns, printed = columns_of(part)
    widths = [column.width for column in columns]
    headers = [column.header.get(page.locale) for column in columns]
    _set_up(sheet, page, title)
    for place, (column, header) in enumerate(zip(columns, headers, strict=True)):
        sheet.set_column(place, place, column.width)
        sheet.write_string(FIRST_ROW - 1, place, header, looks["head" if column.fill else "head_in"])
    count = len(part.entries)
    lines = page.phrase("line" if count == 1 else "lines", count=count)
    who = " · ".join(text for text in (part.team, part.agent, lines) if text)
    sheet.write_string(0, 0, f"{who} · {title}", looks["title"])
    told = warning + page.phrase("how_to_read", never=page.settings.never_say.get(page.locale))
    sheet.merge_range(1, 0, 1, printed - 1, told, looks["note"])
    sheet.set_row(0, 24)
    sheet.set_row(1, height_of([told], [sum(widths[:printed])]))
    sheet.set_row(FIRST_ROW - 1, height_of(headers, [width - 1 for width in widths]))  # bold, with a filter's button
    for number, entry in enumerate(part.entries, start=FIRST_ROW):
        cells = [column.cell(entry, page) for column in columns]
        sheet.set_row(number, height_of(cells, widths))
        for place, (column, cell) in enumerate(zip(columns, cells, strict=True)):
            _write_cell(sheet, number, place, cell, _look(looks, column, entry))
    last = FIRST_ROW + max(count, 1) - 1
    _add_validation(sheet, page, part, next(k for k, one in enumerate(columns) if one.name == "disposition"))
    sheet.freeze_panes(FIRST_ROW, 1 + next(k for k, one in enumerate(columns) if one.name == "number"))
    sheet.autofilter(FIRST_ROW - 1, 0, last, len(columns) - 1)
    sheet.repeat_rows(0, FIRST_ROW - 1)
    sheet.print_area(0, 0, last, printed - 1)


def _set_up(sheet: Any, page: Page, title: str) -> None:
    """Prints a sheet on A4, across, one page wide; its name, the list and the page stand below."""
    sheet.set_landscape()
    sheet.set_paper(A4)
    sheet.fit_to_pages(1, 0)
    sheet.set_margins(MARGIN_INCHES, MARGIN_INCHES, MARGIN_INCHES, 0.5)
    sheet.set_footer(f"&L{title.replace('&', '&&')}&C&A&R{page.phrase('page_of')}", {"margin": 0.2})


def _look(looks: dict[str, Any], column: ListColumn, entry: Entry) -> Any:
    if column.fill is None:
        return looks["input"]
    if column.name == "place" and entry.place.is_carried:
        return looks["carried"]
    names = {"line_id": "key", "script": "speech", "text_sent": "speech", "must_not_say": "warning"}
    return looks[names.get(column.name, "text")]


def _write_cell(sheet: Any, row: int, place: int, cell: Any, look: Any) -> None:
    if isinstance(cell, (int, float)):
        sheet.write_number(row, place, cell, look)
    elif cell == "":
        sheet.write_blank(row, place, None, look)
    else:
        sheet.write_string(row, place, cell, look)


def _add_validation(sheet: Any, page: Page, part: Part, place: int) -> None:
    """Offers each line the dispositions that fit its channel."""
    first = FIRST_ROW
    for channel, same in groupby(part.entries, key=lambda entry: entry.line.channel):
        last = first + len(list(same)) - 1
        choices = [code.choice(page.locale) for code in Disposition if code.fits(channel)]
        rule = {"validate": "list", "source": choices, "error_message": page.phrase("choose")}
        sheet.data_validation(first, place, last, place, rule)
        first = last + 1


def _write_overview(
    sheet: Any, looks: dict[str, Any], parts: Sequence[Part], page: Page, title: str, note: str
) -> None:
    """Writes who has how many lines, each with a link to its sheet, and what holds for the whole list."""
    from xlsxwriter.utility import quote_sheetname

    _set_up(sheet, page, title)
    sheet.write_string(0, 0, title, looks["title"])
    sheet.merge_range(1, 0, 1, len(_OVERVIEW_WIDTHS) - 1, note, looks["note"])
    sheet.set_row(0, 24)
    sheet.set_row(1, height_of([note], [sum(_OVERVIEW_WIDTHS)]))
    _write_heads(sheet, FIRST_ROW - 1, "overview", _OVERVIEW_WIDTHS, looks, page)
    sheet.set_row(FIRST_ROW - 1, 20)
    total: Counter[int] = Counter()
    row = FIRST_ROW
    for row, part in enumerate(parts, start=FIRST_ROW):
        carried = sum(entry.place.is_carried for entry in part.entries)
        met = sum(entry.line.next_at is not None for entry in part.entries)
        counts = (len(part.entries), len(part.entries) - carried, carried, met)
        total.update(dict(enumerate(counts)))
        actions = Counter(page.settings.actions[entry.line.action].get(page.locale) for entry in part.entries)
        told = page.phrase("and").join(f"{name} {count}" for name, count in actions.most_common())
        sheet.write_url(row, 0, f"internal:{quote_sheetname(part.name)}!A1", looks["link"], string=part.name)
        for place, count in enumerate(counts, start=1):
            sheet.write_number(row, place, count, looks["text"])
        sheet.write_string(row, 5, told, looks["text"])
        sheet.set_row(row, height_of([part.name, told], [_OVERVIEW_WIDTHS[0], _OVERVIEW_WIDTHS[5]]))
    sheet.write_string(row + 1, 0, page.phrase("total"), looks["key"])
    for place, count in sorted(total.items()):
        sheet.write_number(row + 1, place + 1, count, looks["sum"])
    sheet.print_area(0, 0, row + 1, len(_OVERVIEW_WIDTHS) - 1)


def _write_guide(sheet: Any, looks: dict[str, Any], page: Page, title: str) -> None:
    _set_up(sheet, page, title)
    _write_heads(sheet, 0, "guide", _GUIDE_WIDTHS, looks, page)
    for number, code in enumerate(Disposition, start=1):
        sheet.write_string(number, 0, code.choice(page.locale), looks["key"])
        sheet.write_string(number, 1, code.explanation.get(page.locale), looks["text"])
    notes = page.phrase("how_to_fill_in")
    row = len(Disposition) + 2
    sheet.merge_range(row, 0, row, 1, notes, looks["note"])
    sheet.set_row(row, height_of([notes], [sum(_GUIDE_WIDTHS)]))


def _write_heads(sheet: Any, row: int, group: str, widths: Sequence[float], looks: dict[str, Any], page: Page) -> None:
    """Writes the headings of a group of `names.yaml`, and sets the columns' widths."""
    for place, (header, width) in enumerate(zip(NAMES[group].values(), widths, strict=True)):
        sheet.set_column(place, place, width)
        sheet.write_string(row, place, header.get(page.locale), looks["head"])
