"""The cohort is who care may still win: rule by rule, as known on the as-of date, and nothing is guessed."""

from datetime import date

from training.labels.targets import CohortRules

D = date(2026, 3, 10)
GOOD = {"event_at": "2024-01-01", "activated_on": "2023-01-01", "kind": "consumer", "status": "active"}
RULES = CohortRules(no_open_ticket="complaint")


def in_cohort(history, rules: CohortRules = RULES) -> list[str]:
    """Returns the eligible customers."""
    return history.cohort(rules, D).customers.to_pylist()


def test_each_rule_refuses_its_own(world):
    """Corporate, suspended, closed, new, idle, porting and complaining customers are out, each by its own rule."""
    ids = ("good", "corporate", "suspended", "closed", "new", "idle", "porting", "complaining", "left")
    changed = {
        "corporate": {"kind": "corporate"},
        "suspended": {"status": "suspended_arrears"},
        "closed": {"status": "closed"},
        "new": {"activated_on": "2025-12-11"},
    }
    history = world(
        customers=[{"customer_id": one} | GOOD | changed.get(one, {}) for one in ids],
        usage_daily=[
            {"customer_id": one, "day": "2026-02-07" if one == "idle" else "2026-02-08", "event_at": "2026-02-09", "data_kb": 1}
            for one in ids
        ],
        port_requests=[
            {"customer_id": "porting", "step": "application", "event_at": "2026-02-01"},
            {"customer_id": "good", "step": "enquiry", "event_at": "2026-02-01"},
        ],
        tickets=[
            {"ticket_id": "1", "customer_id": "complaining", "kind": "complaint", "status": "open", "event_at": "2026-03-01"},
            {"ticket_id": "2", "customer_id": "good", "kind": "complaint", "status": "open", "event_at": "2026-03-01"},
            {"ticket_id": "2", "customer_id": "good", "kind": "complaint", "status": "closed", "event_at": "2026-03-02"},
        ],
        terminations=[{"customer_id": "left", "reason": "cancel", "event_at": "2026-03-01"}],
    )  # fmt: skip
    found = history.cohort(RULES, D)
    assert found.customers.to_pylist() == ["good"]
    assert found.known == 7
    assert found.dropped == {
        "kind": 1,
        "not_suspended": 1,
        "days_with_us": 1,
        "active": 1,
        "not_porting": 1,
        "no_open_ticket": 1,
    }
    assert found.skipped == {}


def test_only_what_was_known_before_the_as_of_date_counts(world):
    """A suspension, a complaint and a departure that are recorded later do not change the past cohort."""
    late = {"known_at": "2026-03-09 16:00:00"}  # 00:00 of the as-of date in Shanghai
    history = world(
        customers=[
            {"customer_id": "a"} | GOOD,
            {"customer_id": "a"} | GOOD | {"event_at": "2026-03-05", "status": "suspended_request"} | late,
        ],
        tickets=[
            {"ticket_id": "1", "customer_id": "a", "kind": "complaint", "status": "open", "event_at": "2026-03-01"}
            | late
        ],
        terminations=[{"customer_id": "a", "reason": "cancel", "event_at": "2026-03-01"} | late],
    )
    assert in_cohort(history) == ["a"]


def test_the_newest_known_state_counts(world):
    """A customer who was suspended and is active again is in; a superseded row is out of sight."""
    history = world(
        customers=[
            {"customer_id": "a"} | GOOD | {"status": "suspended_arrears"},
            {"customer_id": "a"} | GOOD | {"event_at": "2026-01-01"},
            {"customer_id": "b"} | GOOD,
            {"customer_id": "b"} | GOOD | {"event_at": "2026-01-01", "status": "closed", "superseded_at": "2026-02-01"},
        ]
    )
    assert in_cohort(history) == ["a", "b"]


def test_a_rule_without_its_feed_is_skipped_and_said(world):
    """With only the customers feed, the other rules are named as not applied and refuse nobody."""
    history = world(customers=[{"customer_id": "a"} | GOOD])
    found = history.cohort(RULES, D)
    assert found.customers.to_pylist() == ["a"]
    assert found.skipped == {
        "active": "no feed usage_daily",
        "not_porting": "no feed port_requests",
        "no_open_ticket": "no feed tickets",
    }


def test_where_nobody_has_a_first_day_the_rule_on_it_is_skipped(world):
    """An operator without activation dates keeps its cohort, and the rule is named; with some dates it holds."""
    undated = {"event_at": "2024-01-01", "activated_on": None}
    history = world(customers=[{"customer_id": one} | undated for one in ("a", "b")])
    found = history.cohort(CohortRules(), D)
    assert (found.customers.to_pylist(), found.skipped["days_with_us"]) == (["a", "b"], "no activated_on")
    assert "days_with_us" not in history.cohort(CohortRules(days_with_us=None), D).skipped
    history = world(customers=[{"customer_id": "a"} | undated, {"customer_id": "b"} | GOOD])
    assert in_cohort(history, CohortRules()) == ["b"]


def test_a_snapshot_needs_no_history(world):
    """A sample without activation dates or daily use is kept whole, and the two rules of history are named."""
    history = world(snapshot=True, customers=[{"customer_id": "a", "event_at": "2024-01-01"}], usage_daily=[])
    found = history.cohort(RULES, D)
    assert found.customers.to_pylist() == ["a"]
    assert {"active": "snapshot", "days_with_us": "snapshot"}.items() <= found.skipped.items()


def test_a_rule_can_be_switched_off(world):
    """A null rule refuses nobody and is not reported as skipped."""
    history = world(customers=[{"customer_id": "a"} | GOOD | {"activated_on": "2026-03-01"}])
    assert in_cohort(history) == []
    assert in_cohort(history, CohortRules(days_with_us=None)) == ["a"]
