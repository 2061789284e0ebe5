"""The stored scores of a target: where they lie, which count now, and what they were made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from features.kit.errors import DataError
from features.kit.files import read_json, read_parquet, sha256_of
from features.kit.home import Home
from features.portraits.reading import REPORT_FILE, Portraits
from serving.scoring.ranks import scores_folder
from serving.scoring.reasons.book import ReasonBook
from serving.scoring.settings import ScoreSettings

if TYPE_CHECKING:
    import pyarrow as pa
SCORES = "scores.parquet"
POINTER = "current.json"
WORK = ".work"
"""What a batch that is under way, or was killed, has worked out so far."""
PROVENANCE = b"insight.provenance"


@dataclass(frozen=True)
class Scores:
    """The scores of one target that count now.

    Attributes:
        target: What was predicted.
        version: The model's version.
        as_of: The as-of date.
        folder: Where they lie.
    """

    target: str
    version: str
    as_of: date
    folder: Path

    @classmethod
    def current(cls, home: Home, target: str) -> Scores | None:
        """Returns the scores that the pointer names, or None. Raises DataError if the pointer is damaged."""
        pointer = home.scores / target / POINTER
        if not pointer.exists():
            return None
        content = read_json(pointer)
        try:
            version, as_of = str(content["version"]), date.fromisoformat(content["as_of"])
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{pointer}: {error}", remedy="run `insight score` again") from None
        return cls(target, version, as_of, scores_folder(home, target, version, as_of))

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Returns the scores sorted by customer, with the named columns or all of them."""
        remedy = f"insight score --as-of {self.as_of} makes it again"
        return read_parquet(self.folder / SCORES, columns, remedy=remedy)


def provenance_of(portraits: Portraits, as_of: date, book: ReasonBook, settings: ScoreSettings) -> dict[str, Any]:
    """Returns what stored scores were made of besides the model, so that `insight replay` can make them again."""
    path = portraits.path(as_of)
    report = path.parent / REPORT_FILE
    built = read_json(report) if report.exists() else {}
    return {
        "portrait_identity": portraits.feature_list.identity,
        "portrait_sha256": sha256_of(path),
        "built_from": built.get("built_from"),
        "arrived_until": built.get("arrived_until"),
        "reasons": book.content_hash(),
        "settings": settings.content_hash(),
    }
