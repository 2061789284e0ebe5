"""The one tree of errors that this system raises on purpose.

    InsightError                 500  internal_error
    ├── ConfigurationError       500  configuration_error   a YAML, a flag or an environment variable is wrong
    ├── DataError                422  data_error            a file, a row or a key is wrong
    │   └── QuarantineLimitError 422  quarantine_limit      too many bad rows; nothing was published
    ├── NotFoundError            404  not_found
    ├── ConflictError            409  conflict              already taken, or the same key with another body
    ├── NotPermittedError        403  not_permitted
    ├── NotReadyError            503  not_ready             no model, no portrait, or a store that does not answer
    │   └── StateError           503  state_damaged         a file, a database, a disk or the memory fails
    ├── HomeError                503  home_refused          a ledger, store or feeds not of this home, or gone
    └── BundleError              503  bundle_refused        a model bundle that must not be loaded

Every error is one line that names the file, the row or the key, and a remedy where there is one.
"""

from __future__ import annotations

import errno
import re

_LONGEST_LINE = 300


class InsightError(Exception):
    """An expected failure, told in one line; a kind of it names its HTTP status and its stable code."""

    status: int = 500
    code: str = "internal_error"

    def __init_subclass__(cls, *, status: int | None = None, code: str = "") -> None:
        super().__init_subclass__()
        cls.status, cls.code = status or cls.status, code or cls.code

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message  # what is wrong, naming the thing that is wrong
        self.remedy = remedy  # what the user can do about it, or an empty string

    def __str__(self) -> str:
        return f"{self.message} ({self.remedy})" if self.remedy else self.message


class ConfigurationError(InsightError, code="configuration_error"):
    """A configuration file, a flag or an environment variable is wrong."""


class DataError(InsightError, status=422, code="data_error"):
    """A file, a row or a key is wrong."""


class QuarantineLimitError(DataError, code="quarantine_limit"):
    """Too many rows of a feed are bad; nothing was published."""


class NotFoundError(InsightError, status=404, code="not_found"):
    """The named thing does not exist, or the caller may not know that it does."""


class ConflictError(InsightError, status=409, code="conflict"):
    """The thing is taken already, or an idempotency key came back with another body."""


class NotPermittedError(InsightError, status=403, code="not_permitted"):
    """The caller lacks the scope."""


class NotReadyError(InsightError, status=503, code="not_ready"):
    """A part that is needed for an answer is absent or silent right now."""


class HomeError(InsightError, status=503, code="home_refused"):
    """A ledger, an online store or feeds are not this home's, or are gone although other state speaks of them.

    Never taken for "not there yet" or "taken already": who handles those must not pass over it.
    """


class BundleError(NotReadyError, code="bundle_refused"):
    """A model bundle failed its checks and must not serve."""

    def __init__(
        self, message: str, *, remedy: str = "insight models lists what is whole; promote that or train again"
    ) -> None:
        super().__init__(message, remedy=remedy)


class StateError(NotReadyError, code="state_damaged"):
    """A file, a database or a disk of the state cannot be read or written; no input causes it."""


_STATE_LIBRARIES = frozenset({"sqlalchemy", "sqlite3", "psycopg", "alembic", "pyarrow", "duckdb", "redis", "mlflow"})
_PATH = re.compile(r"(?<![\w./:])/[^\s\"':,;()]+")
_RESTORE = "restore it from a backup, or make a new home; --debug shows where it failed"
_OF_DISK = {
    errno.ENOSPC: ("the disk is full", "free some space and run the same command again; nothing is half written"),
    errno.EDQUOT: ("the disk quota is used up", "free some space and run the same command again"),
    errno.EROFS: ("the disk may not be written", "make it writable, or name another --home"),
    errno.EACCES: ("no permission", "look at the owner and the rights of the file and its folder"),
    errno.EPERM: ("no permission", "look at the owner and the rights of the file and its folder"),
    errno.EMFILE: ("too many open files", "raise `ulimit -n`"),
    errno.EFBIG: ("a file may not become as large", "raise `ulimit -f`"),
}
_WORDS = {
    "disk is full": errno.ENOSPC,
    "No space left": errno.ENOSPC,
    "File too large": errno.EFBIG,
    "readonly database": errno.EROFS,
    "Read-only file system": errno.EROFS,
    "Permission denied": errno.EACCES,
}
"""What libraries that keep the number of an error to themselves write of it."""


def of_state(error: BaseException) -> StateError | None:
    """Returns a failure of a file, a database, a store or the memory as one line that names it, or None for a bug.

    Whoever knows which database it was adds its name as a note (`error.add_note`).
    """
    if isinstance(error, MemoryError):
        return StateError("not enough memory", remedy="close other programs, or give fewer --threads")
    libraries = _STATE_LIBRARIES & {kind.__module__.partition(".")[0].lstrip("_") for kind in type(error).__mro__}
    if not isinstance(error, OSError) and not libraries:
        return None
    cause = getattr(error, "orig", None) or error  # of SQLAlchemy, whose own text holds the statement and its values
    lines = str(cause).splitlines() or [type(error).__name__]
    paths = _PATH.findall(str(cause))
    named = next(iter(getattr(error, "__notes__", ())), "") or str(getattr(error, "filename", "") or "")
    where = named or (paths[0].rstrip(".") if paths else min(libraries, default=""))
    number = getattr(error, "errno", None) or next((n for words, n in _WORDS.items() if words in str(cause)), None)
    what, remedy = _OF_DISK.get(number or 0, (getattr(error, "strerror", None) or lines[0][:_LONGEST_LINE], _RESTORE))
    return StateError(f"{where}: {what}" if where else what, remedy=remedy)
