"""The journey's step `publish`."""

from __future__ import annotations

from typing import Any

from features.journey.journey import Journey
from features.kit.errors import ConflictError
from features.kit.runs import exclusive_run
from features.kit.terminal.progress import Progress


def publish(journey: Journey, progress: Progress) -> dict[str, Any]:
    """Publishes the journey's as-of date, or the latest built, to the online store.

    A journey may go back in time, except that of a month: it leaves newer portraits where they are, and says so.
    """
    from features.portraits.reading import Portraits
    from features.store.publish import publish as publish_portraits

    with exclusive_run(journey.home, "publish"):
        as_of = journey.as_of or Portraits.open(journey.home).as_of_dates()[-1]
        try:
            report = publish_portraits(journey.home, as_of, progress, back=journey.through is None)
        except ConflictError as error:
            return {"view": None, "rows": 0, "seconds": 0.0, "kept": error.message}
    return {"view": report.view, "rows": report.rows, "seconds": report.seconds}
