"""Random histories of a few customers in every feed: late rows, corrected rows, unknown values, equal instants."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

from features.feeds.contracts import FEEDS
from features.feeds.schema import Grain

AS_OF = date(2026, 6, 8)
TOPICS = ("network", "billing", "unknown_charge", "porting", "cancelling", "data_plan", "contract", "roaming", None)
CHANNELS = ("app", "web", "hall", "ivr", "message")
GENERATIONS = ("2G", "3G", "4G", "5G", None)
MB = 1024
NOW = datetime(2026, 6, 7, 23)  # noqa: DTZ001 - civil time


def random_world(world: Any, seed: int, customers: Sequence[str]) -> Any:
    """Fills a world with the customers' random events; a third of the rows are corrected, early or late."""
    dice = random.Random(seed)
    _catalogue(world, dice)
    for customer in customers:
        _history(world, dice, customer)
    return world


def _history(world: Any, dice: random.Random, customer: str) -> None:
    """Adds everything that happened to a customer."""
    _states(world, dice, customer)
    for day in range(0, dice.choice((8, 31, 91, 200)), dice.choice((1, 2))):
        _event(world, dice, "usage_daily", customer, NOW - timedelta(days=day))
    for day in range(dice.randrange(3), dice.choice((7, 30, 31, 100)), dice.choice((1, 3))):
        _event(world, dice, "network_experience", customer, NOW - timedelta(days=day))
    for feed, most in EVENTS.items():
        for _ in range(dice.randrange(most)):
            at = NOW - timedelta(days=dice.randrange(-2, 500 if most < 6 else 200), seconds=dice.randrange(86400))
            _event(world, dice, feed, customer, at)
    for months in range(-1, dice.choice((1, 9, 16))):
        for feed in ("bills", "usage_monthly"):
            if dice.random() < 0.9:
                _event(world, dice, feed, customer, months_before(months))
    for index in range(dice.randrange(12)):
        _order(world, dice, customer, index)
    for index in range(dice.randrange(8)):
        _ticket(world, dice, customer, index)


EVENTS = {"hotline_calls": 14, "channel_contacts": 20, "pack_orders": 8, "roaming_sessions": 8, "surveys": 4, "contacts": 5, "port_requests": 3}  # fmt: skip


def months_before(months: int) -> datetime:
    """Returns the first day of a month so many before the as-of date's last but one."""
    whole = 2026 * 12 + 4 - months
    return datetime(whole // 12, whole % 12 + 1, 1)  # noqa: DTZ001 - civil time


def _catalogue(world: Any, dice: random.Random) -> None:
    for index in range(12):
        for since, until in (("2024-01-01", None), ("2026-03-01", dice.choice((None, "2026-06-07", "2026-06-08", "2026-07-01"))))[: dice.choice((1, 2))]:  # fmt: skip
            world.add(
                "plans", None, since, plan_id=f"p{index}", valid_from=since, valid_until=until, monthly_fee=dice.randrange(200) * 1000,
                generation=dice.choice(GENERATIONS), voice_minutes=dice.choice((None, 0, 100)), data_kb=dice.choice((None, 0, 5000 * MB, 9000 * MB)),
                throttle_after_kb=dice.choice((None, None, 4000 * MB)),
            )  # fmt: skip
    for pack, scope in (("home", "domestic"), ("abroad", "roaming"), ("odd", None)):
        world.add("packs", None, "2024-01-01", pack_id=pack, scope=scope, data_kb=1, price=1, valid_from="2024-01-01")
    for index in range(6):
        at = NOW - timedelta(days=dice.randrange(30))
        for _ in range(dice.choice((1, 2))):
            world.add(
                "network_faults", None, f"{at}", fault_id=f"F{index}", grid=dice.choice(("G1", "G1", "G2")),
                repaired_at=dice.choice((None, f"{at + timedelta(hours=dice.randrange(99))}")),
            )  # fmt: skip
            at += timedelta(days=2)


def _states(world: Any, dice: random.Random, customer: str) -> None:
    for at in sorted(dice.sample(("2025-01-01", "2025-09-01", "2026-05-30", "2026-06-01"), dice.choice((1, 2, 3)))):
        world.customer(
            customer, at=at, activated_on=dice.choice((None, "2024-01-01", at)), kind=dice.choice(("consumer", "corporate", None)),
            status=dice.choice(("active", "suspended_request")), vip_tier=dice.choice(("gold", None)), province=dice.choice(("Hebei", None)),
            birth_year=dice.choice((None, 1988)), device_generation=dice.choice(GENERATIONS), device_since=dice.choice((None, at)),
            grid=dice.choice(("G1", None)),
        )  # fmt: skip
    for member in (customer, f"{customer}2", f"{customer}3", f"{customer}4"):
        _member(world, dice, f"a{customer}", member, is_self=member == customer)
    for since in ("2025-06-08", "2026-01-01")[: dice.randrange(3)]:
        ported = dice.choice((None, since))
        world.add("number_flags", customer, since, valid_from=f"{since} 00:00", ported_in_on=ported, is_verified=True)
    for service in ("broadband", "tv"):
        for _ in range(dice.randrange(4)):
            then = NOW - timedelta(days=dice.randrange(150))
            world.add(
                "fixed_services", customer, f"{then}", service=service, status=dice.choice(("active", "closed", None)),
                contracted_kbps=dice.choice((None, 0, 100000)), measured_kbps=dice.choice((None, 50000)), faults=dice.choice((None, 0, 2)),
                last_active_on=dice.choice((None, f"{then:%Y-%m-%d}")),
            )  # fmt: skip


def _member(world: Any, dice: random.Random, account: str, member: str, *, is_self: bool) -> None:
    """Links a subscription to an account; others than the customer's own may begin late, and end one way or both."""
    ends = (None, None, "2026-06-07", "2026-06-08", "2026-06-09", "2026-03-01", "2026-03-10", "2026-03-11")
    until = None if is_self else dice.choice(ends)
    since = dice.choice(("2025-06-08", "2026-06-08", "2026-06-20")) if until is None and not is_self else "2025-06-08"
    world.add(
        "person_links", member, "2025-06-08", person_id="p", account_id=account, valid_from=since, valid_until=until
    )
    if not is_self and dice.random() < 0.4:
        at = NOW - timedelta(days=dice.choice((-1, 0, 3, 89, 90, 91)))
        world.add("terminations", member, f"{at}", reason="cancel")


def _order(world: Any, dice: random.Random, customer: str, index: int) -> None:
    """Adds an order in one state or two; the second one may come months later with another end."""
    ago = timedelta(days=dice.randrange(dice.choice((60, 400))), seconds=dice.randrange(86400))
    ordered = NOW - ago
    next_month = date(ordered.year + ordered.month // 12, ordered.month % 12 + 1, 1)
    effective = dice.choice((ordered.date(), next_month, next_month + timedelta(days=30)))
    at = ordered
    for _ in range(dice.choice((1, 2))):
        ends = {
            name: dice.choice((None, f"{ordered.date() + timedelta(days=dice.randrange(700))}"))
            for name in ("contract_end", "discount_end")
        }
        world.add(
            "subscriptions", customer, f"{at}", known=f"{at + timedelta(hours=dice.randrange(1, 72))}", plan_id=f"p{index}",
            ordered_at=f"{ordered}", effective_on=f"{effective}", discount_amount=dice.choice((None, 9000)),
            contract_type=dice.choice(("none", "handset", None)), **ends,
        )  # fmt: skip
        at += timedelta(days=dice.randrange(1, 90))


def _ticket(world: Any, dice: random.Random, customer: str, index: int) -> None:
    """Adds a ticket in one state or several."""
    opened = NOW - timedelta(days=dice.randrange(dice.choice((40, 200, 450))), seconds=dice.randrange(86400))
    kind, at = dice.choice(("complaint", "complaint", "enquiry")), opened
    for status in ("open", "closed", "reopened", "closed")[: dice.randrange(1, 5)]:
        world.add(
            "tickets", customer, f"{at}", ticket_id=f"{customer}{index}", kind=kind, status=status,
            opened_at=dice.choice((f"{opened}", f"{opened}", None)), due_at=dice.choice((None, f"{opened + timedelta(days=2)}")),
            closed_at=f"{at}" if status == "closed" else None, satisfaction=dice.choice((None, 3, 6, 7)) if status == "closed" else None,
        )  # fmt: skip
        at += timedelta(days=dice.randrange(1, 20))


def _event(world: Any, dice: random.Random, feed: str, customer: str, at: datetime) -> None:
    contract, index = FEEDS[feed], len(world.rows.get(feed, []))
    late = {
        Grain.MONTH: timedelta(days=36),
        Grain.DAY: timedelta(days=1, hours=6),
        Grain.INSTANT: timedelta(minutes=dice.randrange(4000)),
    }[contract.grain]
    if contract.grain is not Grain.INSTANT:
        at = at.replace(hour=0)
    known = at + late
    key = {contract.period: f"{at:%Y-%m-%d}"} if contract.period else {"event_id": f"{feed}{index}"}
    values = _VALUES[feed]
    if dice.random() < 0.35:
        later = known + timedelta(days=dice.randrange(1, 60))
        world.add(feed, customer, f"{at}", known=f"{known}", until=f"{later}", **values(dice, index, at), **key)
        if dice.random() < 0.8:
            world.add(feed, customer, f"{at}", known=f"{later}", **values(dice, index, at), **key)
    else:
        world.add(feed, customer, f"{at}", known=f"{known}", **values(dice, index, at), **key)


def _bill(dice: random.Random, index: int, at: datetime) -> dict[str, Any]:
    due = at + timedelta(days=50, hours=dice.choice((0, 12)))
    paid = dice.choice((None, due - timedelta(days=3), due + timedelta(hours=2), due + timedelta(days=4)))
    return {
        "total": dice.choice((dice.randrange(20000, 300000), dice.randrange(20000, 300000), -500)),
        "overage_fee": dice.choice((0, None, 9000)),
        "value_added_fee": dice.choice((None, 0, 8000)),
        "value_added_item": dice.choice((None, None, "ringtone", "book")),
        "due_at": dice.choice((None, f"{due}", f"{due}")),
        "paid_at": paid and f"{paid}",
        "arrears": dice.choice((None, 0, 700)),
    }


_VALUES = {
    "usage_daily": lambda dice, *_: {"voice_seconds": dice.choice((0, None, dice.randrange(4000))), "offnet_seconds": dice.choice((None, 10)), "data_kb": dice.choice((0, None, dice.randrange(3_000_000))), "night_data_kb": dice.randrange(1000), "sms_count": dice.choice((0, None, 3))},
    "usage_monthly": lambda dice, *_: {"data_kb": dice.choice((None, 0, dice.randrange(9000) * MB)), "billed_minutes": dice.choice((None, dice.randrange(200))), "is_throttled": dice.choice((None, None, True, False))},
    "network_experience": lambda dice, *_: {"drops": dice.choice((None, 0, 2)), "stalls": dice.choice((None, 0, 5)), "weak_signal_minutes": dice.choice((None, 9))},
    "hotline_calls": lambda dice, index, _: {"call_id": str(index), "topic": dice.choice(TOPICS), "agent": dice.choice((True, True, False, None)), "resolved": dice.choice((True, False, None)), "wait_seconds": dice.choice((None, dice.randrange(900))), "talk_seconds": dice.choice((None, 0, 60))},
    "channel_contacts": lambda dice, *_: {"channel": dice.choice(CHANNELS), "succeeded": dice.choice((True, False, None)), "purpose": "bill"},
    "pack_orders": lambda dice, *_: {"pack_id": dice.choice(("home", "abroad", "odd", "unknown")), "price": dice.choice((None, dice.randrange(50000))), "data_kb": 1},
    "roaming_sessions": lambda dice, *_: {"area": "HK", "international": dice.choice((True, True, None, False)), "fee": dice.choice((None, dice.randrange(90000))), "with_pack": dice.choice((True, False, None)), "data_kb": 5},
    "surveys": lambda dice, *_: {"survey": "nps", "score": dice.randrange(11)},
    "contacts": lambda dice, index, _: {"contact_id": str(index), "action": "service_review", "arm": dice.choice(("treated", "control", None))},
    "port_requests": lambda *_: {"step": "enquiry"},
    "bills": _bill,
}  # fmt: skip
