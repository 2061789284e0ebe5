"""Speed of the main job's parts on the home of a finished demo (`make demo DEMO=--no-serve` first)."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

from features.kit.home import Home
from tests.bench.rounds import ratio, speed


def run(home: Home) -> Iterator[dict[str, Any]]:
    """Yields one entry a figure."""
    yield scoring(home)
    yield reading(home)


def scoring(home: Home) -> dict[str, Any]:
    """Compares the one scoring path with LightGBM's bare prediction on the same rows."""
    from features.portraits.reading import Portraits
    from features.portraits.vector import encode
    from serving.scoring.champion import load_champion, scorer_of

    portraits = Portraits.open(home)
    bundle = load_champion(home, "churn", check_in_child=False)
    values = encode(portraits.read(portraits.as_of_dates()[-1]), portraits.feature_list)
    scorer = scorer_of(bundle, portraits)
    inputs = values[:, bundle.positions(portraits.feature_list.features)]
    rounds = ratio(lambda: scorer.rows(values), lambda: bundle.margins(inputs))
    return speed("main-1", "batch scores of the base", rounds, "Booster.predict of the same rows")


def reading(home: Home) -> dict[str, Any]:
    """Compares a read of 100 customers from the online store with a bare SQLite query of as many rows."""
    from features.portraits.reading import Portraits
    from features.store.online.online import OnlinePortraits

    portraits = Portraits.open(home)
    ids = portraits.read(portraits.as_of_dates()[-1], ["customer_id"])["customer_id"].to_pylist()[:100]
    store = OnlinePortraits.open(home)
    with sqlite3.connect(":memory:") as bare:
        bare.execute("CREATE TABLE kept (id TEXT PRIMARY KEY, packed BLOB)")
        bare.executemany("INSERT INTO kept VALUES (?, ?)", [(one, b"x" * 1800) for one in ids])
        query = f"SELECT * FROM kept WHERE id IN ({','.join('?' * len(ids))})"
        rounds = ratio(lambda: store.read(ids), lambda: bare.execute(query, ids).fetchall())
    return speed("main-2", "online read of 100 customers", rounds, "a bare SQLite query in memory")
