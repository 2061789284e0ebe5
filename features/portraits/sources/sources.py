"""Source tables: the staged feeds prepared so that each feature is one reduction over one customer's rows.

A source names the feeds without which it is missing; its table is an Ibis expression over staged tables. A feed that
is not there is an empty staged table, so an expression may join it freely.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from features.portraits.dimensions.spec import Expression
from features.portraits.settings import PortraitSettings
from features.portraits.sources import source_tables as tables
from features.portraits.sources import usage_tables

Tables = Mapping[str, Any]
Prepare = Callable[[Tables, PortraitSettings], Any]


@dataclass(frozen=True)
class Summed:
    """How the rows of a large feed are judged one by one, so that its windows can be added up (`build/sums.py`).

    Attributes:
        rows: The prepared rows without what depends on other rows of theirs.
        flag: A column of the source that compares a row with its customer's sums; empty without.
        sums: These sums.
        least: The table of them in; for each column of a row, how much of it sets the flag.
    """

    rows: Prepare
    flag: str
    sums: Mapping[str, Expression]
    least: Callable[[Any], dict[str, Any]]


@dataclass(frozen=True)
class Source:
    """One prepared table with a `customer_id` per row.

    Attributes:
        name: The name that features use.
        needs: The source is missing if none of these feeds is there.
        table: The staged tables and the settings in, the prepared rows out.
        stands_in_for: The feed that tells more; with it this source is not made.
        is_built_on: Whether sources after it in the list read it as `source_<name>`; then it is always made.
        summed: How its windows are added up; None where each date reduces its rows.
    """

    name: str
    needs: tuple[str, ...]
    table: Prepare
    stands_in_for: str = ""
    is_built_on: bool = False
    summed: Summed | None = None


def _as_staged(name: str) -> Prepare:
    return lambda staged, _: staged[name]


_USAGE = Summed(usage_tables.usage_rows, "is_usual", usage_tables.USUAL_SUMS, usage_tables.usual_use)
_NETWORK = Summed(tables.network_rows, "", {}, lambda _: {})

SOURCES: dict[str, Source] = {
    source.name: source
    for source in (
        Source("customer", ("customers",), tables.customer, is_built_on=True),
        Source("household", ("persons",), tables.household),
        Source("number", ("numbers",), tables.number),
        Source("hotline_calls", ("hotline_calls",), tables.hotline_calls, is_built_on=True),
        Source("subscriptions", ("subscriptions",), tables.subscriptions, is_built_on=True),
        Source("plan_in_force", ("subscriptions",), tables.plan_in_force, is_built_on=True),
        Source("bills", ("bills",), tables.bills),
        Source("usage_daily", ("usage_daily",), usage_tables.usage_daily, summed=_USAGE),
        Source("usage_in_months", ("usage_monthly",), usage_tables.usage_in_months, stands_in_for="usage_daily"),
        Source("month_so_far", ("usage_daily",), usage_tables.month_so_far),
        Source("usage_months", ("usage_monthly",), usage_tables.usage_months),
        Source("contract", ("subscriptions",), tables.contract),
        Source("port_requests", ("port_requests",), _as_staged("port_requests")),
        Source("pack_orders", ("pack_orders",), tables.pack_orders),
        Source("channel_contacts", ("channel_contacts",), _as_staged("channel_contacts")),
        Source("touches", ("channel_contacts", "hotline_calls"), tables.touches),
        Source("roaming_sessions", ("roaming_sessions",), tables.roaming_sessions),
        Source("network_experience", ("network_experience",), tables.network_experience, summed=_NETWORK),
        Source("grid_faults", ("network_faults",), tables.grid_faults),
        Source("fixed_services", ("fixed_services",), tables.fixed_services),
        Source("tickets", ("tickets",), tables.tickets),
        Source("surveys", ("surveys",), tables.surveys),
        Source("contacts", ("contacts",), _as_staged("contacts")),
        Source("attributes", ("attributes",), tables.attributes),
    )
}
