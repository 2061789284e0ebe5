"""The step `outreach` of the main job: today's list from scores, portraits, product fit, policy and ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from features.journey.journey import Journey
from features.kit.errors import NotReadyError
from features.kit.home import Home
from features.kit.runs import exclusive_run, run_lock
from features.kit.terminal.progress import SILENT, Progress
from serving.outreach.lists.request import ListRequest

if TYPE_CHECKING:
    from serving.outreach.lists.release import Released


def outreach(journey: Journey, progress: Progress) -> dict[str, Any]:
    """Returns the list's id, length, files, first lines (numbers masked), who was held back, and reports set aside.

    Raises:
        NotReadyError: If the journey has no as-of date, or nothing is built for it.
    """
    from features.feeds.landed.reading import Feeds

    if journey.as_of is None:
        raise NotReadyError("outreach: no as-of date", remedy="run `insight ingest` first, or give --as-of")
    locale = journey.locale or Feeds.open(journey.home).operator.language_of_lists
    request = ListRequest(journey.as_of, journey.capacity, locale)
    released = run(journey.home, request, progress=progress, threads=journey.threads, may_be_older=journey.daily)
    return list_summary(journey.home, released)


def reports(journey: Journey, _: Progress) -> dict[str, Any]:
    """Lands the reports that wait in the ledger; returns the rows landed per feed, and a note of what is set aside."""
    from serving.database.session import open_database
    from serving.outreach.feedback.held import held_note, held_summary
    from serving.outreach.feedback.landing import land_pending

    engine = open_database(journey.home)
    with run_lock(journey.home, "feedback"):
        return {"landed": land_pending(journey.home, engine), "note": held_note(held_summary(engine))}


def run(
    home: Home,
    request: ListRequest,
    *,
    key: str | None = None,
    progress: Progress = SILENT,
    threads: int = 1,
    may_be_older: bool = False,
) -> Released:
    """Returns the list of a request, drawn as the one run of this home; reports that wait are landed first."""
    from serving.outreach.feedback.landing import land_pending
    from serving.outreach.lists.draw import draw_list

    with exclusive_run(home, "outreach"):
        if not may_be_older:  # a day has landed them in a step of their own
            land_pending(home)
        return draw_list(home, request, key=key, progress=progress, threads=threads, may_be_older=may_be_older)


def list_summary(home: Home, released: Released) -> dict[str, Any]:
    """Returns a released list as plain values for people and programs, and how many reports are set aside."""
    from serving.database.session import opened
    from serving.outreach.feedback.held import held_summary

    with opened(home) as engine:
        set_aside = held_summary(engine)
    return {
        "list_id": released.list_id,
        "as_of": released.as_of.isoformat(),
        "lines": released.lines,
        **{name: released.summary[name] for name in _COUNTS if name in released.summary},
        "xlsx": str(released.xlsx),
        "csv": str(released.csv),
        "first_lines": [_short_line(row) for row in released.first_lines],
        "drawn_before": released.is_replay,
        "set_aside": set_aside,
        "notes": _notes(released),
    }


def _notes(released: Released) -> list[str]:
    """Returns what would bring people onto the list that a score alone does not, as the entries to write."""
    from serving.outreach.refusals import RefusalCode
    from serving.outreach.settings import entry_for, load_settings

    notes = [
        f"{target}: scored, but no action answers it, so it brings nobody onto a list; add to configs/outreach.yaml: "
        f"{entry_for(target)}"
        for target in load_settings().unanswered(released.summary.get("models", {}))
    ]
    silent = released.summary.get("suppressed", {}).get(RefusalCode.NOTHING_TO_SAY.value, 0)
    if silent and not released.lines:
        notes.append(
            f"{silent:,} customers with a raised score have no cause that may be spoken of; let an attribute be one, "
            f"in configs/reasons.yaml: {REASON_ENTRY}"
        )
    return notes


REASON_ENTRY = (
    "reasons: {own.NAME: {when: {attribute: NAME, raises_when: high, quantile: 0.9}, about: {zh: ..., en: ...}, "
    "say: never, actions: [service_review]}}"
)
"""The entry that lets a declared attribute be a reason, as one types it."""


_COUNTS = (
    "basis", "new", "carried", "postponed", "withdrawn", "expired", "suppressed", "over_capacity", "without_value",
    "models", "unscored", "assumed", "not_evaluable",
)  # fmt: skip


def _short_line(row: dict[str, Any]) -> str:
    names = ("line_id", "form_of_address", "number", "city", "band", "action", "reason_1", "disposition")
    return " · ".join(str(row[name]) for name in names if row[name] not in ("", "-"))
