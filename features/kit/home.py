"""Where state lives: one home folder, and the models that belong to it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

DEFAULT_HOME = Path(".insight")
HOME_VARIABLE = "INSIGHT_HOME"


@dataclass(frozen=True)
class Home:
    """The folders of one operator's state. Nothing is created until something is written."""

    root: Path

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

    @property
    def feeds(self) -> Path:
        """Returns the landed feeds."""
        return self.root / "feeds"

    @property
    def personal(self) -> Path:
        """Returns the only folder with phone numbers and person links (readable by its owner alone)."""
        return self.root / "personal"

    @property
    def quarantine(self) -> Path:
        """Returns the refused rows with their reasons: as they were delivered, so for their owner's eyes alone."""
        return self.personal / "quarantine"

    @property
    def portraits(self) -> Path:
        """Returns the portraits, one Parquet partition per as-of date."""
        return self.root / "portraits"

    @property
    def store(self) -> Path:
        """Returns the feature store's registry and embedded online store."""
        return self.root / "store"

    @property
    def scores(self) -> Path:
        """Returns the batch scores and rank tables."""
        return self.root / "scores"

    @property
    def lists(self) -> Path:
        """Returns the exported outreach lists."""
        return self.root / "lists"

    @property
    def product_fit(self) -> Path:
        """Returns the product-fit results per as-of date."""
        return self.root / "product_fit"

    @property
    def simulation(self) -> Path:
        """Returns the synthetic operator's files (`files/`) and its oracle (`oracle/`, never a feature's input)."""
        return self.root / "simulation"

    @property
    def studies(self) -> Path:
        """Returns the searches for learner settings, finished trial by finished trial."""
        return self.root / "studies.db"

    @property
    def results(self) -> Path:
        """Returns benchmark and soak results."""
        return self.root / "results"

    @property
    def monitoring(self) -> Path:
        """Returns the monitoring reports, one folder per as-of date, and the gauges of the newest."""
        return self.root / "monitoring"

    @property
    def operations(self) -> Path:
        """Returns the embedded operational database."""
        return self.root / "operations.db"

    @property
    def erasures(self) -> Path:
        """Returns the receipts of erased persons; they name nobody."""
        return self.root / "erasures"

    @property
    def runs(self) -> Path:
        """Returns the run table."""
        return self.root / "runs.db"
