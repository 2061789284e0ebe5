"""Ours beside its peers on public sets: `insight benchmark`, every set and peer that is here (model-5, first half)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from features.kit.home import Home
from tests.results import figure

DATA = Path(__file__).parents[3] / "shared" / "data"


def run(home: Home) -> Iterator[dict[str, Any]]:
    """Yields one entry a set: how far ours, tuned, lies above its best peer, and whether it is level with all.

    Ours without a search must be reached too, but is no peer.
    """
    from training.benchmark.compare import benchmark
    from training.benchmark.peers import FIXED, OURS

    del home
    result = benchmark(DATA if DATA.is_dir() else None, say=print)
    for line in result["skipped"]:
        print(f"skipped {line['what']}: {line['why']}  -> {line['remedy']}")
    for one in result["sets"]:
        others = [line for line in one["models"] if line["model"] != OURS]
        peers = [line for line in others if line["model"] != FIXED]
        closest = min(peers, key=lambda line: line["ours_minus_it"])
        yield figure(
            "model-5",
            f"AUC of ours minus its best peer, {one['set']}",
            closest["ours_minus_it"],
            goal="interval reaches 0",
            met=all(line["level"] for line in others),
            compared_with=f"{closest['model']}, {closest['ours_minus_it_ci']}",
            rounds=[{name: line[name] for name in ("model", "auc", "ours_minus_it_ci", "level")} for line in others],
        )
