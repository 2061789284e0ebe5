"""Labels corrected for what we did ourselves: a contacted customer who stayed is no plain negative.

The propensity is P(event if we do not act). A contact of the `contacts` feed that lies after the as-of date, before the
event and before the end of the label window may have changed the label. Its arm and its logged propensity of being
treated say what the row can still teach:

    treated             the label tells what happens when we act; the row is left out (or its effect is modelled)
    control, logged p   the label is clean, and stands for 1 / (1 - p) customers: itself and those treated in its place
    never drawn         clean, stands for itself

A row is judged only up to its first event, as the contacts after it changed nothing; so somebody who left before the
campaign stands for nobody else (inverse probability of censoring: Robins 1993). Leaving the treated out without those
weights would forget the customers who stayed long enough to be drawn, and promise too much.

Worked example: of 100 customers alike 10 leave before the campaign's day. Half of the 90 others are treated (p = .5);
of the 45 controls 9 leave. Untreated, 10 + 18 of 100 would have left: .28. Leaving out gives 19 / 55 = .345, the
weights give (10 + 2 x 9) / (10 + 2 x 45) = .28.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa

from features.kit.arrays import Flags, Floats, Labels, Rows
from features.kit.clock import instant_of, label_window
from features.kit.sql import literals, timestamp
from training.labels.targets import OwnActions, Target, as_known, label_date

FEED = "contacts"
COLUMNS = ("treated", "weight", "chance")
PRIOR_ROWS = 1.0


@dataclass(frozen=True)
class Effect:
    """What our contacts do to the log-odds of the event, by their randomised arms."""

    log_odds: float  # treated minus control
    treated: int  # treated rows with a logged propensity
    control: int


def marked(
    connection: Any, feeds: Collection[str], target: Target, as_of: date, part: pa.Table, *, time_zone: str,
    knows_all: bool = False,
) -> pa.Table:  # fmt: skip
    """Returns labelled rows with what our contacts mean for them.

    `connection` has one view per landed feed; without the feed `contacts` nobody was treated. `part` has `customer_id,
    label, happened_at` (UTC, of the first event), one row a customer. With `knows_all`, a snapshot, whatever was
    delivered is known, however late.

    Returns:
        The same rows in the same order with `treated` (bool), `weight` (rows that an untreated row stands for, 0 for a
        treated one) and `chance` (logged probability of the arm of a row that was drawn, NaN for every other row).
    """
    count = part.num_rows
    if FEED not in feeds or target.own_actions.correction == "ignore" or not count:
        return _with(part, np.zeros(count, bool), np.ones(count), np.full(count, np.nan))
    window = label_window(as_of, target.lead_days, target.horizon_days)
    start, end = instant_of(as_of, time_zone), instant_of(window.end, time_zone)
    actions = target.own_actions.actions
    known = None if knows_all else label_date(target, as_of)
    connection.register("labelled_rows", part.select(["customer_id", "label", "happened_at"]))
    found = connection.execute(
        f"WITH contacts AS ({as_known(FEED, known, time_zone)}), "
        "drawn AS (SELECT customer_id, c.event_at, c.contact_id, coalesce(c.arm, 'treated') = 'treated' AS treated, "
        "c.propensity "
        "FROM contacts c JOIN labelled_rows r USING (customer_id) "
        f"WHERE c.event_at >= {timestamp(start)} AND c.event_at < {timestamp(end)} "
        "AND (r.label = 0 OR c.event_at < r.happened_at)"
        + (f" AND c.action IN ({literals(actions)})" if actions else "")
        + "), arms AS (SELECT customer_id, bool_or(treated) AS treated, "
        # What comes after the first treatment is part of it.
        "coalesce(product(1 - propensity) FILTER (NOT treated), 1) AS kept, "
        "arg_min(propensity, (event_at, contact_id)) FILTER (treated) AS drawn_with "
        "FROM drawn GROUP BY customer_id) "
        "SELECT coalesce(treated, false) AS treated, kept, drawn_with, arms.customer_id IS NOT NULL AS is_drawn "
        "FROM labelled_rows LEFT JOIN arms USING (customer_id) ORDER BY customer_id"
    ).to_arrow_table()
    connection.unregister("labelled_rows")
    treated = found["treated"].to_numpy().astype(bool)
    kept = np.nan_to_num(found["kept"].to_numpy().astype(np.float64), nan=1.0)
    drawn_with = found["drawn_with"].to_numpy().astype(np.float64)
    drawn = found["is_drawn"].to_numpy().astype(bool)
    stands_for = np.minimum(1 / np.maximum(kept, 1e-12), target.own_actions.max_weight)
    if target.own_actions.correction == "exclude":
        stands_for = np.ones(count)
    weight = np.where(treated, 0.0, stands_for)
    chance = np.where(treated, drawn_with, np.where(drawn & (kept < 1), kept, np.nan))
    return _with(part, treated, weight, chance)


def learnable(target: Target, table: pa.Table) -> Rows:
    """Returns the rows of a marked spine that a model may learn from; treated ones only to model their effect."""
    treated = table["treated"].to_numpy().astype(bool)
    if target.own_actions.correction == "model":
        treated &= np.isnan(table["chance"].to_numpy().astype(np.float64))
    return np.flatnonzero(~treated).astype(np.intp)


def columns(table: pa.Table) -> dict[str, Any]:
    """Returns a marked spine's columns as a `Dataset` takes them: nothing where each row stands for itself alone."""
    treated = table["treated"].to_numpy().astype(bool)
    weight = table["weight"].to_numpy().astype(np.float64)
    if not treated.any() and (weight == 1).all():
        return {}
    return {"weights": weight, "treated": treated, "chance": table["chance"].to_numpy().astype(np.float64)}


def effect_of(treated: Flags, chance: Floats, labels: Labels) -> Effect | None:
    """Returns the common effect of our contacts in log-odds, or None if no arm was logged.

    Each arm is weighted by the inverse of its logged probability, so both stand for everybody who was drawn. One
    imagined row of the common rate in each arm keeps a small campaign from claiming an endless effect.
    """
    drawn = ~np.isnan(chance) & (chance > 0)
    acted, other = drawn & treated, drawn & ~treated
    if not acted.any() or not other.any():
        return None
    common = float(labels[drawn].mean())

    def log_odds(rows: Flags) -> float:
        weight = 1 / chance[rows]
        rate = (float((weight * labels[rows]).sum()) + PRIOR_ROWS * common) / (float(weight.sum()) + PRIOR_ROWS)
        rate = min(max(rate, 1e-6), 1 - 1e-6)
        return float(np.log(rate / (1 - rate)))

    return Effect(log_odds(acted) - log_odds(other), int(acted.sum()), int(other.sum()))


def correction_notes(settings: OwnActions, table: pa.Table) -> tuple[str, ...]:
    """Returns what a person must know about the correction: nothing where no contact could have changed a label."""
    treated = table["treated"].to_numpy().astype(bool)
    chance = table["chance"].to_numpy().astype(np.float64)
    controls = int((~treated & ~np.isnan(chance)).sum())
    if not treated.any() and not controls:
        return ()
    done = {
        "exclude": "left out",
        "weight": f"left out, {controls:,} controls stand for them",
        "model": "learned with their common effect",
    }[settings.correction]
    notes = [f"own contacts may have changed {int(treated.sum()):,} labels: {done}"]
    unlogged = int((treated & np.isnan(chance)).sum())
    if unlogged and settings.correction != "exclude":
        notes.append(
            f"{unlogged:,} treated rows have no logged propensity: they are left out and nobody stands for them"
        )
    return tuple(notes)


def _with(part: pa.Table, treated: Flags, weight: Floats, chance: Floats) -> pa.Table:
    for name, values in zip(COLUMNS, (treated, weight, chance), strict=True):
        part = part.append_column(name, pa.array(values))
    return part
