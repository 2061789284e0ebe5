"""Sentences and what each takes for granted: used only where the facts of its tense hold on the day of speaking."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import date
from functools import cache
from string import Formatter
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from features.kit.clock import month_start
from features.kit.config import Config, check_known
from features.kit.language import LOCALES, Locale, Text


class Sentence(Text):
    """One sentence in both languages."""

    needs: tuple[str, ...] = ()  # the presuppositions that must hold; its slots must be known besides


class Opening(Sentence):
    """A sentence that opens a contact; `of` is the reason code that it speaks of, empty for any."""

    of: str = ""


def _listed(value: Any) -> Any:
    return () if value == "never" else [value] if isinstance(value, dict) else value


Sentences = Annotated[tuple[Sentence, ...], BeforeValidator(_listed)]
"""Sentences in the order in which they are tried; one alone needs no list, `never` is none."""
Openings = tuple[Opening, ...]


class Presupposition(Config):
    """A fact that sentences take for granted: one slot must be known and, on the day of speaking, as stated.

    A date still to come lies a negative number of days back; a month counts from its first day.
    """

    slot: str
    equals: bool | str | int | None = None  # the value that it must have
    at_least: int | None = None  # the least number that it may be
    days: tuple[int, int] | None = None  # from how many to how many days its date lies back, ends included
    this_month: bool = False  # its date must lie in the month of the day of speaking
    words: dict[Locale, tuple[str, ...]] = Field(default_factory=dict)  # each makes it one of a sentence's `needs`

    @model_validator(mode="after")
    def _asks_one_thing(self) -> Self:
        asked = [self.equals is not None, self.at_least is not None, self.days is not None, self.this_month]
        if sum(asked) != 1:
            raise ValueError("exactly one of 'equals', 'at_least', 'days' and 'this_month' is needed")
        return self

    def holds(self, values: Mapping[str, Any], day: date) -> bool:
        """Returns whether it holds; an unknown slot never does."""
        value = values.get(self.slot)
        if value is None:
            return False
        if self.equals is not None:
            return bool(value == self.equals)
        if self.at_least is not None:
            return bool(value >= self.at_least)
        at = date_of(value)
        if self.days is None:
            return month_start(at) == month_start(day)
        return self.days[0] <= (day - at).days <= self.days[1]


def date_of(value: Any) -> date:
    """Returns the date of a slot; of a month (`2026-05`), its first day."""
    text = str(value)[:10]
    return date.fromisoformat(text if len(text) == len("2026-05-01") else f"{text[:7]}-01")


def first_that_holds(
    known: Mapping[str, Presupposition],
    sentences: Sequence[Sentence],
    values: Mapping[str, Any],
    day: date,
    locale: Locale,
) -> str | None:
    """Returns the first text whose presuppositions hold and whose slots are known, or None.

    What may be said stands best first; `values` of slots are raw, `day` is that of speaking.
    """
    for sentence in sentences:
        slots = slots_of(sentence.get(locale))
        if all(known[name].holds(values, day) for name in sentence.needs) and all(
            values.get(slot) is not None for slot in slots
        ):
            return sentence.get(locale)
    return None


def check_sentence(known: Mapping[str, Presupposition], where: str, sentence: Sentence, slots: Collection[str]) -> None:
    """Refuses a sentence that its fact cannot fill, or that takes something for granted without naming it.

    `where` is the sentence's place in the configuration, `slots` what the fact behind it holds.

    Raises:
        ValueError: Naming the place and the presupposition, the slot or the word.
    """
    check_known(f"{where}.needs", sentence.needs, known)
    lacking = next((name for name in sentence.needs if known[name].slot not in slots), None)
    if lacking:
        raise ValueError(f"{where}.needs: '{lacking}' asks for '{known[lacking].slot}', which this fact does not have")
    for locale in LOCALES:
        text = sentence.get(locale)
        check_known(f"{where}.{locale}: slot", sorted(slots_of(text)), slots)
        for name, one in known.items():
            word = forbidden_word(text, one.words.get(locale, ()), locale)
            if word and name not in sentence.needs:
                raise ValueError(f"{where}.{locale}: '{word}' takes '{name}' for granted; add it to `needs`")


@cache
def slots_of(text: str) -> frozenset[str]:
    """Returns the names of the slots in a text of the configuration."""
    return frozenset(name for _, name, _, _ in Formatter().parse(text) if name is not None)


def forbidden_word(text: str, words: Sequence[str], locale: Locale) -> str | None:
    """Returns the first forbidden word in a text, slots aside, or None. English words count whole, in any case."""
    bare = re.sub(r"\{[^}]*\}", " ", text)
    for word in words:
        pattern = re.escape(word) if locale == "zh" else rf"\b{re.escape(word)}\b"
        if re.search(pattern, bare, re.IGNORECASE):
            return word
    return None
