"""The class report as a table for people."""

from __future__ import annotations

from typing import Any


def print_table(report: dict[str, Any]) -> None:
    """Prints the class report of one as-of date."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"Customer classes as of {report['as_of']}")
    columns = ("class", "customers", "share", "calls/1000", "complaints/1000", "repeat", "self-service", "churn")
    for name in (*columns, "upgrade", "mean bill", "change", "top topics"):
        table.add_column(name, justify="left" if name in ("class", "top topics") else "right")
    for one in report.get("classes", []):
        table.add_row(*_cells(one))
    Console().print(table)
    for name in report.get("not_evaluable", []):
        print(f"not evaluable: {name} (a feed is missing)")
    if report["missing"]:
        print(f"missing: {', '.join(report['missing'])}")


def _cells(one: dict[str, Any]) -> list[str]:
    def number(name: str, form: str) -> str:
        value = one.get(name)
        if value is None or isinstance(value, str):
            return str(value or "-")
        return format(value, form)

    return [
        one["class"],
        number("size", ","),
        number("share", ".1%"),
        number("manual_calls_per_1000", ".1f"),
        number("complaints_per_1000", ".1f"),
        number("repeat_ratio", ".2f"),
        number("self_service_share", ".0%"),
        number("churn_share", ".2%"),
        number("upgrade_share", ".2%"),
        number("mean_bill", ".2f"),
        number("change", "+,"),
        ", ".join(one["top_topics"]) if isinstance(one.get("top_topics"), list) else number("top_topics", ""),
    ]
