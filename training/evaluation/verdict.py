"""The written verdict on a candidate: which rule decided whether it becomes champion, with every figure it looked at.

    gates (the candidate alone)        auc_too_low  auc_too_good  constant_propensity  rate_off  poorly_calibrated
                                       deciles_off  slice_off
    guard-rails (beside the champion,  worse_than_champion  calibration_worse_than_champion
    on the same rows)                  slice_worse_than_champion
    value (the same rows)              promoted: first_champion | more_profit | champion_fails_gate | better_scores
                                       refused:  not_comparable | no_more_profit

The first code that applies decides. A limit is broken only if the whole 95 % interval lies beyond it, except the
ceiling of the AUC: above it a person decides, with a reason that is kept (`insight promote --override`). More profit
means that the lower end of the paired interval at the operator's capacity is above zero: of equal models one in forty
(2.5 %) is promoted by chance. A champion that fails the rate or calibration gate on these rows gives way to a candidate
that promises surely better and earns no less.

Profit looks at the few rows within the capacity; with few events it cannot tell a much better model from chance. Where
its interval holds zero, all rows may speak: a candidate whose AUC or log loss is surely better, the other no worse, is
promoted too. Two more figures are looked at, so both have the wider interval of `SURE`, which adds one equal model in
two hundred at most.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from features.kit.arrays import Flags, Floats
from features.kit.config import load_data
from training.evaluation import metrics, reliability, value
from training.evaluation.evaluate import Judged
from training.labels.targets import PromotionRule, ValueRules

CODES: dict[str, dict[str, str]] = load_data(dict[str, dict[str, str]], Path(__file__).with_suffix(".yaml"))
"""`gate`, `guard_rail` or `value` -> the code of a rule -> what it means that this rule decided."""

GATES = tuple(CODES["gate"])
TOO_GOOD = "auc_too_good"
FIRST, MORE_PROFIT, CHAMPION_FAILS = "first_champion", "more_profit", "champion_fails_gate"
BETTER_SCORES = "better_scores"
NOT_COMPARABLE, NO_MORE_PROFIT = "not_comparable", "no_more_profit"
SURE = 2.807033768343811
"""Standard errors either side of an interval of 99.5 %."""


@dataclass(frozen=True)
class Check:
    """One rule and what it found."""

    code: str  # its stable code, which names what is wrong if it does not hold
    holds: bool
    found: str  # the figure, for people
    limit: str  # the limit, for people


@dataclass(frozen=True)
class Verdict:
    """Whether a candidate becomes champion."""

    promoted: bool
    rule: str  # the code of the rule that decided
    checks: tuple[Check, ...]  # every rule that was looked at, in order
    compared_with: str | None = None  # the champion's version, or None
    seen: str = ""  # what the champion had seen of the rows, or why it was not compared
    figures: dict[str, Any] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """Returns plain values for JSON."""
        return asdict(self) | {"decision": "promoted" if self.promoted else "refused"}


@dataclass(frozen=True)
class Champion:
    """The champion on the candidate's rows.

    Attributes:
        propensities: Its propensities, float64 [n]; NaN where it has none.
        is_fair: Whether it had seen nothing of the row, bool [n].
    """

    version: str
    propensities: Floats
    is_fair: Flags
    seen: str


def judge(
    rule: PromotionRule, rates: ValueRules, judged: Judged, found: Mapping[str, Any], champion: Champion | None, *,
    why_none: str = "there is no champion yet", population_rate: float | None = None,
) -> Verdict:  # fmt: skip
    """Returns the verdict on a candidate.

    `rates` says what a contact costs and brings, `found` is the evaluation of the judged rows (`evaluate.evaluate`),
    `champion` the champion on the same rows, and `population_rate` the declared prior of a source sampled by outcome.
    """
    checks = gates(rule, found)
    figures: dict[str, Any] = {"capacity": rates.model_dump()}
    if champion is None:
        earned = _earned(rates, judged, judged.propensities, population_rate)
        figures["profit"] = _plain(value.profit(earned, judged.customers))
        return _decided(checks, None, why_none, figures, on_passing=FIRST)
    kept, sentence = _comparable(rule, judged, champion)
    rows, theirs = judged.only(kept), champion.propensities[kept]
    if rows.labels.sum() < rule.min_test_positives:
        few = f"{int(rows.labels.sum())} positives"
        checks += (Check(NOT_COMPARABLE, False, few, f"at least {rule.min_test_positives}"),)
        return _decided(checks, champion.version, champion.seen, figures, on_passing="")
    its_figures = _champion_figures(rows, theirs)
    checks += guard_rails(rule, rows, theirs)
    mine = _earned(rates, rows, rows.propensities, population_rate)
    its = _earned(rates, rows, theirs, population_rate)
    gap = value.profit(mine - its, rows.customers)
    figures |= {
        "rows": int(kept.sum()),
        "positives": int(rows.labels.sum()),
        "profit": _plain(value.profit(mine, rows.customers)),
        "champion_profit": _plain(value.profit(its, rows.customers)),
        "profit_gap": _plain(gap),
        "champion": its_figures,
    }
    fails = [
        check
        for check in gates(rule, its_figures)
        if not check.holds and check.code in ("rate_off", "poorly_calibrated")
    ]
    more = gap.low > 0
    better = metrics.calibration_figure(
        rows.propensities, rows.labels, rows.customers, beside=theirs, rows=rows.weights
    )
    # Surely better promises, not only a champion at the edge of its limits: of equal models that is chance again.
    fresh = bool(fails) and gap.value >= 0 and better.high < 0
    area = metrics.auc_gap(theirs, rows.propensities, rows.labels, rows.customers)
    loss = metrics.log_loss_gap(theirs, rows.propensities, rows.labels, rows.customers, rows=rows.weights)
    figures |= area.under("auc_gap", 5) | loss.under("log_loss_gap", 6)
    surely = gap.high >= 0 and _surely_better(area, loss)
    checks = (
        *checks,
        Check(
            NO_MORE_PROFIT,
            more or fresh or surely,
            f"{gap.value:+.2f} ({gap.low:+.2f} to {gap.high:+.2f}) per {value.PER} customers and as-of date; "
            f"AUC {area.value:+.4f} ({area.low:+.4f} to {area.high:+.4f}), "
            f"log loss {-loss.value:+.5f} ({-loss.high:+.5f} to {-loss.low:+.5f})"
            + (f"; the champion itself is {', '.join(check.code for check in fails)}" if fails else ""),
            "above 0 with its whole interval; where the champion fails a gate and promises surely worse, 0 or more; "
            "where the interval holds 0, AUC or log loss better with the whole 99.5 % interval, the other no worse",
        ),
    )
    passing = MORE_PROFIT if more else CHAMPION_FAILS if fresh else BETTER_SCORES
    return _decided(checks, champion.version, f"{champion.seen}; {sentence}", figures, on_passing=passing)


def gates(rule: PromotionRule, found: Mapping[str, Any]) -> tuple[Check, ...]:
    """Returns the gates that look at the candidate alone; a figure that is not a number never passes."""
    low = found["auc_ci"][0]
    ratio, rates = _interval(found, "observed_expected"), (rule.min_observed_expected, rule.max_observed_expected)
    allowed = rule.max_calibration_error * found["base_rate"]
    error, error_low = found["calibration_error"], found["calibration_error_ci"][0]
    off = [f"{place + 1}" for place, decile in enumerate(found["deciles"]) if _is_off(decile, rule)]
    limits = (rule.min_slice_observed_expected, rule.max_slice_observed_expected)
    gated = [
        (f"{group}={name}", cell)
        for group, cells in found.get("by_slice", {}).items()
        for name, cell in cells.items()
        if cell["positives"] >= rule.slice_positives
    ]
    bad = [name for name, cell in gated if not _overlaps(_interval(cell, "observed_expected"), limits)]
    return (
        Check("auc_too_low", bool(low >= rule.min_auc_low), f"{low} at the lower end", f"at least {rule.min_auc_low}"),
        Check(TOO_GOOD, bool(found["auc"] <= rule.max_auc), f"{found['auc']}", f"at most {rule.max_auc}"),
        Check("constant_propensity", not found["is_constant"], "one" if found["is_constant"] else "several", "several"),
        Check(
            "rate_off",
            _overlaps(ratio, rates),
            "{} ({} to {})".format(found["observed_expected"], *found["observed_expected_ci"]),
            f"{rates[0]} to {rates[1]}",
        ),
        Check(
            "poorly_calibrated",
            bool(error == error and error_low <= allowed),  # noqa: PLR0124 - not a number never passes
            f"{error} (from {error_low})",
            f"at most {allowed:.5f}, {rule.max_calibration_error} of the base rate",
        ),
        Check(
            "deciles_off",
            len(off) <= rule.max_deciles_off,
            f"{len(off)} of {len(found['deciles'])}" + (f": {', '.join(off)}" if off else ""),
            f"at most {rule.max_deciles_off} surely beyond {limits[0]} to {limits[1]}",
        ),
        Check(
            "slice_off",
            not bad,
            f"{len(bad)} of {len(gated)} with {rule.slice_positives} positives or more"
            + (f": {', '.join(bad)}" if bad else ""),
            f"{limits[0]} to {limits[1]} each",
        ),
    )


def guard_rails(rule: PromotionRule, rows: Judged, theirs: Floats) -> tuple[Check, ...]:
    """Returns what a candidate must not lose against the champion on the same rows, whatever it earns."""
    loss = metrics.auc_gap(rows.propensities, theirs, rows.labels, rows.customers)
    worse = metrics.calibration_figure(rows.propensities, rows.labels, rows.customers, beside=theirs, rows=rows.weights)
    allowed = rule.max_calibration_loss * rows.base_rate
    bad: list[str] = []
    gated = 0
    for group, names in rows.groupings.items():
        for name in np.unique(names):
            inside = names == name
            if rows.labels[inside].sum() < rule.slice_positives:
                continue
            gated += 1
            part = rows.only(inside)
            lost = metrics.auc_gap(part.propensities, theirs[inside], part.labels, part.customers)
            if lost.low > rule.max_slice_auc_loss:
                bad.append(f"{group}={name}")
    return (
        Check(
            "worse_than_champion",
            not loss.low > rule.max_auc_loss,
            f"AUC {-loss.value:+.4f} ({-loss.high:+.4f} to {-loss.low:+.4f})",
            f"not surely more than {rule.max_auc_loss} less",
        ),
        Check(
            "calibration_worse_than_champion",
            not worse.low > allowed,
            f"calibration error {worse.value:+.5f} ({worse.low:+.5f} to {worse.high:+.5f})",
            f"not surely more than {allowed:.5f} above",
        ),
        Check(
            "slice_worse_than_champion",
            not bad,
            f"{len(bad)} of {gated}" + (f": {', '.join(bad)}" if bad else ""),
            f"AUC of no slice surely more than {rule.max_slice_auc_loss} less",
        ),
    )


def _surely_better(*gaps: metrics.Figure) -> bool:
    """Returns whether one of two paired gains lies above zero with its whole interval, and the other is no loss."""
    surely = any(gap.value > SURE * gap.standard_error for gap in gaps)
    return surely and all(gap.value >= 0 for gap in gaps)


def _decided(
    checks: tuple[Check, ...], version: str | None, seen: str, figures: dict[str, Any], *, on_passing: str
) -> Verdict:
    broken = next((check.code for check in checks if not check.holds), None)
    return Verdict(broken is None, broken or on_passing, checks, version, seen, figures)


def _comparable(rule: PromotionRule, judged: Judged, champion: Champion) -> tuple[Flags, str]:
    """Returns the rows to compare on: fair ones, and only if they hold too few positives all that were scored."""
    scored = ~np.isnan(champion.propensities)
    fair = scored & champion.is_fair
    if int(judged.labels[fair].sum()) >= rule.min_test_positives:
        return fair, "compared on the rows that neither had seen"
    return scored, "too few rows that neither had seen: compared on all, which flatters the champion"


def _champion_figures(rows: Judged, theirs: Floats) -> dict[str, Any]:
    """Returns the champion's own figures on the rows, ranked by its propensities."""
    area = metrics.auc(theirs, rows.labels, rows.customers)
    error = metrics.calibration_figure(theirs, rows.labels, rows.customers, rows=rows.weights)
    return {
        **area.under("auc"),
        "base_rate": round(rows.base_rate, 6),
        **error.under("calibration_error", 5),
        **reliability.reliability(theirs, theirs, rows.labels, rows.customers, rows.weights),
    }


def _earned(rates: ValueRules, rows: Judged, propensities: Floats, population_rate: float | None) -> Floats:
    as_of = np.zeros(len(rows.labels)) if rows.as_of is None else rows.as_of
    weights = rows.stands_for
    if population_rate is not None:
        from training.model.calibrate import at_rate

        sample_rate = rows.base_rate
        propensities = at_rate(propensities, sample_rate, population_rate)
        stands_for = (population_rate / sample_rate, (1 - population_rate) / (1 - sample_rate))
        weights = weights * np.where(rows.labels == 1, *stands_for)
    chosen = value.contacted(rates, propensities, as_of, rows.customers)
    return value.gains(rates, chosen, rows.labels, weights)


def _plain(figure: metrics.Figure) -> dict[str, float]:
    return {"value": round(figure.value, 4), "low": round(figure.low, 4), "high": round(figure.high, 4)}


def _interval(found: Mapping[str, Any], name: str) -> tuple[float, float]:
    low, high = found[f"{name}_ci"]
    return (float("nan"), float("nan")) if low is None or high is None else (float(low), float(high))


def _is_off(decile: Mapping[str, Any], rule: PromotionRule) -> bool:
    """Returns whether the whole interval of a decile's events lies beyond the limits of a slice."""
    margin = decile["high"] - decile["expected"]
    low, high = decile["observed"] - margin, decile["observed"] + margin
    lowest, highest = rule.min_slice_observed_expected, rule.max_slice_observed_expected
    return bool(high < lowest * decile["expected"] or low > highest * decile["expected"])


def _overlaps(interval: tuple[float, float], limits: tuple[float, float]) -> bool:
    return bool(interval[0] <= limits[1] and interval[1] >= limits[0])
