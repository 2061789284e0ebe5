"""The page a person sees at the end of the main job: what came in, what was learned, whom to contact."""

from __future__ import annotations

from typing import Any

from features.kit.console import make_table, open_console
from features.kit.home import Home


def print_summary(summary: dict[str, Any], home: Home, *, synthetic: bool) -> None:
    """Prints the summary of a journey (see `journey.run_journey`) to stdout."""
    console = open_console()
    console.rule("[bold]Customer Insight" + (" - a synthetic operator, no real person" if synthetic else ""))
    console.print(_feeds(summary.get("ingest", {})))
    console.print(_models(summary.get("train", {})))
    for line in _lines(summary, home):
        console.print(line, soft_wrap=True, highlight=False)
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
    outreach, fit, train = (summary.get(step, {}) for step in ("outreach", "fit", "train"))
    lines = [f"As of {summary.get('ingest', {}).get('as_of', '?')}."]
    causes = summary.get("evaluate", {}).get("cause_hit")
    if causes:
        shown = ", ".join(f"{target} {_percent(hit)}" for target, hit in causes.items())
        lines.append(
            f"True cause among the three reasons shown (known only because the operator is synthetic): {shown}."
        )
    if outreach:
        suppressed = ", ".join(f"{code} {count:,}" for code, count in outreach.get("suppressed", {}).items())
        assumed = " (effects assumed, not yet measured)" if outreach.get("assumed") else ""
        lines.append(
            f"Outreach list{assumed}: {outreach.get('lines', 0):,} lines; held back: {suppressed or 'nobody'}."
        )
        lines += [f"   {line}" for line in outreach.get("first_lines", [])]
        lines.append(f"   {outreach.get('xlsx', '')}")
    if fit:
        lines.append(
            f"Product fit: own bills reproduced for {_percent(fit.get('reproduced_share'))}; "
            f"{fit.get('offers', 0):,} customers with an offer; saving {_money(fit)} a month in all."
        )
    lines += [
        f"SHAP picture ({target}): {result['shap']}"
        for target, result in train.get("targets", {}).items()
        if result.get("shap")
    ]
    lines.append(f"Models: .venv/bin/mlflow ui --backend-store-uri sqlite:///{home.mlruns / 'mlflow.db'}")
    lines += [f"   {call}" for call in summary.get("access", {}).get("curl", [])]
    lines.append(spent(summary))
    return lines


def spent(summary: dict[str, Any]) -> str:
    """Returns the line on wall seconds per step and peak memory."""
    steps = ", ".join(f"{step} {value:.0f}" for step, value in summary.get("wall_seconds", {}).items())
    return f"Seconds: {steps}. Peak memory {summary.get('peak_memory_mb', 0):,} MB."


def figure(value: float | None) -> str:
    """Returns a share with three decimals, or a dash where it is not known."""
    return "-" if value is None else f"{value:.3f}"


def _money(fit: dict[str, Any]) -> str:
    amount = fit.get("total_saving", 0) / 10 ** fit.get("money_scale", 0)
    return f"{amount:,.2f} {fit.get('currency', '')}"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"
