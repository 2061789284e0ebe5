"""deliver-4: fifty canaries of one person through every room; after `insight erase` none is found in any file."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from features.kit.home import Home
from tests.results import figure
from tests.serving.erasure.conftest import (
    CANARIES,
    MarkedTown,
    erase_in_a_fresh_process,
    fill_rooms,
    found_in,
    make_town,
)


def run(home: Home) -> Iterator[dict[str, Any]]:
    """Yields the canaries found before, after the erasure, and after everything was delivered again."""
    with tempfile.TemporaryDirectory() as folder:
        town = make_town(Path(folder))
        town.deliver()
        fill_rooms(town.home)
        before = len(found_in(town.home.root))
        logs = _erase(town)
        after = len(found_in(town.home.root) | {one for one in CANARIES if one in logs})
        town.deliver("_again")
        again = len(found_in(town.home.root))
    left = max(after, again)
    yield figure(
        "deliver-4", "canaries of an erased person found, of 50", left, goal=0, met=before == len(CANARIES) and left == 0,
        compared_with=f"{before} found by the same search before; every file of the home with its databases and mlruns, and the log",
        rounds=[{"before": before, "after": after, "delivered_again": again}],
    )  # fmt: skip


def _erase(town: MarkedTown) -> str:
    """Erases the person in a fresh process and returns everything it said."""
    done = erase_in_a_fresh_process(town.home)
    done.check_returncode()
    return done.stdout + done.stderr
