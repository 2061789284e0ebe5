"""Messages come back as sent, delivered or failed: what went out is not sent again, what failed may be."""

from __future__ import annotations

import csv
import io
from datetime import date
from zipfile import ZipFile

import pytest
from sqlalchemy import select

from features.feeds.landed.reading import Feeds
from features.kit.errors import DataError
from serving.database.keys import create_key, find_key
from serving.database.session import open_database, reading
from serving.database.tables_outreach import ContactRow, ListLineRow, OutreachLineRow
from serving.outreach.dispositions import DISPOSITIONS, Disposition
from serving.outreach.feedback.landing import import_outcomes
from serving.outreach.feedback.returns import Report, read_reports
from serving.outreach.lists.draw import draw_list
from serving.outreach.lists.handover import hand_over
from serving.outreach.lists.request import ListRequest
from serving.outreach.policy.ledger_facts import read_facts
from tests.serving.outreach.conftest import at
from tests.world import AS_OF, Town, card, write_people, write_scores

TOMORROW = date(2026, 6, 2)


@pytest.fixture
def sent(tmp_path):
    """A town of four customers in arrears and one with an overdue ticket: the drawn list, four app lines, a call."""
    town = Town(tmp_path)
    people = {}
    for k in range(5):
        town.customer(f"C{k}")
        ticket = {"service.ticket_overdue": {"ticket": "T", "hours": 30}}
        people[f"C{k}"] = {"reasons": ticket if k == 4 else {"bill.arrears": {"amount": 59_000, "days": 9}}}
    town.land()
    for day in (AS_OF, TOMORROW):
        write_people(town.home, people, day)
        write_scores(town.home, "churn", {one: {"p": 0.1, "band": "normal"} for one in people}, day)
    released = draw_list(town.home, ListRequest(AS_OF, 60))
    with reading(open_database(town.home)) as session:
        lines = list(session.scalars(select(OutreachLineRow).order_by(OutreachLineRow.customer_id)))
    assert [line.channel for line in lines] == ["app"] * 4 + ["call"]
    return town.home, released, [line.line_id for line in lines]


def test_what_was_sent_is_closed_and_counted_and_what_failed_stays(sent):
    """Sent and delivered are contacts and on no further list; a failed message and an untouched one are carried."""
    home, _, lines = sent
    ten, eleven = at("2026-06-01T02:30:00"), at("2026-06-01T03:30:00")
    reports = [
        Report(1, lines[0], "sent", attempted_at=ten),
        Report(2, lines[0], "delivered", attempted_at=eleven),
        Report(3, lines[1], "delivered", attempted_at=ten),
        Report(4, lines[2], "failed", attempted_at=ten),
    ]
    assert import_outcomes(home, reports).errors == []
    draw_list(home, ListRequest(TOMORROW, 60))
    with reading(open_database(home)) as session:
        status = {line.line_id: (line.status, line.attempts) for line in session.scalars(select(OutreachLineRow))}
        contacts = set(session.scalars(select(ContactRow.contact_id)))
        carried = set(session.scalars(select(ListLineRow.line_id).where(ListLineRow.day == TOMORROW)))
    assert [status[line] for line in lines[:4]] == [("closed", 2), ("closed", 1), ("open", 1), ("open", 0)]
    assert contacts == {lines[0], lines[1]}
    assert {lines[2], lines[3]} <= carried
    assert carried.isdisjoint(lines[:2])
    with Feeds.open(home).connect() as database:
        outcomes = database.execute("SELECT outcome FROM outcomes ORDER BY ALL").fetchall()
    assert outcomes == [("delivered",), ("delivered",), ("failed",), ("sent",)]


def test_a_call_is_never_sent_and_a_message_never_unanswered(sent):
    """`sent` on a call and `no_answer` to a message are refused by their column, and leave the line open."""
    home, _, lines = sent
    ten = at("2026-06-01T02:30:00")
    reports = [Report(1, lines[4], "sent", attempted_at=ten), Report(2, lines[0], "no_answer", attempted_at=ten)]
    result = import_outcomes(home, reports)
    assert [(error.row, error.column) for error in result.errors] == [(1, "disposition"), (2, "disposition")]


def test_a_message_that_fails_three_times_is_left_to_another_channel(sent):
    """Three failures close the line; the person does not rest as one whom nobody reached."""
    home, _, lines = sent
    hours = ("2026-06-01T02:30:00", "2026-06-01T06:30:00", "2026-06-01T09:30:00")
    reports = [Report(k, lines[2], "failed", attempted_at=at(hour)) for k, hour in enumerate(hours)]
    assert import_outcomes(home, reports).errors == []
    with reading(open_database(home)) as session:
        line = session.get(OutreachLineRow, lines[2])
        facts = read_facts(session, AS_OF)
    assert (line.status, line.closed_code) == ("closed", "failed")
    assert facts.refusals == ()


def test_a_drop_down_shows_what_fits_the_channel(sent):
    """A message offers sent and delivered but no call-back, a call the other way round, a hall neither; 255 at most."""
    _, released, _ = sent
    with ZipFile(released.xlsx) as parts:
        pages = "".join(parts.read(name).decode() for name in parts.namelist() if "/worksheets/" in name)
    offered = {one.split("</formula1>")[0] for one in pages.split("<formula1>")[1:]}
    assert len(offered) == 2
    call, message = sorted(offered, key=lambda choices: "sent" in choices)
    assert ("callback" in call, "sent" in call) == (True, False)
    assert ("callback" in message, "sent" in message, "never_again" in message) == (False, True, True)
    assert [DISPOSITIONS[code].fits("hall") for code in ("callback", "no_answer", "busy_or_off", "sent")] == [False] * 4
    assert [DISPOSITIONS[code].fits("hall") for code in ("solved", "accepted", "thinking", "never_again")] == [True] * 4
    for channel in ("call", "message", "hall"):
        assert len(",".join(code.choice("zh") for code in Disposition if code.fits(channel))) <= 255


def test_a_gateway_gets_its_lines_with_text_and_its_report_comes_back(tmp_path):
    """Messages leave with number and text in the customer's language, app lines by id, calls not; delivery returns."""
    town, people = Town(tmp_path), {}
    arrears = {"bill.arrears": {"amount": 59_000, "days": 9}}
    for k, channel in enumerate(("message", "message", "app", "app")):
        town.customer(f"C{k}", language="en" if k == 1 else "zh")
        people[f"C{k}"] = {"reasons": arrears, "card": card(best_channel=channel)}
    town.land()
    write_people(town.home, people)
    write_scores(town.home, "churn", {one: {"p": 0.1, "band": "normal"} for one in people})
    released = draw_list(town.home, ListRequest(AS_OF, 60))
    engine = open_database(town.home)
    key = find_key(engine, create_key(engine, "gateway", frozenset({"handover"}), actor="t")[1])
    with pytest.raises(DataError, match="no open call"):
        hand_over(town.home, engine, released.list_id, key, reason="morning messages")
    done = hand_over(town.home, engine, released.list_id, key, reason="morning messages", channel="message")
    head, *rows = csv.reader(io.StringIO(done.path.read_text(encoding="utf-8")))
    assert (head, [number for _, number, _ in rows]) == (["line_id", "number", "text"], ["13900000000", "13900000001"])
    assert [("59.00" in text, text.isascii()) for *_, text in rows] == [(True, False), (True, True)], rows
    app = hand_over(town.home, engine, released.list_id, key, reason="morning messages", channel="app")
    head, *others = csv.reader(io.StringIO(app.path.read_text(encoding="utf-8")))
    assert (head[:2], [address for _, address, _ in others]) == (["line_id", "customer_id"], ["C2", "C3"])
    back = tmp_path / "gateway.csv"
    answers = (
        f"{line},{end},2026-06-01 10:30\n" for (line, *_), end in zip(rows, ("delivered", "failed"), strict=True)
    )
    back.write_text("line_id,disposition,attempted_at\n" + "".join(answers), encoding="utf-8")
    returned = read_reports(back, "Asia/Shanghai")
    assert import_outcomes(town.home, returned.reports).imported == 2
    again = hand_over(town.home, engine, released.list_id, key, reason="the failed ones", channel="message")
    assert [row[0] for row in csv.reader(io.StringIO(again.path.read_text(encoding="utf-8")))][1:] == [rows[1][0]]
