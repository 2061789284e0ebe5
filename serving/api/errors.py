"""Every refusal as RFC 9457 `application/problem+json`, made from the one tree of errors.

    InsightError
    ├── UnauthenticatedError  401  unauthenticated   no API key, or one that does not work
    ├── InvalidRequestError   422  invalid_request   well-formed JSON that breaks a rule of the operation
    └── OverloadedError       503  overloaded        more requests at once than the service answers; try again

A problem names the rule and the place, never the value that was sent: it could be a phone number.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.types import Scope

from features.kit.errors import DataError, InsightError, NotReadyError, StateError, of_state
from features.kit.log import get_logger

_LOGGED = "look for the request id in the service's log"
_EXAMPLE = "compare the request with its example at /docs"
REMEDIES: dict[str, str] = {
    "bad_request": _EXAMPLE,
    "data_error": _EXAMPLE,
    "invalid_request": _EXAMPLE,
    "not_permitted": "ask for a key with that scope: insight keys create NAME --scope SCOPE",
    "not_found": "check the path and the id; what lies outside the key's province or city answers the same",
    "method_not_allowed": "the methods of this path are at /docs",
    "conflict": "read what is there, or send another Idempotency-Key",
    "too_large": "send less at once",
    "request_timeout": "send the whole body at once",
    "too_many_requests": "try again after `Retry-After` seconds",
    "unsupported_media_type": "send the header Content-Type: application/json",
    "not_ready": "try again after `Retry-After` seconds; /readyz says what is missing",
    "state_damaged": "try again after `Retry-After` seconds; the service's log has it under the request id",
    "bundle_refused": "`insight models` names the damaged bundle; `insight rollback` goes back",
    "home_refused": "`insight home show` names what does not belong to this home",
    "configuration_error": _LOGGED,
    "internal_error": _LOGGED,
}
"""What a caller can do about a problem whose error brought no remedy of its own."""

DAMAGED = "insight.damaged"
"""Where a request's scope says that a part of our own state failed it: `/metrics` counts those."""

PROBLEM_JSON = "application/problem+json"
RETRY_AFTER_SECONDS = 2
_FOLDERS = re.compile(r"(?<![\w:/])(?:\.{0,2}/|[\w.-]+/)(?:[^\s/:'\"]+/)*(?=[^\s/:'\"])")


class UnauthenticatedError(InsightError, status=401, code="unauthenticated"):
    """No API key was presented, or one that does not work."""


class InvalidRequestError(InsightError, status=422, code="invalid_request"):
    """The request is well-formed but breaks a rule of the operation."""


class OverloadedError(NotReadyError, code="overloaded"):
    """More requests are being answered than the service takes at once."""


class Problem(BaseModel):
    """RFC 9457: what went wrong, in a form that a program can read."""

    type: str = Field(examples=["urn:insight:problem:not_found"])
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    code: str = Field(examples=["not_found"])
    detail: str = Field(examples=["no customer with this id"])
    remedy: str = Field(default="", examples=[REMEDIES["not_found"]])
    errors: list[dict[str, Any]] = Field(default_factory=list, examples=[[]])
    request_id: str = Field(default="", examples=["3f1c9a0b52de"])


def problem_response(
    status: int,
    code: str,
    detail: str,
    *,
    remedy: str = "",
    errors: list[dict[str, Any]] | None = None,
    request_id: str = "",
) -> Response:
    """Returns a problem as a response, with the headers that its status asks for."""
    headers = {}
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    if status in (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS):
        headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    body = {
        "type": f"urn:insight:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
        "remedy": remedy or REMEDIES.get(code, ""),
        "errors": errors or [],
        "request_id": request_id,
    }
    return Response(orjson.dumps(body), status, headers, media_type=PROBLEM_JSON)


def install(app: FastAPI) -> None:
    """Makes every error of the application a problem."""
    app.add_exception_handler(InsightError, _on_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)


def _request_id(request: Request) -> str:
    return str(request.scope.get("insight.request_id", ""))


def answer_of(error: Exception, scope: Scope) -> Response:
    """Returns any error as a problem; what is not the caller's doing is logged by its kind alone, never by its text."""
    request_id = str(scope.get("insight.request_id", ""))
    # What a caller sent wrongly is an InvalidRequestError; any other error of data is of our own state.
    damaged = scope[DAMAGED] = isinstance(error, DataError | StateError) or of_state(error) is not None
    if damaged or not isinstance(error, InsightError):
        what = "state_damaged" if damaged else "request_failed"
        get_logger().error(what, request_id=request_id, error_kind=type(error).__name__)
        status, code, detail = (
            (503, StateError.code, "a part of the service's own state fails")
            if damaged
            else (500, "internal_error", "an unexpected error; it has been logged")
        )
        return problem_response(status, code, detail, request_id=request_id)
    if error.status == HTTPStatus.INTERNAL_SERVER_ERROR:
        get_logger().error("request_failed", request_id=request_id, error_kind=type(error).__name__, code=error.code)
        return problem_response(500, error.code, "the service is not set up correctly", request_id=request_id)
    message = without_folders(error.message)
    return problem_response(error.status, error.code, message, remedy=error.remedy, request_id=request_id)


async def _on_error(request: Request, error: Exception) -> Response:
    return answer_of(error, request.scope)


def without_folders(message: str) -> str:
    """Returns a message without the folders of this machine: of a path only its last part is shown.

    Example: "/data/insight/bundles/churn/v3: its golden row comes out differently" gives "v3: its golden ...".
    """
    return _FOLDERS.sub("", message)


async def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [
        {
            "loc": [str(part) for part in problem["loc"]],
            "code": problem["type"],
            "detail": str(problem["msg"]).removeprefix("Value error, "),
        }
        for problem in error.errors()
    ]
    if errors and errors[0]["code"] == "json_invalid":
        detail = f"the body is not JSON (at character {errors[0]['loc'][-1]})"
        return problem_response(422, "invalid_request", detail, errors=errors[:20], request_id=_request_id(request))
    content_type = request.headers.get("content-type", "")
    if errors and errors[0]["loc"] == ["body"] and content_type and "json" not in content_type:
        detail = f"the body is '{content_type.split(';')[0]}'; send application/json"
        return problem_response(415, "unsupported_media_type", detail, request_id=_request_id(request))
    where = ".".join(errors[0]["loc"]) if errors else "request"
    detail = f"{where}: {errors[0]['detail']}" if errors else "the request is malformed"
    return problem_response(422, "invalid_request", detail, errors=errors[:20], request_id=_request_id(request))


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = HTTPStatus(error.status_code).name.lower()
    response = problem_response(error.status_code, code, str(error.detail), request_id=_request_id(request))
    response.headers.update(error.headers or {})
    return response
