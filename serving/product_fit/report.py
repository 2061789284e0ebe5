"""Product fit for a person at a terminal: money in whole units with two decimals, one table a question."""

from __future__ import annotations

from typing import Any

from features.kit.console import make_table, open_console


def money(amount: int | None, scale: int) -> str:
    """Returns an amount with two decimals. Example: 12,345 li (scale 3) is "12.35"; half a cent rounds up."""
    if amount is None:
        return "-"
    sign, amount = ("-", -amount) if amount < 0 else ("", amount)
    cents = (amount * 200 + 10**scale) // (2 * 10**scale)
    return f"{sign}{cents // 100}.{cents % 100:02d}"


def customer_report(fit: dict[str, Any]) -> None:
    """Prints one customer's offers, needs and every plan's months."""
    console = open_console()
    scale, currency = fit["money_scale"], fit["currency"]
    console.print(
        f"customer {fit['customer_id']} on {fit['as_of_date']}: {fit['status']}; plan {fit['current_plan_id'] or '-'}, "
        f"{money(fit['current_cost'], scale)} {currency} a month over {fit['months']} months"
    )
    for need, figures in fit["needs"].items():
        told = ", ".join(
            f"{name} {money(value, scale) if name == 'amount' else value}" for name, value in figures.items()
        )
        console.print(f"need: {need} ({told})")
    offers = []
    for number, offer in enumerate(fit["offers"], start=1):
        remarks = [
            *(["only on request"] if offer["on_request"] else []),
            *(["keeps buying packs as now"] if offer["packs_as_now"] else []),
            *([f"early exit {money(offer['early_exit_fee'], scale)} included"] if offer["early_exit_fee"] else []),
            *([offer["status"]] if offer["status"] != "ok" else []),
        ]
        offers.append(
            (
                str(number),
                f"{offer['plan_id']} {offer['name_zh'] or ''}".strip(),
                offer["pack_id"] or "-",
                money(offer["monthly_cost"], scale),
                money(offer["saving"], scale),
                offer["need"],
                offer["effective_on"],
                "; ".join(remarks),
            )
        )
    if offers:
        headings = ("offer", "plan", "pack", "cost a month", "saving", "need", "effective", "")
        console.print(make_table(headings, offers, title="Offers"))
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
