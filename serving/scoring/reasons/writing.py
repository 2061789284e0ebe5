"""One reason of one customer in words, in two languages, with money in the operator's currency."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from features.kit.language import Locale, Text
from serving.scoring.reasons.book import SLOTS, ReasonBook, ReasonSpec

_ENGLISH_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason for one customer.

    Attributes:
        code: The stable key.
        about: What the agent reads.
        say: What the customer may hear, or None for never.
        facts: The customer's own figures behind it, raw.
    """

    code: str
    about: str
    say: str | None
    facts: dict[str, Any]


class ReasonWriter:
    """Writes reasons in a language, with money in the operator's currency."""

    def __init__(self, book: ReasonBook, *, currency: str = "CNY", money_scale: int = 3) -> None:
        self._book = book
        self._scale = Decimal(10) ** -money_scale
        plain = Text(zh=f" {currency}", en=f" {currency}")
        self._currency = book.currencies.get(currency, plain)

    def write(self, code: str, facts: Mapping[str, Any], locale: Locale) -> Reason:
        """Returns one reason; `facts` maps codes to slot values, as in a portrait's `facts["reasons"]`."""
        spec = self._book.reasons[code]
        values: dict[str, Any] = dict(facts.get(code) or {})
        texts = self._slot_texts(spec, values, locale)
        silent = any(values.get(slot) in refused for slot, refused in spec.say_not_for.items())
        say = None if silent or not isinstance(spec.say, Text) else spec.say.get(locale).format_map(texts)
        return Reason(code, spec.about.get(locale).format_map(texts), say, values)

    def say_if_asked(self, code: str, facts: Mapping[str, Any], locale: Locale) -> str | None:
        """Returns what may be said on this only because the customer asked, or None."""
        spec = self._book.reasons[code]
        if spec.say_if_asked is None:
            return None
        return spec.say_if_asked.get(locale).format_map(self._slot_texts(spec, facts.get(code) or {}, locale))

    def money(self, minor: int, locale: Locale) -> str:
        """Returns an amount of minor units with two decimals and its currency. Example: 45200 li is 45.20 yuan."""
        amount = (Decimal(int(minor)) * self._scale).quantize(Decimal("0.01"), ROUND_HALF_UP)
        return f"{amount}{self._currency.get(locale)}"

    def topic(self, code: str, locale: Locale) -> str:
        """Returns the label of a topic; an operator's own topic is shown as it is."""
        label = self._book.topics.get(code)
        return label.get(locale) if label else code

    def day(self, day: date, locale: Locale) -> str:
        """Returns a date in words. Example: 2026-06-01 is 1 June 2026."""
        if locale == "zh":
            return f"{day.year}年{day.month}月{day.day}日"
        return f"{day.day} {_ENGLISH_MONTHS[day.month - 1]} {day.year}"

    def _slot_texts(self, spec: ReasonSpec, values: Mapping[str, Any], locale: Locale) -> dict[str, str]:
        return {name: self._slot(name, values[name], locale) for name in spec.slots}

    def _slot(self, name: str, value: Any, locale: Locale) -> str:
        kind = SLOTS[name]
        if kind == "money":
            return self.money(value, locale)
        if kind == "date":
            return self.day(date.fromisoformat(str(value)[:10]), locale)
        if kind == "month":
            year, month = (int(part) for part in str(value)[:7].split("-"))
            return f"{year}年{month}月" if locale == "zh" else f"{_ENGLISH_MONTHS[month - 1]} {year}"
        if kind == "topic":
            return self.topic(str(value), locale)
        if kind == "festival":
            label = self._book.festivals.get(str(value))
            return label.get(locale) if label else str(value)
        return f"{value:.0f}" if isinstance(value, float) else str(value)
