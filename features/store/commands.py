"""The command `insight publish`."""

from __future__ import annotations

from typing import Annotated

import typer

from features.kit.cli import HomeOption, JsonOption, open_home, parse_date, print_json


def register(app: typer.Typer) -> None:
    """Adds this room's commands to `insight`."""
    app.command(name="publish")(publish)


def publish(
    home: HomeOption = None,
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="As-of date; the latest built if left out.", show_default=False)
    ] = None,
    back: Annotated[bool, typer.Option("--back", help="Allow a date older than the live one.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Publish the portraits of one date to the online store that the API reads."""
    from features.kit.errors import NotReadyError
    from features.kit.runs import exclusive_run
    from features.kit.terminal.progress import Progress
    from features.portraits.reading import Portraits
    from features.store.publish import publish as publish_portraits

    place = open_home(home)
    with exclusive_run(place, "publish"):
        day = parse_date(as_of, flag="--as-of")
        if day is None:
            built = Portraits.open(place).as_of_dates()
            if not built:
                raise NotReadyError(f"{place.portraits}: no portrait has been built", remedy="run `insight build`")
            day = built[-1]
        report = publish_portraits(place, day, Progress(quiet=False), back=back)
    if as_json:
        print_json({"view": report.view, "as_of": report.as_of, "rows": report.rows, "seconds": report.seconds})
    else:
        print(f"published {report.rows:,} portraits as of {report.as_of} to {report.view} in {report.seconds:.1f} s")
