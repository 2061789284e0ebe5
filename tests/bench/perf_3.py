"""perf-3: the online store on a real Redis: loaded beside Feast's own wide write, read beside bare MGET.

Feast's wide view holds a field a feature, as a plain `FeatureView` does; ours one vector a customer, in Feast's layout.
Loading goes from Parquet to rows in Redis; a whole publish, with its checks, stands beside. Each round takes all in turn and
counts the CPU seconds of client and server together, which a busy machine does not change.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from features.kit.clock import instant_of
from features.kit.errors import NotReadyError
from features.kit.home import Home
from features.portraits.dimensions.spec import Feature
from features.portraits.feature_list import FeatureList
from features.store.loading import load_feast
from features.store.online.feast_layout import VIEWS
from features.store.online.online import OnlinePortraits, open_store
from features.store.online.rows import OnlineStore
from features.store.publish import blocks, publish
from features.store.registry import open_registry
from features.store.settings import RedisOnline, StoreSettings
from tests.bench.rounds import ROUNDS, cpu_seconds
from tests.results import figure
from tests.running import free_port
from tests.world import write_portraits

DAY = date(2026, 6, 1)
FEATURES, LOADED, LOADED_BY_FEAST, READ, MANY, READS, FACTS_BYTES = 71, 20_000, 1_000, 100, 1_000, 20_000, 1_200
FEASTS_READS = 5
LIST = FeatureList(
    "wide", "wide-1", tuple(Feature(f"f{place}", "profile", description="One.") for place in range(FEATURES))
)


def run(_: Home) -> Iterator[dict[str, Any]]:
    """Yields how many times faster portraits are loaded than by Feast, and what reads cost beside MGET and Feast."""
    with tempfile.TemporaryDirectory() as folder, _server(Path(folder)) as (port, seconds):
        settings = StoreSettings(project="bench", online=RedisOnline(kind="redis", port=port, deadline_ms=5_000))
        home = Home.at(Path(folder) / "home")
        ids = [f"88000000{place:010d}" for place in range(LOADED)]
        values = np.random.default_rng(1).normal(size=(LOADED, FEATURES)).astype(np.float32)
        write_portraits(home, LIST, {DAY: _portraits(ids, values)})
        feast = _Wide(open_registry(home, settings), ids, values)
        store = open_store(home, settings)
        path = next(home.portraits.rglob("portrait.parquet"))
        load, whole = [], []
        for _round in range(ROUNDS):
            theirs = seconds(feast.write) / LOADED_BY_FEAST
            whole.append(theirs / (seconds(lambda: publish(home, DAY, settings=settings)) / LOADED))
            load.append(theirs / (seconds(lambda: _load(store, path)) / LOADED))
        value = round(statistics.median(load), 1)
        yield figure(
            "perf-3", "portraits loaded into Redis, times Feast's wide write", value, goal=40, met=value >= 40,
            compared_with=f"FeatureStore.write_to_online_store of {FEATURES} fields, rows a CPU second; a whole publish, "
            f"the idle view cleared before and counted after, {statistics.median(whole):.1f}",
            rounds=[round(each, 1) for each in load],
        )  # fmt: skip
        store.close()
        yield from _reading(home, settings, port, feast, seconds)


def _load(store: OnlineStore, path: Path) -> None:
    """Writes a partition into a view, as a publish does."""
    for block in blocks(path, LIST, instant_of(DAY)):
        store.fill(VIEWS[0], block)


def _reading(
    home: Home, settings: StoreSettings, port: int, feast: _Wide, seconds: Callable[[Callable[[], Any]], float]
) -> Iterator[dict[str, Any]]:
    import redis

    raw = redis.Redis(port=port)
    raw.mset({f"raw{place}": bytes(4 * FEATURES + FACTS_BYTES) for place in range(MANY)})
    online = OnlinePortraits.open(home, settings)
    for count, goal in ((READ, 3.0), (MANY, None)):
        reads = READS // count
        asked, keys = feast.ids[:count], [f"raw{place}" for place in range(count)]
        rounds, beside = [], []
        for _round in range(ROUNDS):
            floor = seconds(lambda: [raw.mget(keys) for _ in range(reads)])  # noqa: B023 - called at once
            rounds.append(seconds(lambda: [online.read(asked) for _ in range(reads)]) / floor)  # noqa: B023
            beside.append(seconds(feast.read) / FEASTS_READS * reads / floor)
        value = round(statistics.median(rounds), 2)
        theirs = "" if goal is None else f"; Feast's wide read {statistics.median(beside):.0f}"
        yield figure(
            "perf-3", f"online read of {count} customers from Redis", value, goal=goal,
            met=None if goal is None else value <= goal,
            compared_with=f"bare MGET of as many bytes, CPU seconds{theirs}", rounds=[round(each, 2) for each in rounds],
        )  # fmt: skip
    online.close()
    raw.close()


class _Wide:
    """Feast's own way: a view with a field a feature, in the same registry and on the same server."""

    def __init__(self, store: Any, ids: list[str], values: np.ndarray) -> None:
        import pandas as pd

        feast = load_feast()
        from feast.types import Float32, String

        self.ids, self._store = ids, store
        customer = store.get_entity("customer_id")
        fields = [feast.Field(name=name, dtype=Float32) for name in LIST.names]
        source = feast.PushSource(name="pushed", batch_source=store.get_feature_view("portrait").batch_source)
        view = feast.FeatureView(
            name="wide", entities=[customer], schema=[feast.Field(name="customer_id", dtype=String), *fields],
            source=source, online=True,
        )  # fmt: skip
        store.apply([source, view])
        at = instant_of(DAY)
        some = pd.DataFrame(values[:LOADED_BY_FEAST], columns=[*LIST.names])
        self._rows = some.assign(customer_id=ids[:LOADED_BY_FEAST], event_timestamp=at, created_timestamp=at)
        self.write()

    def write(self) -> None:
        """Writes the first customers."""
        self._store.write_to_online_store("wide", self._rows)

    def read(self) -> None:
        """Reads the first hundred, a few times."""
        fields = [f"wide:{name}" for name in LIST.names]
        asked = [{"customer_id": one} for one in self.ids[:READ]]
        for _ in range(FEASTS_READS):
            self._store.get_online_features(features=fields, entity_rows=asked)


def _portraits(ids: list[str], values: np.ndarray) -> pa.Table:
    at = pa.array([instant_of(DAY).astimezone(UTC).replace(tzinfo=None)] * len(ids), pa.timestamp("us"))
    facts = '{"card":{},"reasons":{},"rest":"' + "x" * (FACTS_BYTES - 34) + '"}'
    columns = {"customer_id": ids, "event_timestamp": at, "created_timestamp": at, "built_at": at}
    columns |= {name: values[:, place] for place, name in enumerate(LIST.names)}
    return pa.table(columns | {"facts": [facts] * len(ids)})


@contextmanager
def _server(folder: Path) -> Iterator[tuple[int, Callable[[Callable[[], Any]], float]]]:
    """Yields a Redis of our own as its port, and what tells the CPU seconds of this process and of it for some work."""
    if shutil.which("redis-server") is None:
        raise NotReadyError("no redis-server on this machine", remedy="install redis-server")
    port = free_port()
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)

    def seconds(work: Callable[[], Any]) -> float:
        began = time.process_time() + cpu_seconds(server.pid)
        work()
        return time.process_time() + cpu_seconds(server.pid) - began

    try:
        time.sleep(0.5)
        yield port, seconds
    finally:
        server.terminate()
        server.wait(10)
