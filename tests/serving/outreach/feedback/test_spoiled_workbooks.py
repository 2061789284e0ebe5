"""Workbooks that agents spoiled come back: what was filled in is read or refused by sheet, row and column."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
import xlsxwriter

from features.kit.errors import DataError
from serving.outreach.dispositions import Disposition
from serving.outreach.export.columns import COLUMNS
from serving.outreach.feedback.returned_file import MOST_CELLS, column_letters
from serving.outreach.feedback.returns import Returned, read_reports
from serving.outreach.lists.ledger import line_id_of
from tests.world import AS_OF

LINES = [line_id_of(f"P{k}", AS_OF) for k in range(3)]
HEAD = [column.header.zh for column in COLUMNS]
RESULT, WHEN, AGENT, ORDER = (HEAD.index(name) for name in ("联系结果*", "联系时间", "坐席", "订单号"))
OPT_OUT = "never_again 要求不再联系"


@dataclass
class Book:
    """A workbook before it is written: sheets of rows, and what else a spreadsheet program adds."""

    sheets: dict[str, list[list[Any]]]
    hidden: set[str] = field(default_factory=set)
    merged: list[tuple[int, int, int, int, str]] = field(default_factory=list)
    comments: list[tuple[int, int, str]] = field(default_factory=list)

    def write(self, path: Path) -> Path:
        """Returns the file it was written to; what is merged or commented lies on the last sheet."""
        with xlsxwriter.Workbook(path) as book:
            for name, rows in self.sheets.items():
                sheet = book.add_worksheet(name)
                for number, cells in enumerate(rows):
                    sheet.write_row(number, 0, cells)
                if name in self.hidden:
                    sheet.hide()
                else:
                    sheet.set_first_sheet()
                    sheet.activate()
            for merged in self.merged:
                sheet.merge_range(*merged)
            for row, column, text in self.comments:
                sheet.write_comment(row, column, text)
        return path


def listed() -> list[list[Any]]:
    """Returns the rows of a list as exported: title, note, headings, three lines with nothing filled in."""
    return [["名单"], ["说明"], list(HEAD), *([line] + [""] * (len(HEAD) - 1) for line in LINES)]


def second_attempt(book: Book) -> None:
    """A heading twice: the opt-out under the first, no answer under the second."""
    rows = book.sheets["名单"]
    rows[2] += ["联系结果*", "联系时间"]
    rows[3][RESULT] = OPT_OUT
    rows[3] += ["no_answer", "2026-06-01 10:30"]


def second_attempt_opts_out(book: Book) -> None:
    """A heading twice: no answer under the first, the opt-out under the second."""
    rows = book.sheets["名单"]
    rows[2] += ["联系结果"]
    rows[3][RESULT], rows[3][WHEN] = "no_answer", "2026-06-01 10:30"
    rows[3] += [OPT_OUT]


def sheet_per_agent(book: Book) -> None:
    """A sheet per agent; the opt-out lies on the second."""
    book.sheets["小王"] = listed()
    book.sheets["小王"][3][RESULT] = OPT_OUT


def hidden_first_sheet(book: Book) -> None:
    """A hidden untouched copy lies before the sheet that was filled in."""
    sheet_per_agent(book)
    book.hidden.add("名单")


def typed_by_hand(book: Book) -> None:
    """Full-width letters, capitals and trailing blanks."""
    book.sheets["名单"][3][RESULT] = "\uff4e\uff45\uff56\uff45\uff52 \uff21gain  "


def full_width_line(book: Book) -> None:
    """The line's id in full-width characters with a long dash."""
    row = book.sheets["名单"][3]
    row[0] = "".join(chr(ord(c) + 0xFEE0) if c != "-" else "\u2013" for c in LINES[0])
    row[RESULT] = "要求不再联系 "


def rows_above_and_reordered(book: Book) -> None:
    """Thirty rows inserted above the headings, and the columns turned round."""
    rows = book.sheets["名单"]
    rows[3][RESULT] = OPT_OUT
    book.sheets["名单"] = [["x"]] * 30 + [row + [""] * (len(HEAD) - len(row)) for row in rows]
    book.sheets["名单"] = [row[::-1] for row in book.sheets["名单"]]


def two_lists_on_a_sheet(book: Book) -> None:
    """A second list pasted below the first with its own headings, its columns in another order."""
    below = [row[::-1] for row in listed()[2:]]
    below[1][len(HEAD) - 1 - RESULT] = OPT_OUT
    book.sheets["名单"] = listed()[:3] + below


def no_result(book: Book) -> None:
    """Agent and time without a result."""
    row = book.sheets["名单"][3]
    row[WHEN], row[AGENT] = "2026-06-01 10:30", "小王"


def merged_results(book: Book) -> None:
    """The opt-out merged over three rows."""
    book.merged.append((3, RESULT, 5, RESULT, OPT_OUT))


def beside_the_list(book: Book) -> None:
    """The opt-out in a column of the agent's own."""
    rows = book.sheets["名单"]
    rows[2].append("备注")
    rows[3].append("客户要求不再联系")


def commented(book: Book) -> None:
    """The opt-out as a comment."""
    book.comments.append((3, RESULT, "客户要求不再联系"))


def in_a_printed_cell(book: Book) -> None:
    """The opt-out written over the reason."""
    book.sheets["名单"][3][HEAD.index("原因1")] = "客户要求不再联系"


def above_the_headings(book: Book) -> None:
    """Sorted with its headings: the line stands above them."""
    rows = book.sheets["名单"]
    rows[3][RESULT] = OPT_OUT
    rows.insert(2, rows.pop(3))


def without_headings(book: Book) -> None:
    """The lines of one agent copied onto a sheet without headings."""
    rows = listed()
    rows[3][RESULT] = OPT_OUT
    book.sheets["小李"] = rows[3:]


def two_line_columns(book: Book) -> None:
    """The column of the line twice."""
    rows = book.sheets["名单"]
    rows[2].append("行号")
    rows[3][RESULT] = OPT_OUT


READ = [second_attempt, second_attempt_opts_out, sheet_per_agent, hidden_first_sheet, typed_by_hand, full_width_line,
        rows_above_and_reordered, two_lists_on_a_sheet]  # fmt: skip
NAMED: dict[Callable[[Book], None], list[tuple[str, int, str]]] = {
    no_result: [("名单", 4, "disposition")],
    merged_results: [("名单", 4, "disposition"), ("名单", 5, "disposition"), ("名单", 6, "disposition")],
    beside_the_list: [("名单", 4, "备注")],
    commented: [("", 4, column_letters(RESULT))],
    in_a_printed_cell: [("名单", 4, "原因1")],
    above_the_headings: [("名单", 3, "line_id")],
}
REFUSED = {without_headings: "sheet '小李', row 1", two_line_columns: "'line_id' \\('行号'\\) stands twice"}


def returned(spoil: Callable[[Book], None], folder: Path) -> Returned:
    """Returns what is read from a list spoiled in one way."""
    book = Book({"名单": listed()})
    spoil(book)
    return read_reports(book.write(folder / "back.xlsx"), "Asia/Shanghai")


@pytest.mark.parametrize("spoil", READ)
def test_an_opt_out_in_a_spoiled_workbook_is_read(spoil, tmp_path):
    """Eight ways to spoil a workbook that leave no doubt: the opt-out is read."""
    found = returned(spoil, tmp_path)
    assert found.errors == []
    assert (LINES[0], "never_again") in [(one.line_id, one.disposition) for one in found.reports]


@pytest.mark.parametrize("spoil", NAMED)
def test_what_cannot_be_read_for_certain_is_named(spoil, tmp_path):
    """Six ways that leave a doubt: an error names sheet, row and column, and no report is made of it."""
    found = returned(spoil, tmp_path)
    assert [(error.sheet, error.row, error.column) for error in found.errors] == NAMED[spoil]
    assert found.reports == []


@pytest.mark.parametrize("spoil", REFUSED)
def test_a_workbook_whose_lines_have_no_clear_headings_is_refused(spoil, tmp_path):
    """Two ways that leave the whole sheet in doubt: the file is refused by sheet."""
    with pytest.raises(DataError, match=REFUSED[spoil]):
        returned(spoil, tmp_path)


def test_every_disposition_is_read_in_both_languages(tmp_path):
    """Code, Chinese and English words, alone or together: all are the same disposition."""
    forms = [(code.value, text) for code in Disposition for text in (
        code.value, code.text.zh, code.text.en.upper(), f"{code.value} {code.text.zh}", f" {code.text.zh}\n")]  # fmt: skip
    needs = {"订单号": "O1", "工单号": "T1", "联系时间": "2026-06-01 10:30", "回拨时间": "2026-06-02 10:30"}
    rows = listed()[:3]
    for _, text in forms:
        rows.append([LINES[0], *[needs.get(name, "") for name in HEAD[1:]]])
        rows[-1][RESULT] = text
    found = read_reports(Book({"名单": rows}).write(tmp_path / "back.xlsx"), "Asia/Shanghai")
    assert found.errors == []
    assert [one.disposition for one in found.reports] == [code for code, _ in forms]


def test_notes_are_shown_as_not_kept(tmp_path):
    """A note and a comment without an opt-out stop nothing and are named."""
    book = Book({"名单": listed()}, comments=[(3, 0, "很客气")])
    book.sheets["名单"][2].append("备注")
    book.sheets["名单"][3][RESULT] = "solved"
    book.sheets["名单"][3].append("下午再看")
    found = read_reports(book.write(tmp_path / "back.xlsx"), "Asia/Shanghai")
    assert (len(found.reports), found.errors) == (1, [])
    assert [(note.row, note.column) for note in found.notes] == [(4, "备注"), (4, "A")]
    assert "下午再看" in found.notes[0].message
    assert "很客气" in found.notes[1].message


@pytest.mark.parametrize(
    "order",
    [
        "8.90E+17",
        "8,90E+17",
        "890123456789012345.0",
        "nan",
        "#####",
        "8901234567890120000",
        8901234567890123000,
    ],
)
def test_a_number_that_a_spreadsheet_spoiled_is_refused(order, tmp_path):
    """An exponent, hidden digits and a long number without its last digits are no order; the same as text is one."""
    rows = listed()
    rows[3][RESULT], rows[3][ORDER] = "accepted", order
    rows[4][RESULT], rows[4][ORDER] = "accepted", " ８901234567890123457\u200b "
    found = read_reports(Book({"名单": rows}).write(tmp_path / "back.xlsx"), "Asia/Shanghai")
    assert [(error.row, error.column) for error in found.errors] == [(4, "order_reference")]
    assert [one.order_reference for one in found.reports] == ["8901234567890123457"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_csv_of_any_country_is_read(encoding, delimiter, tmp_path):
    """Every encoding and separator with which spreadsheet programs save."""
    rows = listed()[2:]
    rows[1][RESULT] = OPT_OUT
    text = "\r\n".join(delimiter.join(row) for row in rows)
    (tmp_path / "back.csv").write_bytes(text.encode(encoding))
    found = read_reports(tmp_path / "back.csv", "Asia/Shanghai")
    assert (found.errors, [one.disposition for one in found.reports]) == ([], ["never_again"])


def test_other_files_are_refused_by_name(tmp_path):
    """ODS and UTF-16 without its mark are named with a remedy."""
    (tmp_path / "back.ods").write_bytes(b"PK")
    (tmp_path / "back.csv").write_bytes("line_id,disposition\n".encode("utf-16-le"))
    with pytest.raises(DataError, match=r"back.ods: neither .xlsx nor .csv"):
        read_reports(tmp_path / "back.ods", "Asia/Shanghai")
    with pytest.raises(DataError, match=r"back.csv: neither UTF-8"):
        read_reports(tmp_path / "back.csv", "Asia/Shanghai")


def test_a_cell_at_the_end_of_the_sheet_is_refused_before_it_is_read(tmp_path):
    """XFD1048576, a million rows and a workbook of zeros are refused from the stream of the parts."""
    rows = listed()
    book = Book({"名单": rows}).write(tmp_path / "far.xlsx")
    with xlsxwriter.Workbook(book) as far:
        far.add_worksheet().write(1_048_575, 16_383, "x")
    with pytest.raises(DataError, match=f"row 1048576, column XFD; a list has at most 100000 rows and {MOST_CELLS}"):
        read_reports(book, "Asia/Shanghai")
    (tmp_path / "long.csv").write_text("行号,联系结果*\n" * 100_001)
    with pytest.raises(DataError, match="reaches to row 100001"):
        read_reports(tmp_path / "long.csv", "Asia/Shanghai")
    with ZipFile(tmp_path / "bomb.xlsx", "w", compression=8) as bomb:
        bomb.writestr("xl/sharedStrings.xml", bytes(101_000_000))
    with pytest.raises(DataError, match="more than 100 MB unpacked"):
        read_reports(tmp_path / "bomb.xlsx", "Asia/Shanghai")


def test_whatever_a_damaged_workbook_holds_is_refused_by_name(tmp_path):
    """Bytes changed at random, a folder in its place, other formats under its name: a DataError that names it, or cells.

    Of 150 such workbooks 42 ended in a traceback of zlib.
    """
    book = Book({"名单": listed()}).write(tmp_path / "whole.xlsx").read_bytes()
    dice = random.Random(7)
    (tmp_path / "folder.xlsx").mkdir()
    spoiled = [b"", b"\xd0\xcf\x11\xe0" + bytes(2000), b"<html></html>", book[: len(book) // 2], bytes(1000)]
    for _ in range(60):
        changed = bytearray(book)
        for _ in range(dice.choice((1, 3, 20))):
            changed[dice.randrange(len(book))] = dice.randrange(256)
        spoiled.append(bytes(changed))
    for number, content in enumerate(spoiled):
        (tmp_path / f"{number}.xlsx").write_bytes(content)
    refused = {path.name: str(error) for path in tmp_path.glob("*.xlsx") if (error := error_of(path)) is not None}
    assert len(refused) > 20
    assert [name for name, error in refused.items() if name not in error] == []


def error_of(path):
    """Returns the error that a file is refused with, or None."""
    try:
        read_reports(path, "Asia/Shanghai")
    except DataError as error:
        return error
    return None
