"""One writer at a time, a table of what ran, and failpoints that kill a run where it hurts most."""

from __future__ import annotations

import fcntl
import os
import signal
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from features.kit.clock import utc_now
from features.kit.errors import ConflictError, InsightError
from features.kit.home import Home

FAILPOINT_VARIABLE = "INSIGHT_FAILPOINT"
FAILPOINT_LOG_VARIABLE = "INSIGHT_FAILPOINT_LOG"

_hits: Counter[str] = Counter()


class FailpointError(InsightError, code="failpoint"):
    """The failure that a test planted."""


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
def run_lock(home: Home, purpose: str, name: str = "run.lock") -> Iterator[None]:
    """Holds the home's one writer lock; the kernel drops it when the process dies, however it dies.

    A run of many steps holds a lock of its own `name` from first to last, and the writer lock in each step.

    Raises:
        ConflictError: If another process of this home is writing; it names that process and its purpose.
    """
    home.root.mkdir(parents=True, exist_ok=True)
    with (home.root / name).open("a+", encoding="utf-8") as file:
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


@dataclass
class RunRecord:
    """One line of the run table, while the run is under way."""

    run_id: str  # its id
    status: str = "done"  # how it ends if nothing is raised: `done`, or what the run itself sets
    note: str = ""  # why, in one line


@contextmanager
def recorded_run(home: Home, command: str) -> Iterator[RunRecord]:
    """Records a run's start, end and result in the run table; the run may set its status and note.

    A run without an end was killed; it is marked `interrupted` when the next run starts.
    """
    run = RunRecord(uuid4().hex[:12])
    with run_table(home) as database:
        for old_id, process in database.execute("SELECT run_id, process FROM runs WHERE status = 'running'").fetchall():
            if not Path(f"/proc/{process}").exists():
                database.execute("UPDATE runs SET status = 'interrupted' WHERE run_id = ?", (old_id,))
        database.execute(
            "INSERT INTO runs (run_id, command, process, started_at, status) VALUES (?, ?, ?, ?, 'running')",
            (run.run_id, command, os.getpid(), utc_now().isoformat()),
        )
    ended = "failed"
    try:
        yield run
        ended = run.status
    except Exception as error:
        run.note = run.note or " ".join(str(error).split())[:500]
        raise
    except KeyboardInterrupt:
        ended = "interrupted"
        raise
    finally:
        with run_table(home) as database:
            database.execute(
                "UPDATE runs SET status = ?, ended_at = ?, note = ? WHERE run_id = ?",
                (ended, utc_now().isoformat(), run.note, run.run_id),
            )


@contextmanager
def exclusive_run(home: Home, command: str, lock: str = "run.lock") -> Iterator[RunRecord]:
    """Holds a writer lock and records the run: the frame of every act that writes. Raises ConflictError as the lock."""
    with run_lock(home, command, lock), recorded_run(home, command) as run:
        yield run


@contextmanager
def run_table(home: Home) -> Iterator[sqlite3.Connection]:
    """Opens the run table in one transaction, and makes it where there is none."""
    home.root.mkdir(parents=True, exist_ok=True)
    database = sqlite3.connect(home.runs, timeout=30)
    try:
        with database:
            database.execute(
                "CREATE TABLE IF NOT EXISTS runs (run_id TEXT PRIMARY KEY, command TEXT, process INTEGER, "
                "started_at TEXT, ended_at TEXT, status TEXT, note TEXT)"
            )
            if "note" not in {str(row[1]) for row in database.execute("PRAGMA table_info(runs)")}:
                database.execute("ALTER TABLE runs ADD COLUMN note TEXT")
            yield database
    except sqlite3.Error as error:
        error.add_note(str(home.runs))
        raise
    finally:
        database.close()


def list_runs(home: Home, limit: int) -> list[dict[str, Any]]:
    """Returns the newest runs, newest first; one whose process is gone is `interrupted`."""
    if not home.runs.exists():
        return []
    with run_table(home) as database:
        database.row_factory = sqlite3.Row
        rows = database.execute(
            "SELECT run_id, command, started_at, ended_at, status, coalesce(note, '') AS note, process FROM runs "
            "ORDER BY started_at DESC, rowid DESC LIMIT ?",
            (limit,),
        ).fetchall()
    found = [dict(row) for row in rows]
    for run in found:
        if not Path(f"/proc/{run.pop('process')}").exists() and run["status"] == "running":
            run["status"] = "interrupted"
    return found
