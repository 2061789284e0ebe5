"""The contact policy: may this subscription be contacted, for what, on which channel and when; if not, why not.

A refusal is a stable code of `serving/outreach/refusals.py`; `configs/outreach.yaml` says what each purpose heeds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
from serving.outreach.policy.control import in_control_group
from serving.outreach.policy.ledger_facts import HASHED, LedgerFacts, Refusal
from serving.outreach.policy.states import FeedStates
from serving.outreach.refusals import CHANNELS, stops_on
from serving.outreach.settings import OutreachSettings

_RESTS = ("cap_reached", "cool_down", "unreached", "claimed")
"""Codes that end on a day known for each subscription."""
_OF_THE_HOUR = frozenset({"festival", "quiet_hours"})
_LONG_AGO = np.datetime64("1900-01-01")


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

    def province_of(self, customer_id: str) -> str | None:
        """Returns a subscription's province, if it is known."""
        row = self.row_of.get(customer_id)
        return None if row is None else self.provinces[row]

    def language_of(self, customer_id: str) -> Locale:
        """Returns the language a customer is written in."""
        row = self.row_of.get(customer_id)
        return "en" if row is not None and self.table.column("language")[row].as_py() == "en" else "zh"

    def is_no_sale(self, customer_id: str) -> bool:
        """Returns whether this subscription's holder is pitched nothing today; product fit then waits to be asked."""
        row = self.row_of.get(customer_id)
        return row is not None and bool(self.table.column(NO_SALE)[row].as_py())

    def __len__(self) -> int:
        return len(self.customer_ids)

    def check_place(self, **place: str | None) -> None:
        """Refuses a place without customers: `province` and `city` together, so that a city elsewhere is as none.

        Raises:
            NotFoundError: If no customer is there.
        """
        asked = {name: wanted for name, wanted in place.items() if wanted is not None}
        rows = zip(*(self.table.column(name).to_pylist() for name in asked), strict=True)
        if asked and tuple(asked.values()) not in rows:
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
        found = self._consent_refusals(rule.consent, rule.consent_purpose or purpose, channel, chosen)
        for code in rule.refusals:
            if stops_on(code, channel):
                found[code] = self._refused_by(code, channel, on, chosen)
        if at is not None:
            provinces = self.provinces if rows is None else [self.provinces[row] for row in rows]
            quiet = self.settings.policy.quiet_hours
            found["quiet_hours"] = np.array([is_quiet(quiet, province, at) for province in provinces], dtype=bool)
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
        known = [self.row_of[customer_id] for customer_id in ids if customer_id in self.row_of]
        rows = np.array(known, dtype=np.intp)
        found = self.refusals(purpose, channel, on, at=at, rows=rows)
        place = {row: k for k, row in enumerate(known)}
        answers: list[Verdict | None] = []
        for customer_id in ids:
            row = self.row_of.get(customer_id)
            if row is None:
                answers.append(None)
                continue
            codes = tuple(code for code, flags in found.items() if flags[place[row]])
            control = bool(self._flags["control_group"][row])
            hours = open_hours(self.settings.policy.quiet_hours, self.provinces[row])
            next_on = self._next_on(row, codes, on)
            if "quiet_hours" in codes and next_on == on and at is not None and all(start <= at for start, _ in hours):
                next_on = next_working_day(self.settings.policy.holidays, on + timedelta(days=1))
            spans = tuple(f"{start:%H:%M}-{end:%H:%M}" for start, end in hours)
            answers.append(Verdict(not codes, codes, next_on, control, spans))
        return answers

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

    def _next_on(self, row: int, codes: tuple[str, ...], on: date) -> date | None:
        if not codes or not set(codes) <= self._free_on.keys() | _OF_THE_HOUR:
            return None
        first = max([on, *(self._free_on[code][row].astype(date) for code in codes if code in self._free_on)])
        return next_working_day(self.settings.policy.holidays, first) if "festival" in codes or first > on else first

    def _refused_by(self, code: str, channel: str, on: date, rows: Any) -> Flags:
        if code in self._free_on:
            return np.asarray(self._free_on[code][rows] > np.datetime64(on))
        if code == "festival":
            return np.full(len(self._free_on["claimed"][rows]), is_festival(self.settings.policy.holidays, on))
        if code == "personalisation_declined":
            return np.asarray(self._consents["personalisation", channel][rows] == 0)
        return np.asarray(self._flags[code][rows])

    def _consent_refusals(self, rule: str, purpose: str, channel: str, rows: Any) -> dict[str, Flags]:
        if rule == "none":
            return {}
        answers = self._consents[purpose, channel][rows]
        found = {"consent_withdrawn": answers == 0}
        if rule == "explicit":
            found = {"consent_missing": answers < 0, **found}
        return found

    def _read_flags(self) -> dict[str, Flags]:
        names = {code for rule in self.settings.purposes.values() for code in rule.refusals}
        table = self.table
        flags = {
            name: table.column(name).to_numpy(zero_copy_only=False).astype(bool).copy()
            for name in sorted(names & set(table.column_names))
        }
        drawn = {person: in_control_group(self.settings.control, person) for person in self._rows_of_person}
        flags["control_group"] = np.array([drawn[person] for person in self.person_ids], dtype=bool)
        flags["open_ticket"] = np.zeros(len(self), dtype=bool)
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
            if not rows or self._is_settled(refusal, rows):
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

    def _is_settled(self, refusal: Refusal, rows: list[int]) -> bool:
        """Returns whether the feeds know since that the matter is over: ticket closed, number checked or changed."""
        if refusal.ticket_id is not None:
            closed = self.table.column("closed_tickets")
            return any(refusal.ticket_id in closed[row].as_py() for row in rows)
        column = {"wrong_person": "number_checked_on", "number_invalid": "number_since"}.get(refusal.code)
        if column is None:
            return False
        since = self.table.column(column)[rows[0]].as_py()
        return since is not None and since > refusal.starts_on


def _tuples(table: Any) -> Iterable[tuple[Any, ...]]:
    return zip(*(column.to_pylist() for column in table.columns), strict=True)
