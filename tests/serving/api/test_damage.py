"""Damaged state on every path: a command ends in one line that names the file, the API in 503, readiness sees it."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import duckdb
import pyarrow as pa
import pytest
from fastapi.testclient import TestClient
from sqlalchemy.exc import OperationalError

from features.kit.cli import main
from features.kit.errors import StateError, of_state
from features.kit.runs import exclusive_run
from serving.api.app import create_app
from serving.api.customer.portrait import live_portrait
from serving.database import session
from serving.outreach.lists.draw import draw_list
from serving.outreach.lists.request import ListRequest
from tests.damage import COMMANDS, DAMAGES, PLACES, WHOLE, end_of, place_in
from tests.serving.api.conftest import copy_of
from tests.world import AS_OF

pytestmark = pytest.mark.xdist_group("api")


@pytest.fixture
def copied(world, tmp_path):
    """Returns a copy of the world's home that may be damaged."""
    return copy_of(world.home, tmp_path / "home")


@pytest.fixture(scope="module")
def damageable(world, tmp_path_factory):
    """Returns a folder with all that the commands read: a home with a list and a run table, files, configurations."""
    folder = tmp_path_factory.mktemp("damageable") / "world"
    folder.mkdir()
    home = copy_of(world.home, folder / "home")
    shutil.copytree(world.home.root.parent / "sim", folder / "sim")
    shutil.copytree("configs", folder / "configs")
    with exclusive_run(home, "a list"):
        drawn = draw_list(home, ListRequest(AS_OF, 30))
    shutil.copy(drawn.xlsx, folder / "L.xlsx")
    return folder


MUST = [
    ("ingest", "tickets", "gone"), ("fit", "tickets", "cut"), ("score", "portraits", "cut"), ("keys", "ledger", "garbage"),
    ("publish", "current portraits", "other"), ("runs", "runs", "forbidden"), ("publish", "", "full disk"),
]  # fmt: skip
"""What once ended in a traceback, or in `unchanged` although a landed file was lost."""
QUICK = ("classes", "fit one", "lists", "held", "keys", "key", "home", "move", "runs", "import", "publish")
ALL = [(command, place, damage) for command in COMMANDS for place in PLACES for damage in DAMAGES]
SOME = random.Random(12).sample([case for case in ALL if case[0] in QUICK], 4)


@pytest.mark.parametrize(("command", "place", "damage"), MUST)
def test_a_command_names_what_is_damaged(damageable, command, place, damage):
    """Exit code 2 and a line that names the file, with a remedy; no traceback, and nothing is `unchanged`."""
    ended = end_of(damageable, command, place, damage)
    path = place_in(damageable, place) if place else damageable / "home"
    names = (path.name, path.parent.name, path.parent.parent.name)
    assert (ended.code, ended.is_raw, any(name in ended.error for name in names)) == (2, False, True), ended
    assert "  -> " in ended.error
    assert sum(line.startswith("error: ") for line in ended.lines) == 1


def raw_of(folder, cases):
    """Returns the cases that end in a traceback, each with what came out."""
    ends = {case: end_of(folder, *case) for case in cases}
    return {case: "\n".join(ended.lines)[-2000:] for case, ended in ends.items() if ended.is_raw}


def test_a_sample_of_all_damage_has_no_traceback(damageable):
    """Some of the 8,820 cases of the matrix; `make soak` goes through it."""
    assert raw_of(damageable, SOME) == {}


@pytest.mark.soak
@pytest.mark.parametrize("command", COMMANDS)
def test_no_damage_has_a_traceback(damageable, command):
    """Every command with every place, the damages in turn, and with the whole home full or read-only."""
    turn = itertools.cycle(DAMAGES)
    cases = [(command, place, next(turn)) for place in PLACES] + [(command, "", damage) for damage in WHOLE]
    assert raw_of(damageable, cases) == {}


def test_without_the_one_place_damage_is_a_traceback(damageable, monkeypatch):
    """Canary: where no error counts as damage, a garbled run table ends in a traceback, and the check says so."""
    monkeypatch.setattr("features.kit.cli.of_state", lambda error: None)
    assert end_of(damageable, "runs", "runs", "garbage").is_raw


def test_debug_shows_the_traceback(copied, monkeypatch, capsys):
    """Canary: with --debug the same failure is raised as it is."""
    DAMAGES["garbage"](copied.runs)
    monkeypatch.setattr(sys, "argv", ["insight", "--debug", "score", "--home", str(copied.root)])
    monkeypatch.delenv("INSIGHT_DEBUG", raising=False)
    with pytest.raises(sqlite3.DatabaseError):
        main()
    os.environ.pop("INSIGHT_DEBUG", None)
    capsys.readouterr()


def test_readiness_sees_a_damaged_feed(copied):
    """`/readyz` is ready before and 503 after."""
    for damage, status in ((None, 200), (DAMAGES["cut"], 503)):
        if damage is not None:
            damage(place_in(copied.root.parent, "tickets"))
        with TestClient(create_app(copied, check_in_child=False)) as client:
            assert client.get("/readyz").status_code == status


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(28, "No space left on device", "/h/x.parquet"), "/h/x.parquet: the disk is full"),
        (OSError(30, "Read-only file system", "/h/x"), "/h/x: the disk may not be written"),
        (PermissionError(13, "Permission denied", "/h/x"), "/h/x: no permission"),
        (FileNotFoundError(2, "No such file or directory", "/h/x"), "/h/x: No such file or directory"),
        (duckdb.IOException('IO Error: No files found that match the pattern "/h/a.parquet"'), "/h/a.parquet: IO Error"),
        (pa.ArrowInvalid("Parquet magic bytes not found in footer of /h/b.parquet."), "/h/b.parquet: Parquet magic"),
        (OperationalError("SELECT 13800001234", {"n": 13800001234}, sqlite3.OperationalError("disk I/O error")), "disk I/O"),
        (MemoryError(), "not enough memory"),
        (sqlite3.OperationalError("database or disk is full"), "sqlite3: the disk is full (free some space"),
        (duckdb.IOException('IO Error: Could not write file "/h/x": No space left on device'), "/h/x: the disk is full"),
        (sqlite3.OperationalError("attempt to write a readonly database"), "the disk may not be written"),
        (OSError(27, "File too large", "/h/x"), "/h/x: a file may not become as large (raise `ulimit -f`)"),
    ],
)  # fmt: skip
def test_each_kind_of_failure_is_one_line(error, told):
    """It names the file and what is wrong; the values of a statement are never in it."""
    line = str(of_state(error))
    assert told in line
    assert "13800001234" not in line
    assert "\n" not in line


def test_a_bug_is_no_damage():
    """A programming error keeps its traceback: nobody takes it for a broken disk."""
    assert [of_state(error) for error in (KeyError("x"), ValueError("x"), ZeroDivisionError())] == [None] * 3


HOLD = """
import sqlite3, sys
held = sqlite3.connect(sys.argv[1], isolation_level=None)
held.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def held_lock(home):
    """Holds the ledger's write lock in a process of its own."""
    command = [sys.executable, "-c", HOLD, str(home.operations)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        yield
        process.stdin.close()


def contact_of(world, number):
    """Returns a request that writes to the ledger: its path, body and headers."""
    at = "2026-06-01T02:00:00Z"
    body = {"contact_id": f"held-{number}", "customer_id": world.ids[0], "at": at, "action": "service_review"}
    return {"contacts": [body]}, {"Idempotency-Key": f"held-{number}"}


def test_a_held_lock_stops_no_reader(fresh, monkeypatch):
    """Writers are 503 with Retry-After after a short wait, many of them at once; every reader is answered meanwhile."""
    world, client, headers = fresh
    monkeypatch.setattr(session, "REQUEST_SECONDS", 0.5)  # of engines made from now on
    monkeypatch.setattr(session, "MOST_WAITING", 3)
    monkeypatch.setattr(session, "STUCK_SECONDS", 0.0)
    refused = []

    def write(number):
        body, more = contact_of(world, number)
        answer = client.post("/v1/contacts", json=body, headers=headers | more)
        refused.append((answer.status_code, answer.headers.get("retry-after")))

    with held_lock(world.home), ThreadPoolExecutor(12) as pool:
        writers = [pool.submit(write, number) for number in range(12)]
        while not refused:  # more than can wait have come: at once refused
            assert not all(writer.done() for writer in writers)
        body = {"targets": ["churn"], "ids": world.ids[:2], "purpose": "marketing", "channel": "call"}
        read = [client.post("/v1/scores", json=body, headers=headers).status_code for _ in range(3)]
        read += [
            client.get(path, headers=headers).status_code for path in ("/v1/outreach/lists", "/v1/models", "/readyz")
        ]
        assert len(session._writing_since) <= 3
    assert read == [200] * 6
    assert refused == [(503, "2")] * 12
    write(99)
    assert refused[-1][0] == 200


def test_without_the_short_wait_a_writer_holds_on(fresh, monkeypatch):
    """Canary: a transaction that waits as a command may is still waiting when the lock goes, and then writes."""
    world, client, headers = fresh
    monkeypatch.setattr("serving.api.traffic.in_request", contextlib.nullcontext)
    client.app.state.context.engine = session.engine_of(world.home)  # as a command opens it
    body, more = contact_of(world, 1)
    with ThreadPoolExecutor(1) as pool:
        with held_lock(world.home):
            writer = pool.submit(client.post, "/v1/contacts", json=body, headers=headers | more)
            with pytest.raises(TimeoutError):
                writer.result(1.0)
        assert writer.result().status_code == 200


def test_a_lost_portrait_is_flagged_and_seen(fresh):
    """An item says `portrait_lost`, a route of one customer is 503; readiness and the alarm see it. A stranger is 404."""
    world, client, headers = fresh
    gone, there = world.ids[0], world.ids[1]
    store = client.app.state.context.portraits._store
    live = store.pointer()
    store.forget([gone])
    store.switch(live)
    body = {"targets": ["churn"], "ids": [gone, there, "stranger"]}
    province = world.cards[gone]["province"]
    other = next(card["province"] for card in world.cards.values() if card["province"] != province)
    for who, told in ((headers, "portrait_lost"), (world.key(province=province), "portrait_lost"),
                      (world.key(province=other), "unknown_customer")):  # fmt: skip
        items = client.post("/v1/scores", json=body, headers=who).json()["items"]
        assert [items[0]["status"], items[2]["status"]] == [told, "unknown_customer"]
    assert items[0] | {"customer_id": ""} == items[2] | {"customer_id": ""}  # foreign and absent answer alike
    answers = [client.get(f"/v1/customers/{one}/portrait", headers=headers) for one in (gone, there, "stranger")]
    assert [answer.status_code for answer in answers] == [503, 200, 404]
    assert client.get("/readyz").status_code == 503
    figures = client.get("/metrics").text
    assert 'insight_state_damaged_total{route="/v1/customers/{customer_id}/portrait"} 1.0' in figures
    assert 'insight_state_damaged_total{route="/readyz"} 1.0' in figures
    assert "insight_portraits_lost_total 4.0" in figures
    context, raised = client.app.state.context, []
    key = context.keys.find(headers["Authorization"].removeprefix("Bearer "))
    for _ in range(2):
        with pytest.raises(StateError) as lost:
            live_portrait(context, key, gone)
        raised.append(lost.value)
    assert raised[0] is not raised[1], "an error that all requests share keeps what each of them held"
