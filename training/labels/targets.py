"""A target is a YAML file: which events count, when, for whom; and the label that follows from it.

A label is 1 if the target's earliest event lies in the half-open window `[as_of + lead, as_of + lead + horizon)`, as
known at the label date `as_of + lead + horizon + label_delay`. Events are SQL over the feeds, written by the operator:

- Each feed that the SQL names holds what was known at the label date (and only the newest version of an event).
- It returns `customer_id` and `event_at`; a DATE is the operator's civil date, a TIMESTAMP is UTC.
- `getvariable('as_of')`, `'window_start'`, `'window_end'` and `'known_until'` are dates, and `civil_date(instant)`
  gives the operator's date of a UTC instant.

Worked example, churn (lead 0, horizon 30, delay 30): as-of 2026-03-10 counts last uses of 2026-03-10 up to and
including 2026-04-08, as known on 2026-05-09. Somebody who last used the line on 2026-04-08 is silent on 2026-05-09.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import Field, field_validator, model_validator

from features.feeds.landed.reading import known_versions, newest_versions
from features.kit.clock import embargo_days, instant_of, label_window
from features.kit.config import Config, config_files, config_path, load_config, parse_config
from features.kit.errors import ConfigurationError
from features.kit.sql import literal, newest, quoted, timestamp

LABEL_COLUMNS = ("customer_id", "label", "kind", "is_decided", "happened_at")


class Event(Config):
    """One way in which the target happens."""

    name: str
    kind: str  # the group under which it is reported, such as voluntary or involuntary
    needs: tuple[str, ...] = Field(min_length=1)  # feeds that the SQL reads; without one the event is skipped
    sql: str  # one SELECT that returns `customer_id, event_at`

    @field_validator("sql")
    @classmethod
    def _one_select(cls, value: str) -> str:
        if not value.lstrip().lower().startswith(("select", "with")) or ";" in value:
            raise ValueError("expected one SELECT without ';'")
        return value.strip()


class CohortRules(Config):
    """Who may be trained on and judged; a rule that is null, or whose feed is missing, is not applied."""

    kinds: tuple[str, ...] = Field(default=("consumer",), min_length=1)  # one of unknown kind is kept
    active_within_days: int | None = Field(default=30, ge=1)  # some use in so many days before the as-of date
    not_suspended: bool = True  # not suspended, not closed
    not_porting_within_days: int | None = Field(default=90, ge=1)  # no application, code or completion
    days_with_us: int | None = Field(default=90, ge=0)  # active for at least so many days
    no_open_ticket: str | None = None  # no open ticket of this kind


class LearnerSettings(Config):
    """LightGBM's settings, see `learner.BoostedTrees`; `negatives_per_positive` thins the rows to learn from."""

    trees: int = Field(default=200, ge=1, le=2000)
    leaves: int = Field(default=15, ge=2, le=255)
    learning_rate: float = Field(default=0.03, gt=0, le=1)
    min_rows_in_leaf: int = Field(default=200, ge=1)
    feature_share: float = Field(default=0.3, gt=0, le=1)
    row_share: float = Field(default=0.8, gt=0, le=1)
    l2: float = Field(default=30.0, ge=0)
    category_smoothing: float = Field(default=30.0, ge=0)
    bins: int = Field(default=127, ge=15, le=255)
    negatives_per_positive: float | None = Field(default=12.0, gt=0)


class FoldSettings(Config):
    """How rows are split in time; a snapshot is split into `groups` groups of customers instead."""

    test_windows: int = Field(default=3, ge=1)  # newest as-of dates kept for the metrics
    calibration_windows: int = Field(default=2, ge=1)  # those before, one embargo earlier, for the calibration
    groups: int = Field(default=5, ge=2)  # groups for a source with one as-of date


class OwnActions(Config):
    """What becomes of rows whose label our own contacts may have changed, see `own_actions.py`.

    Attributes:
        correction: `ignore` takes labels as they are, `exclude` leaves the treated rows out, `weight` also lets their
            randomised controls stand for them, `model` learns their common effect and scores as if there were none.
        actions: Only contacts with these actions count; empty: all.
        max_weight: The largest weight of a row; beyond it the control arm is too thin to stand for the others.
    """

    correction: Literal["ignore", "exclude", "weight", "model"] = "weight"
    actions: tuple[str, ...] = ()
    max_weight: float = Field(default=20.0, ge=1)

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return {"correction": value} if isinstance(value, str) else value


class PriorRules(Config):
    """A source that was sampled by outcome (a case-control study): how often the event really happens."""

    population_rate: float = Field(gt=0, lt=1)  # share of positives in the population that will be scored


class ValueRules(Config):
    """What a contact costs and brings, in the operator's currency; assumed until the operator has measured it."""

    capacity_share: float = Field(default=0.05, gt=0, le=1)  # share of the cohort that can be contacted per as-of date
    contact_cost: float = Field(default=4.0, ge=0)  # cost of one contact
    acceptance: float = Field(default=0.15, gt=0, le=1)  # share of contacted ones with the event who act otherwise
    value_kept: float = Field(default=400.0, gt=0)  # what such a customer is worth


class PromotionRule(Config):
    """When a candidate becomes champion without anybody being asked (`verdict.py` applies it).

    A limit counts as broken only if the whole 95 % interval of the figure lies beyond it: what may be chance is no
    reason to refuse.
    """

    min_training_positives: int = Field(default=200, ge=1)  # fewer are a refusal, not a model
    min_test_positives: int = Field(default=50, ge=1)  # fewer in the test windows are, too
    min_auc_low: float = Field(default=0.55, ge=0.5, le=1)  # lower end of the AUC's 95 % interval
    max_auc: float = Field(default=0.97, gt=0.5, le=1)  # above it a leak is likelier: a person decides (`--override`)
    min_observed_expected: float = Field(default=0.93, gt=0, le=1)  # events observed over promised, lower limit
    max_observed_expected: float = Field(default=1.07, ge=1)  # its upper limit
    max_calibration_error: float = Field(default=0.15, gt=0)  # upper limit, as a share of the base rate
    max_deciles_off: int = Field(default=2, ge=0, le=10)  # of ten, wholly beyond the limits of a slice
    slice_positives: int = Field(default=200, ge=1)  # slices with fewer are told, not gated
    min_slice_observed_expected: float = Field(default=0.80, gt=0, le=1)  # of a slice
    max_slice_observed_expected: float = Field(default=1.25, ge=1)  # of a slice
    max_calibration_loss: float = Field(default=0.05, ge=0)  # above the champion's, as a share of the base rate
    max_auc_loss: float = Field(default=0.02, ge=0)  # below the champion's on the same rows
    max_slice_auc_loss: float = Field(default=0.05, ge=0)  # the same within a slice


class Target(Config):
    """A whole target. Its name is the file's."""

    name: str
    description: str
    lead_days: int = Field(ge=0)
    horizon_days: int = Field(ge=1)
    label_delay_days: int = Field(ge=0)
    terminal: bool
    events: tuple[Event, ...] = Field(min_length=1)
    among: Event | None = None
    cohort: CohortRules = CohortRules()
    features: str
    own_actions: OwnActions = OwnActions()
    monotone: dict[str, Literal[-1, 1]] = Field(default_factory=dict)
    learner: LearnerSettings = LearnerSettings()
    calibration: Literal["auto", "sigmoid", "temperature", "isotonic", "venn_abers"] = "auto"
    prior: PriorRules | None = None
    folds: FoldSettings = FoldSettings()
    value: ValueRules = ValueRules()
    promotion: PromotionRule = PromotionRule()

    @model_validator(mode="after")
    def _distinct_events(self) -> Self:
        names = [event.name for event in self.events]
        if len(set(names)) < len(names):
            raise ValueError("two events have the same name")
        return self

    @property
    def embargo_days(self) -> int:
        """Returns the smallest gap between a training and a test as-of date."""
        return embargo_days(self.lead_days, self.horizon_days, self.label_delay_days)

    def supported(self, feeds: Collection[str]) -> tuple[Event, ...]:
        """Returns the events whose feeds exist; none at all if the labelled population's feed is missing."""
        if self.among is not None and not set(self.among.needs) <= set(feeds):
            return ()
        return tuple(event for event in self.events if set(event.needs) <= set(feeds))

    def override(self, settings: dict[str, str]) -> Target:
        """Returns the target with dotted keys replaced, as `--set learner.trees=300` does.

        Raises:
            ConfigurationError: Naming the unknown key or the wrong value.
        """
        content = self.model_dump()
        for key, text in settings.items():
            *path, last = key.split(".")
            place: Any = content
            for part in path:
                place = place.get(part) if isinstance(place, dict) else None
            if not isinstance(place, dict) or last not in place:
                raise ConfigurationError(f"--set {key}: target '{self.name}' has no such key")
            place[last] = yaml.safe_load(text)
        return parse_config(Target, content, source="--set")


def pairs_of(changes: Sequence[str]) -> dict[str, str]:
    """Returns what `--set` was given as key -> value. Raises ConfigurationError for a text without `=`."""
    for change in changes:
        if "=" not in change:
            raise ConfigurationError(f"--set {change}: expected key=value")
    return dict(change.split("=", 1) for change in changes)


def load_target(name: str) -> Target:
    """Returns the target in `configs/targets/<name>.yaml`. Raises ConfigurationError naming the file and the key."""
    known = known_targets()
    if name not in known:
        raise ConfigurationError(f"there is no target '{name}'", remedy=f"known targets: {', '.join(known)}")
    return read_target(config_path(f"targets/{name}.yaml"))


def read_target(path: Path) -> Target:
    """Returns the target in a YAML file; its name is the file's name."""

    class _File(Target):
        name: str = path.stem

    return Target.model_validate(load_config(_File, path).model_dump())


def known_targets() -> tuple[str, ...]:
    """Returns the names of all targets, alphabetically, the oldest question first: churn."""
    names = sorted(config_files("targets"))
    return tuple(sorted(names, key=lambda name: (name != "churn", name)))


def remedy_for(name: str) -> str:
    """Returns what helps where a target has no model: its training, or for a name that is no target the known ones."""
    known = known_targets()
    return f"insight train {name}" if name in known else f"known targets: {', '.join(known)}"


def label_sql(target: Target, feeds: Collection[str], as_of: date, *, time_zone: str, knows_all: bool = False) -> str:
    """Returns the query for one as-of date: `LABEL_COLUMNS` of every customer with an event (`happened_at` in UTC).

    A customer of `among` without an event has label 0 there; without `among`, whoever is absent has label 0.

    With `knows_all`, a snapshot, whatever was delivered is known, however late.
    """
    window = label_window(as_of, target.lead_days, target.horizon_days)
    start, end = instant_of(window.start, time_zone), instant_of(window.end, time_zone)
    known = None if knows_all else label_date(target, as_of)
    needed = {feed for event in (*target.events, target.among) if event for feed in event.needs} & set(feeds)
    seen = ",\n".join(f"{feed} AS ({as_known(feed, known, time_zone)})" for feed in sorted(needed))
    unions = "\nUNION ALL\n".join(
        f"SELECT customer_id, {_instant('event_at', time_zone)} AS event_at, {rank} AS rank, "
        f"{literal(event.kind)} AS kind FROM ({event.sql})"
        for rank, event in enumerate(target.supported(feeds))
    )
    before = f"event_at < {timestamp(start)}"
    inside = f"(NOT {before} AND event_at < {timestamp(end)})"
    counted = f"WHERE {inside}" + (f" OR {before}" if target.terminal else "")
    labelled = (
        f"SELECT customer_id, CAST({inside} AS TINYINT) AS label, kind, {before} AS is_decided, "
        "event_at AS happened_at FROM "
        f"(SELECT * FROM events {counted} {newest('customer_id', 'event_at, rank')})"
    )
    if target.among is None:
        return f"WITH {seen},\nevents AS ({unions})\n{labelled}"
    among = f"SELECT customer_id, {_instant('event_at', time_zone)} AS event_at FROM ({target.among.sql})"
    return (
        f"WITH {seen},\nevents AS ({unions}),\nlabelled AS ({labelled}),\namong AS ({among})\n"
        "SELECT customer_id, CAST(coalesce(label, 0) AS TINYINT) AS label, coalesce(kind, '') AS kind, "
        "coalesce(is_decided, false) AS is_decided, happened_at "
        f"FROM (SELECT DISTINCT customer_id FROM among WHERE {inside}) LEFT JOIN labelled USING (customer_id)"
    )


def label_date(target: Target, as_of: date) -> date:
    """Returns the date on which the label of an as-of date is surely known."""
    return as_of + timedelta(days=target.embargo_days)


def set_moment(connection: Any, target: Target, as_of: date, *, time_zone: str) -> None:
    """Sets the variables and the macro that a target's SQL may use."""
    window = label_window(as_of, target.lead_days, target.horizon_days)
    moments = {
        "as_of": as_of,
        "window_start": window.start,
        "window_end": window.end,
        "known_until": label_date(target, as_of),
    }
    for name, day in moments.items():
        connection.execute(f"SET VARIABLE {name} = DATE '{day}'")
    connection.execute(
        "CREATE OR REPLACE TEMP MACRO civil_date(instant) AS "
        f"CAST(timezone({literal(time_zone)}, timezone('UTC', instant)) AS DATE)"
    )


def as_known(feed: str, known: date | None, time_zone: str) -> str:
    """Returns the query for a feed's rows as known on a date; None: everything delivered is known."""
    rows = f"main.{quoted(feed)}"
    return newest_versions(rows) if known is None else known_versions(rows, known, time_zone)


def _instant(column: str, time_zone: str) -> str:
    """Returns a column as UTC: a civil date becomes the instant at which it begins, an instant stays."""
    return (
        f"CASE WHEN typeof({column}) = 'DATE' "
        f"THEN timezone('UTC', timezone({literal(time_zone)}, CAST({column} AS TIMESTAMP))) "
        f"ELSE CAST({column} AS TIMESTAMP) END"
    )
