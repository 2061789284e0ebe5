"""The journey's step `ingest`: the operator's files become feeds."""

from __future__ import annotations

from typing import Any

from features.feeds.landing import land
from features.feeds.sources import load_source
from features.kit.journey import Journey
from features.kit.progress import Progress
from features.kit.runs import recorded_run, run_lock


def ingest(journey: Journey, progress: Progress) -> dict[str, Any]:
    """Lands the journey's source and returns rows accepted and quarantined per feed, and the as-of date.

    Raises:
        InsightError: From `land`; nothing is published then.
    """
    source = load_source(journey.source)
    with run_lock(journey.home, "ingest"), recorded_run(journey.home, "ingest"):
        report = land(source, journey.data, journey.home, progress, threads=journey.threads)
    summary = report.as_dict()
    summary["latest_as_of"] = summary["as_of"]
    if journey.as_of is not None:
        summary["as_of"] = journey.as_of.isoformat()
    return summary
