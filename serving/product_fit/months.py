"""The observed months of many customers as arrays: who they are, what they used, bought and were billed.

Everything is read as known on the as-of date. Customers come in hash buckets, so memory stays flat however many
there are; within a bucket they are sorted by customer_id and `i` is their row in every array.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.kit.arrays import Days, Flags, Integers
from features.kit.clock import add_months, month_start
from serving.product_fit.catalogue import Catalogue, in_force
from serving.product_fit.rating import Use

ReadFeed = Callable[[str], str]
"""Returns the SQL of a feed's rows as known on the as-of date."""

NO_DATE = np.datetime64("NaT", "D")


@dataclass(frozen=True)
class Months:
    """Observed months, oldest first; the first column only lends its roll-over to the second.

    Attributes:
        ids: customer_id, sorted.
        periods: The first day of each month.
        people: Per customer: kind, status, audience facts; see `People`.
        use: Rated units `[n, months]`.
        plan: Index of the plan version in force in each month, -1 if unknown `[n, months]`.
        discount: The discount in force in each month, minor units.
        pack_kb: KB of domestic packs bought in the month.
        domestic_fee: Price of domestic packs bought.
        other_fee: Roaming packs, roaming fees and value-added fees: the same under every plan.
        roaming_fee: Fees of roaming sessions in the month.
        billed: The month's bill, minor units.
        has_bill: Whether the month's bill is known.
        throttled: What the operator recorded; -1 unknown, else 0 or 1.
    """

    ids: list[str]
    periods: list[date]
    people: People
    use: Use
    plan: Integers
    discount: Integers
    pack_kb: Integers
    domestic_fee: Integers
    other_fee: Integers
    roaming_fee: Integers
    billed: Integers
    has_bill: Flags
    throttled: Integers

    @property
    def size(self) -> int:
        """Returns the number of customers."""
        return len(self.ids)


@dataclass(frozen=True)
class People:
    """What decides who may take which plan.

    Attributes:
        kind: consumer, corporate, machine or "" (unknown).
        status: Of the subscription, or "".
        age: In years at most (as-of year - birth year - 1: never too old for certain), -1 unknown.
        days: Since activation, -1 unknown.
        generation: Of the handset, 2 to 5, 0 unknown.
        secondary_lines: Active secondary lines on the account.
        is_porting: Applied to leave with the number.
        current: Index of the plan version in force on the as-of date, -1 unknown.
        current_discount: Minor units a month.
        discount_end: When the current discount ends.
        contract_end: When the current contract ends.
        is_changing: A change is ordered and not yet effective.
    """

    kind: NDArray[np.str_]
    status: NDArray[np.str_]
    age: Integers
    days: Integers
    generation: Integers
    secondary_lines: Integers
    is_porting: Flags
    current: Integers
    current_discount: Integers
    discount_end: Days
    contract_end: Days
    is_changing: Flags


def window(connection: Any, rows: ReadFeed, feed: str, as_of: date, months: int) -> list[date]:
    """Returns the last `months` periods of known use before the as-of date and the month before them, oldest first.

    Example: on 2026-06-01 the use of May is not known yet, so six months are November to April, lent by October.
    """
    column = "period" if feed == "usage_monthly" else "date_trunc('month', day)"
    last = connection.execute(
        f"SELECT max({column})::DATE FROM ({rows(feed)}) WHERE {column} < ?", [month_start(as_of)]
    ).fetchone()[0]
    return [] if last is None else [add_months(last, -k) for k in range(months, -1, -1)]


class MonthsReader:
    """Reads the months of one bucket of customers after another over one DuckDB connection."""

    def __init__(
        self,
        connection: Any,
        rows: ReadFeed,
        names: frozenset[str],
        catalogue: Catalogue,
        as_of: date,
        periods: list[date],
    ) -> None:
        self._sql = connection
        self._rows = rows
        self._names = names
        self._catalogue = catalogue
        self._as_of = as_of
        self._periods = periods
        self._zone = "UTC"

    def in_zone(self, zone: str) -> MonthsReader:
        """Sets the operator's time zone, in which orders and roaming sessions belong to a civil month."""
        self._zone = zone
        return self

    def count(self) -> int:
        """Returns how many subscriptions are known and have not ended."""
        return int(self._sql.execute(f"SELECT count(*) FROM ({self._customers()})").fetchone()[0])

    def read(self, bucket: int = 0, buckets: int = 1, *, only: str | None = None, with_ended: bool = False) -> Months:
        """Returns the months of a hash bucket, or of one customer; of ended subscriptions too if asked."""
        chosen = "customer_id = $only" if only is not None else f"hash(customer_id) % {buckets} = {bucket}"
        self._sql.execute(
            "CREATE OR REPLACE TEMP TABLE fit_customers AS SELECT row_number() OVER (ORDER BY customer_id) - 1 AS i, * "
            f"FROM ({self._customers(with_ended=with_ended)}) WHERE {chosen}",
            {"only": only} if only is not None else {},
        )
        values = ", ".join(f"({m}, DATE '{period}')" for m, period in enumerate(self._periods))
        self._sql.execute(
            f"CREATE OR REPLACE TEMP TABLE fit_periods AS SELECT m, period FROM (VALUES {values}) v(m, period)"
        )
        base = self._sql.execute("SELECT * FROM fit_customers ORDER BY i").fetchnumpy()
        ids = [str(customer_id) for customer_id in base["customer_id"]]
        plan, discount = self._plans(len(ids))
        use, throttled = self._use(len(ids))
        packs = self._packs(len(ids))
        roaming = self._monthly("roaming_sessions", "event_at", {"fee": "sum(coalesce(fee, 0))"}, len(ids))["fee"]
        bills = self._bills(len(ids))
        return Months(
            ids=ids,
            periods=self._periods,
            people=self._people(base, len(ids)),
            use=use,
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

    def _customers(self, *, with_ended: bool = False) -> str:
        newest = (
            "SELECT customer_id, activated_on, kind, status, birth_year, device_generation "
            f"FROM ({self._rows('customers')}) "
            "QUALIFY row_number() OVER (PARTITION BY customer_id ORDER BY event_at DESC, known_at DESC) = 1"
        )
        if with_ended:
            return newest
        living = f"SELECT * FROM ({newest}) WHERE coalesce(status, 'active') <> 'closed'"
        if "terminations" in self._names:
            living += f" AND customer_id NOT IN (SELECT customer_id FROM ({self._rows('terminations')}))"
        return living

    def _monthly(self, feed: str, at: str, columns: dict[str, str], size: int, join: str = "") -> dict[str, Integers]:
        """Returns sums per customer and month of a feed's rows, zeros where there are none or no feed."""
        result = {name: np.zeros((size, len(self._periods)), dtype=np.int64) for name in columns}
        if feed not in self._names or not size:
            return result
        local = f"f.{at} AT TIME ZONE 'UTC' AT TIME ZONE '{self._zone}'" if at == "event_at" else f"f.{at}"
        month = f"date_trunc('month', {local})::DATE"
        select = ", ".join(f"({sql})::BIGINT AS {name}" for name, sql in columns.items())
        rows = self._sql.execute(
            f"SELECT c.i, p.m, {select} FROM ({self._rows(feed)}) f JOIN fit_customers c USING (customer_id) {join} "
            f"JOIN fit_periods p ON p.period = {month} GROUP BY c.i, p.m"
        ).fetchnumpy()
        for name, matrix in result.items():
            matrix[rows["i"], rows["m"]] = rows[name]
        return result

    def _use(self, size: int) -> tuple[Use, Integers]:
        columns = {
            # A month with a unit that was not recorded cannot be rated: minutes are rounded up call by call.
            "n": "CASE WHEN bool_and(billed_minutes + sms_count + data_kb IS NOT NULL) THEN count(*) ELSE 0 END",
            "minutes": "sum(coalesce(billed_minutes, 0))",
            "sms": "sum(coalesce(sms_count, 0))",
            "kb": "sum(coalesce(data_kb, 0))",
        }
        if "usage_monthly" in self._names:
            throttled = {"slow": "coalesce(max(is_throttled::INT), -1)"}
            found = self._monthly("usage_monthly", "period", columns | throttled, size)
            slow = np.where(found["n"] > 0, found["slow"], -1)
        else:
            found = self._monthly("usage_daily", "day", columns, size)
            slow = np.full(found["n"].shape, -1, dtype=np.int64)
        return Use(found["minutes"], found["sms"], found["kb"], found["n"] > 0), slow

    def _packs(self, size: int) -> dict[str, Integers]:
        if self._catalogue.packs:
            scopes = ", ".join(
                f"('{pack.pack_id.replace(chr(39), chr(39) * 2)}', {str(pack.is_domestic).lower()})"
                for pack in {pack.pack_id: pack for pack in self._catalogue.packs}.values()
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
            "SELECT c.i, p.m, f.plan_id, coalesce(f.discount_amount, 0) AS amount, f.discount_end > p.period AS runs "
            f"FROM ({self._rows('subscriptions')}) f JOIN fit_customers c USING (customer_id) "
            "JOIN fit_periods p ON f.effective_on <= p.period "
            "QUALIFY row_number() OVER (PARTITION BY c.i, p.m ORDER BY f.effective_on DESC, f.ordered_at DESC) = 1"
        ).fetchnumpy()
        for m, period in enumerate(self._periods):
            here = rows["m"] == m
            plan[rows["i"][here], m] = self._index_of(rows["plan_id"][here], period)
        runs = np.ma.filled(rows["runs"], fill_value=False).astype(bool)
        discount[rows["i"], rows["m"]] = np.where(runs, rows["amount"], 0)
        return plan, discount

    def _index_of(self, plan_ids: Any, day: date) -> Integers:
        """Returns the plan version of each plan_id that is valid on a day, -1 if none is or it cannot be rated."""
        versions = {
            plan.plan_id: index
            for index, plan in enumerate(self._catalogue.plans)
            if in_force(plan, day) and plan.is_rateable
        }
        return np.array([versions.get(str(plan_id), -1) for plan_id in plan_ids], dtype=np.int64)

    def _people(self, base: dict[str, Any], size: int) -> People:
        current = np.full(size, -1, dtype=np.int64)
        amount = np.zeros(size, dtype=np.int64)
        discount_end = np.full(size, NO_DATE)
        contract_end = np.full(size, NO_DATE)
        changing = np.zeros(size, dtype=bool)
        if "subscriptions" in self._names and size:
            rows = self._sql.execute(
                "SELECT c.i, f.plan_id, f.effective_on > $day AS pending, coalesce(f.discount_amount, 0) AS amount, "
                "f.discount_end, f.contract_end "
                f"FROM ({self._rows('subscriptions')}) f JOIN fit_customers c USING (customer_id) QUALIFY row_number() "
                "OVER (PARTITION BY c.i, f.effective_on > $day ORDER BY f.effective_on DESC, f.ordered_at DESC) = 1",
                {"day": self._as_of},
            ).fetchnumpy()
            pending = np.asarray(rows["pending"], dtype=bool)
            changing[rows["i"][pending]] = True
            now = rows["i"][~pending]
            current[now] = self._index_of(rows["plan_id"][~pending], self._as_of)
            amount[now] = rows["amount"][~pending]
            discount_end[now] = _days_column(rows["discount_end"])[~pending]
            contract_end[now] = _days_column(rows["contract_end"])[~pending]
        born = np.ma.filled(np.ma.asarray(base["birth_year"]).astype(np.int64), -1)
        activated = _days_column(base["activated_on"])
        days = (np.datetime64(self._as_of, "D") - activated).astype(np.int64)
        generation = {f"{g}G": g for g in (2, 3, 4, 5)}
        return People(
            kind=_text_column(base["kind"]),
            status=_text_column(base["status"]),
            age=np.where(born > 0, self._as_of.year - born - 1, -1),
            days=np.where(np.isnat(activated), -1, days),
            generation=np.array(
                [generation.get(text, 0) for text in _text_column(base["device_generation"])], np.int64
            ),
            secondary_lines=self._secondary_lines(size),
            is_porting=self._porting(size),
            current=current,
            current_discount=amount,
            discount_end=discount_end,
            contract_end=contract_end,
            is_changing=changing,
        )

    def _secondary_lines(self, size: int) -> Integers:
        lines = np.zeros(size, dtype=np.int64)
        if "persons" not in self._names or not size:
            return lines
        day = f"DATE '{self._as_of}'"
        links = (
            f"SELECT * FROM ({self._rows('person_links')}) WHERE valid_from <= {day} "
            f"AND (valid_until IS NULL OR valid_until > {day}) AND account_id IS NOT NULL"
        )
        rows = self._sql.execute(
            f"WITH links AS ({links}) SELECT c.i, count(DISTINCT other.customer_id) AS n FROM links mine "
            "JOIN fit_customers c USING (customer_id) "
            "JOIN links other ON other.account_id = mine.account_id AND other.role = 'secondary' "
            "AND other.customer_id <> mine.customer_id WHERE coalesce(mine.role, 'main') = 'main' GROUP BY c.i"
        ).fetchnumpy()
        lines[rows["i"]] = rows["n"]
        return lines

    def _porting(self, size: int) -> Flags:
        flags = np.zeros(size, dtype=bool)
        if "port_requests" in self._names and size:
            rows = self._sql.execute(
                f"SELECT DISTINCT c.i FROM ({self._rows('port_requests')}) f JOIN fit_customers c USING (customer_id) "
                "WHERE f.step IN ('application', 'code', 'completed')"
            ).fetchnumpy()
            flags[rows["i"]] = True
        return flags


def _text_column(values: Any) -> NDArray[np.str_]:
    """Returns a nullable text column as text, "" where NULL."""
    return np.array(["" if value is None or value is np.ma.masked else str(value) for value in values.tolist()], str)


def _days_column(values: Any) -> Days:
    """Returns a nullable DATE column of DuckDB as days, NaT where NULL."""
    days: Days = np.ma.filled(np.ma.asarray(values).astype("datetime64[D]"), NO_DATE)
    return days
