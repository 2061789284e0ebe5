"""The contact policy: may this subscription be contacted, for what, on which channel and when; if not, why not.

A refusal is a stable code of `serving/outreach/refusals.py`; `configs/outreach.yaml` says what each purpose heeds.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, time, timedelta
from typing import Any

import numpy as np

from features.feeds.landing.suppression import Suppression
from features.kit.arrays import Flags, Labels, Rows
from features.kit.errors import DataError, NotFoundError
from features.kit.language import Locale
from serving.no_sale import CODE as NO_SALE
from serving.outreach.policy.calendar import is_festival, is_quiet, next_working_day, open_hours
from serving.outreach.policy.control import drawn, lots_of
from serving.outreach.policy.ledger_facts import HASHED, LedgerFacts, Refusal
from serving.outreach.policy.people import People, Positions, Scope, padded
from serving.outreach.policy.standing import NEVER, RESTS, DayNumbers, Standings, day_number, day_of
from serving.outreach.policy.states import FeedStates
from serving.outreach.refusals import CHANNELS, stops_on
from serving.outreach.settings import OutreachSettings

_OF_THE_HOUR = frozenset({"festival", "quiet_hours"})


@dataclass(frozen=True)
class Verdict:
    """The answer for one subscription.

    Attributes:
        ok: Whether the contact may take place.
        codes: Why not, in the order of the policy.
        next_on: The first date on which it may, if only time stands in the way.
        control_group: Whether the person is in the control group, whatever the purpose.
        hours: The local hours outside the province's quiet hours, such as "09:00-12:00".
    """

    ok: bool
    codes: tuple[str, ...]
    next_on: date | None
    control_group: bool
    hours: tuple[str, ...]


class PolicyBook:
    """The contact policy over the whole base, as of one date, with everything the ledger knows."""

    def __init__(self, settings: OutreachSettings, feeds: FeedStates, ledger: LedgerFacts, as_of: date) -> None:
        self.settings = settings.for_operator(feeds.operator.time_zone, feeds.operator.country)
        self.as_of = as_of
        self.table = feeds.states
        self.unchecked = feeds.unchecked
        self.operator = feeds.operator
        self.facts = ledger
        self._nobody = np.zeros(self.table.num_rows, dtype=bool)
        self.row_of = Positions(padded(self.table.column("customer_id")))
        self.people = People(self.table)
        provinces = self.table.column("province").combine_chunks().dictionary_encode()
        self._provinces: list[str | None] = [*provinces.dictionary.to_pylist(), None]
        self._province = provinces.indices.fill_null(len(self._provinces) - 1).to_numpy()
        self._flags = self._read_flags(feeds)
        self._consents = self._read_consents()
        forbids = frozenset(self._flags)
        self._standings = Standings(self.people, self.row_of, feeds, self.settings, forbids)
        self._returned = self._come_back(ledger.refusals, feeds.erased)
        self._free_on: dict[str, DayNumbers] = dict.fromkeys(RESTS, np.full(len(self), NEVER, dtype=np.int32))
        self._told: dict[str, DayNumbers] = {}
        self._declined: dict[str, DayNumbers] = {}
        self._forbidden: dict[str, Flags] = {}
        self._stand(self.people.everybody(), ledger)

    def renewed(self, names: Iterable[str], ledger: LedgerFacts) -> PolicyBook:
        """Returns the policy with what the ledger knows by now of some persons; this one stays as it is.

        Args:
            names: Persons and subscriptions of whom the ledger has heard.
            ledger: Everything that it knows of those whom `concerned` names; nothing about others counts.
        """
        book = copy.copy(self)
        book._stand(self.people.scope(self._codes_of(names)), ledger)  # noqa: SLF001 - a policy itself
        return book

    def _stand(self, scope: Scope, ledger: LedgerFacts) -> None:
        """Takes what feeds and ledger make of the persons of a scope; arrays that others share stay as they are."""
        made, length = self._standings.of(scope, self._with_returned(ledger)), len(self)
        self._free_on = _patched(self._free_on, scope.rows, made.free_on, length)
        self._told = _patched(self._told, scope.rows, made.told, length)
        self._declined = _patched(self._declined, scope.rows, made.declined, length)
        self._forbidden = _patched(self._forbidden, scope.rows, made.forbidden, length)

    def concerned(self, names: Iterable[str]) -> list[str]:
        """Returns the persons whom some names touch, as persons or by a subscription, and all that they hold."""
        scope = self.people.scope(self._codes_of(names))
        rows = self.table.column("customer_id").take(scope.rows).to_pylist()
        return sorted({*self.people.names(scope.persons), *rows})

    def person_of(self, row: int) -> str:
        """Returns who holds a row."""
        return str(self.table.column("person_id")[row].as_py())

    def _codes_of(self, names: Iterable[str]) -> Rows:
        asked = list(names)
        rows = self.row_of.find(asked)
        codes: Rows = np.concatenate([self.people.codes.find(asked), self.people.of_row[rows[rows >= 0]]])
        return np.unique(codes[codes >= 0]).astype(np.intp)

    def province_of(self, customer_id: str) -> str | None:
        """Returns a subscription's province, if it is known."""
        row = self.row_of.get(customer_id)
        return None if row is None else self._provinces[self._province[row]]

    def language_of(self, customer_id: str) -> Locale:
        """Returns the language a customer is written in."""
        row = self.row_of.get(customer_id)
        return "en" if row is not None and self.table.column("language")[row].as_py() == "en" else "zh"

    def is_no_sale(self, customer_id: str) -> bool:
        """Returns whether this subscription's holder is pitched nothing today; product fit then waits to be asked."""
        row = self.row_of.get(customer_id)
        return row is not None and bool(self.table.column(NO_SALE)[row].as_py())

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def check_place(self, **place: str | None) -> None:
        """Refuses a place without customers: `province` and `city` together, so that a city elsewhere is as none.

        Raises:
            NotFoundError: If no customer is there.
        """
        import pyarrow.compute as pc

        asked = {name: wanted for name, wanted in place.items() if wanted is not None}
        found = self.table.select(list(asked))
        for name, wanted in asked.items():
            found = found.filter(pc.equal(found.column(name), wanted))
        if asked and not found.num_rows:
            remedy = f"name the {' and the '.join(asked)} as the feed `customers` writes them"
            raise NotFoundError("no customers in this place", remedy=remedy)

    def refusals(
        self, purpose: str, channel: str, on: date, *, at: time | None = None, rows: Rows | None = None
    ) -> dict[str, Flags]:
        """Returns each code of a purpose with the rows it refuses, bool [n].

        Args:
            purpose: service, care, retention or marketing.
            channel: call, message, app or hall.
            on: The day of the contact.
            at: The local time of the contact, if it is known.
            rows: The rows asked for; None means all.

        Raises:
            DataError: For an unknown purpose or channel.
        """
        if channel not in CHANNELS:
            raise DataError(f"unknown channel '{channel}'", remedy="channels: " + ", ".join(CHANNELS))
        rule = self.settings.purposes.get(purpose)  # type: ignore[call-overload]
        if rule is None:
            raise DataError(f"unknown purpose '{purpose}'", remedy="purposes: " + ", ".join(self.settings.purposes))
        chosen: Any = slice(None) if rows is None else rows
        found = consent_refusals(rule.consent, self._consents, rule.consent_purpose or purpose, channel, chosen)
        for code in rule.refusals:
            if stops_on(code, channel):
                found[code] = self._refused_by(code, channel, on, chosen)
        if at is not None:
            quiet = self.settings.policy.quiet_hours
            asleep = np.array([is_quiet(quiet, province, at) for province in self._provinces], dtype=bool)
            found["quiet_hours"] = asleep[self._province[chosen]]
        return found

    def not_evaluable(self, purpose: str, channel: str) -> tuple[str, ...]:
        """Returns the codes of a purpose that nobody can check, because the feed behind them has not landed."""
        rule = self.settings.purposes[purpose]  # type: ignore[index]
        wanted = {code for code in rule.refusals if stops_on(code, channel)}
        if rule.consent == "not_withdrawn":
            wanted.add("consent_withdrawn")
        return tuple(sorted(wanted & self.unchecked))

    def allowed(self, purpose: str, channel: str, on: date) -> Flags:
        """Returns the rows that may be contacted, bool [n]: the gate of lists and audiences."""
        refused = np.zeros(len(self), dtype=bool)
        for flags in self.refusals(purpose, channel, on).values():
            refused |= flags
        return ~refused

    def verdicts(
        self, ids: Sequence[str], purpose: str, channel: str, on: date, *, at: time | None = None
    ) -> list[Verdict | None]:
        """Returns the verdict on each subscription, in the order asked; None for one that nobody knows."""
        rows = self.row_of.find(ids)
        found = self.refusals(purpose, channel, on, at=at, rows=rows[rows >= 0])
        answers: list[Verdict | None] = []
        places = np.cumsum(rows >= 0) - 1
        for place, row in zip(places.tolist(), rows.tolist(), strict=True):
            if row < 0:
                answers.append(None)
                continue
            codes = tuple(code for code, flags in found.items() if flags[place])
            control = bool(self._flags["control_group"][row])
            hours = open_hours(self.settings.policy.quiet_hours, self._provinces[self._province[row]])
            next_on = self._next_on(row, codes, on)
            if "quiet_hours" in codes and next_on == on and at is not None and all(start <= at for start, _ in hours):
                next_on = next_working_day(self.settings.policy.holidays, on + timedelta(days=1))
            spans = tuple(f"{start:%H:%M}-{end:%H:%M}" for start, end in hours)
            answers.append(Verdict(not codes, codes, next_on, control, spans))
        return answers

    def action_codes(self, row: int, action: str, on: date) -> list[str]:
        """Returns the codes that stop one action for one person: told or declined too recently."""
        codes = []
        told = int(self._told[action][row]) if action in self._told else NEVER
        if told > NEVER and day_number(on) < told + self.settings.actions[action].not_again_days:
            codes.append("told_recently")
        if action in self._declined and day_number(on) < self._declined[action][row]:
            codes.append("declined_recently")
        return codes

    def _next_on(self, row: int, codes: tuple[str, ...], on: date) -> date | None:
        if not codes or not set(codes) <= _OF_THE_HOUR.union(RESTS):
            return None
        first = max([on, *(day_of(int(self._free_on[code][row])) for code in codes if code in self._free_on)])
        return next_working_day(self.settings.policy.holidays, first) if "festival" in codes or first > on else first

    def _refused_by(self, code: str, channel: str, on: date, rows: Any) -> Flags:
        if code in RESTS:
            return np.asarray(self._free_on[code][rows] > day_number(on))
        if code == "festival":
            return np.full(len(self._nobody[rows]), is_festival(self.settings.policy.holidays, on))
        if code == "personalisation_declined":
            return np.asarray(self._consents["personalisation", channel][rows] == 0)
        forbidden = self._forbidden.get(code, self._nobody)[rows]
        return np.asarray(self._flags[code][rows] | forbidden)

    def _read_flags(self, feeds: FeedStates) -> dict[str, Flags]:
        names = {code for rule in self.settings.purposes.values() for code in rule.refusals}
        table, control = self.table, self.settings.control
        flags = {
            name: table.column(name).to_numpy(zero_copy_only=False).astype(bool)
            for name in sorted(names & set(table.column_names))
        }
        lots = table.column("lot").to_numpy()
        if control.salt != feeds.salt:
            lots = np.array([drawn(control.salt, name) for name in table.column("person_id").to_pylist()], np.uint64)
        flags["control_group"] = lots < np.uint64(lots_of(control))
        flags["open_ticket"] = self._nobody
        return flags

    def _read_consents(self) -> dict[tuple[str, str], Labels]:
        """Returns the newest answer per purpose and channel: 1 yes, 0 no, -1 never asked."""
        found = {}
        for name in self.table.column_names:
            if name.startswith("consent_"):
                _, purpose, channel = name.split("_")
                found[purpose, channel] = self.table.column(name).cast("int8").fill_null(-1).to_numpy()
        return found

    def _with_returned(self, ledger: LedgerFacts) -> LedgerFacts:
        named = tuple(refusal for refusal in ledger.refusals if not _is_hashed(refusal))
        return replace(ledger, refusals=named + self._returned)

    def _come_back(self, refusals: tuple[Refusal, ...], erased: Suppression | None) -> tuple[Refusal, ...]:
        """Returns the refusals of erased persons who are back, with their names."""
        hashed = [refusal for refusal in refusals if _is_hashed(refusal)]
        if not hashed or erased is None:
            return ()
        persons = {f"{HASHED}{erased.hashed(name)}": name for name in self.people.codes}
        customers = {f"{HASHED}{erased.hashed(name)}": name for name in self.row_of}
        named = [
            replace(one, person_id=persons.get(one.person_id or ""), customer_id=customers.get(one.customer_id or ""))
            for one in hashed
        ]
        return tuple(one for one in named if one.person_id or one.customer_id)


def consent_refusals(
    rule: str, consents: Mapping[tuple[str, str], Labels], purpose: str, channel: str, rows: Any
) -> dict[str, Flags]:
    """Returns the codes of a rule about consent with the rows it refuses; consents are 1 yes, 0 no, -1 unasked."""
    if rule == "none":
        return {}
    answers = consents[purpose, channel][rows]
    found = {"consent_withdrawn": answers == 0}
    if rule == "explicit":
        found = {"consent_missing": answers < 0, **found}
    return found


def _is_hashed(refusal: Refusal) -> bool:
    return HASHED in ((refusal.person_id or "")[:1], (refusal.customer_id or "")[:1])


def _patched(before: Mapping[str, Any], rows: Rows, new: Mapping[str, Any], length: int) -> dict[str, Any]:
    """Returns arrays by row with other values in some rows; an array in which nothing changes is not copied."""
    found = dict(before)
    for name in sorted({*before, *new}):
        sample = before[name] if name in before else new[name]
        nothing = NEVER if sample.dtype == np.int32 else 0
        old = before[name] if name in before else np.full(length, nothing, dtype=sample.dtype)
        values = new[name] if name in new else np.full(len(rows), nothing, dtype=sample.dtype)
        if not np.array_equal(old[rows], values):
            found[name] = old.copy()
            found[name][rows] = values
    return found
