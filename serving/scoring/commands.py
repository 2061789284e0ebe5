"""The commands of this room: `insight score` and `insight replay`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from features.kit.cli import HomeOption, JsonOption, open_home, parse_date, print_json
from features.kit.errors import ConfigurationError


def register(app: typer.Typer) -> None:
    """Adds this room's commands to `insight`."""
    app.command("score")(score)
    app.command("replay")(replay)


def score(
    as_of: Annotated[str | None, typer.Option("--as-of", help="As-of date; the newest portraits if not given.")] = None,
    target: Annotated[list[str] | None, typer.Option(help="Only this target; repeat for several.")] = None,
    reasons: Annotated[str, typer.Option(help="Whose reasons to find: top, all or none.")] = "top",
    customer: Annotated[list[str] | None, typer.Option(help="Find this customer's reasons too; repeat.")] = None,
    out: Annotated[Path | None, typer.Option(help="Also write all scores to one CSV file.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="Native threads of LightGBM.")] = 2,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Score the whole base on every target that has a model."""
    from features.kit.errors import NotReadyError
    from features.kit.progress import Progress
    from features.kit.runs import recorded_run, run_lock
    from features.portraits.reading import Portraits
    from serving.scoring.batch import score_base
    from serving.scoring.table import write_csv

    if reasons not in ("top", "all", "none"):
        raise ConfigurationError(f"--reasons: '{reasons}' is not one of top, all, none")
    place = open_home(home)
    day = parse_date(as_of, flag="--as-of")
    if day is None:
        built = Portraits.open(place).as_of_dates()
        if not built:
            raise NotReadyError(f"{place.portraits}: no portrait has been built", remedy="run `insight build`")
        day = built[-1]
    targets = target or sorted(pointer.parent.name for pointer in place.bundles.glob("*/champion.json"))
    if not targets:
        raise NotReadyError(f"{place.bundles}: no model has been promoted", remedy="insight train churn")
    with run_lock(place, "score"), recorded_run(place, "score"):
        reports = [
            score_base(
                place,
                name,
                day,
                explain=reasons,  # type: ignore[arg-type] # checked above
                ids=frozenset(customer or ()),
                threads=threads,
                progress=Progress(quiet=False),
            )
            for name in targets
        ]
    if out is not None:
        write_csv(reports, out)
    if as_json:
        print_json({"as_of": day, "targets": {report.target: asdict(report) for report in reports}})
        return
    for report in reports:
        mean = "no score" if report.mean is None else f"mean {100 * report.mean:.2f} %"
        print(
            f"{report.target}: {report.rows:,} customers, {mean}, {report.refused:,} without enough data, {report.path}"
        )


def replay(
    as_of: Annotated[str, typer.Option("--as-of", help="The day of the stored scores.", show_default=False)],
    customer: Annotated[str | None, typer.Option(help="Compare only this customer; everybody if left out.")] = None,
    target: Annotated[str | None, typer.Option(help="Only this target; all with stored scores if left out.")] = None,
    version: Annotated[str | None, typer.Option(help="Only this model version.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="Native threads.")] = 1,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make stored scores again from the landed feeds and compare them to the last bit.

    The portraits of that day are computed again as the feeds lay here then, the model version that scored is loaded,
    and every stored value (raw score, propensity, percentile, band, reasons) is compared. Exit code 0 if all are equal,
    1 if any differs. Nothing is written.
    """
    from features.kit.progress import Progress
    from serving.scoring.replay import replay as make_again

    day = parse_date(as_of, flag="--as-of")
    assert day is not None
    found = make_again(
        open_home(home), day, customer_id=customer, target=target, version=version, threads=threads,
        progress=Progress(quiet=as_json),
    )  # fmt: skip
    if as_json:
        print_json(
            {"as_of": day, "equal": all(one.is_equal for one in found), "replays": [asdict(one) for one in found]}
        )
    else:
        for one in found:
            said = "equal to the last bit" if one.is_equal else f"{one.different} of {one.compared:,} DIFFER"
            print(f"{one.target} {one.version}: {one.compared:,} stored scores of {day} made again, {said}")
            for note in one.notes:
                print(f"  {note}")
            for other in one.differences:
                print(f"  {other.customer_id} {other.name}: stored {other.stored}, now {other.again}")
    if not all(one.is_equal for one in found):
        raise typer.Exit(1)
