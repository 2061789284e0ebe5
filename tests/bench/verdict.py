"""Whom the written verdict refuses and promotes (model-3): three sabotaged candidates, a true improvement, 200 A/A replays.

For churn, on the home that `INSIGHT_HOME=big make bench BENCH=calibration` made (100,000 customers): `INSIGHT_HOME=big make
bench BENCH=verdict`; five trainings and 200 verdicts, some half an hour on a quiet core. A demo's home of 20,000 is too
small for the second entry: the profit of any improvement is then within chance, and the rule must not promote it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from features.kit.errors import NotReadyError
from features.kit.home import Home
from tests.bench.candidates import Bench
from tests.replay import replay
from tests.results import figure

TARGET = "churn"
REPLAYS, MOST_PROMOTED = 200, 10


def run(home: Home) -> Iterator[dict[str, Any]]:
    """Yields the three entries."""
    if not (home.simulation / "oracle").exists():
        raise NotReadyError(f"{home.root}: no synthetic operator here")
    bench = Bench.of(home, TARGET)
    champion, half = bench.candidate(), bench.half_zeroed()
    size = f"{len(champion.labels):,} rows"
    sabotaged = {
        "shuffled labels": bench.shuffled(),
        "half the features zeroed": half,
        "last year's data": bench.candidate(old=True),
    }
    found = {name: bench.verdict(rows, champion) for name, rows in sabotaged.items()}
    refused = sum(not verdict.promoted for verdict in found.values())
    yield figure(
        "model-3", "sabotaged candidates refused", f"{refused}/3", goal="3/3", met=refused == 3, compared_with=size,
        rounds=[f"{name}: {verdict.rule}" for name, verdict in found.items()],
    )  # fmt: skip
    better = bench.verdict(champion, half)
    yield figure(
        "model-3", "a true improvement (all features beside half of them) passes", better.rule, goal="more_profit",
        met=better.promoted and better.rule == "more_profit", compared_with=size,
        rounds=[better.figures.get("profit_gap")],
    )  # fmt: skip
    other = bench.candidate(seed=8)
    rules: dict[str, int] = {}
    for seed in range(REPLAYS):
        rows, theirs = replay(champion, other, seed)
        verdict = bench.verdict(rows, replace(rows, propensities=theirs))
        rules[verdict.rule] = rules.get(verdict.rule, 0) + 1
    promoted = sum(rules.get(rule, 0) for rule in ("more_profit", "champion_fails_gate", "better_scores"))
    yield figure(
        "model-3", "A/A replays that promote", promoted, goal=MOST_PROMOTED, met=promoted <= MOST_PROMOTED,
        compared_with=f"{REPLAYS} draws of the customers of {size}, the rule set at 2.5 %",
        rounds=[f"{rule} {count}" for rule, count in sorted(rules.items())],
    )  # fmt: skip
