"""The same erasure where the operational database is a PostgreSQL server and the online store a Redis server."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from sqlalchemy import make_url

from features.kit.errors import NotReadyError
from features.store.online.online import OnlinePortraits
from features.store.settings import RedisOnline, StoreSettings
from serving.database import session as database_session
from serving.database.audit import first_tampered
from serving.database.session import open_database
from serving.erasure.erase import erase
from tests.features.store.conftest import start_redis
from tests.results import figure, record

from .conftest import (
    CANARIES,
    CUSTOMERS,
    PERSON,
    MarkedTown,
    canary,
    erase_in_a_fresh_process,
    fill_rooms,
    found_in,
    make_town,
)

pytestmark = pytest.mark.xdist_group("postgresql")

IN_THE_DATABASE = {PERSON, *CUSTOMERS, *(canary(k) for k in (38, 43, 44, 45, 46))}
"""What the ledger, the answers and the audit hold of the person."""
IN_THE_STORE = {*CUSTOMERS, canary(42)}
PERSISTENT = ("--appendonly", "yes", "--save", "3600 1", "--rdbcompression", "no")
"""A server that keeps a log and dumps; they are not compressed, so that a text in them can be found."""


@dataclass
class Servers:
    """A town whose ledger and portraits lie on servers.

    Attributes:
        town: The town.
        database: Address of a database of its own.
        redis: A client of a Redis of its own.
        dumps: The folder of that Redis.
    """

    town: MarkedTown
    database: str
    redis: Any
    dumps: Path

    def rows(self) -> set[str]:
        """Returns the canaries in any table of the database, every column as its raw text."""
        import psycopg

        with psycopg.connect(self.database) as connection:
            named = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
            tables = [row[0] for row in connection.execute(named)]
            content = [connection.execute(f'SELECT * FROM "{one}"').fetchall() for one in tables]
        assert len(tables) > 10
        return _named(repr(content).encode())

    def statistics(self) -> set[str]:
        """Returns the canaries among the values that the planner has sampled from the tables."""
        import psycopg

        with psycopg.connect(self.database) as connection:
            query = "SELECT most_common_vals::text, histogram_bounds::text FROM pg_stats WHERE schemaname = 'public'"
            return _named(repr(connection.execute(query).fetchall()).encode())

    def pages(self) -> set[str]:
        """Returns the canaries in any file of the database on the server's disk: free pages and old versions too."""
        import psycopg

        with psycopg.connect(self.database, autocommit=True) as connection:
            connection.execute("CHECKPOINT")
            folder = connection.execute(
                "SELECT current_setting('data_directory') || '/base/' || oid FROM pg_database "
                "WHERE datname = current_database()"
            ).fetchone()[0]
        return _named(b"\0".join(path.read_bytes() for path in Path(folder).iterdir() if path.is_file()))

    def keys(self) -> set[str]:
        """Returns the canaries in any key or value of the Redis."""
        content = []
        for key in self.redis.scan_iter():
            kind = self.redis.type(key)
            content += [key, repr(self.redis.hgetall(key) if kind == b"hash" else self.redis.get(key)).encode()]
        return _named(b"\0".join(content))

    def dumped(self) -> set[str]:
        """Returns the canaries in the log and the dumps that the Redis wrote to its disk."""
        return _named(b"\0".join(path.read_bytes() for path in self.dumps.rglob("*") if path.is_file()))


def _named(content: bytes) -> set[str]:
    return {text for text in CANARIES if text.encode() in content}


@pytest.fixture
def servers(postgresql: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Servers]:
    """Returns the marked town with its ledger on PostgreSQL and its portraits on Redis, both analysed and dumped."""
    import psycopg
    import redis

    if shutil.which("redis-server") is None:
        pytest.skip("install redis-server")
    name = f"erase_{time.monotonic_ns()}"
    with psycopg.connect(postgresql, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    address = make_url(postgresql).set(database=name).render_as_string(hide_password=False)
    dumps = tmp_path / "redis"
    dumps.mkdir()
    server, port = start_redis(dumps, *PERSISTENT)
    client = redis.Redis(host="127.0.0.1", port=port)
    try:
        settings = StoreSettings(online=RedisOnline(kind="redis", port=port, host="127.0.0.1", deadline_ms=5_000))
        path = tmp_path / "feature_store.yaml"
        path.write_text(yaml.safe_dump(settings.model_dump(mode="json")), encoding="utf-8")
        monkeypatch.setenv("INSIGHT_DATABASE_URL", address)
        monkeypatch.setenv("INSIGHT_FEATURE_STORE", str(path))
        root = tmp_path / "town"
        root.mkdir()
        town = make_town(root)
        town.deliver()
        fill_rooms(town.home, settings)
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute("ANALYZE")  # as the server's own housekeeping does sooner or later
        client.save()
        yield Servers(town, address, client, dumps)
    finally:
        client.close()
        server.terminate()
        server.wait(10)


PLACES = ("erase.after_ledger", "erase.before_ledger", "erase.after_store", "erase.after_database")
ROOMS = ("rows", "statistics", "pages", "keys", "dumped")


@pytest.mark.parametrize("killed_at", ["", *(pytest.param(place, marks=pytest.mark.soak) for place in PLACES)])
def test_nothing_of_the_person_is_left_on_either_server(servers: Servers, killed_at: str) -> None:
    """The finder finds the person in rows, statistics, pages, keys and dumps; after the erasure in none of them."""
    home = servers.town.home
    before = {room: getattr(servers, room)() for room in ROOMS}
    assert [IN_THE_DATABASE - before[room] for room in ("rows", "pages")] == [set(), set()]
    assert [IN_THE_STORE - before[room] for room in ("keys", "dumped")] == [set(), set()]
    assert {PERSON, *CUSTOMERS} <= before["statistics"]
    assert not home.operations.exists()
    if killed_at:
        assert erase_in_a_fresh_process(home, INSIGHT_FAILPOINT=f"{killed_at}:1:kill").returncode == -9
    done = erase_in_a_fresh_process(home)
    assert done.returncode == 0, done.stderr
    left = {room: getattr(servers, room)() for room in ROOMS}
    left |= {"home": found_in(home.root), "log": _named((done.stdout + done.stderr).encode())}
    if killed_at:
        record("soak", [figure(
            "deliver-4", f"canaries left on PostgreSQL and Redis, erasure killed at {killed_at} and repeated",
            len(set().union(*left.values())), goal=0, met=not any(left.values()),
            compared_with=f"{len(set().union(*before.values()))} found before, in rows, statistics, pages, keys, dumps",
            rounds=[{room: [len(before[room]), len(left[room])] for room in ROOMS}],
        )])  # fmt: skip
    assert {room: found for room, found in left.items() if found} == {}
    receipt = orjson.loads(done.stdout)
    assert (receipt["is_complete"], receipt["removed"]["store"]["rewritten"] >= 1) == (True, True)
    # Killed between the ledger's commit and its note in the order, the rows are gone and their count is not known.
    counted = None if killed_at == "erase.after_ledger" else 2
    assert (receipt["removed"]["store"]["customers"], receipt["removed"]["ledger"].get("attempts")) == (2, counted)
    engine = open_database(home)
    assert first_tampered(engine) is None
    engine.dispose()
    online = OnlinePortraits.open(home)
    assert [one is None for one in online.read(["C0000", *CUSTOMERS])] == [False, True, True]
    online.close()


def test_a_server_that_may_not_be_asked_is_told_in_the_receipt(servers: Servers) -> None:
    """A managed server refuses to rewrite its files: the keys are gone, and the receipt lacks the word `rewritten`."""
    servers.redis.execute_command("ACL SETUSER default -bgrewriteaof -bgsave")
    receipt, _ = erase(servers.town.home, PERSON, by="privacy desk")
    assert receipt["removed"]["store"] == {"customers": 2}
    assert servers.keys() == set()
    assert servers.dumped() >= IN_THE_STORE


def test_a_table_in_use_is_a_refusal_that_a_repeat_completes(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody reads a table for longer than we wait: one line that says so, no traceback; then the erasure ends."""
    import psycopg

    home = servers.town.home
    monkeypatch.setattr(database_session, "BUSY_SECONDS", 0.2)
    with psycopg.connect(servers.database) as reader:
        reader.execute("SELECT * FROM api_keys").fetchall()
        with pytest.raises(NotReadyError, match="the database cannot be compacted"):
            erase(home, PERSON, by="privacy desk")
    receipt, _ = erase(home, PERSON, by="privacy desk")
    assert (receipt["is_complete"], receipt["runs"]) == (True, 2)
    assert servers.rows() | servers.statistics() | servers.pages() == set()
