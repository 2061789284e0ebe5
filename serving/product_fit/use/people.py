"""Who the customers of a bucket are, which plan they hold, and whose use counts against it.

A plan may feed secondary lines of the account. Then the main line is rated on the data of all of them; a secondary line
is never rated for itself, and where roles, links or the plan's terms leave open who draws on what, nothing is proven.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.kit.arrays import Days, Flags, Integers
from features.kit.sql import literal, newest
from serving.product_fit.catalogue import Catalogue, in_force

ReadFeed = Callable[[str], str]
"""Returns the SQL of a feed's rows as known on the as-of date."""

NO_DATE = np.datetime64("NaT", "D")

_POOLS = """
CREATE OR REPLACE TEMP TABLE fit_pools AS
WITH shares AS (SELECT * FROM (VALUES {shares}) v(plan_id, lines)),
held AS (
    SELECT customer_id, plan_id FROM ({subscriptions}) WHERE effective_on <= {day}
    {latest}
),
links AS (
    SELECT DISTINCT k.customer_id, k.account_id, k.role, coalesce(s.lines, -1) AS lines
    FROM ({links}) k ANTI JOIN ({ended}) USING (customer_id)
    LEFT JOIN held USING (customer_id) LEFT JOIN shares s USING (plan_id)
    WHERE k.valid_from <= {day} AND (k.valid_until IS NULL OR k.valid_until > {day}) AND k.account_id IS NOT NULL
        AND coalesce(k.role, 'main') IN ('main', 'secondary')
),
pairs AS (
    SELECT c.i, mine.role, coalesce(s.lines, -1) AS lines, mine.customer_id IS NOT NULL AS is_linked,
        other.customer_id AS other, other.role AS other_role,
        other.lines <> 0 AND coalesce(other.role, 'main') = 'main' AS feeds_others
    FROM fit_customers c LEFT JOIN held USING (customer_id) LEFT JOIN shares s USING (plan_id)
    LEFT JOIN links mine USING (customer_id)
    LEFT JOIN links other ON other.account_id = mine.account_id AND other.customer_id <> c.customer_id
),
accounts AS (
    SELECT i, any_value(lines) AS lines, bool_or(is_linked) AS is_linked, max(role) AS role,
        count(DISTINCT role) + max((is_linked AND role IS NULL)::INT) AS roles, count(other) AS others,
        bool_or(coalesce(feeds_others, false)) AS is_fed, list(DISTINCT other) FILTER (other IS NOT NULL) AS pool,
        count(other) FILTER (other_role IS NOT DISTINCT FROM 'main') AS mains,
        count(other) FILTER (other IS NOT NULL AND other_role IS NULL) AS unknown
    FROM pairs GROUP BY i
)
SELECT i, pool, CASE
    WHEN NOT is_linked THEN CASE WHEN lines > 0 THEN 'unproven' ELSE 'alone' END
    WHEN others = 0 THEN 'alone'
    WHEN roles <> 1 OR role IS NULL THEN CASE WHEN lines = 0 AND NOT is_fed THEN 'alone' ELSE 'unproven' END
    WHEN role = 'secondary' THEN CASE WHEN is_fed THEN 'unproven' ELSE 'alone' END
    WHEN lines = 0 OR mains = others THEN 'alone'
    WHEN lines > 0 AND mains + unknown = 0 AND len(pool) <= lines THEN 'pool'
    ELSE 'unproven' END AS state
FROM accounts
"""
"""Lines of a plan: how many secondary lines draw on its allowance, -1 where the catalogue does not say."""


@dataclass(frozen=True)
class Known:
    """What is known on the as-of date: a connection, the SQL of each feed, the feeds that landed, the catalogue."""

    sql: Any
    rows: ReadFeed
    names: frozenset[str]
    catalogue: Catalogue
    as_of: date

    def customers(self, *, with_ended: bool = False) -> str:
        """Returns the SQL of every customer's newest row; subscriptions that have ended are left out unless asked."""
        customers = (
            "SELECT customer_id, kind, status, birth_year, device_generation, "
            f"{finite('activated_on')} AS activated_on FROM ({self.rows('customers')}) {newest('customer_id')}"
        )
        if with_ended:
            return customers
        return f"SELECT * FROM ({customers}) ANTI JOIN ({self.ended()}) USING (customer_id)"

    def ended(self) -> str:
        """Returns the SQL of the subscriptions that have ended."""
        ended = f"SELECT customer_id FROM ({self.customers(with_ended=True)}) WHERE status = 'closed'"
        if "terminations" in self.names:
            ended += f" UNION ALL SELECT customer_id FROM ({self.rows('terminations')})"
        return ended

    def index_of(self, plan_ids: Any, day: date) -> Integers:
        """Returns the plan version of each plan_id that is valid on a day, -1 if none is or it cannot be rated."""
        versions = {
            plan.plan_id: index
            for index, plan in enumerate(self.catalogue.plans)
            if in_force(plan, day) and plan.is_rateable
        }
        return np.array([versions.get(str(plan_id), -1) for plan_id in plan_ids], dtype=np.int64)


@dataclass(frozen=True)
class People:
    """What decides who may take which plan."""

    kind: NDArray[np.str_]  # consumer, corporate, machine or "" (unknown)
    status: NDArray[np.str_]  # of the subscription, or ""
    age: Integers  # in years at most (as-of year - birth year - 1: never too old for certain), -1 unknown
    days: Integers  # since activation, -1 unknown
    generation: Integers  # of the handset, 2 to 5, 0 unknown
    secondary_lines: Integers  # lines of the account that draw on this line's allowance: their use is rated with it
    is_unproven: Flags  # somebody draws on a shared allowance, and who draws on which is not known for certain
    is_porting: Flags  # applied to leave with the number
    current: Integers  # index of the plan version in force on the as-of date, -1 unknown
    current_discount: Integers  # minor units a month
    discount_end: Days  # when the current discount ends; NaT and year 9999 are "no end"
    contract_end: Days  # when the current contract ends
    is_changing: Flags  # a change is ordered and not yet effective
    changed_on: Days  # since when the present plan is in force, if another was before, else NaT


def read_people(known: Known, base: dict[str, Any], size: int) -> People:
    """Returns who the customers in `fit_customers` are, and writes the table `fit_lines`: whose use counts for whom."""
    current = np.full(size, -1, dtype=np.int64)
    amount = np.zeros(size, dtype=np.int64)
    discount_end, contract_end, changed_on = (np.full(size, NO_DATE) for _ in range(3))
    changing = np.zeros(size, dtype=bool)
    if "subscriptions" in known.names and size:
        rows = known.sql.execute(
            "WITH orders AS (SELECT *, lag(plan_id) OVER (PARTITION BY customer_id ORDER BY effective_on, ordered_at) "
            f"AS before FROM ({known.rows('subscriptions')})) "
            "SELECT c.i, f.plan_id, f.effective_on > $day AS pending, coalesce(f.discount_amount, 0) AS amount, "
            f"{finite('f.discount_end')} AS discount_end, {finite('f.contract_end')} AS contract_end, "
            f"max(CASE WHEN before <> plan_id THEN {finite('effective_on')} END) "
            "OVER (PARTITION BY c.i, f.effective_on > $day) AS changed_on "
            "FROM orders f JOIN fit_customers c USING (customer_id) "
            + newest("c.i, f.effective_on > $day", "f.effective_on DESC, f.ordered_at DESC"),
            {"day": known.as_of},
        ).fetchnumpy()
        pending = np.asarray(rows["pending"], dtype=bool)
        changing[rows["i"][pending]] = True
        now = rows["i"][~pending]
        current[now] = known.index_of(rows["plan_id"][~pending], known.as_of)
        amount[now] = rows["amount"][~pending]
        discount_end[now] = _days_column(rows["discount_end"])[~pending]
        contract_end[now] = _days_column(rows["contract_end"])[~pending]
        changed_on[now] = _days_column(rows["changed_on"])[~pending]
    born = np.ma.filled(np.ma.asarray(base["birth_year"]).astype(np.int64), -1)
    activated = _days_column(base["activated_on"])
    days = (np.datetime64(known.as_of, "D") - activated).astype(np.int64)
    generation = {f"{g}G": g for g in (2, 3, 4, 5)}
    secondary_lines, unproven = _pools(known, size)
    return People(
        kind=_text_column(base["kind"]),
        status=_text_column(base["status"]),
        age=np.where(born > 0, known.as_of.year - born - 1, -1),
        days=np.where(np.isnat(activated), -1, days),
        generation=np.array([generation.get(text, 0) for text in _text_column(base["device_generation"])], np.int64),
        secondary_lines=secondary_lines,
        is_unproven=unproven,
        is_porting=_porting(known, size),
        current=current,
        current_discount=amount,
        discount_end=discount_end,
        contract_end=contract_end,
        is_changing=changing,
        changed_on=changed_on,
    )


def finite(column: str) -> str:
    """Returns a date column's SQL with `infinity`, which is "no end" and which no array can hold, as 9999-12-31."""
    far = f"CASE WHEN {column} > DATE '1970-01-01' THEN DATE '9999-12-31' ELSE DATE '0001-01-01' END"
    return f"CASE WHEN {column} IS NULL OR isfinite({column}) THEN {column} ELSE {far} END"


def _pools(known: Known, size: int) -> tuple[Integers, Flags]:
    lines, unproven = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=bool)
    plans = {plan.plan_id: plan for plan in known.catalogue.plans if in_force(plan, known.as_of)}.values()
    own = "CREATE OR REPLACE TEMP TABLE fit_lines AS SELECT i, customer_id, true AS is_own FROM fit_customers"
    if not size or not plans or "subscriptions" not in known.names:
        known.sql.execute(own)
        return lines, unproven
    no_links = (
        "SELECT NULL::VARCHAR AS customer_id, NULL AS account_id, NULL AS role, NULL AS valid_from, NULL AS valid_until"
    )
    known.sql.execute(
        _POOLS.format(
            shares=", ".join(
                f"({literal(p.plan_id)}, {-1 if p.shared_lines is None else p.shared_lines})" for p in plans
            ),
            subscriptions=known.rows("subscriptions"),
            links=known.rows("person_links") if "persons" in known.names else f"{no_links} WHERE false",
            ended=known.ended(),
            latest=newest("customer_id", "effective_on DESC, ordered_at DESC"),
            day=f"DATE '{known.as_of}'",
        )
    )
    known.sql.execute(own + " UNION ALL SELECT i, unnest(pool), false FROM fit_pools WHERE state = 'pool'")
    rows = known.sql.execute("SELECT i, len(pool) AS n, state FROM fit_pools WHERE state <> 'alone'").fetchnumpy()
    unproven[rows["i"]] = rows["state"] == "unproven"
    lines[rows["i"]] = np.where(rows["state"] == "pool", np.ma.filled(rows["n"], 0), 0)
    return lines, unproven


def _porting(known: Known, size: int) -> Flags:
    flags = np.zeros(size, dtype=bool)
    if "port_requests" in known.names and size:
        rows = known.sql.execute(
            f"SELECT DISTINCT c.i FROM ({known.rows('port_requests')}) f JOIN fit_customers c USING (customer_id) "
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
