"""perf-12 and perf-10: from delivered files to scores with reasons, list and product fit, for growing bases.

`INSIGHT_BENCH_CUSTOMERS` names the sizes (default 10,000 and 100,000 and 1,000,000); the largest is the figure of perf-12.
Simulating is no part of it. Each size has a home of its own in `INSIGHT_BENCH_FOLDER` (else a temporary one), which wants some
90 GB for a million customers; files that were simulated before are taken as they are.
"""

from __future__ import annotations

import itertools
import math
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from features.kit.config import config_path
from features.kit.home import Home
from tests.results import figure
from tests.running import insight_json

MONTHS, MINUTES, MEGABYTES = 12, 60, 16 * 1024


def run(home: Home) -> Iterator[dict[str, Any]]:
    """Yields minutes and peak memory of the largest size, and how time grows with ten times the customers."""
    sizes = [int(each) for each in os.environ.get("INSIGHT_BENCH_CUSTOMERS", "10000 100000 1000000").split()]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(os.environ.get("INSIGHT_BENCH_FOLDER", temporary))
        spent = {size: _whole_job(folder / f"{size}", size) for size in sizes}
    largest = max(sizes)
    yield _minutes(largest, spent[largest])
    peak = max(each["peak_memory_mb"] for each in spent.values())
    yield figure(
        "perf-12", f"MB of memory at the peak, {largest:,} customers", peak, goal=MEGABYTES, met=peak <= MEGABYTES,
        compared_with=", ".join(f"{size:,}: {each['peak_memory_mb']:,}" for size, each in spent.items()),
    )  # fmt: skip
    yield from _growth(spent)
    _draw(spent, home.results / "growth.svg")


def _whole_job(folder: Path, customers: int) -> dict[str, Any]:
    """Simulates where no files are yet, then runs the whole job; returns its summary."""
    files = folder / "simulated" / "files"
    if not (folder / "simulated" / "simulation.json").exists():
        insight_json("simulate", "--out", f"{files.parent}", "--customers", f"{customers}", "--months", f"{MONTHS}")
    source = config_path("sources/simulator.yaml")
    return insight_json("run", "--source", f"{source}", "--data", f"{files}", "--home", f"{folder / 'home'}")


def _minutes(customers: int, done: dict[str, Any]) -> dict[str, Any]:
    seconds = done["wall_seconds"]
    minutes = round(seconds["total"] / 60, 1)
    shares = ", ".join(f"{step} {value / seconds['total']:.0%}" for step, value in seconds.items() if step != "total")
    return figure(
        "perf-12", f"minutes from delivered files to the list, {customers:,} customers x {MONTHS} months", minutes,
        goal=MINUTES, met=minutes <= MINUTES and customers >= 1_000_000, compared_with=shares,
    )  # fmt: skip


def _growth(spent: dict[int, dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yields, for each pair of neighbouring sizes, the time of the larger one as if it were ten times the smaller."""
    ordered = sorted(spent)
    for small, large in itertools.pairwise(ordered):
        times = spent[large]["wall_seconds"]["total"] / spent[small]["wall_seconds"]["total"]
        tenfold = round(10 ** (math.log(times) / math.log(large / small)), 1)
        yield figure(
            "perf-10", f"times the time for ten times the customers, {small:,} to {large:,}", tenfold, goal=11,
            met=tenfold <= 11, compared_with=f"{large / small:g} times the customers took {times:.1f} times as long",
        )  # fmt: skip


def _draw(spent: dict[int, dict[str, Any]], place: Path) -> None:
    """Draws the minutes of each step over the number of customers, both on scales of tenfold steps."""
    from matplotlib import pyplot as plt

    sizes = sorted(spent)
    drawn, axes = plt.subplots(figsize=(8, 5))
    for step in spent[sizes[0]]["wall_seconds"]:
        minutes = [max(spent[size]["wall_seconds"][step], 0.1) / 60 for size in sizes]
        axes.plot(sizes, minutes, marker="o", label=step, linewidth=3 if step == "total" else 1)
    axes.set(
        xscale="log", yscale="log", xlabel="customers (synthetic)", ylabel="minutes, two cores", title="The whole job"
    )
    axes.legend(fontsize="small")
    axes.grid(visible=True, which="both", alpha=0.2)
    place.parent.mkdir(parents=True, exist_ok=True)
    drawn.savefig(place)
    plt.close(drawn)
