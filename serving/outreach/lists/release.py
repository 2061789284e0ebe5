"""Release of a list: suppressions checked again, files written and switched to, all in one writing transaction.

An opt-out needs the same write lock to be acknowledged, so it is either seen here or comes after the release; a list
that is asked for again leaves out whatever was withdrawn since.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from features.feeds.landed.steady import on_current_feeds
from features.kit.clock import utc_now
from features.kit.files import write_bytes
from features.kit.home import Home
from features.kit.runs import hit
from serving.database.session import reading, writing
from serving.database.tables_outreach import OutreachListRow
from serving.outreach.export.columns import COLUMNS, Entry, Page
from serving.outreach.export.export import rows_of, title_of, to_csv, to_xlsx
from serving.outreach.export.personal import NOBODY, read_personal
from serving.outreach.export.wording import Wording
from serving.outreach.lists.ledger import (
    RELEASED,
    content_of,
    last_attempts,
    lines_of,
    list_row,
    lock_ledger,
    patiently,
)
from serving.outreach.lists.recheck import recheck
from serving.outreach.settings import OutreachSettings, load_settings
from serving.scoring.reasons.reasons import ReasonBook

FILES = {"xlsx": "list.xlsx", "csv": "list.csv"}
TRIES = 3
"""Drafts made without the lock before one is made with it."""


@dataclass(frozen=True)
class Released:
    """A list whose files are whole.

    Attributes:
        list_id: Its id.
        as_of: Its day.
        lines: Lines on it now.
        summary: What was counted when it was drawn.
        xlsx: The workbook.
        csv: The same as CSV.
        first_lines: The first five lines as header -> cell, numbers masked.
        is_replay: The list had been drawn before.
    """

    list_id: str
    as_of: date
    lines: int
    summary: dict[str, Any]
    xlsx: Path
    csv: Path
    first_lines: list[dict[str, Any]]
    is_replay: bool


def release(home: Home, engine: Engine, list_id: str, book: ReasonBook, *, is_replay: bool) -> Released:
    """Returns a claimed list with whole files; whoever may no longer be contacted is left out.

    Raises:
        NotFoundError: If there is no such list.
        NotReadyError: If the feeds are gone.
    """
    settings = load_settings()
    for _ in range(TRIES):  # the files are made before the lock is taken; who opts out meanwhile makes them anew
        with reading(engine) as session:
            draft = _draft(session, home, list_id, settings, book)
        if patiently(partial(_publish, engine, home, draft, settings)):
            break
    else:
        with writing(engine) as session:
            lock_ledger(session)
            recheck(session, list_row(session, list_id), settings)
            draft = _draft(session, home, list_id, settings, book)
            _write(session, home, draft)
    hit("outreach.after_release")
    return Released(
        list_id, draft.as_of, len(draft.line_ids), draft.summary, home.lists / list_id / FILES["xlsx"],
        home.lists / list_id / FILES["csv"], draft.first_lines, is_replay,
    )  # fmt: skip


@dataclass(frozen=True)
class _Draft:
    """A list's files, made but not yet published."""

    list_id: str
    as_of: date
    line_ids: list[str]
    summary: dict[str, Any]
    contents: dict[str, bytes]
    first_lines: list[dict[str, Any]]


def _draft(session: Session, home: Home, list_id: str, settings: OutreachSettings, book: ReasonBook) -> _Draft:
    row = list_row(session, list_id)
    entries, page = read_entries(session, home, row, settings, book)
    summary = orjson.loads(row.summary)
    kept = [entry.line.line_id for entry in entries]
    contents = {}
    if not _are_whole(home.lists / list_id, orjson.loads(row.files), kept):
        note = _note(summary, len(entries), row.locale)
        contents = {
            "xlsx": to_xlsx(entries, page, title=title_of(row.as_of, list_id, row.locale), note=note),
            "csv": to_csv(entries, page),
        }
    return _Draft(list_id, row.as_of, kept, summary, contents, _first_lines(entries[:5], page))


def _publish(engine: Engine, home: Home, draft: _Draft, settings: OutreachSettings) -> bool:
    """Publishes a draft if it still holds exactly the lines that may go out, under the write lock."""
    with writing(engine) as session:
        lock_ledger(session)
        recheck(session, list_row(session, draft.list_id), settings)
        if [line.line_id for _, line in lines_of(session, draft.list_id)] != draft.line_ids:
            return False
        _write(session, home, draft)
    return True


def _write(session: Session, home: Home, draft: _Draft) -> None:
    row = list_row(session, draft.list_id)
    if draft.contents:
        hit("outreach.before_export")
        for name, content in draft.contents.items():
            write_bytes(home.lists / draft.list_id / FILES[name], content, mode=0o600)
            hit(f"outreach.after_{name}")
        digests = {name: hashlib.sha256(content).hexdigest() for name, content in draft.contents.items()}
        row.files = orjson.dumps({"lines": draft.line_ids, **digests}).decode()
    row.status, row.released_at = RELEASED, row.released_at or utc_now()
    hit("outreach.before_release")


def read_entries(
    session: Session, home: Home, row: OutreachListRow, settings: OutreachSettings, book: ReasonBook
) -> tuple[list[Entry], Page]:
    """Returns a list's lines with names and numbers, and the page they are written on."""
    placed = lines_of(session, row.list_id)
    attempts = last_attempts(session, row.list_id)
    customers = [line.customer_id for _, line in placed]
    operator, personal = on_current_feeds(
        home, lambda feeds: (feeds.operator, read_personal(feeds, customers, row.as_of))
    )
    entries = [
        Entry(place, line, content_of(line), personal.get(line.customer_id, NOBODY), attempts.get(line.line_id))
        for place, line in placed
    ]
    wording = Wording(settings, book, operator)
    return entries, Page(settings, wording, "en" if row.locale == "en" else "zh", operator.time_zone)


def _are_whole(folder: Path, files: dict[str, Any], kept: list[str]) -> bool:
    """Returns whether the files on disk are those that were written for exactly these lines."""
    return files.get("lines") == kept and all(
        (folder / name).exists() and hashlib.sha256((folder / name).read_bytes()).hexdigest() == files.get(kind)
        for kind, name in FILES.items()
    )


def _first_lines(entries: list[Entry], page: Page) -> list[dict[str, Any]]:
    names = [column.name for column in COLUMNS if column.fill]
    return [dict(zip(names, row, strict=False)) for row in rows_of(entries, page)]


def _note(summary: dict[str, Any], lines: int, locale: str) -> str:
    new, carried = summary.get("new", 0), summary.get("carried", 0)
    unchecked = ", ".join(summary.get("not_evaluable", ()))
    if locale == "zh":
        return (
            f"共{lines}行（新增{new}，续办{carried}）。动作效果为假设值，尚未实测。"
            "请先看“原因”，再按“开场白”说；黄色列由坐席填写，其余列请勿修改。"
            + (f"因缺少数据源而未能核查：{unchecked}。" if unchecked else "")
        )
    return (
        f"{lines} lines ({new} new, {carried} carried over). Effects of actions are assumed, not measured. "
        "Read the reasons first, then use the opening; fill in the yellow columns only."
        + (f" NOT CHECKED, their feeds are missing: {unchecked}." if unchecked else "")
    )
