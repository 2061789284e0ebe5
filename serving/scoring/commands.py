"""The commands of this room: `insight score`, `insight replay` and `insight reasons`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from features.kit.cli import HomeOption, JsonOption, open_home, parse_date, print_json
from features.kit.errors import ConfigurationError
from features.kit.terminal.exit_codes import ExitCode
from features.kit.values.identifiers import given

if TYPE_CHECKING:
    from serving.scoring.batch.base import ScoreReport


def register(app: typer.Typer) -> None:
    """Adds this room's commands to `insight`."""
    app.command("score")(score)
    app.command("replay")(replay)
    app.command("reasons")(reasons)


def score(
    as_of: Annotated[str | None, typer.Option("--as-of", help="As-of date; the newest portraits if not given.")] = None,
    target: Annotated[list[str] | None, typer.Option(help="Only this target; repeat for several.")] = None,
    reasons: Annotated[str, typer.Option(help="Whose reasons to find: all or none.")] = "all",
    out: Annotated[Path | None, typer.Option(help="Also write all scores to one CSV file.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="Blocks of portraits at work at a time.")] = 2,
    engine: Annotated[str, typer.Option("--engine", help="Where blocks are scored: here, or spark.")] = "here",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Score the whole base on every target that has a model.

    Where `insight shadow` has set a challenger, it scores beside the champion and the difference is shown; lists and
    API go by the champion alone.
    """
    from features.kit.errors import BundleError, NotReadyError
    from features.kit.terminal.progress import Progress
    from features.portraits.reading import Portraits
    from serving.scoring.batch.export import write_csv
    from serving.scoring.step import ScoreRequest, champions, score_all

    if reasons not in ("all", "none"):
        raise ConfigurationError(f"--reasons: '{reasons}' is not one of all, none")
    if engine not in ("here", "spark"):
        raise ConfigurationError(f"--engine: '{engine}' is not one of here, spark")
    place = open_home(home)
    day = parse_date(as_of, flag="--as-of")
    if day is None:
        built = Portraits.open(place).as_of_dates()
        if not built:
            raise NotReadyError(f"{place.portraits}: no portrait has been built", remedy="run `insight build`")
        day = built[-1]
    targets = tuple(target or champions(place))
    if not targets:
        raise NotReadyError(f"{place.bundles}: no model has been promoted", remedy="insight train churn")
    request = ScoreRequest(day, targets, explain=reasons == "all", threads=threads, on_spark=engine == "spark")
    found = score_all(place, request, Progress(quiet=False))
    refused = [result for result in found.values() if isinstance(result, BundleError)]
    reports = [result for result in found.values() if not isinstance(result, BundleError)]
    if out is not None:
        write_csv(reports, out)
    if as_json:
        print_json({"as_of": day, "targets": {report.target: asdict(report) for report in reports}})
    else:
        _print_scores(reports)
    if refused:  # after what was made, so that one damaged champion hides no other target's scores
        raise refused[0]


def _print_scores(reports: Sequence[ScoreReport]) -> None:
    from serving.scoring.batch.shadow import summary_line

    for report in reports:
        mean = "no score" if report.mean is None else f"mean {100 * report.mean:.2f} %"
        print(
            f"{report.target}: {report.rows:,} customers, {mean}, {report.refused:,} without enough data, {report.path}"
        )
        if report.shadow is not None:
            print(f"  {summary_line(report.shadow)}")


def replay(
    as_of: Annotated[str, typer.Option("--as-of", help="The day of the stored scores.", show_default=False)],
    customer: Annotated[
        str | None, typer.Option(parser=given, help="Compare only this customer; everybody if left out.")
    ] = None,
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
    from features.kit.terminal.progress import Progress
    from serving.scoring.batch.replay import replay as make_again

    day = parse_date(as_of, flag="--as-of")
    assert day is not None
    found = make_again(
        open_home(home), day, customer_id=customer, target=target, version=version, threads=threads,
        progress=Progress(quiet=as_json),
    )  # fmt: skip
    is_equal = all(batch.is_equal for batch in found)
    if as_json:
        print_json({"as_of": day, "equal": is_equal, "replays": [asdict(batch) for batch in found]})
    else:
        for batch in found:
            result = "equal to the last bit" if batch.is_equal else f"{batch.different} of {batch.compared:,} DIFFER"
            print(f"{batch.target} {batch.version}: {batch.compared:,} stored scores of {day} made again, {result}")
            for note in batch.notes:
                print(f"  {note}")
            for value in batch.differences:
                print(f"  {value.customer_id} {value.name}: stored {value.stored}, now {value.again}")
    if not is_equal:
        raise typer.Exit(ExitCode.DIFFERENT)


def reasons(
    out: Annotated[Path | None, typer.Option("--out", help="Write the page here instead of printing it.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Measure the reasons of every model instead.")] = False,
    as_of: Annotated[str | None, typer.Option("--as-of", help="With --check: day of the portraits.")] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the catalogue of reasons, or measure how far the reasons of the home's models hold.

    `--check` names every feature that neither a reason explains nor the configuration declares as never said (exit code
    1 if there is one), and measures two things: whether a customer's reasons stay under 1 % of noise, and whether the
    score falls when the first reason's features take other customers' values.
    """
    from serving.scoring.reasons.page import page

    if check:
        found = _check_reasons(home, parse_date(as_of, flag="--as-of"))
        if as_json:
            print_json({"models": found})
        else:
            for model in found:
                print(f"{model['target']} {model['version']}: uncovered {', '.join(model['uncovered']) or 'none'}")
                figures = model["figures"]
                if figures is None:
                    print("  too few customers with a reason to measure anything")
                    continue
                print(
                    f"  first reason stays under noise for {figures['same_first']:.1%} of {figures['rows']:,} customers"
                )
                print(f"  without its first reason's features the score falls for {figures['falls']:.1%}")
                print(f"  (without the features of the reason that lowers it most: {figures['falls_unsaid']:.1%})")
        if any(model["uncovered"] for model in found):
            raise typer.Exit(ExitCode.DIFFERENT)
    elif out is None:
        print(page(), end="")
    else:
        out.write_text(page(), encoding="utf-8")


def _check_reasons(home: Path | None, day: date | None) -> list[dict[str, Any]]:
    from features.kit.errors import NotReadyError
    from features.portraits.reading import Portraits
    from features.portraits.vector import encode
    from serving.scoring.champion import load_champion, scorer_of
    from serving.scoring.reason_checks import reason_figures
    from serving.scoring.reasons.book import load_book
    from serving.scoring.step import champions

    place = open_home(home)
    targets = champions(place)
    if not targets:
        raise NotReadyError(f"{place.bundles}: no model has been promoted", remedy="insight train churn")
    portraits, book = Portraits.open(place), load_book()
    known = {feature.name: feature.dimension for feature in portraits.feature_list.features}
    as_of = day or portraits.as_of_dates()[-1]
    table = portraits.read(as_of, ["customer_id", *portraits.feature_list.names, "facts"])
    values, facts = encode(table, portraits.feature_list), table["facts"].to_pylist()
    found: list[dict[str, Any]] = []
    for target in targets:
        scorer = scorer_of(load_champion(place, target), portraits, book)
        figures = reason_figures(scorer, book, portraits.feature_list, values, facts)
        used = {name: known[name] for name in scorer.bundle.manifest.feature_names}
        found.append(
            {
                "target": scorer.target,
                "version": scorer.version,
                "as_of": as_of,
                "uncovered": book.uncovered(scorer.target, used),
                "figures": None if figures is None else asdict(figures),
            }
        )
    return found
