"""The commands that string every room together: `insight demo`, `insight run` (also a month's) and `insight runs`."""

from __future__ import annotations

import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from features.kit.cli import HomeOption, JsonOption, check_workbook, open_home, parse_date, print_json
from features.kit.config import config_path
from features.kit.errors import ConfigurationError
from features.kit.home import Home
from features.kit.language import parse_locale

if TYPE_CHECKING:
    from features.journey.journey import Journey

_LOCALE = Annotated[str | None, typer.Option("--locale", help="Language of the list, zh or en [the operator's].")]
_THREADS = Annotated[int, typer.Option(min=1, help="Threads of DuckDB and of scoring; training takes one.")]


def register(app: typer.Typer) -> None:
    """Adds `demo`, `run` and `runs` to `insight`."""
    app.command(name="demo")(demo)
    app.command(name="run")(run)
    app.command(name="day")(day)
    app.command(name="runs")(runs)


def demo(
    home: HomeOption = None,
    customers: Annotated[int, typer.Option(min=1_000, help="Size of the synthetic operator.")] = 20_000,
    months: Annotated[int, typer.Option(min=12, help="Months of synthetic history.")] = 18,
    seed: Annotated[int, typer.Option(help="Seed of the simulator and the learners.")] = 7,
    threads: _THREADS = 2,
    serve: Annotated[bool, typer.Option(help="End serving the API.")] = True,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the API; 0 picks a free one.")] = 8000,
    fresh: Annotated[bool, typer.Option("--fresh", help="Delete the home of an earlier demo first.")] = False,
    as_json: JsonOption = False,
) -> None:
    """The whole main job on a synthetic operator, then the API.

    Simulate -> ingest -> build portraits -> publish -> train -> score -> product fit -> outreach list -> serve.
    Everything it shows is synthetic. It can be stopped and started again at any point.
    """
    from features.journey.journey import DEMO_STEPS, Journey

    place = open_home(home)
    _one_demo_per_home(place, {"customers": customers, "months": months, "seed": seed}, fresh=fresh)
    journey = Journey(
        home=place,
        source=config_path("sources/simulator.yaml"),
        data=place.simulation / "files",
        customers=customers,
        months=months,
        seed=seed,
        threads=threads,
    )
    _run_and_print(DEMO_STEPS, journey, synthetic=True, as_json=as_json)
    if serve:
        _serve(place, port)


def run(
    source: Annotated[Path, typer.Option(help="Source mapping, e.g. configs/sources/megaline.yaml.")],
    data: Annotated[Path, typer.Option(help="Folder with the operator's files.")],
    home: HomeOption = None,
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="As-of date; the latest the feeds allow if left out.")
    ] = None,
    target: Annotated[list[str] | None, typer.Option(help="Train only these targets; may be repeated.")] = None,
    capacity: Annotated[
        int | None, typer.Option(min=0, help="Attempts of people on the outreach list; messages have their own.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the learners.")] = 7,
    through: Annotated[
        str | None, typer.Option(help="The month's run: take in this month, as 202606; promote nothing, list nobody.")
    ] = None,
    accept: Annotated[
        str, typer.Option(help="With --through: publish although the feed calendar objects; say why.")
    ] = "",
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="Change a key of the targets to train: learner.trees=300.")
    ] = None,
    tune: Annotated[bool, typer.Option("--tune", help="Search better learner settings before training.")] = False,
    locale: _LOCALE = None,
    threads: _THREADS = 2,
    as_json: JsonOption = False,
) -> None:
    """The whole main job on an operator's own files, up to the lists.

    Ingest -> build portraits -> publish -> train -> score -> product fit -> outreach list. What can be learned from
    the feeds at hand is learned; what cannot is said, and the rest goes on.

    With `--through 202606` it is the month's run: it lands what is new, shows the feed calendar, stops there if a
    feed, a city or days are missing or rows changed too much, publishes, scores, trains challengers without promoting
    them, and shows what a list would gain and lose. Then a person decides: `insight promote TARGET`. Killed at any
    moment, the same command continues.

    Exit codes of the month's run: 0 done, nothing to decide; 2 an error; 3 refused, nothing was published; 4 done, a
    person must decide about a challenger.
    """
    from features.journey.journey import RUN_STEPS, Journey

    if not data.is_dir():
        raise ConfigurationError(f"--data: {data} is not a folder", remedy="name the folder with the operator's files")
    if accept and through is None:
        raise ConfigurationError(
            "--accept: only the month's run has something to accept", remedy="add --through 202606"
        )
    place = open_home(home)
    journey = Journey(
        home=place,
        source=source,
        data=data,
        through=_parse_month(through),
        accept=accept,
        as_of=parse_date(as_of, flag="--as-of"),
        targets=tuple(target or ()),
        capacity=capacity,
        changes=tuple(changes or ()),
        tune=tune,
        locale=parse_locale(locale, flag="--locale"),
        seed=seed,
        threads=threads,
    )
    if journey.through is not None:
        _run_month_and_print(journey, as_json=as_json)
    else:
        _run_and_print(RUN_STEPS, journey, synthetic=False, as_json=as_json)


def day(
    source: Annotated[Path, typer.Option(help="Source mapping, the same as for `insight run`.")],
    data: Annotated[Path, typer.Option(help="Folder with the operator's files.")],
    home: HomeOption = None,
    on: Annotated[str | None, typer.Option("--on", help="Day of the list; today if left out.")] = None,
    capacity: Annotated[int | None, typer.Option(min=0, help="Attempts of people; messages have their own.")] = None,
    out: Annotated[Path | None, typer.Option(help="Where to copy LIST.xlsx; LIST.csv is written beside it.")] = None,
    locale: _LOCALE = None,
    threads: _THREADS = 2,
    as_json: JsonOption = False,
) -> None:
    """The day of the care team: take in what is new, score it, and draw the list of the day.

    Where nothing new arrived, or a step fails, the list is drawn from the newest day that is whole; its age stands at
    the head of the list. Appointments of the day come first, unfinished lines are checked again. Killed at any moment,
    the same command continues.

    Exit codes: 0 done; 2 no list could be drawn; 4 the list is drawn, and a person must see to a step that failed.
    """
    from features.journey.day import run_day
    from features.journey.journey import Journey
    from features.kit.clock import utc_now
    from features.kit.terminal.progress import Progress

    journey = Journey(
        home=open_home(home),
        source=source,
        data=data,
        capacity=capacity,
        locale=parse_locale(locale, flag="--locale"),
        out=check_workbook(out, flag="--out"),
        threads=threads,
    )
    result = run_day(journey, parse_date(on, flag="--on") or utc_now().astimezone().date(), Progress(quiet=as_json))
    drawn = result.summary["outreach"]
    if as_json:
        print_json(result.summary)
    else:
        if drawn.get("not_evaluable"):
            print(f"NOT CHECKED, their feeds have not landed: {', '.join(drawn['not_evaluable'])}")
        print(
            f"{drawn['list_id']}: {drawn['lines']} lines, {drawn.get('carried', 0)} carried; known on {drawn['basis']}"
        )
        print(drawn["xlsx"])
    if note := result.summary.get("reports", {}).get("note"):
        print(note, file=sys.stderr)
    for reason in result.summary["reasons"]:
        print(f"failed, the list is drawn without it: {reason}", file=sys.stderr)
    raise typer.Exit(int(result.ending))


def runs(
    home: HomeOption = None,
    limit: Annotated[int, typer.Option(min=1, help="How many, newest first.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """List what ran here: when, how it ended (done, failed, interrupted, refused, undecided) and why."""
    from features.journey.summary import print_runs
    from features.kit.runs import list_runs

    found = list_runs(open_home(home), limit)
    if as_json:
        print_json({"runs": found})
    else:
        print_runs(found)


def _parse_month(text: str | None) -> date | None:
    """Returns the first day of a month written as 202606 or 2026-06. Raises ConfigurationError."""
    from datetime import datetime

    if text is None:
        return None
    for form in ("%Y%m", "%Y-%m"):
        try:
            return datetime.strptime(text, form).date()  # noqa: DTZ007 - a civil month has no zone
        except ValueError:
            continue
    raise ConfigurationError(f"--through: '{text}' is not a month", remedy="write it as 202606")


def _run_month_and_print(journey: Journey, *, as_json: bool) -> None:
    """Takes a month through its run and ends with its exit code, after one JSON object or the page for a person."""
    from features.journey.month import run_month
    from features.journey.month_page import print_month
    from features.kit.terminal.progress import Progress

    result = run_month(journey, Progress(quiet=False))
    if as_json:
        print_json(result.summary)
    else:
        print_month(result.summary, journey.home)
    for reason in result.summary["reasons"]:
        print(f"{result.ending.name.lower()}: {reason}", file=sys.stderr)
    raise typer.Exit(int(result.ending))


def _run_and_print(steps: tuple[str, ...], journey: Journey, *, synthetic: bool, as_json: bool) -> None:
    """Runs the steps and ends with one JSON object for a program, or the summary page for a person."""
    from features.journey.journey import run_journey
    from features.journey.summary import print_summary
    from features.kit.terminal.progress import Progress

    summary = run_journey(steps, journey, Progress(quiet=False))
    if as_json:
        print_json(summary)
    else:
        print_summary(summary, journey.home, synthetic=synthetic)


def _one_demo_per_home(home: Home, wanted: dict[str, Any], *, fresh: bool) -> None:
    """Keeps two synthetic operators, or a synthetic and a real one, from meeting in one home."""
    from features.kit.files import read_json, write_json

    marker = home.root / "demo.json"
    if fresh and marker.exists():
        for folder in (home.root, home.bundles, home.mlruns / "artifacts"):
            shutil.rmtree(folder, ignore_errors=True)
        (home.mlruns / "mlflow.db").unlink(missing_ok=True)
    if marker.exists() and read_json(marker) != wanted:
        raise ConfigurationError(
            f"{home.root}: holds a demo of another size or seed ({read_json(marker)})",
            remedy="repeat its options, name another --home, or start over with --fresh",
        )
    if not marker.exists() and (home.feeds / "manifest.json").exists():
        raise ConfigurationError(
            f"{home.root}: holds an operator's own feeds", remedy="name another --home for the demo"
        )
    write_json(marker, wanted)


def _serve(home: Home, port: int) -> None:
    """Runs the API in its own process until it ends; Ctrl-C ends both."""
    command = [sys.executable, "-m", "features.kit.cli", "serve", "--home", str(home.root), "--port", str(port)]
    child = subprocess.Popen(command)  # noqa: S603 - our own command
    try:
        sys.exit(child.wait())
    except KeyboardInterrupt:
        child.terminate()
        child.wait(timeout=30)
