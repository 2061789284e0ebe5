"""Damaged state on every path: a command ends in one line that names the file, the API in 503, readiness sees it."""

from __future__ import annotations

import os
import sqlite3
import sys

import duckdb
import pyarrow as pa
import pytest
from fastapi.testclient import TestClient
from sqlalchemy.exc import OperationalError

from features.kit.cli import main
from features.kit.errors import of_state
from features.portraits.reading import Portraits
from serving.api.app import create_app
from tests.serving.api.conftest import copy_of
from tests.world import AS_OF

pytestmark = pytest.mark.xdist_group("api")


def cut(path):
    """Leaves the first half of a file."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def garble(path):
    """Leaves a file that is nothing."""
    for log in path.parent.glob(f"{path.name}-*"):
        log.unlink()
    path.write_bytes(b"nothing " * 1000)


def tickets_of(home):
    """Returns a landed file."""
    return min((home.feeds / "tickets").glob("*.parquet"))


PLACES = {
    "tickets gone": (tickets_of, lambda path: path.unlink(), "tickets"),
    "tickets cut": (tickets_of, cut, "tickets"),
    "portraits cut": (lambda home: Portraits.open(home).path(AS_OF), cut, ".parquet"),
    "ledger": (lambda home: home.operations, garble, "operations.db"),
    "runs": (lambda home: home.runs, garble, "runs.db"),
}
MET_BY = {
    "fit": ("tickets gone", "tickets cut", "runs"),
    "score": ("portraits cut", "runs"),
    "outreach": ("tickets gone", "tickets cut", "portraits cut", "ledger", "runs"),
    "keys": ("ledger",),
    "runs": ("runs",),
}
WORDS = {"keys": ["keys", "list"], "outreach": ["outreach", "--as-of", str(AS_OF)], "runs": ["runs"]}


@pytest.fixture
def copied(world, tmp_path):
    """Returns a copy of the world's home that may be damaged."""
    return copy_of(world.home, tmp_path / "home")


def run(monkeypatch, capsys, home, words):
    """Returns how a command ended and what it wrote to stderr."""
    monkeypatch.setattr(sys, "argv", ["insight", *words, "--home", str(home.root)])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code, capsys.readouterr().err.strip().splitlines()


@pytest.mark.parametrize(("command", "what"), [(name, what) for name, met in MET_BY.items() for what in met])
def test_a_command_names_what_is_damaged(copied, monkeypatch, capsys, command, what):
    """Exit code 2 and a last line that names the file, with a remedy; no traceback."""
    place, damage, named = PLACES[what]
    damage(place(copied))
    code, lines = run(monkeypatch, capsys, copied, WORDS.get(command, [command, "--as-of", str(AS_OF)]))
    assert (code, lines[-1].startswith("error: ")) == (2, True), lines
    assert named in lines[-1]
    assert "  -> " in lines[-1]
    assert "Traceback" not in "".join(lines)


def test_debug_shows_the_traceback(copied, monkeypatch, capsys):
    """Canary: with --debug the same failure is raised as it is."""
    garble(copied.runs)
    monkeypatch.setattr(sys, "argv", ["insight", "--debug", "score", "--home", str(copied.root)])
    monkeypatch.delenv("INSIGHT_DEBUG", raising=False)
    with pytest.raises(sqlite3.DatabaseError):
        main()
    os.environ.pop("INSIGHT_DEBUG", None)
    capsys.readouterr()


def test_readiness_sees_a_damaged_feed(copied):
    """`/readyz` is ready before and 503 after."""
    for damage, status in ((None, 200), (cut, 503)):
        if damage is not None:
            damage(tickets_of(copied))
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
