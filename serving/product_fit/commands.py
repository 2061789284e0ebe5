"""The command of this room: `insight fit`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from features.kit.cli import HomeOption, JsonOption, open_home, parse_date, print_json
from features.kit.values.identifiers import given


def register(app: typer.Typer) -> None:
    """Adds this room's commands to `insight`."""
    app.command("fit")(fit)


def fit(
    customer: Annotated[
        str | None, typer.Option("--customer", parser=given, help="One customer: the months under every plan.")
    ] = None,
    as_of: Annotated[str | None, typer.Option("--as-of", help="As-of date [default: the latest].")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Parquet file for everybody's fit.")] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Re-rate real usage under every plan, and show what fits better and why."""
    from features.feeds.landed.reading import Feeds
    from features.kit.terminal.progress import Progress
    from serving.no_sale import no_sale_today
    from serving.product_fit.fit import Fitter
    from serving.product_fit.report import customer_report, totals_report
    from serving.product_fit.settings import read_settings
    from serving.product_fit.step import FitRequest, fit_all

    place = open_home(home)
    feeds = Feeds.open(place)
    day = parse_date(as_of, flag="--as-of") or feeds.latest_as_of()
    result: dict[str, Any]
    if customer is not None:
        result = Fitter(feeds, day, read_settings(), no_sale=no_sale_today(feeds, day)).one(customer)
    else:
        result = fit_all(place, FitRequest(day, out), Progress(quiet=False))
    if as_json:
        print_json(result)
    elif customer is not None:
        customer_report(result)
    else:
        totals_report(result)
