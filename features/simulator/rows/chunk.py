"""One chunk on its way to the files: identifiers, times, and a row buffer that is sorted before it is written."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from features.kit.arrays import Integers
from features.simulator.rows.output import OperatorFiles
from features.simulator.world.behaviour import ARREARS, CANCEL, NEVER, PORT_OUT, SILENT, Events, Story
from features.simulator.world.calendar import Calendar
from features.simulator.world.catalogue import YUAN
from features.simulator.world.causes import find_causes
from features.simulator.world.dice import Dice
from features.simulator.world.population import Population

HOUR = 3600
DAY = 86400


def customer_ids(numbers: Integers) -> np.ndarray:
    """Returns 18-digit identifiers as text; their last digits do not survive a double."""
    return np.char.add("88", np.char.zfill((np.asarray(numbers) * 7 + 10**9).astype("U16"), 16))


def yuan(li: Integers) -> np.ndarray:
    """Returns yuan with decimals."""
    result: np.ndarray = np.asarray(li) / YUAN
    return result


def masked(values: np.ndarray, missing: np.ndarray) -> pa.Array:
    """Returns values with nulls where `missing`."""
    return pa.array(values, mask=np.broadcast_to(missing, np.shape(values)))


class Chunk:
    """The customers of one chunk, their story, and the rows collected so far."""

    def __init__(self, dice: Dice, calendar: Calendar, people: Population, story: Story) -> None:
        self.dice, self.calendar, self.people, self.story = dice, calendar, people, story
        self.ids = customer_ids(people.number)
        self.dictionary = pa.array(self.ids)
        delay = np.select(
            [story.way == CANCEL, story.way == PORT_OUT, story.way == ARREARS, story.way == SILENT],
            [
                1 + (dice.uniform("record.cancel", people.number) * 4).astype(np.int64),
                np.ones(len(people), dtype=np.int64),
                65 + (dice.uniform("record.arrears", people.number) * 25).astype(np.int64),
                np.full(len(people), 90),
            ],
            0,
        )
        self.recorded = np.where(story.way > 0, story.last_use + delay, NEVER)
        row = np.flatnonzero(story.way > 0)
        departures = Events(row, story.last_use[row])
        self.causes = {
            "complaint": find_causes(dice, calendar, people, story, story.complaints, "complaint"),
            "churn": find_causes(dice, calendar, people, story, departures, "churn"),
        }
        self._end = np.datetime64(calendar.end, "s")
        self._buffer: dict[str, list[tuple[np.ndarray, pa.Table]]] = {}

    def __len__(self) -> int:
        return len(self.people)

    def chance(self, stream: str, row: Integers, day: object = None) -> np.ndarray:
        """Returns a uniform draw per row."""
        return self.dice.uniform(stream, self.people.number[row], day)

    def tags(self, letter: str, row: Integers, day: Integers, extra: object = 0) -> np.ndarray:
        """Returns event identifiers from customer, day and a further digit."""
        number = (self.people.number[row] * 10_000 + day) * 10 + np.asarray(extra)
        return np.char.add(letter, number.astype("U18"))

    def plan_on(self, row: Integers, day: Integers) -> Integers:
        """Returns the plan last ordered before a day (a plan ordered later in the same month is not yet in force)."""
        plan = self.people.plan[row].copy()
        orders = self.story.orders
        by_row: dict[int, list[int]] = {}
        for number, owner in enumerate(orders.row.tolist()):
            by_row.setdefault(owner, []).append(number)
        for place, (owner, when) in enumerate(zip(row.tolist(), day.tolist(), strict=True)):
            for number in by_row.get(owner, ()):
                if orders.day[number] < when:
                    plan[place] = self.story.ordered[number]
        return plan

    def plans_by_month(self) -> Integers:
        """Returns the plan in force per month, [customers, months]."""
        plan = np.repeat(self.people.plan[:, None], self.calendar.months, axis=1)
        orders, start = self.story.orders, self.calendar.month_starts[:-1]
        for number in np.argsort(orders.day, kind="stable"):
            plan[orders.row[number], start > orders.day[number]] = self.story.ordered[number]
        return plan

    def rows(self, feed: str, row: Integers, day: Integers, second: object, /, **columns: Any) -> None:
        """Collects rows of an event feed; `delay` (seconds, default an hour) is the lag until they are known.

        Rows at or after the data end, and rows known more than a day after it, are not delivered.
        """
        delay = columns.pop("delay", HOUR)
        at = self.calendar.times(day, np.broadcast_to(np.asarray(second), np.shape(day)))
        known = at + np.broadcast_to(np.asarray(delay), at.shape).astype("timedelta64[s]")
        keep = np.flatnonzero((at < self._end) & (known < self._end + np.timedelta64(1, "D")))
        table = {"customer_id": self.ids[row[keep]], "event_at": at[keep], "known_at": known[keep]}
        table |= {name: _pick(value, keep, len(row)) for name, value in columns.items()}
        order = np.stack([row[keep], at[keep].astype(np.int64), known[keep].astype(np.int64)])
        self._buffer.setdefault(feed, []).append((order, pa.table(table)))

    def flush(self, files: OperatorFiles) -> None:
        """Writes the collected rows by customer, event time and knowledge time, so chunks leave no trace."""
        for feed, parts in self._buffer.items():
            order = np.concatenate([part[0] for part in parts], axis=1)
            table = pa.concat_tables([part[1] for part in parts], promote_options="permissive")
            files.csv(feed, table.take(pa.array(np.lexsort(order[::-1]))))
        self._buffer = {}


def _pick(value: Any, keep: Integers, n: int) -> Any:
    if isinstance(value, pa.Array):
        return value.take(pa.array(keep))
    return np.broadcast_to(np.asarray(value), (n,))[keep]
