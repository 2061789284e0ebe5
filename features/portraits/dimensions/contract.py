"""Contract: the plan in force, what binds the customer, and steps towards leaving."""

from __future__ import annotations

from features.portraits.dimensions.spec import Definition, Dimension
from features.portraits.dimensions.windows import recency

_is = Dimension("contract")
_NOW = "plan_in_force"
_BOND = "contract"
_ORDERS = "subscriptions"
_PORT = "port_requests"

DEFINITIONS: tuple[Definition, ...] = (
    _is.category(
        "contract_type", _BOND, "What binds the customer, or did last, by the order that binds.",
        lambda t: t.contract_type.max(), ("none", "handset", "discount", "bundle"),
    ),
    _is.number(
        "contract_left_days", _BOND, "Days until the contract ends, by the order that binds; negative after.",
        lambda t: (-t.days_since_contract_end).max(),
    ),
    _is.number(
        "discount_left_days", _BOND, "Days until the discount ends, by the order that binds; negative after.",
        lambda t: (-t.days_since_discount_end).max(),
    ),
    _is.number(
        "discount_amount", _NOW, "Monthly discount of the plan in force, minor units; 0 after its end.",
        lambda t: (t.discount_amount * (t.days_since_discount_end.fill_null(0) <= 0).cast("int64")).max(),
    ),
    _is.number(
        "plan_days", _NOW, "Days since the order in force took effect.", lambda t: t.days_since_effective_on.max()
    ),
    _is.number("plan_fee_amount", _NOW, "Monthly fee of the plan, minor units.", lambda t: t.monthly_fee.max()),
    _is.category(
        "plan_generation", _NOW, "Network generation of the plan.",
        lambda t: t.generation.max(), ("2G", "3G", "4G", "5G"),
    ),
    _is.number(
        "plan_data_mb", _NOW, "Data a month before slow-down, else before over-use, MB.",
        lambda t: t.allowance_kb.max().cast("float64") / 1024.0,
    ),
    _is.number(
        "is_5g_device_on_old_plan", _NOW, "1 if a 5G handset is used on a plan before 5G.",
        lambda t: t.is_5g_device_on_old_plan.cast("int64").max(),
    ),
    _is.count(
        "plan_orders_count_180d", _ORDERS, "Plan or contract orders placed in 180 days.",
        lambda t: t.count(where=t.days_since_ordered_at.between(1, 180)),
    ),
    _is.count(
        "has_pending_plan", _ORDERS, "1 if an order has been placed that is not yet in force.",
        lambda t: (t.days_since_effective_on < 0).cast("int64").max(),
    ),
    _is.number("port_step_recency_days", _PORT, "Days since the newest step towards porting out.", recency),
)  # fmt: skip
