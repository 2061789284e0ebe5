"""The door to the live portraits: starts without Feast, answers in time or says that it cannot."""

import contextlib
import os
import signal
import socket
import socketserver
import sqlite3
import subprocess
import sys
import threading
import time
from dataclasses import replace
from datetime import date

import pytest

from features.kit.errors import ConfigurationError, NotReadyError, StateError
from features.kit.home import Home
from features.store.online import deadline
from features.store.online.online import OnlinePortraits, connect
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


class SlowProxy(socketserver.ThreadingTCPServer):
    """A real connection to a server whose answers come a few bytes at a time, each part well within any deadline."""

    daemon_threads = True
    allow_reuse_address = True
    pause = 0.0

    def __init__(self, port):
        super().__init__(("127.0.0.1", 0), self.pass_on)
        self.to = port
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def pass_on(self, client, _, server):
        with socket.create_connection(("127.0.0.1", self.to)) as there:

            def upwards():
                while asked := client.recv(65536):
                    there.sendall(asked)

            threading.Thread(target=upwards, daemon=True).start()
            with contextlib.suppress(OSError):
                while told := there.recv(65536):
                    for start in range(0, len(told), 40):
                        time.sleep(self.pause)
                        client.sendall(told[start : start + 40])


@pytest.fixture
def slow(home, redis_port):
    """A published project on the shared Redis behind a proxy, its door, and the proxy."""
    project = f"slow_{time.monotonic_ns()}"
    publish(home, DAY, settings=StoreSettings(project=project, online=RedisOnline(kind="redis", port=redis_port)))
    with SlowProxy(redis_port) as proxy:
        online = RedisOnline(kind="redis", port=proxy.server_address[1], deadline_ms=400)
        door = OnlinePortraits(home, connect(home, StoreSettings(project=project, online=online)))
        yield door, proxy
        door.close()
        proxy.shutdown()


def test_a_trickling_redis_costs_one_deadline(slow):
    """Parts that come every 150 ms end with the read's 400 ms, not with its last part; afterwards it reads again."""
    door, proxy = slow
    proxy.pause = 0.15  # a portrait of some 500 bytes would take about two seconds
    started = time.monotonic()
    with pytest.raises(NotReadyError, match="no answer in time"):
        door.read(["c1"] * 50)
    assert time.monotonic() - started < 2
    proxy.pause = 0.0
    assert door.read(["c1"])[0].as_of == DAY


def test_without_the_deadline_of_a_read_every_part_has_its_own(slow, monkeypatch):
    """Canary: with the socket's own timeout alone the same read goes on for as long as parts come."""
    door, proxy = slow
    monkeypatch.setattr("features.store.online.deadline.seconds_left", lambda: 10.0)
    proxy.pause = 0.15
    assert door.read(["c1"])[0].as_of == DAY


def test_the_reads_of_a_request_share_one_deadline():
    """What the first read took, the second lacks; without a request each has the whole."""
    with deadline.one_deadline():
        with deadline.within(0.05):
            time.sleep(0.06)
        with deadline.within(0.05), pytest.raises(TimeoutError):
            deadline.seconds_left()
    for _ in range(2):
        with deadline.within(0.05):
            assert deadline.seconds_left() > 0
            time.sleep(0.03)


GARBLED = [b"", b"nothing", b"[]", b"null", b"{}", b"3", b'{"view": "portrait_a"}', b"\xff\x00"]


@pytest.mark.parametrize("how", range(len(GARBLED)))
def test_a_garbled_pointer_is_damage_and_publishing_mends_it(home, redis_port, how):
    """Whatever stands in the pointer's place: one line with its remedy, and the remedy works."""
    project = f"garbled_{time.monotonic_ns()}"
    settings = StoreSettings(project=project, online=RedisOnline(kind="redis", port=redis_port, deadline_ms=5_000))
    publish(home, DAY, settings=settings)
    import redis

    with redis.Redis(port=redis_port) as client:
        client.set(f"{project}:portrait_pointer", GARBLED[how] or b" ")
    door = OnlinePortraits.open(home, settings)
    with pytest.raises(StateError, match=r"garbled.*insight publish"):
        door.read(["c1"])
    publish(home, DAY, settings=settings)
    assert door.read(["c1"])[0].as_of == DAY
    door.close()


@pytest.mark.parametrize(
    "values", ["view = 'portrait_c'", "as_of = 'June'", "event_at = ''", "rows = 'many'", "sequence = 0.5"]
)
def test_a_garbled_pointer_of_the_embedded_store(home, settings, values):
    """The same where the pointer is a row of SQLite."""
    publish(home, DAY, settings=settings)
    with contextlib.closing(sqlite3.connect(home.store / "online.db")) as database, database:
        database.execute(f"UPDATE portrait_pointer SET {values}")
    with pytest.raises(StateError, match="garbled"):
        OnlinePortraits.open(home, settings).read(["c1"])


def test_a_lost_row_is_no_unknown_customer(home, any_store):
    """Rows that were published and are gone or garbled are named; a stranger is not, nor anybody of a new partition."""
    publish(home, DAY, settings=any_store)
    door = OnlinePortraits.open(home, any_store)
    assert door.read_batch(["c1", "stranger"]).lost == set()
    door.check_sample()
    store = door._store
    live = door.pointer()
    stored = store.read_view(live.view, ["c1"])[0]
    store.forget(["c2"])
    store.switch(live)  # as if nobody had been erased
    batch = door.read_batch(["c1", "c2", "stranger"])
    assert ([one and one.customer_id for one in batch.portraits], batch.lost) == (["c1", None, None], {"c2"})
    with pytest.raises(StateError, match="lost portraits of 2026-03-09"):
        door.check_sample()
    assert set(door.facts_of(live, ["c2", "stranger"])) == {"c2"}
    assert stored is not None
    store.switch(replace(live, rows=live.rows - 1))  # what the home holds was not what was published
    assert door.read_batch(["c2"]).lost == set()
    door.close()


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


def test_a_publish_between_two_steps_of_a_reader_changes_no_feature_list(home, settings, monkeypatch):
    """A thread that reads one batch gets its list, though another thread has asked for the next one's meanwhile."""

    class Overtaken(OnlinePortraits):
        """A door at which another thread always comes between the keeping of a list and its use."""

        @property
        def _list(self):
            return self.__dict__.get("kept")

        @_list.setter
        def _list(self, value):
            self.__dict__["kept"] = value and ("the next pointer", "the next list")

    publish(home, DAY, settings=settings)
    online = Overtaken.open(home, settings)
    pointer = online.pointer()
    monkeypatch.setattr("features.portraits.feature_list.FeatureList.load_identity", lambda _, identity: identity)
    assert online.feature_list_of(pointer) == pointer.identity
    online.close()
