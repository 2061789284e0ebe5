"""Figures of `make bench` and `make soak`: one JSON a home, one entry an id, the newest measurement wins."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from features.kit.files import write_json
from features.kit.home import Home


def figure(
    identity: str, name: str, value: Any, *, goal: Any = None, met: bool | None = None, compared_with: str = "",
    rounds: Sequence[Any] = (),
) -> dict[str, Any]:  # fmt: skip
    """Returns one entry: `id` is `perf-N`, `trust-N` or what an issue names; `goal` and `met` are None if none is set."""
    return {
        "id": identity, "name": name, "value": value, "goal": goal, "met": met, "compared_with": compared_with,
        "rounds": list(rounds),
    }  # fmt: skip


def record(kind: str, entries: Sequence[dict[str, Any]]) -> None:
    """Writes entries to `<home>/results/<kind>.json` (`bench` or `soak`), replacing those of the same id and name.

    Each says when, from which commit and on which machine it was measured, for an entry may be older than its neighbour.
    """
    path = Home.at().results / f"{kind}.json"
    known = {(one["id"], one["name"]): one for one in (orjson.loads(path.read_bytes()) if path.exists() else [])}
    origin = {"commit": _commit(), "date": f"{datetime.now(UTC):%Y-%m-%d}", "machine": _machine()}
    known |= {(one["id"], one["name"]): one | origin for one in entries}
    write_json(path, [known[key] for key in sorted(known)])


def _commit() -> str:
    """Returns the short name of the commit, with `+` where files differ from it; empty outside a checkout."""
    done = subprocess.run(
        ["git", "describe", "--always", "--exclude=*", "--dirty=+"], cwd=Path(__file__).parent, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    return done.stdout.strip()


def _machine() -> str:
    """Returns the processor with its cores, as the system names it."""
    named = [line.partition(":")[2].strip() for line in _cpu_lines() if line.startswith("model name")]
    return f"{named[0] if named else platform.machine()}, {os.cpu_count()} cores"


def _cpu_lines() -> list[str]:
    place = Path("/proc/cpuinfo")
    return place.read_text().splitlines() if place.exists() else []
