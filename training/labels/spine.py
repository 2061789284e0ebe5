"""Who is learned from and judged on, when, and what became of them: the labelled cohort of every as-of date."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.feeds.landed.reading import Feeds
from features.kit.arrays import Days, Labels
from features.kit.clock import last_labelled
from features.kit.terminal.progress import SILENT, Progress
from features.portraits.reading import Portraits
from features.portraits.settings import load_settings
from training.labels import own_actions
from training.labels.history import History, Records
from training.labels.targets import Target, label_sql, set_moment
from training.refusals import Refusal, TrainingRefusedError


@dataclass(frozen=True)
class Spine:
    """Who is in the cohort of each as-of date, and what happened to them.

    Attributes:
        table: `customer_id, as_of_date, label int8, kind, treated, weight, chance`, sorted by as-of date and customer;
            decided rows are out, and so are those that our own contacts may have changed (`own_actions.py`).
        log: One plain dictionary per as-of date.
        skipped: Cohort rules and events that could not be applied, with the reason.
        notes: What must be said about the labels.
    """

    table: pa.Table
    log: tuple[dict[str, Any], ...]
    skipped: dict[str, str]
    notes: tuple[str, ...] = ()

    @property
    def labels(self) -> Labels:
        """Returns the labels, int8 [n]."""
        result: Labels = self.table["label"].to_numpy().astype(np.int8)
        return result

    @property
    def as_of(self) -> Days:
        """Returns the as-of dates, datetime64[D] [n]."""
        result: Days = self.table["as_of_date"].to_numpy().astype("datetime64[D]")
        return result

    @property
    def dates(self) -> list[date]:
        """Returns every as-of date that was looked at, oldest first."""
        return [date.fromisoformat(day["as_of"]) for day in self.log]

    def take(self, rows: npt.NDArray[Any]) -> Spine:
        """Returns some of the rows."""
        return replace(self, table=self.table.take(pa.array(rows)))


def labelled(records: Records, target: Target, as_of: date | None = None, *, progress: Progress = SILENT) -> Spine:
    """Returns the labelled cohort of every as-of date whose labels are surely known.

    `as_of` pretends that nothing later has been delivered; None means all that has.

    Raises:
        TrainingRefusedError: If no feed carries the target's events, or no as-of date is old enough to have labels.
    """
    feeds, portraits = records.feeds, records.portraits
    if not target.supported(feeds.names):
        wanted = sorted({feed for event in target.events for feed in event.needs} - feeds.names)
        remedy = "insight check tells what a missing feed costs"
        raise TrainingRefusedError(target.name, Refusal.NO_FEED, f"needs {', '.join(wanted)}", remedy=remedy)
    dates = training_dates(records, target, as_of)
    if not dates:
        short = None if as_of or portraits.to_build_again() else short_history(feeds, target)
        why, remedy = short or no_dates(portraits, as_of)
        if records.history.snapshot and as_of is None:
            why, remedy = "the snapshot's one as-of date has no portrait", "insight build"
        raise TrainingRefusedError(target.name, Refusal.NO_LABELLED_DATES, why, remedy=remedy)
    return spine(records.history, target, dates, progress=progress)


def no_dates(portraits: Portraits, as_of: date | None) -> tuple[str, str]:
    """Returns why no as-of date has labels, and what mends it."""
    if as_of is not None:
        return f"no as-of date is old enough to have labels by {as_of}", "give a later --as-of, or none"
    remedy = portraits.to_build_again() or "insight build --from DATE builds a series of earlier ones"
    return "no as-of date is old enough to have labels", remedy


def short_history(feeds: Feeds, target: Target) -> tuple[str, str] | None:
    """Returns why the feeds reach over too few days for one labelled date, and what mends it; None if they do not."""
    after, waits = load_settings().grid.first_after_days, target.embargo_days
    days = (feeds.latest_as_of() - feeds.first_day()).days
    if feeds.operator.snapshot_on is not None or days >= after + waits:
        return None
    why = (
        f"the feeds reach over {days} days; the first portrait stands {after} days after their start "
        f"(grid.first_after_days), and its label is known {waits} days later (lead_days + horizon_days + "
        "label_delay_days)"
    )
    return why, (
        f"land {after + waits - days} days more, or lower grid.first_after_days in portraits.yaml: early portraits "
        "then know less of a customer"
    )


def training_dates(records: Records, target: Target, as_of: date | None) -> list[date]:
    """Returns the as-of dates with portraits whose labels are surely known, oldest first.

    On a snapshot that is its one date. `as_of` pretends that nothing after it has been delivered.
    """
    built, latest = records.portraits.as_of_dates(), records.feeds.latest_as_of()
    known_until = latest if as_of is None else min(as_of, latest)
    return labelled_by(known_until, target, built, snapshot=records.history.snapshot)


def labelled_by(known_until: date, target: Target, dates: Sequence[date], *, snapshot: bool) -> list[date]:
    """Returns those of some as-of dates, oldest first, whose labels are surely known; of a snapshot the newest date."""
    if snapshot:
        return [day for day in dates if day <= known_until][-1:]
    last = last_labelled(known_until, target.lead_days, target.horizon_days, target.label_delay_days)
    return [day for day in dates if day <= last]


def spine(history: History, target: Target, dates: Sequence[date], *, progress: Progress = SILENT) -> Spine:
    """Returns the labelled cohort of as-of dates whose labels are surely known."""
    parts: list[pa.Table] = []
    whole: list[pa.Table] = []
    log: list[dict[str, Any]] = []
    skipped = {
        event.name: f"no feed {', '.join(sorted(set(event.needs) - history.names))}"
        for event in target.events
        if event not in target.supported(history.names)
    }
    zone = history.time_zone
    with progress.step(f"{target.name}: labels", len(dates)) as tick:
        for as_of in sorted(dates):
            eligible = history.cohort(target.cohort, as_of)
            skipped |= eligible.skipped
            set_moment(history.connection, target, as_of, time_zone=zone)
            sql = label_sql(target, history.names, as_of, time_zone=zone, knows_all=history.snapshot)
            part, decided = _undecided(history.connection, eligible.customers, sql, as_of, all_known=not target.among)
            part = own_actions.marked(
                history.connection, history.names, target, as_of, part, time_zone=zone, knows_all=history.snapshot
            ).drop_columns(["happened_at"])
            whole.append(part)
            part = part.take(pa.array(own_actions.learnable(target, part)))
            parts.append(part)
            log.append(
                {
                    "as_of": as_of.isoformat(),
                    "known": eligible.known,
                    "cohort": len(eligible.customers),
                    "dropped": eligible.dropped,
                    "decided": decided,
                    "treated": whole[-1].num_rows - part.num_rows,
                    "rows": part.num_rows,
                    "positives": int(part["label"].to_numpy().sum()),
                }
            )
            tick(1)
    notes = own_actions.correction_notes(target.own_actions, pa.concat_tables(whole))
    return Spine(pa.concat_tables(parts).combine_chunks(), tuple(log), skipped, notes)


def _undecided(connection: Any, customers: pa.Array, sql: str, as_of: date, *, all_known: bool) -> tuple[pa.Table, int]:
    """Returns the cohort's undecided rows of one date, and how many were decided."""
    connection.register("cohort_customers", pa.table({"customer_id": customers}))
    join = "LEFT JOIN" if all_known else "JOIN"
    found = connection.execute(
        f"SELECT customer_id, DATE '{as_of}' AS as_of_date, CAST(coalesce(label, 0) AS TINYINT) AS label, "
        "CASE WHEN coalesce(label, 0) = 1 THEN kind ELSE '' END AS kind, coalesce(is_decided, false) AS is_decided, "
        "happened_at "
        f"FROM cohort_customers {join} ({sql}) USING (customer_id) ORDER BY customer_id"
    ).to_arrow_table()
    connection.unregister("cohort_customers")
    decided = found["is_decided"].to_numpy()
    return found.filter(pa.array(~decided)).drop_columns(["is_decided"]), int(decided.sum())
