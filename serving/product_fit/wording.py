"""The words of an offer in both languages: amounts, names, and what is lost against today's plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

Locale = Literal["zh", "en"]

_LOST: dict[str, dict[Locale, tuple[str, str]]] = {
    "data_kb": {"zh": ("流量", "{}GB"), "en": ("data", "{} GB")},
    "voice_minutes": {"zh": ("通话", "{}分钟"), "en": ("calls", "{} min")},
    "sms_count": {"zh": ("短信", "{}条"), "en": ("messages", "{}")},
    "rollover_months": {"zh": ("流量结转", "{}个月"), "en": ("roll-over", "{} months")},
    "shared_lines": {"zh": ("副卡共享", "{}张"), "en": ("shared lines", "{}")},
    "generation": {"zh": ("网络", "{}G"), "en": ("network", "{}G")},
    "discount": {"zh": ("每月优惠", "{}"), "en": ("monthly discount", "{}")},
}


def lost_text(lost: Mapping[str, Mapping[str, int | None]], locale: Locale, write_money: Callable[[int], str]) -> str:
    """Returns what is lost in words, "" if nothing is. Example: 流量由60GB变为20GB，通话由500分钟变为300分钟."""
    parts = []
    for name, change in lost.items():
        label, unit = _LOST[name][locale]
        now, then = (_amount(name, change[key], unit, locale, write_money) for key in ("now", "then"))
        parts.append(f"{label}由{now}变为{then}" if locale == "zh" else f"{label} from {now} to {then}")
    return ("，" if locale == "zh" else ", ").join(parts)


def _amount(name: str, value: int | None, unit: str, locale: Locale, write_money: Callable[[int], str]) -> str:
    if value is None:
        return "不限量" if locale == "zh" else "unlimited"
    if name == "discount":
        return write_money(value)
    return unit.format(f"{value / (1024 * 1024 if name == 'data_kb' else 1):.2f}".rstrip("0").rstrip("."))


def named(zh: str | None, en: str | None, plan_id: str | None, locale: Locale) -> str:
    """Returns a name in a language; where it has none, in the other one, else the id."""
    first, second = (zh, en) if locale == "zh" else (en, zh)
    return first or second or plan_id or ""


def money(amount: int | None, scale: int) -> str:
    """Returns an amount with two decimals. Example: 12,345 li (scale 3) is "12.35"; half a cent rounds up."""
    if amount is None:
        return "-"
    sign, amount = ("-", -amount) if amount < 0 else ("", amount)
    cents = (amount * 200 + 10**scale) // (2 * 10**scale)
    return f"{sign}{cents // 100}.{cents % 100:02d}"
