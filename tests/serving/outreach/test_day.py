"""`insight day`: the list of the day comes out, whatever is old, missing or fails before it."""

from __future__ import annotations

import csv
from collections.abc import Collection
from datetime import date
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from sqlalchemy import select

from features.journey import day
from features.journey.journey import Journey, load_step
from features.kit.errors import ConflictError, DataError, NotReadyError
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
        self.error: Exception = DataError("poison", remedy="mend it")
        monkeypatch.setattr(day, "load_step", self.step)

    def step(self, name: str) -> Any:
        if name == "outreach":
            return load_step(name)

        def take(journey: Journey, _: object) -> dict[str, Any]:
            if name == self.fails:
                raise self.error
            self.taken.append(f"{name} {journey.as_of}")
            if name == "reports":
                return load_step(name)(journey, SILENT)
            return {"version": self.version, "latest_as_of": "2026-06-04"}

        return take

    def run(self, on: date, **asked: Any) -> Any:
        return day.run_day(Journey(home=self.home, source=Path("x"), data=Path(), capacity=30, **asked), on, SILENT)


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
    assert operator.taken == [
        "reports 2026-06-05",
        "ingest 2026-06-05",
        *(f"{one} 2026-06-04" for one in day.NEW_STEPS),
    ]
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
    assert (second.ending, operator.taken) == (ExitCode.DONE, ["reports 2026-06-06", "ingest 2026-06-06"])
    assert ids_of(second)[0] == called
    assert solved not in ids_of(second)
    assert second.summary["basis"] == "2026-06-04"
    with ZipFile(second.summary["outreach"]["xlsx"]) as book:
        assert "数据截至2026-06-04（2天前）" in book.read("xl/sharedStrings.xml").decode()
    operator.version = "2"
    operator.run(JUNE_6)
    assert len(operator.taken) == 4 + len(day.NEW_STEPS)


@pytest.mark.parametrize(
    ("step", "error"),
    [
        *((step, DataError("poison")) for step in ("reports", "ingest", *day.NEW_STEPS)),
        ("ingest", OSError(28, "No space left")),
        ("score", MemoryError()),
        ("reports", KeyError("bug")),
    ],
)
def test_a_step_that_fails_is_named_and_stops_no_list(operator, step, error):
    """The list comes out, the exit code asks for a person, and the next run takes only what was not done."""
    operator.fails, operator.error = step, error
    result = operator.run(JUNE_5)
    assert (result.ending, len(ids_of(result)) > 0) == (ExitCode.UNDECIDED, True)
    (reason,) = result.summary["reasons"]
    assert reason.startswith(f"{step}: {'poison' if isinstance(error, DataError) else type(error).__name__}")
    log = operator.home.root / "day.log"
    assert isinstance(error, DataError) or type(error).__name__ in log.read_text(encoding="utf-8")
    operator.fails, done = None, list(operator.taken)
    again = operator.run(JUNE_5)
    assert (again.ending, ids_of(again)) == (ExitCode.DONE, ids_of(result))
    always = ["reports 2026-06-05", "ingest 2026-06-05"]
    new = [f"{name} 2026-06-04" for name in day.NEW_STEPS]
    after = {"ingest": new, "build": new}.get(step, [one for one in new if one.startswith(step)])
    assert done == [one for one in [*always, *new] if one not in after and not one.startswith(step)]
    assert operator.taken == [*done, *always, *after]


def test_the_log_of_a_day_is_read_by_its_owner_alone(operator):
    """What an unforeseen failure says may hold what a customer said."""
    operator.fails, operator.error = "fit", KeyError("bug")
    operator.run(JUNE_5)
    assert (operator.home.root / "day.log").stat().st_mode & 0o077 == 0


def test_a_bug_in_the_draw_itself_is_one_line_and_a_log(operator, monkeypatch):
    """Exit code 2 means no list: a traceback on the terminal is no answer to a scheduler."""
    monkeypatch.setattr("serving.outreach.lists.draw.newest_basis", lambda *_: 1 / 0)
    with pytest.raises(day.NoListError, match="ZeroDivisionError"):
        operator.run(JUNE_5)
    assert "newest_basis" in (operator.home.root / "day.log").read_text(encoding="utf-8")


def test_a_day_writes_its_list_where_it_is_asked_for(operator, tmp_path):
    """In the language asked for; a place that cannot be written costs the copy, not the list."""
    out = tmp_path / "desk" / "today.xlsx"
    drawn = operator.run(JUNE_5, locale="en", out=out).summary["outreach"]
    assert drawn["xlsx"] == str(out)
    assert out.read_bytes() == (operator.home.lists / drawn["list_id"] / "list_en.xlsx").read_bytes()
    assert out.with_suffix(".csv").read_text(encoding="utf-8-sig").startswith("line_id,")
    (tmp_path / "file").write_text("no folder")
    result = operator.run(JUNE_5, out=tmp_path / "file" / "today.xlsx")
    assert (result.ending, len(ids_of(result)) > 0) == (ExitCode.UNDECIDED, True)
    assert result.summary["reasons"][0].startswith("--out: ")


def test_without_anything_built_there_is_no_list(operator):
    """A day before the first portraits is refused: an empty list would say that nobody is owed anything."""
    with pytest.raises(NotReadyError, match="nothing is built and scored up to 2026-05-01"):
        operator.run(date(2026, 5, 1))


def test_a_day_behind_the_newest_list_is_refused(operator):
    """A mistyped date draws no list of the past; the same day again gives its list, and the newest day goes on."""
    first = operator.run(JUNE_5)
    newest = operator.run(JUNE_6)
    assert operator.run(JUNE_5).summary["outreach"]["list_id"] == first.summary["outreach"]["list_id"]
    with pytest.raises(ConflictError, match="2026-06-04 is before 2026-06-06"):
        operator.run(JUNE_4)
    assert operator.run(JUNE_6).summary["outreach"]["list_id"] == newest.summary["outreach"]["list_id"]


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


def about_of(operator: Operator, ids: Collection[str]) -> set[tuple[str, str]]:
    """Returns subscription and action of lines."""
    with reading(open_database(operator.home)) as session:
        rows = session.scalars(select(OutreachLineRow).where(OutreachLineRow.line_id.in_(ids)))
        return {(row.customer_id, row.action) for row in rows}
