"""One reason of one customer in words, in two languages, with money in the operator's currency."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from features.kit.language import Locale, Text
from serving.scoring.reasons.book import SLOTS, NeutralKind, ReasonBook
from serving.scoring.reasons.sentences import Sentences, date_of, slots_of

_ENGLISH_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_KINDS = SLOTS | {"saving": "money", "price": "money", "refund": "money"}
_CHINESE = re.compile(r"[\u3400-\u9fff]")


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason for one customer."""

    code: str  # the stable key
    about: str  # what the agent reads
    say: str | None  # what the customer may hear, or None for never
    facts: dict[str, Any]  # the customer's own figures behind it, raw


class ReasonWriter:
    """Writes reasons in a language, with money in the operator's currency."""

    def __init__(self, book: ReasonBook, *, currency: str = "CNY", money_scale: int = 3) -> None:
        self._book = book
        self._scale = Decimal(10) ** -money_scale
        plain = Text(zh=f" {currency}", en=f" {currency}")
        self._currency = book.currencies.get(currency, plain)

    def write(self, code: str, facts: Mapping[str, Any], locale: Locale, day: date) -> Reason:
        """Returns one reason as of a day; `facts` maps codes to slot values, as in a portrait's `facts["reasons"]`."""
        spec = self._book.reasons[code]
        values: dict[str, Any] = dict(facts.get(code) or {})
        about = self.first(spec.about, values, locale, day, heard=False)
        say = None if spec.is_silent(values) else self.first(spec.say, values, locale, day)
        return Reason(code, about or "", say, values)

    def say_if_asked(self, code: str, facts: Mapping[str, Any], locale: Locale, day: date) -> str | None:
        """Returns what may be said on this only because the customer asked, or None."""
        return self.first(self._book.reasons[code].say_if_asked, facts.get(code) or {}, locale, day)

    def first(
        self, sentences: Sentences, values: Mapping[str, Any], locale: Locale, day: date, *, heard: bool = True
    ) -> str | None:
        """Returns the first sentence that is true of these values on a day, in words, or None.

        What may be said stands best first; `values` of slots are raw: money in minor units, dates ISO. If the customer
        hears it, what has no name in the language is left neutral.
        """
        text = self._book.text(sentences, values, day, locale)
        return None if text is None else self.fill(text, values, locale, heard=heard)

    def fill(self, text: str, values: Mapping[str, Any], locale: Locale, *, heard: bool = True) -> str:
        """Returns a text with its slots filled."""
        return text.format_map({slot: self._slot(slot, values[slot], locale, heard) for slot in slots_of(text)})

    def money(self, minor: int, locale: Locale) -> str:
        """Returns an amount of minor units with two decimals and its currency. Example: 45200 li is 45.20 yuan."""
        amount = (Decimal(int(minor)) * self._scale).quantize(Decimal("0.01"), ROUND_HALF_UP)
        return f"{amount}{self._currency.get(locale)}"

    def topic(self, code: str, locale: Locale) -> str:
        """Returns the label of a topic for a column; an operator's own topic is shown as it is."""
        label = self._book.topics.get(code)
        return label.get(locale) if label else code

    def day(self, day: date, locale: Locale) -> str:
        """Returns a date in words. Example: 2026-06-01 is 1 June 2026."""
        if locale == "zh":
            return f"{day.year}年{day.month}月{day.day}日"
        return f"{day.day} {_ENGLISH_MONTHS[day.month - 1]} {day.year}"

    def _slot(self, name: str, value: Any, locale: Locale, heard: bool) -> str:  # noqa: FBT001 - internal
        if isinstance(value, Text):
            return value.get(locale)
        text = f"{value:.0f}" if isinstance(value, float) else str(value)
        match _KINDS.get(name):
            case "number":
                text = f"{float(value):,.2f}".rstrip("0").rstrip(".")
            case "money":
                text = self.money(int(value), locale)
            case "date":
                text = self.day(date_of(value), locale)
            case "month":
                at = date_of(value)
                text = f"{at.year}年{at.month}月" if locale == "zh" else f"{_ENGLISH_MONTHS[at.month - 1]} {at.year}"
            case "festival" if text in self._book.festivals:
                text = self._book.festivals[text].get(locale)
            case "topic" | "purpose" | "item" as kind:
                text = self._named(kind, text, locale, heard)
        return text

    def _named(self, kind: NeutralKind, value: str, locale: Locale, heard: bool) -> str:  # noqa: FBT001 - internal
        if kind == "topic" and value in self._book.topics:
            return self._book.topics[value].matter.get(locale)
        if kind == "purpose" and value in self._book.purposes:
            return self._book.purposes[value].get(locale)
        if kind == "item":
            return self.name(kind, value, self._book.names.get(value), locale, heard=heard)
        return self._neutral(kind, value, locale, heard)

    def name(self, kind: NeutralKind, own: str | None, english: str | None, locale: Locale, *, heard: bool) -> str:
        """Returns what something of the operator is called in a language.

        Without an English name it is a neutral phrase in English; only what the agent reads adds its own name.

        `own` is its name in the operator's language, or its id; `english` the name that the operator declares, if any.
        """
        own = own or english or ""
        if locale == "zh" and own:
            return own
        return speakable(english, own) or self._neutral(kind, own, locale, heard)

    def _neutral(self, kind: NeutralKind, own: str, locale: Locale, heard: bool) -> str:  # noqa: FBT001 - internal
        neutral = self._book.neutral[kind].get(locale)
        if heard or not own:
            return neutral
        return f"{neutral} (“{own}”)" if locale == "en" else f"{neutral}（“{own}”）"


def speakable(english: str | None, own: str | None) -> str | None:
    """Returns the name that may stand in an English sentence, if there is one."""
    return next((one for one in (english, own) if one and is_english(one)), None)


def is_english(text: str) -> bool:
    """Returns whether a name may stand in an English sentence: it holds no Chinese character."""
    return _CHINESE.search(text) is None
