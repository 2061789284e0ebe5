"""The sentences of the catalogue about who the customer is and what binds the customer, a row at a time."""

from __future__ import annotations

from datetime import date
from typing import Any

from tests.features.portraits.by_sentence.history import Customer, Row

OLD = ("2G", "3G", "4G")


def profile(one: Customer) -> dict[str, Any]:
    """Who the customer is, by the newest state."""
    state = one.state("customers")
    return {
        "tenure_days": one.since(state.get("activated_on")),
        **{
            name: state.get(name)
            for name in ("kind", "status", "vip_tier", "province", "birth_year", "device_generation")
        },
        "device_days": one.since(state.get("device_since")),
    }


def household(one: Customer) -> dict[str, Any]:
    """The other subscriptions of the customer's accounts: in use, or ended within 90 days."""
    everybody, as_of = one.everybody, one.as_of
    running, closed = set(), set()
    for own in everybody.links.get(one.name, ()):
        if own["valid_from"] > as_of or (own["valid_until"] and own["valid_until"] < as_of):
            continue
        for link in everybody.accounts.get(own["account_id"], ()):
            other = link["customer_id"]
            if other == one.name or link["valid_from"] > as_of:
                continue
            ends = [everybody.ended[other]] if other in everybody.ended else []
            if link["valid_until"] and link["valid_until"] < as_of:
                ends.append((as_of - link["valid_until"]).days)
            if not ends:
                running.add(other)
            elif max(ends) <= 90:
                closed.add(other)
    return {"household_lines_count": len(running), "household_closed_count_90d": len(closed - running)}


def number(one: Customer) -> dict[str, Any]:
    """Whether the customer's newest number came from another operator."""
    begun = [row for row in one.everybody.flags.get(one.name, ()) if row["valid_from"] < one.everybody.instant]
    newest = max(begun, key=lambda row: (row["valid_from"], row["known_at"]), default={"ported_in_on": None})
    return {"is_ported_in": int(newest["ported_in_on"] is not None)}


def orders(one: Customer) -> list[Row]:
    """Returns the newest state of each order."""
    return list({(row["ordered_at"], row["plan_id"]): row for row in one.rows("subscriptions")}.values())


def plan_on(one: Customer, day: date) -> Row:
    """Returns the order in force on a day; an empty row if there is none."""
    return max(
        (row for row in orders(one) if row["effective_on"] <= day),
        key=lambda row: (row["effective_on"], row["ordered_at"]),
        default={},
    )


def allowance_kb(terms: Row) -> int | None:
    """Returns the data of a month before slow-down, else before over-use."""
    cap = terms.get("throttle_after_kb")
    return terms.get("data_kb") if cap is None else cap


def contract(one: Customer) -> dict[str, Any]:
    """What binds, by the order placed last of those in force or with an end; and the plan in force."""
    as_of, all_orders = one.as_of, orders(one)
    binding = [row for row in all_orders if row["effective_on"] <= as_of or row["contract_end"] or row["discount_end"]]
    bond: Row = max(binding, key=lambda row: (row["ordered_at"], row["effective_on"]), default={})
    plan = plan_on(one, as_of)
    terms = one.everybody.terms(plan.get("plan_id"))
    ends = {name: -one.since(bond[name]) if bond.get(name) else None for name in ("contract_end", "discount_end")}
    discount = plan.get("discount_amount")
    if discount is not None and plan["discount_end"] is not None and plan["discount_end"] < as_of:
        discount = 0
    handset, allowance = one.state("customers").get("device_generation"), allowance_kb(terms)
    generation = terms.get("generation")
    is_old = None if handset is None or generation is None else handset == "5G" and generation in OLD
    if handset in OLD or generation == "5G":
        is_old = False
    return {
        "contract_type": bond.get("contract_type"),
        "contract_left_days": ends["contract_end"],
        "discount_left_days": ends["discount_end"],
        "discount_amount": discount,
        "plan_days": one.since(plan.get("effective_on")),
        "plan_fee_amount": terms.get("monthly_fee"),
        "plan_generation": generation,
        "plan_data_mb": None if allowance is None else allowance / 1024,
        "is_5g_device_on_old_plan": None if is_old is None or not plan else int(is_old),
        "plan_orders_count_180d": sum(1 <= one.everybody.ago(row["ordered_at"]) <= 180 for row in all_orders),
        "has_pending_plan": int(any(row["effective_on"] > as_of for row in all_orders)),
    }


def bills(one: Customer) -> dict[str, Any]:
    """The newest bills: totals, fees, and what was paid late or not at all."""
    found = one.rows("bills")[::-1]
    if not found:
        return dict.fromkeys(BILLS)
    newest, three, before, ago = found[0], found[:3], found[1:4], one.everybody.ago
    due = [row | {"due": ago(row["due_at"])} for row in found if row["due_at"] and row["total"] >= 0]
    due = [row | {"paid": ago(row["paid_at"]) if row["paid_at"] else 0} for row in due if row["due"] >= 1]
    newest_six = {row["period"] for row in found[:6]}
    late = [row for row in due if row["period"] in newest_six and (row["paid"] < 1 or row["paid"] < row["due"])]
    unpaid = [
        row | {"owed": row["total"] if row["arrears"] is None else row["arrears"]} for row in due if row["paid"] < 1
    ]
    fees = [row["overage_fee"] for row in three if row["overage_fee"] is not None]
    items = {row["value_added_item"] for row in found[1:]}
    is_new = len(found) > 1 and newest["value_added_item"] is not None and newest["value_added_item"] not in items
    return {
        "bill_last_amount": newest["total"],
        "bill_mean_amount_90d": sum(row["total"] for row in three) / len(three),
        "bill_jump_share": newest["total"] * len(before) / sum(row["total"] for row in before)
        if sum(row["total"] for row in before)
        else None,
        "bill_overage_amount_90d": sum(fees) if fees else None,
        "bill_overage_months_count_90d": sum(fee > 0 for fee in fees) if fees else None,
        "bill_new_charge_amount": newest["value_added_fee"] if is_new else 0,
        "late_payments_count_180d": len(late),
        "late_payment_recency_days": min((row["due"] for row in late), default=None),
        "arrears_amount": sum(row["owed"] for row in unpaid),
        "arrears_days": max((row["due"] for row in unpaid if row["owed"] > 0), default=0),
    }


BILLS = (
    "bill_last_amount", "bill_mean_amount_90d", "bill_jump_share", "bill_overage_amount_90d", "bill_overage_months_count_90d",
    "bill_new_charge_amount", "late_payments_count_180d", "late_payment_recency_days", "arrears_amount", "arrears_days",
)  # fmt: skip


def steps(one: Customer) -> dict[str, Any]:
    """Steps towards leaving with the number."""
    return {"port_step_recency_days": one.newest("port_requests")}
