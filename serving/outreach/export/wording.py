"""The words of a line: openings filled with the customer's own figures, bands with ranks, labels in both languages."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from features.feeds.landed.manifest import Operator
from features.kit.config import load_data
from features.kit.language import LOCALES, Locale, Text
from serving.outreach.dispositions import SENT_CHANNELS
from serving.outreach.settings import Action, OutreachSettings
from serving.scoring.reasons.book import ReasonBook
from serving.scoring.reasons.writing import ReasonWriter

NAMES: dict[str, dict[str, Text]] = load_data(dict[str, dict[str, Text]], Path(__file__).with_name("names.yaml"))
"""What the codes of a list are called: group -> code -> name."""
PHRASES: dict[str, Text] = load_data(dict[str, Text], Path(__file__).with_name("phrases.yaml"))
"""What a list is written with, the slots in braces."""
LEAST_TIMES = {"very_high": 2.0, "high": 1.5, "raised": 1.05}
"""What a propensity must be at least, in multiples of the average, for a band to be said in words."""
FORMS_OF_ADDRESS: dict[str, str] = {"女士": "Ms", "先生": "Mr"}


def phrase(name: str, locale: Locale, **slots: Any) -> str:
    """Returns a phrase of `phrases.yaml` in a language, its slots filled."""
    return PHRASES[name].get(locale).format(**slots)


class Wording:
    """Fills texts with a customer's figures, money in the operator's currency."""

    def __init__(self, settings: OutreachSettings, book: ReasonBook, operator: Operator) -> None:
        self._settings = settings
        self._book = book
        self._operator = operator
        self.writer = ReasonWriter(book, currency=operator.currency, money_scale=operator.money_scale)

    def opening(
        self,
        action: Action,
        channel: str,
        values: Mapping[str, Any],
        reasons: Mapping[str, Mapping[str, Any]],
        *,
        triggers: tuple[str, ...] = (),
        day: date,
    ) -> dict[str, str]:
        """Returns the opening in both languages.

        A message gets the action's message text if it has one; marketing messages get their frame. `values` are the
        slots of its offer, raw, money in minor units; `reasons` the customer's facts, code to slot values; `triggers`
        the reason codes that the action answers: a sentence speaks of one of them or of none.
        """  # fmt: skip
        sends = channel in SENT_CHANNELS
        sentences = (action.message if sends else ()) or action.opening
        spoken = [code for code in triggers if not self._book.reasons[code].is_silent(reasons.get(code) or {})]
        written: dict[str, str] = {}
        for locale in LOCALES:
            text = ""
            for code in (*spoken, ""):
                own = tuple(sentence for sentence in sentences if sentence.of == code)
                text = self.writer.first(own, {**(reasons.get(code) or {}), **values}, locale, day) or ""
                if text:
                    break
            if sends and action.kind == "M":
                frame = self._settings.message_frame[locale]
                text = f"{frame.signature.format(operator=self._operator.name)}{text} {frame.refuse}"
            written[locale] = text
        return written


def band_text(
    target: str,
    band: str,
    percentile: float | None,
    times_base: float | None,
    locale: Locale,
    own: Mapping[str, Text] | None = None,
) -> str:
    """Returns the band with its rank and its multiple of the average, as far as they agree.

    Where nearly everybody scores the same, a high rank is no high score: the band and a multiple of about 1 stay away.
    Examples: churn, high, percentile 97.4 and 2.43 times the base rate give "retention: high, top 3 %, 2.4 x average";
    raised, percentile 81.2 and 1.02 times give "retention: top 19 %". `own` names the operator's own targets.
    """
    least = LEAST_TIMES.get(band)
    is_above = times_base is None or least is None or times_base >= least
    parts = [name_of(NAMES["bands"], band, locale)] if is_above else []
    if percentile is not None:
        top = 100.0 - percentile
        share = f"{max(top, 0.1):.1f}" if top < 1 else str(math.ceil(round(top, 6)))
        parts.append(phrase("top_share", locale, share=share))
    if times_base is not None and (times_base >= LEAST_TIMES["raised"]) == (least is not None):
        parts.append(phrase("times_base", locale, times=times_base))
    label = name_of({**(own or {}), **NAMES["targets"]}, target, locale)
    return phrase("band", locale, target=label, parts=phrase("comma", locale).join(parts)) if parts else label


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
