"""The step `evaluate` of the demo: the reasons of the champions beside the causes that only a synthetic operator knows.

Nothing else of this floor may read the oracle, and nothing imports this room.
"""

from __future__ import annotations

from typing import Any

import orjson

from features.journey.journey import Journey
from features.kit.clock import label_window
from features.kit.terminal.progress import Progress
from serving.evaluation.causes import cause_hit, true_causes

TARGETS = ("churn", "complaint")
HORIZON_DAYS = 30


def evaluate(journey: Journey, progress: Progress) -> dict[str, Any]:
    """Returns `{"cause_hit": {target: share}, "cause_visible": ..., "events": {target: n}, "evaluated_as_of": date}`.

    The newest built as-of date whose label window lies within the data is judged, on the champions of `TARGETS`.
    """
    from features.portraits.reading import Portraits
    from features.simulator.oracle.oracle import read_causes
    from serving.scoring.batch.chosen import explain_customers

    window = None
    portraits = Portraits.open(journey.home)
    for built in portraits.as_of_dates():
        candidate = label_window(built, 0, HORIZON_DAYS)
        if journey.as_of is not None and candidate.end <= journey.as_of:
            window = candidate
    result: dict[str, Any] = {
        "cause_hit": {},
        "cause_visible": {},
        "events": {},
        "evaluated_as_of": window and window.start,
    }
    trained = [target for target in TARGETS if (journey.home.bundles / target / "champion.json").exists()]
    if window is None or not trained:
        return result
    causes = read_causes(journey.home)
    table = portraits.read(window.start, ["customer_id", "facts"])
    texts = dict(zip(table.column("customer_id").to_pylist(), table.column("facts").to_pylist(), strict=True))
    for target in trained:
        with progress.step(f"true causes: {target}"):
            wanted = true_causes(causes, target, window)
            reasons = explain_customers(journey.home, target, window.start, sorted(wanted))
            held = {customer_id: orjson.loads(texts[customer_id]).get("reasons", {}) for customer_id in reasons}
            found = cause_hit(wanted, reasons, held)
        result["cause_hit"][target] = found.share
        result["cause_visible"][target] = found.visible_share
        result["events"][target] = found.events
    return result
