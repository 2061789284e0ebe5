"""The ledger of outreach: who is claimed by which line, what was attempted, what may not happen any more.

A claim is one row per person and day of the contact window; its primary key keeps two windows of a person apart.
Everything that depends on each other happens in one writing transaction: a list's key, its claims and its lines; the
last check of suppressions and the publication of the files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable
from datetime import date, datetime, timedelta
from typing import Any, TypeVar

import orjson
from sqlalchemy import delete, func, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from features.kit.clock import utc_now
from features.kit.errors import NotFoundError, NotReadyError
from serving.database.tables_outreach import (
    AttemptRow,
    ClaimDayRow,
    ContactRow,
    ListLineRow,
    OutreachLineRow,
    OutreachListRow,
    RefusalRow,
)
from serving.outreach.decision.actions import Option
from serving.outreach.export.content import Content
from serving.outreach.policy.policy import LedgerFacts, Refusal

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
TRIES = 4
"""Waits of `serving.database.session.BUSY_SECONDS` each before a busy ledger is told."""

Result = TypeVar("Result")
OPEN, CLOSED, EXPIRED, WITHDRAWN = "open", "closed", "expired", "withdrawn"
CLAIMED, RELEASED = "claimed", "released"


def line_id_of(person_id: str, first_day: date, salt: int = 0) -> str:
    """Returns a short id with a check character, e.g. `7KQ2-M9XF5`: eight base-32 characters of a hash and one more.

    It says nothing about the person, and a slip of one character is found on re-import.
    """
    digest = hashlib.sha256(f"line\x00{person_id}\x00{first_day}\x00{salt}".encode()).digest()
    number = int.from_bytes(digest[:5])
    body = "".join(_ALPHABET[number >> shift & 31] for shift in range(35, -5, -5))
    return f"{body[:4]}-{body[4:]}{_check_character(body)}"


def is_line_id(text_: str) -> bool:
    """Returns whether a text is a line id with the right check character."""
    bare = text_.replace("-", "").upper()
    return len(bare) == 9 and set(bare) <= set(_ALPHABET) and _check_character(bare[:8]) == bare[8]


def _check_character(body: str) -> str:
    return _ALPHABET[sum((2 * place + 1) * _ALPHABET.index(one) for place, one in enumerate(body)) % 32]


def patiently(work: Callable[[], Result]) -> Result:
    """Returns what one writing transaction returns, begun anew if other writers kept it waiting too long.

    Raises:
        NotReadyError: If the ledger stays busy; the same key may be tried again without harm.
    """
    for _ in range(TRIES):
        try:
            return work()
        except OperationalError as error:
            if "locked" not in str(error.orig) and "lock timeout" not in str(error.orig):
                raise
    raise NotReadyError("the outreach ledger is busy", remedy="try again with the same key")


def lock_ledger(session: Session) -> None:
    """Lets one writer of the ledger in at a time; SQLite's writing transaction does so already."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("LOCK TABLE outreach_claim_days IN EXCLUSIVE MODE"))


def read_facts(session: Session, on: date) -> LedgerFacts:
    """Returns what the ledger adds to the feeds: refusals in force, contacts, and claims from `on` on."""
    refusals = session.scalars(select(RefusalRow).where((RefusalRow.ends_on.is_(None)) | (RefusalRow.ends_on > on)))
    contacts = session.execute(
        select(ContactRow.person_id, ContactRow.contact_id, ContactRow.action, ContactRow.day).order_by(
            ContactRow.contact_id
        )
    )
    claims = session.execute(
        select(ClaimDayRow.person_id, func.max(ClaimDayRow.day))
        .where(ClaimDayRow.day >= on)
        .group_by(ClaimDayRow.person_id)
    )
    return LedgerFacts(
        refusals=tuple(
            Refusal(r.code, r.person_id, r.customer_id, r.action, r.ticket_id, r.starts_on, r.ends_on) for r in refusals
        ),
        contacts=tuple((person, contact_id, action, day) for person, contact_id, action, day in contacts),
        claimed_until={row[0]: row[1] for row in claims},
    )


class ListLedger:
    """The writing side of one list, inside one transaction of `serving.database.session.writing`."""

    def __init__(
        self, session: Session, list_id: str, as_of: date, window_days: int, claimed: Collection[str] = ()
    ) -> None:
        self._session = session
        self._claimed = claimed
        self._list_id = list_id
        self._as_of = as_of
        self._days = [as_of + timedelta(days=k) for k in range(window_days)]
        self._now = utc_now()
        self._position = 0
        self.line_ids: dict[str, str] = {}

    @property
    def valid_until(self) -> date:
        """Returns the last day of a new line."""
        return self._days[-1]

    def claim(self, option: Option) -> bool:
        """Reserves the person for every day of the window; False, and nothing kept, if any day is taken."""
        if option.person_id in self._claimed:
            return False
        for salt in range(8):
            line_id = line_id_of(option.person_id, self._as_of, salt)
            if self._session.get(OutreachLineRow, line_id) is None:
                break
        rows = [{"person_id": option.person_id, "day": day, "line_id": line_id} for day in self._days]
        dialect = postgresql if self._session.get_bind().dialect.name == "postgresql" else sqlite
        self._session.execute(dialect.insert(ClaimDayRow).on_conflict_do_nothing(), rows)
        mine = select(func.count()).where(ClaimDayRow.line_id == line_id)
        if self._session.scalar(mine) != len(rows):
            self._session.execute(delete(ClaimDayRow).where(ClaimDayRow.line_id == line_id))
            return False
        self.line_ids[option.person_id] = line_id
        return True

    def add_line(self, option: Option, content: Content, purpose: str) -> str:
        """Adds a claimed option as a new line at the end of the list and returns its id."""
        line_id = self.line_ids[option.person_id]
        card = option.candidate.card
        self._session.add(
            OutreachLineRow(
                line_id=line_id,
                person_id=option.person_id,
                customer_id=option.candidate.customer_id,
                province=card.get("province"),
                city=card.get("city"),
                action=option.action,
                purpose=purpose,
                channel=option.channel,
                team=option.team,
                skill=option.skill,
                drawn_on=self._as_of,
                valid_until=self.valid_until,
                status=OPEN,
                attempts=0,
                content=orjson.dumps(content, option=orjson.OPT_SORT_KEYS).decode(),
                created_at=self._now,
            )
        )
        self._session.flush()
        self._put(line_id, is_carried=False)
        return line_id

    def carry(self, line: OutreachLineRow) -> None:
        """Puts an unfinished line on this list as carried over."""
        self._put(line.line_id, is_carried=True)

    def _put(self, line_id: str, *, is_carried: bool) -> None:
        self._position += 1
        self._session.add(
            ListLineRow(
                list_id=self._list_id,
                line_id=line_id,
                day=self._as_of,
                position=self._position,
                is_carried=is_carried,
            )
        )


def expire_lines(session: Session, on: date) -> int:
    """Closes the open lines whose window has passed and returns how many."""
    result = session.execute(
        update(OutreachLineRow)
        .where(OutreachLineRow.status == OPEN, OutreachLineRow.valid_until < on)
        .values(status=EXPIRED, closed_code="window_passed")
    )
    return int(result.rowcount)  # type: ignore[attr-defined]


def unfinished_lines(session: Session, on: date, until: datetime) -> list[OutreachLineRow]:
    """Returns the open lines of earlier days that are due on a day and on no list of that day yet, oldest first.

    A line with an appointment is due on the day of the appointment: before `until`, the end of the day.
    """
    listed = select(ListLineRow.line_id).where(ListLineRow.day == on)
    lines = session.scalars(
        select(OutreachLineRow)
        .where(
            OutreachLineRow.status == OPEN,
            OutreachLineRow.drawn_on < on,
            OutreachLineRow.valid_until >= on,
            OutreachLineRow.line_id.not_in(listed),
            (OutreachLineRow.next_at.is_(None)) | (OutreachLineRow.next_at < until),
        )
        .order_by(OutreachLineRow.drawn_on, OutreachLineRow.line_id)
    )
    return list(lines)


def listed_on(session: Session, day: date) -> dict[tuple[str, str], int]:
    """Returns how many lines the lists of a day hold per (team, skill): still open, or closed by an attempt."""
    rows = session.execute(
        select(OutreachLineRow.team, OutreachLineRow.skill, func.count())
        .join(ListLineRow, ListLineRow.line_id == OutreachLineRow.line_id)
        .where(ListLineRow.day == day, OutreachLineRow.status.in_((OPEN, CLOSED)))
        .group_by(OutreachLineRow.team, OutreachLineRow.skill)
    )
    return {(team, skill): count for team, skill, count in rows}


def withdraw(session: Session, lines: Iterable[tuple[OutreachLineRow, str]]) -> None:
    """Takes open lines off their lists, each with the code that stopped it."""
    for line, code in lines:
        line.status, line.closed_code = WITHDRAWN, code
        withdraw_from_lists(session, line.line_id, code)


def withdraw_from_lists(session: Session, line_id: str, code: str) -> None:
    """Leaves a line out of every list that is written from now on."""
    session.execute(
        update(ListLineRow)
        .where(ListLineRow.line_id == line_id, ListLineRow.withdrawn_code.is_(None))
        .values(withdrawn_code=code)
    )


def list_row(session: Session, list_id: str) -> OutreachListRow:
    """Returns a list. Raises NotFoundError."""
    row = session.get(OutreachListRow, list_id)
    if row is None:
        raise NotFoundError(f"no outreach list '{list_id}'", remedy="`insight outreach lists` shows them")
    return row


def lines_of(session: Session, list_id: str) -> list[tuple[ListLineRow, OutreachLineRow]]:
    """Returns a list's lines that were not withdrawn, in order."""
    rows = session.execute(
        select(ListLineRow, OutreachLineRow)
        .join(OutreachLineRow, OutreachLineRow.line_id == ListLineRow.line_id)
        .where(ListLineRow.list_id == list_id, ListLineRow.withdrawn_code.is_(None))
        .order_by(ListLineRow.position)
    )
    return [(place, line) for place, line in rows]


def last_attempts(session: Session, list_id: str) -> dict[str, AttemptRow]:
    """Returns the newest attempt of each line of a list that has one."""
    rows = session.scalars(
        select(AttemptRow)
        .join(ListLineRow, ListLineRow.line_id == AttemptRow.line_id)
        .where(ListLineRow.list_id == list_id)
        .order_by(AttemptRow.line_id, AttemptRow.ordinal)
    )
    return {row.line_id: row for row in rows}


def content_of(line: OutreachLineRow) -> dict[str, Any]:
    """Returns a line's content."""
    content: dict[str, Any] = orjson.loads(line.content)
    return content
