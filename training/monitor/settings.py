"""Limits of the monitoring, from `configs/monitoring.yaml`."""

from __future__ import annotations

from pydantic import Field

from features.kit.config import Config, config_path, load_config


class MonitorSettings(Config):
    """See the comments of the file: each limit is explained there."""

    usual_factor: float = Field(ge=1)
    calendar_features: tuple[str, ...]
    restless_psi: float = Field(gt=0)
    psi: float = Field(gt=0)
    ks: float = Field(gt=0, le=1)
    missing_change: float = Field(gt=0, le=1)
    unseen_share: float = Field(gt=0, le=1)
    stuck_share: float = Field(gt=0, le=1)
    moving_share: float = Field(gt=0, le=1)
    feed_least_rows: int = Field(ge=1)
    feed_fall: float = Field(gt=0, le=1)
    feed_lag_days: int = Field(ge=0)
    monthly_lag_days: int = Field(ge=0)
    observed_over_expected: tuple[float, float]
    calibration_deviations: float = Field(gt=0)
    estimated_auc_loss: float = Field(gt=0, le=1)
    retrain_after_days: int = Field(ge=1)
    important_share: float = Field(gt=0, le=1)


def load_settings() -> MonitorSettings:
    """Returns the limits. Raises ConfigurationError naming the key that is wrong."""
    return load_config(MonitorSettings, config_path("monitoring.yaml"))
