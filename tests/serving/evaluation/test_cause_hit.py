"""A reason is a hit only if it names the true cause of an event in the window, and the cause came before."""

from __future__ import annotations

from datetime import date

import pyarrow as pa

from features.kit.clock import DateWindow
from serving.evaluation.causes import CauseHit, cause_hit, true_causes

JUNE = DateWindow(date(2026, 6, 1), date(2026, 7, 1))


def at(day: int, month: int = 6) -> date:
    """Returns a day of 2026."""
    return date(2026, month, day)


ROWS = [
    # customer, event, when, true cause, cause's day
    ("in_window", "churn", at(5), "usage.falling", at(20, 5)),
    ("before", "churn", at(31, 5), "usage.falling", at(20, 5)),
    ("after", "churn", at(1, 7), "usage.falling", at(20, 5)),
    ("cause_later", "churn", at(9), "bill.jump", at(1)),
    ("lasting", "churn", at(1), "usage.idle_allowance", None),
    ("no_cause", "churn", at(9), "mixed.no_single_cause", None),
    ("other_event", "complaint", at(9), "bill.jump", at(20, 5)),
    ("twice", "complaint", at(20), "bill.jump", at(20, 5)),
    ("twice", "complaint", at(3), "network.poor_quality", at(29, 5)),
]


def causes() -> pa.Table:
    """Returns the oracle's table."""
    names = ("customer_id", "event", "event_at", "cause", "cause_at")
    return pa.table(dict(zip(names, map(list, zip(*ROWS, strict=True)), strict=True)))


def test_only_causes_before_the_date_of_events_in_the_window_count():
    """Events outside, later causes, no cause and other events are left out; a lasting cause counts; of two events the first."""
    assert true_causes(causes(), "churn", JUNE) == {
        "in_window": "usage.falling", "lasting": "usage.idle_allowance",
    }  # fmt: skip
    assert true_causes(causes(), "complaint", JUNE) == {
        "other_event": "bill.jump", "twice": "network.poor_quality",
    }  # fmt: skip


def test_a_hit_names_the_cause_and_who_has_no_portrait_does_not_count():
    """Two of three customers with reasons are hits; without events the share is not a number."""
    truth = {"a": "bill.jump", "b": "bill.jump", "c": "usage.falling", "gone": "bill.jump"}
    shown = {"a": ["bill.jump"], "b": ["usage.falling", "calls.frequent"], "c": ["x", "y", "usage.falling"]}
    facts = {"a": {"bill.jump"}, "b": {"usage.falling", "bill.jump"}, "c": {"usage.falling"}}
    found = cause_hit(truth, shown, facts)
    assert found == CauseHit(events=3, visible=3, hits=2)
    assert (found.share, found.visible_share) == (0.6667, 1.0)
    assert cause_hit(truth, shown, {"b": {"calls.frequent"}}).visible == 0
    assert cause_hit({}, shown, facts).share is None
