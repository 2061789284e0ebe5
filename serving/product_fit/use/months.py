"""The observed months of many customers as arrays: what they used, bought and were billed.

Everything is read as known on the as-of date. Customers come in hash buckets, so memory stays flat however many
there are; within a bucket they are sorted by customer_id and `i` is their row in every array.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np

from features.kit.arrays import Flags, Integers
from features.kit.clock import add_months, month_start
from features.kit.sql import literal, newest
from serving.product_fit.rating import Use
from serving.product_fit.use.people import Known, People, ReadFeed, read_people


@dataclass(frozen=True)
class Months:
    """Observed months, oldest first; the first column only lends its roll-over to the second."""

    ids: list[str]  # customer_id, sorted
    periods: list[date]  # the first day of each month
    people: People  # per customer: kind, status, audience facts; see `People`
    use: Use  # rated units `[n, months]`: data of all lines on the allowance, minutes and messages of the line itself
    pool: Use  # the same with the minutes and messages of all lines: whether those are shared too, no feed says
    plan: Integers  # index of the plan version in force in each month, -1 if unknown `[n, months]`
    discount: Integers  # the discount in force in each month, minor units
    pack_kb: Integers  # KB of domestic packs bought in the month
    domestic_fee: Integers  # price of domestic packs bought
    other_fee: Integers  # roaming packs, roaming fees and value-added fees: the same under every plan
    roaming_fee: Integers  # fees of roaming sessions in the month
    billed: Integers  # the month's bill, minor units
    has_bill: Flags  # whether the month's bill is known
    throttled: Integers  # what the operator recorded; -1 unknown, else 0 or 1

    @property
    def size(self) -> int:
        """Returns the number of customers."""
        return len(self.ids)


def window(connection: Any, rows: ReadFeed, feed: str, as_of: date, months: int) -> list[date]:
    """Returns the last `months` periods of known use before the as-of date and the month before them, oldest first.

    A feed that begins later gives fewer.

    Example: on 2026-06-01 the use of May is not known yet, so six months are November to April, lent by October.
    """
    column = "period" if feed == "usage_monthly" else "date_trunc('month', day)"
    first, last = connection.execute(
        f"SELECT min({column})::DATE, max({column})::DATE FROM ({rows(feed)}) WHERE {column} < ?", [month_start(as_of)]
    ).fetchone()
    if last is None:
        return []
    return [month for k in range(months, -1, -1) if (month := add_months(last, -k)) >= add_months(first, -1)]


class MonthsReader:
    """Reads the months of one bucket of customers after another over one DuckDB connection."""

    def __init__(self, known: Known, periods: list[date]) -> None:
        self._known = known
        self._sql = known.sql
        self._rows = known.rows
        self._names = known.names
        self._periods = periods
        self._zone = "UTC"

    def in_zone(self, zone: str) -> MonthsReader:
        """Sets the operator's time zone, in which orders and roaming sessions belong to a civil month."""
        self._zone = zone
        return self

    def count(self) -> int:
        """Returns how many subscriptions are known and have not ended."""
        return int(self._sql.execute(f"SELECT count(*) FROM ({self._known.customers()})").fetchone()[0])

    def read(self, bucket: int = 0, buckets: int = 1, *, only: str | None = None, with_ended: bool = False) -> Months:
        """Returns the months of a hash bucket, or of one customer; of ended subscriptions too if asked."""
        chosen = "customer_id = $only" if only is not None else f"hash(customer_id) % {buckets} = {bucket}"
        self._sql.execute(
            "CREATE OR REPLACE TEMP TABLE fit_customers AS SELECT row_number() OVER (ORDER BY customer_id) - 1 AS i, * "
            f"FROM ({self._known.customers(with_ended=with_ended)}) WHERE {chosen}",
            {"only": only} if only is not None else {},
        )
        values = ", ".join(f"({m}, DATE '{period}')" for m, period in enumerate(self._periods))
        self._sql.execute(
            f"CREATE OR REPLACE TEMP TABLE fit_periods AS SELECT m, period FROM (VALUES {values}) v(m, period)"
        )
        base = self._sql.execute("SELECT * FROM fit_customers ORDER BY i").fetchnumpy()
        ids = [str(customer_id) for customer_id in base["customer_id"]]
        plan, discount = self._plans(len(ids))
        people = read_people(self._known, base, len(ids))  # writes `fit_lines`, by which use is summed
        use, pool, throttled = self._use(people.secondary_lines + 1)
        packs = self._packs(len(ids))
        roaming = self._monthly("roaming_sessions", "event_at", {"fee": "sum(coalesce(fee, 0))"}, len(ids))["fee"]
        bills = self._bills(len(ids))
        return Months(
            ids=ids,
            periods=self._periods,
            people=people,
            use=use,
            pool=pool,
            plan=plan,
            discount=discount,
            pack_kb=packs["kb"],
            domestic_fee=packs["domestic"],
            other_fee=packs["roaming"] + roaming + bills["extra"],
            roaming_fee=roaming,
            billed=bills["total"],
            has_bill=bills["n"] > 0,
            throttled=throttled,
        )

    def _monthly(
        self, feed: str, at: str, columns: dict[str, str], size: int, join: str = "", *, of: str = "fit_customers"
    ) -> dict[str, Integers]:
        """Returns sums per customer and month of a feed's rows, zeros where there are none or no feed."""
        result = {name: np.zeros((size, len(self._periods)), dtype=np.int64) for name in columns}
        if feed not in self._names or not size:
            return result
        local = f"f.{at} AT TIME ZONE 'UTC' AT TIME ZONE '{self._zone}'" if at == "event_at" else f"f.{at}"
        month = f"date_trunc('month', {local})::DATE"
        select = ", ".join(f"({sql})::BIGINT AS {name}" for name, sql in columns.items())
        rows = self._sql.execute(
            f"SELECT c.i, p.m, {select} FROM ({self._rows(feed)}) f JOIN {of} c USING (customer_id) {join} "
            f"JOIN fit_periods p ON p.period = {month} GROUP BY c.i, p.m"
        ).fetchnumpy()
        for name, matrix in result.items():
            matrix[rows["i"], rows["m"]] = rows[name]
        return result

    def _use(self, lines: Integers) -> tuple[Use, Use, Integers]:
        """Returns the rated use, that of all lines, and the throttling; a month is known if it is of all `lines`."""
        size = len(lines)
        columns = {
            # A month with a unit that was not recorded cannot be rated: minutes are rounded up call by call.
            "n": "CASE WHEN bool_and(billed_minutes + sms_count + data_kb IS NOT NULL) "
            "THEN count(DISTINCT customer_id) ELSE 0 END",
            "minutes": "coalesce(sum(billed_minutes) FILTER (is_own), 0)",
            "sms": "coalesce(sum(sms_count) FILTER (is_own), 0)",
            "pool_minutes": "coalesce(sum(billed_minutes), 0)",
            "pool_sms": "coalesce(sum(sms_count), 0)",
            "kb": "coalesce(sum(data_kb), 0)",
        }
        if "usage_monthly" in self._names:
            throttled = {"slow": "coalesce(max(is_throttled::INT), -1)"}
            found = self._monthly("usage_monthly", "period", columns | throttled, size, of="fit_lines")
            slow = np.where(found["n"] > 0, found["slow"], -1)
        else:
            found = self._monthly("usage_daily", "day", columns, size, of="fit_lines")
            slow = np.full(found["n"].shape, -1, dtype=np.int64)
        known = found["n"] == lines[:, None]
        use = Use(found["minutes"], found["sms"], found["kb"], known)
        return use, Use(found["pool_minutes"], found["pool_sms"], found["kb"], known), slow

    def _packs(self, size: int) -> dict[str, Integers]:
        if self._known.catalogue.packs:
            scopes = ", ".join(
                f"({literal(pack.pack_id)}, {str(pack.is_domestic).lower()})"
                for pack in {pack.pack_id: pack for pack in self._known.catalogue.packs}.values()
            )
            join = f"LEFT JOIN (VALUES {scopes}) s(pack_id, domestic) USING (pack_id)"
        else:
            join = "LEFT JOIN (SELECT NULL::VARCHAR AS pack_id, true AS domestic) s USING (pack_id)"
        return self._monthly(
            "pack_orders",
            "event_at",
            {
                "kb": "sum(CASE WHEN coalesce(domestic, true) THEN coalesce(data_kb, 0) ELSE 0 END)",
                "domestic": "sum(CASE WHEN coalesce(domestic, true) THEN coalesce(price, 0) ELSE 0 END)",
                "roaming": "sum(CASE WHEN coalesce(domestic, true) THEN 0 ELSE coalesce(price, 0) END)",
            },
            size,
            join,
        )

    def _bills(self, size: int) -> dict[str, Integers]:
        columns = {"n": "count(*)", "total": "max(total)", "extra": "max(coalesce(value_added_fee, 0))"}
        return self._monthly("bills", "period", columns, size)

    def _plans(self, size: int) -> tuple[Integers, Integers]:
        """Returns the plan version in force and its discount in each month."""
        plan = np.full((size, len(self._periods)), -1, dtype=np.int64)
        discount = np.zeros_like(plan)
        if "subscriptions" not in self._names or not size:
            return plan, discount
        rows = self._sql.execute(
            "SELECT c.i, p.m, f.plan_id, coalesce(f.discount_amount, 0) AS amount, "
            "coalesce(f.discount_end > p.period, true) AS runs "
            f"FROM ({self._rows('subscriptions')}) f JOIN fit_customers c USING (customer_id) "
            "JOIN fit_periods p ON f.effective_on <= p.period "
            + newest("c.i, p.m", "f.effective_on DESC, f.ordered_at DESC")
        ).fetchnumpy()
        for m, period in enumerate(self._periods):
            here = rows["m"] == m
            plan[rows["i"][here], m] = self._known.index_of(rows["plan_id"][here], period)
        runs = np.ma.filled(rows["runs"], fill_value=False).astype(bool)
        discount[rows["i"], rows["m"]] = np.where(runs, rows["amount"], 0)
        return plan, discount
