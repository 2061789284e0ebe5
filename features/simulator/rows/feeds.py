"""Everything the operator delivers about one chunk, and the catalogue and faults that belong to no customer."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from features.simulator.rows.chunk import HOUR, Chunk
from features.simulator.rows.monthly import write_months
from features.simulator.rows.output import OperatorFiles
from features.simulator.rows.service import write_service
from features.simulator.rows.who import grid_ids, write_who
from features.simulator.world import catalogue
from features.simulator.world.calendar import Calendar
from features.simulator.world.dice import Dice
from features.simulator.world.drivers import grid_factor
from features.simulator.world.hazards import FAULT_RATE, HORIZON

REPAIR_DAYS = 3


def write_chunk(chunk: Chunk, files: OperatorFiles) -> None:
    """Writes every feed of a chunk."""
    write_who(chunk)
    write_service(chunk)
    write_months(chunk, files)
    chunk.flush(files)


def write_reference(dice: Dice, calendar: Calendar, customers: int, files: OperatorFiles) -> None:
    """Writes the catalogue and the faults of every grid, each as opened and as repaired."""
    known = np.datetime64("2020-01-01", "s")
    for name, table in (("plans", catalogue.plan_table()), ("packs", catalogue.pack_table())):
        stamp = pa.array(np.full(table.num_rows, known))
        files.csv(name, table.append_column("event_at", stamp).append_column("known_at", stamp))
    grids = np.arange(catalogue.grid_count(customers))
    level = -np.expm1(-FAULT_RATE / HORIZON * grid_factor(dice, grids))
    grid, day = np.nonzero(
        dice.uniform("shock.fault", grids[:, None], np.arange(calendar.days)[None, :]) < level[:, None]
    )
    opened = calendar.times(day, np.full(len(day), 7 * HOUR))
    repaired = opened + np.timedelta64(REPAIR_DAYS, "D")
    at = np.concatenate([opened, repaired])
    both = np.tile(np.arange(len(grid)), 2)
    is_open = np.arange(len(both)) < len(grid)
    keep = np.flatnonzero(at < np.datetime64(calendar.end, "s"))
    fault = np.char.add("F", (grid * 10_000 + day).astype("U12"))
    files.csv(
        "network_faults",
        {
            "fault_id": fault[both][keep], "event_at": at[keep], "known_at": (at + np.timedelta64(30, "m"))[keep],
            "grid": grid_ids(grid[both])[keep],
            "expected_repair_on": (opened.astype("datetime64[D]") + np.timedelta64(REPAIR_DAYS, "D"))[both][keep],
            "repaired_at": pa.array(repaired[both][keep], mask=is_open[keep]),
        },
    )  # fmt: skip
