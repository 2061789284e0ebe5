"""What forbids a line that was drawn already: checked again before every release, report, handover and further list."""

from __future__ import annotations

from datetime import date

from sqlalchemy.orm import Session

from serving.database.tables_outreach import OPEN, OutreachLineRow, OutreachListRow
from serving.outreach.lists.ledger import lines_of, withdraw
from serving.outreach.policy.ledger_facts import Refusal, read_refusals
from serving.outreach.policy.policy import PolicyBook
from serving.outreach.refusals import OWN_LINE, stops_on
from serving.outreach.settings import OutreachSettings


def refused_code(line: OutreachLineRow, refusals: tuple[Refusal, ...], settings: OutreachSettings) -> str | None:
    """Returns the first code that the ledger holds against a line, or None."""
    codes = {*settings.purposes[line.purpose].refusals, "declined_recently"} - OWN_LINE  # type: ignore[index]
    for refusal in refusals:
        hits_line = (
            refusal.customer_id == line.customer_id if refusal.customer_id else refusal.person_id == line.person_id
        )
        on_channel = stops_on(refusal.code, line.channel)
        if hits_line and on_channel and refusal.code in codes and refusal.action in (None, line.action):
            return refusal.code
    return None


def stopped_by(policy: PolicyBook, line: OutreachLineRow, on: date) -> str | None:
    """Returns the first code that feeds and ledger hold against a line on a day, or None."""
    verdict = policy.verdicts([line.customer_id], line.purpose, line.channel, on)[0]
    if verdict is None:
        return "terminated"
    codes = [code for code in verdict.codes if code not in OWN_LINE]
    row = policy.row_of[line.customer_id]
    codes += [code for code in policy.action_codes(row, line.action, on) if code == "declined_recently"]
    if policy.person_of(row) != line.person_id:
        codes.append("changed_hands")
    return codes[0] if codes else None


def recheck(session: Session, row: OutreachListRow, settings: OutreachSettings) -> None:
    """Withdraws the open lines of a list that the ledger forbids by now, inside the caller's transaction."""
    refusals = read_refusals(session, row.as_of)
    open_lines = [line for _, line in lines_of(session, row.list_id) if line.status == OPEN]
    stopped = [(line, refused_code(line, refusals, settings)) for line in open_lines]
    withdraw(session, [(line, code) for line, code in stopped if code is not None])
    session.flush()
