"""One writer at a time; what ran is on record; failpoints fire where they should."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from features.kit.errors import ConflictError
from features.kit.home import Home
from features.kit.runs import FailpointError, hit, recorded_run, run_lock

_WRITER = """
import sys
from features.kit.home import Home
from features.kit.runs import hit, recorded_run, run_lock
home = Home.at(sys.argv[1])
with run_lock(home, "test"), recorded_run(home, "test"):
    for name in ("a", "b", "a"):
        hit(name)
"""


def _run(home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", _WRITER, str(home)], env=environment, capture_output=True, text=True, check=False
    )


def test_a_second_writer_is_refused_with_the_first_ones_purpose(tmp_path: Path) -> None:
    """The lock names who holds it, and is free again afterwards."""
    home = Home.at(tmp_path)
    with run_lock(home, "ingest"), pytest.raises(ConflictError, match="ingest"), run_lock(home, "publish"):
        pass
    with run_lock(home, "publish"):
        pass


def test_a_killed_writer_frees_the_lock_and_is_marked_interrupted(tmp_path: Path) -> None:
    """Kill -9 at the second hit of `a`: the next run starts at once and the record tells what happened."""
    log = tmp_path / "hits.log"
    killed = _run(tmp_path, INSIGHT_FAILPOINT="a:2:kill", INSIGHT_FAILPOINT_LOG=str(log))
    assert killed.returncode == -9
    assert log.read_text().split() == ["a", "b", "fired:a"]
    assert _run(tmp_path).returncode == 0
    with sqlite3.connect(tmp_path / "runs.db") as database:
        assert [row[0] for row in database.execute("SELECT status FROM runs ORDER BY started_at, rowid")] == [
            "interrupted",
            "done",
        ]


def test_the_star_counts_every_failpoint(tmp_path: Path) -> None:
    """`*:3` is the third hit of any name, and a number past the last one leaves the run untouched."""
    assert _run(tmp_path, INSIGHT_FAILPOINT="*:3:kill").returncode == -9
    assert _run(tmp_path, INSIGHT_FAILPOINT="*:4:kill").returncode == 0


def test_a_failpoint_can_fail_instead_of_kill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`fail` raises; without the variable nothing happens."""
    hit("quiet")
    monkeypatch.setenv("INSIGHT_FAILPOINT", "loud:1:fail")
    with pytest.raises(FailpointError, match="loud"):
        hit("loud")


def test_a_failed_run_is_recorded_as_failed(tmp_path: Path) -> None:
    """An error inside the run ends its record as failed, Ctrl-C as interrupted."""
    with pytest.raises(RuntimeError), recorded_run(Home.at(tmp_path), "train"):
        raise RuntimeError
    with sqlite3.connect(tmp_path / "runs.db") as database:
        assert database.execute("SELECT command, status FROM runs").fetchall() == [("train", "failed")]
    with pytest.raises(KeyboardInterrupt), recorded_run(Home.at(tmp_path), "build"):
        raise KeyboardInterrupt
    with sqlite3.connect(tmp_path / "runs.db") as database:
        assert database.execute("SELECT status FROM runs WHERE command = 'build'").fetchall() == [("interrupted",)]
