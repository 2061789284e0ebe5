"""The workbook as a person gets it: a sheet per team and agent, printable, nothing clipped, and it comes back."""

from __future__ import annotations

import re
import shutil
import subprocess
from datetime import date
from zipfile import ZipFile

import pytest
from python_calamine import CalamineWorkbook
from xlsxwriter.utility import xl_col_to_name

from serving.outreach.export.columns import COLUMNS
from serving.outreach.export.layout import SHEET_COLUMNS, height_of, lines_of
from serving.outreach.feedback.landing import import_outcomes
from serving.outreach.feedback.returns import Report, read_reports
from serving.outreach.lists.draw import draw_list
from serving.outreach.lists.request import ListRequest
from tests.serving.outreach.conftest import at
from tests.world import AS_OF, Town, card, write_people, write_scores

PAGE_UNITS = 153
"""Digits of the standard font between the margins of an A4 page that lies across."""
SMALLEST_SCALE = 0.62
"""Ten-point text must not print smaller than six points."""
JUNE_2 = date(2026, 6, 2)


@pytest.fixture(scope="module")
def books(tmp_path_factory):
    """Returns the second day's workbooks in both languages: two lines that agents began, a message, a visit, others."""
    town = Town(tmp_path_factory.mktemp("books"))
    late = {"service.ticket_overdue": {"ticket": "T1", "hours": 30}}
    people = {f"C{k}": {"reasons": late} for k in range(12)}
    people["C8"] = {"reasons": {"bill.arrears": {"amount": 59_000, "days": 9}}, "card": card(arrears=59_000)}
    people["C9"] = {"reasons": {"contract.ending": {"date": "2026-06-20"}}, "card": card(best_channel="hall")}
    people["C10"] = {"reasons": {"bill.unknown_charge": {"item": "视频会员" * 12, "amount": 15_000}}}
    for one in people:
        town.customer(one)
    town.land()
    for day in (AS_OF, JUNE_2):
        write_people(town.home, people, day)
        write_scores(town.home, "churn", {one: {"p": 0.3, "band": "very_high"} for one in people}, day)
    first = draw_list(town.home, ListRequest(AS_OF, 200))
    begun = [row[0] for row in _cells(first.csv) if row[5] == "问题回访"][:2]
    agents = zip(begun, ("小王", "小李/夜班"), strict=True)
    morning = at("2026-06-01T02:30:00")
    reports = [Report(k, one, "no_answer", attempted_at=morning, agent=who) for k, (one, who) in enumerate(agents)]
    assert import_outcomes(town.home, reports).errors == []
    return {
        locale: draw_list(town.home, ListRequest(JUNE_2, 200, locale)).xlsx.rename(town.root / f"{locale}.xlsx")
        for locale in ("zh", "en")
    }


def _cells(path) -> list[list[str]]:
    return [line.split(",") for line in path.read_text(encoding="utf-8-sig").splitlines()]


def sheets_of(path) -> dict[str, list[list]]:
    """Returns the cells of every sheet by name."""
    book = CalamineWorkbook.from_path(str(path))
    return {name: book.get_sheet_by_name(name).to_python(skip_empty_area=False) for name in book.sheet_names}


def test_each_team_and_each_agent_has_a_sheet_and_the_overview_counts_them(books):
    """Lines that nobody began stand with the team, the others with their agent; the overview adds up and links."""
    sheets = sheets_of(books["zh"])
    names = list(sheets)
    assert (names[0], names[-1]) == ("总览", "填写说明")
    assert names[1:-1] == ["服务关怀组", "服务关怀组 小李 夜班", "服务关怀组 小王", "营销组", "线上触达"]
    counts = {row[0]: row[1] for row in sheets["总览"][3:]}
    lines = {name: len(sheets[name]) - 3 for name in names[1:-1]}
    assert counts == lines | {"合计": sum(lines.values())} == lines | {"合计": 12}
    with ZipFile(books["zh"]) as book:
        links = re.findall(r'location="([^"]*)"', book.read("xl/worksheets/sheet1.xml").decode())
    assert [link.removesuffix("!A1").strip("'") for link in links] == names[1:-1]


@pytest.mark.parametrize(
    ("locale", "begins"), [("zh", "因缺少数据源而未能核查："), ("en", "NOT CHECKED, their feeds are missing: ")]
)
def test_every_sheet_of_lines_begins_with_what_nobody_could_check(books, locale, begins):
    """No tickets, port requests or contacts have landed: the overview and each team's sheet say it before all else."""
    overview, *parts, _ = sheets_of(books[locale]).values()
    for rows in (overview, *parts):
        head = rows[1][0]
        assert head.startswith(begins)
        assert {"porting", "open_complaint", "cool_down"} <= set(re.findall(r"\w+", head, re.ASCII))
        assert "consent_withdrawn" not in head


def test_the_disposition_stands_beside_the_reason_and_order_and_value_are_shown(books):
    """Left to right: position, line, name, number, action, value, reasons, then all yellow cells, then what is said."""
    rows = sheets_of(books["en"])["Care team"]
    head = rows[2]
    assert head[:14] == [
        "rank", "line_id", "state and hours", "form of address", "number", "suggested action", "value",
        "reasons and open matters", "disposition*", "attempted at", "call back at", "order reference", "ticket number",
        "agent",
    ]  # fmt: skip
    assert [row[0] for row in rows[3:]] == sorted(row[0] for row in rows[3:])
    assert all(re.fullmatch(r"owed|\d+\.\d\d yuan", row[6]) for row in rows[3:])
    assert len(rows) > 3


def test_a_line_of_the_hall_is_not_called(books):
    """Its drop-down has no end of a call, and it shows no hours for calls."""
    sheets = sheets_of(books["zh"])
    row = dict(zip(sheets["营销组"][2], sheets["营销组"][3], strict=True))
    assert row["建议动作"] == "合约续约\n（营业厅）"
    assert row["状态与时段"] == "续办\n至06-03"
    with ZipFile(books["zh"]) as book:
        page = book.read(f"xl/worksheets/sheet{list(sheets).index('营销组') + 1}.xml").decode()
    assert "solved" in page
    assert not any(code in page for code in ("no_answer", "busy_or_off", "callback"))


def test_a_sheet_of_messages_has_no_columns_for_a_talk(books):
    """The text that is sent is one column; nothing to grant, nobody to call back."""
    head = sheets_of(books["en"])["App and messages"][2]
    assert "text that is sent" in head
    assert not {"call back at", "may be granted", "must not be said", "opening and what may be said"} & set(head)


@pytest.mark.parametrize("locale", ["zh", "en"])
def test_every_sheet_prints_on_a4_one_page_wide(books, locale):
    """Across, A4, fitted to the width only, headings repeated, and wide enough to be read."""
    names = list(sheets_of(books[locale]))
    with ZipFile(books[locale]) as book:
        pages = [book.read(f"xl/worksheets/sheet{k + 1}.xml").decode() for k in range(len(names))]
        workbook = book.read("xl/workbook.xml").decode()
    for name, page in zip(names, pages, strict=True):
        assert '<pageSetUpPr fitToPage="1"/>' in page, name
        assert '<pageSetup paperSize="9" fitToHeight="0" orientation="landscape"/>' in page, name
    areas = dict(re.findall(r"_xlnm.Print_Area\" localSheetId=\"(\d+)\">[^!]*!\$A\$1:\$([A-Z]+)", workbook))
    titles = re.findall(r"_xlnm.Print_Titles\" localSheetId=\"(\d+)\">[^!]*!(\$1:\$3)<", workbook)
    assert sorted(int(number) for number, _ in titles) == list(range(1, len(names) - 1))
    assert sorted(int(number) for number in areas) == list(range(len(names) - 1))
    for number, last in areas.items():
        columns = re.findall(r'<col min="(\d+)" max="(\d+)" width="([\d.]+)"', pages[int(number)])
        spans = ((range(int(low) - 1, int(high)), float(width)) for low, high, width in columns)
        widths = {xl_col_to_name(place): width for span, width in spans for place in span}
        printed = [width for letters, width in widths.items() if (len(letters), letters) <= (len(last), last)]
        assert len(printed) > 5
        assert PAGE_UNITS / sum(printed) >= SMALLEST_SCALE, names[int(number)]


@pytest.mark.parametrize("locale", ["zh", "en"])
def test_no_cell_is_clipped(books, locale):
    """Every row is as high as its longest cell needs, counted here apart: at most width - 1 digits in a line."""
    widths = {column.header.get(locale): column.width for column in SHEET_COLUMNS}
    sheets = sheets_of(books[locale])
    checked = 0
    with ZipFile(books[locale]) as book:
        for number, rows in enumerate(sheets.values(), start=1):
            page = book.read(f"xl/worksheets/sheet{number}.xml").decode()
            heights = {int(row): float(high) for row, high in re.findall(r'<row r="(\d+)"[^>]* ht="([\d.]+)"', page)}
            for place, row in enumerate(rows[3:], start=4):
                if len(row) < 14:  # the overview and the guide
                    continue
                for header, cell in zip(rows[2], row, strict=True):
                    signs = sum(1.8 if ord(sign) > 0x2E7F else 0.8 for sign in str(cell).replace("\n", ""))
                    assert heights[place] >= 13 * max(signs / widths[header], str(cell).count("\n") + 1), (header, cell)
                    checked += 1
    assert checked > 200


def test_a_text_takes_the_lines_that_its_signs_need():
    """Chinese counts double and breaks anywhere, words stay whole, a word wider than the column breaks."""
    cases = {("", 10): 1, ("十个汉字占二十位整了", 21): 1, ("十个汉字占二十位整了", 20): 2, ("one two three", 9): 2,
             ("a\nb\n", 10): 3, ("x" * 40, 11): 4}  # fmt: skip
    assert {case: lines_of(*case) for case in cases} == cases
    assert height_of(["短", "很长的一句话要分成好几行"], [10, 10]) == 14.5 * 3 + 4


def test_the_workbook_comes_back_from_every_sheet(books, tmp_path):
    """An opt-out on an agent's sheet and a visit of the hall are read; the overview and the guide disturb nothing."""
    import xlsxwriter

    sheets = sheets_of(books["en"])
    with xlsxwriter.Workbook(tmp_path / "back.xlsx") as book:
        for name, rows in sheets.items():
            sheet = book.add_worksheet(name)
            for number, row in enumerate(rows):
                sheet.write_row(number, 0, row)
            if name in ("Care team 小王", "Sales team"):
                sheet.write_string(3, rows[2].index("disposition*"), "never_again")
    found = read_reports(tmp_path / "back.xlsx", "Asia/Shanghai")
    assert (found.errors, found.notes) == ([], [])
    assert [(one.sheet, one.disposition) for one in found.reports] == [
        ("Care team 小王", "never_again"), ("Sales team", "never_again"),
    ]  # fmt: skip


def test_columns_keep_their_names(books):
    """A workbook of yesterday comes back tomorrow: keys and headings of the list's columns are a promise."""
    names = [column.name for column in COLUMNS]
    assert names[:7] == ["line_id", "state", "form_of_address", "number", "team", "action", "channel"]
    assert names[-6:] == ["disposition", "attempted_at", "order_reference", "ticket_id", "next_at", "agent"]
    assert {column.header.zh for column in COLUMNS if column.fill is None} <= set(
        sheets_of(books["zh"])["服务关怀组"][2]
    )


@pytest.mark.skipif(
    shutil.which("soffice") is None or shutil.which("pdfinfo") is None,
    reason="`apt-get install libreoffice-calc poppler-utils fonts-noto-cjk` prints the workbook",
)
@pytest.mark.parametrize("locale", ["zh", "en"])
def test_libreoffice_prints_each_sheet_on_a4(books, locale, tmp_path):
    """Printed for real: each of the seven sheets is one page of A4 across, and no text is lost."""
    command = ["soffice", f"-env:UserInstallation=file://{tmp_path}/office", "--headless", "--convert-to", "pdf"]
    subprocess.run([*command, "--outdir", tmp_path, books[locale]], check=True, capture_output=True, timeout=180)
    told = subprocess.run(["pdfinfo", tmp_path / f"{locale}.pdf"], check=True, capture_output=True, text=True).stdout
    assert re.search(r"Pages:\s+7\n", told)
    assert re.search(r"Page size:\s+841\.\d+ x 595\.\d+ pts \(A4\)", told)
