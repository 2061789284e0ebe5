"""A small history for labels and cohorts: tables in, one DuckDB connection with every feed's columns out."""

from collections.abc import Callable, Iterator
from typing import Any

import duckdb
import numpy as np
import pytest

from features.feeds.contracts import FEEDS
from training.evaluation.evaluate import Judged
from training.labels.history import History

ZONE = "Asia/Shanghai"
COMMON = {"event_id": "VARCHAR", "customer_id": "VARCHAR", "event_at": "TIMESTAMP", "known_at": "TIMESTAMP",
          "superseded_at": "TIMESTAMP"}  # fmt: skip

World = Callable[..., History]
Rows = Callable[..., Judged]


@pytest.fixture(scope="session")
def judged() -> Rows:
    """Returns a function that draws well calibrated judged rows of one base: a better model sees more of the truth.

    `sees` is the share of the truth that the model knows, `seed` its own noise; customers, dates, labels and slices are
    the same in every draw.
    """

    def draw(sees: float = 0.8, *, seed: int = 1, customers: int = 4_000, dates: int = 3) -> Judged:
        base = np.random.default_rng(0)
        count = customers * dates
        known, hidden = base.normal(size=count), base.normal(size=count)
        labels = (base.random(count) < _logistic(-3.4 + 1.5 * (known + hidden))).astype(np.int8)
        noise = np.random.default_rng(seed).normal(size=count)
        signal = sees * (known + hidden) + np.sqrt(1 - sees**2) * noise * np.sqrt(2)
        # P(event | signal), so that the promises are right: the mean over what the model does not see.
        rest = np.sqrt(2 * (1 - sees**2)) * 1.5 * np.linspace(-3, 3, 61)
        mass = np.exp(-(np.linspace(-3, 3, 61) ** 2) / 2)
        promised = (_logistic(-3.4 + 1.5 * sees * signal[:, None] + rest) * mass).sum(axis=1) / mass.sum()
        return Judged(
            customers=np.array([f"c{number % customers:05d}" for number in range(count)]),
            labels=labels,
            kinds=np.where(labels == 1, "event", ""),
            scores=signal,
            propensities=promised,
            classes=np.where(base.random(count) < 0.5, "loud", "quiet"),
            as_of=np.datetime64("2026-03-01", "D") + 17 * (np.arange(count) // customers),
            slices={"vip_tier": np.where(base.random(count) < 0.3, "gold", "none")},
        )

    return draw


def _logistic(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values))


@pytest.fixture
def world() -> Iterator[World]:
    """Returns a function from `feed=[{column: value}, ...]` to a history; an absent column is NULL."""
    opened: list[duckdb.DuckDBPyConnection] = []

    def build(*, snapshot: bool = False, **feeds: list[dict[str, Any]]) -> History:
        connection = duckdb.connect()
        connection.execute("SET TimeZone = 'UTC'; SET threads = 1")
        opened.append(connection)
        for name, rows in feeds.items():
            columns = COMMON | {column.name: column.sql_type for column in FEEDS[name].columns}
            definition = ", ".join(f"{column} {kind}" for column, kind in columns.items())
            connection.execute(f"CREATE TABLE {name} ({definition})")
            for number, row in enumerate(rows):
                full = {"event_id": str(number), "known_at": row.get("event_at", "2020-01-01")} | row
                marks = ", ".join("?" for _ in full)
                connection.execute(f"INSERT INTO {name} ({', '.join(full)}) VALUES ({marks})", list(full.values()))
        return History(connection, frozenset(feeds), ZONE, snapshot=snapshot)

    yield build
    for connection in opened:
        connection.close()
