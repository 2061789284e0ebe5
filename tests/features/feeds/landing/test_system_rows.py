"""Rows that the system makes itself become feeds with the same checks and versions."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from features.feeds.landing.system_rows import land_rows
from features.kit.errors import DataError, NotReadyError

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


def test_a_bad_system_row_is_named_and_nothing_lands(operator):
    """An unknown customer among our own rows is an error, not a quarantine."""
    operator.land()
    with pytest.raises(DataError, match="unknown_customer:customer_id"):
        land_rows(operator.home, "contacts", contacts(("1", "a", "x"), ("77", "b", "x")), arrived_at=MADE)
    assert not operator.open().has("contacts")


def test_system_rows_need_landed_customers(operator):
    """Before the first delivery no customer is known."""
    with pytest.raises(NotReadyError, match="insight ingest"):
        land_rows(operator.home, "contacts", contacts(("1", "a", "x")), arrived_at=MADE)
