"""Rows that the system makes itself become feeds with the same checks and versions."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from features.feeds.landing.system_rows import check_rows, land_rows
from features.kit.errors import NotReadyError

MADE = datetime(2026, 6, 2, 3, 4, 5, tzinfo=UTC)


def contacts(*rows):
    """Returns a contacts table of (customer_id, contact_id, action)."""
    return pa.table(
        {
            "customer_id": [row[0] for row in rows],
            "event_at": pa.array([MADE.replace(tzinfo=None)] * len(rows), pa.timestamp("s")),
            "contact_id": [row[1] for row in rows],
            "action": [row[2] for row in rows],
        }
    )


def test_system_rows_are_known_on_arrival_and_a_replay_changes_nothing(operator):
    """Naive times are UTC; the operator's own as-of date does not move; the same rows again are no new version."""
    before = operator.land()
    for _ in range(2):
        land_rows(
            operator.home, "contacts", contacts(("1", "L1-1", "care_call"), ("2", "L1-2", "care_call")), arrived_at=MADE
        )
    rows = operator.rows("SELECT customer_id, event_at, known_at FROM contacts ORDER BY 1")
    made = MADE.replace(tzinfo=None)
    assert rows == [("1", made, made), ("2", made, made)]
    assert operator.open().latest_as_of() == before.as_of


def test_system_rows_survive_the_next_delivery_of_the_same_feed(operator):
    """The operator's own contacts and ours live in one feed."""
    operator.write("contacts.csv", "customer_id,event_at,contact_id,action\n3,2026-05-01,C1,care_call\n")
    operator.map("contacts", "SELECT * FROM contacts", known_after="PT1H")
    operator.land("2026-06-01T00:00:00")
    land_rows(operator.home, "contacts", contacts(("1", "L1-1", "care_call")), arrived_at=MADE)
    operator.write("contacts_2.csv", "customer_id,event_at,contact_id,action\n3,2026-05-09,C2,care_call\n")
    report = operator.land("2026-06-03T00:00:00")
    assert operator.rows("SELECT contact_id FROM contacts ORDER BY 1") == [("C1",), ("C2",), ("L1-1",)]
    assert str(report.as_of) == "2026-05-10"


def test_a_bad_system_row_is_set_aside_alone(operator):
    """An unknown customer, a lost id and a contradicted one are returned with their rows; the good row lands."""
    operator.land()
    table = contacts(
        ("77", "a", "x"), ("1", "b", "x"), ("1", "2.02606E+17", "x"), ("1", " ", "x"), ("1", "c", "x"), ("2", "c", "x")
    )
    reasons = {
        0: "unknown_customer:customer_id", 2: "scientific_notation:contact_id", 3: "missing:contact_id",
        4: "conflicting_duplicate:contact_id", 5: "conflicting_duplicate:contact_id",
    }  # fmt: skip
    assert land_rows(operator.home, "contacts", table, arrived_at=MADE).refused == reasons
    assert operator.rows("SELECT customer_id, contact_id FROM contacts") == [("1", "b")]


def test_only_bad_rows_make_no_feed(operator):
    """A feed of no row would be one that readers cannot open."""
    operator.land()
    refused = land_rows(operator.home, "contacts", contacts(("77", "a", "x")), arrived_at=MADE).refused
    assert refused == {0: "unknown_customer:customer_id"}
    assert not operator.open().has("contacts")


def test_rows_are_judged_before_landing_as_landing_judges(operator):
    """The door and the landing give the same reasons for the same rows."""
    operator.land()
    table = contacts(("1", "a", "x"), ("1", "2.02606E+17", "x"), ("1", " ", "x"), ("1", "d", " "))
    early = table.set_column(1, "event_at", pa.array([datetime(1960, 1, 1)] * 4, pa.timestamp("s")))  # noqa: DTZ001 - naive means UTC
    for rows, count in ((table, 3), (early, 4)):
        judged = check_rows("contacts", rows, time_zone="Asia/Shanghai", arrived_at=MADE)
        assert len(judged) == count
        assert judged == land_rows(operator.home, "contacts", rows, arrived_at=MADE).refused


def test_system_rows_need_landed_customers(operator):
    """Before the first delivery no customer is known."""
    with pytest.raises(NotReadyError, match="insight ingest"):
        land_rows(operator.home, "contacts", contacts(("1", "a", "x")), arrived_at=MADE)
