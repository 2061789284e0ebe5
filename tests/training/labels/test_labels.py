"""A label is what is known at the label date about the half-open window, dated as the target's file says."""

from datetime import date, timedelta
from pathlib import Path

import pytest

from features.kit.errors import ConfigurationError
from training.labels.spine import spine
from training.labels.targets import known_targets, label_date, load_target, read_target

D = date(2026, 3, 10)
"""The as-of date of every test: churn counts 2026-03-10 to 2026-04-08, as known on 2026-05-09."""


def customers(*ids: str) -> list[dict]:
    """Returns consumers who have been active for years."""
    return [
        {
            "customer_id": one,
            "event_at": "2024-01-01",
            "activated_on": "2023-01-01",
            "kind": "consumer",
            "status": "active",
        }
        for one in ids
    ]


def used(customer: str, *days: str) -> list[dict]:
    """Returns days with a call, known on the next morning."""
    return [
        {"customer_id": customer, "day": day, "event_at": day, "voice_seconds": 60,
         "known_at": f"{date.fromisoformat(day) + timedelta(days=1)} 06:00:00"}
        for day in days
    ]  # fmt: skip


def span(start: str, end: str, every: int = 5) -> list[str]:
    """Returns every fifth date of a half-open span."""
    first, last = date.fromisoformat(start), date.fromisoformat(end)
    return [str(first + timedelta(days=k)) for k in range(0, (last - first).days, every)]


def labels(history, target: str, as_of: date = D) -> dict[str, tuple[int, str]]:
    """Returns label and kind by customer."""
    found = spine(history, load_target(target), [as_of])
    return {row["customer_id"]: (row["label"], row["kind"]) for row in found.table.to_pylist()}


def test_silence_is_dated_at_the_last_use_in_a_half_open_window(world):
    """Last uses on the first and the last day of the window count; the day before is decided, the day after is not."""
    regular = span("2026-02-01", "2026-03-09")
    history = world(
        customers=customers("before", "first", "last", "after", "stays"),
        usage_daily=[
            *used("before", *regular, "2026-03-09"),
            *used("first", *regular, "2026-03-10"),
            *used("last", *regular, *span("2026-03-10", "2026-04-08"), "2026-04-08"),
            *used("after", *regular, *span("2026-03-10", "2026-04-09"), "2026-04-09"),
            *used("stays", *regular, *span("2026-03-10", "2026-05-09")),
        ],
    )
    expected = {"first": (1, "silent"), "last": (1, "silent"), "after": (0, ""), "stays": (0, "")}
    assert labels(history, "churn") == expected


def test_a_pause_of_thirty_days_is_silence_even_if_the_customer_returns(world):
    """Thirty unused days count, twenty-nine do not, whatever follows."""
    history = world(
        customers=customers("thirty", "twenty_nine"),
        usage_daily=[
            *used("thirty", "2026-03-05", "2026-03-15", "2026-04-15", *span("2026-04-16", "2026-05-09")),
            *used("twenty_nine", "2026-03-05", "2026-03-15", "2026-04-14", *span("2026-04-15", "2026-05-09")),
        ],
    )
    assert labels(history, "churn") == {"thirty": (1, "silent"), "twenty_nine": (0, "")}


def test_the_earliest_event_counts_and_gives_the_kind(world):
    """A termination is dated at the last use; on the same day it goes before the silence it causes."""
    steady = span("2026-02-20", "2026-05-09")
    history = world(
        customers=customers("cancels", "ports", "arrears", "deceased"),
        usage_daily=[row for one in ("cancels", "ports", "arrears", "deceased") for row in used(one, *steady)],
        terminations=[
            {"customer_id": "cancels", "event_at": "2026-04-20", "last_used_on": "2026-03-20", "reason": "cancel"},
            {"customer_id": "ports", "event_at": "2026-03-25 03:00:00", "reason": "port_out"},
            {"customer_id": "arrears", "event_at": "2026-05-08", "last_used_on": "2026-04-08", "reason": "arrears"},
            {"customer_id": "deceased", "event_at": "2026-03-25", "reason": "deceased"},
        ],
    )
    assert labels(history, "churn") == {
        "cancels": (1, "voluntary"),
        "ports": (1, "voluntary"),
        "arrears": (1, "involuntary"),
        "deceased": (0, ""),
    }


def test_an_event_counts_only_if_it_is_known_at_the_label_date(world):
    """A closure recorded one second too late is no label; its correction after the label date changes nothing."""
    assert label_date(load_target("churn"), D) == date(2026, 5, 9)
    steady = span("2026-02-20", "2026-05-09")
    known, late = "2026-05-08 15:59:59", "2026-05-08 16:00:00"  # UTC; in Shanghai 23:59:59 and 00:00 of the 9th
    end = {"event_at": "2026-03-20", "reason": "cancel"}
    history = world(
        customers=customers("known", "late", "withdrawn", "withdrawn_late"),
        usage_daily=[r for one in ("known", "late", "withdrawn", "withdrawn_late") for r in used(one, *steady)],
        terminations=[
            {"customer_id": "known", "known_at": known} | end,
            {"customer_id": "late", "known_at": late} | end,
            {"customer_id": "withdrawn", "superseded_at": known} | end,
            {"customer_id": "withdrawn_late", "superseded_at": late} | end,
        ],
    )
    found = {one: label for one, (label, _) in labels(history, "churn").items()}
    # Whoever's termination was known before the as-of date would not be in the cohort; here all were known after it.
    assert found == {"known": 1, "late": 0, "withdrawn": 0, "withdrawn_late": 1}


def test_a_complaint_is_the_first_ticket_of_that_kind(world):
    """An enquiry is none; a ticket that only changes state in the window was opened before it."""
    history = world(
        customers=customers("complains", "asks", "reopened", "edge"),
        tickets=[
            {"ticket_id": "1", "customer_id": "complains", "kind": "complaint", "status": "open", "event_at": "2026-03-20"},
            {"ticket_id": "1", "customer_id": "complains", "kind": "complaint", "status": "closed", "event_at": "2026-03-22"},
            {"ticket_id": "2", "customer_id": "asks", "kind": "enquiry", "status": "open", "event_at": "2026-03-20"},
            {"ticket_id": "3", "customer_id": "reopened", "kind": "complaint", "status": "open", "event_at": "2026-02-20"},
            {"ticket_id": "3", "customer_id": "reopened", "kind": "complaint", "status": "closed", "event_at": "2026-03-01"},
            {"ticket_id": "3", "customer_id": "reopened", "kind": "complaint", "status": "reopened", "event_at": "2026-03-15"},
            # 16:00 UTC on the 8th is 00:00 on the 9th of April in Shanghai, just after the window.
            {"ticket_id": "4", "customer_id": "edge", "kind": "complaint", "status": "open", "event_at": "2026-04-08 16:00:00"},
        ],
    )  # fmt: skip
    assert labels(history, "complaint") == {
        "complains": (1, "complaint"),
        "asks": (0, ""),
        "reopened": (0, ""),
        "edge": (0, ""),
    }


def test_an_upgrade_is_the_order_of_a_dearer_or_a_first_5g_plan(world):
    """The order counts, not the day on which it takes effect; a cheaper 4G plan or a cheaper second 5G plan does not."""
    plans = [
        {"plan_id": p, "monthly_fee": fee, "generation": g, "valid_from": "2020-01-01", "event_at": "2020-01-01"}
        for p, fee, g in (
            ("small", 58000, "4G"),
            ("big", 98000, "4G"),
            ("five", 50000, "5G"),
            ("five_plus", 129000, "5G"),
        )
    ]

    def orders(customer: str, *chosen: tuple[str, str]) -> list[dict]:
        return [
            {"customer_id": customer, "plan_id": plan, "ordered_at": at, "event_at": at, "effective_on": "2026-04-01"}
            for plan, at in chosen
        ]

    history = world(
        customers=customers("dearer", "first_5g", "cheaper", "second_5g", "before", "new", "older_than_the_catalogue"),
        plans=plans,
        subscriptions=[
            *orders("dearer", ("small", "2025-01-01"), ("big", "2026-03-15")),
            *orders("first_5g", ("big", "2025-01-01"), ("five", "2026-03-15")),
            *orders("cheaper", ("big", "2025-01-01"), ("small", "2026-03-15")),
            *orders("second_5g", ("five_plus", "2025-01-01"), ("five", "2026-03-15")),
            *orders("before", ("small", "2025-01-01"), ("big", "2026-03-09 15:00:00")),
            *orders("new", ("big", "2026-03-15")),
            *orders("older_than_the_catalogue", ("small", "2015-01-01"), ("big", "2026-03-15")),
        ],
    )
    found = {one: label for one, (label, _) in labels(history, "upgrade").items()}
    assert {one for one, label in found.items() if label} == {"dearer", "first_5g", "older_than_the_catalogue"}
    assert {one for one, label in found.items() if not label} == {"cheaper", "second_5g", "before", "new"}


def test_dissatisfaction_is_learned_from_those_who_answered(world):
    """Six points are low, seven are not; who did not answer in the window has no label."""
    history = world(
        customers=customers("six", "seven", "silent", "earlier"),
        surveys=[
            {"customer_id": "six", "survey": "s", "score": 6, "event_at": "2026-03-20"},
            {"customer_id": "seven", "survey": "s", "score": 7, "event_at": "2026-03-20"},
            {"customer_id": "earlier", "survey": "s", "score": 1, "event_at": "2026-03-01"},
        ],
    )
    assert labels(history, "dissatisfaction") == {"six": (1, "low_score"), "seven": (0, "")}


def test_an_event_without_its_feed_is_skipped_and_said(world):
    """Without terminations churn is silence alone, and the report says so; without any event it is not supported."""
    history = world(customers=customers("a"), usage_daily=used("a", "2026-03-05", "2026-03-12"))
    found = spine(history, load_target("churn"), [D])
    assert found.skipped["cancel"] == "no feed terminations"
    assert found.labels.tolist() == [1]
    assert load_target("churn").supported({"customers"}) == ()
    assert load_target("dissatisfaction").supported({"customers"}) == ()


def test_every_shipped_target_is_whole_and_churn_waits_sixty_days():
    """The four targets load; their embargo is lead + horizon + label delay."""
    assert known_targets() == ("churn", "complaint", "dissatisfaction", "upgrade")
    assert [load_target(name).embargo_days for name in known_targets()] == [60, 30, 30, 30]


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("horizon_days: 30", "horizn_days: 30", "unknown key 'horizn_days'; did you mean 'horizon_days'"),
        ("lead_days: 0", "lead_days: -1", "'lead_days'"),
        ("  - name: complaint", "  - nam: complaint", "unknown key 'events.0.nam'; did you mean 'name'"),
        ("    sql: >", "    sql: >\n      DROP TABLE tickets;", "expected one SELECT"),
        ("  days_with_us: 90", "  days_with: 90", "did you mean 'days_with_us'"),
    ],
)
def test_a_wrong_target_file_is_one_line_that_names_the_key(tmp_path: Path, old: str, new: str, named: str):
    """A misspelt key, a wrong value and a dangerous statement are refused by name."""
    text = Path("configs/targets/complaint.yaml").read_text()
    assert old in text
    path = tmp_path / "complaint.yaml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(ConfigurationError) as caught:
        read_target(path)
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_set_flag_changes_one_key_or_names_the_wrong_one():
    """`--set learner.trees=300` is checked like the file."""
    churn = load_target("churn")
    assert churn.override({"learner.trees": "300"}).learner.trees == 300
    with pytest.raises(ConfigurationError, match="has no such key"):
        churn.override({"learner.tree": "300"})
    with pytest.raises(ConfigurationError, match=r"learner\.trees"):
        churn.override({"learner.trees": "many"})
    with pytest.raises(ConfigurationError, match="known targets: churn"):
        load_target("churm")
