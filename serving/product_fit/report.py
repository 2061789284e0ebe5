"""Product fit for a person at a terminal: money in whole units with two decimals, one table a question."""

from __future__ import annotations

from typing import Any

from features.kit.terminal.console import make_table, open_console
from serving.product_fit.offers.wording import lost_text, money, named

LEFT_OUT = {
    "no_use": "use not known",
    "no_plan": "plan not known",
    "no_bill": "bill not known",
    "other_plan": "another plan or other terms",
}


def customer_report(fit: dict[str, Any]) -> None:
    """Prints one customer's offers, needs and every plan's months."""
    console = open_console()
    scale, currency = fit["money_scale"], fit["currency"]
    plan = _plan(fit["current_plan_id"], fit["current_plan_zh"], fit["current_plan_en"])
    lines = f"; {fit['lines']} lines share its allowance and are rated together" if fit["lines"] > 1 else ""
    console.print(
        f"customer {fit['customer_id']} on {fit['as_of_date']}: {fit['status']}; plan {plan}, "
        f"fee {money(fit['current_fee'], scale)}, {money(fit['current_cost'], scale)} {currency} a month over "
        f"{fit['months']} months, worst month {money(fit['current_worst_month_cost'], scale)}{lines}"
    )
    if fit["no_sale_today"]:
        console.print("no sale today: pitch nothing; these figures are for a customer who asks")
    if fit["left_out"]:
        left = ", ".join(f"{one['month'][:7]} ({LEFT_OUT[one['why']]})" for one in fit["left_out"])
        console.print(f"months that are not counted: {left}")
    for need, figures in fit["needs"].items():
        told = ", ".join(
            f"{name} {money(value, scale) if name == 'amount' else value}" for name, value in figures.items()
        )
        console.print(f"need: {need} ({told})")
    offers = []
    for number, offer in enumerate(fit["offers"], start=1):
        remarks = [
            *(["only on request"] if offer["on_request"] else []),
            *([f"early exit {money(offer['early_exit_fee'], scale)} included"] if offer["early_exit_fee"] else []),
            *([offer["status"]] if offer["status"] != "ok" else []),
        ]
        offers.append(
            (
                str(number),
                _plan(offer["plan_id"], offer["name_zh"], offer["name_en"]),
                money(offer["monthly_fee"], scale),
                offer["pack_id"] or "-",
                money(offer["monthly_cost"], scale),
                money(offer["worst_month_cost"], scale),
                money(offer["saving"], scale),
                lost_text(offer["lost"], "en", lambda amount: money(amount, scale)) or "-",
                offer["need"],
                offer["effective_on"],
                "; ".join(remarks),
            )
        )
    if offers:
        headings = (
            "offer", "plan", "fee", "pack", "cost a month", "worst month", "saving", "lost", "need", "effective", "",
        )  # fmt: skip
        console.print(make_table(headings, offers, title="Offers"))
    if not fit["rated"]:
        return
    periods = sorted({period for plan in fit["rated"] for period in plan["months"]})
    rated = [
        (
            plan["plan_id"],
            *(money(plan["months"].get(period), scale) for period in periods),
            money(plan["total"], scale),
        )
        for plan in fit["rated"]
    ]
    headings = ("plan, without packs", *(period[:7] for period in periods), "total")
    console.print(make_table(headings, rated, title="What each month would have cost"))


def _plan(plan_id: str | None, zh: str | None, en: str | None) -> str:
    """Returns a plan's id with its name."""
    name = named(zh, en, plan_id, "zh")
    return (plan_id or "-") if name in ("", plan_id) else f"{plan_id} {name}"


def totals_report(summary: dict[str, Any]) -> None:
    """Prints what a whole run found."""
    scale = summary["money_scale"]
    share = summary["reproduced_share"]
    saving = f"{money(summary['total_saving'], scale)} {summary['currency']}"
    rows = [
        ("customers", f"{summary['customers']:,}"),
        ("bills reproduced", "no bill feed" if share is None else f"{100 * share:.1f} %"),
        ("customers with a saving to offer", f"{summary['offers']:,}"),
        ("saving a month", saving),
        *((f"  {status}", f"{count:,}") for status, count in summary["by_status"].items()),
        *((f"mean month under {plan}", money(cost, scale)) for plan, cost in summary["plans"].items()),
        ("plans without a stated price", ", ".join(summary["unrateable_plans"])),
        ("file", summary["path"]),
    ]
    shown = [row for row in rows if row[1]]
    open_console().print(make_table(("product fit", summary["as_of_date"]), shown, title="Product fit"))
