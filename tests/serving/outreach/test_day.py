"""`insight day`: the list of the day comes out, whatever is old, missing or fails before it."""

from __future__ import annotations

import csv
import subprocess
import sys
from collections import Counter
from collections.abc import Collection
from datetime import date
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from sqlalchemy import select

from features.journey import day
from features.journey.journey import Journey, load_step
from features.kit.errors import DataError, NotReadyError
from features.kit.home import Home
from features.kit.terminal.exit_codes import ExitCode
from features.kit.terminal.progress import SILENT
from serving.database.session import open_database, reading
from serving.database.tables_outreach import OutreachLineRow
from serving.outreach.feedback.landing import import_outcomes
from serving.outreach.feedback.returns import Report
from tests.serving.outreach.conftest import at
from tests.world import write_people, write_scores

JUNE_4, JUNE_5, JUNE_6 = date(2026, 6, 4), date(2026, 6, 5), date(2026, 6, 6)


class Operator:
    """An operator whose files are of 4 June; the steps before the list are counted instead of taken."""

    def __init__(self, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
        self.home, self.version, self.taken = home, "1", list[str]()
        self.fails: str | None = None
        monkeypatch.setattr(day, "load_step", self.step)

    def step(self, name: str) -> Any:
        if name == "outreach":
            return load_step(name)

        def take(journey: Journey, _: object) -> dict[str, Any]:
            if name == self.fails:
                raise DataError("poison", remedy="mend it")
            self.taken.append(f"{name} {journey.as_of}")
            return {"version": self.version, "latest_as_of": "2026-06-04"}

        return take

    def run(self, on: date) -> Any:
        return day.run_day(Journey(home=self.home, source=Path("x"), data=Path(), capacity=30), on, SILENT)


@pytest.fixture
def operator(crowd, monkeypatch) -> Operator:
    """Returns the crowd as an operator."""
    return Operator(crowd, monkeypatch)


def ids_of(result: Any) -> list[str]:
    """Returns the lines of a day's list in order."""
    with Path(result.summary["outreach"]["csv"]).open(encoding="utf-8-sig", newline="") as file:
        return [row["行号"] for row in csv.DictReader(file)]


def test_a_day_without_new_files_has_its_list_with_appointments_first_and_its_age(operator):
    """5 June lists from 4 June; 6 June takes nothing in, calls back whom it promised, and says how old it is."""
    first = operator.run(JUNE_5)
    assert first.ending is ExitCode.DONE
    assert operator.taken == ["ingest 2026-06-05", *(f"{one} 2026-06-04" for one in day.NEW_STEPS)]
    called, solved = ids_of(first)[3], ids_of(first)[0]
    when = at("2026-06-05T02:00:00")
    import_outcomes(
        operator.home,
        [
            Report(1, called, "callback", attempted_at=when, next_at=at("2026-06-06T07:00:00"), agent="7"),
            Report(2, solved, "solved", attempted_at=when),
        ],
    )
    operator.taken.clear()
    second = operator.run(JUNE_6)
    assert (second.ending, operator.taken) == (ExitCode.DONE, ["ingest 2026-06-06"])
    assert ids_of(second)[0] == called
    assert solved not in ids_of(second)
    assert second.summary["basis"] == "2026-06-04"
    with ZipFile(second.summary["outreach"]["xlsx"]) as book:
        assert "数据截至2026-06-04（2天前）" in book.read("xl/sharedStrings.xml").decode()
    operator.version = "2"
    operator.run(JUNE_6)
    assert len(operator.taken) == 2 + len(day.NEW_STEPS)


@pytest.mark.parametrize("step", ["ingest", "build", "publish", "score", "fit"])
def test_a_step_that_fails_is_named_and_stops_no_list(operator, step):
    """The list comes out, the exit code asks for a person, and the next run takes only what was not done."""
    operator.fails = step
    result = operator.run(JUNE_5)
    assert (result.ending, len(ids_of(result)) > 0) == (ExitCode.UNDECIDED, True)
    assert [reason.split(":")[0] for reason in result.summary["reasons"]] == [step]
    operator.fails, done = None, list(operator.taken)
    again = operator.run(JUNE_5)
    assert (again.ending, ids_of(again)) == (ExitCode.DONE, ids_of(result))
    assert sorted({*done, *operator.taken}) == sorted(
        {"ingest 2026-06-05", *(f"{n} 2026-06-04" for n in day.NEW_STEPS)}
    )
    assert len(operator.taken) == len(set(operator.taken)) + (step != "ingest")


def test_without_anything_built_there_is_no_list(operator):
    """A day before the first portraits is refused: an empty list would say that nobody is owed anything."""
    with pytest.raises(NotReadyError, match="nothing is built and scored up to 2026-05-01"):
        operator.run(date(2026, 5, 1))


def test_what_was_solved_after_the_day_of_the_data_waits_for_new_data(operator):
    """Nobody is called again about what was solved since 4 June, until portraits of a later day still show it."""
    first = ids_of(operator.run(JUNE_5))
    solved = [Report(k, line, "solved", attempted_at=at("2026-06-05T02:00:00")) for k, line in enumerate(first, 1)]
    assert import_outcomes(operator.home, solved).imported == len(first)
    about = about_of(operator, first)
    again = operator.run(date(2026, 6, 20))
    assert not about & about_of(operator, ids_of(again))
    assert again.summary["outreach"]["suppressed"]["dealt_with"] == len(first)
    people = {one: {"reasons": {"service.ticket_overdue": {"ticket": "T", "hours": 30}}} for one, _ in about}
    write_people(operator.home, people, date(2026, 6, 19))
    write_scores(operator.home, "churn", {one: {"p": 0.3, "band": "normal"} for one in people}, date(2026, 6, 19))
    later = operator.run(date(2026, 6, 21))
    assert ("dealt_with" in later.summary["outreach"]["suppressed"], len(ids_of(later)) >= 3) == (False, True)


PULL = """
import sys
from datetime import date
from features.kit.home import Home
from serving.outreach.lists.draw import draw_list
from serving.outreach.lists.request import ListRequest
draw_list(Home.at(sys.argv[1]), ListRequest(date.fromisoformat(sys.argv[2]), 30), may_be_older=True)
"""


def test_four_days_with_kills_poison_and_late_reports_go_line_by_line_as_expected(operator):
    """Day 2 to 5 hold exactly what is open, appointments first; who opted out or was solved is on no later list."""
    finished: set[str] = set()
    promised: str | None = None
    carried: set[str] = set()
    late: list[Report] = []
    seen: set[str] = set()
    for number in range(5, 9):
        on, noon = date(2026, 6, number), at(f"2026-06-0{number}T02:00:00")
        if number == 7:
            failpoint = {"INSIGHT_FAILPOINT": "outreach.in_claims:1:kill", "PATH": "/usr/bin:/bin"}
            victim = subprocess.run(
                [sys.executable, "-c", PULL, str(operator.home.root), str(on)], env=failpoint, check=False
            )
            assert victim.returncode == -9
        operator.fails = "ingest" if number == 8 else None
        result = operator.run(on)
        assert result.ending is (ExitCode.UNDECIDED if number == 8 else ExitCode.DONE)
        ids = ids_of(result)
        assert set(ids) & seen == carried, on
        assert promised is None or ids[0] == promised
        assert not finished & set(ids)
        assert len(set(ids) - seen) >= 3
        seen |= set(ids)
        import_outcomes(operator.home, late)
        fresh = [one for one in ids if one not in carried]
        call, gone, slow, *rest = fresh
        told = [Report(2, gone, "never_again", attempted_at=noon), Report(3, "XXXX-XXXXX", "solved", attempted_at=noon)]
        told += [Report(4, one, "solved", attempted_at=noon) for one in [*rest, *carried] if one not in late_ids(late)]
        back = at(f"2026-06-0{number + 1}T07:00:00")
        told.append(Report(1, call, "callback", attempted_at=noon, next_at=back, agent="7"))
        assert [error.row for error in import_outcomes(operator.home, told).errors] == [3]
        assert import_outcomes(operator.home, told).imported == 0
        finished |= {one for one in ids if one not in (call, slow)}
        late = [Report(5, slow, "solved", attempted_at=noon)]
        promised, carried = call, {call, slow}
    with reading(open_database(operator.home)) as session:
        persons = Counter(session.scalars(select(OutreachLineRow.person_id)))
    assert set(persons.values()) == {1}


def late_ids(late: list[Report]) -> set[str]:
    """Returns the lines that are reported a day late."""
    return {report.line_id for report in late}


def about_of(operator: Operator, ids: Collection[str]) -> set[tuple[str, str]]:
    """Returns subscription and action of lines."""
    with reading(open_database(operator.home)) as session:
        rows = session.scalars(select(OutreachLineRow).where(OutreachLineRow.line_id.in_(ids)))
        return {(row.customer_id, row.action) for row in rows}
