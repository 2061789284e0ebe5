"""The command `insight explain`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from features.kit.cli import HomeOption, JsonOption, open_home, parse_date, print_json
from features.kit.values.identifiers import given


def register(app: typer.Typer) -> None:
    """Adds the command to `insight`."""
    app.command("explain")(explain)


def explain(
    target: Annotated[str, typer.Argument(help="A target with a model, such as churn.")],
    out: Annotated[Path, typer.Option("--out", help="The folder for pictures and page.", show_default=False)],
    customer: Annotated[
        list[str] | None, typer.Option(parser=given, help="Draw this customer; repeat for several.")
    ] = None,
    as_of: Annotated[str | None, typer.Option("--as-of", help="Day of the portraits; the newest if left out.")] = None,
    version: Annotated[str | None, typer.Option(help="A version of `insight models`; default: the champion.")] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Draw why a model scores as it does, for everybody and for single customers.

    Writes index.html with a SHAP summary, the dependence of the strongest features, sums by dimension, and a waterfall
    and a force picture of each customer asked for; explanation.json holds the figures. Pictures of model cards that a
    stopped training left to come are drawn first. Two checks are printed: whether
    contributions stay under 1 % of noise, and whether taking the strongest feature away moves the score as told.
    """
    from features.kit.terminal.progress import Progress
    from training.explanation.drawing import Drawing
    from training.explanation.page import explain_model

    state = open_home(home)
    Drawing(state, cores=1).end()
    result = explain_model(
        state, target, out, version=version, as_of=parse_date(as_of, flag="--as-of"),
        customers=tuple(customer or ()), progress=Progress(quiet=as_json),
    )  # fmt: skip
    if as_json:
        print_json(result)
        return
    noise, gone = result["stability"], result["deletion"]
    print(f"{target} {result['version']} as of {result['as_of']}: {out / 'index.html'}")
    print(f"  strongest: {', '.join(list(result['importance'])[:5])}")
    print(
        f"  under {noise['noise']:.0%} noise the strongest feature stays the same for {noise['same_top']:.1%} "
        f"of {noise['rows']:,}"
    )
    print(
        f"  without its strongest feature the score moves as told for {gone['agreed']:.1%} of {gone['rows']:,} "
        f"(with another customer's explanation: {gone['agreed_exchanged']:.1%})"
    )
    if result["note"]:
        print(f"  {result['note']}")
