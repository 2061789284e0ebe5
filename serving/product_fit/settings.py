"""The configuration of product fit: `configs/product_fit.yaml` as one frozen object."""

from __future__ import annotations

from decimal import Decimal

from pydantic import Field

from features.kit.config import Config, config_path, load_config


class MonthsSettings(Config):
    """How many complete months are re-rated, how many the present plan must have lasted, what recent ones weigh."""

    least: int = Field(ge=1, le=12)
    most: int = Field(ge=1, le=24)
    unchanged: int = Field(ge=1, le=12)
    recent: int = Field(ge=1, le=12)
    recent_weight: int = Field(ge=1, le=100)


class ToleranceSettings(Config):
    """When the own plan's re-rating counts as reproducing the last bills: each within the larger of the two."""

    last_bills: int = Field(ge=1, le=24)

    amount: Decimal = Field(ge=0)
    share: Decimal = Field(ge=0, le=1)


class OfferSettings(Config):
    """How many offers and which differences are worth one. Amounts in whole currency units a month."""

    most: int = Field(ge=1, le=10)
    most_used_share: Decimal = Field(gt=0, le=1)
    least_saving: Decimal = Field(ge=0)
    most_extra_share: Decimal = Field(ge=0, le=1)
    most_dearer_share: Decimal = Field(ge=0, le=1)


class NeedSettings(Config):
    """What counts as a need, in so many of the recent months."""

    recent_months: int = Field(ge=1, le=12)
    over_use_months: int = Field(ge=1)
    throttled_months: int = Field(ge=1)
    roaming_months: int = Field(ge=1)
    idle_share: Decimal = Field(ge=0, le=1)


class AudienceSettings(Config):
    """Who belongs to a plan's audience."""

    senior_age: int = Field(ge=1)
    new_days: int = Field(ge=0)


class KeepNumberSettings(Config):
    """Which plans only keep a number alive, and which lines are idle enough for one."""

    names: tuple[str, ...]
    most_fee: Decimal = Field(ge=0)
    most_data_mb: int = Field(ge=0)
    idle_data_mb: int = Field(ge=0)
    idle_minutes: int = Field(ge=0)
    idle_messages: int = Field(ge=0)


class FitSettings(Config):
    """Everything that can change an answer of product fit."""

    months: MonthsSettings
    tolerance: ToleranceSettings
    horizon_months: int = Field(ge=1, le=60)
    offers: OfferSettings
    needs: NeedSettings
    audiences: AudienceSettings
    keep_number: KeepNumberSettings


def read_settings() -> FitSettings:
    """Returns the settings. Raises ConfigurationError naming the file and the key."""
    return load_config(FitSettings, config_path("product_fit.yaml"))


def minor(amount: Decimal, money_scale: int) -> int:
    """Returns an amount in minor units. Example: 1.00 yuan at scale 3 is 1,000 li."""
    return int(amount.scaleb(money_scale))
