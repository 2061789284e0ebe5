"""Release of a list: suppressions checked again, files written and switched to, all in one writing transaction.

An opt-out needs the same write lock to be acknowledged, so it is either seen here or comes after the release; a list
that is asked for again leaves out whatever was withdrawn since.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
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
from features.kit.language import LOCALES, Locale
from features.kit.runs import hit
from serving.database.session import reading, writing
from serving.database.tables_outreach import AttemptRow, OutreachLineRow, OutreachListRow
from serving.outreach.export.columns import COLUMNS, Entry, Page
from serving.outreach.export.export import rows_of, to_csv
from serving.outreach.export.personal import NOBODY, read_personal
from serving.outreach.export.wording import Wording, phrase
from serving.outreach.export.workbook import to_xlsx
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
from serving.outreach.refusals import REFUSALS
from serving.outreach.settings import OutreachSettings, load_settings
from serving.scoring.reasons.book import ReasonBook

FILES: dict[tuple[Locale, str], str] = {
    ("zh", "xlsx"): "list.xlsx", ("zh", "csv"): "list.csv",
    ("en", "xlsx"): "list_en.xlsx", ("en", "csv"): "list_en.csv",
}  # fmt: skip
"""The files of a list in its folder, per language and form; a language is written once it has been asked for."""
_KINDS = ("xlsx", "csv")
TRIES = 3
"""Drafts made without the lock before one is made with it."""


@dataclass(frozen=True)
class Released:
    """A list whose files are whole."""

    list_id: str
    as_of: date
    lines: int  # lines on it now
    summary: dict[str, Any]  # what was counted when it was drawn
    xlsx: Path  # the workbook in the language asked for
    csv: Path  # the same as CSV
    first_lines: list[dict[str, Any]]  # the first five lines as header -> cell, numbers masked
    is_replay: bool  # the list had been drawn before


def release(
    home: Home, engine: Engine, list_id: str, book: ReasonBook, *, is_replay: bool, locale: Locale | None = None
) -> Released:
    """Returns a claimed list with whole files; whoever may no longer be contacted is left out.

    A language is a view of the list: each one that has files is written anew together with the one asked for.

    Without a `locale` that is the one that the list was drawn in.

    Raises:
        NotFoundError: If there is no such list.
        NotReadyError: If the feeds are gone.
    """
    settings = load_settings()
    for _ in range(TRIES):  # the files are made before the lock is taken; who opts out meanwhile makes them anew
        with reading(engine) as session:
            draft = _draft(session, home, list_id, settings, book, locale)
        if patiently(partial(_publish, engine, home, draft, settings)):
            break
    else:
        with writing(engine) as session:
            lock_ledger(session)
            recheck(session, list_row(session, list_id), settings)
            draft = _draft(session, home, list_id, settings, book, locale)
            _write(session, home, draft)
    hit("outreach.after_release")
    return Released(
        list_id, draft.as_of, len(draft.line_ids), draft.summary, home.lists / list_id / FILES[draft.locale, "xlsx"],
        home.lists / list_id / FILES[draft.locale, "csv"], draft.first_lines, is_replay,
    )  # fmt: skip


@dataclass(frozen=True)
class _Draft:
    """A list's files, made but not yet published."""

    list_id: str
    as_of: date
    locale: Locale
    locales: list[Locale]
    line_ids: list[str]
    worked: str
    summary: dict[str, Any]
    contents: dict[tuple[Locale, str], bytes]
    first_lines: list[dict[str, Any]]


def _draft(
    session: Session, home: Home, list_id: str, settings: OutreachSettings, book: ReasonBook, locale: Locale | None
) -> _Draft:
    row, folder = list_row(session, list_id), home.lists / list_id
    locale = locale or ("en" if row.locale == "en" else "zh")
    entries, page = read_entries(session, home, row, settings, book, locale)
    summary = orjson.loads(row.summary)
    kept = [entry.line.line_id for entry in entries]
    locales = _locales(folder, locale)
    contents: dict[tuple[Locale, str], bytes] = {}
    worked = _worked([entry.line for entry in entries], {e.line.line_id: e.last for e in entries if e.last})
    if not _are_whole(folder, orjson.loads(row.files), kept, worked, locales):
        for language in locales:
            view, note = replace(page, locale=language), _note(summary, len(entries), language, row.as_of)
            title = phrase("title", language, as_of=row.as_of, list_id=list_id)
            warning = _unchecked(summary, language)
            contents[language, "xlsx"] = to_xlsx(entries, view, title=title, note=warning + note, warning=warning)
            contents[language, "csv"] = to_csv(entries, view)
    return _Draft(list_id, row.as_of, locale, locales, kept, worked, summary, contents, _first_lines(entries[:5], page))


def _locales(folder: Path, asked: Locale) -> list[Locale]:
    """Returns the language asked for and those whose files lie there: none of them may show who was withdrawn."""
    return [one for one in LOCALES if one == asked or any((folder / FILES[one, kind]).exists() for kind in _KINDS)]


def _publish(engine: Engine, home: Home, draft: _Draft, settings: OutreachSettings) -> bool:
    """Publishes a draft if it still holds exactly the lines that may go out, under the write lock."""
    with writing(engine) as session:
        lock_ledger(session)
        recheck(session, list_row(session, draft.list_id), settings)
        lines = [line for _, line in lines_of(session, draft.list_id)]
        now = [line.line_id for line in lines], _worked(lines, last_attempts(session, draft.list_id))
        if (*now, _locales(home.lists / draft.list_id, draft.locale)) != (draft.line_ids, draft.worked, draft.locales):
            return False
        _write(session, home, draft)
    return True


def _write(session: Session, home: Home, draft: _Draft) -> None:
    row = list_row(session, draft.list_id)
    if draft.contents:
        hit("outreach.before_export")
        for (locale, kind), content in draft.contents.items():
            write_bytes(home.lists / draft.list_id / FILES[locale, kind], content, mode=0o600)
            hit(f"outreach.after_{kind}")
        digests = {FILES[name]: hashlib.sha256(content).hexdigest() for name, content in draft.contents.items()}
        row.files = orjson.dumps({"lines": draft.line_ids, "worked": draft.worked, **digests}).decode()
    row.status, row.released_at = RELEASED, row.released_at or utc_now()
    hit("outreach.before_release")


def read_entries(
    session: Session, home: Home, row: OutreachListRow, settings: OutreachSettings, book: ReasonBook, locale: Locale
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
    return entries, Page(settings, wording, locale, operator.time_zone)


def _worked(lines: list[OutreachLineRow], attempts: dict[str, AttemptRow]) -> str:
    """Returns a hash of how far the lines of a list were worked: a list asked for again shows what was reported."""
    state = [(line.status, attempts[line.line_id].attempt_id if line.line_id in attempts else "") for line in lines]
    return hashlib.sha256(orjson.dumps(state)).hexdigest()


def _are_whole(folder: Path, files: dict[str, Any], kept: list[str], worked: str, locales: list[Locale]) -> bool:
    """Returns whether the files on disk are those that were written for exactly these lines, worked so far."""
    names = [FILES[locale, kind] for locale in locales for kind in _KINDS]
    return (files.get("lines"), files.get("worked")) == (kept, worked) and all(
        (folder / name).exists() and hashlib.sha256((folder / name).read_bytes()).hexdigest() == files.get(name)
        for name in names
    )


def _first_lines(entries: list[Entry], page: Page) -> list[dict[str, Any]]:
    names = [column.name for column in COLUMNS]
    return [dict(zip(names, row, strict=True)) for row in rows_of(entries, page)]


def _note(summary: dict[str, Any], lines: int, locale: Locale, as_of: date) -> str:
    """Returns what the head of a list says: how old its basis is, unless it is of the day, and what it counts."""
    known = date.fromisoformat(summary.get("basis") or as_of.isoformat())
    days = (as_of - known).days
    age = phrase("known_as_of", locale, known=known, days=days) if days > 0 else ""
    return age + phrase("counted", locale, lines=lines, new=summary.get("new", 0), carried=summary.get("carried", 0))


def _unchecked(summary: dict[str, Any], locale: Locale) -> str:
    """Returns what the head of a list says of refusals that nobody could check; nothing if all were."""
    codes = [REFUSALS[code] for code in summary.get("not_evaluable", ()) if code in REFUSALS]
    named = phrase("unchecked_comma", locale).join(phrase("unchecked_code", locale, code=code) for code in codes)
    return phrase("unchecked", locale, codes=named) if codes else ""
