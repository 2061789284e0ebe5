"""The words of a line: openings filled with the customer's own figures, bands with ranks, labels in both languages."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from features.feeds.landed.manifest import Operator
from features.kit.language import LOCALES, Locale, Text
from serving.outreach.settings import Action, OutreachSettings
from serving.scoring.reasons.book import SLOTS, ReasonBook, slots_of
from serving.scoring.reasons.writing import ReasonWriter

_MONTHS = ("Jan.", "Feb.", "March", "April", "May", "June", "July", "Aug.", "Sept.", "Oct.", "Nov.", "Dec.")

BANDS: dict[str, Text] = {
    "very_high": Text(zh="极高", en="very high"),
    "high": Text(zh="高", en="high"),
    "raised": Text(zh="偏高", en="raised"),
    "normal": Text(zh="一般", en="normal"),
}
TARGETS: dict[str, Text] = {
    "churn": Text(zh="留存关注", en="retention"),
    "complaint": Text(zh="投诉关注", en="complaint"),
    "dissatisfaction": Text(zh="满意度关注", en="satisfaction"),
    "upgrade": Text(zh="升档意向", en="upgrade"),
}
FORMS_OF_ADDRESS: dict[str, str] = {"女士": "Ms", "先生": "Mr"}
VIP: dict[str, Text] = {
    "none": Text(zh="普通", en="none"),
    "silver": Text(zh="银卡", en="silver"),
    "gold": Text(zh="金卡", en="gold"),
    "platinum": Text(zh="白金卡", en="platinum"),
    "diamond": Text(zh="钻石卡", en="diamond"),
}
OTHER_CHANNELS: dict[str, Text] = {
    "web": Text(zh="网页", en="web"),
    "ivr": Text(zh="语音自助", en="ivr"),
    "hotline": Text(zh="人工热线", en="hotline"),
}
TICKET_KINDS: dict[str, Text] = {
    "complaint": Text(zh="投诉", en="complaint"),
    "enquiry": Text(zh="咨询", en="enquiry"),
    "request": Text(zh="办理", en="request"),
    "fault": Text(zh="报障", en="fault"),
}


class Wording:
    """Fills texts with a customer's figures, money in the operator's currency."""

    def __init__(self, settings: OutreachSettings, book: ReasonBook, operator: Operator) -> None:
        self._settings = settings
        self._book = book
        self._operator = operator
        self.writer = ReasonWriter(book, currency=operator.currency, money_scale=operator.money_scale)

    def opening(
        self, action: Action, channel: str, values: Mapping[str, Any], *, triggers: tuple[str, ...] = ()
    ) -> dict[str, str]:
        """Returns the opening in both languages; the plain one where a figure is not known.

        Args:
            action: The action.
            channel: A message gets the action's message text if it has one; marketing messages get their frame.
            values: Slot values, raw: money in minor units, dates ISO.
            triggers: The reason codes that the action answers; they may name the `{item}`.
        """
        written: dict[str, str] = {}
        for locale in LOCALES:
            known = dict(values)
            named = next((action.items[code] for code in triggers if code in action.items), None)
            if named is not None:
                known["item"] = named.get(locale)
            sends = channel in ("message", "app")
            texts = [action.message] if sends and action.message.zh else []
            texts += [action.opening, action.opening_plain]
            text = next((t.get(locale) for t in texts if self._fits(t.get(locale), known)), "")
            text = self.fill(text, known, locale)
            if sends and action.kind == "M":
                frame = self._settings.message_frame[locale]
                text = f"{frame.signature.format(operator=self._operator.name)}{text} {frame.refuse}"
            written[locale] = text
        return written

    def fill(self, text: str, values: Mapping[str, Any], locale: Locale) -> str:
        """Returns a text with its slots filled."""
        return text.format_map({slot: self._shown(slot, values[slot], locale) for slot in slots_of(text)})

    def minor(self, amount: Decimal) -> int:
        """Returns an amount of the configuration in minor units."""
        return int(amount.scaleb(self._operator.money_scale))

    @staticmethod
    def _fits(text: str, values: Mapping[str, Any]) -> bool:
        return bool(text) and all(values.get(slot) is not None for slot in slots_of(text))

    def _shown(self, slot: str, value: Any, locale: Locale) -> str:
        if isinstance(value, Text):
            return value.get(locale)
        kind = {"saving": "money", "price": "money", "refund": "money"}.get(slot, SLOTS.get(slot, "text"))
        write = {
            "money": lambda: self.writer.money(int(value), locale),
            "date": lambda: self.writer.day(date.fromisoformat(str(value)[:10]), locale),
            "month": lambda: _month(str(value), locale),
            "topic": lambda: self.writer.topic(str(value), locale),
            "festival": lambda: self._festival(str(value), locale),
        }
        if kind in write:
            return write[kind]()
        return f"{value:.0f}" if isinstance(value, float) else str(value)

    def _festival(self, code: str, locale: Locale) -> str:
        label = self._book.festivals.get(code)
        return label.get(locale) if label else code


def _month(text: str, locale: Locale) -> str:
    year, month = int(text[:4]), int(text[5:7])
    return f"{year}年{month}月" if locale == "zh" else f"{_MONTHS[month - 1]} {year}"


def band_text(target: str, band: str, percentile: float | None, times_base: float | None, locale: Locale) -> str:
    """Returns the band with its rank.

    Example: churn, high, percentile 97.4 and 2.43 times the base rate give "retention: high, top 3 %, 2.4 x average".
    """
    parts = [name_of(BANDS, band, locale)]
    if percentile is not None:
        top = 100.0 - percentile
        share = f"{max(top, 0.1):.1f}" if top < 1 else str(math.ceil(round(top, 6)))
        parts.append(f"前{share}%" if locale == "zh" else f"top {share} %")
    if times_base is not None:
        parts.append(f"平均的{times_base:.1f}倍" if locale == "zh" else f"{times_base:.1f} x average")
    label = name_of(TARGETS, target, locale)
    return f"{label}：{'，'.join(parts)}" if locale == "zh" else f"{label}: {', '.join(parts)}"


def address_text(form: str | None, locale: Locale) -> str:
    """Returns a form of address as the operator wrote it; in English 王女士 is "Ms 王" and 先生 is "Mr"."""
    if form and locale == "en":
        for chinese, english in FORMS_OF_ADDRESS.items():
            if form.endswith(chinese):
                return f"{english} {form.removesuffix(chinese)}".strip()
    return form or ""


def name_of(names: Mapping[str, Text], code: str | None, locale: Locale) -> str:
    """Returns what a code is called; one without a name is shown as it is, none as nothing."""
    name = names.get(code or "")
    return name.get(locale) if name else code or ""


def masked(number: str | None) -> str:
    """Returns a number as it may be shown: 13812341234 gives 138****1234; a masked one stays; none gives a dash."""
    if not number:
        return "-"
    if "*" in number:
        return number
    digits = "".join(character for character in number if character.isdigit())
    if len(digits) < 8:
        return "****"
    return f"{digits[-11:-8] or digits[:3]}****{digits[-4:]}"
