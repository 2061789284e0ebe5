"""The ledger of outreach: who is claimed by which line, what was attempted, what may not happen any more.

A claim is one row per person and day of the contact window; its primary key keeps two windows of a person apart.
Everything that depends on each other happens in one writing transaction: a list's key, its claims and its lines; the
last check of suppressions and the publication of the files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from time import monotonic
from typing import Any, TypeVar

import orjson
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import IntegrityError, OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session

from features.kit.clock import instant_of
from features.kit.errors import ConflictError, NotFoundError, NotReadyError
from features.kit.log import get_logger
from serving.database.session import busy_seconds, is_busy
from serving.database.tables_outreach import (
    CLOSED,
    EXPIRED,
    OPEN,
    WITHDRAWN,
    AttemptRow,
    ListLineRow,
    OutreachLineRow,
    OutreachListRow,
)  # fmt: skip
from serving.outreach.dispositions import FINISHED

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
TRIES = 4
"""Waits of `serving.database.session.BUSY_SECONDS` each before a busy ledger is told."""

Result = TypeVar("Result")
CLAIMED, RELEASED = "claimed", "released"


SALTS = 8
"""Line ids of one person and day that are tried."""


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
    return _ALPHABET[sum((2 * place + 1) * _ALPHABET.index(character) for place, character in enumerate(body)) % 32]


def patiently(work: Callable[[], Result]) -> Result:
    """Returns what one writing transaction returns, begun anew if other writers kept it waiting too long.

    Two writers of one row meet in PostgreSQL only at its end: begun anew, the second one sees the row.

    Raises:
        NotReadyError: If the ledger stays busy; the same key may be tried again without harm.
    """
    for attempt in range(1, TRIES + 1):
        try:
            return work()
        except IntegrityError:
            if attempt == TRIES:
                raise
        except OperationalError as error:
            if not is_busy(error):
                raise
    raise NotReadyError("the outreach ledger is busy", remedy="try again with the same key")


@dataclass
class Batch:
    """Writes the items of one batch, each in its own transaction: what fails for one fails for no other.

    Only a busy ledger, waited for in vain, ends the batch: the rest would wait as long.
    """

    waited: float = 0.0  # seconds lost to a busy ledger so far

    def write(self, work: Callable[[], Result]) -> Result:
        """Returns what an item's transaction returns.

        Raises:
            NotReadyError: If the ledger did not take the item, or has been busy for too long; nothing is recorded.
        """
        if self.waited > busy_seconds() / 2:
            raise NotReadyError("the outreach ledger is busy", remedy="send the same again")
        begun = monotonic()
        try:
            return patiently(work)
        except NotReadyError:
            self.waited += monotonic() - begun
            raise
        except SQLAlchemyError as error:
            get_logger().error("item_not_recorded", error_kind=type(error).__name__)
            raise NotReadyError("the outreach ledger did not take it", remedy="send the same again") from error


def lock_ledger(session: Session) -> None:
    """Lets one writer of the ledger in at a time; SQLite's writing transaction does so already."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("LOCK TABLE outreach_claim_days IN EXCLUSIVE MODE"))


def expire_lines(session: Session, on: date) -> int:
    """Closes the open lines whose window has passed and returns how many."""
    result = session.execute(
        update(OutreachLineRow)
        .where(OutreachLineRow.status == OPEN, OutreachLineRow.valid_until < on)
        .values(status=EXPIRED, closed_code="window_passed")
    )
    return int(result.rowcount)  # type: ignore[attr-defined]


def unfinished_lines(session: Session, on: date, time_zone: str) -> list[OutreachLineRow]:
    """Returns the open lines of earlier days that are due on a day and on no list of that day yet, oldest first.

    A line with an appointment is due on the day of the appointment, which ends at midnight of the time zone.
    """
    until = instant_of(on + timedelta(days=1), time_zone)
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


def finished_since(session: Session, basis: date, time_zone: str) -> set[tuple[str, str]]:
    """Returns (subscription, action) of the lines that ended with the customer after the day of the data.

    Portraits of that day still show their facts: they know nothing of what was said since.
    """
    rows = session.execute(
        select(OutreachLineRow.customer_id, OutreachLineRow.action)
        .join(AttemptRow, AttemptRow.line_id == OutreachLineRow.line_id)
        .where(AttemptRow.disposition.in_(FINISHED), AttemptRow.at >= instant_of(basis, time_zone))
    )
    return {(customer_id, action) for customer_id, action in rows}


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


def check_no_later_list(session: Session, day: date) -> None:
    """Refuses the list of a day that lies behind others: a mistyped date would call people for facts of long ago.

    Raises:
        ConflictError: Naming the newest list's day.
    """
    newest = session.scalar(select(func.max(OutreachListRow.as_of)))
    if newest is not None and newest > day:
        raise ConflictError(
            f"{day} is before {newest}, the day of the newest list",
            remedy=f"name the present day; if the past is meant: insight outreach --as-of {day}",
        )
