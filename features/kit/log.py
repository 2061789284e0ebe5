"""Structured logs on stderr with an allow-list of fields: what is not on the list is never written."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

ALLOWED_FIELDS = frozenset(
    {
        "event", "level", "timestamp", "run_id", "request_id", "feed", "step", "target", "version", "as_of", "rows",
        "accepted", "quarantined", "reason", "code", "status", "method", "route", "seconds", "key_id", "list_id",
        "count", "error_kind",
    }
)  # fmt: skip


def keep_allowed_fields(_: Any, __: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Drops every field that is not on the allow-list, so that a name or a phone number cannot reach a log."""
    return {name: value for name, value in fields.items() if name in ALLOWED_FIELDS}


def configure_logging(*, level: str = "INFO") -> None:
    """Sets up JSON lines on stderr. Call once per process, before the first log line."""
    import structlog

    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            keep_allowed_fields,
            structlog.processors.JSONRenderer(sort_keys=True),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level)),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
    )


def get_logger() -> Any:
    """Returns the structured logger."""
    import structlog

    return structlog.get_logger()
