"""What contacts, claims and refusals make of persons: when they may be met again, what they heard, what is forbidden.

The policy of a whole base and what a contact changes of it are the same computation over other rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from features.kit.arrays import Flags, Rows
from serving.outreach.policy.ledger_facts import LedgerFacts, Refusal
from serving.outreach.policy.people import People, Positions, Scope
from serving.outreach.policy.states import FeedStates
from serving.outreach.settings import OutreachSettings

DayNumbers = npt.NDArray[np.int32]
"""Days since 1970-01-01; `NEVER` where there is none."""
NEVER = -25_567  # 1900-01-01
RESTS = ("cap_reached", "cool_down", "unreached", "claimed")
"""Codes that end on a day known for each subscription."""
_FIRST = date(1970, 1, 1)


def day_number(day: date) -> int:
    """Returns a day as days since 1970-01-01."""
    return (day - _FIRST).days


def day_of(number: int) -> date:
    """Returns the day of a number."""
    return _FIRST + timedelta(days=number)


@dataclass(frozen=True)
class Standing:
    """What holds for each row of a scope; a name that is missing holds for none.

    Attributes:
        free_on: Code of `RESTS` -> the first day on which it holds no more.
        told: Action -> the newest day on which it was taken for the person.
        declined: Action -> the day from which it may be offered again.
        forbidden: Code -> whether the ledger forbids it.
    """

    free_on: dict[str, DayNumbers] = field(default_factory=dict)
    told: dict[str, DayNumbers] = field(default_factory=dict)
    declined: dict[str, DayNumbers] = field(default_factory=dict)
    forbidden: dict[str, Flags] = field(default_factory=dict)


class Standings:
    """Makes the standing of persons from what the feeds know and what the ledger adds.

    Args:
        people: Who holds which rows.
        row_of: Subscription -> row.
        feeds: What the feeds know.
        settings: The shipped configuration.
        forbids: The codes that a refusal of the ledger may forbid.
    """

    def __init__(
        self,
        people: People,
        row_of: Positions,
        feeds: FeedStates,
        settings: OutreachSettings,
        forbids: frozenset[str],
    ) -> None:
        self._people, self._row_of, self._states = people, row_of, feeds.states
        self._contacts, self._declines = _Heard(feeds.contacts, people), _Heard(feeds.declines, people)
        self._settings, self._forbids = settings, forbids

    def of(self, scope: Scope, facts: LedgerFacts) -> Standing:
        """Returns what holds for the rows of a scope; facts about others are left out."""
        made = _Made(scope)
        self._add_contacts(made, facts)
        for person, day in zip(self._local(scope, facts.claimed_until), facts.claimed_until.values(), strict=True):
            if person >= 0:
                made.by_person("free_on", "claimed")[person] = day_number(day) + 1
        self._add_declined(made)
        self._add_refusals(made, facts.refusals)
        return made.standing()

    def _local(self, scope: Scope, names: Iterable[str]) -> Rows:
        """Returns the place of each person in the scope, -1 outside."""
        return _place_in(scope.persons, self._people.codes.find(names))

    def _add_contacts(self, made: _Made, facts: LedgerFacts) -> None:
        """Adds what the newest version of each contact makes: the ledger's, where it has the same id for the person."""
        import pyarrow as pa

        person, day, known = self._contacts.of(made.scope.persons)
        ours = self._local(made.scope, (contact[0] for contact in facts.contacts))
        mine = [contact for contact, place in zip(facts.contacts, ours.tolist(), strict=True) if place >= 0]
        ids = pa.concat_arrays([known["contact_id"].combine_chunks(), pa.array([one[1] for one in mine], pa.string())])
        names = pa.concat_arrays([known["action"].combine_chunks(), pa.array([one[2] for one in mine], pa.string())])
        person = np.append(person, ours[ours >= 0])
        day = np.append(day, np.array([day_number(one[3]) for one in mine], dtype=np.int32))
        if not len(person):
            return
        codes = ids.dictionary_encode()
        key = person.astype(np.int64) * len(codes.dictionary) + codes.indices.to_numpy()
        _, last = np.unique(key[::-1], return_index=True)
        kept = len(key) - 1 - last
        person, day, actions = person[kept], day[kept], names.take(pa.array(kept)).dictionary_encode()
        action_of = actions.indices.to_numpy()
        counts = np.zeros(len(person), dtype=bool)
        for code, action in enumerate(actions.dictionary.to_pylist()):
            its = action_of == code
            np.maximum.at(made.by_person("told", action), person[its], day[its])
            if self._counts(action):
                counts |= its
        self._add_rests(made, person[counts], day[counts])

    def _counts(self, action: str) -> bool:
        known = self._settings.actions.get(action)
        return known is None or known.kind != "S"

    def _add_rests(self, made: _Made, person: Rows, day: DayNumbers) -> None:
        """Adds how long persons rest after the contacts that count."""
        order = np.lexsort((-day, person))
        person, day = person[order], day[order]
        first = np.searchsorted(person, person)  # where the person's newest contact stands
        nth = np.arange(len(person)) - first
        policy = self._settings.policy
        newest = nth == 0
        made.by_person("free_on", "cool_down")[person[newest]] = day[newest] + policy.cool_down_days
        full = made.by_person("free_on", "cap_reached")
        for cap in policy.caps:
            reached = nth == cap.contacts - 1
            full[person[reached]] = np.maximum(full[person[reached]], day[reached] + cap.days)

    def _add_declined(self, made: _Made) -> None:
        person, day, known = self._declines.of(made.scope.persons)
        rest, actions = self._settings.claim.declined_rest_days, known["action"].to_pylist()
        for place, number, action in zip(person.tolist(), day.tolist(), actions, strict=True):
            made.by_person("declined", action)[place] = number + rest

    def _add_refusals(self, made: _Made, refusals: Sequence[Refusal]) -> None:
        persons = self._local(made.scope, (refusal.person_id or "" for refusal in refusals))
        customers = self._row_of.find(refusal.customer_id or "" for refusal in refusals)
        for refusal, person, customer in zip(refusals, persons.tolist(), customers.tolist(), strict=True):
            if refusal.customer_id is None:
                rows = made.rows_of(person) if person >= 0 else []
            else:
                rows = [customer] if customer >= 0 else []
            if not rows or is_settled(self._states, refusal, rows):
                continue
            until = day_number(refusal.ends_on or date.max)
            if refusal.action is not None and refusal.person_id is not None:
                if person >= 0:
                    declined = made.by_person("declined", refusal.action)
                    declined[person] = max(until, int(declined[person]))
                continue
            places = made.places_of(
                rows, int(_place_in(made.scope.persons, self._people.of_row[rows[:1]].astype(np.intp))[0])
            )
            if refusal.code in ("cool_down", "unreached"):
                free = made.rests(refusal.code)
                free[places] = np.maximum(free[places], until)
            elif refusal.code in self._forbids:  # one that no purpose names any more stops nobody, and no list either
                made.forbid(refusal.code)[places] = True


def is_settled(states: Any, refusal: Refusal, rows: Sequence[int]) -> bool:
    """Returns whether the feeds know since that the matter is over: ticket closed, number checked or changed."""
    if refusal.ticket_id is not None:
        closed = states.column("closed_tickets")
        return any(refusal.ticket_id in closed[row].as_py() for row in rows)
    column = {"wrong_person": "number_checked_on", "number_invalid": "number_since"}.get(refusal.code)
    if column is None:
        return False
    since = states.column(column)[rows[0]].as_py()
    return since is not None and since > refusal.starts_on


class _Made:
    """The arrays of a standing while they are filled: by person where all rows of a person share it, else by row."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self._first = np.searchsorted(scope.holder, np.arange(len(scope.persons) + 1))
        self._by_person: dict[tuple[str, str], DayNumbers] = {}
        self._by_row: dict[str, DayNumbers] = {}
        self._forbidden: dict[str, Flags] = {}

    def by_person(self, kind: str, name: str) -> DayNumbers:
        """Returns the days of `free_on`, `told` or `declined` by person."""
        if (kind, name) not in self._by_person:
            self._by_person[kind, name] = np.full(len(self.scope.persons), NEVER, dtype=np.int32)
        return self._by_person[kind, name]

    def rests(self, code: str) -> DayNumbers:
        """Returns the days until which single rows rest."""
        return self._by_row.setdefault(code, np.full(len(self.scope.rows), NEVER, dtype=np.int32))

    def forbid(self, code: str) -> Flags:
        """Returns which rows a code forbids."""
        return self._forbidden.setdefault(code, np.zeros(len(self.scope.rows), dtype=bool))

    def rows_of(self, person: int) -> list[int]:
        """Returns the rows of a person of the scope."""
        return [int(row) for row in self.scope.rows[self._first[person] : self._first[person + 1]]]

    def places_of(self, rows: Sequence[int], person: int) -> list[int]:
        """Returns where rows of a person stand in the scope; none where the person is outside it."""
        if person < 0:
            return []
        held = self.rows_of(person)
        return [int(self._first[person]) + held.index(row) for row in rows]

    def standing(self) -> Standing:
        """Returns what was made, by row."""
        found = Standing(forbidden=self._forbidden)
        for (kind, name), days in self._by_person.items():
            getattr(found, kind)[name] = days[self.scope.holder]
        for code, days in self._by_row.items():
            found.free_on[code] = np.maximum(days, found.free_on.get(code, days))
        return found


class _Heard:
    """What persons heard on a day, contacts or actions that they declined, sorted by person."""

    def __init__(self, table: Any, people: People) -> None:
        holder = people.find(table["person_id"])
        known = np.flatnonzero(holder >= 0)
        self._holder = holder[known].astype(np.int32)
        self._table = table.take(known)
        self._days = self._table["day"].cast("int32").to_numpy()

    def of(self, persons: Rows) -> tuple[Rows, DayNumbers, Any]:
        """Returns which of `persons` (ascending codes) heard it, on which day, and the rows of the table."""
        first, last = (np.searchsorted(self._holder, persons, side=side) for side in ("left", "right"))
        count = last - first
        ends = np.cumsum(count)
        rows = np.arange(int(count.sum())) + np.repeat(first - (ends - count), count)
        return np.repeat(np.arange(len(persons)), count), self._days[rows], self._table.take(rows)


def _place_in(ascending: Rows, wanted: Rows) -> Rows:
    """Returns where each number stands among ascending ones, -1 for one that does not."""
    places = np.searchsorted(ascending, wanted)
    inside = places < len(ascending)
    inside[inside] = ascending[places[inside]] == wanted[inside]
    return np.where(inside, places, -1)
