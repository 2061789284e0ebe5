"""The feeds of one home, opened once for several targets: one connection, and cohorts that are remembered."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import Any, TypeVar

from features.feeds.landed.reading import Feeds
from features.kit.home import Home
from features.portraits.reading import Portraits
from training.labels.cohort import Cohort, cohort
from training.labels.targets import CohortRules

T = TypeVar("T")


@dataclass
class History:
    """What labels and cohorts are made from."""

    connection: Any  # of DuckDB, with one view per landed feed in its schema `main`
    names: frozenset[str]
    time_zone: str
    snapshot: bool = False  # one delivery at one date: what was delivered is known, and no rule may need a history
    _cohorts: dict[tuple[str, date], Cohort] = field(default_factory=dict)

    def cohort(self, rules: CohortRules, as_of: date) -> Cohort:
        """Returns the cohort of an as-of date; targets with the same rules share it."""
        key = (rules.content_hash(), as_of)
        if key not in self._cohorts:
            self._cohorts[key] = cohort(
                self.connection, self.names, rules, as_of, time_zone=self.time_zone, snapshot=self.snapshot
            )
        return self._cohorts[key]


@dataclass(frozen=True)
class Records:
    """What one home holds for a training, an audit or a monitoring run, opened once for several targets."""

    feeds: Feeds
    history: History
    portraits: Portraits
    _kept: dict[Hashable, Any] = field(default_factory=dict)

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """Returns what does not depend on the target, made by the first target that asks for it under a key."""
        if key not in self._kept:
            self._kept[key] = make()
        kept: T = self._kept[key]
        return kept

    @property
    def home(self) -> Home:
        """Returns the folder of the state."""
        return self.feeds.home


@contextmanager
def open_history(feeds: Feeds, *, threads: int = 1) -> Iterator[History]:
    """Yields what labels and cohorts are made from; no portrait need be built."""
    with feeds.connect(threads=threads) as connection:
        snapshot = feeds.operator.snapshot_on is not None
        yield History(connection, feeds.names, feeds.operator.time_zone, snapshot=snapshot)


@contextmanager
def open_records(home: Home, *, threads: int = 1) -> Iterator[Records]:
    """Yields the records of a home. Raises NotReadyError if nothing has landed or no portrait is built."""
    feeds = Feeds.open(home)
    with open_history(feeds, threads=threads) as history:
        yield Records(feeds, history, Portraits.open(home))
