"""The words of an offer in both languages: amounts, names, and what is lost against today's plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from features.kit.language import Locale, Text

_LOST: dict[str, tuple[Text, Text]] = {
    "data_kb": (Text(zh="流量", en="data"), Text(zh="{}GB", en="{} GB")),
    "voice_minutes": (Text(zh="通话", en="calls"), Text(zh="{}分钟", en="{} min")),
    "sms_count": (Text(zh="短信", en="messages"), Text(zh="{}条", en="{}")),
    "rollover_months": (Text(zh="流量结转", en="roll-over"), Text(zh="{}个月", en="{} months")),
    "shared_lines": (Text(zh="副卡共享", en="shared lines"), Text(zh="{}张", en="{}")),
    "generation": (Text(zh="网络", en="network"), Text(zh="{}G", en="{}G")),
    "discount": (Text(zh="每月优惠", en="monthly discount"), Text(zh="{}", en="{}")),
}
_GONE: dict[str, Text] = {
    "rollover_months": Text(zh="剩余流量不再结转", en="unused data no longer rolls over"),
    "shared_lines": Text(zh="副卡不再共享流量", en="no other line shares the data"),
    "discount": Text(zh="每月{}的优惠取消", en="the discount of {} a month ends"),
}
_UNLIMITED = Text(zh="不限量", en="unlimited")


def lost_text(lost: Mapping[str, Mapping[str, int | None]], locale: Locale, write_money: Callable[[int], str]) -> str:
    """Returns what is lost in words, "" if nothing is. Example: 流量由60GB变为20GB，通话由500分钟变为300分钟."""
    parts = []
    for name, change in lost.items():
        if change["then"] == 0 and name in _GONE:
            parts.append(_GONE[name].get(locale).format(_amount(name, change["now"] or 0, write_money)))
            continue
        label, unit = (text.get(locale) for text in _LOST[name])
        now, then = (
            _UNLIMITED.get(locale) if value is None else unit.format(_amount(name, value, write_money))
            for value in (change["now"], change["then"])
        )
        parts.append(f"{label}由{now}变为{then}" if locale == "zh" else f"{label} from {now} to {then}")
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
