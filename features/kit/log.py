"""Structured logs on stderr with an allow-list of fields: what is not on the list is never written.

What libraries log (uvicorn, SQLAlchemy, asyncio) passes the same list: fixed words and the kind of an error, never the
values filled in, the text of an error or a traceback, which may hold ids, numbers and SQL parameters.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import MutableMapping
from typing import Any

ALLOWED_FIELDS = frozenset(
    {
        "event", "level", "timestamp", "run_id", "request_id", "feed", "step", "target", "version", "as_of", "rows",
        "accepted", "quarantined", "reason", "code", "status", "method", "route", "seconds", "key_id", "list_id",
        "count", "error_kind",
    }
)  # fmt: skip
_MOST_WORDS = 80


def keep_allowed_fields(_: Any, __: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Drops every field that is not on the allow-list, so that a name or a phone number cannot reach a log."""
    return {name: value for name, value in fields.items() if name in ALLOWED_FIELDS}


def configure_logging(*, level: str = "INFO") -> None:
    """Sets up JSON lines on stderr, also for libraries. Call once per process, before the first log line."""
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
    logging.basicConfig(handlers=[FromLibraries()], level=logging.WARNING, force=True)
    threading.excepthook = _of_thread


class FromLibraries(logging.Handler):
    """Writes a library's record as a line of ours, without anything that was filled into it."""

    def emit(self, record: logging.LogRecord) -> None:
        """Writes the record's fixed words and the kind of its error."""
        error = record.exc_info[1] if record.exc_info else record.msg if isinstance(record.msg, Exception) else None
        words = record.msg.splitlines()[0][:_MOST_WORDS] if isinstance(record.msg, str) and record.msg else record.name
        log = get_logger().error if record.levelno >= logging.ERROR else get_logger().warning
        log(words, error_kind=type(error).__name__ if error is not None else None)


def _of_thread(failed: threading.ExceptHookArgs) -> None:
    get_logger().error("thread_failed", error_kind=failed.exc_type.__name__)


def get_logger() -> Any:
    """Returns the structured logger."""
    import structlog

    return structlog.get_logger()
