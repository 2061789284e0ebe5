"""What an agent's report changes in the ledger: domain section 5, one disposition after the other.

A report binds at once: the transaction that records it also withdraws every open line that it forbids, so that the
next list of the same day knows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import partial
from zoneinfo import ZoneInfo

from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from features.kit.clock import civil_date, utc_now
from features.kit.errors import NotReadyError
from features.kit.runs import hit
from features.kit.values.identifiers import damage
from serving.database.base import insert_missing
from serving.database.session import writing
from serving.database.tables_outreach import (
    CLOSED,
    OPEN,
    AttemptRow,
    ClaimDayRow,
    ContactRow,
    ListLineRow,
    OutreachLineRow,
    RefusalRow,
)
from serving.outreach.dispositions import DISPOSITIONS, UNREACHED, Forbids
from serving.outreach.feedback.contacts import is_of_line
from serving.outreach.feedback.reported_rows import on_calendar, outcome_row, own_contact_id, refused_rows, timed
from serving.outreach.feedback.returns import MORNING, Report, ReportError, RowError, check_needs, needs_error
from serving.outreach.lists.ledger import Batch, lock_ledger, withdraw, withdraw_from_lists
from serving.outreach.lists.recheck import refused_code
from serving.outreach.policy.calendar import open_hours
from serving.outreach.policy.ledger_facts import read_refusals
from serving.outreach.settings import OutreachSettings

LATEST_APPOINTMENT_DAYS = 31
_AT_ANY_HOUR = frozenset({"delivered", "failed"})
"""What the receiving phone decides, and when."""
_MIDNIGHT = time(0)
CLOCK_SKEW = timedelta(minutes=5)
"""How far another system's clock may be ahead of ours."""


@dataclass
class ImportResult:
    """What an import did."""

    imported: int = 0  # reports recorded
    repeated: int = 0  # reports that had been recorded before
    withdrawn: int = 0  # other open lines that were stopped by them
    errors: list[RowError] = field(default_factory=list)  # rows refused, with row and column


def record_reports(
    engine: Engine, reports: Iterable[Report], settings: OutreachSettings, time_zone: str
) -> ImportResult:
    """Records each report in its own transaction; a bad one is returned as an error and stops no other."""
    result, batch = ImportResult(), Batch()
    reports = list(reports)
    refused = _refused(reports, time_zone)
    for place, report in enumerate(reports):
        try:
            if place in refused:
                raise refused[place]
            withdrawn = batch.write(partial(_record, engine, report, settings, time_zone))
        except ReportError as error:
            result.errors.append(error.on(report.row, report.sheet, report.locale))
            continue
        except NotReadyError as error:
            result.errors.append(RowError(report.row, "line_id", error.message, report.sheet, is_transient=True))
            continue
        hit("outreach.after_report")
        if withdrawn is None:
            result.repeated += 1
        else:
            result.imported += 1
            result.withdrawn += withdrawn
    return result


def _refused(reports: Sequence[Report], time_zone: str) -> dict[int, ReportError]:
    """Returns place -> why the feed `outcomes` would refuse the report."""
    now = utc_now()
    rows = [
        {
            **timed("any", report.attempted_at or now, now),
            **outcome_row(attempt_id_of(report), report.line_id, report.disposition, report.order_reference),
        }
        for report in reports
    ]
    refused = {}
    for place, reason in refused_rows("outcomes", rows, time_zone, now).items():
        why, _, column = reason.partition(":")
        refused[place] = ReportError({"event_at": "attempted_at"}.get(column, column), "refused", why=why)
    for place, report in enumerate(reports):
        why = damage(report.ticket_id or "")  # no feed holds it, so none judges it
        if why:
            refused[place] = ReportError("ticket_id", "bad_ticket", why=why)
        if report.next_at is not None and not on_calendar(report.next_at):
            refused[place] = ReportError("next_at", "no_such_day")
    return refused


def _record(engine: Engine, report: Report, settings: OutreachSettings, time_zone: str) -> int | None:
    with writing(engine) as session:
        lock_ledger(session)
        return _Recorder(session, settings, time_zone).record(report)


def attempt_id_of(report: Report) -> str:
    """Returns the identity of a report: the same report twice is one attempt."""
    parts = [
        report.line_id, report.disposition, report.attempted_at, report.order_reference, report.ticket_id,
        report.next_at,
    ]  # fmt: skip
    return "A" + hashlib.sha256(repr([str(part) for part in parts]).encode()).hexdigest()[:18]


class _Recorder:
    """Records one report inside one transaction."""

    def __init__(self, session: Session, settings: OutreachSettings, time_zone: str) -> None:
        self._session = session
        self._settings = settings
        self._zone = time_zone
        self._now = utc_now()

    def record(self, report: Report) -> int | None:
        """Returns how many other lines were withdrawn, or None if the report is known. Raises ReportError."""
        check_needs(report)
        outcome = DISPOSITIONS[report.disposition].outcome
        attempt_id = attempt_id_of(report)
        if self._session.get(AttemptRow, attempt_id) is not None:
            return None
        line = self._session.get(OutreachLineRow, report.line_id)
        if line is None:
            raise ReportError("line_id", "no_line", line_id=report.line_id)
        if not DISPOSITIONS[report.disposition].fits(line.channel):
            end, text = DISPOSITIONS[report.disposition], self._settings.channels[line.channel]  # type: ignore[index]
            raise ReportError("disposition", "other_channel", disposition=end, channel=line.channel, channel_text=text)
        if line.status != OPEN and not outcome.on_closed_line and line.closed_code != (outcome.follows or OPEN):
            if self._is_shown(report):
                return None
            raise ReportError(
                "line_id", "closed", line_id=line.line_id, status=line.status, closed_code=line.closed_code
            )
        at = report.attempted_at or self._now
        day = self._day_of(report, line, at)
        self._add_attempt(report, line, attempt_id, at)
        if outcome.is_contact:
            self._add_contact(line, at, day)
        self._apply(report, line, attempt_id, day)
        self._session.flush()
        if outcome.on_closed_line:  # a list asked for again leaves this line out
            withdraw_from_lists(self._session, line.line_id, report.disposition)
        return self._withdraw_forbidden(line)

    def _day_of(self, report: Report, line: OutreachLineRow, at: datetime) -> date:
        """Returns the civil day of an attempt.

        Raises ReportError for one outside the line's days, and for a time at which nobody is contacted; what a customer
        forbids binds at any hour and after the last day.
        """
        day = civil_date(at, self._zone)
        if day < line.drawn_on:
            raise ReportError("attempted_at", "before_line", day=day, drawn_on=line.drawn_on)
        if at > self._now + CLOCK_SKEW:
            raise ReportError("attempted_at", "future")
        if DISPOSITIONS[report.disposition].outcome.on_closed_line:
            return day
        is_late = line.valid_until < day < civil_date(self._now, self._zone)  # what is reported of today is no slip
        if is_late and line.status == OPEN:
            raise ReportError("attempted_at", "after_line", day=day, valid_until=line.valid_until)
        hours = open_hours(self._settings.policy.quiet_hours, line.province)
        if line.channel == "hall":  # a hall is open at noon
            hours = [(hours[0][0], hours[-1][1])]
        for column in ("attempted_at", "next_at"):
            moment: datetime | None = getattr(report, column)
            if moment is None or (column == "attempted_at" and report.disposition in _AT_ANY_HOUR):
                continue
            clock = moment.astimezone(ZoneInfo(self._zone)).time()
            is_open = any(start <= clock and (clock <= end or end == _MIDNIGHT) for start, end in hours)
            if not is_open and not (column == "next_at" and clock == MORNING):
                spans = ", ".join(f"{start:%H:%M}-{end:%H:%M}" for start, end in hours)
                raise ReportError(column, "outside_hours", clock=clock, spans=spans)
        return day

    def _is_shown(self, report: Report) -> bool:
        """Returns whether a report is what the sheet shows of a closed line, where times have no seconds."""
        made = select(AttemptRow.at).filter_by(line_id=report.line_id, disposition=report.disposition)
        times = [at.replace(second=0, microsecond=0) for at in self._session.scalars(made)]
        return report.attempted_at is not None and report.attempted_at.replace(second=0, microsecond=0) in times

    def _add_attempt(self, report: Report, line: OutreachLineRow, attempt_id: str, at: datetime) -> None:
        is_attempt = DISPOSITIONS[report.disposition].outcome.then == "attempt"
        counts = not (is_attempt and self._is_same_try(line, at))
        last = self._session.scalar(select(func.max(AttemptRow.ordinal)).where(AttemptRow.line_id == line.line_id))
        self._session.add(
            AttemptRow(
                attempt_id=attempt_id,
                line_id=line.line_id,
                ordinal=(last or 0) + 1,
                at=at,
                disposition=report.disposition,
                order_reference=report.order_reference,
                ticket_id=report.ticket_id,
                next_at=report.next_at,
                agent=report.agent,
                reported_at=self._now,
            )
        )
        line.attempts += counts
        line.next_at = None
        line.agent = report.agent or line.agent

    def _is_same_try(self, line: OutreachLineRow, at: datetime) -> bool:
        """Returns whether an unanswered attempt lies so near an earlier one that both are one try at one hour."""
        gap = timedelta(hours=self._settings.claim.attempt_gap_hours)
        earlier = self._session.scalars(select(AttemptRow.at).where(AttemptRow.line_id == line.line_id))
        return any(abs(at - before) < gap for before in earlier)

    def _add_contact(self, line: OutreachLineRow, at: datetime, day: date) -> None:
        """Counts the line as one contact, however often the person was reached on it."""
        contact_id = line.line_id
        taken = self._session.get(ContactRow, contact_id)
        if taken is not None and not is_of_line(self._session, taken):  # a tool's id, recorded before keys owned them
            contact_id = own_contact_id("", line.customer_id, line.line_id)
            taken = self._session.get(ContactRow, contact_id)
        if taken is None:
            campaign = self._session.scalar(
                select(ListLineRow.list_id)
                .where(ListLineRow.line_id == line.line_id)
                .order_by(ListLineRow.day)
                .limit(1)
            )
            self._session.add(
                ContactRow(
                    contact_id=contact_id,
                    customer_id=line.customer_id,
                    person_id=line.person_id,
                    at=at,
                    day=day,
                    action=line.action,
                    channel=line.channel,
                    campaign=campaign,
                    reported_at=self._now,
                )
            )

    def _apply(self, report: Report, line: OutreachLineRow, source: str, day: date) -> None:
        outcome = DISPOSITIONS[report.disposition].outcome
        forbids = outcome.forbids
        if outcome.then == "appointment":
            self._appoint(report, line)
        elif outcome.then == "closed":
            self._close(line, report)
        elif line.attempts >= self._settings.claim.attempts:
            self._close(line, report)
            forbids = None if outcome.only_sent else UNREACHED  # another channel may reach whom no message reached
        if forbids is not None:
            ticket = report.ticket_id or complaint_ticket(source)
            self._session.add(refusal_of(forbids, line, self._settings, source=source, day=day, ticket_id=ticket))

    def _close(self, line: OutreachLineRow, report: Report) -> None:
        if line.status == OPEN:
            line.status, line.closed_code = CLOSED, report.disposition

    def _appoint(self, report: Report, line: OutreachLineRow) -> None:
        """Keeps the line open for its appointment and the person claimed on that day."""
        if report.next_at is None:
            raise needs_error(report, "next_at")
        day = civil_date(report.next_at, self._zone)
        if not line.drawn_on <= day <= line.drawn_on + timedelta(days=LATEST_APPOINTMENT_DAYS):
            raise ReportError(
                "next_at", "appointment_too_far", day=day, days=LATEST_APPOINTMENT_DAYS, drawn_on=line.drawn_on
            )
        insert_missing(self._session, ClaimDayRow, [{"person_id": line.person_id, "day": day, "line_id": line.line_id}])
        holder = self._session.get(ClaimDayRow, (line.person_id, day))
        if holder is None or holder.line_id != line.line_id:
            raise ReportError("next_at", "person_taken", day=day)
        line.next_at = report.next_at
        line.valid_until = max(line.valid_until, day)
        most = self._settings.claim.attempts
        line.attempts = (
            max(line.attempts, most - 1) if report.disposition == "thinking" else min(line.attempts, most - 1)
        )

    def _withdraw_forbidden(self, line: OutreachLineRow) -> int:
        """Takes other open lines of the person off their lists if the ledger now forbids them."""
        refusals = read_refusals(self._session, line.drawn_on)
        others = self._session.scalars(
            select(OutreachLineRow).where(OutreachLineRow.person_id == line.person_id, OutreachLineRow.status == OPEN)
        )
        stopped = [(other, refused_code(other, refusals, self._settings)) for other in others]
        found = [(other, code) for other, code in stopped if code is not None]
        withdraw(self._session, found)
        return len(found)


def refusal_of(
    forbids: Forbids, line: OutreachLineRow, settings: OutreachSettings, *, source: str, day: date, ticket_id: str
) -> RefusalRow:
    """Returns what a disposition on a line forbids from a day on; `ticket_id` counts where a ticket ends it."""
    return RefusalRow(
        code=forbids.code.value,
        person_id=line.person_id,
        customer_id=line.customer_id if forbids.only_line else None,
        action=line.action if forbids.only_action else None,
        ticket_id=ticket_id if forbids.until_closed else None,
        starts_on=day,
        ends_on=day + timedelta(days=getattr(settings.claim, forbids.rest)) if forbids.rest else None,
        source=source,
        created_at=utc_now(),
    )


def complaint_ticket(attempt_id: str) -> str:
    """Returns the number of a complaint that was made on the spot and has no ticket yet."""
    return f"OUT-{attempt_id}"
