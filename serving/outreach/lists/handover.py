"""The dialler's file, `line_id, number`, and the gateway's, which has the text too: the only exports with full numbers.

Own scope, reasoned, audited, expiring. App lines go by the operator's own id and need no number.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from features.feeds.landed.steady import on_current_feeds
from features.kit.clock import utc_now
from features.kit.errors import ConfigurationError, DataError, NotPermittedError
from features.kit.files import write_bytes
from features.kit.home import Home
from features.kit.runs import hit
from features.kit.values.tables import csv_text
from serving.database.audit import record
from serving.database.belonging import folder_of
from serving.database.keys import ApiKey
from serving.database.session import writing
from serving.database.tables_outreach import OPEN, HandoverRow, OutreachLineRow
from serving.outreach.dispositions import SENT_CHANNELS
from serving.outreach.export.personal import NOBODY, read_personal
from serving.outreach.lists.ledger import content_of, lines_of, list_row, lock_ledger, withdraw
from serving.outreach.lists.recheck import recheck, stopped_by
from serving.outreach.policy.ledger_facts import read_facts
from serving.outreach.policy.policy import PolicyBook
from serving.outreach.policy.states import read_states
from serving.outreach.refusals import PASSING, Channel
from serving.outreach.settings import load_settings

SCOPE = "handover"
LONGEST_HOURS = 24
SHORTEST_REASON = 5
IN_HOME = Path("personal") / "handover"


@dataclass(frozen=True)
class Handover:
    """What was handed over."""

    handover_id: str
    path: Path  # the file, readable by its owner alone
    lines: int  # lines in it
    without_number: int  # lines handed over by the operator's own id, because no full number is delivered
    expires_at: datetime  # when the file is removed


def hand_over(
    home: Home,
    engine: Engine,
    list_id: str,
    key: ApiKey | None,
    *,
    reason: str,
    hours: int = 12,
    out: Path | None = None,
    on: date | None = None,
    channel: Channel = "call",
) -> Handover:
    """Writes the open lines of a list on one channel that the key may see, and records who took them and why.

    A call is `line_id, number`; a message has a `text` besides, in the customer's language; an app line has
    `customer_id` for the number.

    Every line is checked again with all that feeds and ledger know by now, and a line whose last day is over is left
    out. Where the source delivers only masked numbers, the operator's own id stands for the number.

    The file goes to `out`, else inside the home, and is removed after so many `hours`; without `on` the contacts are of
    the newest day of the feeds.

    Raises:
        NotPermittedError: If the key is missing, does not work or lacks the scope `handover`.
        ConfigurationError: If the reason is too short or the time too long.
        NotFoundError: If there is no such list.
        DataError: If the list has no line left to call.
    """
    if key is None or SCOPE not in key.scopes or not key.works_at(utc_now()):
        raise NotPermittedError(
            f"handover of '{list_id}' needs a key with the scope '{SCOPE}'",
            remedy="make one with `insight keys create NAME --scope handover` and set INSIGHT_API_KEY",
        )
    if len(reason.strip()) < SHORTEST_REASON:
        raise ConfigurationError(
            f"--reason '{reason.strip()}': shorter than {SHORTEST_REASON} characters",
            remedy="say what the numbers are for; it is kept in the audit",
        )
    if not 1 <= hours <= LONGEST_HOURS:
        raise ConfigurationError(f"handover: {hours} hours", remedy=f"1 to {LONGEST_HOURS} hours")
    remove_expired(engine)
    handover_id = f"H{secrets.token_hex(5)}"
    path = out or home.root / IN_HOME / f"{list_id}-{handover_id}.csv"
    settings = load_settings()
    known_on, states = on_current_feeds(
        home,
        lambda feeds: (feeds.latest_as_of(), read_states(feeds, max(feeds.latest_as_of(), on or date.min), settings)),
    )
    day = on or known_on
    known_on = max(known_on, day)
    with writing(engine) as session:
        lock_ledger(session)
        recheck(session, list_row(session, list_id), settings)
        book = PolicyBook(settings, states, read_facts(session, known_on), known_on)
        lines = _open_lines(session, list_id, key, book, day, channel)
        customers = [line.customer_id for line in lines]
        personal = on_current_feeds(home, lambda feeds: read_personal(feeds, customers, known_on))
        numbers = [_dialled(personal.get(line.customer_id, NOBODY).number, line, channel) for line in lines]
        content = _csv(lines, numbers, book, channel)
        now = utc_now()
        expires_at = now + timedelta(hours=hours)
        without = sum(number == line.customer_id for number, line in zip(numbers, lines, strict=True))
        digest = hashlib.sha256(content).hexdigest()
        session.add(
            HandoverRow(
                handover_id=handover_id, list_id=list_id, path=_kept_path(home, path), sha256=digest, lines=len(lines),
                created_at=now, expires_at=expires_at,
            )
        )  # fmt: skip
        record(
            session, actor=key.key_id, action="outreach.handover", subject=list_id,
            detail={"handover_id": handover_id, "reason": reason.strip(), "on": day.isoformat(), "lines": len(lines),
                    "channel": channel,
                    "sha256": digest, "expires_at": expires_at.isoformat()},
        )  # fmt: skip
        hit("outreach.before_handover")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_bytes(path, content, mode=0o600)  # after the commit: no file without its audit entry
    hit("outreach.after_handover")
    return Handover(handover_id, path, len(lines), without, expires_at)


def remove_expired(engine: Engine, now: datetime | None = None) -> int:
    """Removes the handed-over files whose time is up, if they are still what was written; returns how many."""
    now = now or utc_now()
    removed, folder = 0, folder_of(engine)
    with writing(engine) as session:
        due = session.scalars(
            select(HandoverRow).where(HandoverRow.removed_at.is_(None), HandoverRow.expires_at <= now)
        )
        for row in due:
            path = handed_over(folder, row.path)
            if path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() == row.sha256:
                path.unlink()
                removed += 1
            row.removed_at = now
            record(session, actor="system", action="outreach.handover_expired", subject=row.list_id,
                   detail={"handover_id": row.handover_id})  # fmt: skip
    return removed


def handed_over(folder: Path, kept: str) -> Path:
    """Returns where a handed-over file lies, by the home's folder and what the ledger keeps of its path.

    An older release kept whole paths: in a home that was moved or copied they name the folder of before.
    """
    path = folder / kept
    inside = folder / IN_HOME / path.name
    return inside if path.parent.parts[-2:] == IN_HOME.parts and not path.is_relative_to(folder) else path


def _kept_path(home: Home, path: Path) -> str:
    """Returns a path as the ledger keeps it: inside the home relative to it."""
    whole, root = path.resolve(), home.root.resolve()
    return str(whole.relative_to(root) if whole.is_relative_to(root) else whole)


def _open_lines(
    session: Session, list_id: str, key: ApiKey, book: PolicyBook, day: date, channel: Channel
) -> list[OutreachLineRow]:
    """Returns the lines that may be contacted on a day; those that may never be any more are withdrawn.

    Raises:
        DataError: If none is left.
    """
    found = [line for _, line in lines_of(session, list_id) if _is_open(line, key, channel)]
    codes = [(line, stopped_by(book, line, day)) for line in found if line.valid_until >= day]
    withdraw(session, [(line, code) for line, code in codes if code is not None and code not in PASSING])
    lines = [line for line, code in codes if code is None]
    if not lines:
        expired, stopped = len(found) - len(codes), len(codes)
        why = f" on {day}: {expired} expired before that day, {stopped} may no longer be contacted" if found else ""
        raise DataError(f"list '{list_id}' has no open {channel} for this key{why}", remedy="draw today's list first")
    return lines


def _is_open(line: OutreachLineRow, key: ApiKey, channel: Channel) -> bool:
    in_scope = key.province in (None, line.province) and key.city in (None, line.city)
    return line.status == OPEN and line.channel == channel and in_scope


def _dialled(number: str | None, line: OutreachLineRow, channel: Channel) -> str:
    return number if number and "*" not in number and channel != "app" else line.customer_id


def _csv(lines: Sequence[OutreachLineRow], numbers: Sequence[str], book: PolicyBook, channel: Channel) -> bytes:
    rows = [["line_id", "customer_id" if channel == "app" else "number", *["text"][: channel in SENT_CHANNELS]]]
    for line, number in zip(lines, numbers, strict=True):
        text = [content_of(line)["opening"][book.language_of(line.customer_id)]] if channel in SENT_CHANNELS else []
        rows.append([line.line_id, number, *text])
    return csv_text(rows).encode()
