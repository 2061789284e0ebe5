"""Cells that were printed on a list and came back changed: the row may speak of another person or another action."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from datetime import date
from typing import Any, cast

from sqlalchemy import Engine, select

from features.feeds.landed.steady import on_current_feeds
from features.kit.home import Home
from features.kit.language import LOCALES
from serving.database.session import reading
from serving.database.tables_outreach import ListLineRow, OutreachLineRow
from serving.outreach.dispositions import DISPOSITIONS
from serving.outreach.export.columns import COLUMNS, Entry, Page
from serving.outreach.export.layout import SHEET_COLUMNS
from serving.outreach.export.personal import NOBODY, read_personal
from serving.outreach.feedback.returns import PRINTED, Report, ReportError, RowError
from serving.outreach.lists.ledger import content_of
from serving.outreach.settings import load_settings

MOST_IDS = 500
"""Of one query."""


def unchanged_reports(home: Home, engine: Engine, reports: Sequence[Report]) -> tuple[list[Report], list[RowError]]:
    """Returns the reports to record, and an error for each row whose name, number, action or channel was changed.

    An emptied cell says nothing and is no change.
    Such a row is not recorded, except for what a customer forbids where the number still says who it was.
    """
    issued = _issued(home, engine, {report.line_id for report in reports if report.printed})
    kept, errors = [], []
    for report in reports:
        changed = [
            (name, cell)
            for name, cell in report.printed.items()
            if report.line_id in issued and _bare(cell) not in ("", *map(_bare, issued[report.line_id][name]))
        ]
        for name, cell in changed:
            first = issued[report.line_id][name][LOCALES.index(report.locale)]
            error = ReportError(name, "changed", cell=cell, issued=first, line_id=report.line_id)
            errors.append(error.on(report.row, report.sheet, report.locale))
        binds = DISPOSITIONS[report.disposition].outcome.on_closed_line
        is_known = bool(report.printed.get("number", "").strip()) and "number" not in dict(changed)
        if not changed or (binds and is_known):
            kept.append(report)
    return kept, errors


def _issued(home: Home, engine: Engine, line_ids: set[str]) -> dict[str, dict[str, list[str]]]:
    """Returns line -> column -> every text that a list may have shown there, in both languages and forms."""
    settings = load_settings()
    pages = [Page(settings, cast("Any", None), locale, "UTC") for locale in LOCALES]
    printed = [column for column in (*COLUMNS, *SHEET_COLUMNS) if column.name in PRINTED]
    wanted = sorted(line_ids)
    with reading(engine) as session:
        lines: dict[str, OutreachLineRow] = {}
        days: dict[str, set[date]] = {}
        for start in range(0, len(wanted), MOST_IDS):
            for line, day in session.execute(
                select(OutreachLineRow, ListLineRow.day)
                .join(ListLineRow, ListLineRow.line_id == OutreachLineRow.line_id)
                .where(OutreachLineRow.line_id.in_(wanted[start : start + MOST_IDS]))
            ):
                lines[line.line_id] = line
                days.setdefault(line.line_id, set()).add(day)
        customers = [line.customer_id for line in lines.values()]
        every = sorted(set().union(*days.values()))
        personal = on_current_feeds(home, lambda feeds: {day: read_personal(feeds, customers, day) for day in every})
        found: dict[str, dict[str, list[str]]] = {}
        for line_id, line in lines.items():
            texts = found[line_id] = {name: [] for name in PRINTED}
            for day in sorted(days[line_id], reverse=True):
                whose = personal[day].get(line.customer_id, NOBODY)
                entry = Entry(cast("Any", None), line, content_of(line), whose, None)
                for column in printed:
                    texts[column.name] += [str(column.cell(entry, page)) for page in pages]
    return found


def _bare(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).removeprefix("'").split()).casefold()
