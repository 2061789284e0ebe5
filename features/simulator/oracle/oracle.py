"""The oracle on disk: written beside the operator's files, read by evaluation only, never by a feature or a list."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from features.kit.errors import NotFoundError
from features.kit.files import read_json
from features.kit.home import Home
from features.simulator.oracle.closed_form import State, probability, state_of
from features.simulator.rows.chunk import Chunk, customer_ids
from features.simulator.world.calendar import Calendar
from features.simulator.world.contacts import actions
from features.simulator.world.contacts.effects import FIELD

SPARSE = ("shocks", "complaints", "orders", "contacts", "tiring")


class OracleWriter:
    """Appends the oracle's state and the true causes chunk by chunk to `folder`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._writers: dict[str, pq.ParquetWriter] = {}

    def write(self, chunk: Chunk) -> None:
        """Appends one chunk."""
        state = state_of(chunk.dice, chunk.calendar, chunk.people, chunk.story)
        self._append("customers", state.customers)
        for name in SPARSE:
            events = dict(getattr(state, name))
            events["number"] = state.customers["number"][events.pop("row")]
            self._append(name, events)
        for event, table in _cause_tables(chunk):
            self._append(f"causes_{event}", table)

    def close(self) -> None:
        """Closes the files."""
        for writer in self._writers.values():
            writer.close()

    def _append(self, name: str, columns: dict[str, Any]) -> None:
        table = pa.table(columns)
        if name not in self._writers:
            self._writers[name] = pq.ParquetWriter(self._folder / f"{name}.parquet", table.schema, compression="zstd")
        self._writers[name].write_table(table)


def _cause_tables(chunk: Chunk) -> Iterator[tuple[str, dict[str, Any]]]:
    story, calendar = chunk.story, chunk.calendar
    gone = np.flatnonzero(story.way > 0)
    live = story.complaints.day <= story.last_use[story.complaints.row]
    found = {
        "complaint": (story.complaints.row, story.complaints.day, live),
        "churn": (gone, story.last_use[gone], np.ones(len(gone), dtype=bool)),
    }
    for event, (row, day, keep) in found.items():
        causes = chunk.causes[event]
        at = pa.array(calendar.dates(causes.day[keep]), mask=causes.day[keep] < 0)
        yield event, {
            "customer_id": chunk.ids[row[keep]], "event": pa.array([event] * int(keep.sum()), pa.string()),
            "event_at": calendar.dates(day[keep]), "cause": causes.reason[keep], "cause_at": at,
        }  # fmt: skip


def oracle_folder(where: Home | Path) -> Path:
    """Returns the oracle's folder of a home, of a simulation's folder, or the folder itself.

    Raises:
        NotFoundError: If there is none, as with a real operator.
    """
    root = where.simulation if isinstance(where, Home) else where
    for folder in (root / "oracle", root / "simulation" / "oracle", root):
        if (folder / "customers.parquet").exists():
            return folder
    raise NotFoundError(f"{root}: no oracle here", remedy="only `insight simulate` writes one")


def read_calendar(where: Home | Path) -> Calendar:
    """Returns the span of the simulation."""
    content = read_json(oracle_folder(where) / "calendar.json")
    return Calendar(end=date.fromisoformat(content["end"]), months=int(content["months"]))


def read_probabilities(where: Home | Path, target: str, as_of: date) -> pa.Table:
    """Returns customer_id and probability: P(event in `[as_of, as_of + 30 days)` | state at `as_of`).

    Customers who had left by then are not in the table. Any as-of date of the simulated span will do.

    `where` is the home, or the folder of `insight simulate --out`; `target` is churn, complaint, upgrade or
    dissatisfaction (a survey answer of 6 or less).
    """
    state, calendar = _load(str(oracle_folder(where))), read_calendar(where)
    day = calendar.day(as_of)
    chance = probability(state, calendar, target, day)
    here = np.flatnonzero((state.customers["activated"] < day) & (state.customers["last_use"] >= day))
    return pa.table({"customer_id": customer_ids(state.customers["number"][here]), "probability": chance[here]})


def read_action_outcomes(where: Home | Path, as_of: date) -> pa.Table:
    """Returns what one contact on `as_of` would do: one row per consumer, action, channel and target that it moves.

    Columns: customer_id, action, channel, target, probability (without the contact), probability_change, acceptance
    (the chance that the offer is taken; 0 of actions that offer nothing). A negative change of churn or of complaints
    is a customer helped; a positive one is harm. Every contact may move complaints: one too many annoys.
    """
    state, calendar = _load(str(oracle_folder(where))), read_calendar(where)
    day = calendar.day(as_of)
    c = state.customers
    here = np.flatnonzero((c["activated"] < day) & (c["last_use"] >= day) & (c["kind"] == 0))
    ids = pa.array(customer_ids(c["number"][here]))
    nobody = np.zeros(len(here), dtype=np.float32)
    before = {target: probability(state, calendar, target, day) for target in ("churn", "complaint", "upgrade")}
    tables = []
    for action in actions.ACTIONS:
        for place, channel in enumerate(actions.CHANNELS[action]):
            taken = c[f"acceptance_{action}_{place}"][here] if action in actions.OFFERS else nobody
            for target in dict.fromkeys((actions.TARGET_OF[action], "complaint")):
                change = probability(state, calendar, target, day, action, channel) - before[target]
                names = {"action": action, "channel": channel, "target": target}
                figures = {
                    "probability": before[target][here], "probability_change": change[here],
                    "acceptance": taken,
                }  # fmt: skip
                said = {name: pa.array([value] * len(here), pa.string()) for name, value in names.items()}
                tables.append(pa.table({"customer_id": ids, **said, **figures}))
    return pa.concat_tables(tables)


def read_causes(where: Home | Path) -> pa.Table:
    """Returns customer_id, event (churn or complaint), event_at, cause and cause_at (civil dates).

    `event` is churn or complaint, `cause` a reason code; a null `cause_at` means a lasting circumstance.
    """
    folder = oracle_folder(where)
    return pa.concat_tables([pq.read_table(folder / f"causes_{event}.parquet") for event in ("complaint", "churn")])


@lru_cache(maxsize=2)
def _load(folder: str) -> State:
    customers = _read(Path(folder), "customers")
    place = np.full(int(customers["number"].max()) + 1, -1)
    place[customers["number"]] = np.arange(len(customers["number"]))
    sparse = {}
    for name in SPARSE:
        events = _read(Path(folder), name)
        events["row"] = place[events.pop("number")]
        sparse[name] = events
    level = read_json(Path(folder) / "calendar.json").get("effects", FIELD.name)
    return State(customers=customers, level=level, **sparse)


def _read(folder: Path, name: str) -> dict[str, np.ndarray]:
    table = pq.read_table(folder / f"{name}.parquet")
    return {column: table[column].to_numpy() for column in table.column_names}
