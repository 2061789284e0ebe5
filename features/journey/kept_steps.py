"""Steps that a run has finished, kept in the run table with the hash of their inputs, so that the next run goes on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.metadata import version as installed_version
from typing import Any

import orjson

from features.kit.clock import utc_now
from features.kit.config import config_path
from features.kit.home import Home
from features.kit.runs import run_table
from features.kit.terminal.exit_codes import ExitCode


@dataclass(frozen=True)
class RunResult:
    """What a day's or a month's run did."""

    ending: ExitCode  # how it ended; a failure is raised instead
    summary: dict[str, Any]  # step -> its summary, with `ending`, `reasons` and what it cost


def inputs_hash(home: Home, *content: Any) -> str:
    """Returns the hash of all that could change a step's answer: what is given, configuration, champions and code."""
    files = sorted(path for path in config_path(".").rglob("*.yaml") if path.is_file())
    pointers = sorted(home.bundles.glob("*/champion.json"))
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (*files, *pointers)]
    everything = [*content, digests, installed_version("customer-insight")]
    return hashlib.sha256(orjson.dumps(everything, option=orjson.OPT_SORT_KEYS, default=str)).hexdigest()[:16]


def read_step(home: Home, name: str, inputs: str) -> dict[str, Any] | None:
    """Returns the summary of a step if an unfinished run took it with the same inputs, or None."""
    with run_table(home) as database:
        _create_steps(database)
        row = database.execute("SELECT summary FROM steps WHERE step = ? AND inputs = ?", (name, inputs)).fetchone()
    return None if row is None else orjson.loads(row[0])


def keep_step(home: Home, name: str, inputs: str, summary: dict[str, Any]) -> None:
    """Keeps the summary of a step until the run has come to its end."""
    with run_table(home) as database:
        _create_steps(database)
        database.execute(
            "INSERT OR REPLACE INTO steps VALUES (?, ?, ?, ?)",
            (name, inputs, utc_now().isoformat(), orjson.dumps(summary).decode()),
        )


def forget_steps(home: Home) -> None:
    """Forgets every kept step: the run has come to its end."""
    with run_table(home) as database:
        _create_steps(database)
        database.execute("DELETE FROM steps")


def _create_steps(database: Any) -> None:
    database.execute(
        "CREATE TABLE IF NOT EXISTS steps (step TEXT PRIMARY KEY, inputs TEXT, ended_at TEXT, summary TEXT)"
    )
