"""The journey's step `build`: portraits of the training grid and of the journey's as-of date."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from features.journey.journey import Journey
from features.kit.clock import as_of_grid
from features.kit.errors import NotReadyError
from features.kit.runs import exclusive_run
from features.kit.terminal.progress import Progress
from features.portraits.settings import PortraitSettings, load_settings

if TYPE_CHECKING:
    from features.feeds.landed.reading import Feeds


def build(journey: Journey, progress: Progress) -> dict[str, Any]:
    """Builds what training and today's scores need.

    Returns:
        `{"identity", "as_of", "dates", "built", "kept", "rows", "missing"}`.

    Raises:
        NotReadyError: If no feed has landed, or the feeds end before the journey's as-of date.
    """
    from features.feeds.landed.reading import Feeds
    from features.portraits.build.build import build_portraits

    with exclusive_run(journey.home, "build"):
        feeds = Feeds.open(journey.home)
        settings = load_settings()
        dates = [newest_of(feeds, journey.as_of)] if journey.daily else grid(feeds, journey.as_of, settings)
        report = build_portraits(
            journey.home, feeds, dates, threads=journey.threads, progress=progress, settings=settings
        )
    return {
        "identity": report.identity,
        "as_of": dates[-1].isoformat(),
        "dates": len(dates),
        "built": len(report.built),
        "kept": len(report.kept),
        "rows": sum(report.built.values()),
        "missing": list(report.missing),
    }


def grid(feeds: Feeds, as_of: date | None, settings: PortraitSettings) -> list[date]:
    """Returns the as-of dates of the training history, the newest last; one date for a snapshot source.

    Raises:
        NotReadyError: If the feeds are not complete up to `as_of`.
    """
    newest = newest_of(feeds, as_of)
    if feeds.operator.snapshot_on is not None:
        return [newest]
    first = feeds.first_day() + timedelta(days=settings.grid.first_after_days)
    return as_of_grid(first, newest, settings.grid.every_days) or [newest]


def newest_of(feeds: Feeds, as_of: date | None) -> date:
    """Returns the wanted as-of date, else the newest possible.

    Raises:
        NotReadyError: If the feeds are not complete up to `as_of`.
    """
    newest = as_of or feeds.latest_as_of()
    if newest > feeds.latest_as_of():
        raise NotReadyError(
            f"--as-of {newest}: the feeds are complete only up to {feeds.latest_as_of()}",
            remedy=f"use --as-of {feeds.latest_as_of()}, or ingest newer files",
        )
    return newest
