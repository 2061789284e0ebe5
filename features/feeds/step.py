"""The journey's steps `ingest` (the operator's files become feeds) and `calendar` (is the month fit to publish?)."""

from __future__ import annotations

from typing import Any

from features.feeds.landed.calendar import feed_calendar
from features.feeds.landed.reading import Feeds
from features.feeds.landing.landing import land
from features.feeds.mapping.sources import load_source
from features.journey.journey import Journey
from features.kit.clock import add_months
from features.kit.errors import ConfigurationError
from features.kit.runs import exclusive_run
from features.kit.terminal.progress import Progress


def ingest(journey: Journey, progress: Progress) -> dict[str, Any]:
    """Lands the journey's source and returns rows accepted and quarantined per feed, and the as-of date.

    Raises:
        InsightError: From `land`; nothing is published then.
    """
    source = load_source(journey.source)
    with exclusive_run(journey.home, "ingest"):
        report = land(source, journey.data, journey.home, progress, threads=journey.threads)
    summary = report.as_dict()
    summary["latest_as_of"] = summary["as_of"]
    if journey.as_of is not None:
        summary["as_of"] = journey.as_of.isoformat()
    return summary


def calendar(journey: Journey, progress: Progress) -> dict[str, Any]:
    """Returns the feed calendar up to the journey's month, and whether it may be published.

    Besides the calendar's own values: `publishable`, `accepted` (why a person published all the same) and `as_of`, the
    first day after the month, or the last day that the feeds allow if that is earlier.

    Raises:
        ConfigurationError: If the journey is not about a month.
    """
    if journey.through is None:
        raise ConfigurationError("calendar: no month was named", remedy="give --through, as 202606")
    source = load_source(journey.source)
    feeds = Feeds.open(journey.home)
    with progress.step("feed calendar"):
        found = feed_calendar(
            feeds, source.deliveries, journey.through, mapped=frozenset(source.feeds), threads=journey.threads
        )
    return found.as_dict() | {
        "publishable": not found.problems or bool(journey.accept),
        "accepted": journey.accept if found.problems else "",
        "as_of": min(add_months(journey.through, 1), feeds.latest_as_of()).isoformat(),
    }
