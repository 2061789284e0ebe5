"""Takes one person out of outreach: ledger, lists and handed-over numbers; a do-not-contact stays, as hashes only."""

from __future__ import annotations

import csv
import hashlib
import io
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import Engine, delete, or_, select
from sqlalchemy.orm import Session

from features.erasure.rewriting import ERASED, mentions
from features.feeds.landed.subject import Subject
from features.feeds.landing.suppression import Suppression
from features.kit.clock import utc_now
from features.kit.files import write_bytes
from features.kit.home import Home
from features.kit.runs import hit
from features.kit.values.tables import csv_text
from serving.database.session import reading, writing
from serving.database.tables_outreach import (
    AttemptRow,
    ClaimDayRow,
    ContactRow,
    HandoverRow,
    ListLineRow,
    OutreachLineRow,
    OutreachListRow,
    RefusalRow,
)
from serving.outreach.lists.handover import IN_HOME, handed_over
from serving.outreach.lists.ledger import CLAIMED, lock_ledger
from serving.outreach.policy.kept import forget_states
from serving.outreach.policy.ledger_facts import HASHED, forget_changes

_SOURCE = "E"
"""First letter of the source of a refusal that an erasure leaves."""


def erase_ledger(engine: Engine, subject: Subject, record: Suppression) -> dict[str, int]:
    """Removes a person from the ledger and leaves do-not-contact records that name nobody, in one transaction.

    Returns:
        Rows removed per kind.
    """
    with writing(engine) as session:
        lock_ledger(session)
        mine = or_(
            OutreachLineRow.person_id == subject.person_id, OutreachLineRow.customer_id.in_(sorted(subject.customers))
        )
        lines = list(session.scalars(select(OutreachLineRow.line_id).where(mine)))
        removed = {"lines": len(lines)}
        for name, row in (("attempts", AttemptRow), ("list_lines", ListLineRow), ("claim_days", ClaimDayRow)):
            removed[name] = _delete(session, row, row.line_id.in_(lines))
        removed["claim_days"] += _delete(session, ClaimDayRow, ClaimDayRow.person_id == subject.person_id)
        _delete(session, OutreachLineRow, OutreachLineRow.line_id.in_(lines))
        for name, kind in (("contacts", ContactRow), ("refusals", RefusalRow)):
            owned = or_(kind.person_id == subject.person_id, kind.customer_id.in_(sorted(subject.customers)))
            removed[name] = _delete(session, kind, owned)
        _redact_lists(session, subject, lines)
        customers = (record.hashed(customer_id) for customer_id in subject.customers)
        forbid_erased(session, persons=[record.hashed(subject.person_id)], customers=customers)
        forget_changes(session, {subject.person_id, *subject.customers})
        hit("erase.before_ledger")
    hit("erase.after_ledger")
    return {name: count for name, count in removed.items() if count}


def _delete(session: Session, row: Any, condition: Any) -> int:
    return int(session.execute(delete(row).where(condition)).rowcount)  # type: ignore[attr-defined]


def _redact_lists(session: Session, subject: Subject, lines: list[str]) -> None:
    pattern = mentions({*subject.names, *lines})
    for row in session.scalars(select(OutreachListRow)):
        row.summary = pattern.sub(ERASED, row.summary)
        files = orjson.loads(row.files)
        if set(files.get("lines", ())) & set(lines):
            row.files = "{}"  # nothing on disk is whole any more; `erase_files` writes it anew


def forbid_erased(session: Session, *, persons: Iterable[str], customers: Iterable[str]) -> None:
    """Adds the do-not-contact records of erased persons and their subscriptions, given as hashes, once."""
    known = set(session.scalars(select(RefusalRow.person_id).where(RefusalRow.source.startswith(_SOURCE))))
    known |= set(session.scalars(select(RefusalRow.customer_id).where(RefusalRow.source.startswith(_SOURCE))))
    for column, hashes in (("person_id", persons), ("customer_id", customers)):
        for hashed in sorted(hashes):
            if f"{HASHED}{hashed}" not in known:
                values: dict[str, Any] = {"person_id": None, "customer_id": None, column: f"{HASHED}{hashed}"}
                session.add(
                    RefusalRow(
                        code="do_not_contact", action=None, ticket_id=None, starts_on=utc_now().date(), ends_on=None,
                        source=f"{_SOURCE}-{secrets.token_hex(6)}", created_at=utc_now(), **values,
                    )
                )  # fmt: skip


def erase_files(home: Home, engine: Engine, subject: Subject) -> dict[str, int]:
    """Writes lists and handed-over files of this home anew without a person; returns how many of each.

    Lists are made again from the ledger, as if the person had never been on them. A file that was handed over to a
    place outside the home is its holder's to clean.
    """
    forget_states(home)
    return {"lists": _erase_lists(home, engine), "handovers": _erase_handovers(home, engine, subject)}


def outside(home: Home, engine: Engine) -> int:
    """Returns how many handed-over files lie outside the home and have not expired."""
    with reading(engine) as session:
        rows = session.scalars(select(HandoverRow).where(HandoverRow.removed_at.is_(None)))
        paths = [handed_over(home.root, row.path) for row in rows]
    return sum(not (_handed_over(home) / path.name).exists() and path.exists() for path in paths)


def _handed_over(home: Home) -> Path:
    return home.root / IN_HOME


def _erase_lists(home: Home, engine: Engine) -> int:
    from serving.outreach.lists.release import FILES, release
    from serving.scoring.reasons.book import load_book

    with reading(engine) as session:
        rows = list(session.execute(select(OutreachListRow.list_id, OutreachListRow.status, OutreachListRow.files)))
    written = 0
    for list_id, status, files in rows:
        on_disk = [home.lists / list_id / name for name in FILES.values() if (home.lists / list_id / name).exists()]
        if files != "{}" or not on_disk:
            continue
        if status == CLAIMED:  # never released: the request that drew it writes its files when it is repeated
            for path in on_disk:
                path.unlink()
        else:
            release(home, engine, list_id, load_book(), is_replay=True)
        written += 1
    return written


def _erase_handovers(home: Home, engine: Engine, subject: Subject) -> int:
    """Rewrites handed-over files of this home without the lines that the ledger no longer has."""
    written = 0
    with writing(engine) as session:
        known = set(session.scalars(select(OutreachLineRow.line_id)))
        rows = {Path(row.path).name: row for row in session.scalars(select(HandoverRow))}
        for path in sorted(_handed_over(home).glob("*.csv")):
            content, lines = _without_unknown(path.read_text(encoding="utf-8"), known, subject)
            if content.encode() == path.read_bytes():
                continue
            write_bytes(path, content.encode(), mode=0o600)
            written += 1
            if path.name in rows:
                rows[path.name].sha256 = hashlib.sha256(content.encode()).hexdigest()
                rows[path.name].lines = lines
    return written


def _without_unknown(text: str, known: set[str], subject: Subject) -> tuple[str, int]:
    pattern = mentions(subject.names)
    head, *rows = csv.reader(io.StringIO(text))
    kept = [row for row in rows if row and row[0] in known and not pattern.search(" ".join(row))]
    return csv_text([head, *kept]), len(kept)
