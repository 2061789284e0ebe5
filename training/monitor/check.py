"""One monitoring run: every champion against its reference, the feeds, the promises, and what should be done.

bundle's reference.json + portraits + scores + feeds of the as-of date -> report.json, two pages, insight.prom
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from features.kit.arrays import Floats
from features.kit.clock import last_labelled
from features.kit.config import load_data
from features.kit.errors import NotReadyError
from features.kit.language import Text
from features.kit.terminal.progress import SILENT, Progress
from features.portraits.vector import encode
from training import bundle
from training.bundle import LoadedBundle
from training.dataset.dataset import only
from training.labels.history import Records
from training.labels.targets import Target, known_targets, load_target, remedy_for
from training.monitor import drift
from training.monitor.alarms import FEED_KINDS, Alarm, feature_alarms, feed_alarms, is_judged, psi_limit, shift_alarms
from training.monitor.promises import matured, scores_of
from training.monitor.reference import column_of, feed_state, in_both, read_reference, sampled
from training.monitor.settings import MonitorSettings, load_settings

MATURED_DATES = 6
_ADVICE: dict[str, dict[str, Text]] = load_data(dict[str, dict[str, Text]], Path(__file__).with_name("advice.yaml"))


@dataclass(frozen=True)
class MonitorRequest:
    """What one monitoring run is asked to look at."""

    as_of: date  # the as-of date; its portraits must be built
    targets: tuple[str, ...] = ()  # targets with a champion; empty means all that have one
    threads: int = 1


@dataclass(frozen=True)
class Watched:
    """What one run looks at."""

    records: Records
    as_of: date
    settings: MonitorSettings
    threads: int


def monitor(records: Records, request: MonitorRequest, *, progress: Progress = SILENT) -> dict[str, Any]:
    """Returns the report of an as-of date as plain data.

    Raises:
        NotReadyError: If no target has a champion, a champion has no reference, or the date has no portraits.
        BundleError: If a champion fails its checks.
    """
    home, feeds, as_of, targets = records.home, records.feeds, request.as_of, request.targets
    records.portraits.path(as_of)
    watched = Watched(records, as_of, load_settings(), request.threads)
    champions = {name: bundle.champion(home.bundles, name) for name in targets or known_targets()}
    lacking = [name for name, folder in champions.items() if folder is None]
    if (targets and lacking) or len(lacking) == len(champions):
        raise NotReadyError(f"no model of {', '.join(lacking)} has been promoted", remedy=remedy_for(lacking[0]))
    reports: dict[str, Any] = {}
    feed_states = feed_state(feeds, as_of)
    with progress.step("monitoring", total=len(champions) - len(lacking)) as tick:
        for name, folder in champions.items():
            if folder is not None:
                model = bundle.load(folder)
                reports[name] = _report_of(watched, load_target(name), model, read_reference(folder), feed_states)
                tick(1)
    alarms = sum(len(report["alarms"]) for report in reports.values())
    return {
        "as_of": as_of.isoformat(),
        "operator": feeds.operator.name,
        "settings": watched.settings.model_dump(),
        "settings_hash": watched.settings.content_hash(),
        "feeds": feed_states,
        "targets": reports,
        "alarms": alarms,
        "status": "alarm" if alarms else "fine",
    }


def _report_of(
    watched: Watched, target: Target, model: LoadedBundle, reference: dict[str, Any], feeds: dict[str, dict[str, float]]
) -> dict[str, Any]:
    """Returns the report of one champion."""
    settings = watched.settings
    features, alarms = _features(watched, model, reference)
    alarms += feed_alarms(reference["feeds"], feeds, settings)
    _, margins, propensities, source = scores_of(watched.records, model, watched.as_of, threads=watched.threads)
    shift = drift.compare(reference["scores"], margins)
    promised = drift.estimated_auc(propensities)
    lowest = reference["scores"]["estimated_auc"][0] - settings.estimated_auc_loss
    usual = reference["scores"]["usual"]
    alarms += shift_alarms("scores", target.name, shift, usual, settings, age=_age(reference, watched.as_of))
    if promised < lowest:
        sentence = f"the propensities promise an AUC of {promised:.3f}, {lowest:.3f} is the least"
        alarms.append(Alarm("estimated", target.name, promised, lowest, sentence))
    learned_until = date.fromisoformat(reference["as_of"][-1])
    labelled = last_labelled(
        min(watched.as_of, watched.records.feeds.latest_as_of()),
        target.lead_days,
        target.horizon_days,
        target.label_delay_days,
    )
    dates = [day for day in watched.records.portraits.as_of_dates() if learned_until < day <= labelled][-MATURED_DATES:]
    kept, broken = matured(watched.records, target, model, dates, settings, threads=watched.threads)
    alarms += broken
    newer = max((labelled - learned_until).days, 0)
    level = _level(reference, propensities, watched.as_of)
    return {
        "version": model.manifest.version,
        "reference": reference["as_of"],
        "features": features,
        "not_judged": sorted(name for name, figures in features.items() if "psi_limit" not in figures),
        "scores": {
            "source": source,
            "rows": len(margins),
            "psi": round(shift["psi"], 4),
            "ks": round(shift["ks"], 4),
            "mean_propensity": round(float(propensities.mean()), 6),
            "expected_mean": level.expected,
            "base_rate": model.manifest.base_rate,
            "estimated_auc": round(promised, 4),
            "reference_estimated_auc": reference["scores"]["estimated_auc"],
            "shares": drift.bin_shares(margins, reference["scores"]["edges"]).tolist(),
            "reference_shares": reference["scores"]["shares"],
        },
        "matured": kept,
        "newer_label_days": newer,
        "alarms": [alarm.as_dict() for alarm in alarms],
        "recommendation": recommendation(model, alarms, newer, settings, level),
    }


def _features(
    watched: Watched, model: LoadedBundle, reference: dict[str, Any]
) -> tuple[dict[str, dict[str, float]], list[Alarm]]:
    """Returns the figures of every input of the model, and the alarms."""
    names = list(model.manifest.feature_names)
    now = sampled(watched.records.portraits.read(watched.as_of, ["customer_id", *names]))
    earlier = [day for day in watched.records.portraits.as_of_dates() if day < watched.as_of]
    before = sampled(watched.records.portraits.read(earlier[-1], ["customer_id", *names])) if earlier else None
    inputs = only(watched.records.portraits.feature_list, names)
    rows = in_both(before, now) if before is not None else None
    codes = (encode(before, inputs), encode(now, inputs)) if before is not None else None
    age = _age(reference, watched.as_of)
    figures: dict[str, dict[str, float]] = {}
    alarms: list[Alarm] = []
    for place, name in enumerate(names):
        usual = reference["features"][name]
        shift = drift.compare(usual, column_of(now, name))
        equal = drift.equal_share(codes[0][rows[0], place], codes[1][rows[1], place]) if codes and rows else None
        figures[name] = {measure: round(value, 4) for measure, value in shift.items()}
        if is_judged(name, usual["usual"], watched.settings):
            figures[name]["psi_limit"] = round(psi_limit(usual["usual"], watched.settings, age=age), 4)
        alarms += feature_alarms(name, usual, shift, equal, watched.settings, age=age)
    return figures, alarms


@dataclass(frozen=True)
class Level:
    """The mean propensity of a date beside what the reference dates lead one to expect."""

    mean: float
    expected: list[float] | None = None  # lowest and highest; None for a reference from before it was kept

    def advice(self) -> dict[str, str]:
        """Returns what is to be done where no alarm rings: watch a level outside what is expected, else nothing."""
        if self.expected is None:
            return _advice("none", "unknown", mean=self.mean)
        low, high = self.expected
        return _advice("none" if low <= self.mean <= high else "watch", "level", mean=self.mean, low=low, high=high)


def _level(reference: dict[str, Any], propensities: Floats, as_of: date) -> Level:
    means = reference["scores"].get("mean_propensity")
    mean = round(float(propensities.mean()), 6)
    if not means:
        return Level(mean)
    ends = drift.expected_level(means, propensities, age=_age(reference, as_of))
    return Level(mean, [round(end, 6) for end in ends])


def _age(reference: dict[str, Any], as_of: date) -> float:
    """Returns the days since the newest reference date, in spans of the reference dates.

    Example: reference dates from 2026-01-01 to 2026-03-12 span 70 days; 2026-04-16 is 35 days later, half a span.
    """
    first, last = (date.fromisoformat(reference["as_of"][place]) for place in (0, -1))
    return max((as_of - last).days, 0) / max((last - first).days, 30)


def recommendation(
    model: LoadedBundle, alarms: Sequence[Alarm], newer_days: int, settings: MonitorSettings, level: Level
) -> dict[str, str]:
    """Returns what should be done, as a code with its reason in both languages.

    Codes: `fix_feeds` (wrong data make a worse model), `retrain`, `watch` (changed, but nothing newer to learn
    from; or without an alarm, the mean propensity lies outside what the reference dates lead one to expect), `none`.
    """
    wrong = sorted({alarm.name for alarm in alarms if alarm.kind in FEED_KINDS})
    if wrong:
        return _advice("fix_feeds", "wrong", some=", ".join(wrong[:5]))
    gains = dict(zip(model.manifest.feature_names, model.gains().tolist(), strict=True))
    drifted = {alarm.name for alarm in alarms if alarm.kind in ("shift", "unseen")}
    carried = sum(gains[name] for name in drifted if name in gains) / max(sum(gains.values()), 1e-12)
    kinds = {alarm.kind for alarm in alarms}
    broken = sorted(kinds & {"calibration", "ranking", "estimated", "scores"})
    if newer_days and broken:
        both = Text(zh="、".join(broken), en=", ".join(broken))
        return _advice("retrain", "broken", kinds=both, days=newer_days)
    if newer_days and carried >= settings.important_share:
        return _advice("retrain", "carried", share=carried, days=newer_days)
    if newer_days >= settings.retrain_after_days:
        return _advice("retrain", "newer", days=newer_days)
    return _advice("watch", "changed") if alarms else level.advice()


def _advice(code: str, why: str, **slots: Any) -> dict[str, str]:
    text = _ADVICE[code][why]
    return {"code": code, "reason": text.en.format(**slots), "reason_zh": text.zh.format(**slots)}
