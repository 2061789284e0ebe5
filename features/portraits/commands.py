"""The commands of this room: build portraits, print the class report, write the feature catalogue."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from features.kit.cli import HomeOption, JsonOption, open_home, parse_date, print_json
from features.kit.clock import add_months, as_of_grid, month_start
from features.kit.errors import ConfigurationError, NotReadyError

if TYPE_CHECKING:
    from features.feeds.landed.reading import Feeds

AsOfOption = Annotated[str | None, typer.Option("--as-of", help="The as-of date; the newest possible if left out.")]


def register(app: typer.Typer) -> None:
    """Adds this room's commands to `insight`."""
    app.command(name="build")(build)
    app.command(name="classes")(classes)
    app.command(name="catalogue")(catalogue)


def build(
    home: HomeOption = None,
    as_of: AsOfOption = None,
    first: Annotated[str | None, typer.Option("--from", help="First as-of date of a series.")] = None,
    every: Annotated[str, typer.Option("--every", help="Step of the series: `month` (each 1st) or days.")] = "month",
    engine: Annotated[str, typer.Option("--engine", help="duckdb or spark.")] = "duckdb",
    threads: Annotated[int, typer.Option(min=1, help="Threads of DuckDB.")] = 1,
    as_json: JsonOption = False,
) -> None:
    """Build portraits: one row per customer and as-of date."""
    from features.feeds.landed.reading import Feeds
    from features.kit.runs import exclusive_run
    from features.kit.terminal.progress import Progress
    from features.portraits.build.build import build_portraits

    if engine not in ("duckdb", "spark"):
        raise ConfigurationError(f"--engine {engine}: write duckdb or spark")
    place = open_home(home)
    with exclusive_run(place, "build"):
        feeds = Feeds.open(place)
        dates = _series(feeds, parse_date(as_of, flag="--as-of"), parse_date(first, flag="--from"), every)
        report = build_portraits(
            place, feeds, dates, threads=threads, progress=Progress(quiet=False), on_spark=engine == "spark"
        )
    summary = {
        "identity": report.identity,
        "built": {day.isoformat(): rows for day, rows in report.built.items()},
        "kept": [day.isoformat() for day in report.kept],
        "missing": list(report.missing),
    }
    if as_json:
        print_json(summary)
        return
    for day, rows in report.built.items():
        print(f"{day}  {rows} customers")
    print(f"{len(report.kept)} dates were up to date. Missing: {', '.join(report.missing) or 'nothing'}.")


def _series(feeds: Feeds, as_of: date | None, first: date | None, every: str) -> list[date]:
    """Returns the as-of dates that the flags ask for, oldest first."""
    from features.portraits.step import newest_of

    last = newest_of(feeds, as_of)
    if feeds.operator.snapshot_on is None and last <= feeds.first_day():
        raise NotReadyError(
            f"--as-of {last}: the feeds begin on {feeds.first_day()}, nothing was known before",
            remedy="name a later day",
        )
    if first is None:
        return [last]
    if first > last:
        raise ConfigurationError(f"--from {first} is after --as-of {last}")
    if every == "month":
        months = range(-1200, 1)
        firsts = [add_months(month_start(last), k) for k in months]
        return sorted({*(day for day in firsts if day >= first), last})
    if not every.isdigit() or int(every) < 1:
        raise ConfigurationError(f"--every {every}: write `month` or a number of days")
    return as_of_grid(first, last, int(every))


def classes(home: HomeOption = None, as_of: AsOfOption = None, as_json: JsonOption = False) -> None:
    """Print the report of the twelve customer classes."""
    from features.portraits.class_table import print_table
    from features.portraits.reading import Portraits

    portraits = Portraits.open(open_home(home))
    day = parse_date(as_of, flag="--as-of") or portraits.as_of_dates()[-1]
    report: dict[str, Any] = portraits.class_report(day)
    if as_json:
        print_json(report)
    else:
        print_table(report)


def catalogue(
    out: Annotated[Path | None, typer.Option("--out", help="Write the page here instead of printing it.")] = None,
) -> None:
    """Write the catalogue of features: name, meaning, unit, window."""
    from features.portraits.catalogue import page

    if out is None:
        print(page(), end="")
    else:
        out.write_text(page(), encoding="utf-8")
