"""How routes answer: response models as JSON bytes, schemas and examples in the documentation, pages by cursor."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson
from fastapi import Response
from pydantic import BaseModel

from features.kit.errors import InsightError
from serving.api.errors import PROBLEM_JSON, InvalidRequestError, Problem

MOST_KEY = 200
LAST_SECOND = 4_102_444_800
"""Seconds until the year 2100; no place in a list is as far."""


class ErrorOut(BaseModel):
    """Why one item has no answer."""

    code: str
    detail: str

    @classmethod
    def of(cls, error: InsightError) -> ErrorOut:
        """Returns an error inside a batch answer."""
        return cls(code=error.code, detail=error.message)


FAILED = "failed"
"""Status of an item that was not recorded through no fault of its own: the same request tries it again."""


class BatchAnswer(BaseModel):
    """One item per item sent, in the order sent; `recorded` counts those of that status."""

    recorded: int
    items: list[Any]


def json_response(answer: BaseModel, status: int = 200) -> Response:
    """Returns a response model as JSON bytes: a field that its schema lacks cannot be answered."""
    return Response(json_bytes(answer), status, media_type="application/json")


def json_bytes(answer: BaseModel) -> bytes:
    """Returns a response model as JSON bytes."""
    return answer.model_dump_json(by_alias=True).encode()


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


class FileAnswer(NamedTuple):
    """A file that a service answers with."""

    content: bytes
    not_evaluable: list[str]  # the refusals that nobody could check


def not_evaluable(codes: Sequence[str]) -> dict[str, str]:
    """Returns the header by which a file says which refusals nobody could check; none if all were."""
    return {"Not-Evaluable": ", ".join(codes)} if codes else {}


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
    if not isinstance(keys, list) or [type(key) for key in keys] != list(kinds) or not all(map(_is_plain, keys)):
        raise InvalidRequestError("cursor: not one of ours", remedy="use `next_cursor` of the page before")
    return tuple(keys)


def _is_plain(key: Any) -> bool:
    """Returns whether a key is one that a database takes: text without control characters, a place or a time."""
    if isinstance(key, str):
        return len(key) <= MOST_KEY and key.isprintable()
    return 0 <= key < LAST_SECOND if isinstance(key, int) else True
