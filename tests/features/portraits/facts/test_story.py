"""Classes, facts, card and report: what is said about a customer, and only when it holds."""

from __future__ import annotations

import json
from datetime import date

import orjson
import pytest

from features.kit.errors import ConfigurationError
from features.kit.home import Home
from features.portraits.facts.classes import class_rules
from features.portraits.facts.facts import facts
from features.portraits.facts.festivals import Festival, next_festival
from features.portraits.reading import Portraits
from features.portraits.settings import load_settings

REASON_CODES = {
    "calls.repeat_topic", "calls.frequent", "calls.leave_enquiry", "channel.self_service_failed", "bill.jump", "bill.overage",
    "bill.unknown_charge", "bill.arrears", "usage.falling", "usage.idle_allowance", "contract.ending", "contract.discount_ended",
    "packs.frequent", "data.throttled", "data.near_cap", "device.5g_on_old_plan", "roaming.bill_shock", "roaming.trip_expected",
    "network.poor_quality", "network.grid_fault", "broadband.fault", "tv.idle_before_festival", "service.recent_complaint",
    "service.ticket_overdue", "service.low_satisfaction", "household.line_closed",
}  # fmt: skip


def _story(built, customer):
    return json.loads(built.rows[customer]["facts"])


@pytest.mark.parametrize(
    ("customer", "reasons"),
    [
        ("calls", {
            "calls.repeat_topic": {"is_unsolved": True, "n": 2, "open": 0, "topic": "network"}, "calls.frequent": {"n": 4, "open": 0},
            "calls.leave_enquiry": {"n": 1},
        }),
        ("bills", {
            "bill.arrears": {"amount": 100000, "date": "2026-05-20", "days": 19, "status": "active"},
            "bill.jump": {"amount": 100000, "diff": 50000, "item": "overage_fee", "month": "2026-04"},
            "bill.overage": {"amount": 17000, "n": 2},
            "bill.unknown_charge": {"amount": 8000, "asked": None, "first_month": "2026-04", "item": "ringtone", "month": "2026-04"},
        }),
        ("contract", {
            "contract.ending": {"date": "2026-06-30"}, "calls.leave_enquiry": {"n": 1}, "device.5g_on_old_plan": {"days": 158},
        }),
        ("renewed", {"mixed.no_single_cause": {}}),
        ("packs", {"packs.frequent": {"amount": 20000, "n": 2}}),
        ("channels", {"channel.self_service_failed": {"is_done": False, "n": 2, "purpose": "bill"}, "roaming.trip_expected": {"asked": 1}}),
        ("roaming", {"roaming.bill_shock": {"amount": 60000}, "roaming.trip_expected": {"asked": 0}}),
        ("network", {"network.grid_fault": {"date": "2026-06-10", "ticket": "F1"}, "broadband.fault": {"n": 3}}),
        ("service", {
            "service.recent_complaint": {"date": "2026-05-20", "is_unsatisfied": True, "is_unsolved": False, "open": 2, "topic": "network"},
            "service.ticket_overdue": {"date": "2026-06-05", "hours": 62, "ticket": "T2", "topic": "billing"},
            "service.low_satisfaction": {"date": "2026-06-01", "is_newest": True, "score": 4},
        }),
        ("profile", {"household.line_closed": {"n": 2}}),
        ("use", {"mixed.no_single_cause": {}}),
        ("quiet", {"mixed.no_single_cause": {}}),
    ],
)  # fmt: skip
def test_a_fact_holds_with_the_customers_own_figures(example, customer, reasons):
    """Exactly the facts that the rows of a customer show hold, each slot filled from those rows."""
    assert _story(example, customer)["reasons"] == reasons


def test_every_reason_code_has_a_fact():
    """All codes of the catalogue but `mixed.no_single_cause`, which is the absence of the others, have a rule."""
    ours = facts(load_settings().limits, day=date(2026, 6, 8), money_scale=3, festival=Festival("x", date(2026, 6, 9)))
    assert {fact.code for fact in ours} == REASON_CODES
    assert [fact.code for fact in ours] == sorted(REASON_CODES)


def test_facts_are_canonical_json(example):
    """Sorted keys, nothing padded: reading and writing again gives the same text."""
    texts = [row["facts"] for row in example.rows.values()]
    assert any(len(text) > 100 for text in texts)
    assert texts == [orjson.dumps(orjson.loads(text), option=orjson.OPT_SORT_KEYS).decode() for text in texts]


def test_the_card_says_who_the_customer_is(example):
    """Plan, months, tier, open tickets, best channel and last contact are on the card."""
    assert _story(example, "profile")["card"] | {"needs": None} == {
        "arrears": 0, "arrears_due": None, "best_channel": None, "best_hours": None, "birth_year": 1988, "city": None, "contract_end": None,
        "grid": None, "kind": "consumer", "language": None, "last_bill": None, "last_contact": None, "mean_bill": None, "months_with_us": 12,
        "needs": None, "open_tickets": [], "plan_en": None, "plan_id": None, "plan_zh": None, "porting_step": None, "province": "Hebei",
        "status": "active", "vip_tier": "gold",
    }  # fmt: skip
    service = _story(example, "service")["card"]
    assert service["last_contact"] == {"action": "service_review", "on": "2026-05-09", "outcome": None}
    assert service["open_tickets"] == [
        {"due_at": "2026-06-05T02:00:00Z", "id": "T2", "kind": "complaint", "overdue_hours": 62, "topic": "billing"},
        {"due_at": "2026-06-09T02:00:00Z", "id": "T3", "kind": "enquiry", "overdue_hours": 0, "topic": "billing"},
    ]
    assert _story(example, "channels")["card"]["best_hours"] == [10, 19]
    assert _story(example, "contract")["card"]["porting_step"] == "enquiry"


@pytest.mark.parametrize(
    ("customer", "classes"),
    [
        ("service", ["complaint_sensitive"]),
        ("calls", ["repeat_caller", "assisted"]),
        ("bills", ["arrears_prone", "data_hungry"]),
        ("roaming", ["frequent_traveller", "occasional_traveller"]),
        ("channels", ["occasional_traveller"]),
        ("contract", ["contract_ending"]),
        ("packs", ["data_hungry"]),
        ("profile", ["high_value"]),
        ("quiet", ["self_served"]),
    ],
)
def test_the_first_rule_that_holds_is_primary(example, customer, classes):
    """The primary class is the first that holds in the configured order; the others are kept as `also`."""
    row = example.rows[customer]
    assert [row["primary_class"], *filter(None, row["also_classes"].split("|"))] == classes
    story = _story(example, customer)
    assert [story["class"], *story["also"]] == classes


def test_over_provisioned_bundled_and_assisted(world, build):
    """Three idle months; a long contract with another line; calls to agents only."""
    gb = 1024 * 1024
    world.add("plans", None, "2024-01-01", plan_id="p", monthly_fee=1, data_kb=10 * gb, valid_from="2024-01-01")
    for customer in ("idle", "bundled", "assisted", "self"):
        world.customer(customer)
    for month in ("2026-02-01", "2026-03-01", "2026-04-01"):
        world.add("usage_monthly", "idle", month, known="2026-05-06", data_kb=2 * gb, billed_minutes=0)
    world.add("subscriptions", "idle", "2024-01-01", plan_id="p", ordered_at="2024-01-01", effective_on="2024-01-01")
    world.add(
        "subscriptions",
        "bundled",
        "2024-01-01",
        plan_id="p",
        ordered_at="2024-01-01",
        effective_on="2024-01-01",
        contract_end="2026-12-31",
    )
    world.add("fixed_services", "bundled", "2026-01-01", service="broadband", status="active")
    world.add("hotline_calls", "assisted", "2026-05-01", call_id="1", agent=True, topic="other")
    world.add("channel_contacts", "self", "2026-05-01", channel="app", succeeded=True)
    found = {customer: row["primary_class"] for customer, row in build(world).rows.items()}
    assert found == {"idle": "over_provisioned", "bundled": "bundled", "assisted": "assisted", "self": "self_served"}
    assert _story(build(world), "idle")["reasons"] == {"usage.idle_allowance": {"pct": 20}}


def test_without_contact_feeds_the_rest_is_unclassified(world, build, tmp_path):
    """Nothing is guessed about channels that no feed tells of; the report names the classes that it could not judge."""
    world.customer("A")
    world.add("bills", "A", "2026-04-01", known="2026-05-06", total=10000)
    assert build(world).of("A", "primary_class", "also_classes") == {
        "primary_class": "unclassified",
        "also_classes": "",
    }
    report = Portraits.open(Home(tmp_path / "home0")).class_report(date(2026, 6, 8))
    assert {"assisted", "self_served", "complaint_sensitive"} < set(report["not_evaluable"])
    assert report["classes"][-1]["class"] == "unclassified"


def test_class_report_says_too_few_below_thirty(world, build, tmp_path):
    """Thirty customers who called once make a line; 29 silent ones are too few for any figure."""
    for number in range(30):
        world.customer(f"caller{number}")
        world.add("hotline_calls", f"caller{number}", "2026-06-01", call_id=str(number), agent=True, topic="billing")
    for number in range(29):
        world.customer(f"silent{number}")
    world.add("hotline_calls", "caller0", "2026-05-11", call_id="x", agent=True, topic="network")
    build(world)
    report = Portraits.open(Home(tmp_path / "home0")).class_report(date(2026, 6, 8))
    lines = {line["class"]: line for line in report["classes"]}
    assisted = lines["assisted"]
    assert (assisted["size"], assisted["repeat_ratio"]) == (30, pytest.approx(31 / 30))
    assert assisted["manual_calls_per_1000"] == pytest.approx(31 / 30 * 1000)
    assert assisted["top_topics"] == ["billing", "network"]
    assert assisted["complaints_per_1000"] is None
    assert (lines["self_served"]["size"], lines["self_served"]["repeat_ratio"]) == (29, "too few")


def test_an_order_that_forgets_a_class_is_refused():
    """The error names the class."""
    rules = load_settings().classes
    with pytest.raises(ConfigurationError, match="bundled"):
        class_rules(rules.model_copy(update={"order": tuple(one for one in rules.order if one != "bundled")}), 3)


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        (date(2026, 2, 11), Festival("spring_festival", date(2026, 2, 17))),
        (date(2026, 9, 26), Festival("national_day", date(2026, 10, 1))),
        (date(2026, 7, 15), None),
    ],
)
def test_the_next_festival_within_a_week(day, expected):
    """The first day of the festival itself counts, not days off moved around it."""
    assert next_festival(day, 7) == expected


# fmt: off
def _call(at, resolved=None, topic="network"):
    return ("hotline_calls", at, {"topic": topic, "agent": True, "resolved": resolved})


def _ticket(at, status, **more):
    return ("tickets", at, {"ticket_id": "T", "kind": "complaint", "topic": "network", "status": status, "opened_at": "2026-05-20 10:00"} | more)


def _bill(month, item=None):
    return ("bills", month, {"known": f"{month[:8]}28", "total": 60_000, "value_added_fee": 8_000 if item else 0, "value_added_item": item})


TENSES = {
    "the last call was solved": (
        [_call("2026-06-05 09:00", False), _call("2026-06-06 09:00", True), _ticket("2026-05-20 10:00", "open", topic="billing")],
        "calls.repeat_topic", {"is_unsolved": False, "n": 2, "open": 1, "topic": "network"}),
    "the last call was not solved": (
        [_call("2026-06-05 09:00", True), _call("2026-06-06 09:00", False)],
        "calls.repeat_topic", {"is_unsolved": True, "n": 2, "open": None, "topic": "network"}),
    "nobody marked the last call": (
        [_call("2026-06-05 09:00", True), _call("2026-06-06 09:00")],
        "calls.repeat_topic", {"is_unsolved": None, "n": 2, "open": None, "topic": "network"}),
    "a ticket on the topic is open": (
        [_call("2026-06-05 09:00", True), _call("2026-06-06 09:00", True), _ticket("2026-05-20 10:00", "open")],
        "calls.repeat_topic", {"is_unsolved": True, "n": 2, "open": 1, "topic": "network"}),
    "the ticket was closed": (
        [_call(f"2026-06-0{day} 09:00", True) for day in (4, 5, 6)] + [_ticket("2026-05-20 10:00", "open"), _ticket("2026-05-21 10:00", "closed")],
        "calls.frequent", {"n": 3, "open": 0}),
    "charged for eleven months": (
        [_bill(f"{month}-01", None if month == "2025-06" else "ringtone") for month in ("2025-06", "2025-07", "2025-12", "2026-04")]
        + [_call("2026-06-05 09:00", topic="unknown_charge")],
        "bill.unknown_charge", {"amount": 8_000, "asked": 1, "first_month": "2025-07", "item": "ringtone", "month": "2026-04"}),
    "charged on every bill known": (
        [_bill(f"{month}-01", "ringtone") for month in ("2026-03", "2026-04")] + [_call("2026-06-05 09:00", topic="unknown_charge")],
        "bill.unknown_charge", {"amount": 8_000, "asked": 1, "first_month": None, "item": "ringtone", "month": "2026-04"}),
    "failed, then done": (
        [("channel_contacts", f"2026-06-0{day} 10:00", {"channel": "app", "purpose": "order", "succeeded": day == 6}) for day in (4, 5, 6)],
        "channel.self_service_failed", {"is_done": True, "n": 2, "purpose": "order"}),
    "something else was done": (
        [("channel_contacts", f"2026-06-0{day} 10:00", {"channel": "app", "purpose": "query" if day == 6 else "order", "succeeded": day == 6}) for day in (4, 5, 6)],
        "channel.self_service_failed", {"is_done": False, "n": 2, "purpose": "order"}),
    "opened again": (
        [_ticket("2026-05-20 10:00", "open"), _ticket("2026-05-25 10:00", "reopened")],
        "service.recent_complaint", {"date": "2026-05-20", "is_unsatisfied": False, "is_unsolved": True, "open": 1, "topic": "network"}),
    "a better rating came later": (
        [("surveys", "2026-05-20 10:00", {"survey": "nps", "score": 3}), ("surveys", "2026-06-01 10:00", {"survey": "nps", "score": 9})],
        "service.low_satisfaction", {"date": "2026-05-20", "is_newest": False, "score": 3}),
    "suspended": (
        [("bills", "2026-04-01", {"known": "2026-05-21", "total": 5_000, "due_at": "2026-05-20"})],
        "bill.arrears", {"amount": 5_000, "date": "2026-05-20", "days": 19, "status": "suspended_arrears"}),
}
# fmt: on


@pytest.mark.parametrize("case", TENSES)
def test_a_fact_says_how_the_matter_stands(world, build, case):
    """Solved or not, since when, done meanwhile: from the newest rows, and unknown where no row tells."""
    rows, code, slots = TENSES[case]
    world.customer("A", status="suspended_arrears" if case == "suspended" else "active")
    for feed, at, columns in rows:
        own = {"call_id": at} if feed == "hotline_calls" else {}
        world.add(feed, "A", at, **own, **columns)
    assert _story(build(world), "A")["reasons"][code] == slots


def test_a_repair_is_promised_for_the_last_open_fault_and_never_for_the_past(world, build):
    """Two open faults end with the later one; one whose repair is overdue promises nothing."""
    for customer, grid in (("both", "G1"), ("late", "G2")):
        world.customer(customer, grid=grid)
    for fault, grid, repair in (("F1", "G1", "2026-06-09"), ("F2", "G1", "2026-06-11"), ("F3", "G2", "2026-06-07")):
        world.add("network_faults", None, "2026-06-01 08:00", fault_id=fault, grid=grid, expected_repair_on=repair)
    built = build(world)
    assert _story(built, "both")["reasons"]["network.grid_fault"] == {"date": "2026-06-11", "ticket": "F2"}
    assert _story(built, "late")["reasons"] == {"mixed.no_single_cause": {}}
