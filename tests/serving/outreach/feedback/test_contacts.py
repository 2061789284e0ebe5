"""A campaign tool's contact ids belong to its API key and to the customer: they meet nobody else's."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select, text

from features.kit.errors import ConflictError
from features.kit.home import Home
from serving.database.session import open_database, reading, writing
from serving.database.tables_outreach import ContactRow, OutreachLineRow
from serving.outreach.feedback import contacts, outcomes
from serving.outreach.feedback.contacts import record_contact
from serving.outreach.feedback.held import held_reports
from serving.outreach.feedback.outcomes import record_reports
from serving.outreach.feedback.reported_rows import ReportedContact, own_contact_id
from serving.outreach.feedback.returns import Report
from serving.outreach.lists.ledger import line_id_of
from serving.outreach.settings import load_settings
from tests.serving.outreach.conftest import at
from tests.world import AS_OF

NOON = at("2026-06-01T04:00:00")
ZONE = "Asia/Shanghai"
LINE = line_id_of("P7", AS_OF)
BEFORE = "0003"
"""The migration before the one under test."""


@pytest.fixture
def engine(tmp_path):
    """Opens a fresh ledger with one open line of C7."""
    engine = open_database(Home(tmp_path))
    with writing(engine) as session:
        session.add(
            OutreachLineRow(
                line_id=LINE, person_id="P7", customer_id="C7", action="follow_up_call", purpose="service",
                channel="call", team="care", skill="service", drawn_on=AS_OF, valid_until=AS_OF + timedelta(days=2),
                status="open", content="{}", created_at=NOON,
            )
        )  # fmt: skip
    yield engine
    engine.dispose()


def send(engine, client_id="w-1", customer="C1", owner="crm", **changes) -> bool:
    """Records a tool's contact; returns whether it was new."""
    sent = ReportedContact(**{"contact_id": client_id, "customer_id": customer, "at": NOON, "action": "plan_fit_offer",
                              "channel": "message", "campaign": "june"} | changes)  # fmt: skip
    return record_contact(engine, sent, "P" + customer[1:], ZONE, owner=owner)


def talk(engine) -> list[str]:
    """Reports that the line's customer was reached; returns the errors."""
    report = Report(1, LINE, "solved", attempted_at=NOON)
    return [error.message for error in record_reports(engine, [report], load_settings(), ZONE).errors]


def ledger(engine) -> list[tuple[str, str, str | None]]:
    """Returns customer, action and the sender's id of every contact."""
    with reading(engine) as session:
        rows = session.scalars(select(ContactRow).order_by(ContactRow.customer_id, ContactRow.action))
        return [(row.customer_id, row.action, row.client_id) for row in rows]


def old_row(**changes) -> ContactRow:
    """Returns a contact as it was recorded before keys owned them."""
    values = {"contact_id": "w-1", "customer_id": "C1", "person_id": "P1", "at": NOON, "day": AS_OF,
              "action": "plan_fit_offer", "channel": "message", "campaign": "june", "reported_at": NOON}  # fmt: skip
    return ContactRow(**values | changes)


def test_the_same_id_of_two_keys_and_of_two_customers_is_three_contacts(engine):
    """An id belongs to who sends it and whom it reached; the same report again is no new contact."""
    assert [send(engine), send(engine, owner="app"), send(engine, customer="C2")] == [True, True, True]
    assert [send(engine), send(engine, owner="app"), send(engine, customer="C2")] == [False, False, False]
    with pytest.raises(ConflictError, match="'w-1' was reported before as another contact"):
        send(engine, channel="call")
    assert ledger(engine) == [("C1", "plan_fit_offer", "w-1")] * 2 + [("C2", "plan_fit_offer", "w-1")]


def test_a_long_id_fits_and_keeps_its_end(engine):
    """Two ids of a hundred characters that differ in the last one are two contacts, each kept as it was sent."""
    assert [send(engine, "n" * 99 + end) for end in "ab"] == [True, True]
    assert sorted(str(row[2])[-1] for row in ledger(engine)) == ["a", "b"]
    assert len(own_contact_id("crm", "C1", "n" * 100)) == 100


@pytest.mark.parametrize("customer", ["C1", "C7"])
def test_an_id_equal_to_a_lines_swallows_no_talk(engine, customer):
    """The tool's contact with the line's id and the agent's talk on the line are two contacts."""
    assert send(engine, LINE, customer)
    assert talk(engine) == []
    assert sorted(ledger(engine)) == sorted(
        [(customer, "plan_fit_offer", LINE), ("C7", "follow_up_call", None)],
    )


def test_canary_without_ids_of_their_own_customers_share_one_contact(engine, monkeypatch):
    """With the guard off the second customer's contact is taken for the first one's, and the talk is lost."""
    monkeypatch.setattr(contacts, "own_contact_id", lambda _owner, _customer, client_id: client_id)
    assert send(engine)
    with pytest.raises(ConflictError):
        send(engine, customer="C2")
    monkeypatch.setattr(outcomes, "is_of_line", lambda *_: True)
    assert send(engine, LINE, "C7")
    assert talk(engine) == []
    assert ledger(engine) == [("C1", "plan_fit_offer", "w-1"), ("C7", "plan_fit_offer", LINE)]


def test_a_line_reported_by_its_own_door_counts_once(engine):
    """Two talks on a line are one contact, under the line's id."""
    assert talk(engine) == []
    second = Report(2, LINE, "never_again", attempted_at=NOON)
    assert record_reports(engine, [second], load_settings(), ZONE).errors == []
    with reading(engine) as session:
        assert [row.contact_id for row in session.scalars(select(ContactRow))] == [LINE]


def test_an_old_contact_is_known_again_and_another_one_with_its_id_is_new(engine):
    """A report recorded before keys owned ids is not counted twice; another customer's is another contact."""
    with writing(engine) as session:
        session.add(old_row(landed_at=NOON))
    assert not send(engine)
    assert send(engine, customer="C2")
    assert send(engine, channel="call")
    assert len(ledger(engine)) == 3


def test_an_old_contact_under_a_lines_id_swallows_no_talk(engine):
    """The talk is counted beside it, once."""
    with writing(engine) as session:
        session.add(old_row(contact_id=LINE, landed_at=NOON))
    assert talk(engine) == []
    second = Report(2, LINE, "never_again", attempted_at=NOON)
    assert record_reports(engine, [second], load_settings(), ZONE).errors == []
    assert ledger(engine) == [("C1", "plan_fit_offer", None), ("C7", "follow_up_call", None)]


def test_what_is_set_aside_shows_the_senders_id(engine):
    """`outcomes held` names the id that the tool knows."""
    assert send(engine)
    with writing(engine) as session:
        session.query(ContactRow).update({"held_reason": "contacts: unknown_customer:customer_id"})
    assert [report.report_id for report in held_reports(engine)] == ["w-1"]


def check_migration(home) -> None:
    """A ledger of before keeps what has landed and lines' reports, and takes the rest out of the shared namespace."""
    engine = open_database(home)
    with engine.begin() as connection:
        told = ("outreach_contacts", "outreach_claim_days", "outreach_refusals")
        one = engine.dialect.name == "postgresql"
        events = ("insert", "update", "delete")
        for statement in (
            *(f"DROP FUNCTION {table}_changed() CASCADE" for table in told if one),
            *(f"DROP TRIGGER {table}_{event}" for table in told for event in events if not one),
            "DROP TABLE outreach_changes",
            "DROP INDEX ix_outreach_contacts_client_id",
            "ALTER TABLE outreach_contacts DROP COLUMN client_id",
            "ALTER TABLE outreach_contacts DROP COLUMN owner",
            f"UPDATE alembic_version SET version_num = '{BEFORE}'",
            (
                "INSERT INTO outreach_lines (line_id, person_id, customer_id, action, purpose, channel, team, skill, "
                f"drawn_on, valid_until, status, attempts, content, created_at) VALUES ('{LINE}', 'P7', 'C7', "
                "'follow_up_call', 'service', 'call', 'care', 'service', '2026-06-01', '2026-06-03', 'open', 0, '{}', "
                "'2026-06-01 00:00:00')"
            ),
            (
                "INSERT INTO outreach_attempts (attempt_id, line_id, ordinal, at, disposition, reported_at) "
                f"VALUES ('A1', '{LINE}', 1, '2026-06-01 04:00:00', 'solved', '2026-06-01 04:00:00')"
            ),
        ):
            connection.execute(text(statement))
        for contact_id, customer, action, landed in (
            (LINE, "C7", "follow_up_call", None),
            ("landed", "C1", "plan_fit_offer", "2026-06-01 05:00:00"),
            ("waits", "C1", "plan_fit_offer", None),
        ):
            connection.execute(
                text(
                    "INSERT INTO outreach_contacts (contact_id, customer_id, person_id, at, day, action, channel, "
                    "campaign, reported_at, landed_at) VALUES (:contact_id, :customer, :person, '2026-06-01 04:00:00', "
                    "'2026-06-01', :action, 'message', 'june', '2026-06-01 04:00:00', :landed)"
                ),
                {"contact_id": contact_id, "customer": customer, "person": "P" + customer[1:], "action": action,
                 "landed": landed},
            )  # fmt: skip
    engine.dispose()
    engine = open_database(home)
    with reading(engine) as session:
        rows = {row.contact_id: (row.owner, row.client_id) for row in session.scalars(select(ContactRow))}
    assert rows == {
        LINE: (None, None),
        "landed": (None, "landed"),
        own_contact_id("", "C1", "waits"): (None, "waits"),
    }
    assert [send(engine, "landed"), send(engine, "waits"), send(engine, "fresh")] == [False, False, True]
    engine.dispose()


def test_an_old_ledger_is_migrated(tmp_path):
    """SQLite."""
    check_migration(Home(tmp_path))
    assert (tmp_path / "operations.db").exists()


@pytest.mark.xdist_group("postgresql")
def test_an_old_ledger_is_migrated_in_postgresql(postgresql, tmp_path, monkeypatch):
    """PostgreSQL."""
    monkeypatch.setenv("INSIGHT_DATABASE_URL", postgresql)
    check_migration(Home(tmp_path))
    assert not (tmp_path / "operations.db").exists()
