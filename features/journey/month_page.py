"""The page a person sees at the end of a month's run: what arrived, who challenges whom, what a list would change."""

from __future__ import annotations

from typing import Any

from features.journey.summary import spent
from features.kit.home import Home


def print_month(summary: dict[str, Any], home: Home) -> None:
    """Prints the summary of a month's run (see `month.run_month`) to stdout."""
    import sys

    from rich.console import Console

    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 160)
    console.rule(f"[bold]Customer Insight: the month {summary['period']}")
    if "calendar" in summary:
        console.print(_calendar(summary["calendar"]))
    if "train" in summary:
        console.print(_models(summary["train"]))
    if summary.get("preview", {}).get("targets"):
        console.print(_lists(summary["preview"]))
    for line in _lines(summary, home):
        console.print(line, soft_wrap=True, highlight=False)
    console.rule()


def _calendar(calendar: dict[str, Any]) -> Any:
    from rich.table import Table

    *earlier, now = calendar["periods"]
    table = Table(title=f"Feed calendar up to {calendar['period']}: rows a month", title_justify="left")
    table.add_column("feed")
    for period in (*earlier, now):
        table.add_column(period, justify="right")
    for heading in ("arrived (UTC)", "quarantined", "change", "missing"):
        table.add_column(heading, justify="right" if heading in ("quarantined", "change") else "left")
    cells: dict[str, dict[str, dict[str, Any]]] = {}
    for cell in calendar["cells"]:
        cells.setdefault(cell["feed"], {})[cell["period"]] = cell
    wrong = {problem["feed"] for problem in calendar["problems"]}
    for feed, row in cells.items():
        newest = row[now]
        arrived = str(newest["arrived_at"] or ("-" if newest["is_due"] else "not due yet"))[:16].replace("T", " ")
        if newest["last_arrived_at"] != newest["arrived_at"]:
            arrived += f", last {str(newest['last_arrived_at'])[:10]}"
        missing = list(newest["cities_missing"])
        missing += [f"{newest['days_missing']} days"] if newest["days_missing"] else []
        counts = [f"{row[period]['rows']:,}" for period in (*earlier, now)]
        change = "-" if newest["change"] is None else f"{newest['change']:+.0%}"
        name = f"[bold red]{feed}[/]" if feed in wrong else feed
        table.add_row(name, *counts, arrived, f"{newest['quarantined']:,}", change, ", ".join(missing))
    return table


def _models(train: dict[str, Any]) -> Any:
    from rich.table import Table

    table = Table(title="Champion against challenger", title_justify="left")
    for heading in ("target", "champion", "AUC", "challenger", "AUC ", "profit gained (95 %)", "written rule"):
        table.add_column(heading, justify="right" if "AUC" in heading or "%" in heading else "left")
    for target, result in train["targets"].items():
        champion = result.get("champion") or {}
        is_recommended = target in train["recommended"]
        table.add_row(
            target,
            champion.get("version") or "none",
            _figure(champion.get("auc")),
            train["challengers"].get(target) or ("the same" if result.get("version") else "none"),
            _figure(result.get("auc")),
            _interval(result.get("profit_gap")),
            f"{'would promote' if is_recommended else 'keeps'}: {result.get('rule') or result.get('reason', '')}",
        )
    return table


def _interval(gap: dict[str, Any] | None) -> str:
    """Returns what the challenger earns more than the champion on the same rows, with its interval."""
    return "-" if not gap else f"{gap['value']:+,.0f} ({gap['low']:+,.0f} to {gap['high']:+,.0f})"


def _lists(preview: dict[str, Any]) -> Any:
    from rich.table import Table

    table = Table(title=f"What the list of {preview['as_of']} would gain and lose", title_justify="left")
    for heading in ("if these took over", "lines now", "lines then", "in", "out", "moved", "other action"):
        table.add_column(heading, justify="left" if heading.startswith("if") else "right")
    rows = dict(preview["targets"])
    if preview["together"] and len(rows) > 1:
        rows["all that the rule would promote"] = preview["together"]
    for name, change in rows.items():
        if "lines_in" not in change:
            table.add_row(name, "-", "-", "-", "-", "-", str(change.get("reason", "")))
            continue
        keys = ("lines_before", "lines_after", "lines_in", "lines_out", "moved", "changed")
        table.add_row(name, *(f"{change[key]:,}" for key in keys))
    return table


def _lines(summary: dict[str, Any], home: Home) -> list[str]:
    lines = [f"As of {summary['preview']['as_of']}."] if "preview" in summary else []
    calendar = summary.get("calendar", {})
    lines += [f"Note: {note}." for note in calendar.get("notes", [])]
    if calendar.get("accepted"):
        lines.append(f"Accepted by a person: {calendar['accepted']}")
    if summary["ending"] == "refused":
        lines.append("Nothing was published. After a new delivery run the same command again, or publish all the same")
        lines.append('with --accept "why". What is wrong:')
        lines += [f"   {reason}" for reason in summary["reasons"]]
    if summary["ending"] == "undecided":
        lines.append("Nothing was promoted and nobody was claimed. To let a challenger take over:")
        for target in summary["train"]["recommended"]:
            lines.append(f"   insight promote {target} {summary['train']['challengers'][target]} --home {home.root}")
        as_of = summary["preview"]["as_of"]
        lines.append(f"   insight score --as-of {as_of} --home {home.root}")
    if summary["reused"]:
        lines.append(f"Continued: {', '.join(summary['reused'])} stood from the run before.")
    lines.append(spent(summary))
    return lines


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
