"""The commands of this room: `insight outreach`, `insight outreach handover | lists`, `insight outcomes import`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from features.kit.cli import HomeOption, JsonOption, open_home, parse_date, print_json
from features.kit.errors import ConfigurationError


def register(app: typer.Typer) -> None:
    """Adds this room's commands to `insight`."""
    outreach = typer.Typer(name="outreach", invoke_without_command=True, help="Today's list for the care team.")
    outreach.callback()(draw)
    app.add_typer(outreach)


def draw(
    context: typer.Context,
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="Day of the list; the newest portraits if not given.")
    ] = None,
    capacity: Annotated[int | None, typer.Option(min=1, help="Attempts to share among the teams.")] = None,
    out: Annotated[Path | None, typer.Option(help="Where to write LIST.xlsx; LIST.csv is written beside it.")] = None,
    key: Annotated[str | None, typer.Option(help="Idempotency key; a new one draws a further list.")] = None,
    locale: Annotated[str, typer.Option(help="Language of the list: zh or en.")] = "zh",
    province: Annotated[str | None, typer.Option(help="Only customers of this province.")] = None,
    city: Annotated[str | None, typer.Option(help="Only customers of this city.")] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Draw the day's list: who, why, what to say, by which channel. The same command gives the same list again."""
    if context.invoked_subcommand is not None:
        return
    from features.kit.files import write_bytes
    from features.kit.progress import Progress
    from features.kit.runs import recorded_run, run_lock
    from features.portraits.reading import Portraits
    from serving.outreach.pull import ListRequest, draw_list
    from serving.outreach.step import list_summary

    if locale not in ("zh", "en"):
        raise ConfigurationError(f"--locale: '{locale}' is not one of zh, en")
    if out is not None and out.suffix != ".xlsx":
        raise ConfigurationError(f"--out: '{out}' does not end in .xlsx")
    place = open_home(home)
    day = parse_date(as_of, flag="--as-of")
    if day is None:
        day = max(Portraits.open(place).as_of_dates(), default=None)
    if day is None:
        raise ConfigurationError("--as-of: no portrait is built", remedy="run `insight build` first")
    with run_lock(place, "outreach"), recorded_run(place, "outreach"):
        request = ListRequest(day, capacity, locale, province, city)
        released = draw_list(place, request, key=key, progress=Progress(quiet=as_json))
    summary = list_summary(released)
    if out is not None:
        write_bytes(out, released.xlsx.read_bytes(), mode=0o600)
        write_bytes(out.with_suffix(".csv"), released.csv.read_bytes(), mode=0o600)
        summary |= {"xlsx": str(out), "csv": str(out.with_suffix(".csv"))}
    if as_json:
        print_json(summary)
        return
    print(f"{summary['list_id']}: {summary['lines']} lines ({summary['new']} new, {summary['carried']} carried over)")
    if released.is_replay:
        print("This list had been drawn before; use --key NAME for a further one.")
    held = ", ".join(f"{code} {count:,}" for code, count in summary["suppressed"].items())
    print(f"held back: {held or 'nobody'}; effects of actions: assumed")
    for line in summary["first_lines"]:
        print(f"  {line}")
    print(summary["xlsx"])
