"""What a landing tells: per feed the rows accepted, repeated and refused, and why."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any


@dataclass
class FeedReport:
    """What became of one feed's rows."""

    accepted: int = 0  # rows that passed every check, repeats included
    repeated: int = 0  # accepted rows that were known already
    quarantined: int = 0  # refused rows, those of the files that it reads (`reject`, `required`, ...) among them
    reasons: dict[str, int] = field(default_factory=dict)
    first: str = ""  # the first refused row in words, or an empty string
    rewritten: int = 0  # accepted rows with an identifier in another form: blanks, full-width digits, a country code
    unchanged: bool = False  # the same files under the same mapping had landed before
    unknown: dict[str, int] = field(default_factory=dict)  # column -> times that stand for "unknown", landed as NULL
    piled_up: dict[str, str] = field(default_factory=dict)  # column -> on which day far too many rows fall
    erased: int = 0  # rows of erased persons, refused and kept nowhere

    @property
    def warnings(self) -> list[str]:
        """Returns what a person should look at, one sentence a column."""
        stand_ins = [
            f"{column}: {rows:,} rows hold a zero day or a day to come, taken as unknown"
            for column, rows in self.unknown.items()
        ]
        piles = [
            f"{column}: {pile}; if that day stands for unknown, leave it empty: `null_values_of`"
            for column, pile in self.piled_up.items()
        ]
        return stand_ins + piles

    def as_dict(self) -> dict[str, Any]:
        """Returns plain values."""
        return dict(self.__dict__)


@dataclass
class LandingReport:
    """What one landing did."""

    as_of: date  # the latest as-of date that the feeds allow
    first_day: date  # the first day that they cover
    feeds: dict[str, FeedReport]
    files: dict[str, dict[str, Any]]  # view -> rows and refused rows of the raw files
    missing: tuple[str, ...]  # feeds that no row has ever landed for
    version: str  # hash of the active manifest

    def as_dict(self) -> dict[str, Any]:
        """Returns plain values."""
        days = {"as_of": self.as_of.isoformat(), "first_day": self.first_day.isoformat()}
        return asdict(self) | days | {"missing": list(self.missing)}
