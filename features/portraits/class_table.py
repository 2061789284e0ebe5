"""The class report as a table for people."""

from __future__ import annotations

from typing import Any

_COLUMNS: dict[str, tuple[str, str]] = {
    "size": ("customers", ","),
    "share": ("share", ".1%"),
    "manual_calls_per_1000": ("calls/1000", ".1f"),
    "complaints_per_1000": ("complaints/1000", ".1f"),
    "repeat_ratio": ("repeat", ".2f"),
    "self_service_share": ("self-service", ".0%"),
    "churn_share": ("churn", ".2%"),
    "upgrade_share": ("upgrade", ".2%"),
    "mean_bill": ("mean bill", ".2f"),
    "change": ("change", "+,"),
}


def print_table(report: dict[str, Any]) -> None:
    """Prints the class report of one as-of date, one line per class, whatever the width of the terminal."""
    lines = [["class", *(title for title, _ in _COLUMNS.values()), "top topics"]]
    lines += [_cells(row) for row in report["classes"]]
    widths = [max(len(line[place]) for line in lines) for place in range(len(lines[0]))]
    print(f"customer classes as of {report['as_of']}")
    for line in lines:
        middle = (cell.rjust(width) for cell, width in zip(line[1:-1], widths[1:-1], strict=True))
        print("  ".join([line[0].ljust(widths[0]), *middle, line[-1]]))
    if report["not_evaluable"]:
        print(f"not evaluable (a feed is missing): {', '.join(report['not_evaluable'])}")
    if report["missing"]:
        print(f"missing: {', '.join(report['missing'])}")


def _cells(one: dict[str, Any]) -> list[str]:
    topics = one["top_topics"]
    last = ", ".join(topics) if isinstance(topics, list) else topics or "-"
    return [one["class"], *(_cell_text(one[name], form) for name, (_, form) in _COLUMNS.items()), last]


def _cell_text(value: Any, form: str) -> str:
    return str(value or "-") if value is None or isinstance(value, str) else format(value, form)
