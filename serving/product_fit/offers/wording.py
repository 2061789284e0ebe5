"""The words of an offer in both languages: amounts, names, and what is lost against today's plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from features.kit.config import load_data
from features.kit.language import Locale, Text

_LOST: dict[str, dict[str, Text]] = load_data(dict[str, dict[str, Text]], Path(__file__).with_name("lost.yaml"))
_UNLIMITED = Text(zh="不限量", en="unlimited")


def lost_text(lost: Mapping[str, Mapping[str, int | None]], locale: Locale, write_money: Callable[[int], str]) -> str:
    """Returns what is lost in words, "" if nothing is. Example: 流量由60GB变为20GB，通话由500分钟变为300分钟."""
    parts = []
    for name, change in lost.items():
        words = {of: text.get(locale) for of, text in _LOST[name].items()}
        if change["then"] == 0 and "gone" in words:
            parts.append(words["gone"].format(_amount(name, change["now"] or 0, write_money)))
            continue
        now, then = (
            _UNLIMITED.get(locale) if value is None else words["amount"].format(_amount(name, value, write_money))
            for value in (change["now"], change["then"])
        )
        parts.append(
            f"{words['label']}由{now}变为{then}" if locale == "zh" else f"{words['label']} from {now} to {then}"
        )
    return ("，" if locale == "zh" else ", ").join(parts)


def _amount(name: str, value: int, write_money: Callable[[int], str]) -> str:
    if name == "discount":
        return write_money(value)
    return f"{value / (1024 * 1024 if name == 'data_kb' else 1):.2f}".rstrip("0").rstrip(".")


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
