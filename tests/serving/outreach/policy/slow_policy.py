"""The contact policy as it was made before it lived: row by row, whole each time. The slow twin of `PolicyBook`.

What one row says by itself (what a consent refuses, whether the feeds settled a refusal) is the policy's own: the twin
is about whom, since when and until when.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date, time, timedelta
from typing import Any

import numpy as np

from features.feeds.landing.suppression import Suppression
from features.kit.arrays import Flags, Labels
from serving.outreach.policy.calendar import is_festival, is_quiet
from serving.outreach.policy.control import drawn, lots_of
from serving.outreach.policy.ledger_facts import HASHED, LedgerFacts, Refusal
from serving.outreach.policy.policy import consent_refusals
from serving.outreach.policy.standing import is_settled
from serving.outreach.policy.states import FeedStates
from serving.outreach.refusals import stops_on
from serving.outreach.settings import OutreachSettings

_RESTS = ("cap_reached", "cool_down", "unreached", "claimed")
_LONG_AGO = np.datetime64("1900-01-01")


class SlowPolicy:
    """The contact policy over a base, made whole each time, person by person in plain dictionaries."""

    def __init__(self, settings: OutreachSettings, feeds: FeedStates, ledger: LedgerFacts) -> None:
        self.settings = settings.for_operator(feeds.operator.time_zone, feeds.operator.country)
        self.table = feeds.states
        self.customer_ids: list[str] = feeds.states.column("customer_id").to_pylist()
        self.person_ids: list[str] = feeds.states.column("person_id").to_pylist()
        self.provinces: list[str | None] = feeds.states.column("province").to_pylist()
        self.row_of = {customer_id: row for row, customer_id in enumerate(self.customer_ids)}
        self._rows_of_person: dict[str, list[int]] = {}
        for row, person_id in enumerate(self.person_ids):
            self._rows_of_person.setdefault(person_id, []).append(row)
        self._flags = self._read_flags()
        self._consents = self._read_consents()
        self._actions_refused: dict[tuple[str, str], date] = {}
        self._free_on = {code: np.full(len(self.customer_ids), _LONG_AGO) for code in _RESTS}
        self._last_told: dict[tuple[str, str], date] = {}
        self._apply_contacts(feeds, ledger)
        self._apply_refusals(feeds, ledger)

    def refusals(self, purpose: str, channel: str, on: date, at: time) -> dict[str, Flags]:
        """Returns each code of a purpose with the rows it refuses, bool [n]."""
        rule = self.settings.purposes[purpose]  # type: ignore[index]
        found = consent_refusals(rule.consent, self._consents, rule.consent_purpose or purpose, channel, slice(None))
        for code in rule.refusals:
            if stops_on(code, channel):
                found[code] = self._refused_by(code, channel, on, slice(None))
        quiet = self.settings.policy.quiet_hours
        found["quiet_hours"] = np.array([is_quiet(quiet, province, at) for province in self.provinces], dtype=bool)
        return found

    def action_codes(self, row: int, action: str, on: date) -> list[str]:
        """Returns the codes that stop one action for one person: told or declined too recently."""
        person = self.person_ids[row]
        codes = []
        told = self._last_told.get((person, action))
        if told is not None and on < told + timedelta(days=self.settings.actions[action].not_again_days):
            codes.append("told_recently")
        until = self._actions_refused.get((person, action))
        if until is not None and on < until:
            codes.append("declined_recently")
        return codes

    def _refused_by(self, code: str, channel: str, on: date, rows: Any) -> Flags:
        if code in self._free_on:
            return np.asarray(self._free_on[code][rows] > np.datetime64(on))
        if code == "festival":
            return np.full(len(self._free_on["claimed"][rows]), is_festival(self.settings.policy.holidays, on))
        if code == "personalisation_declined":
            return np.asarray(self._consents["personalisation", channel][rows] == 0)
        return np.asarray(self._flags[code][rows])

    def _read_flags(self) -> dict[str, Flags]:
        names = {code for rule in self.settings.purposes.values() for code in rule.refusals}
        table = self.table
        flags = {
            name: table.column(name).to_numpy(zero_copy_only=False).astype(bool).copy()
            for name in sorted(names & set(table.column_names))
        }
        salt, least = self.settings.control.salt, lots_of(self.settings.control)
        withheld = {person: drawn(salt, person) < least for person in self._rows_of_person}
        flags["control_group"] = np.array([withheld[person] for person in self.person_ids], dtype=bool)
        flags["open_ticket"] = np.zeros(len(self.customer_ids), dtype=bool)
        return flags

    def _read_consents(self) -> dict[tuple[str, str], Labels]:
        """Returns the newest answer per purpose and channel: 1 yes, 0 no, -1 never asked."""
        found = {}
        for name in self.table.column_names:
            if name.startswith("consent_"):
                _, purpose, channel = name.split("_")
                answers = self.table.column(name).to_pylist()
                found[purpose, channel] = np.array([-1 if a is None else int(a) for a in answers], dtype=np.int8)
        return found

    def _apply_contacts(self, feeds: FeedStates, ledger: LedgerFacts) -> None:
        of_person: dict[str, dict[str, tuple[str, date]]] = {}
        for person, contact_id, action, day in [*_tuples(feeds.contacts), *ledger.contacts]:
            of_person.setdefault(person, {})[contact_id] = (action, day)
        policy = self.settings.policy
        for person, contacts in of_person.items():
            for action, day in contacts.values():
                self._last_told[person, action] = max(day, self._last_told.get((person, action), day))
            counted = sorted((day for action, day in contacts.values() if self._counts(action)), reverse=True)
            if not counted:
                continue
            full = [counted[c.contacts - 1] + timedelta(days=c.days) for c in policy.caps if len(counted) >= c.contacts]
            rows = self._rows_of_person.get(person, [])
            self._free_on["cool_down"][rows] = np.datetime64(counted[0] + timedelta(days=policy.cool_down_days))
            if full:
                self._free_on["cap_reached"][rows] = np.datetime64(max(full))
        for person, day in ledger.claimed_until.items():
            self._free_on["claimed"][self._rows_of_person.get(person, [])] = np.datetime64(day + timedelta(days=1))

    def _counts(self, action: str) -> bool:
        known = self.settings.actions.get(action)
        return known is None or known.kind != "S"

    def _apply_refusals(self, feeds: FeedStates, ledger: LedgerFacts) -> None:
        rest = timedelta(days=self.settings.claim.declined_rest_days)
        for person, action, day in _tuples(feeds.declines):
            self._actions_refused[person, action] = day + rest
        for refusal in self._named(ledger.refusals, feeds.erased):
            rows = self._rows_of_person.get(refusal.person_id or "", [])
            if refusal.customer_id is not None:
                rows = [self.row_of[refusal.customer_id]] if refusal.customer_id in self.row_of else []
            if not rows or is_settled(self.table, refusal, rows):
                continue
            if refusal.action is not None and refusal.person_id is not None:
                until = refusal.ends_on or date.max
                key = (refusal.person_id, refusal.action)
                self._actions_refused[key] = max(until, self._actions_refused.get(key, until))
            elif refusal.code in ("cool_down", "unreached"):
                until_days = self._free_on[refusal.code]
                until_days[rows] = np.maximum(until_days[rows], np.datetime64(refusal.ends_on or date.max))
            elif refusal.code in self._flags:  # one that no purpose names any more stops nobody, and no list either
                self._flags[refusal.code][rows] = True

    def _named(self, refusals: tuple[Refusal, ...], erased: Suppression | None) -> list[Refusal]:
        """Returns the refusals with erased persons named again where one of them is back, and left out where not."""
        hashed = [
            refusal
            for refusal in refusals
            if HASHED in ((refusal.person_id or "")[:1], (refusal.customer_id or "")[:1])
        ]
        named = [refusal for refusal in refusals if refusal not in hashed]
        if hashed and erased is not None:
            persons = {f"{HASHED}{erased.hashed(name)}": name for name in self._rows_of_person}
            customers = {f"{HASHED}{erased.hashed(name)}": name for name in self.row_of}
            for refusal in hashed:
                person, customer = persons.get(refusal.person_id or ""), customers.get(refusal.customer_id or "")
                if person or customer:
                    named.append(replace(refusal, person_id=person, customer_id=customer))
        return named


def _tuples(table: Any) -> Iterable[tuple[Any, ...]]:
    return zip(*(column.to_pylist() for column in table.columns), strict=True)
