"""`make bench`: speed as ratios within one run, on the home of a finished demo, with the machine's noise shown.

Each figure is the median over interleaved rounds of `ours / floor`; absolute times mean nothing on a shared machine.
"""

from __future__ import annotations

import sqlite3
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from features.kit.errors import InsightError
from features.kit.files import write_json
from features.kit.home import Home

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


def scoring(home: Home) -> dict[str, Any]:
    """Compares the one scoring path with LightGBM's bare prediction on the same rows."""
    from features.portraits.reading import Portraits
    from features.portraits.vector import encode
    from serving.scoring.batch import load_champion, scorer_of

    portraits = Portraits.open(home)
    bundle = load_champion(home, "churn", check_in_child=False)
    values = encode(portraits.read(portraits.as_of_dates()[-1]), portraits.feature_list)
    scorer = scorer_of(bundle, portraits)
    inputs = values[:, bundle.positions(portraits.feature_list.names)]
    rounds = ratio(lambda: scorer.rows(values), lambda: bundle.margins(inputs))
    return _figure("main-1", "batch scores of the base", rounds, "Booster.predict of the same rows")


def reading(home: Home) -> dict[str, Any]:
    """Compares a read of 100 customers from the online store with a bare SQLite query of as many rows."""
    from features.portraits.reading import Portraits
    from features.store.online import OnlinePortraits

    portraits = Portraits.open(home)
    ids = portraits.read(portraits.as_of_dates()[-1], ["customer_id"])["customer_id"].to_pylist()[:100]
    store = OnlinePortraits.open(home)
    with sqlite3.connect(":memory:") as bare:
        bare.execute("CREATE TABLE kept (id TEXT PRIMARY KEY, packed BLOB)")
        bare.executemany("INSERT INTO kept VALUES (?, ?)", [(one, b"x" * 1800) for one in ids])
        query = f"SELECT * FROM kept WHERE id IN ({','.join('?' * len(ids))})"
        rounds = ratio(lambda: store.read(ids), lambda: bare.execute(query, ids).fetchall())
    return _figure("main-2", "online read of 100 customers", rounds, "a bare SQLite query in memory")


def _figure(identity: str, name: str, rounds: list[float], floor: str) -> dict[str, Any]:
    return {
        "id": identity, "name": name, "value": round(statistics.median(rounds), 2), "goal": None, "met": None,
        "compared_with": floor, "rounds": [round(one, 2) for one in rounds],
    }  # fmt: skip


def main() -> None:
    """Writes `<home>/results/bench.json` and prints one line a figure."""
    home = Home.at()
    try:
        results = [scoring(home), reading(home)]
    except InsightError as error:
        sys.exit(f"error: {error.message}  -> run `make demo DEMO=--no-serve` first")
    write_json(home.results / "bench.json", results)
    for one in results:
        spread = f"{min(one['rounds'])} - {max(one['rounds'])}"
        print(f"{one['id']}  {one['name']}: {one['value']} x {one['compared_with']} (rounds {spread})")


if __name__ == "__main__":
    main()
