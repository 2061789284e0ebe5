"""The page a person sees at the end of the main job: what came in, what was learned, whom to contact."""

from __future__ import annotations

from typing import Any

from features.kit.home import Home
from features.kit.pages.pages import render
from features.kit.terminal.console import make_table, open_console


def print_summary(summary: dict[str, Any], home: Home, *, synthetic: bool) -> None:
    """Prints the summary of a journey (see `journey.run_journey`) to stdout."""
    console = open_console()
    console.rule("[bold]Customer Insight" + (" - a synthetic operator, no real person" if synthetic else ""))
    console.print(_feeds(summary.get("ingest", {})))
    console.print(_models(summary.get("train", {})))
    for line in _lines(summary, home):
        console.print(line, soft_wrap=True, highlight=False, markup=False)
    console.rule()


def print_runs(runs: list[dict[str, Any]]) -> None:
    """Prints the run table, newest first."""
    from rich.table import Table

    table = Table(box=None)
    for heading in ("started (UTC)", "run", "ended", "how", "why"):
        table.add_column(heading, no_wrap=heading != "why", overflow="fold")
    for run in runs:
        ended = str(run["ended_at"] or "-")[:19]
        started = str(run["started_at"])[:19]
        table.add_row(started.replace("T", " "), run["command"], ended.replace("T", " "), run["status"], run["note"])
    open_console().print(table)


def _feeds(ingest: dict[str, Any]) -> Any:
    rows = []
    for feed, counts in ingest.get("feeds", {}).items():
        why = ", ".join(f"{reason} {count:,}" for reason, count in counts.get("reasons", {}).items())
        rows.append((feed, f"{counts['accepted']:,}", f"{counts['quarantined']:,}", why))
    numeric = ("rows accepted", "quarantined")
    return make_table(("feed", *numeric, "why"), rows, right=numeric, title="Feeds")


def _models(train: dict[str, Any]) -> Any:
    rows = [
        (
            target,
            figure(result.get("auc")),
            "-" if not result.get("auc_ci") else " - ".join(figure(end) for end in result["auc_ci"]),
            figure(result.get("oracle_auc")),
            f"{result.get('positives') or 0:,}",
            "yes" if result.get("promoted") else f"no: {result.get('reason', '')}",
        )
        for target, result in train.get("targets", {}).items()
    ]
    numeric = ("AUC", "95 % interval", "best possible", "positives")
    return make_table(("target", *numeric, "serves"), rows, right=numeric, title="Models")


def _lines(summary: dict[str, Any], home: Home) -> list[str]:
    steps = {step: summary.get(step, {}) for step in ("ingest", "train", "evaluate", "outreach", "fit", "access")}
    text = render("features.journey", "summary.txt.j2", home=home, spent=spent(summary), **steps)
    return text.splitlines()


def spent(summary: dict[str, Any]) -> str:
    """Returns the line on wall seconds per step and peak memory."""
    steps = ", ".join(f"{step} {value:.0f}" for step, value in summary.get("wall_seconds", {}).items())
    return f"Seconds: {steps}. Peak memory {summary.get('peak_memory_mb', 0):,} MB."


def figure(value: float | None) -> str:
    """Returns a share with three decimals, or a dash where it is not known."""
    return "-" if value is None else f"{value:.3f}"
