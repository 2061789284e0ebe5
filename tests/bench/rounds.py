"""Ratios against a floor or a peer in the same run: the two in turn, so that the machine's noise hits both."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.results import figure

ROUNDS = 5


def ratio(ours: Callable[[], Any], floor: Callable[[], Any]) -> list[float]:
    """Returns ours / floor in seconds, one figure a round, the two in turn after one warm-up."""
    ours(), floor()
    rounds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        ours()
        between = time.perf_counter()
        floor()
        rounds.append((between - began) / (time.perf_counter() - between))
    return rounds


def speed(
    identity: str, name: str, rounds: Sequence[float], floor: str, *, goal: float | None = None
) -> dict[str, Any]:
    """Returns the entry of a speed figure: the median of its rounds, met if it is at most the goal."""
    value = round(statistics.median(rounds), 2)
    met = None if goal is None else value <= goal
    return figure(identity, name, value, goal=goal, met=met, compared_with=floor, rounds=[round(r, 2) for r in rounds])


def peak_megabytes() -> int:
    """Returns the most memory that this process has had, not `ru_maxrss`: that begins at what its parent had in memory."""
    status = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in status if line.startswith("VmHWM:")).split()[1]) // 1024


def cpu_seconds(pid: int) -> float:
    """Returns the CPU seconds that a running process has used, its own and the kernel's for it, in steps of 10 ms."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")
