"""How far the newest versions rank below the simulator's own probabilities (model-5, second half).

The home must hold a demo of 100,000 customers: `make demo DEMO="--customers 100000 --no-serve --home big"`, then
`INSIGHT_HOME=big make bench BENCH=oracle_gap`. Any other size is measured too, and its name says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from features.kit.errors import NotReadyError
from features.kit.files import read_json
from features.kit.home import Home
from tests.results import figure

WANTED = 100_000
LARGEST_GAP = 0.02


def run(home: Home) -> Iterator[dict[str, Any]]:
    """Yields one entry a target."""
    from training import bundle
    from training.registry import promote

    summary = home.simulation / "simulation.json"
    if not summary.exists():
        raise NotReadyError(f"{home.root}: no synthetic operator here")
    customers = int(read_json(summary)["customers"])
    for name in sorted(path.name for path in home.bundles.iterdir() if path.is_dir()):
        metrics = bundle.verify(home.bundles / name / promote.newest(home, name)).metrics
        if "auc_gap" not in metrics:
            continue
        asked = customers == WANTED
        yield figure(
            "model-5",
            f"AUC below the oracle, {name}, {customers:,} customers",
            metrics["auc_gap"],
            goal=LARGEST_GAP if asked else None,
            met=metrics["auc_gap"] <= LARGEST_GAP if asked else None,
            compared_with=f"oracle AUC {metrics['oracle_auc']}, gap {metrics['auc_gap_ci']}",
            rounds=[metrics["auc"], metrics["oracle_auc"], *metrics["auc_gap_ci"]],
        )
