"""Outreach lists over HTTP: drawn, read and exported under the same ledger and policy as on the command line."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Literal

import orjson
from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from features.kit.errors import NotFoundError, NotReadyError
from features.kit.language import Locale
from serving.api.answers import FileAnswer, from_cursor, to_cursor
from serving.api.auth import is_row_scoped, may_see
from serving.api.context import Context
from serving.api.errors import InvalidRequestError
from serving.api.outreach.schemas import LinesAnswer, ListOut, ListsAnswer, NewList
from serving.database.audit import record
from serving.database.keys import ApiKey
from serving.database.session import reading, writing
from serving.database.tables_outreach import ListLineRow, OutreachLineRow, OutreachListRow

NO_LIST = "no list with this id"


def create_list(context: Context, key: ApiKey, idempotency_key: str, request: NewList) -> ListOut:
    """Draws a list for a key; the same idempotency key gives the same list again.

    Raises:
        ConflictError: If the idempotency key came with another request.
        NotFoundError: If the place asked for is not the key's to see.
        InvalidRequestError: If nobody is scored on the day asked for.
        NotReadyError: If feeds, portraits or scores of today are missing.
    """
    from serving.outreach.lists.draw import draw_list
    from serving.outreach.lists.request import ListRequest

    province, city = request.province or key.province, request.city or key.city
    if not may_see(key, {"province": province, "city": city}):
        raise NotFoundError("no customers in this place")
    wanted = ListRequest(request.as_of or context.today(), request.capacity, request.locale, province, city)
    try:
        released = draw_list(context.home, wanted, key=idempotency_key, owner=key.key_id)
    except NotReadyError:
        if request.as_of is not None and not _is_scored(context, request.as_of):
            remedy = "leave as_of out, or name a day whose customers are scored"
            raise InvalidRequestError(f"as_of: no scores of {request.as_of}", remedy=remedy) from None
        raise
    with writing(context.engine) as session:
        record(session, actor=key.key_id, action="outreach.create", subject=released.list_id)
        return _list_out(session, _visible_list(session, key, released.list_id))


def _is_scored(context: Context, as_of: date) -> bool:
    from serving.outreach.decision.candidates import find_scores

    try:
        return bool(find_scores(context.home, as_of)[0])
    except NotReadyError:
        return False


def lists(context: Context, key: ApiKey, limit: int, cursor: str | None) -> ListsAnswer:
    """Returns a page of lists, newest first; a row-scoped key sees its own."""
    query = select(OutreachListRow).order_by(OutreachListRow.created_at.desc(), OutreachListRow.list_id.desc())
    if is_row_scoped(key):
        query = query.where(OutreachListRow.owner == key.key_id)
    after = from_cursor(cursor, int, str)
    if after is not None:
        moment, list_id = datetime.fromtimestamp(after[0], UTC), after[1]
        query = query.where(
            or_(
                OutreachListRow.created_at < moment,
                and_(OutreachListRow.created_at == moment, OutreachListRow.list_id < list_id),
            )
        )
    with reading(context.engine) as session:
        rows = list(session.scalars(query.limit(limit + 1)))
        items = [_list_out(session, row) for row in rows[:limit]]
    last = rows[limit - 1] if len(rows) > limit else None
    following = last and to_cursor(int(last.created_at.timestamp()), last.list_id)
    return ListsAnswer(items=items, next_cursor=following)


def one_list(context: Context, key: ApiKey, list_id: str) -> ListOut:
    """Returns a list. Raises NotFoundError."""
    with reading(context.engine) as session:
        return _list_out(session, _visible_list(session, key, list_id))


def lines(
    context: Context, key: ApiKey, list_id: str, limit: int, cursor: str | None, locale: Locale | None
) -> LinesAnswer:
    """Returns a page of a list's lines, suppressions checked again. Raises NotFoundError."""
    from serving.outreach.export.columns import COLUMNS
    from serving.outreach.export.export import rows_of
    from serving.outreach.lists.release import read_entries, release
    from serving.outreach.settings import load_settings

    after = from_cursor(cursor, int)
    with reading(context.engine) as session:
        _visible_list(session, key, list_id)
    release(context.home, context.engine, list_id, context.book, is_replay=True)
    with reading(context.engine) as session:
        row = _visible_list(session, key, list_id)
        language = locale or ("en" if row.locale == "en" else "zh")
        entries, page = read_entries(session, context.home, row, load_settings(), context.book, language)
        entries = [
            entry for entry in entries if may_see(key, {"province": entry.line.province, "city": entry.line.city})
        ]
        chosen = [entry for entry in entries if after is None or entry.place.position > after[0]]
        names = [column.name for column in COLUMNS]
        cells = rows_of(chosen[:limit], page)
        position = chosen[limit - 1].place.position if len(chosen) > limit else None
    items = [dict(zip(names, row_cells, strict=True)) for row_cells in cells]
    return LinesAnswer(items=items, next_cursor=position and to_cursor(position))


def export(
    context: Context, key: ApiKey, list_id: str, kind: Literal["xlsx", "csv"], locale: Locale | None
) -> FileAnswer:
    """Returns a list's file, suppressions checked again, and the codes that nobody could check; it is audited.

    Without `locale` it is in the language the list was drawn in.

    Raises:
        NotFoundError: If there is no such list, or one with lines that are not the key's to see.
    """
    from serving.outreach.lists.release import release

    with reading(context.engine) as session:
        _visible_list(session, key, list_id)
    released = release(context.home, context.engine, list_id, context.book, is_replay=True, locale=locale)
    with writing(context.engine) as session:
        places = session.execute(
            select(OutreachLineRow.province, OutreachLineRow.city)
            .join(ListLineRow, ListLineRow.line_id == OutreachLineRow.line_id)
            .where(ListLineRow.list_id == list_id, ListLineRow.withdrawn_code.is_(None))
        )
        if not all(may_see(key, {"province": province, "city": city}) for province, city in places):
            raise NotFoundError(NO_LIST)
        record(session, actor=key.key_id, action="outreach.export", subject=list_id, detail={"format": kind})
    path = released.xlsx if kind == "xlsx" else released.csv
    return FileAnswer(path.read_bytes(), released.summary.get("not_evaluable", []))


def _visible_list(session: Session, key: ApiKey, list_id: str) -> OutreachListRow:
    """Returns a list that a key may see: its own, or any for a key without row scope. Raises NotFoundError."""
    row = session.get(OutreachListRow, list_id)
    if row is None or (is_row_scoped(key) and row.owner != key.key_id):
        raise NotFoundError(NO_LIST)
    return row


def _list_out(session: Session, row: OutreachListRow) -> ListOut:
    kept = select(func.count()).where(ListLineRow.list_id == row.list_id, ListLineRow.withdrawn_code.is_(None))
    values = {name: getattr(row, name, None) for name in ListOut.model_fields}
    return ListOut(**values | {"lines": session.scalar(kept) or 0, "summary": orjson.loads(row.summary)})
