"""A report that the feeds refuse is refused at the door, or set aside alone; nothing that waits stops a list."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest

from features.feeds.landed.reading import Feeds
from features.journey.journey import Journey
from features.kit.clock import utc_now
from features.kit.errors import ConfigurationError, ConflictError, NotFoundError
from features.kit.pages.pages import render
from features.kit.terminal.progress import SILENT
from serving.database.audit import first_tampered
from serving.database.session import open_database, writing
from serving.database.tables_access import AuditRow
from serving.database.tables_outreach import AttemptRow, ContactRow
from serving.outreach.feedback.held import drop_report, held_reports, mend_report
from serving.outreach.feedback.landing import import_outcomes, land_pending
from serving.outreach.feedback.outcomes import record_reports
from serving.outreach.feedback.reported_rows import own_contact_id
from serving.outreach.feedback.returns import Report
from serving.outreach.settings import load_settings
from serving.outreach.step import outreach
from tests.serving.outreach.conftest import at
from tests.serving.outreach.lists.test_lists import ids_of
from tests.serving.outreach.test_commands import insight
from tests.world import AS_OF

TEN = at("2026-06-01T02:30:00")
POISON: tuple[dict[str, Any], ...] = (
    {"at": datetime(1960, 1, 1, tzinfo=UTC)},
    {"at": datetime(1, 1, 2, tzinfo=UTC)},
    {"at": datetime(9999, 12, 30, tzinfo=UTC)},
    {"customer_id": "C9999"},
    {"contact_id": "2.02606E+17"},
    {"contact_id": " "},
    {"action": " "},
)


def contact(contact_id: str, **changes) -> ContactRow:
    """Returns a row as today's release may have written it, past every door."""
    known = {"customer_id": "C0003", "person_id": "P0003", "at": TEN, "action": "plan_fit_offer", "reported_at": TEN}
    return ContactRow(**{"contact_id": contact_id, **known, "day": AS_OF, **changes})


def poison(engine, count: int, seed: int = 7) -> list[str]:
    """Adds good contacts and among them `count` that landing refuses; returns the ids of the good ones."""
    chance = random.Random(seed)
    with writing(engine) as session:
        for number in range(count):
            changes = dict(chance.choice(POISON))
            if "contact_id" in changes:  # ids are unique in the ledger, so these stay unlike each other
                changes["contact_id"] = f"2.{number:05d}E+17" if "E" in changes["contact_id"] else " " * (number + 1)
            session.add(contact(f"bad-{number}", **changes) if "contact_id" not in changes else contact(**changes))
        good = [f"good-{number}" for number in range(20)]
        session.add_all(contact(name) for name in good)
    return good


def landed(home) -> list[str]:
    """Returns the contacts that the feeds hold."""
    with Feeds.open(home).connect() as database:
        return [row[0] for row in database.execute("SELECT contact_id FROM contacts ORDER BY ALL").fetchall()]


def check_fifty(home, engine) -> None:
    """Fifty poison rows: the good ones land once, fifty are set aside, a second landing changes nothing."""
    good = poison(engine, 50)
    counts = land_pending(home, engine)
    assert landed(home) == sorted(good)
    assert counts == {"contacts": 20}
    assert len(held_reports(engine)) == 50
    version = Feeds.open(home).version
    assert land_pending(home, engine) == {}
    assert Feeds.open(home).version == version


def test_fifty_poison_rows_are_set_aside_and_the_rest_lands(crowd):
    """SQLite: nothing that one row holds keeps another from landing."""
    check_fifty(crowd, open_database(crowd))


def test_fifty_poison_rows_are_set_aside_in_postgresql(crowd, postgresql, monkeypatch):
    """PostgreSQL keeps the same promise."""
    monkeypatch.setenv("INSIGHT_DATABASE_URL", postgresql)
    engine = open_database(crowd)
    check_fifty(crowd, engine)
    engine.dispose()


def test_the_list_and_the_import_go_on_and_the_commands_show_mend_and_drop(crowd, tmp_path):
    """Three poison rows: both commands end well and say it in one line; mended, dropped, audited, none is left."""
    engine = open_database(crowd)
    with writing(engine) as session:
        session.add_all([contact("old", at=POISON[0]["at"]), contact("7.1E+17"), contact("lost", customer_id="C9999")])
    drawn = insight(crowd, "outreach", "--as-of", "2026-06-01", "--capacity", "20", "--out", str(tmp_path / "L.xlsx"))
    assert drawn.returncode == 0, drawn.stderr
    assert "3 reports are set aside" in drawn.stderr
    back = insight(crowd, "outcomes", "import", str(tmp_path / "L.csv"))
    assert (back.returncode, "3 reports are set aside" in back.stderr) == (0, True)
    shown = json.loads(insight(crowd, "outcomes", "held", "--json").stdout)
    ids = {one["report_id"]: one["held_id"] for one in shown}
    assert {one["report_id"]: one["reason"] for one in shown} == {
        "old": "contacts: too_early:event_at",
        "7.1E+17": "contacts: scientific_notation:contact_id",
        "lost": "contacts: unknown_customer:customer_id",
    }
    assert insight(crowd, "outcomes", "mend", ids["old"], "--at", "1950-01-01T10:00").returncode == 2
    assert insight(crowd, "outcomes", "mend", ids["old"], "--at", "2026-06-01T10:00").returncode == 0
    assert insight(crowd, "outcomes", "mend", ids["7.1E+17"], "--contact-id", "C-7").returncode == 0
    assert insight(crowd, "outcomes", "drop", ids["lost"], "--why", "no such customer").returncode == 0
    assert insight(crowd, "outcomes", "held").stdout == "nothing is set aside\n"
    assert landed(crowd) == [own_contact_id("", "C0003", "C-7"), "old"]
    assert first_tampered(engine) is None


def test_customer_and_action_are_mended(crowd):
    """A contact of nobody and of no action lands with the right ones and counts for the right person; audited."""
    engine = open_database(crowd)
    with writing(engine) as session:
        session.add_all([contact("who", customer_id="C9999", person_id="P9999"), contact("what", action=" ")])
    land_pending(crowd, engine)
    ids = {one.report_id: one.held_id for one in held_reports(engine)}
    wrongs: tuple[dict[str, Any], ...] = (
        {"customer_id": "C8888"}, {"customer_id": "C0002", "action": "anything"}, {"contact_id": "8.1E+17"},
    )  # fmt: skip
    for wrong in wrongs:
        with pytest.raises(ConfigurationError):
            mend_report(crowd, engine, ids["who"], **wrong)
    mended = insight(crowd, "outcomes", "mend", ids["who"], "--customer", "C0002")
    assert (mended.returncode, "1 reports are set aside" in mended.stderr) == (0, True)
    assert insight(crowd, "outcomes", "mend", ids["what"], "--action", "plan_fit_offer").returncode == 0
    with Feeds.open(crowd).connect() as database:
        rows = database.execute("SELECT contact_id, customer_id, action FROM contacts ORDER BY ALL").fetchall()
    assert rows == [
        ("what", "C0003", "plan_fit_offer"), (own_contact_id("", "C0002", "who"), "C0002", "plan_fit_offer"),
    ]  # fmt: skip
    with writing(engine) as session:
        people = dict(session.query(ContactRow.client_id, ContactRow.person_id).all())
        entry = session.query(AuditRow).filter_by(action="outcomes.mend", subject=ids["who"]).one()
    assert people == {"who": "P0002", None: "P0003"}
    told = json.loads(entry.detail)
    assert (told["before"]["customer_id"], told["after"]["customer_id"]) == ("C9999", "C0002")


def test_a_mended_id_meets_no_other_contact(crowd):
    """An id that is mended to that of the operator's contact is a contact of its own; to one's own it is refused."""
    engine = open_database(crowd)
    with writing(engine) as session:
        session.add_all([contact("theirs", customer_id="C0005", person_id="P0005"), contact("6.1E+17")])
        session.add(contact(own_contact_id("", "C0003", "twin"), client_id="twin"))
    land_pending(crowd, engine)
    (held,) = held_reports(engine)
    with pytest.raises(ConflictError, match="'twin' of this customer"):
        mend_report(crowd, engine, held.held_id, contact_id="twin")
    mend_report(crowd, engine, held.held_id, contact_id="theirs")
    assert land_pending(crowd, engine) == {"contacts": 1}
    with Feeds.open(crowd).connect() as database:
        rows = database.execute(
            "SELECT customer_id FROM contacts WHERE contact_id LIKE 'theirs%' ORDER BY 1"
        ).fetchall()
    assert rows == [("C0003",), ("C0005",)]


def test_a_report_on_a_line_keeps_the_lines_customer(crowd):
    """What an agent reported cannot be mended into another customer's; its time can."""
    from serving.outreach.lists.draw import draw_list
    from serving.outreach.lists.request import ListRequest

    line = ids_of(draw_list(crowd, ListRequest(AS_OF, 20)))[0]
    engine = open_database(crowd)
    record_reports(engine, [Report(1, line, "solved", attempted_at=TEN)], load_settings(), "Asia/Shanghai")
    with writing(engine) as session:
        session.query(ContactRow).update({"at": datetime(1960, 1, 1, tzinfo=UTC)})
        session.query(AttemptRow).update({"at": datetime(1960, 1, 1, tzinfo=UTC)})
    land_pending(crowd, engine)
    found = held_reports(engine)
    assert sorted(one.kind for one in found) == ["contact", "outcome"]
    for one in found:
        with pytest.raises(ConfigurationError, match="keeps the line's id, customer and action"):
            mend_report(crowd, engine, one.held_id, customer_id="C0002")
        mend_report(crowd, engine, one.held_id, at=TEN)
    assert land_pending(crowd, engine) == {"contacts": 1, "outcomes": 1}


def test_every_summary_of_a_list_counts_what_is_set_aside(crowd, tmp_path):
    """The step of the journey, the list's JSON and the import's JSON give the number and the command that shows them."""
    with writing(open_database(crowd)) as session:
        session.add_all([contact("early", at=POISON[0]["at"]), contact("nobody", customer_id="C9999")])
    expected = {"reports": 2, "shown_by": "insight outcomes held"}
    journey = Journey(home=crowd, source=tmp_path, data=tmp_path, as_of=AS_OF, capacity=20)
    assert outreach(journey, SILENT)["set_aside"] == expected
    out = str(tmp_path / "L.xlsx")
    drawn = insight(crowd, "outreach", "--as-of", "2026-06-01", "--capacity", "20", "--out", out, "--json")
    assert json.loads(drawn.stdout)["set_aside"] == expected
    back = insight(crowd, "outcomes", "import", str(tmp_path / "L.csv"), "--json")
    assert json.loads(back.stdout)["set_aside"] == expected
    page = render("features.journey", "summary.txt.j2", home=crowd, spent="", ingest={}, train={}, evaluate={}, fit={},
                  access={}, outreach={"set_aside": expected})  # fmt: skip
    assert "2 reports are set aside and not in the feeds; `insight outcomes held` shows them." in page


def test_a_mend_that_mends_nothing_is_refused(crowd):
    """A wrong id, no correction, a time to come and a drop without a reason leave the report as it was."""
    engine = open_database(crowd)
    with writing(engine) as session:
        session.add(contact("old", at=POISON[0]["at"]))
    land_pending(crowd, engine)
    before = held_reports(engine)
    (held_id,) = [one.held_id for one in before]
    with pytest.raises(NotFoundError, match="nothing is set aside"):
        drop_report(engine, "H000000000", "long enough")
    wrong: tuple[dict[str, Any], ...] = (
        {},
        {"at": utc_now() + timedelta(days=1)},
        {"at": datetime(1, 1, 1, tzinfo=UTC)},
    )
    for mended in wrong:
        with pytest.raises(ConfigurationError):
            mend_report(crowd, engine, held_id, **mended)
    with pytest.raises(ConfigurationError, match="still be refused"):
        mend_report(crowd, engine, held_id, contact_id="fine")
    with pytest.raises(ConfigurationError, match="--why"):
        drop_report(engine, held_id, " no ")
    assert held_reports(engine) == before


def test_a_clock_that_is_ahead_blocks_nothing(crowd, tmp_path, monkeypatch):
    """A disposition three minutes ahead is taken and lands with its own time; one that no feed takes is a row error."""
    whole_day = [(time.min, time.max)]  # the test may run at any hour
    monkeypatch.setattr("serving.outreach.feedback.outcomes.open_hours", lambda *_: whole_day)
    from serving.outreach.lists.draw import draw_list
    from serving.outreach.lists.request import ListRequest

    first, second = ids_of(draw_list(crowd, ListRequest(AS_OF, 20)))[:2]
    ahead = utc_now().replace(microsecond=0) + timedelta(minutes=3)
    reports = [
        Report(1, first, "solved", attempted_at=ahead),
        Report(2, second, "solved", attempted_at=datetime(1, 1, 1, tzinfo=UTC)),
        Report(3, second, "thinking", attempted_at=TEN, next_at=datetime(9999, 12, 31, 23, tzinfo=UTC)),
    ]
    result = import_outcomes(crowd, reports)
    assert (result.imported, [(error.row, error.column) for error in result.errors]) == (
        1, [(2, "attempted_at"), (3, "next_at")],
    )  # fmt: skip
    with Feeds.open(crowd).connect() as database:
        rows = database.execute("SELECT contact_id, event_at, known_at FROM outcomes").fetchall()
    assert rows == [(first, ahead.replace(tzinfo=None), ahead.replace(tzinfo=None))]
    assert held_reports(open_database(crowd)) == []


def test_an_attempt_that_cannot_land_is_mended_by_its_time(crowd):
    """A poison attempt of an older ledger is held with its line; the mended time lands, its other rows once."""
    from serving.outreach.lists.draw import draw_list
    from serving.outreach.lists.request import ListRequest

    line = ids_of(draw_list(crowd, ListRequest(AS_OF, 20)))[0]
    engine = open_database(crowd)
    record_reports(engine, [Report(1, line, "no_answer", attempted_at=TEN)], load_settings(), "Asia/Shanghai")
    with writing(engine) as session:
        session.query(AttemptRow).update({"at": datetime(1960, 1, 1, tzinfo=UTC)})
    assert land_pending(crowd, engine) == {}
    (held,) = held_reports(engine)
    assert (held.kind, held.what) == ("outcome", f"{line} no_answer")
    mend_report(crowd, engine, held.held_id, at=TEN)
    assert land_pending(crowd, engine) == {"outcomes": 1}


@pytest.mark.parametrize("nth", [1, 2, 3, 4])
def test_a_killed_landing_is_completed_by_the_next(crowd, tmp_path, nth):
    """SIGKILL at each failpoint of a landing with poison rows: the next one lands each good row once."""
    good = poison(open_database(crowd), 10)
    program = (
        "import sys; from features.kit.home import Home; from serving.outreach.feedback.landing import land_pending; "
        "land_pending(Home.at(sys.argv[1]))"
    )
    environment = os.environ | {"INSIGHT_FAILPOINT": f"*:{nth}:kill"}
    killed = subprocess.run([sys.executable, "-c", program, str(crowd.root)], check=False, env=environment)
    assert killed.returncode == -signal.SIGKILL
    land_pending(crowd)
    assert landed(crowd) == sorted(good)
    assert len(held_reports(open_database(crowd))) == 10
