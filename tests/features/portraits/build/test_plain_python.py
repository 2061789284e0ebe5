"""An independent, slow, row-by-row recomputation of features over random histories with late and corrected rows."""

from __future__ import annotations

import random
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

AS_OF = date(2026, 6, 8)
SHANGHAI = ZoneInfo("Asia/Shanghai")
TOPICS = ("network", "billing", "unknown_charge", "porting", "data_plan", None)
CHANNELS = ("app", "web", "hall", "ivr", "message")


def _random_world(world, seed):
    """Fills a world with three customers' random events; a third of the rows are corrected, early or late."""
    dice = random.Random(seed)
    for customer in ("A", "B", "C"):
        world.customer(customer)
        for day in range(0, 200, dice.choice((1, 2))):
            _event(world, dice, "usage_daily", customer, days=day, whole_day=True)
        for feed, number in (
            ("hotline_calls", 14),
            ("channel_contacts", 20),
            ("pack_orders", 6),
            ("roaming_sessions", 8),
            ("surveys", 4),
            ("contacts", 5),
        ):
            for _ in range(dice.randrange(number)):
                _event(world, dice, feed, customer, days=dice.randrange(-2, 200))
        for months in range(9):
            _event(world, dice, "bills", customer, months=months)
        for index in range(dice.randrange(3, 12)):
            _order(world, dice, customer, index)
    return world


def _order(world, dice, customer, index):
    """Adds an order in one state or two; the second one may come months later with another end."""
    ago = timedelta(days=dice.randrange(dice.choice((60, 400))), seconds=dice.randrange(86400))
    ordered = datetime(2026, 6, 7, 23) - ago  # noqa: DTZ001 - civil time
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
            ordered_at=f"{ordered}", effective_on=f"{effective}", discount_amount=dice.choice((None, 9000)), **ends,
        )  # fmt: skip
        at += timedelta(days=dice.randrange(1, 90))


def _event(world, dice, feed, customer, *, days=0, months=None, whole_day=False):
    at = datetime(2026, 6, 7) - timedelta(days=days)  # noqa: DTZ001 - civil time
    if months is not None:
        at = datetime(2025 + (12 + 4 - months) // 12, (12 + 4 - months) % 12 + 1, 1)  # noqa: DTZ001 - civil time
    elif not whole_day:
        at += timedelta(seconds=dice.randrange(86400))
    known = at + (
        timedelta(days=36)
        if months is not None
        else timedelta(days=1, hours=6)
        if whole_day
        else timedelta(minutes=dice.randrange(4000))
    )
    index = len(world.rows.get(feed, []))
    make = _VALUES[feed]
    extra = (
        {"period": f"{at:%Y-%m-%d}"}
        if months is not None
        else {"day": f"{at:%Y-%m-%d}"}
        if whole_day
        else {"event_id": f"{feed}{index}"}
    )
    if dice.random() < 0.35:
        later = known + timedelta(days=dice.randrange(1, 60))
        world.add(feed, customer, f"{at}", known=f"{known}", until=f"{later}", **make(dice, index), **extra)
        if dice.random() < 0.8:
            world.add(feed, customer, f"{at}", known=f"{later}", **make(dice, index), **extra)
    else:
        world.add(feed, customer, f"{at}", known=f"{known}", **make(dice, index), **extra)


_VALUES = {
    "usage_daily": lambda dice, _: {"voice_seconds": dice.choice((0, dice.randrange(4000))), "offnet_seconds": 10, "data_kb": dice.choice((0, dice.randrange(3_000_000))), "night_data_kb": dice.randrange(1000), "sms_count": dice.choice((0, 0, 3))},
    "hotline_calls": lambda dice, index: {"call_id": str(index), "topic": dice.choice(TOPICS), "agent": dice.random() < 0.7, "resolved": dice.choice((True, False, None)), "wait_seconds": dice.randrange(900), "talk_seconds": 60},
    "channel_contacts": lambda dice, _: {"channel": dice.choice(CHANNELS), "succeeded": dice.choice((True, False, None)), "purpose": "bill"},
    "pack_orders": lambda dice, _: {"pack_id": "k", "price": dice.randrange(50000), "data_kb": 1},
    "roaming_sessions": lambda dice, _: {"area": "HK", "international": dice.random() < 0.8, "fee": dice.randrange(90000), "with_pack": dice.random() < 0.5, "data_kb": 5},
    "surveys": lambda dice, _: {"survey": "nps", "score": dice.randrange(11)},
    "contacts": lambda dice, index: {"contact_id": str(index), "action": "service_review", "arm": dice.choice(("treated", "control"))},
    "bills": lambda dice, _: {"total": dice.randrange(20000, 300000), "overage_fee": dice.choice((0, 0, 9000)), "value_added_fee": 0},
}  # fmt: skip


def manual(row):
    """Tells whether an agent took the call."""
    return row["agent"]


def used(row):
    """Tells whether anything was used on the day."""
    return row["voice_seconds"] + row["data_kb"] + row["sms_count"] > 0


def civil_day(instant):
    """Returns the day of the operator's clock at a naive UTC instant."""
    return instant.replace(tzinfo=ZoneInfo("UTC")).astimezone(SHANGHAI).date()


def abroad(row):
    """Tells whether the session was abroad."""
    return row["international"]


class Slow:
    """The same features, one row at a time, in plain Python."""

    def __init__(self, world, customer):
        self.world, self.customer = world, customer
        self.instant = datetime(2026, 6, 7, 16)  # noqa: DTZ001 - naive UTC as landed

    def rows(self, feed, days=10_000):
        found = []
        for row in self.world.rows.get(feed, []):
            if (
                row["customer_id"] != self.customer
                or row["known_at"] >= self.instant
                or row["event_at"] >= self.instant
            ):
                continue
            if row["superseded_at"] is not None and row["superseded_at"] < self.instant:
                continue
            ago = (AS_OF - civil_day(row["event_at"])).days
            if 1 <= ago <= days:
                found.append({**row, "ago": ago})
        return found

    def count(self, feed, days, where=lambda row: True):
        return sum(1 for row in self.rows(feed, days) if where(row))

    def total(self, feed, column, days, where=lambda row: True):
        return sum(row[column] for row in self.rows(feed, days) if where(row))

    def newest(self, feed, where=lambda row: True, days=180):
        return min((row["ago"] for row in self.rows(feed, days) if where(row)), default=None)

    def usual(self):
        """Three quarters of the mean data of days with data, or one and a half times the mean voice of days with voice."""
        rows = self.rows("usage_daily", 180)
        used = {name: [row[name] for row in rows if row[name]] for name in ("data_kb", "voice_seconds")}
        least = {
            name: share * sum(days) / max(len(days), 1)
            for (name, days), share in zip(used.items(), (0.75, 1.5), strict=True)
        }
        return lambda row: any(row[name] and row[name] >= least[name] for name in least)

    def trend(self, feed, column):
        """A day's mean of 30 days over that of 90; days before the first row or after anybody's newest do not count."""
        newest = min(Slow(self.world, one).newest(feed) or 999 for one in "ABC")
        first = max((row["ago"] for row in self.rows(feed, 180)), default=0)
        means = [
            self.total(feed, column, days) / len(range(newest, min(days, first) + 1)) if first > 30 else 0
            for days in (30, 90)
        ]
        return means[0] / means[1] if means[1] else None

    def orders(self):
        """The newest state of each order, its days since ordering first."""
        states = sorted(self.rows("subscriptions"), key=lambda row: (row["event_at"], row["known_at"]))
        newest = {(row["ordered_at"], row["plan_id"]): row for row in states}
        return [row | {"ordered": (AS_OF - civil_day(row["ordered_at"])).days} for row in newest.values()]

    def contract(self):
        """What binds: of the orders in force or with an end the one ordered last; and the order in force."""
        orders = self.orders()
        in_force = [row for row in orders if row["effective_on"] <= AS_OF]
        binding = [row for row in orders if row in in_force or row["contract_end"] or row["discount_end"]]
        bond: dict = max(binding, key=lambda row: (row["ordered_at"], row["effective_on"]), default={})
        plan: dict = max(in_force, key=lambda row: (row["effective_on"], row["ordered_at"]), default={})
        ends = {
            name: (bond[name] - AS_OF).days if bond.get(name) else None for name in ("contract_end", "discount_end")
        }
        discount = plan.get("discount_amount")
        if discount is not None and plan["discount_end"] is not None and plan["discount_end"] < AS_OF:
            discount = 0
        return {
            "contract_left_days": ends["contract_end"],
            "discount_left_days": ends["discount_end"],
            "discount_amount": discount,
            "plan_days": (AS_OF - plan["effective_on"]).days if plan else None,
            "plan_orders_count_180d": sum(1 <= row["ordered"] <= 180 for row in orders),
            "has_pending_plan": any(row["effective_on"] > AS_OF for row in orders),
        }

    def bills(self):
        return sorted(self.rows("bills", 400), key=lambda row: row["ago"])

    def values(self):
        assisted = self.count("hotline_calls", 180, manual) + self.count(
            "channel_contacts", 180, lambda row: row["channel"] == "hall"
        )
        everything = self.count("hotline_calls", 180, manual) + self.count("channel_contacts", 180)
        calls = sorted((row for row in self.rows("hotline_calls", 180) if row["agent"]), key=lambda row: row["ago"])
        week = [
            sum(1 for o in calls if o["topic"] == c["topic"] and 0 <= o["ago"] - c["ago"] < 7)
            for c in calls
            if c["topic"] and c["ago"] <= 60
        ]
        month = [sum(1 for o in calls if 0 <= o["ago"] - c["ago"] < 30) for c in calls if c["ago"] <= 60]
        bills = self.bills()
        days30 = [row["data_kb"] // 1024 for row in self.rows("usage_daily", 30)]
        surveys = sorted(self.rows("surveys", 180), key=lambda row: (row["event_at"], row["known_at"], row["event_id"]))
        return self.contract() | {
            **{f"manual_calls_count_{days}d": self.count("hotline_calls", days, manual) for days in (7, 30, 90, 180)},
            "manual_call_recency_days": self.newest("hotline_calls", manual),
            "repeat_topic_calls_count_7d": max(
                (sum(o["topic"] == c["topic"] and o["ago"] <= 7 for o in calls) for c in calls if c["topic"] and c["ago"] <= 7),
                default=0,
            ),
            "repeat_topic_calls_count_60d": max(week, default=0),
            "busiest_month_calls_count_60d": max(month, default=0),
            "unresolved_calls_count_90d": self.count("hotline_calls", 90, lambda row: row["agent"] and row["resolved"] is False),
            "wait_minutes_90d": self.total("hotline_calls", "wait_seconds", 90) / 60,
            "charge_calls_count_30d": self.count("hotline_calls", 30, lambda row: row["agent"] and row["topic"] in ("billing", "unknown_charge")),
            "leave_enquiry_calls_count_30d": self.count("hotline_calls", 30, lambda row: row["topic"] == "porting"),
            **{f"data_mb_{days}d": self.total("usage_daily", "data_kb", days) / 1024 for days in (7, 30, 90, 180)},
            "voice_minutes_30d": self.total("usage_daily", "voice_seconds", 30) / 60,
            "sms_count_30d": self.total("usage_daily", "sms_count", 30),
            "active_days_30d": self.count("usage_daily", 30, used),
            "use_recency_days": self.newest("usage_daily", used),
            "usual_use_recency_days": self.newest("usage_daily", self.usual()),
            "data_trend_90d": self.trend("usage_daily", "data_kb"),
            "data_deviation_mb_30d": float(np.std(days30)) if days30 else None,
            "packs_count_90d": self.count("pack_orders", 90),
            "pack_amount_90d": self.total("pack_orders", "price", 90),
            "pack_recency_days": self.newest("pack_orders"),
            "app_contacts_count_30d": self.count("channel_contacts", 30, lambda row: row["channel"] == "app"),
            "failed_self_service_count_30d": self.count("channel_contacts", 30, lambda row: row["channel"] != "hall" and row["succeeded"] is False),
            "assisted_contacts_count_180d": assisted,
            "assisted_share_180d": assisted / everything if everything else None,
            "roaming_days_180d": len({row["ago"] for row in self.rows("roaming_sessions", 180) if abroad(row)}),
            "roaming_months_count_180d": len({(row["ago"] - 1) // 30 for row in self.rows("roaming_sessions", 180) if abroad(row)}),
            "roaming_no_pack_amount_60d": self.total("roaming_sessions", "fee", 60, lambda row: abroad(row) and not row["with_pack"]),
            "survey_last_score": surveys[-1]["score"] if surveys else None,
            "outreach_count_90d": self.count("contacts", 90, lambda row: row["arm"] == "treated"),
            "bill_last_amount": bills[0]["total"] if bills else None,
            "bill_mean_amount_90d": sum(row["total"] for row in bills[:3]) / len(bills[:3]) if bills else None,
            "bill_overage_months_count_90d": sum(row["overage_fee"] > 0 for row in bills[:3]) if bills else None,
        }  # fmt: skip


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_features_equal_a_slow_recomputation(world, build, seed):
    """Every figure of three customers with random histories equals the one found row by row."""
    portrait = build(_random_world(world, seed))
    for customer in ("A", "B", "C"):
        expected = Slow(world, customer).values()
        found = portrait.of(customer, *expected)
        assert {name: value for name, value in found.items() if not _same(expected[name], value)} == {}, expected


def _same(expected, found):
    return found == expected or (expected is not None and found == pytest.approx(expected, rel=1e-6))
