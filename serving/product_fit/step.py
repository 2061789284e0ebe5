"""The product-fit step: every customer on one as-of date, written as `<home>/product_fit/as_of=DATE/fit.parquet`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from features.feeds.landed.reading import Feeds
from features.journey.journey import Journey
from features.kit.errors import NotReadyError
from features.kit.files import atomic_path, write_json
from features.kit.home import Home
from features.kit.runs import exclusive_run, hit
from features.kit.terminal.progress import SILENT, Progress
from serving.no_sale import no_sale_today
from serving.product_fit.fit import FIT_SCHEMA, Fitter
from serving.product_fit.settings import read_settings


@dataclass(frozen=True)
class FitRequest:
    """Whom to fit, and where to."""

    as_of: date | None = None  # the as-of date; None means the latest that the feeds allow
    out: Path | None = None  # the Parquet file; None means the place from which lists and API read
    threads: int = 1  # native threads of DuckDB


def fit_path(home: Home, as_of: date) -> Path:
    """Returns where the product fit of an as-of date lies."""
    return home.product_fit / f"as_of={as_of}" / "fit.parquet"


def fit_base(
    home: Home, as_of: date, *, out: Path | None = None, threads: int = 1, progress: Progress = SILENT
) -> dict[str, Any]:
    """Fits every customer and writes one Parquet file, whole or not at all; returns the totals.

    Raises:
        NotReadyError: If no plan catalogue, subscription or use is known on the date.
    """
    import pyarrow.parquet as pq

    feeds = Feeds.open(home)
    fitter = Fitter(feeds, as_of, read_settings(), no_sale=no_sale_today(feeds, as_of), threads=threads)
    path = out or fit_path(home, as_of)
    with atomic_path(path) as temporary, pq.ParquetWriter(temporary, FIT_SCHEMA, compression="zstd") as writer:
        for table in fitter.tables(progress):
            writer.write_table(table)
    hit("fit.after_table")
    summary = fitter.summary() | {"path": str(path)}
    if out is None:
        write_json(path.with_name("summary.json"), summary)
    return summary


def fit_all(home: Home, request: FitRequest, progress: Progress = SILENT) -> dict[str, Any]:
    """Fits every customer as the one run of this home; returns the totals. Raises NotReadyError as `fit_base`."""
    with exclusive_run(home, "fit"):
        as_of = request.as_of or Feeds.open(home).latest_as_of()
        return fit_base(home, as_of, out=request.out, threads=request.threads, progress=progress)


def fit(journey: Journey, progress: Progress) -> dict[str, Any]:
    """Runs the step; a source without a catalogue or use is told so and gets no offer.

    Returns:
        The totals of `Fitter.summary`, or `{"skipped": reason}`.
    """
    try:
        return fit_all(journey.home, FitRequest(journey.as_of, threads=journey.threads), progress)
    except NotReadyError as error:
        return {"skipped": error.message}
