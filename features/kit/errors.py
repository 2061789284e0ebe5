"""The one tree of errors that this system raises on purpose.

    InsightError                 500  internal_error
    ├── ConfigurationError       500  configuration_error   a YAML, a flag or an environment variable is wrong
    ├── DataError                422  data_error            a file, a row or a key is wrong
    │   └── QuarantineLimitError 422  quarantine_limit      too many bad rows; nothing was published
    ├── NotFoundError            404  not_found
    ├── ConflictError            409  conflict              already taken, or the same key with another body
    ├── NotPermittedError        403  not_permitted
    ├── NotReadyError            503  not_ready             no model, no portrait, or a store that does not answer
    ├── HomeError                503  home_refused          a ledger, store or feeds not of this home, or gone
    └── BundleError              503  bundle_refused        a model bundle that must not be loaded

Every error is one line that names the file, the row or the key, and a remedy where there is one.
"""

from __future__ import annotations


class InsightError(Exception):
    """An expected failure, told in one line.

    Attributes:
        message: What is wrong, naming the thing that is wrong.
        remedy: What the user can do about it, or an empty string.
    """

    status: int = 500
    code: str = "internal_error"

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} ({self.remedy})" if self.remedy else self.message


class ConfigurationError(InsightError):
    """A configuration file, a flag or an environment variable is wrong."""

    code = "configuration_error"


class DataError(InsightError):
    """A file, a row or a key is wrong."""

    status = 422
    code = "data_error"


class QuarantineLimitError(DataError):
    """Too many rows of a feed are bad; nothing was published."""

    code = "quarantine_limit"


class NotFoundError(InsightError):
    """The named thing does not exist, or the caller may not know that it does."""

    status = 404
    code = "not_found"


class ConflictError(InsightError):
    """The thing is taken already, or an idempotency key came back with another body."""

    status = 409
    code = "conflict"


class NotPermittedError(InsightError):
    """The caller lacks the scope."""

    status = 403
    code = "not_permitted"


class NotReadyError(InsightError):
    """A part that is needed for an answer is absent or silent right now."""

    status = 503
    code = "not_ready"


class HomeError(InsightError):
    """A ledger, an online store or feeds are not this home's, or are gone although other state speaks of them.

    Never taken for "not there yet" or "taken already": who handles those must not pass over it.
    """

    status = 503
    code = "home_refused"


class BundleError(NotReadyError):
    """A model bundle failed its checks and must not serve."""

    code = "bundle_refused"

    def __init__(
        self, message: str, *, remedy: str = "insight models lists what is whole; promote that or train again"
    ) -> None:
        super().__init__(message, remedy=remedy)
