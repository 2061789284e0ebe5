"""The tables of outreach: lists, their lines, the claims on persons, attempts, contacts and what was refused.

No row holds a phone number or a name. A claim is one row per person and day of the contact window, so the primary
key itself makes sure that two windows of one person never overlap, whoever draws lists at the same time.
"""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from serving.database.base import Base, Instant

OPEN, CLOSED, EXPIRED, WITHDRAWN = "open", "closed", "expired", "withdrawn"
"""What a line can be."""


class OutreachListRow(Base):
    """One list: `claimed` once its persons are reserved, `released` once its files are whole."""

    __tablename__ = "outreach_lists"

    list_id: Mapped[str] = mapped_column(String(20), primary_key=True)
    as_of: Mapped[date] = mapped_column(index=True)
    owner: Mapped[str] = mapped_column(String(100))
    key: Mapped[str] = mapped_column(String(200))
    request_hash: Mapped[str] = mapped_column(String(64))
    locale: Mapped[str] = mapped_column(String(2))
    status: Mapped[str] = mapped_column(String(10))
    summary: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Instant)
    released_at: Mapped[datetime | None] = mapped_column(Instant)
    files: Mapped[str] = mapped_column(Text, default="{}")

    __table_args__ = (UniqueConstraint("owner", "key"),)


class OutreachLineRow(Base):
    """One person on the list, from being drawn until closed; `content` is what the agent reads, as canonical JSON."""

    __tablename__ = "outreach_lines"

    line_id: Mapped[str] = mapped_column(String(12), primary_key=True)
    person_id: Mapped[str] = mapped_column(String(100), index=True)
    customer_id: Mapped[str] = mapped_column(String(100), index=True)
    province: Mapped[str | None] = mapped_column(String(100))
    city: Mapped[str | None] = mapped_column(String(100))
    action: Mapped[str] = mapped_column(String(40))
    purpose: Mapped[str] = mapped_column(String(20))
    channel: Mapped[str] = mapped_column(String(20))
    team: Mapped[str] = mapped_column(String(40))
    skill: Mapped[str] = mapped_column(String(40))
    drawn_on: Mapped[date]
    valid_until: Mapped[date]
    status: Mapped[str] = mapped_column(String(10))
    closed_code: Mapped[str | None] = mapped_column(String(40))
    attempts: Mapped[int] = mapped_column(default=0)
    next_at: Mapped[datetime | None] = mapped_column(Instant)
    agent: Mapped[str | None] = mapped_column(String(60))
    content: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Instant)

    __table_args__ = (Index(None, "status", "valid_until"),)


class ListLineRow(Base):
    """A line on a list of one day, new or carried over; a line is worked from one list a day."""

    __tablename__ = "outreach_list_lines"

    list_id: Mapped[str] = mapped_column(ForeignKey("outreach_lists.list_id"), primary_key=True)
    line_id: Mapped[str] = mapped_column(ForeignKey("outreach_lines.line_id"), primary_key=True)
    day: Mapped[date]
    position: Mapped[int]
    is_carried: Mapped[bool]
    withdrawn_code: Mapped[str | None] = mapped_column(String(40))

    __table_args__ = (UniqueConstraint("line_id", "day"),)


class ClaimDayRow(Base):
    """A day on which a person belongs to one line and to nobody else."""

    __tablename__ = "outreach_claim_days"

    person_id: Mapped[str] = mapped_column(String(100), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    line_id: Mapped[str] = mapped_column(String(12), index=True)


class AttemptRow(Base):
    """One attempt on a line as its agent reported it."""

    __tablename__ = "outreach_attempts"

    attempt_id: Mapped[str] = mapped_column(String(20), primary_key=True)
    line_id: Mapped[str] = mapped_column(ForeignKey("outreach_lines.line_id"), index=True)
    ordinal: Mapped[int]
    at: Mapped[datetime] = mapped_column(Instant)
    disposition: Mapped[str] = mapped_column(String(20))
    order_reference: Mapped[str | None] = mapped_column(String(100))
    ticket_id: Mapped[str | None] = mapped_column(String(100))
    next_at: Mapped[datetime | None] = mapped_column(Instant)
    agent: Mapped[str | None] = mapped_column(String(60))
    reported_at: Mapped[datetime] = mapped_column(Instant)
    landed_at: Mapped[datetime | None] = mapped_column(Instant, index=True)
    held_reason: Mapped[str | None] = mapped_column(String(200))  # why landing refuses it; every landing tries again
    dropped_at: Mapped[datetime | None] = mapped_column(Instant)  # never to land

    __table_args__ = (UniqueConstraint("line_id", "ordinal"),)


class ContactRow(Base):
    """A contact that reached the person, from a list or from a campaign tool; counts in the caps at once.

    A line's contact has the line's id and no `client_id`; a tool's has an id of its own beside the one that was sent.
    """

    __tablename__ = "outreach_contacts"

    contact_id: Mapped[str] = mapped_column(String(100), primary_key=True)
    owner: Mapped[str | None] = mapped_column(String(100))  # the API key that reported it; None if not known
    client_id: Mapped[str | None] = mapped_column(String(100), index=True)  # the tool's id as the tool gave it
    customer_id: Mapped[str] = mapped_column(String(100))
    person_id: Mapped[str] = mapped_column(String(100), index=True)
    at: Mapped[datetime] = mapped_column(Instant)
    day: Mapped[date]
    action: Mapped[str] = mapped_column(String(40))
    channel: Mapped[str | None] = mapped_column(String(20))
    campaign: Mapped[str | None] = mapped_column(String(100))
    reported_at: Mapped[datetime] = mapped_column(Instant)
    landed_at: Mapped[datetime | None] = mapped_column(Instant, index=True)
    held_reason: Mapped[str | None] = mapped_column(String(200))  # why landing refuses it; every landing tries again
    dropped_at: Mapped[datetime | None] = mapped_column(Instant)  # never to land


class RefusalRow(Base):
    """What a disposition forbids from now on: for a person, one subscription, one action or one channel."""

    __tablename__ = "outreach_refusals"

    refusal_id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(String(40))
    person_id: Mapped[str | None] = mapped_column(String(100), index=True)
    customer_id: Mapped[str | None] = mapped_column(String(100), index=True)
    action: Mapped[str | None] = mapped_column(String(40))
    ticket_id: Mapped[str | None] = mapped_column(String(100))
    starts_on: Mapped[date]
    ends_on: Mapped[date | None]
    source: Mapped[str] = mapped_column(String(20))
    created_at: Mapped[datetime] = mapped_column(Instant)

    __table_args__ = (UniqueConstraint("source", "code"),)


class ChangeRow(Base):
    """Since when the ledger has something new about a person or a subscription; the database's triggers write it."""

    __tablename__ = "outreach_changes"

    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, index=True)


class HandoverRow(Base):
    """One file of full numbers given to the dialler; removed when it expires."""

    __tablename__ = "outreach_handovers"

    handover_id: Mapped[str] = mapped_column(String(20), primary_key=True)
    list_id: Mapped[str] = mapped_column(String(20))
    path: Mapped[str] = mapped_column(Text)
    sha256: Mapped[str] = mapped_column(String(64))
    lines: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(Instant)
    expires_at: Mapped[datetime] = mapped_column(Instant)
    removed_at: Mapped[datetime | None] = mapped_column(Instant)
