"""Simulates an operator: files as an operator delivers them, and beside them the oracle that only evaluation reads."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from features.journey.journey import Journey
from features.kit.clock import add_months
from features.kit.files import write_json
from features.kit.runs import exclusive_run, hit
from features.kit.terminal.progress import SILENT, Progress
from features.simulator.dialect.write import check_dialect, write_dialect
from features.simulator.oracle.oracle import OracleWriter
from features.simulator.rows.chunk import Chunk
from features.simulator.rows.feeds import write_chunk, write_reference
from features.simulator.rows.output import OperatorFiles
from features.simulator.world.behaviour import story_of
from features.simulator.world.calendar import Calendar
from features.simulator.world.contacts.effects import FIELD, level_of
from features.simulator.world.dice import Dice
from features.simulator.world.population import BLOCK, make_population

DEFAULT_END = date(2026, 6, 1)
CHUNK = 160 * BLOCK


def simulate_to(
    out: Path,
    *,
    customers: int,
    months: int,
    seed: int,
    end: date = DEFAULT_END,
    dialect: str = "clean",
    effects: str = FIELD.name,
    chunk: int = CHUNK,
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Writes `out/files` and `out/oracle` and returns the summary; the same for any multiple of 64 as `chunk`."""
    check_dialect(dialect)
    level = level_of(effects)
    calendar = Calendar(end=add_months(end, 0), months=months)
    dice = Dice(seed)
    work, hidden = out / ".files", out / ".oracle"
    for folder in (work, hidden, out / ".clean"):
        shutil.rmtree(folder, ignore_errors=True)
    files, oracle = OperatorFiles(work), OracleWriter(hidden)
    write_reference(dice, calendar, customers, files)
    with progress.step("simulate", customers) as tick:
        for start in range(0, customers, chunk):
            numbers = np.arange(start, min(start + chunk, customers))
            people = make_population(dice, calendar, customers, numbers)
            story = Chunk(dice, calendar, people, story_of(dice, calendar, people, level=level))
            write_chunk(story, files)
            oracle.write(story)
            tick(len(numbers))
    files.close()
    oracle.close()
    rows = files.rows
    if dialect != "clean":
        clean = work.rename(out / ".clean")
        with progress.step("dialect") as tick:
            rows = write_dialect(clean, work, first=add_months(calendar.end, -months), end=calendar.end, tick=tick)
        shutil.rmtree(clean)
    write_json(hidden / "calendar.json", {"end": calendar.end.isoformat(), "months": months, "effects": effects})
    hit("simulate.before_switch")
    for folder, name in ((work, "files"), (hidden, "oracle")):
        shutil.rmtree(out / name, ignore_errors=True)
        folder.rename(out / name)
    summary = {
        "customers": customers, "months": months, "seed": seed, "as_of": calendar.end.isoformat(), "files": rows,
        "synthetic": True, "dialect": dialect, "effects": effects,
    }  # fmt: skip
    write_json(out / "simulation.json", summary)
    return summary


def simulate(journey: Journey, progress: Progress) -> dict[str, Any]:
    """Writes the journey's synthetic operator to `<home>/simulation`."""
    with exclusive_run(journey.home, "simulate"):
        return simulate_to(
            journey.home.simulation,
            customers=journey.customers,
            months=journey.months,
            seed=journey.seed,
            progress=progress,
        )
