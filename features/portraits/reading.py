"""The way into built portraits for everybody else: which dates there are, where they lie, and their rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from features.kit.errors import NotReadyError
from features.kit.files import read_json
from features.kit.home import Home
from features.portraits.feature_list import FeatureList

if TYPE_CHECKING:
    import pyarrow as pa

PORTRAIT_FILE = "portrait.parquet"
REPORT_FILE = "class_report.json"
IDENTITY_COLUMNS = ("customer_id", "as_of_date", "event_timestamp", "created_timestamp", "built_at")
STORY_COLUMNS = ("primary_class", "also_classes", "facts")


def partition(root: Path, as_of: date) -> Path:
    """Returns the folder of one as-of date under an identity's folder."""
    return root / f"as_of={as_of.isoformat()}"


@dataclass(frozen=True)
class Portraits:
    """The built portraits of one home.

    Attributes:
        root: The folder of the current identity.
        feature_list: The features, in order, with their dictionaries.
    """

    root: Path
    feature_list: FeatureList

    @classmethod
    def open(cls, home: Home) -> Portraits:
        """Returns the home's current portraits. Raises NotReadyError if none has been built."""
        features = FeatureList.load(home)
        return cls(home.portraits / features.identity, features)

    def as_of_dates(self) -> list[date]:
        """Returns the dates that are built, oldest first."""
        found = self.root.glob(f"as_of=*/{PORTRAIT_FILE}")
        return sorted(date.fromisoformat(path.parent.name.removeprefix("as_of=")) for path in found)

    def dates_of_other_lists(self) -> list[date]:
        """Returns the dates that only lie here with another feature list, as a former release or mapping left them."""
        found = self.root.parent.glob(f"*/as_of=*/{PORTRAIT_FILE}")
        everywhere = {date.fromisoformat(path.parent.name.removeprefix("as_of=")) for path in found}
        return sorted(everywhere - set(self.as_of_dates()))

    def path(self, as_of: date) -> Path:
        """Returns the Parquet file of a date.

        Raises:
            NotReadyError: If that date has not been built; it names the newest that has.
        """
        path = partition(self.root, as_of) / PORTRAIT_FILE
        if not path.exists():
            dates = self.as_of_dates()
            newest = f"; the newest is {dates[-1]}" if dates else ""
            raise NotReadyError(
                f"{path}: no portrait of {as_of} has been built{newest}", remedy=f"run `insight build --as-of {as_of}`"
            )
        return path

    def read(self, as_of: date, columns: Sequence[str] | None = None) -> pa.Table:
        """Returns the rows of a date sorted by customer, with the named columns or all of them."""
        import pyarrow.parquet as pq

        return pq.read_table(self.path(as_of), columns=None if columns is None else list(columns), partitioning=None)

    def class_report(self, as_of: date) -> dict[str, Any]:
        """Returns the class report written beside the rows of a date."""
        report: dict[str, Any] = read_json(self.path(as_of).parent / REPORT_FILE)
        return report
