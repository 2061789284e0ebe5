"""Where a score stands in the base: percentile and band from one rank table per model version and as-of date.

The batch of a model version and as-of date writes the table: 1,001 knots, knot k being the smallest raw score that at
least k/1000 of the base do not exceed. The API reads the same table, or answers null when there is none.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from features.kit.arrays import Floats, Integers
from features.kit.errors import DataError
from features.kit.files import read_json, write_json
from features.kit.home import Home
from serving.scoring.settings import NORMAL

STEPS = 1000
"""The table's resolution: a tenth of a percent."""

FILE = "ranks.json"


@dataclass(frozen=True)
class RankTable:
    """The spread of one model version's raw scores over the base of one as-of date."""

    target: str  # what was predicted
    version: str
    as_of: date
    rows: int  # how many customers had a score
    knots: Floats  # raw scores, ascending, float64 [1001]

    @classmethod
    def of(cls, target: str, version: str, as_of: date, margins: Floats) -> RankTable:
        """Returns the table of a base's raw scores, float64 [n], n >= 1."""
        ordered = np.sort(margins)
        counts = -(-np.arange(STEPS + 1, dtype=np.int64) * len(ordered) // STEPS)  # least count that is k/1000 of n
        return cls(target, version, as_of, len(ordered), ordered[np.maximum(counts - 1, 0)])

    @classmethod
    def load(cls, folder: Path) -> RankTable | None:
        """Returns the table in a folder of scores, or None if there is none. Raises DataError if it is damaged."""
        path = folder / FILE
        if not path.exists():
            return None
        content = read_json(path)
        try:
            knots = np.array(content["knots"], dtype=np.float64)
            table = cls(
                content["target"], content["version"], date.fromisoformat(content["as_of"]), content["rows"], knots
            )
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{path}: not a rank table ({error})", remedy="run `insight score` again") from None
        if knots.shape != (STEPS + 1,) or not np.isfinite(knots).all() or (np.diff(knots) < 0).any():
            raise DataError(f"{path}: its knots do not ascend", remedy="run `insight score` again")
        return table

    def save(self, folder: Path) -> None:
        """Writes the table whole or not at all."""
        content = {"target": self.target, "version": self.version, "as_of": self.as_of.isoformat(), "rows": self.rows}
        write_json(folder / FILE, content | {"knots": self.knots})

    def places(self, margins: Floats) -> Integers:
        """Returns the tenths of a percent of the base that surely score lower, int64 [n], 0..999.

        Equal raw scores share the lowest of their places: nobody is in the top 1 % because of a tie.
        """
        below = np.searchsorted(self.knots, margins, side="left") - 1
        return np.clip(below, 0, STEPS - 1).astype(np.int64)


class Bands:
    """Rank groups by top share."""

    def __init__(self, shares: Mapping[str, float]) -> None:
        highest_last = sorted(shares.items(), key=lambda item: -item[1])
        self.names: tuple[str, ...] = (NORMAL, *(name for name, _ in highest_last))
        self._from = np.array([STEPS - round(share * STEPS) for _, share in highest_last], dtype=np.int64)

    def indices(self, places: Integers) -> Integers:
        """Returns the position in `names` of each place, int64 [n]. Example: place 990 is in the top 1 %."""
        return np.searchsorted(self._from, places, side="right").astype(np.int64)


def percentile_of(place: int) -> float:
    """Returns a place as percent. Example: 985 of 1000 is 98.5: in the top 1.5 %."""
    return place / (STEPS / 100)


def scores_folder(home: Home, target: str, version: str, as_of: date) -> Path:
    """Returns where the scores of one model version and as-of date lie."""
    return home.scores / target / version / f"as_of={as_of.isoformat()}"


class RankTables:
    """The rank tables of a home as a running process reads them; a rewritten table is read again."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._lock = threading.Lock()
        self._tables: dict[tuple[str, str, date], tuple[str, int, RankTable | None]] = {}

    def get(self, target: str, version: str, as_of: date) -> RankTable | None:
        """Returns the table, or None if no batch of this model version and as-of date has been written."""
        key = (target, version, as_of)
        known = self._tables.get(key)
        path = str(scores_folder(self._home, *key) / FILE) if known is None else known[0]
        try:
            written = os.stat(path).st_mtime_ns  # noqa: PTH116 - asked by every request
        except FileNotFoundError:
            return None
        if known is None or known[1] != written:
            with self._lock:
                known = self._tables[key] = (path, written, RankTable.load(scores_folder(self._home, *key)))
        return known[2]
