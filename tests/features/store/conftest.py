"""A small home of portraits in the contract's layout, written by hand, and a real Redis where one is installed."""

import json
import multiprocessing
import multiprocessing.forkserver
import shutil
import socket
import subprocess
import time
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from features.kit.clock import instant_of
from features.kit.home import Home
from features.portraits.dimensions.spec import Feature
from features.portraits.feature_list import FeatureList
from features.store.settings import RedisOnline, SqliteOnline, StoreSettings
from tests.running import free_port
from tests.world import write_portraits

FEATURES = FeatureList(
    "portrait_v1",
    "portrait_v1-0badcafe",
    (
        Feature("tenure_days", "profile", description="Days with us."),
        Feature("plan_kind", "contract", "category", ("basic", "gold"), "Kind of plan."),
        *(Feature(f"signal_{place}_30d", "network", description=f"Signal {place}.") for place in range(6)),
    ),
)
SQLITE = StoreSettings(project="test_insight", online=SqliteOnline(deadline_ms=5_000))


def portrait_rows(as_of, ids, *, seed=0, built_at=datetime(2026, 11, 1, tzinfo=UTC), created_at=None):
    """Portraits of `ids` as of a date: seeded random figures, a fifth of them missing."""
    rng = np.random.default_rng([seed, as_of.toordinal()])
    at = instant_of(as_of).replace(tzinfo=None)
    columns = {
        "customer_id": pa.array(ids, pa.string()),
        "as_of_date": pa.array([as_of] * len(ids), pa.date32()),
        "event_timestamp": pa.array([at] * len(ids), pa.timestamp("us")),
        "created_timestamp": pa.array([created_at or at] * len(ids), pa.timestamp("us")),
        "built_at": pa.array([built_at.replace(tzinfo=None)] * len(ids), pa.timestamp("us")),
    }
    for one in FEATURES.features:
        gone = rng.random(len(ids)) < 0.2
        if one.kind == "category":
            values = rng.choice([*one.categories, "unheard_of"], len(ids))
            columns[one.name] = pa.array(values, pa.string(), mask=gone)
        else:
            columns[one.name] = pa.array(rng.normal(0, 1e3, len(ids)).astype(np.float32), mask=gone)
    columns["primary_class"] = pa.array(["quiet"] * len(ids))
    columns["also_classes"] = pa.array([""] * len(ids))
    columns["facts"] = pa.array(
        [json.dumps({"as_of": str(as_of), "card": {"plan_zh": "畅享套餐"}, "id": one}, sort_keys=True) for one in ids]
    )
    return pa.table(columns)


@pytest.fixture
def home(tmp_path):
    """A home with three customers on two days in a row."""
    place = Home.at(tmp_path / "home")
    days = [date(2026, 3, 8), date(2026, 3, 9)]
    write_portraits(place, FEATURES, {day: portrait_rows(day, ["c1", "c2", "c10"]) for day in days})
    return place


@pytest.fixture
def settings():
    """The embedded store, patient enough for a busy machine."""
    return SQLITE


def start_redis(folder, *options):
    """A real Redis of our own and its port."""
    port = free_port()
    server = subprocess.Popen(
        ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder), *options],
        stdout=subprocess.DEVNULL,
    )
    ends = time.monotonic() + 20
    while time.monotonic() < ends:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return server, port
    server.kill()
    pytest.fail("redis-server did not start")


@pytest.fixture(scope="session")
def redis_port(tmp_path_factory):
    """The port of a Redis that lives as long as the tests."""
    if shutil.which("redis-server") is None:
        pytest.skip("install redis-server")
    server, port = start_redis(tmp_path_factory.mktemp("redis"))
    yield port
    server.terminate()
    server.wait(10)


@pytest.fixture(params=["sqlite", "redis"])
def any_store(request):
    """Settings of each kind of online store in turn; a fresh project on the shared Redis."""
    if request.param == "sqlite":
        return SQLITE
    port = request.getfixturevalue("redis_port")
    project = f"test_{time.monotonic_ns()}"
    return StoreSettings(project=project, online=RedisOnline(kind="redis", port=port, deadline_ms=5_000))


@pytest.fixture(scope="session")
def fresh_processes():
    """Starts processes that share nothing with this one and have Feast loaded already (it takes seconds)."""
    folder = str(Path(__file__).parent)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.setenv("PYTHONPATH", folder)  # the server's own preload does not see our sys.path on Python 3.11
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["store_children"])
        multiprocessing.forkserver.ensure_running()
        yield context


@pytest.fixture
def portraits():
    """The makers of portraits: `rows`, `write`, and the feature list."""

    class Makers:
        rows = staticmethod(portrait_rows)

        @staticmethod
        def write(home, tables):
            """Writes `{as_of: table}` as a home's portraits."""
            write_portraits(home, FEATURES, tables)

        features = FEATURES
        redis = staticmethod(start_redis)

    return Makers
