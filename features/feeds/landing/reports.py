"""What a landing tells: per feed the rows accepted, repeated and refused, and why."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any


@dataclass
class FeedReport:
    """What became of one feed's rows.

    Attributes:
        accepted: Rows that passed every check, repeats included.
        repeated: Accepted rows that were known already.
        first: The first refused row in words, or an empty string.
        unchanged: The same files under the same mapping had landed before.
        erased: Rows of erased persons, refused and kept nowhere.
    """

    accepted: int = 0
    repeated: int = 0
    quarantined: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    first: str = ""
    unchanged: bool = False
    erased: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Returns plain values."""
        return dict(self.__dict__)


@dataclass
class LandingReport:
    """What one landing did.

    Attributes:
        as_of: The latest as-of date that the feeds allow.
        first_day: The first day that they cover.
        files: View -> rows and refused rows of the raw files.
        missing: Feeds that no row has ever landed for.
        version: Hash of the active manifest.
    """

    as_of: date
    first_day: date
    feeds: dict[str, FeedReport]
    files: dict[str, dict[str, Any]]
    missing: tuple[str, ...]
    version: str

    def as_dict(self) -> dict[str, Any]:
        """Returns plain values."""
        days = {"as_of": self.as_of.isoformat(), "first_day": self.first_day.isoformat()}
        return asdict(self) | days | {"missing": list(self.missing)}
