"""Whether a model keeps its promises: on matured labels, and by its own propensities before they mature.

Only as-of dates after the last one that the model learned from count; stored scores are used where the batch wrote
them, else the same model scores the same portraits now, and the report says which.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np

from features.kit.arrays import Floats
from features.kit.files import read_parquet
from training.bundle import LoadedBundle
from training.evaluation import metrics
from training.labels.history import Records
from training.labels.spine import spine
from training.labels.targets import Target
from training.monitor.alarms import Alarm
from training.monitor.settings import MonitorSettings

SCORES = "scores.parquet"
MIN_POSITIVES = 20
RELIABILITY_BINS = 10


def scores_of(
    records: Records, model: LoadedBundle, as_of: date, *, threads: int = 1
) -> tuple[dict[str, int], Floats, Floats, str]:
    """Returns the scored customers with their places, raw scores, propensities, and where they come from.

    The last is `stored` or `computed`. Customers without enough data for a score are left out of stored scores.
    """
    version, portraits = model.manifest.version, records.portraits
    path = records.home.scores / model.manifest.target / version / f"as_of={as_of.isoformat()}" / SCORES
    if path.exists():
        columns = ["customer_id", "status", "margin", "propensity"]
        table = read_parquet(path, columns, remedy=f"insight score --as-of {as_of} makes it again")
        table = table.filter(np.asarray([status == "ok" for status in table["status"].to_pylist()]))
        margins, propensities = (table[name].to_numpy().astype(np.float64) for name in ("margin", "propensity"))
        source = "stored"
    else:
        from features.portraits.vector import encode

        table = portraits.read(as_of)
        values = encode(table, portraits.feature_list)[:, model.positions(portraits.feature_list.features)]
        margins = model.margins(values, threads=threads)
        propensities, source = model.propensity(margins), "computed"
    return (
        {customer: row for row, customer in enumerate(table["customer_id"].to_pylist())},
        margins,
        propensities,
        source,
    )


def matured(
    records: Records, target: Target, model: LoadedBundle, dates: Sequence[date], settings: MonitorSettings, *,
    threads: int = 1,
) -> tuple[dict[str, Any] | None, list[Alarm]]:  # fmt: skip
    """Returns what became of the promises of some dates whose labels are known, with the alarms; None without any."""
    labels, propensities, customers, sources = [], [], [], set()
    for as_of in dates:
        chosen = spine(records.history, target, [as_of])
        places, _, promised, source = scores_of(records, model, as_of, threads=threads)
        ids = chosen.table["customer_id"].to_pylist()
        rows = [row for row, customer in enumerate(ids) if customer in places]
        labels.append(chosen.labels[rows])
        propensities.append(promised[[places[ids[row]] for row in rows]])
        customers.append(np.array([ids[row] for row in rows], dtype=str))
        sources.add(source)
    if not dates or not sum(len(part) for part in labels):
        return None, []
    happened, promised, who = np.concatenate(labels), np.concatenate(propensities), np.concatenate(customers)
    expected, observed = float(promised.sum()), int(happened.sum())
    ratio = observed / expected if expected else float("inf")
    deviation = deviations(observed, promised, promise_spread(model.manifest.metrics))
    bins = metrics.calibration_bins(promised, who)
    area = metrics.auc(promised, happened, who)
    report = {
        "as_of": [day.isoformat() for day in dates],
        "scores": sorted(sources),
        "rows": len(happened),
        "observed": observed,
        "expected": round(expected, 1),
        "observed_over_expected": round(ratio, 4),
        "deviations": round(deviation, 2),
        "calibration_error": round(metrics.calibration_error(promised, happened, bins), 5),
        **area.under("auc"),
        "reliability": [
            [float(promised[bins == place].mean()), float(happened[bins == place].mean()), int((bins == place).sum())]
            for place in range(RELIABILITY_BINS)
            if (bins == place).any()
        ],
    }
    return report, _broken(target.name, report, model.manifest.metrics, settings)


def deviations(observed: int, promised: Floats, spread: float) -> float:
    """Returns by how many standard deviations events differ from what was promised.

    `promised` are propensities, float64 [n], whose events scatter as dice do; `spread` is the relative standard
    deviation of the promised level itself.
    """
    expected = float(promised.sum())
    variance = float((promised * (1 - promised)).sum()) + (spread * expected) ** 2
    return (observed - expected) / max(float(np.sqrt(variance)), 1e-9)


def promise_spread(judged: Mapping[str, Any]) -> float:
    """Returns how surely the model's level itself was known when it was judged, as a relative standard deviation.

    A calibration learned from 60 events is off by an eighth without anything having changed. The interval of events
    observed over events promised on the test dates tells that; 0 where a bundle holds none.
    """
    interval = judged.get("observed_expected_ci")
    if not interval or None in interval:
        return 0.0
    low, high = interval
    return float(high - low) / (2 * metrics.Z95)


def _broken(target: str, report: dict[str, Any], promised: dict[str, Any], settings: MonitorSettings) -> list[Alarm]:
    found: list[Alarm] = []
    low, high = settings.observed_over_expected
    ratio = report["observed_over_expected"]
    if not low <= ratio <= high and abs(report["deviations"]) > settings.calibration_deviations:
        sentence = (
            f"{report['observed']} events happened, {report['expected']:.0f} were promised "
            f"({report['deviations']:+.1f} standard deviations)"
        )
        found.append(Alarm("calibration", target, ratio, low if ratio < low else high, sentence))
    judged = promised.get("auc_ci")
    if judged and report["observed"] >= MIN_POSITIVES and report["auc_ci"][1] < judged[0]:
        sentence = (
            f"AUC {report['auc']:.3f} ({report['auc_ci'][0]:.3f} to {report['auc_ci'][1]:.3f}), judged at {judged}"
        )
        found.append(Alarm("ranking", target, report["auc"], judged[0], sentence))
    return found
