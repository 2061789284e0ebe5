"""The reason codes with their texts, feature groups and silences: `configs/reasons.yaml`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import date
from functools import cached_property
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from features.kit.config import Config, check_known, config_path, merged_config
from features.kit.errors import ConfigurationError, DataError
from features.kit.language import LOCALES, Locale, Text
from features.kit.terminal.spelling import did_you_mean
from features.portraits.facts.declared import DeclaredFact
from features.portraits.facts.facts import fact_slots
from features.portraits.settings import load_settings as load_portrait_settings
from serving.scoring.reasons.sentences import (
    Presupposition,
    Sentence,
    Sentences,
    check_sentence,
    date_of,
    first_that_holds,
    forbidden_word,
    slots_of,
)

SLOTS: dict[str, str] = {
    "amount": "money", "diff": "money", "date": "date", "until": "date", "month": "month", "first_month": "month",
    "topic": "topic", "purpose": "purpose", "festival": "festival", "item": "item", "ticket": "text", "n": "count",
    "days": "count", "pct": "count", "hours": "count", "score": "count", "value": "number",
}  # fmt: skip
"""What each slot of a sentence holds in a portrait's facts."""


NeutralKind = Literal["topic", "purpose", "item", "plan", "pack"]


class ReasonSpec(Config):
    """One reason code.

    One with a `when` explains every target by that attribute alone, if it names no other `targets` and `features`.
    """

    targets: tuple[str, ...] | Literal["all"]  # the targets that it may explain, or `all`
    dimension: str  # its subject; at most two reasons of one subject are shown
    features: tuple[str, ...]  # its feature group: what must together raise the score
    about: Sentences  # what the agent reads; the last sentence takes nothing for granted
    say: Sentences  # what the customer may hear, or `never`
    say_if_asked: Sentences = ()  # what the customer may hear only after asking
    say_not_for: dict[str, tuple[str, ...]] = Field(default_factory=dict)  # slot values for which `say` falls silent
    until: str = ""  # the slot with the last day on which the fact still holds
    actions: tuple[str, ...]  # the actions that answer it
    when: DeclaredFact | None = None  # when a declared attribute is its fact

    @model_validator(mode="before")
    @classmethod
    def _of_an_attribute(cls, content: Any) -> Any:
        when = content.get("when") if isinstance(content, dict) else None
        if not isinstance(when, dict):
            return content
        return {"targets": "all", "dimension": "attributes", "features": [when.get("attribute")], **content}

    def sentences(self) -> Iterator[tuple[str, Sentence]]:
        """Yields (place such as `say.1`, sentence) of every sentence."""
        for name in ("about", "say", "say_if_asked"):
            yield from ((f"{name}.{place}", one) for place, one in enumerate(getattr(self, name), start=1))

    @cached_property
    def slots(self) -> frozenset[str]:
        """Returns the slots without which nothing can be told of it."""
        return frozenset(slot for locale in LOCALES for slot in slots_of(self.about[-1].get(locale)))

    def is_silent(self, values: Mapping[str, Any]) -> bool:
        """Returns whether nothing is said to the customer of these slot values."""
        return any(values.get(slot) in refused for slot, refused in self.say_not_for.items())


class NeverSaid(Config):
    """Features that no reason may speak of, and why."""

    why: Text
    targets: tuple[str, ...] | Literal["all"] = "all"  # the targets for which it holds, or `all`
    features: tuple[str, ...] = ()
    dimensions: tuple[str, ...] = ()  # whole dimensions, such as the operator's own attributes

    def holds(self, target: str, feature: str, dimension: str) -> bool:
        """Tells whether a feature is never said of a target."""
        is_asked = self.targets == "all" or target in self.targets
        return is_asked and (feature in self.features or dimension in self.dimensions)


class Topic(Text):
    """A topic as a label, and as what a customer raises: `matter` is a noun phrase."""

    matter: Text


class ReasonBook(Config):
    """All reason codes with their texts: `configs/reasons.yaml`."""

    currencies: dict[str, Text]
    topics: dict[str, Topic]
    purposes: dict[str, Text]  # what somebody did in a channel, as a noun phrase
    names: dict[str, str]  # English names of the operator's charges, by their own names
    neutral: dict[NeutralKind, Text]  # what stands for what has no name in a language
    presuppositions: dict[str, Presupposition]  # what sentences may take for granted
    festivals: dict[str, Text]
    forbidden: dict[Locale, tuple[str, ...]]
    fallback: str
    reasons: dict[str, ReasonSpec]
    never_said: tuple[NeverSaid, ...] = ()

    @model_validator(mode="after")
    def _is_sound(self) -> Self:
        if self.fallback not in self.reasons or self.reasons[self.fallback].slots:
            raise ValueError(f"fallback: '{self.fallback}' must be a reason without slots")
        for code, spec in self.reasons.items():
            if not spec.about or spec.about[-1].needs:
                raise ValueError(f"reasons.{code}.about: the last sentence must need nothing")
            for place, sentence in spec.sentences():
                self.check(
                    f"reasons.{code}.{place}",
                    sentence,
                    SLOTS.keys() | {one.slot for one in self.presuppositions.values()},
                )
        return self

    def check(self, where: str, sentence: Sentence, slots: Collection[str]) -> None:
        """Refuses a sentence with a forbidden word, or one that a fact with these slots cannot back.

        Raises:
            ValueError: Naming the place.
        """
        for locale in LOCALES:
            word = forbidden_word(sentence.get(locale), self.forbidden[locale], locale)
            if word:
                raise ValueError(f"{where}.{locale}: the word '{word}' must never be shown")
        check_sentence(self.presuppositions, where, sentence, slots)

    def fact_slots(self) -> dict[str, frozenset[str]]:
        """Returns the slots of the fact behind every reason: those of the portrait, and the declared ones.

        Raises:
            ValueError: Naming a reason that has no fact, or would take the place of a portrait's own.
        """
        slots = fact_slots(load_portrait_settings().limits)
        declared = {code: spec.when.slots for code, spec in self.reasons.items() if spec.when}
        for code in self.reasons:
            if code in slots and code in declared:
                raise ValueError(f"reasons.{code}.when: the portrait has a fact of this code; choose another code")
            if code not in slots and code not in declared:
                hint = did_you_mean(code, slots, otherwise="; that of an attribute needs a `when`")
                raise ValueError(f"reasons: unknown '{code}'{hint}")
        return slots | declared

    def text(self, sentences: Sentences, values: Mapping[str, Any], day: date, locale: Locale) -> str | None:
        """Returns the first text, slots open, that is true of these values on a day, or None."""
        return first_that_holds(self.presuppositions, sentences, values, day, locale)

    def of_target(self, target: str) -> dict[str, ReasonSpec]:
        """Returns the reasons that may explain a target, without the fallback."""
        return {
            code: spec
            for code, spec in self.reasons.items()
            if code != self.fallback and (spec.targets == "all" or target in spec.targets)
        }

    def codes_of(self, target: str, feature: str) -> tuple[str, ...]:
        """Returns the codes of a target whose feature group holds a feature, in the order of the file."""
        return tuple(code for code, spec in self.of_target(target).items() if feature in spec.features)

    def silence_of(self, target: str, feature: str, dimension: str) -> Text | None:
        """Returns why a feature is never said of a target, or None if nothing says so."""
        return next((silence.why for silence in self.never_said if silence.holds(target, feature, dimension)), None)

    def uncovered(self, target: str, features: Mapping[str, str]) -> tuple[str, ...]:
        """Returns the features of a model that neither a code explains nor the file declares as never said.

        `features` maps each to its dimension.
        """
        return tuple(
            feature
            for feature, dimension in features.items()
            if not self.codes_of(target, feature) and self.silence_of(target, feature, dimension) is None
        )

    def actions(self, code: str) -> tuple[str, ...]:
        """Returns the actions that answer a reason code. Raises DataError for an unknown code."""
        return self._spec(code).actions

    def holds(self, code: str, facts: Mapping[str, Any], day: date | None = None) -> bool:
        """Returns whether a portrait's facts hold this reason's fact with every figure that its plainest text needs.

        A sentence about {n} of something is not said of none.

        `facts` are the portrait's, code to slot values. It must still hold on `day`; None is the portrait's own.
        """
        slots, spec = facts.get(code), self._spec(code)
        if slots is None or slots.get("n") == 0 or any(slots.get(name) is None for name in spec.slots):
            return False
        last = slots.get(spec.until)
        return day is None or last is None or date_of(last) >= day

    def _spec(self, code: str) -> ReasonSpec:
        if code not in self.reasons:
            raise DataError(f"'{code}' is not a reason code")
        return self.reasons[code]


def load_book() -> ReasonBook:
    """Returns the reasons in `configs/reasons.yaml`, one's own entries added.

    Raises:
        ConfigurationError: Naming the code and the text.
    """
    path = config_path("reasons.yaml")
    book = merged_config(ReasonBook, "reasons.yaml")
    try:
        slots = book.fact_slots()
        for code, spec in book.reasons.items():
            check_known(f"reasons.{code}.until", [spec.until] if spec.until else [], slots[code])
            for place, sentence in spec.sentences():
                book.check(f"reasons.{code}.{place}", sentence, slots[code])
    except ValueError as error:
        raise ConfigurationError(f"{path}: {error}") from None
    return book
