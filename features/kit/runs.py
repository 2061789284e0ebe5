"""One writer at a time, a table of what ran, and failpoints that kill a run where it hurts most."""

from __future__ import annotations

import fcntl
import os
import signal
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from features.kit.clock import utc_now
from features.kit.errors import ConflictError, InsightError
from features.kit.home import Home

FAILPOINT_VARIABLE = "INSIGHT_FAILPOINT"
FAILPOINT_LOG_VARIABLE = "INSIGHT_FAILPOINT_LOG"

_hits: Counter[str] = Counter()


class FailpointError(InsightError):
    """The failure that a test planted."""

    code = "failpoint"


def hit(name: str) -> None:
    """Marks a place where a run may be killed by a test; costs nothing when no failpoint is set.

    `INSIGHT_FAILPOINT=publish.after_write:2:kill` kills the process (SIGKILL) at the second hit of that name;
    the name `*` counts the hits of all failpoints; the deed is `kill` or `fail`. With `INSIGHT_FAILPOINT_LOG=FILE`
    every hit appends its name to FILE, and the fatal one appends `fired:NAME`, so a test can assert that it fired.
    """
    wanted = os.environ.get(FAILPOINT_VARIABLE)
    log = os.environ.get(FAILPOINT_LOG_VARIABLE)
    if not wanted and not log:
        return
    _hits[name] += 1
    _hits["*"] += 1
    target, count, deed = (wanted or "none:0:fail").split(":")
    fatal = target in (name, "*") and _hits[target] == int(count)
    if log:
        with Path(log).open("a", encoding="utf-8") as file:
            file.write(f"fired:{name}\n" if fatal else f"{name}\n")
    if fatal and deed == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if fatal:
        raise FailpointError(f"failpoint {name}")


@contextmanager
def run_lock(home: Home, purpose: str) -> Iterator[None]:
    """Holds the home's one writer lock; the kernel drops it when the process dies, however it dies.

    Raises:
        ConflictError: If another process of this home is writing; it names that process and its purpose.
    """
    home.root.mkdir(parents=True, exist_ok=True)
    with (home.root / "run.lock").open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            raise ConflictError(
                f"{home.root}: another run is writing here ({file.read().strip() or 'unknown'})",
                remedy="wait for it, or use another --home",
            ) from None
        file.truncate(0)
        file.write(f"process {os.getpid()}: {purpose}\n")
        file.flush()
        yield


@contextmanager
def recorded_run(home: Home, command: str) -> Iterator[str]:
    """Records a run's start, end and result in the run table; yields its id.

    A run without an end was killed; it is marked `interrupted` when the next run starts.
    """
    home.root.mkdir(parents=True, exist_ok=True)
    run_id = uuid4().hex[:12]
    with sqlite3.connect(home.runs) as database:
        database.execute(
            "CREATE TABLE IF NOT EXISTS runs "
            "(run_id TEXT PRIMARY KEY, command TEXT, process INTEGER, started_at TEXT, ended_at TEXT, status TEXT)"
        )
        for old_id, process in database.execute("SELECT run_id, process FROM runs WHERE status = 'running'").fetchall():
            if not Path(f"/proc/{process}").exists():
                database.execute("UPDATE runs SET status = 'interrupted' WHERE run_id = ?", (old_id,))
        database.execute(
            "INSERT INTO runs VALUES (?, ?, ?, ?, NULL, 'running')",
            (run_id, command, os.getpid(), utc_now().isoformat()),
        )
    status = "failed"
    try:
        yield run_id
        status = "done"
    finally:
        with sqlite3.connect(home.runs) as database:
            database.execute(
                "UPDATE runs SET status = ?, ended_at = ? WHERE run_id = ?", (status, utc_now().isoformat(), run_id)
            )
