"""What rings the bell: each alarm has a kind, a name, a figure, its limit and a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from features.feeds.contracts import FEEDS
from features.feeds.schema import Grain
from features.kit.config import load_data
from training.monitor.settings import MonitorSettings

KINDS: dict[str, str] = load_data(dict[str, str], Path(__file__).with_suffix(".yaml"))
"""Every kind of alarm with its name in Chinese."""

FEED_KINDS = frozenset({"lost_feed", "stuck_feed", "thin_feed", "stuck", "missing"})
"""Alarms that say that data are wrong, not that customers have changed."""


@dataclass(frozen=True)
class Alarm:
    """One alarm."""

    kind: str  # a key of `KINDS`
    name: str  # the feature, feed or target
    value: float
    limit: float
    evidence: str  # one sentence

    def as_dict(self) -> dict[str, Any]:
        """Returns plain values for the report."""
        return asdict(self) | {"value": round(self.value, 4), "limit": round(self.limit, 4)}


def feature_alarms(
    name: str, reference: Mapping[str, Any], shift: Mapping[str, float], equal: float | None, settings: MonitorSettings,
    *, age: float = 0.0,
) -> list[Alarm]:  # fmt: skip
    """Returns the alarms of one feature.

    `shift` is what `drift.compare` found, `equal` the share of customers whose value is that of the date before (or
    None), `age` the days since the newest reference date, in spans of the reference dates.
    """
    usual, found = reference["usual"], []
    blanks, before = shift["missing"], reference["missing"]
    limit = limit_of(settings.missing_change, usual["missing"], settings)
    if abs(blanks - before) > limit:
        sentence = f"{blanks:.0%} blank, {before:.0%} in the reference"
        found.append(Alarm("missing", name, abs(blanks - before), limit, sentence))
    limit = limit_of(settings.unseen_share, usual["unseen"], settings)
    if shift["unseen"] > limit:
        sentence = f"{shift['unseen']:.1%} have a category that the reference never saw"
        found.append(Alarm("unseen", name, shift["unseen"], limit, sentence))
    if is_judged(name, usual, settings):
        found += shift_alarms("shift", name, shift, usual, settings, age=age)
    was = reference.get("equal_share")
    if equal is not None and was is not None and was <= settings.moving_share and equal >= settings.stuck_share:
        sentence = f"{equal:.1%} of the values are those of the date before, at most {was:.0%} were in the reference"
        found.append(Alarm("stuck", name, equal, settings.stuck_share, sentence))
    return found


def shift_alarms(
    kind: str, name: str, shift: Mapping[str, float], usual: Mapping[str, float], settings: MonitorSettings,
    *, age: float = 0.0,
) -> list[Alarm]:  # fmt: skip
    """Returns at most one alarm for a distribution: by PSI, else by KS."""
    limits = {
        "psi": psi_limit(usual, settings, age=age),
        "ks": limit_of(settings.ks, usual["ks"] * (1 + age), settings),
    }
    for measure, limit in limits.items():
        if shift[measure] > limit:
            sentence = (
                f"{measure.upper()} {shift[measure]:.2f}, the reference dates differ by {usual[measure]:.2f} at most"
            )
            return [Alarm(kind, name, shift[measure], limit, sentence)]
    return []


def is_judged(name: str, usual: Mapping[str, float], settings: MonitorSettings) -> bool:
    """Returns whether a feature rings by its distribution.

    One that starts anew on the 1st does not, nor one whose reference dates differ so much among themselves (days since
    a bill that all customers get on one day) that its limit could never be reached; the report names them.
    """
    return name not in settings.calendar_features and usual["psi"] <= settings.restless_psi


def psi_limit(usual: Mapping[str, float], settings: MonitorSettings, *, age: float = 0.0) -> float:
    """Returns the PSI above which a distribution rings: what is usual for it grows with the square of the age."""
    return limit_of(settings.psi, usual["psi"] * (1 + age) ** 2, settings)


def limit_of(smallest: float, usual: float, settings: MonitorSettings) -> float:
    """Returns the larger of a configured limit and a multiple of what is usual."""
    return max(smallest, settings.usual_factor * usual)


def feed_alarms(
    reference: Mapping[str, Mapping[str, float]], now: Mapping[str, Mapping[str, float]], settings: MonitorSettings
) -> list[Alarm]:
    """Returns the alarms of the feeds: lost (nothing any more), stuck (newest row too old), thin (too few rows)."""
    found: list[Alarm] = []
    for name, usual in reference.items():
        state = now.get(name)
        counts = usual["rows"] >= settings.feed_least_rows
        if counts and (state is None or not state["rows"]):
            sentence = f"no row any more, at least {usual['rows']:.0f} before"
            found.append(Alarm("lost_feed", name, 0.0, usual["rows"], sentence))
            continue
        if state is None or not counts:
            continue
        monthly = FEEDS[name].grain is Grain.MONTH if name in FEEDS else False
        limit = usual["lag_days"] + (settings.monthly_lag_days if monthly else settings.feed_lag_days)
        if state["lag_days"] > limit:
            sentence = f"the newest row is {state['lag_days']:.0f} days old, {usual['lag_days']:.0f} at most before"
            found.append(Alarm("stuck_feed", name, state["lag_days"], limit, sentence))
        elif state["per_customer"] < settings.feed_fall * usual["per_customer"]:
            share = state["per_customer"] / usual["per_customer"]
            sentence = f"{share:.0%} of the fewest rows per customer of any reference date"
            found.append(Alarm("thin_feed", name, share, settings.feed_fall, sentence))
    return found
