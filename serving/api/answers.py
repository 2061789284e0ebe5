"""How routes answer: orjson bytes on the way out, schemas and examples in the documentation."""

from __future__ import annotations

import base64
import re
from datetime import date
from typing import Annotated, Any

import orjson
from fastapi import Header, Path, Query, Response
from pydantic import BaseModel, BeforeValidator, ConfigDict, StringConstraints

from features.kit.errors import InsightError
from serving.api.errors import PROBLEM_JSON, InvalidRequestError, Problem

CustomerId = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]+$")]
"""An operator's id: text. A JSON number is refused, because 18 digits do not survive a double."""

CustomerInPath = Annotated[
    CustomerId, Path(description="The operator's id of the subscription.", examples=["880000001000000000"])
]

Code = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=60, pattern=r"^[a-z0-9_.]+$")]


def _iso_date(value: Any) -> Any:
    if value is not None and not re.fullmatch(r"\d{4}-\d{2}-\d{2}", str(value)):
        raise ValueError("write the day as 2026-06-01")
    return value


Day = Annotated[date, BeforeValidator(_iso_date)]
"""A civil date in the one form 2026-06-01; a bare number is no date."""

Place = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=100)]
Cursor = Annotated[str | None, Query(max_length=500, description="`next_cursor` of the page before.")]
Limit = Annotated[int, Query(ge=1, le=1000, description="Rows of a page.")]
IdempotencyKey = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        pattern=r"^[!-~]+$",
        description="Any text of your own, new for each new request: a repeat gets the same answer and does nothing.",
    ),
]


class Body(BaseModel):
    """The base of every request body: closed and frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def json_response(content: Any, status: int = 200) -> Response:
    """Returns plain values as JSON bytes; no model is built on the way out."""
    return Response(json_bytes(content), status, media_type="application/json")


def json_bytes(content: Any) -> bytes:
    """Returns plain values as JSON bytes."""
    return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_UTC_Z)


def documented(model: type[BaseModel], example: Any, *refusals: int, status: int = 200) -> dict[int | str, Any]:
    """Returns a route's documented answers: the good one with its example, and the problems it may give."""
    answers: dict[int | str, Any] = {
        status: {"model": model, "content": {"application/json": {"example": example}}},
    }
    for refusal in sorted({401, 403, 422, 503, *refusals}):
        answers[refusal] = {
            "description": "Problem (RFC 9457)",
            "content": {PROBLEM_JSON: {"schema": Problem.model_json_schema()}},
        }
    return answers


def body_example(example: Any) -> dict[str, Any]:
    """Returns the documentation of a request body with its example."""
    return {"requestBody": {"content": {"application/json": {"example": example}}}}


def to_cursor(*keys: Any) -> str:
    """Returns the place after a row as an opaque text."""
    return base64.urlsafe_b64encode(orjson.dumps(keys)).decode().rstrip("=")


def from_cursor(cursor: str | None, *kinds: type) -> tuple[Any, ...] | None:
    """Returns what `to_cursor` was given. Raises InvalidRequestError for anything else."""
    if cursor is None:
        return None
    try:
        keys = orjson.loads(base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4)))
    except ValueError:
        keys = None
    if not isinstance(keys, list) or [type(key) for key in keys] != list(kinds):
        raise InvalidRequestError("cursor: not one of ours", remedy="use `next_cursor` of the page before")
    return tuple(keys)


def item_error(error: InsightError) -> dict[str, str]:
    """Returns an error inside a batch answer."""
    return {"code": error.code, "detail": error.message}
