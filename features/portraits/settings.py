"""The portrait's thresholds, from `configs/portraits.yaml`: frozen and closed; its hash is part of every partition."""

from __future__ import annotations

from features.kit.config import Config, config_path, load_config


class GridSettings(Config):
    """As-of dates of the training history, backwards from the newest."""

    every_days: int = 17
    first_after_days: int = 150


class Limits(Config):
    """Where a fact begins to hold. Money is in the currency's main unit (yuan)."""

    poor_drops: int
    poor_stalls: int
    poor_days: int
    low_use_share: float
    near_cap_share: float
    near_cap_day: int
    unsatisfied_score: int
    bill_jump_share: float
    bill_jump_amount: int
    roaming_shock_amount: int
    frequent_calls: int
    repeat_calls: int
    failed_attempts: int
    new_charge_days: int
    falling_share: float
    device_days: int
    broadband_faults: int
    broadband_speed_share: float
    tv_idle_days: int
    festival_days: int


class ClassRules(Config):
    """Thresholds and order of the twelve classes (domain: the first rule that holds is primary)."""

    order: tuple[str, ...]
    contract_ends_within_days: int
    contract_ended_within_days: int
    bundled_contract_left_days: int
    packs_90d: int
    use_months: int
    low_use_months: int
    high_value_amount: int
    high_value_tiers: tuple[str, ...]
    late_payments: int
    complaints_90d: int
    complaints_180d: int
    repeat_calls_7d: int
    frequent_calls_30d: int
    travel_months: int
    assisted_share: float
    smallest_cell: int


class PortraitSettings(Config):
    """Everything about portraits that could change an answer."""

    grid: GridSettings
    limits: Limits
    classes: ClassRules


def load_settings() -> PortraitSettings:
    """Returns the settings. Raises ConfigurationError naming the key."""
    return load_config(PortraitSettings, config_path("portraits.yaml"))
