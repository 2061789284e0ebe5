"""What agents send back: every disposition with its stated effect, bad rows named, feeds landed once."""

from __future__ import annotations

import csv
import io
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from features.feeds.landed.reading import Feeds
from features.kit.clock import utc_now
from features.kit.errors import ConfigurationError, DataError, NotPermittedError
from serving.database.audit import first_tampered
from serving.database.keys import create_key, find_key
from serving.database.session import open_database, reading
from serving.database.tables_access import AuditRow
from serving.database.tables_outreach import OutreachLineRow, RefusalRow
from serving.outreach.dispositions import Disposition
from serving.outreach.feedback.contacts import record_contact
from serving.outreach.feedback.landing import import_outcomes, land_pending
from serving.outreach.feedback.outcomes import record_reports
from serving.outreach.feedback.reported_rows import ReportedContact
from serving.outreach.feedback.returns import Report, read_reports
from serving.outreach.lists.draw import draw_list
from serving.outreach.lists.handover import hand_over, remove_expired
from serving.outreach.lists.ledger import line_id_of
from serving.outreach.lists.request import ListRequest
from serving.outreach.settings import load_settings
from tests.serving.outreach.conftest import at, policy_of, states_of
from tests.world import AS_OF, Town, write_people, write_scores

TEN = at("2026-06-01T02:30:00")


def table_of(released) -> list[list[str]]:
    """Returns the cells of a list's CSV."""
    return list(csv.reader(io.StringIO(released.csv.read_text(encoding="utf-8-sig"))))


def filled(released, path, changes: dict[int, dict[str, str]], encoding: str = "utf-8-sig"):
    """Writes the list back with some cells filled in: row of the list (0 first) -> header -> text."""
    head, *rows = table_of(released)
    for row, cells in changes.items():
        for name, text in cells.items():
            rows[row][head.index(name)] = text
    with path.open("w", encoding=encoding, newline="") as file:
        csv.writer(file).writerows([head, *rows])
    return path


def line_of(home, line_id: str) -> OutreachLineRow:
    """Returns a line of the ledger."""
    with reading(open_database(home)) as session:
        return session.get(OutreachLineRow, line_id)


def refusals_of(home, person_id: str) -> dict[str, tuple]:
    """Returns what the ledger forbids for a person: code -> (action, ticket, until)."""
    with reading(open_database(home)) as session:
        rows = session.scalars(select(RefusalRow).filter_by(person_id=person_id))
        return {row.code: (row.action, row.ticket_id, row.ends_on) for row in rows}


EFFECTS: dict[str, tuple[dict[str, Any], str, dict[str, tuple[Any, ...]]]] = {
    "solved": ({}, "closed", {"cool_down": (None, None, date(2026, 7, 1))}),
    "accepted": ({"order_reference": "O1"}, "closed", {}),
    "thinking": ({"next_at": at("2026-06-05T02:00:00")}, "open", {}),
    "declined": ({}, "closed", {"declined_recently": ("follow_up_call", None, date(2026, 11, 28))}),
    "callback": ({"next_at": at("2026-06-02T06:00:00")}, "open", {}),
    "no_answer": ({}, "open", {}),
    "busy_or_off": ({}, "open", {}),
    "wrong_person": ({}, "closed", {"wrong_person": (None, None, None)}),
    "invalid_number": ({}, "closed", {"number_invalid": (None, None, None)}),
    "ticket_opened": ({"ticket_id": "T77"}, "closed", {"open_ticket": (None, "T77", None)}),
    "never_again": ({}, "closed", {"do_not_contact": (None, None, None)}),
    "complained": ({"ticket_id": "T78"}, "closed", {"open_complaint": (None, "T78", None)}),
}


def test_every_disposition_has_its_stated_effect(crowd):
    """Twelve overdue tickets, twelve reports: each line's state and what is forbidden from then on."""
    released = draw_list(crowd, ListRequest(AS_OF, 60))
    calls = [row[0] for row in table_of(released)[1:] if row[5] == "问题回访"][: len(EFFECTS)]
    assert set(EFFECTS) == {code for code in Disposition if code.fits("call")}
    for line_id, (code, (more, status, forbidden)) in zip(calls, EFFECTS.items(), strict=True):
        one = Report(1, line_id, code, attempted_at=TEN, **more)
        result = record_reports(open_database(crowd), [one], load_settings(), "Asia/Shanghai")
        assert (result.imported, result.errors) == (1, [])
        line = line_of(crowd, line_id)
        assert (code, line.status) == (code, status)
        assert (code, refusals_of(crowd, line.person_id)) == (code, forbidden)


def test_attempts_close_together_are_one_and_the_future_is_refused(crowd):
    """Three rings within minutes count once; at other hours the third one closes the line; tomorrow has not been."""
    line_id = table_of(draw_list(crowd, ListRequest(AS_OF, 60)))[1][0]

    def ring(text):
        report = Report(1, line_id, "no_answer", attempted_at=at(text))
        return record_reports(open_database(crowd), [report], load_settings(), "Asia/Shanghai")

    for minute in (30, 31, 32):
        assert ring(f"2026-06-01T02:{minute}:00").imported == 1
    assert (line_of(crowd, line_id).attempts, line_of(crowd, line_id).status) == (1, "open")
    for when in ("2026-06-01T07:00:00", "2026-06-02T03:00:00"):
        ring(when)
    assert (line_of(crowd, line_id).attempts, line_of(crowd, line_id).status) == (3, "closed")
    other = table_of(draw_list(crowd, ListRequest(AS_OF, 60)))[2][0]
    early = Report(1, other, "solved", attempted_at=utc_now() + timedelta(hours=1))
    errors = record_reports(open_database(crowd), [early], load_settings(), "Asia/Shanghai").errors
    assert [(error.column, "future" in error.message) for error in errors] == [("attempted_at", True)]


def test_reports_become_feeds_once(crowd):
    """A conversation is a contact with its outcome, no answer only an outcome; importing again changes nothing."""
    released = draw_list(crowd, ListRequest(AS_OF, 60))
    talk, silence, anger = [row[0] for row in table_of(released)[1:4]]
    reports = [
        Report(1, talk, "solved", attempted_at=TEN),
        Report(2, silence, "no_answer", attempted_at=TEN),
        Report(3, anger, "complained", attempted_at=TEN),
    ]
    import_outcomes(crowd, reports)
    feeds = Feeds.open(crowd)
    again = import_outcomes(crowd, reports)
    assert (again.imported, again.repeated, land_pending(crowd)) == (0, 3, {})
    assert Feeds.open(crowd).version == feeds.version
    with feeds.connect() as database:
        contacts = database.execute("SELECT contact_id, arm FROM contacts ORDER BY ALL").fetchall()
        outcomes = dict(database.execute("SELECT contact_id, outcome FROM outcomes").fetchall())
        tickets = database.execute("SELECT kind, status FROM tickets").fetchall()
    assert contacts == sorted([(talk, "treated"), (anger, "treated")])
    assert outcomes == {talk: "solved", silence: "no_answer", anger: "complained"}
    assert tickets == [("complaint", "open")]


def test_a_filled_in_list_comes_back_with_one_error_per_bad_row(crowd, tmp_path):
    """Chinese words, codes and GB18030 are read; what is wrong is named by row and column and stops no other row."""
    released = draw_list(crowd, ListRequest(AS_OF, 60))
    result, when, order, back = "联系结果*", "联系时间", "订单号", "回拨时间"
    changes = {
        0: {result: "solved 已解决", when: "2026-06-01 10:30"},
        1: {result: "无人接听", when: "2026/6/1 10:30"},
        2: {result: "accepted"},
        3: {result: "maybe"},
        4: {result: "callback", back: "tomorrow"},
        5: {result: "solved", "行号": "7KQ2-M9XF5"},
        6: {result: "no_answer"},
        7: {result: "solved", when: "2026-05-01 10:30"},
        8: {result: "accepted", order: "O-1", when: "2026-06-01 11:00"},
        9: {result: "callback", back: "2026-09-01 10:00", when: "2026-06-01 11:00"},
    }
    file = filled(released, tmp_path / "back.csv", changes, encoding="gb18030")
    returned = read_reports(file, "Asia/Shanghai")
    outcome = import_outcomes(crowd, returned.reports)
    assert outcome.imported == 3
    found = sorted((error.row, error.column) for error in [*returned.errors, *outcome.errors])
    assert found == [
        (4, "order_reference"), (5, "disposition"), (6, "next_at"), (7, "line_id"), (8, "attempted_at"),
        (9, "attempted_at"), (11, "next_at"),
    ]  # fmt: skip
    told = [error.sentence() for error in sorted([*returned.errors, *outcome.errors], key=lambda error: error.row)]
    assert told[:3] == [
        "第4行，订单号：“同意办理”必须填写“订单号”",
        "第5行，联系结果*：“maybe”不是联系结果，请从下拉列表选择",
        "第6行，回拨时间：“tomorrow”不是时间，请写作 2026-06-01 14:30",
    ]
    english = [Report(2, line_id_of("nobody", AS_OF), "solved", attempted_at=TEN, sheet="Care team")]
    assert [error.sentence() for error in import_outcomes(crowd, english).errors] == [
        f"sheet 'Care team', row 2, line_id: no line '{line_id_of('nobody', AS_OF)}'"
    ]


def test_a_time_at_which_nobody_is_contacted_is_refused(crowd):
    """At 03:00, after the last day, and a call-back at 03:00 are refused by column; an opt-out binds at any hour."""
    released = draw_list(crowd, ListRequest(AS_OF, 30))
    lines = [row[0] for row in table_of(released)[1:] if row[6] == "电话"][:5]
    night, late = at("2026-06-01T19:00:00"), at("2026-06-04T02:30:00")
    reports = [
        Report(2, lines[0], "solved", attempted_at=night),
        Report(3, lines[1], "no_answer", attempted_at=late),
        Report(4, lines[2], "callback", attempted_at=TEN, next_at=at("2026-06-02T19:00:00")),
        Report(5, lines[3], "never_again", attempted_at=night),
        Report(6, lines[4], "solved", attempted_at=at("2026-06-03T12:59:00")),
    ]
    result = import_outcomes(crowd, reports)
    assert [(error.row, error.column, error.message) for error in result.errors] == [
        (2, "attempted_at", "03:00 lies outside the hours of contact (09:00-12:00, 14:00-21:00)"),
        (3, "attempted_at", "2026-06-04 is after the line's last day (2026-06-03)"),
        (4, "next_at", "03:00 lies outside the hours of contact (09:00-12:00, 14:00-21:00)"),
    ]
    assert result.imported == 2


def test_a_changed_name_number_or_action_is_refused_by_row(crowd, tmp_path):
    """Each is named with what was issued and not recorded; an opt-out whose number still agrees binds all the same."""
    released = draw_list(crowd, ListRequest(AS_OF, 30))
    result = "联系结果*"
    changes = {
        0: {result: "solved", "称呼": "先生"},
        1: {result: "solved", "号码": "139****9999"},
        2: {result: "solved", "建议动作": "套餐适配"},
        3: {result: "never_again", "建议动作": "套餐适配"},
        4: {result: "never_again", "号码": "139****9999"},
        5: {result: "solved", "行号": table_of(released)[8][0]},
        6: {result: "solved"},
    }
    returned = read_reports(filled(released, tmp_path / "back.csv", changes), "Asia/Shanghai")
    outcome = import_outcomes(crowd, returned.reports)
    found = [(error.row, error.column) for error in outcome.errors]
    assert found == [(2, "form_of_address"), (3, "number"), (4, "action"), (5, "action"), (6, "number"), (7, "number")]
    assert outcome.errors[0].sentence().startswith("第2行，称呼：“先生”与发出的“女士”不符")
    assert outcome.imported == 2
    assert line_of(crowd, table_of(released)[4][0]).closed_code == "never_again"


def test_the_workbook_itself_comes_back(crowd, tmp_path):
    """The exported XLSX, two cells filled in by a spreadsheet program, is read by its Chinese headers."""
    import xlsxwriter
    from python_calamine import CalamineWorkbook

    released = draw_list(crowd, ListRequest(AS_OF, 30))
    rows = CalamineWorkbook.from_path(str(released.xlsx)).get_sheet_by_name("服务关怀组").to_python()
    head = rows[2]
    rows[3][head.index("联系结果*")] = "solved 已解决"
    path = tmp_path / "back.xlsx"
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet()
        for number, row in enumerate(rows):
            sheet.write_row(number, 0, row)
        moment = book.add_format({"num_format": "yyyy-mm-dd hh:mm"})
        sheet.write_datetime(3, head.index("联系时间"), at("2026-06-01T10:30:00").replace(tzinfo=None), moment)
    returned = read_reports(path, "Asia/Shanghai")
    assert returned.errors == []
    assert [(one.row, one.line_id, one.disposition, one.attempted_at) for one in returned.reports] == [
        (4, rows[3][head.index("行号")], "solved", TEN)
    ]


def test_files_that_are_no_list_are_refused_in_one_line(tmp_path):
    """A missing file, a broken workbook and a foreign table are named."""
    (tmp_path / "broken.xlsx").write_bytes(b"PK\x03\x04nothing")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    (tmp_path / "half.csv").write_text("line_id,agent\nX,7\n")
    for name, what in (("none.csv", "no such file"), ("broken.xlsx", "not a readable workbook"),
                       ("other.csv", "no column 'line_id'"), ("half.csv", "no column 'disposition'")):  # fmt: skip
        with pytest.raises(DataError, match=what):
            read_reports(tmp_path / name, "Asia/Shanghai")


def test_an_unknown_line_and_a_closed_line_are_named(crowd):
    """A well-formed id that no list has, and a second result for a closed line, are row errors."""
    released = draw_list(crowd, ListRequest(AS_OF, 30))
    line = table_of(released)[1][0]
    stranger = line_id_of("nobody", AS_OF)
    reports = [
        Report(2, stranger, "solved", attempted_at=TEN),
        Report(3, line, "solved", attempted_at=TEN),
        Report(4, line, "declined", attempted_at=TEN),
        Report(5, line, "never_again", attempted_at=TEN),
    ]
    result = import_outcomes(crowd, reports)
    assert [(error.row, error.message) for error in result.errors] == [
        (2, f"no line '{stranger}'"),
        (4, f"line '{line}' is closed (solved)"),
    ]
    assert result.imported == 2


def test_a_campaign_tools_contacts_count_at_once(crowd, settings):
    """Told today, the person rests from tomorrow's marketing; the same contact told twice counts once."""
    engine = open_database(crowd)
    sent = ReportedContact("X1", "C0003", TEN, "plan_fit_offer", "message", "summer")
    assert [record_contact(engine, sent, "P0003", "Asia/Shanghai", owner="crm") for _ in range(2)] == [True, False]
    from serving.outreach.policy.ledger_facts import read_facts

    with reading(engine) as session:
        book = policy_of(states_of(Feeds.open(crowd)), settings, read_facts(session, AS_OF))
    assert book.verdicts(["C0003"], "marketing", "call", AS_OF)[0].codes == ("cool_down",)


def test_handover_needs_its_scope_is_audited_and_expires(crowd, tmp_path):
    """Full numbers leave only with the scope `handover` and a reason, leave an audit entry, and are removed in time."""
    engine = open_database(crowd)
    released = draw_list(crowd, ListRequest(AS_OF, 60))
    other = find_key(engine, create_key(engine, "crm", frozenset({"outreach:read"}), actor="t")[1])
    dialler = find_key(engine, create_key(engine, "dialler", frozenset({"handover"}), actor="t")[1])
    elsewhere = find_key(engine, create_key(engine, "d2", frozenset({"handover"}), province="Henan", actor="t")[1])
    for key in (None, other):
        with pytest.raises(NotPermittedError, match="handover"):
            hand_over(crowd, engine, released.list_id, key, reason="morning calls")
    with pytest.raises(ConfigurationError, match="shorter than 5 characters"):
        hand_over(crowd, engine, released.list_id, dialler, reason=" ")
    with pytest.raises(DataError, match="no open call"):
        hand_over(crowd, engine, released.list_id, elsewhere, reason="morning calls")
    calls = [row[0] for row in table_of(released)[1:] if row[6] == "电话"]
    import_outcomes(crowd, [Report(1, calls[0], "wrong_person", attempted_at=TEN)])
    done = hand_over(crowd, engine, released.list_id, dialler, reason="morning calls", hours=1)
    pairs = list(csv.reader(io.StringIO(done.path.read_text())))
    assert pairs[0] == ["line_id", "number"]
    assert [line for line, _ in pairs[1:]] == calls[1:]
    assert all(number == "139" + line_of(crowd, line).customer_id[1:].zfill(8) for line, number in pairs[1:])
    assert done.path.stat().st_mode & 0o777 == 0o600
    with reading(engine) as session:
        entry = session.scalars(select(AuditRow).filter_by(action="outreach.handover")).one()
    assert (entry.actor, entry.subject) == (dialler.key_id, released.list_id)
    assert "139000" not in entry.detail
    assert remove_expired(engine, done.expires_at) == 1
    assert not done.path.exists()
    assert first_tampered(engine) is None


@pytest.fixture
def handing(crowd):
    """Returns a function that hands a drawn list over on a day, and the ids of the list's calls."""
    engine = open_database(crowd)
    released = draw_list(crowd, ListRequest(AS_OF, 60))
    dialler = find_key(engine, create_key(engine, "dialler", frozenset({"handover"}), actor="t")[1])
    calls = [row[0] for row in table_of(released)[1:] if row[6] == "电话"]

    def hand(on=None) -> list[str]:
        done = hand_over(crowd, engine, released.list_id, dialler, reason="morning calls", on=on)
        return [line for line, _ in list(csv.reader(io.StringIO(done.path.read_text())))[1:]]

    return hand, calls


def test_no_number_of_an_expired_line_is_handed_over(crowd, handing):
    """A line is handed over up to its last day; afterwards one sentence tells how many expired, and no file is left."""
    hand, calls = handing
    assert hand() == hand(date(2026, 6, 3)) == calls
    files = sorted((crowd.personal / "handover").iterdir())
    told = (
        f"no open call for this key on 2026-06-04: {len(calls)} expired before that day, 0 may no longer be contacted"
    )
    with pytest.raises(DataError, match=told):
        hand(date(2026, 6, 4))
    assert sorted((crowd.personal / "handover").iterdir()) == files


def test_handover_asks_the_feeds_again(tmp_path):
    """Whose contract ended and whose line somebody else holds, as the feeds tell since the draw, gets no call."""
    town = Town(tmp_path)
    ids = [f"C{k:04d}" for k in range(4)]
    for one in ids:
        town.customer(one)
    town.land()
    overdue = {"reasons": {"service.ticket_overdue": {"ticket": "T", "hours": 30}}}
    write_people(town.home, dict.fromkeys(ids, overdue))
    write_scores(town.home, "churn", {one: {"p": 0.3, "band": "very_high"} for one in ids})
    released = draw_list(town.home, ListRequest(AS_OF, 60))
    assert sorted(line_of(town.home, row[0]).customer_id for row in table_of(released)[1:]) == ids
    town.add("terminations", customer_id=ids[0], event_at="2026-05-31 10:00:00", reason="cancel")
    town.add("persons", customer_id=ids[1], person_id="P9", account_id="A", role="main", valid_from="2026-05-30")
    town.land()
    engine = open_database(town.home)
    dialler = find_key(engine, create_key(engine, "dialler", frozenset({"handover"}), actor="t")[1])
    done = hand_over(town.home, engine, released.list_id, dialler, reason="morning calls")
    lines = [row[0] for row in list(csv.reader(io.StringIO(done.path.read_text())))[1:]]
    assert sorted(line_of(town.home, line).customer_id for line in lines) == ids[2:]
    with reading(engine) as session:
        closed = {row.customer_id: (row.status, row.closed_code) for row in session.scalars(select(OutreachLineRow))}
    assert closed[ids[0]] == ("withdrawn", "terminated")
    assert closed[ids[1]] == ("withdrawn", "changed_hands")


def test_no_sale_today_holds_in_list_and_handover(tmp_path, monkeypatch):
    """A class or a complaint keeps a renewal off the list, a complaint after the draw off the dialler; canary: the rule."""

    def world(root, *, is_on: bool) -> Town:
        root.mkdir()
        town = Town(root)
        for k in (0, 2, 3, 4):
            town.customer(f"C{k:04d}")
        town.add("tickets", customer_id="C0004", ticket_id="T1", kind="complaint", topic="network", status="closed",
                 event_at="2026-05-20 10:00:00")  # fmt: skip
        town.land()
        ending = {"reasons": {"contract.ending": {"date": "2026-06-20"}}}
        people = {f"C{k:04d}": ending for k in (0, 2, 3, 4)}
        write_people(town.home, people | {"C0000": ending | {"class": "repeat_caller"}})
        write_scores(town.home, "churn", {one: {"p": 0.3, "band": "very_high"} for one in people})
        if not is_on:
            monkeypatch.setattr("serving.outreach.policy.states.no_sale_today", lambda feeds, as_of: frozenset())
        return town

    def drawn(town: Town):
        released = draw_list(town.home, ListRequest(AS_OF, 60))
        lines = [line_of(town.home, row[0]) for row in table_of(released)[1:]]
        assert {line.action for line in lines} == {"contract_renewal"}
        return released, {line.customer_id for line in lines}

    def handed(town: Town, released) -> set[str]:
        town.add("tickets", customer_id="C0002", ticket_id="T2", kind="complaint", topic="network", status="closed",
                 event_at="2026-05-31 10:00:00")  # fmt: skip
        town.land()
        engine = open_database(town.home)
        dialler = find_key(engine, create_key(engine, "dialler", frozenset({"handover"}), actor="t")[1])
        done = hand_over(town.home, engine, released.list_id, dialler, reason="morning calls")
        lines = [row[0] for row in list(csv.reader(io.StringIO(done.path.read_text())))[1:]]
        return {line_of(town.home, line).customer_id for line in lines}

    town = world(tmp_path / "on", is_on=True)
    released, on_list = drawn(town)
    assert on_list == {"C0002", "C0003"}
    assert released.summary["suppressed"] == {"no_sale_today": 2}
    assert handed(town, released) == {"C0003"}
    town = world(tmp_path / "off", is_on=False)
    released, on_list = drawn(town)
    assert on_list == {"C0000", "C0004", "C0002", "C0003"}
    assert handed(town, released) == on_list
