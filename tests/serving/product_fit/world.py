"""Feeds made of plain rows, and the questions that the tests of product fit ask of them."""

from dataclasses import dataclass, field
from datetime import date, datetime
from types import SimpleNamespace

import duckdb
import pyarrow as pa

from features.feeds.contracts import FEEDS
from features.feeds.landed.reading import known_versions
from features.feeds.schema import Kind
from serving.product_fit.fit import Fitter
from serving.product_fit.settings import read_settings

GB = 1024 * 1024
AS_OF = date(2026, 6, 1)
PERIODS = [date(2025, 11, 1), *(date(2026, month, 1) for month in range(1, 6))]
PERIODS.insert(1, date(2025, 12, 1))


def moment(*parts):
    """Returns an instant as the feeds keep it: UTC without a zone."""
    return datetime(*parts)  # noqa: DTZ001 - naive means UTC in the feeds


KNOWN = moment(2020, 1, 1)
ARROW = {
    Kind.TEXT: pa.string(), Kind.CATEGORY: pa.string(), Kind.INTEGER: pa.int64(), Kind.MONEY: pa.int64(),
    Kind.NUMBER: pa.float64(), Kind.FLAG: pa.bool_(), Kind.INSTANT: pa.timestamp("s"), Kind.DATE: pa.date32(),
}  # fmt: skip


@dataclass
class World:
    """Feeds made of plain rows: every row was known in 2020 unless it says otherwise."""

    rows: dict = field(default_factory=dict)
    operator = SimpleNamespace(money_scale=3, currency="CNY", time_zone="Asia/Shanghai")

    @property
    def names(self):
        return frozenset(name for name, rows in self.rows.items() if rows)

    def add(self, feed, **row):
        """Adds a row to a feed."""
        self.rows.setdefault(feed, []).append({"known_at": KNOWN, "event_at": KNOWN} | row)
        return self

    def connect(self, **_):
        """Returns one table per feed, as `Feeds.connect` does."""
        connection = duckdb.connect()
        for name, rows in self.rows.items():
            contract = [(c.name, ARROW[c.kind]) for c in FEEDS[name].columns]
            common = [
                ("customer_id", pa.string()),
                *((f"{name}_at", pa.timestamp("s")) for name in ("event", "known", "superseded")),
            ]
            table = pa.Table.from_pylist(rows, schema=pa.schema([*common, *contract]))
            connection.register("incoming", table)
            connection.execute(f"CREATE TABLE {name} AS SELECT * FROM incoming")
            connection.unregister("incoming")
        return connection

    def as_known_sql(self, feed, as_of):
        """Returns the rows known before the as-of date; the links between persons and lines lie in `persons`."""
        return known_versions(feed.replace("person_links", "persons"), as_of, self.operator.time_zone)

    def plan(self, plan_id, fee, gb, **terms):
        """Adds a plan: 5 yuan a GB beyond its GB, 0.10 a minute beyond 100, on sale since 2020."""
        base = {
            "plan_id": plan_id, "monthly_fee": fee * 1000, "voice_minutes": 100, "voice_overage_price": 100,
            "sms_count": 100, "sms_overage_price": 100, "data_kb": None if gb is None else gb * GB,
            "data_overage_price": 5_000, "data_block_kb": GB, "effective": "next_month",
            "valid_from": date(2020, 1, 1), "on_sale_from": date(2020, 1, 1),
        }  # fmt: skip
        return self.add("plans", **base | terms)

    def pack(self, pack_id, price, gb, **terms):
        """Adds a domestic pack that renews itself."""
        base = {"pack_id": pack_id, "price": price * 1000, "data_kb": gb * GB, "scope": "domestic", "renews": True}
        return self.add("packs", **base | {"valid_from": date(2020, 1, 1)} | terms)

    def account(self, account_id, **roles):
        """Links lines to an account, each with its role."""
        for line, role in roles.items():
            self.add("persons", customer_id=line, person_id=line, account_id=account_id, role=role,
                     valid_from=date(2020, 1, 1))  # fmt: skip
        return self

    def customer(self, customer_id, plan_id, *gb, bills=None, minutes=50, **facts):
        """Adds a customer with so many GB in each month up to May 2026 and, if told, the months' bills in yuan."""
        who = {"activated_on": date(2020, 5, 1), "kind": "consumer", "status": "active", "birth_year": 1980}
        subscription = {key: facts.pop(key) for key in list(facts) if key in FEEDS["subscriptions"].by_name}
        self.add("customers", customer_id=customer_id, **who | facts)
        self.add("subscriptions", customer_id=customer_id, plan_id=plan_id, ordered_at=KNOWN,
                 **{"effective_on": date(2020, 5, 1)} | subscription)  # fmt: skip
        for month, used in zip(PERIODS[len(PERIODS) - len(gb) :], gb, strict=True):
            self.add("usage_monthly", customer_id=customer_id, period=month, data_kb=round(used * GB),
                     billed_minutes=minutes, sms_count=0)  # fmt: skip
        for month, total in zip(PERIODS[-len(bills or gb) :], bills or (), strict=bool(bills)):
            self.add("bills", customer_id=customer_id, period=month, total=round(total * 1000))
        return self


def catalogue():
    """Returns a world with three plans on sale: 39 yuan with 5 GB, 59 with 10 and 99 with 30."""
    return World().plan("A39", 39, 5).plan("B59", 59, 10).plan("C99", 99, 30)


def fit(world, customer_id="1", as_of=AS_OF):
    """Returns one customer's fit."""
    return Fitter(world, as_of, read_settings()).one(customer_id)


def told(row):
    """Returns the offers as (plan, pack, monthly cost in yuan, need)."""
    return [(o["plan_id"], o["pack_id"], o["monthly_cost"] / 1000, o["need"]) for o in row["offers"]]
