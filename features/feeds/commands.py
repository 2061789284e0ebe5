"""The commands of this room: `insight ingest` lands a source, `insight check` tries a mapping without landing."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from features.kit.cli import HomeOption, JsonOption, open_home, print_json

SourceOption = Annotated[Path, typer.Option("--source", help="The source mapping, a YAML file.")]
DataOption = Annotated[Path, typer.Option("--data", help="The folder with the operator's files.")]


def register(app: typer.Typer) -> None:
    """Adds this room's commands to `insight`."""
    app.command("ingest", help="Land an operator's files: map, check, version; bad rows go to quarantine.")(_ingest)
    app.command("check", help="Try a mapping on files without landing anything.")(_check)


def _ingest(
    source: SourceOption,
    data: DataOption,
    home: HomeOption = None,
    arrived_at: Annotated[
        str | None, typer.Option(help="When the delivery arrived, UTC, as 2026-06-01T06:00:00 [default: now].")
    ] = None,
    threads: Annotated[int, typer.Option(help="DuckDB threads.")] = 1,
    *,
    as_json: JsonOption = False,
) -> None:
    from features.feeds.landing import land
    from features.feeds.sources import load_source
    from features.kit.progress import Progress
    from features.kit.runs import recorded_run, run_lock

    place = open_home(home)
    mapping = load_source(source)
    arrival = _parse_instant(arrived_at)
    with run_lock(place, "ingest"), recorded_run(place, "ingest"):
        report = land(mapping, data, place, Progress(quiet=as_json), threads=threads, arrived_at=arrival)
    summary = report.as_dict()
    if as_json:
        print_json(summary)
        return
    _print_table(summary["feeds"])
    print(f"feeds cover {summary['first_day']} up to {summary['as_of']}; missing: {', '.join(summary['missing'])}")


def _check(source: SourceOption, data: DataOption, *, as_json: JsonOption = False) -> None:
    import tempfile

    from features.feeds.landing import check
    from features.feeds.sources import load_source
    from features.kit.home import Home

    mapping = load_source(source)
    with tempfile.TemporaryDirectory() as scratch:
        reports = check(mapping, data, Home(Path(scratch)))
    feeds = {name: report.as_dict() for name, report in reports.items()}
    if as_json:
        print_json({"feeds": feeds})
        return
    _print_table(feeds)
    print("the mapping fits the files; nothing was landed")


def _parse_instant(text: str | None) -> Any:
    from datetime import UTC, datetime

    from features.kit.errors import ConfigurationError

    if text is None:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(f"--arrived-at: '{text}' is not a time", remedy="write 2026-06-01T06:00:00") from None
    return instant.astimezone(UTC) if instant.tzinfo else instant


def _print_table(feeds: dict[str, dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None)
    for title, justify in (
        ("feed", "left"),
        ("accepted", "right"),
        ("known already", "right"),
        ("quarantined", "right"),
    ):
        table.add_column(title, justify=justify)  # type: ignore[arg-type]
    table.add_column("why")
    for name, report in feeds.items():
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in report["reasons"].items())
        if report["unchanged"]:
            reasons = "unchanged files, nothing to do" + (f"; before: {reasons}" if reasons else "")
        numbers = (f"{report[key]:,}" for key in ("accepted", "repeated", "quarantined"))
        table.add_row(name, *numbers, reasons)
    Console(file=sys.stdout, width=None if sys.stdout.isatty() else 160).print(table)
