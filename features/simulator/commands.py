"""The command of this room: `insight simulate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from features.kit.cli import JsonOption, parse_date, print_json


def register(app: typer.Typer) -> None:
    """Adds this room's commands to `insight`."""

    @app.command("simulate")
    def simulate(
        out: Annotated[Path, typer.Option("--out", help="Folder for `files/` and `oracle/`.")],
        customers: Annotated[int, typer.Option("--customers", min=64)] = 20_000,
        months: Annotated[int, typer.Option("--months", min=6, max=36)] = 18,
        seed: Annotated[int, typer.Option("--seed", min=0)] = 7,
        end: Annotated[str, typer.Option("--end", help="First of the month that holds this day.")] = "2026-06-01",
        dialect: Annotated[
            str,
            typer.Option(
                "--dialect",
                help="`clean`: UTF-8 and Parquet under our names (configs/sources/simulator.yaml); `bss_cn`: GB18030, "
                "gzip, monthly extracts under Chinese headers with a check file (configs/sources/bss_cn.yaml). "
                "Both tell of the same customers.",
            ),
        ] = "clean",
        effects: Annotated[
            str,
            typer.Option(
                "--effects",
                help="What contacts do: `none`, `field` (little, as in the field), `strong` (as in the best published "
                "trials). The oracle knows each outcome.",
            ),
        ] = "field",
        json: JsonOption = False,
    ) -> None:
        """Write a synthetic operator's files, the way an operator delivers them."""
        from features.kit.terminal.progress import Progress
        from features.simulator.step import DEFAULT_END, simulate_to

        summary = simulate_to(
            out, customers=customers, months=months, seed=seed, end=parse_date(end, flag="--end") or DEFAULT_END,
            dialect=dialect, effects=effects, progress=Progress(quiet=json),
        )  # fmt: skip
        if json:
            print_json(summary)
        else:
            print(f"{out / 'files'}: {customers} customers, {months} months until {summary['as_of']} (synthetic)")
