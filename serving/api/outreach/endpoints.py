"""`/v1/outreach/lists`: create, list, read, export."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Response

from features.kit.language import Locale
from serving.api.answers import body_example, documented, json_response, not_evaluable
from serving.api.auth import needs
from serving.api.context import ContextOf
from serving.api.outreach.schemas import (
    LINES_EXAMPLE,
    LIST_EXAMPLE,
    LISTS_EXAMPLE,
    REQUEST_EXAMPLE,
    LinesAnswer,
    ListOut,
    ListsAnswer,
    NewList,
)
from serving.api.outreach.service import create_list, export, lines, lists, one_list
from serving.api.types import Cursor, IdempotencyKey, Limit
from serving.database.keys import ApiKey

router = APIRouter(tags=["outreach"])
Reader = Annotated[ApiKey, needs("outreach:read", "outreach:write")]
ListId = Annotated[
    str, Path(max_length=20, pattern=r"^[A-Za-z0-9_-]+$", description="The list's id.", examples=["L260601-01"])
]
Language = Annotated[Locale | None, Query(description="Language; the one the list was drawn in unless given.")]

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
CSV = "text/csv; charset=utf-8"


class XlsxResponse(Response):
    """The default form of an export, for the documentation."""

    media_type = XLSX


_FILES = documented(ListOut, LIST_EXAMPLE, 404) | {
    200: {"content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in (XLSX, "text/csv")}}
}


@router.post(
    "/v1/outreach/lists",
    status_code=201,
    responses=documented(ListOut, LIST_EXAMPLE, 404, 409, status=201),
    openapi_extra=body_example(REQUEST_EXAMPLE),
    summary="Draw an outreach list",
)
def post_list(
    request: NewList,
    idempotency_key: IdempotencyKey,
    context: ContextOf,
    key: Annotated[ApiKey, needs("outreach:write")],
) -> Response:
    """Claims persons for the contact window and releases the list's files; a repeat gives the same list."""
    return json_response(create_list(context, key, idempotency_key, request), 201)


@router.get("/v1/outreach/lists", responses=documented(ListsAnswer, LISTS_EXAMPLE), summary="Outreach lists")
def get_lists(context: ContextOf, key: Reader, limit: Limit = 100, cursor: Cursor = None) -> Response:
    """Shows lists, newest first."""
    return json_response(lists(context, key, limit, cursor))


@router.get("/v1/outreach/lists/{list_id}", responses=documented(ListOut, LIST_EXAMPLE, 404), summary="One list")
def get_list(list_id: ListId, context: ContextOf, key: Reader) -> Response:
    """Shows one list and who was held back from it, by code."""
    return json_response(one_list(context, key, list_id))


@router.get(
    "/v1/outreach/lists/{list_id}/lines",
    responses=documented(LinesAnswer, LINES_EXAMPLE, 404),
    summary="A list's lines",
)
def get_lines(
    list_id: ListId,
    context: ContextOf,
    key: Reader,
    limit: Limit = 100,
    cursor: Cursor = None,
    locale: Language = None,
) -> Response:
    """Shows what the agent reads, line by line; whoever may no longer be contacted is left out."""
    return json_response(lines(context, key, list_id, limit, cursor, locale))


@router.get(
    "/v1/outreach/lists/{list_id}/export", response_class=XlsxResponse, responses=_FILES, summary="A list as a file"
)
def get_export(
    list_id: ListId,
    context: ContextOf,
    key: Reader,
    file: Annotated[Literal["xlsx", "csv"], Query(alias="format", description="Excel, or CSV for programs.")] = "xlsx",
    locale: Language = None,
) -> Response:
    """Gives the list as XLSX or CSV; it holds no full number. Every export is audited."""
    content, unchecked = export(context, key, list_id, file, locale)
    headers = {"Content-Disposition": f'attachment; filename="{list_id}.{file}"', **not_evaluable(unchecked)}
    return Response(content, headers=headers, media_type=XLSX if file == "xlsx" else CSV)
