"""Where state lives: one home folder, and the models that belong to it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

DEFAULT_HOME = Path(".insight")
HOME_VARIABLE = "INSIGHT_HOME"


@dataclass(frozen=True)
class _Place:
    """A file or a folder below a home, as an attribute of the home."""

    below: str

    def __get__(self, home: Home, _: type[Home]) -> Path:
        return home.root / self.below


@dataclass(frozen=True)
class Home:
    """The folders of one operator's state. Nothing is created until something is written."""

    root: Path

    feeds = _Place("feeds")  # the landed feeds
    personal = _Place("personal")  # the only folder with phone numbers and person links (for its owner's eyes alone)
    quarantine = _Place("personal/quarantine")  # the refused rows with their reasons, as they were delivered
    portraits = _Place("portraits")  # the portraits, one Parquet partition per as-of date
    store = _Place("store")  # the feature store's registry and embedded online store
    scores = _Place("scores")  # the batch scores and rank tables
    lists = _Place("lists")  # the exported outreach lists
    product_fit = _Place("product_fit")  # the product-fit results per as-of date
    simulation = _Place("simulation")  # the synthetic operator's `files/` and its `oracle/`, never a feature's input
    studies = _Place("studies.db")  # the searches for learner settings, finished trial by finished trial
    monitoring = _Place("monitoring")  # the monitoring reports, one folder per as-of date, and the newest gauges
    operations = _Place("operations.db")  # the embedded operational database
    erasures = _Place("erasures")  # the receipts of erased persons; they name nobody
    runs = _Place("runs.db")  # the run table
    results = _Place("results")  # what benchmarks and long runs measured

    @classmethod
    def at(cls, root: Path | str | None = None) -> Home:
        """Returns the home at `root`, else at $INSIGHT_HOME, else `.insight`."""
        return cls(Path(root or os.environ.get(HOME_VARIABLE) or DEFAULT_HOME))

    @property
    def mlruns(self) -> Path:
        """Returns the models' folder: the project's `mlruns/` for the default home, else inside the home."""
        return Path("mlruns") if self.root.resolve() == DEFAULT_HOME.resolve() else self.root / "mlruns"

    @property
    def bundles(self) -> Path:
        """Returns `bundles/<target>/<version>/`, with `champion.json` beside the versions."""
        return self.mlruns / "bundles"
