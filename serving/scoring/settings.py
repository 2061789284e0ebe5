"""The configuration of scores: `configs/serving.yaml` as one frozen object."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from features.kit.config import Config, config_path, load_config

NORMAL = "normal"
"""The band below all others."""


class ReasonSettings(Config):
    """How many reasons are shown."""

    most: int = Field(ge=1, le=3)
    most_per_dimension: int = Field(ge=1, le=3)


class ScoreSettings(Config):
    """Everything that can change how a score is shown or refused."""

    bands: dict[str, float] = Field(min_length=1)  # the top share of the base in each band, highest band first
    least_known_share: float = Field(ge=0, le=1)  # with less of the model's gain in known inputs a score is refused
    stale_after_hours: float = Field(gt=0)  # an older portrait is flagged
    reasons: ReasonSettings  # how reasons are chosen

    @model_validator(mode="after")
    def _bands_widen(self) -> Self:
        shares = list(self.bands.values())
        if shares != sorted(set(shares)) or shares[0] <= 0 or shares[-1] >= 1:
            raise ValueError("bands: name the smallest top share first, each share between 0 and 1")
        if NORMAL in self.bands:
            raise ValueError(f"bands: '{NORMAL}' is what remains; do not give it a share")
        return self


def load_settings() -> ScoreSettings:
    """Returns the settings in `configs/serving.yaml`. Raises ConfigurationError naming the key."""
    return load_config(ScoreSettings, config_path("serving.yaml"))
