"""users-2: five days of a care team without a new file, line by line, with all that goes wrong in such a week.

The expected list of each day is worked out here, apart from the code: two queues of customers, who was promised a call,
whose report is late. On the way agents send their list back spoiled in ten ways, a draw is killed, a row of the ledger
is poison, and the ledger itself is lost.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from itertools import zip_longest
from pathlib import Path
from typing import Any
from unittest import mock

import xlsxwriter
from sqlalchemy import select

from features.journey import day
from features.journey.journey import Journey, load_step
from features.kit.clock import utc_now
from features.kit.errors import DataError, HomeError
from features.kit.home import Home
from features.kit.terminal.exit_codes import ExitCode
from features.kit.terminal.progress import SILENT
from serving.database.session import opened, reading, writing
from serving.database.tables_outreach import ContactRow, ListLineRow, OutreachLineRow
from serving.home.decisions import adopt
from serving.outreach.export.columns import COLUMNS
from serving.outreach.feedback.held import held_reports
from serving.outreach.feedback.landing import import_outcomes
from serving.outreach.feedback.returns import Report, read_reports
from serving.outreach.lists.ledger import line_id_of
from serving.outreach.policy.control import drawn, lots_of
from serving.outreach.settings import load_settings
from tests.results import figure
from tests.world import Town, write_people, write_scores

BASIS, FIRST = date(2026, 6, 4), date(2026, 6, 5)
ZONE = "Asia/Shanghai"
HEAD = [column.header.zh for column in COLUMNS]
LINE, RESULT, WHEN, NEXT, AGENT, ORDER = (
    HEAD.index(name) for name in ("行号", "联系结果*", "联系时间", "回拨时间", "坐席", "订单号")
)

DRAW = """
import sys
from datetime import date
from features.kit.home import Home
from serving.outreach.lists.request import ListRequest
from serving.outreach.step import run
run(Home.at(sys.argv[1]), ListRequest(date.fromisoformat(sys.argv[2]), int(sys.argv[3])), may_be_older=True)
"""


def run(_: Home) -> Iterator[dict[str, Any]]:
    """Yields how many lines of the days differ from what was expected, and what was lost or doubled on the way."""
    with tempfile.TemporaryDirectory() as folder:
        week = Week(Path(folder), customers=2_400, capacity=240)
        week.play()
    yield figure(
        "users-2", "lines of day 1 to 5 of a care team that differ from those expected", week.wrong, goal=0,
        met=week.is_right(), compared_with=f"{week.lines} lines; persons drawn twice {week.twice}, opt-outs drawn or lost "
        f"{week.opted_out_again + week.opt_outs_lost}; kill -9, lost ledger, poison row, workbooks spoiled in ten ways",
        rounds=week.days,
    )  # fmt: skip


@dataclass
class Queue:
    """Who waits for one team, best first, and how many it reaches in a day."""

    waiting: list[str]
    places: int
    promised: str | None = None
    late: str | None = None

    def expect(self) -> list[str]:
        """Returns the team's list of the day: who was promised a call, whose report is late, then the next."""
        carried = [one for one in (self.promised, self.late) if one]
        count = self.places - len(carried)
        new, self.waiting = self.waiting[:count], self.waiting[count:]
        return [*carried, *new]


@dataclass
class Week:
    """One week of one team in one folder, and what was counted.

    Attributes:
        wrong: Places of lists that hold another customer than expected.
        twice: Persons with more than one line.
        opted_out_again: Lines of persons who had opted out on an earlier day.
        opt_outs_lost: Spoiled workbooks from which an opt-out was neither read nor refused by name.
        faults: What was to fail and did.
        refused: Ways of spoiling of which a row, or the whole workbook, was refused by name.
    """

    folder: Path
    customers: int
    capacity: int
    wrong: int = 0
    lines: int = 0
    twice: int = 0
    opted_out_again: int = 0
    opt_outs_lost: int = 0
    days: list[dict[str, Any]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        town, people, scores = Town(self.folder), {}, {}
        for k in range(self.customers):
            name = f"C{k:04d}"
            town.customer(name)
            ticket = {"service.ticket_overdue": {"ticket": f"T{k}", "hours": 30}}
            charge = {"bill.unknown_charge": {"item": "视频会员", "amount": 15_000}}
            people[name] = {"reasons": {0: ticket, 1: charge}.get(k % 6, {})}
            band = "very_high" if k % 6 > 1 else "normal"
            scores[name] = {"p": 0.3 + 0.4 * k / self.customers, "band": band}
        town.land()
        write_people(town.home, people, BASIS)
        write_scores(town.home, "churn", scores, BASIS)
        self.home = town.home
        names = sorted(people, reverse=True)  # the higher the score, the more a contact is worth
        tickets = [one for one in names if int(one[1:]) % 6 == 0]
        charges = [one for one in reversed(names) if int(one[1:]) % 6 == 1]  # worth the same whatever the score
        control = load_settings().control
        asked = [one for one in names if drawn(control.salt, one.replace("C", "P")) >= lots_of(control)]
        raised = [one for one in asked if int(one[1:]) % 6 > 1]
        self.service = Queue([*tickets, *charges], self.capacity * 90 // 240)
        self.retention = Queue(raised, self.capacity * 60 // 240)
        self.gone: set[str] = set()
        self.held_back: list[Report] = []

    def play(self) -> None:
        """Goes through five days and a sixth with a ledger that was made again."""
        before: dict[int, Callable[[date], None]] = {2: self._killed, 3: self._poisoned, 4: self._ledger_lost}
        for number in range(5):
            on = FIRST + timedelta(days=number)
            before.get(number, lambda _: None)(on)
            ids = self._compare(on)
            import_outcomes(self.home, self.held_back)
            self._work(on, ids, spoil=number == 0)
        with opened(self.home) as engine, reading(engine) as session:
            persons = Counter(session.scalars(select(OutreachLineRow.person_id)))
        self.twice = sum(count > 1 for count in persons.values())
        self._ledger_made_again(FIRST + timedelta(days=5), set(persons))

    def is_right(self) -> bool:
        """Returns whether every list was as expected, nobody was drawn twice and no opt-out was lost."""
        counts = (self.wrong, self.twice, self.opted_out_again, self.opt_outs_lost)
        return counts == (0, 0, 0, 0) and self.lines > 0 and (self.faults, self.refused) == (FAULTS, REFUSED)

    def draw(self, on: date) -> list[str]:
        """Returns the lines of `insight day`, whose steps before the list find nothing new."""
        with mock.patch.object(day, "load_step", _step):
            result = day.run_day(
                Journey(home=self.home, source=Path("x"), data=Path(), capacity=self.capacity), on, SILENT
            )
        assert result.ending is ExitCode.DONE, result.summary["reasons"]
        list_id = result.summary["outreach"]["list_id"]
        with opened(self.home) as engine, reading(engine) as session:
            places = select(ListLineRow.line_id).where(ListLineRow.list_id == list_id).order_by(ListLineRow.position)
            return list(session.scalars(places.where(ListLineRow.withdrawn_code.is_(None))))

    def customers_of(self, ids: list[str]) -> list[str]:
        """Returns whose lines they are, in order."""
        with opened(self.home) as engine, reading(engine) as session:
            return [session.get(OutreachLineRow, one).customer_id for one in ids]

    def _compare(self, on: date) -> list[str]:
        expected = [*self.service.expect(), *self.retention.expect()]
        ids = self.draw(on)
        drawn = self.customers_of(ids)
        wrong = sum(one != other for one, other in zip_longest(expected, drawn))
        self.wrong += wrong
        self.lines += len(drawn)
        self.opted_out_again += sum(one in self.gone for one in drawn)
        self.days.append({"day": on.isoformat(), "lines": len(drawn), "wrong": wrong})
        return ids

    def _work(self, on: date, ids: list[str], *, spoil: bool) -> None:
        """Reports the day: one call-back, one report that comes a day late, one opt-out, all others are solved."""
        names = self.customers_of(ids)
        line_of = dict(zip(names, ids, strict=True))
        done = {self.service.promised, self.service.late}
        fresh = [name for name in names if name not in done]
        call, slow = [name for name in fresh if int(name[1:]) % 6 < 2][:2]
        opted_out = next(name for name in fresh if int(name[1:]) % 6 > 1)
        noon, back = _local(on, time(10)), _local(on + timedelta(days=1), time(15))
        kept_back = {slow, self.service.late}
        told = [Report(0, line_of[one], "solved", noon) for one in names if one not in {call, opted_out, *kept_back}]
        told.append(Report(0, line_of[call], "callback", noon, next_at=back, agent="7"))
        told.append(Report(0, line_of[opted_out], "never_again", noon))
        if spoil:
            self._spoiled(told, line_of[opted_out])
        else:
            assert import_outcomes(self.home, told).errors == []
        assert import_outcomes(self.home, told).imported == 0
        self.gone.add(opted_out)
        self.service.promised, self.service.late = call, slow
        self.held_back = [Report(0, line_of[slow], "solved", noon)]

    def _spoiled(self, told: list[Report], opt_out: str) -> None:
        """Sends the day's list back spoiled in ten ways, one after the other, and at last as it should be."""
        path = self.folder / "list.xlsx"
        for name, spoil in SPOILED.items():
            _write(path, spoil([_cells(report) for report in told]))
            try:
                returned = read_reports(path, ZONE)
            except DataError:
                self.refused.append(name)
                continue
            read = {(one.line_id, one.disposition) for one in returned.reports}
            self.opt_outs_lost += (opt_out, "never_again") not in read
            if returned.errors or import_outcomes(self.home, returned.reports).errors:
                self.refused.append(name)
        _write(path, {"名单": [HEAD, *(_cells(report) for report in told)]})
        assert import_outcomes(self.home, read_reports(path, ZONE).reports).errors == []
        self.faults.append("spoiled")

    def _killed(self, on: date) -> None:
        environment = {"INSIGHT_FAILPOINT": "outreach.in_claims:1:kill", "PATH": "/usr/bin:/bin"}
        command = [sys.executable, "-c", DRAW, str(self.home.root), str(on), str(self.capacity)]
        if subprocess.run(command, env=environment, check=False).returncode == -9:
            self.faults.append("killed")

    def _poisoned(self, on: date) -> None:
        at = _local(on, time(9))
        row = {
            "contact_id": "lost",
            "customer_id": "C99999",
            "person_id": "P99999",
            "at": at,
            "day": on,
            "reported_at": utc_now(),
        }
        with opened(self.home) as engine, writing(engine) as session:
            session.add(ContactRow(**row, action="plan_fit_offer"))
        self.draw(on)  # lands what waits; the day is compared by the same command again
        with opened(self.home) as engine:
            if [one.report_id for one in held_reports(engine)] == ["lost"]:
                self.faults.append("poisoned")

    def _ledger_lost(self, on: date) -> None:
        saved = self.folder / "saved"
        saved.mkdir()
        for path in self.home.root.glob("operations.db*"):
            shutil.move(path, saved / path.name)
        try:
            self.draw(on)
        except HomeError:
            self.faults.append("lost")
        for path in saved.iterdir():
            shutil.move(path, self.home.root / path.name)

    def _ledger_made_again(self, on: date, persons: set[str]) -> None:
        """Loses the ledger for good: who was drawn or opted out is not drawn from the one that is made again."""
        for path in self.home.root.glob("operations.db*"):
            path.unlink()
        adopt(self.home, "the disk of the server is lost")
        drawn = self.draw(on)
        with opened(self.home) as engine, reading(engine) as session:
            new = {session.get(OutreachLineRow, one).person_id for one in drawn}
        self.twice += len(new & persons)
        self.opted_out_again += len({one.replace("P", "C") for one in new} & self.gone)
        self.faults.append("made again")


FAULTS = ["spoiled", "killed", "poisoned", "lost", "made again"]


def _step(name: str) -> Any:
    """Returns a step of the day: those before the list find nothing new."""
    nothing = {"version": "1", "latest_as_of": BASIS.isoformat()}
    return load_step(name) if name in ("outreach", "reports") else lambda *_: nothing


def _local(on: date, at: time) -> datetime:
    """Returns a time of day in China."""
    return (datetime.combine(on, at) - timedelta(hours=8)).replace(tzinfo=UTC)


def _cells(report: Report) -> list[Any]:
    """Returns a line of the list as its agent filled it in."""
    row = [""] * len(HEAD)
    row[LINE], row[RESULT], row[AGENT] = report.line_id, report.disposition, report.agent or ""
    row[WHEN], row[NEXT] = (
        "" if at is None else f"{at + timedelta(hours=8):%Y-%m-%d %H:%M}"
        for at in (report.attempted_at, report.next_at)
    )
    return row


Rows = list[list[Any]]


def _write(path: Path, sheets: dict[str, Rows]) -> None:
    with xlsxwriter.Workbook(path) as book:
        for name, rows in sheets.items():
            sheet = book.add_worksheet(name)
            for number, cells in enumerate(rows):
                sheet.write_row(number, 0, cells)
            if name == "hidden":
                sheet.hide()
            else:
                sheet.set_first_sheet()
                sheet.activate()


def _changed(rows: Rows, column: int, value: Any) -> dict[str, Rows]:
    """Returns the list with one cell of its first line changed; the opt-out stands on the last line."""
    first = list(rows[0])
    first[column] = value
    return {"名单": [HEAD, first, *rows[1:]]}


def _heading_twice(rows: Rows) -> dict[str, Rows]:
    return {"名单": [[*HEAD, HEAD[RESULT]], *([*row, ""] for row in rows)]}


def _second_sheet(rows: Rows) -> dict[str, Rows]:
    return {"张三": [HEAD, *rows[:3]], "李四": [HEAD, *rows[3:]]}


def _hidden_first_sheet(rows: Rows) -> dict[str, Rows]:
    return {"hidden": [HEAD, *([row[0], *[""] * (len(row) - 1)] for row in rows)], "名单": [HEAD, *rows]}


def _blanks(rows: Rows) -> dict[str, Rows]:
    return {"名单": [HEAD, *(line for row in rows for line in ([f" {cell} " if cell else "" for cell in row], []))]}


def _full_width(rows: Rows) -> dict[str, Rows]:
    wide = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}
    return {"名单": [HEAD, *([row[LINE].translate(wide), *row[1:]] for row in rows)]}


def _wrong_list(rows: Rows) -> dict[str, Rows]:
    return {
        "名单": [HEAD, *rows],
        "别的名单": [HEAD, *([line_id_of("of another list", FIRST), *row[1:]] for row in rows)],
    }


def _deleted_column(rows: Rows) -> dict[str, Rows]:
    return {"名单": [row[:RESULT] + row[RESULT + 1 :] for row in [HEAD, *rows]]}


SPOILED: dict[str, Callable[[Rows], dict[str, Rows]]] = {
    "a heading twice": _heading_twice,
    "a second sheet": _second_sheet,
    "a hidden first sheet": _hidden_first_sheet,
    "a row without result": lambda rows: _changed(rows, RESULT, ""),
    "a rounded number": lambda rows: _changed(rows, ORDER, 8.9e17),
    "a time after the last day": lambda rows: _changed(rows, WHEN, "2026-09-30 10:00"),
    "blanks": _blanks,
    "full-width digits": _full_width,
    "a sheet of the wrong list": _wrong_list,
    "a deleted column": _deleted_column,
}
REFUSED = [
    "a row without result", "a rounded number", "a time after the last day", "a sheet of the wrong list",
    "a deleted column",
]  # fmt: skip
"""The others are read as they were meant."""
