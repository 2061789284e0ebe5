"""How each source table is prepared from staged feeds: newest states, ranks, joins with plan and account.

Everything is Ibis over staged tables, in whole numbers and flags; nothing here sees a date except through the
`days_ago` and `days_since_*` columns. Ties are broken by `event_id`, so that equal inputs give equal rows. A source
that others build on is among the tables under `source_<name>`: it is prepared once and read by all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from features.portraits.dimensions.channel_preference import CHANNELS
from features.portraits.dimensions.windows import LOOK_BACK_DAYS
from features.portraits.settings import PortraitSettings

Tables = Mapping[str, Any]


def newest(rows: Any, by: Sequence[str], order: Sequence[Any]) -> Any:
    """Returns the first row of each group in an order."""
    return ranked(rows, by, order, as_name="_rank").filter(lambda t: t["_rank"] == 1).drop("_rank")


def ranked(rows: Any, by: Sequence[str], order: Sequence[Any], *, as_name: str = "rank") -> Any:
    """Returns the rows with `rank` 1, 2, ... within each group; `as_name` where `rank` may be a column of theirs."""
    import ibis

    place = ibis.row_number().over(ibis.window(group_by=list(by), order_by=list(order))) + 1
    return rows.mutate(place.name(as_name))


def _by_time(rows: Any) -> list[Any]:
    return [rows.event_at.desc(), rows.known_at.desc(), rows.event_id.desc()]


def yes(flag: Any) -> Any:
    """Returns whether a flag is true and known."""
    return flag.fill_null(False)


def customer(staged: Tables, _: PortraitSettings) -> Any:
    """Returns each customer's newest record."""
    rows = staged["customers"]
    return newest(rows, ["customer_id"], _by_time(rows))


def household(staged: Tables, _: PortraitSettings) -> Any:
    """Returns, per customer, the other subscriptions of the account: in use, or how long ago they ended.

    A line ends when its link ends or its subscription is terminated, whichever comes first.
    """
    links = staged["person_links"].filter(lambda t: t.days_since_valid_from >= 0)
    ended = staged["terminations"].group_by("customer_id").aggregate(ended_days_ago=lambda t: t.days_ago.max())
    mine = links.filter(lambda t: t.account_id.notnull() & (t.days_since_valid_until.fill_null(0) <= 0))
    mine = mine.select("customer_id", "account_id").distinct()
    lines = newest(links, ["account_id", "customer_id"], [links.valid_from.desc(), links.known_at.desc()])
    lines = lines.select(
        "account_id", "role", "days_since_valid_until", other_id=lines.customer_id, since=lines.days_since_valid_from
    )
    lines = lines.left_join(ended, lines.other_id == ended.customer_id).drop("customer_id")
    closed = _largest(lines.days_since_valid_until, lines.ended_days_ago)
    lines = lines.mutate(closed_days_ago=closed, is_active=closed.fill_null(0) <= 0)
    pairs = mine.join(lines, "account_id")
    return pairs.filter(pairs.customer_id != pairs.other_id)


def _largest(first: Any, second: Any) -> Any:
    """Returns the larger of two, or the one that is there."""
    import ibis

    return ibis.greatest(first.fill_null(second), second.fill_null(first))


def number(staged: Tables, _: PortraitSettings) -> Any:
    """Returns each customer's present number: whether it was ported in, is verified, was re-issued."""
    rows = staged["number_flags"].filter(lambda t: t.days_since_valid_from >= 1)
    rows = rows.mutate(is_ported_in=rows.ported_in_on.notnull())
    return newest(rows, ["customer_id"], [rows.valid_from.desc(), rows.known_at.desc()])


def hotline_calls(staged: Tables, _: PortraitSettings) -> Any:
    """Returns the calls with manual calls up to and with this one, `same_topic_calls_7d` and `calls_30d`.

    `week_topic_calls` counts those of its topic in the last 7 days before the as-of date.
    """
    import ibis

    rows = staged["hotline_calls"]
    agent = rows.agent.fill_null(rows.talk_seconds > 0).fill_null(False)
    rows = rows.mutate(agent=agent, manual=agent.cast("int64"))
    topic_week = ibis.range_window(
        group_by=[rows.customer_id, rows.topic], order_by=rows.days_ago, preceding=0, following=6
    )
    month = ibis.range_window(group_by=rows.customer_id, order_by=rows.days_ago, preceding=0, following=29)
    return rows.mutate(
        same_topic_calls_7d=rows.manual.sum().over(topic_week) * rows.topic.notnull().cast("int64"),
        calls_30d=rows.manual.sum().over(month),
        week_topic_calls=ibis.ifelse(rows.days_ago <= 7, rows.manual, 0)
        .sum()
        .over(ibis.window(group_by=[rows.customer_id, rows.topic]))
        * rows.topic.notnull().cast("int64"),
    )


def bills(staged: Tables, _: PortraitSettings) -> Any:
    """Returns the bills with `rank` (1 = newest), lateness, what is overdue and the first bill with its item."""
    import ibis

    rows = ranked(staged["bills"], ["customer_id"], [staged["bills"].days_ago, staged["bills"].known_at.desc()])
    rows = rows.left_join(_first_charges(staged), ["customer_id", "value_added_item"])
    rows = rows.drop("customer_id_right", "value_added_item_right")
    is_paid = yes(rows.days_since_paid_at >= 1)
    is_due = yes(rows.days_since_due_at >= 1) & (rows.total >= 0)  # nobody owes a credit note
    owed = ibis.ifelse(is_paid | ~is_due, 0, rows.arrears.fill_null(rows.total))
    return rows.mutate(
        is_late=is_due & (~is_paid | yes(rows.days_since_paid_at < rows.days_since_due_at)),
        overdue_amount=owed,
        new_charge=ibis.ifelse(yes(rows.was_without & (rows.days_ago == rows.first_days_ago)), rows.value_added_fee, 0),
    )


def _first_charges(staged: Tables) -> Any:
    """Returns, per customer and value-added item, the first bill with it and whether one without it came before."""
    rows = staged["bills"]
    charged = rows.filter(rows.value_added_item.notnull())
    first = charged.group_by("customer_id", "value_added_item").aggregate(first_days_ago=charged.days_ago.max())
    oldest = rows.group_by("customer_id").aggregate(oldest=rows.days_ago.max())
    first = first.inner_join(oldest, "customer_id")
    was_without = first.oldest > first.first_days_ago
    return first.select("customer_id", "value_added_item", "first_days_ago", was_without=was_without)


def plans(staged: Tables) -> Any:
    """Returns each plan's newest version in force."""
    rows = staged["plans"].filter(lambda t: t.days_since_valid_from >= 0)
    rows = newest(rows, ["plan_id"], [rows.valid_from.desc(), rows.known_at.desc(), rows.event_id.desc()])
    return rows.select(
        "plan_id", "name_zh", "name_en", "monthly_fee", "generation", "voice_minutes",
        allowance_kb=rows.throttle_after_kb.fill_null(rows.data_kb),
        is_throttled_plan=rows.throttle_after_kb.notnull(),
    )  # fmt: skip


def subscriptions(staged: Tables, _: PortraitSettings) -> Any:
    """Returns each order in its newest state; a delivery may bring an old order again, at its own `event_at`."""
    rows = staged["subscriptions"]
    return newest(rows, ["customer_id", "ordered_at", "plan_id"], _by_time(rows))


def plan_in_force(staged: Tables, _: PortraitSettings) -> Any:
    """Returns each customer's newest order in force with its plan, and whether the handset outgrew it."""
    orders = staged["source_subscriptions"].filter(lambda t: t.days_since_effective_on >= 0)
    order = [orders.effective_on.desc(), orders.ordered_at.desc(), *_by_time(orders)]
    orders = newest(orders, ["customer_id"], order).drop("event_id", "event_at", "known_at", "superseded_at")
    plan = plans(staged)
    rows = orders.left_join(plan, orders.plan_id == plan.plan_id).drop("plan_id_right")
    device = staged["source_customer"].select("customer_id", "device_generation", "days_since_device_since")
    rows = rows.left_join(device, "customer_id").drop("customer_id_right")
    is_old = (rows.device_generation == "5G") & (rows.generation != "5G")
    return rows.mutate(is_5g_device_on_old_plan=is_old)


def contract(staged: Tables, _: PortraitSettings) -> Any:
    """Returns the order that says what binds each customer: of those in force or with an end, the one ordered last.

    Every order repeats the contract of its moment. So a renewal counts at once, also where a change ordered before it
    takes effect after it; a mere change of plan does not end the contract before it takes effect.
    """
    orders = staged["source_subscriptions"]
    binds = (orders.days_since_effective_on >= 0) | orders.contract_end.notnull() | orders.discount_end.notnull()
    order = [orders.ordered_at.desc(), orders.effective_on.desc(), *_by_time(orders)]
    return newest(orders.filter(binds), ["customer_id"], order)


def touches(staged: Tables, _: PortraitSettings) -> Any:
    """Returns every contact of the customer's own will: channel touches and manual calls, the favourite marked."""
    import ibis

    calls = staged["source_hotline_calls"].filter(lambda t: t.agent)
    calls = calls.select("customer_id", "days_ago", "civil_hour", channel=ibis.literal("call"))
    both = staged["channel_contacts"].select("customer_id", "days_ago", "civil_hour", "channel").union(calls)
    both = both.filter(both.days_ago <= LOOK_BACK_DAYS)
    each = both.group_by("customer_id", "channel").aggregate(number=both.count())
    place = ibis.cases(*((each.channel == name, position) for position, name in enumerate(CHANNELS)), else_=99)
    each = newest(each.mutate(place=place), ["customer_id"], [ibis.desc("number"), ibis.asc("place")])
    favourite = each.select("customer_id", favourite=each.channel)
    rows = both.inner_join(favourite, "customer_id")
    return rows.mutate(is_assisted=rows.channel.isin(("call", "hall")), is_preferred=rows.channel == rows.favourite)


def pack_orders(staged: Tables, _: PortraitSettings) -> Any:
    """Returns the orders of data packs; packs for use abroad are roaming, not a need for more data at home."""
    abroad = staged["packs"].filter(lambda t: t.scope == "roaming").select("pack_id").distinct()
    rows = staged["pack_orders"]
    return rows.anti_join(abroad, "pack_id")


def roaming_sessions(staged: Tables, _: PortraitSettings) -> Any:
    """Returns the sessions abroad with the 30-day span they fall into."""
    rows = staged["roaming_sessions"]
    rows = rows.filter(rows.international.fill_null(True))
    return rows.mutate(span=(rows.days_ago - 1) // 30, with_pack=yes(rows.with_pack))


def network_rows(staged: Tables, settings: PortraitSettings) -> Any:
    """Returns the days with `is_poor`: drops or stalls above the limit."""
    rows = staged["network_experience"]
    limits = settings.limits
    return rows.mutate(is_poor=yes(rows.drops > limits.poor_drops) | yes(rows.stalls > limits.poor_stalls))


def network_experience(staged: Tables, settings: PortraitSettings) -> Any:
    """Returns the days of `network_rows` with the feed's newest day, `newest_day`."""
    rows = network_rows(staged, settings)
    return rows.cross_join(rows.aggregate(newest_day=rows.days_ago.min()))


def grid_faults(staged: Tables, _: PortraitSettings) -> Any:
    """Returns the open faults of each customer's home grid."""
    faults = staged["network_faults"]
    faults = newest(faults, ["fault_id"], _by_time(faults))
    faults = faults.filter(~yes(faults.days_since_repaired_at >= 1))
    faults = faults.select("grid", "fault_id", "expected_repair_on", "days_since_expected_repair_on")
    home = staged["source_customer"].select("customer_id", "grid")
    return home.inner_join(faults, "grid")


def fixed_services(staged: Tables, _: PortraitSettings) -> Any:
    """Returns the records of broadband and TV, the newest of each service marked, and whether it is in use."""
    rows = staged["fixed_services"]
    rows = ranked(rows, ["customer_id", "service"], _by_time(rows))
    is_newest = rows.rank == 1
    return rows.mutate(is_newest=is_newest, is_open=is_newest & (rows.status.fill_null("active") != "closed"))


def tickets(staged: Tables, settings: PortraitSettings) -> Any:
    """Returns one row per ticket in its newest state; `days_ago` counts from its opening."""
    import ibis

    rows = staged["tickets"]
    history = rows.group_by("ticket_id").aggregate(
        first_days_ago=rows.days_ago.max(),
        was_reopened=(rows.status == "reopened").any(),
    )
    rows = newest(rows, ["ticket_id"], _by_time(rows)).join(history, "ticket_id")
    rows = rows.mutate(days_ago=rows.days_since_opened_at.fill_null(rows.first_days_ago))
    is_open = rows.status != "closed"
    is_low = yes(rows.satisfaction <= settings.limits.unsatisfied_score)
    return rows.mutate(
        is_open=is_open,
        is_overdue=is_open & yes(rows.days_since_due_at >= 1),
        is_unsatisfied=~is_open & is_low,
        closed_days_ago=ibis.ifelse(is_open, None, rows.days_since_closed_at),
    )


def surveys(staged: Tables, _: PortraitSettings) -> Any:
    """Returns the answers, the newest marked."""
    rows = staged["surveys"]
    return ranked(rows, ["customer_id"], _by_time(rows)).mutate(is_newest=lambda t: t.rank == 1)


def attributes(staged: Tables, _: PortraitSettings) -> Any:
    """Returns each customer's newest declared attributes."""
    rows = staged["attributes"]
    return newest(rows, ["customer_id"], _by_time(rows))
