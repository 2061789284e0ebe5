"""A lost ledger made again as far as files know it: what landed in feeds, the lists in the folder, who was erased.

Whoever asked never to be contacted stays so, contacts count, and who is on a list of these days stays claimed. What the
lines said is lost: they are withdrawn, but a refusal on one of them is still heard. Only what is missing is added.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from features.feeds.landed.reading import Feeds
from features.feeds.landing.suppression import Suppression
from features.kit.clock import civil_date, instant_of, utc_now
from features.kit.home import Home
from serving.database.base import insert_missing
from serving.database.belonging import OUR_ATTEMPT, OUR_LINE, count_rows, lists_in
from serving.database.session import writing
from serving.database.tables_outreach import (
    WITHDRAWN,
    AttemptRow,
    ClaimDayRow,
    ContactRow,
    ListLineRow,
    OutreachLineRow,
    OutreachListRow,
    RefusalRow,
)
from serving.outreach.dispositions import DISPOSITIONS, UNREACHED, Forbids
from serving.outreach.erasure import forbid_erased
from serving.outreach.export.columns import COLUMNS
from serving.outreach.feedback.outcomes import complaint_ticket, refusal_of
from serving.outreach.lists.ledger import RELEASED, SALTS, line_id_of, lock_ledger
from serving.outreach.lists.release import FILES
from serving.outreach.policy.states import read_states
from serving.outreach.refusals import RefusalCode
from serving.outreach.settings import OutreachSettings, load_settings

LOST = "ledger_lost"


@dataclass(frozen=True)
class _Line:
    """What is known of a line whose ledger is lost."""

    person_id: str
    customer_id: str
    drawn_on: date
    action: str
    channel: str


def restore(home: Home, engine: Engine) -> dict[str, int]:
    """Adds to a ledger what feeds, lists and erasures know and it lacks; returns the rows added per kind.

    Raises:
        NotReadyError: If no feeds have landed.
    """
    feeds, settings = Feeds.open(home), load_settings()
    contacts, outcomes = _contacts(feeds), _outcomes(feeds)
    lists = {list_id: _rows_of(home, list_id) for list_id in sorted(lists_in(home))}
    day = max([feeds.latest_as_of(), *map(_day_of, lists)])
    states = read_states(feeds, day, settings).states
    people = dict(zip(states["customer_id"].to_pylist(), states["person_id"].to_pylist(), strict=True))
    with writing(engine) as session:
        lock_ledger(session)
        ledger = _Restored(session, settings, people, feeds.operator.time_zone)
        before = count_rows(session.connection())
        ledger.add_lists(lists)
        ledger.add_contacts(contacts)
        ledger.add_outcomes(outcomes, {one["contact_id"]: one["action"] for one in contacts})
        erased = Suppression.load(home)
        forbid_erased(session, persons=erased.persons, customers=erased.customers)
        session.flush()
        return {name: count - before[name] for name, count in count_rows(session.connection()).items()}


class _Restored:
    """The writing side, inside one transaction."""

    def __init__(self, session: Session, settings: OutreachSettings, people: dict[str, str], time_zone: str) -> None:
        self._session = session
        self._settings = settings
        self._people = people
        self._zone = time_zone
        self._now = utc_now()

    def add_lists(self, lists: dict[str, list[dict[str, str]]]) -> None:
        """Adds the lists of the folder, their lines withdrawn and their persons claimed."""
        drawn = self._lines_of(
            {_day_of(list_id) for list_id in lists}, {row["line_id"] for rows in lists.values() for row in rows}
        )
        for list_id, rows in lists.items():
            if self._session.get(OutreachListRow, list_id) is not None:
                continue
            day = _day_of(list_id)
            self._session.add(
                OutreachListRow(
                    list_id=list_id, as_of=day, owner=LOST, key=list_id, request_hash="", locale="zh", status=RELEASED,
                    summary="{}", created_at=self._now, released_at=self._now, files='{"restored":true}',
                )
            )  # fmt: skip
            self._session.flush()
            for position, row in enumerate(rows, start=1):
                line_id = row["line_id"]
                known = drawn.get(line_id)
                if known is None:
                    continue
                person, customer, first = known
                self._add_line(line_id, _Line(person, customer, first, *self._what(row)))
                self._session.add(
                    ListLineRow(
                        list_id=list_id, line_id=line_id, day=day, position=position, is_carried=first < day,
                        withdrawn_code=LOST,
                    )
                )  # fmt: skip

    def add_contacts(self, contacts: Iterable[dict[str, Any]]) -> None:
        """Adds contacts that landed."""
        for one in contacts:
            person = self._people.get(one["customer_id"])
            if person is None or self._session.get(ContactRow, one["contact_id"]) is not None:
                continue
            self._session.add(
                ContactRow(
                    contact_id=one["contact_id"], customer_id=one["customer_id"], person_id=person,
                    at=one["event_at"], day=civil_date(one["event_at"], self._zone), action=one["action"],
                    channel=one["channel"], campaign=one["campaign"], reported_at=one["known_at"],
                    landed_at=self._now,
                )
            )  # fmt: skip

    def add_outcomes(self, outcomes: Iterable[dict[str, Any]], actions: dict[str, str]) -> None:
        """Adds attempts that landed, and everything that they forbid."""
        tries: dict[str, int] = {}
        for one in outcomes:
            line_id, person = one["contact_id"], self._people.get(one["customer_id"])
            tries[line_id] = tries.get(line_id, 0) + 1
            if person is None or self._session.get(AttemptRow, one["event_id"]) is not None:
                continue
            day = civil_date(one["event_at"], self._zone)
            line = self._add_line(line_id, _Line(person, one["customer_id"], day, self._any_action, "call"))
            line.customer_id, line.action = one["customer_id"], actions.get(line_id, line.action)
            last = self._session.scalar(select(func.max(AttemptRow.ordinal)).where(AttemptRow.line_id == line_id))
            self._session.add(
                AttemptRow(
                    attempt_id=one["event_id"], line_id=line_id, ordinal=(last or 0) + 1, at=one["event_at"],
                    disposition=one["outcome"], order_reference=one["order_reference"], reported_at=one["known_at"],
                    landed_at=self._now,
                )
            )  # fmt: skip
            outcome = DISPOSITIONS[one["outcome"]].outcome
            forbids = outcome.forbids
            if outcome.then == "attempt" and tries[line_id] >= self._settings.claim.attempts:
                forbids = UNREACHED
            if forbids is not None:
                self._refuse(forbids, line, one["event_id"], day)
            self._session.flush()

    @property
    def _any_action(self) -> str:
        return next(iter(self._settings.actions))

    def _lines_of(self, days: set[date], wanted: set[str]) -> dict[str, tuple[str, str, date]]:
        """Returns whom and which day the wanted line ids were drawn for: an id is made from person and day."""
        customers = {person: customer for customer, person in sorted(self._people.items(), reverse=True)}
        return {
            line_id: (person, customer, day)
            for day in sorted(days)
            for person, customer in customers.items()
            for salt in range(SALTS)
            if (line_id := line_id_of(person, day, salt)) in wanted
        }

    def _what(self, row: dict[str, str]) -> tuple[str, str]:
        """Returns the action and the channel that a list names in its own language."""
        actions = {text: code for code, one in self._settings.actions.items() for text in (one.zh, one.en)}
        channels = {text: code for code, one in self._settings.channels.items() for text in (one.zh, one.en)}
        return actions.get(row.get("action", ""), self._any_action), channels.get(row.get("channel", ""), "call")

    def _add_line(self, line_id: str, line: _Line) -> OutreachLineRow:
        there = self._session.get(OutreachLineRow, line_id)
        if there is not None:
            return there
        days = [line.drawn_on + timedelta(days=k) for k in range(self._settings.claim.days)]
        known = self._settings.actions.get(line.action)
        row = OutreachLineRow(
            line_id=line_id, person_id=line.person_id, customer_id=line.customer_id, action=line.action,
            purpose=known.purpose if known else "care",
            channel=line.channel, team=LOST, skill=LOST, drawn_on=line.drawn_on, valid_until=days[-1],
            status=WITHDRAWN, closed_code=LOST, attempts=0, content="{}", created_at=self._now,
        )  # fmt: skip
        self._session.add(row)
        insert_missing(
            self._session, ClaimDayRow, [{"person_id": line.person_id, "day": day, "line_id": line_id} for day in days]
        )
        self._session.flush()
        return row

    def _refuse(self, forbids: Forbids, line: OutreachLineRow, source: str, day: date) -> None:
        """Adds what an outcome forbids; the number of a ticket did not land, so it rests as after a refusal instead."""
        if forbids.until_closed and forbids.code != RefusalCode.OPEN_COMPLAINT:
            forbids = replace(forbids, rest="declined_rest_days", until_closed=False)
        row = refusal_of(forbids, line, self._settings, source=source, day=day, ticket_id=complaint_ticket(source))
        self._add_refusal(row)

    def _add_refusal(self, row: RefusalRow) -> None:
        known = select(RefusalRow.refusal_id).where(RefusalRow.source == row.source, RefusalRow.code == row.code)
        if self._session.scalar(known) is None:
            self._session.add(row)


def _contacts(feeds: Feeds) -> list[dict[str, Any]]:
    """Returns the landed contacts of our lists, and those of others that no list of the feeds' last day knows yet."""
    since = instant_of(feeds.latest_as_of(), feeds.operator.time_zone).replace(tzinfo=None)
    return _landed(
        feeds, "contacts", "contact_id", ("contact_id", "action", "channel", "campaign"),
        "coalesce(arm, 'treated') = 'treated' AND (regexp_full_match(contact_id, ?) OR known_at >= ?)",
        [OUR_LINE, since],
    )  # fmt: skip


def _outcomes(feeds: Feeds) -> list[dict[str, Any]]:
    """Returns the landed outcomes of our lists, oldest first."""
    columns = ("event_id", "contact_id", "outcome", "order_reference")
    return _landed(feeds, "outcomes", "event_id", columns, "regexp_full_match(event_id, ?)", [OUR_ATTEMPT])


def _landed(
    feeds: Feeds, feed: str, key: str, columns: tuple[str, ...], condition: str, values: list[Any]
) -> list[dict[str, Any]]:
    if not feeds.has(feed):
        return []
    names = ("customer_id", "event_at", "known_at", *columns)
    with feeds.connect() as database:
        rows = database.execute(
            f"SELECT {', '.join(names)} FROM {feed} WHERE {condition} QUALIFY row_number() OVER "
            f"(PARTITION BY {key} ORDER BY known_at DESC) = 1 ORDER BY event_at, {key}",
            values,
        ).fetchall()
    found = [dict(zip(names, row, strict=True)) for row in rows]
    return [one | {name: one[name].replace(tzinfo=UTC) for name in ("event_at", "known_at")} for one in found]


def _rows_of(home: Home, list_id: str) -> list[dict[str, str]]:
    """Returns the cells of a list's file by the names of their columns; nothing if it was never written."""
    paths = [home.lists / list_id / name for (_, kind), name in FILES.items() if kind == "csv"]
    path = next((path for path in paths if path.exists()), None)  # every language holds the same lines
    if path is None:
        return []
    names = {spelling: one.name for one in COLUMNS for spelling in (one.header.zh, one.header.en)}
    head, *rows = csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig")))
    return [dict(zip([names.get(cell, cell) for cell in head], row, strict=False)) for row in rows]


def _day_of(list_id: str) -> date:
    """Returns the day of a list. Example: L260601-02 is of 2026-06-01."""
    return datetime.strptime(list_id[1:7], "%y%m%d").date()  # noqa: DTZ007 - a civil date has no zone
