"""The way into built portraits for everybody else: which dates there are, where they lie, and their rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from features.kit.errors import NotReadyError
from features.kit.files import check_parquet, read_json
from features.kit.home import Home
from features.portraits.feature_list import FeatureList

if TYPE_CHECKING:
    import pyarrow as pa

PORTRAIT_FILE = "portrait.parquet"
REPORT_FILE = "class_report.json"


def partition(root: Path, as_of: date) -> Path:
    """Returns the folder of one as-of date under an identity's folder."""
    return root / f"as_of={as_of.isoformat()}"


def _dates_of(root: Path) -> list[date]:
    """Returns the as-of dates under an identity's folder, oldest first; what is named otherwise is nobody's date."""
    found = []
    for path in root.glob(f"as_of=*/{PORTRAIT_FILE}"):
        try:
            found.append(date.fromisoformat(path.parent.name.removeprefix("as_of=")))
        except ValueError:
            continue
    return sorted(found)


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
        return _dates_of(self.root)

    def to_build_again(self) -> str:
        """Returns which dates lie here with another feature list only, and the command that builds exactly those again.

        A former release or mapping left them; an empty string if there are none.
        """
        others = {day for folder in self.root.parent.glob("*/") for day in _dates_of(folder)} - set(self.as_of_dates())
        if not others:
            return ""
        days = sorted(others)
        steps = [(after - before).days for before, after in pairwise(days)]
        every = "month" if all(day.day == 1 for day in days) or not steps else max(set(steps), key=steps.count)
        count = f"{len(days)} as-of dates lie" if len(days) > 1 else "one as-of date lies"
        command = f"insight build --from {days[0]} --as-of {days[-1]} --every {every}"
        return f"{count} here with another feature list; build again with {command}"

    def path(self, as_of: date) -> Path:
        """Returns the Parquet file of a date.

        Raises:
            NotReadyError: If that date has not been built; it names the newest that has.
            DataError: If its file is damaged.
        """
        path = partition(self.root, as_of) / PORTRAIT_FILE
        if not path.exists():
            dates = self.as_of_dates()
            newest = f"; the newest is {dates[-1]}" if dates else ""
            raise NotReadyError(
                f"{path}: no portrait of {as_of} has been built{newest}", remedy=f"run `insight build --as-of {as_of}`"
            )
        return check_parquet(path, remedy=f"run `insight build --as-of {as_of}`")

    def read(self, as_of: date, columns: Sequence[str] | None = None) -> pa.Table:
        """Returns the rows of a date sorted by customer, with the named columns or all of them."""
        import pyarrow.parquet as pq

        return pq.read_table(self.path(as_of), columns=None if columns is None else list(columns), partitioning=None)

    def class_report(self, as_of: date) -> dict[str, Any]:
        """Returns the class report written beside the rows of a date."""
        report: dict[str, Any] = read_json(self.path(as_of).parent / REPORT_FILE)
        return report
