"""The page a person sees at the end of a month's run: what arrived, who challenges whom, what a list would change."""

from __future__ import annotations

from typing import Any

from features.journey.summary import figure, spent
from features.kit.home import Home
from features.kit.pages.pages import render
from features.kit.terminal.console import make_table, open_console


def print_month(summary: dict[str, Any], home: Home) -> None:
    """Prints the summary of a month's run (see `month.run_month`) to stdout."""
    console = open_console()
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
    now = calendar["periods"][-1]
    cells: dict[str, dict[str, dict[str, Any]]] = {}
    for cell in calendar["cells"]:
        cells.setdefault(cell["feed"], {})[cell["period"]] = cell
    rows = []
    wrong = {problem["feed"] for problem in calendar["problems"]}
    for feed, row in cells.items():
        newest = row[now]
        arrived = str(newest["arrived_at"] or ("-" if newest["is_due"] else "not due yet"))[:16].replace("T", " ")
        if newest["last_arrived_at"] != newest["arrived_at"]:
            arrived += f", last {str(newest['last_arrived_at'])[:10]}"
        missing = list(newest["cities_missing"])
        missing += [f"{newest['days_missing']} days"] if newest["days_missing"] else []
        counts = [f"{row[period]['rows']:,}" for period in calendar["periods"]]
        change = "-" if newest["change"] is None else f"{newest['change']:+.0%}"
        name = f"[bold red]{feed}[/]" if feed in wrong else feed
        rows.append((name, *counts, arrived, f"{newest['quarantined']:,}", change, ", ".join(missing)))
    headings = ("feed", *calendar["periods"], "arrived (UTC)", "quarantined", "change", "missing")
    right = (*calendar["periods"], "quarantined", "change")
    return make_table(headings, rows, right=right, title=f"Feed calendar up to {calendar['period']}: rows a month")


def _models(train: dict[str, Any]) -> Any:
    rows = []
    for target, result in train["targets"].items():
        champion = result.get("champion") or {}
        is_recommended = target in train["recommended"]
        rows.append(
            (
                target,
                champion.get("version") or "none",
                figure(champion.get("auc")),
                train["challengers"].get(target) or ("the same" if result.get("version") else "none"),
                figure(result.get("auc")),
                _interval(result.get("profit_gap")),
                f"{'would promote' if is_recommended else 'keeps'}: {result.get('rule') or result.get('reason', '')}",
            )
        )
    right = ("AUC", "AUC ", "profit gained (95 %)")
    headings = ("target", "champion", "AUC", "challenger", "AUC ", "profit gained (95 %)", "written rule")
    return make_table(headings, rows, right=right, title="Champion against challenger")


def _interval(gap: dict[str, Any] | None) -> str:
    """Returns what the challenger earns more than the champion on the same rows, with its interval."""
    return "-" if not gap else f"{gap['value']:+,.0f} ({gap['low']:+,.0f} to {gap['high']:+,.0f})"


def _lists(preview: dict[str, Any]) -> Any:
    changes = dict(preview["targets"])
    if preview["together"] and len(changes) > 1:
        changes["all that the rule would promote"] = preview["together"]
    keys = ("lines_before", "lines_after", "lines_in", "lines_out", "moved", "changed")
    rows = [
        (name, *(f"{change[key]:,}" for key in keys))
        if "lines_in" in change
        else (name, "-", "-", "-", "-", "-", str(change.get("reason", "")))
        for name, change in changes.items()
    ]
    numeric = ("lines now", "lines then", "in", "out", "moved", "other action")
    title = f"What the list of {preview['as_of']} would gain and lose"
    return make_table(("if these took over", *numeric), rows, right=numeric, title=title)


def _lines(summary: dict[str, Any], home: Home) -> list[str]:
    content = {"calendar": {}} | summary | {"home": home, "spent": spent(summary)}
    return render("features.journey", "month.txt.j2", **content).splitlines()
