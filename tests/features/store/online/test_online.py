"""The door to the live portraits: starts without Feast, answers in time or says that it cannot."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from datetime import date

import pytest

from features.kit.errors import ConfigurationError, NotReadyError
from features.kit.home import Home
from features.store.online.online import OnlinePortraits
from features.store.publish import publish
from features.store.settings import RedisOnline, SqliteOnline, StoreSettings

DAY = date(2026, 3, 9)


def test_reading_never_loads_feast(home, any_store, tmp_path):
    """A fresh process reads a portrait and its feature list with no Feast, pandas or DuckDB in `sys.modules`."""
    publish(home, DAY, settings=any_store)
    named = tmp_path / "feature_store.yaml"
    named.write_text(any_store.model_dump_json())
    script = (
        "import sys; from features.kit.home import Home; from features.store.online.online import OnlinePortraits;"
        f"online = OnlinePortraits.open(Home.at({str(home.root)!r})); portrait = online.read(['c1'])[0];"
        "assert portrait.values.shape == (len(online.feature_list.features),);"
        "print(sorted({'feast', 'pandas', 'duckdb', 'mlflow'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env=os.environ | {"INSIGHT_FEATURE_STORE": str(named)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "[]"


def test_before_the_first_publish(home, any_store):
    """Before the first publish the door says so, with the remedy."""
    online = OnlinePortraits.open(home, any_store)
    with pytest.raises(NotReadyError, match="run `insight publish`"):
        online.read(["c1"])
    online.close()


def test_order_repeats_and_strange_ids(home, any_store):
    """Answers stand in the order asked, repeats included; strange ids are unknown, not errors."""
    publish(home, DAY, settings=any_store)
    online = OnlinePortraits.open(home, any_store)
    ids = ["c10", "", "c1", "客户", "c1", "c1\x00", "' OR 1=1 --", "x" * 10_000]
    assert [one and one.customer_id for one in online.read(ids)] == ["c10", None, "c1", None, "c1", None, None, None]
    assert online.read([]) == []
    assert online.read(["c1"])[0].missing >= 0
    online.close()


def test_a_half_row_is_not_served(home, settings):
    """A customer with one of the three fields missing is unknown rather than half known."""
    publish(home, DAY, settings=settings)
    with sqlite3.connect(home.store / "online.db") as database:
        database.execute("DELETE FROM test_insight_portrait_a WHERE feature_name = 'facts'")
    database.close()
    assert OnlinePortraits.open(home, settings).read(["c1", "c2"]) == [None, None]


def test_a_broken_database_is_named(home, settings):
    """A file that is no database gives one line that names it."""
    home.store.mkdir(parents=True)
    (home.store / "online.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(NotReadyError, match=r"online\.db"):
        OnlinePortraits.open(home, settings).pointer()


def test_a_long_sqlite_read_is_cut(home, settings):
    """A read past its deadline is interrupted; the next one works."""
    publish(home, DAY, settings=settings)
    hasty = StoreSettings(project=settings.project, online=SqliteOnline(deadline_ms=1))
    online = OnlinePortraits.open(home, hasty)
    with pytest.raises(NotReadyError, match="no answer within 1 ms"):
        online.read([f"c{place}" for place in range(200_000)])
    patient = OnlinePortraits.open(home, settings)
    assert patient.read(["c1"])[0].as_of == DAY
    patient.close()


def test_a_stalled_redis_is_given_up(tmp_path, home, portraits):
    """A server that hangs costs one deadline and one line; when it is back, so are the portraits."""
    if not _has_redis():
        pytest.skip("install redis-server")
    server, port = portraits.redis(tmp_path)
    try:
        hasty = StoreSettings(online=RedisOnline(kind="redis", port=port, deadline_ms=300))
        patient = StoreSettings(online=RedisOnline(kind="redis", port=port, deadline_ms=5_000))
        publish(home, DAY, settings=patient)
        online = OnlinePortraits.open(home, hasty)
        assert online.read(["c1"])[0].as_of == DAY
        server.send_signal(signal.SIGSTOP)
        started = time.monotonic()
        with pytest.raises(NotReadyError, match=f"redis localhost:{port}: no answer in time"):
            online.read(["c1"])
        assert time.monotonic() - started < 5
        server.send_signal(signal.SIGCONT)
        time.sleep(0.2)
        assert online.read(["c1"])[0].as_of == DAY
        online.close()
    finally:
        server.send_signal(signal.SIGCONT)
        server.kill()
        server.wait(10)
    with pytest.raises(NotReadyError, match="no answer in time"):
        OnlinePortraits.open(home, hasty)


def test_a_forgetful_or_locked_redis_is_refused(tmp_path, home, portraits, monkeypatch):
    """Eviction, a wrong password and an unset password variable are each refused with their remedy."""
    if not _has_redis():
        pytest.skip("install redis-server")
    server, port = portraits.redis(tmp_path, "--maxmemory-policy", "allkeys-lru", "--requirepass", "pass word")
    monkeypatch.setenv("STORE_PASSWORD", "pass word")
    try:
        for variable, message in (
            ("STORE_PASSWORD", "allkeys-lru.*noeviction"),
            (None, "Authentication required"),
            ("UNSET_PASSWORD", "'UNSET_PASSWORD', which is not set"),
        ):
            online = RedisOnline(kind="redis", port=port, deadline_ms=5_000, password_variable=variable)
            with pytest.raises(ConfigurationError, match=message):
                OnlinePortraits.open(home, StoreSettings(online=online))
    finally:
        server.kill()
        server.wait(10)


def test_a_full_redis_keeps_the_old_view(tmp_path, portraits):
    """A server without memory refuses the new rows by name, and the old view stays live."""
    if not _has_redis():
        pytest.skip("install redis-server")
    home = Home.at(tmp_path / "full")
    tables = {day: portraits.rows(day, [f"c{place:05d}" for place in range(3_000)]) for day in (date(2026, 3, 8), DAY)}
    portraits.write(home, tables)
    import redis

    server, port = portraits.redis(tmp_path)
    try:
        settings = StoreSettings(online=RedisOnline(kind="redis", port=port, deadline_ms=5_000))
        publish(home, date(2026, 3, 8), settings=settings)
        with redis.Redis(port=port) as client:
            client.config_set("maxmemory", client.info("memory")["used_memory"] + 300_000)
        with pytest.raises(NotReadyError, match="maxmemory"):
            publish(home, DAY, settings=settings)
        online = OnlinePortraits.open(home, settings)
        assert online.read(["c00000"])[0].as_of == date(2026, 3, 8)
        online.close()
    finally:
        server.kill()
        server.wait(10)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("online: {kind: sqlite, deadline: 3}", "online.sqlite.deadline.*did you mean 'deadline_ms'"),
        ("onlin: {kind: sqlite}", "unknown key 'onlin'"),
        ("online: {kind: rediss}", "online.*rediss"),
        ("project: Bad-Name", "'project'"),
    ],
)
def test_a_misspelt_setting_is_named(tmp_path, monkeypatch, text, message):
    """A misspelt key of the configuration is named with the nearest known one."""
    path = tmp_path / "store.yaml"
    path.write_text(text)
    monkeypatch.setenv("INSIGHT_FEATURE_STORE", str(path))
    with pytest.raises(ConfigurationError, match=message):
        StoreSettings.load()


def _has_redis():
    import shutil

    return shutil.which("redis-server") is not None


def test_twelve_thousand_in_one_read(home, any_store):
    """A read far larger than one exchange with the store keeps its order and loses nobody."""
    publish(home, DAY, settings=any_store)
    online = OnlinePortraits.open(home, any_store)
    ids = [("c1", "c2", "nobody")[place % 3] for place in range(12_000)]
    assert [one.customer_id if one else "nobody" for one in online.read(ids)] == ids
    online.close()
