"""The reason codes with their texts, feature groups and silences: `configs/reasons.yaml`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from string import Formatter
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from features.kit.config import Config, check_known, config_path, load_config
from features.kit.errors import ConfigurationError, DataError
from features.kit.language import LOCALES, Locale, Text
from features.portraits.facts.facts import fact_codes
from features.portraits.settings import load_settings as load_portrait_settings

SLOTS: dict[str, str] = {
    "amount": "money", "diff": "money", "date": "date", "month": "month", "topic": "topic", "festival": "festival",
    "item": "text", "ticket": "text", "n": "count", "days": "count", "pct": "count", "hours": "count", "score": "count",
}  # fmt: skip
"""What each slot of a sentence holds in a portrait's facts."""


class ReasonSpec(Config):
    """One reason code.

    Attributes:
        targets: The targets that it may explain, or `all`.
        dimension: Its subject; at most two reasons of one subject are shown.
        features: Its feature group: what must together raise the score.
        about: What the agent reads.
        say: What the customer may hear, or `never`.
        say_if_asked: What the customer may hear only after asking.
        say_not_for: Slot values for which `say` falls silent.
        actions: The actions that answer it.
    """

    targets: tuple[str, ...] | Literal["all"]
    dimension: str
    features: tuple[str, ...]
    about: Text
    say: Text | Literal["never"]
    say_if_asked: Text | None = None
    say_not_for: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    actions: tuple[str, ...]

    def texts(self) -> Iterator[tuple[str, Locale, str]]:
        """Yields (`about` | `say` | `say_if_asked`, language, text) of every text."""
        for name in ("about", "say", "say_if_asked"):
            text = getattr(self, name)
            if isinstance(text, Text):
                yield from ((name, locale, text.get(locale)) for locale in LOCALES)

    @cached_property
    def slots(self) -> frozenset[str]:
        """Returns the slots that its texts need."""
        return frozenset(slot for _, _, text in self.texts() for slot in slots_of(text))


class NeverSaid(Config):
    """Features that no reason may speak of, and why.

    Attributes:
        why: The reason for the silence.
        targets: The targets for which it holds, or `all`.
        features: The features.
        dimensions: Whole dimensions, such as the operator's own attributes.
    """

    why: Text
    targets: tuple[str, ...] | Literal["all"] = "all"
    features: tuple[str, ...] = ()
    dimensions: tuple[str, ...] = ()

    def holds(self, target: str, feature: str, dimension: str) -> bool:
        """Tells whether a feature is never said of a target."""
        is_asked = self.targets == "all" or target in self.targets
        return is_asked and (feature in self.features or dimension in self.dimensions)


class ReasonBook(Config):
    """All reason codes with their texts: `configs/reasons.yaml`."""

    currencies: dict[str, Text]
    topics: dict[str, Text]
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
            for name, locale, text in spec.texts():
                where = f"reasons.{code}.{name}.{locale}"
                unknown = sorted(slots_of(text) - SLOTS.keys())
                if unknown:
                    raise ValueError(f"{where}: unknown slot '{unknown[0]}'")
                word = forbidden_word(text, self.forbidden[locale], locale)
                if word:
                    raise ValueError(f"{where}: the word '{word}' must never be shown")
        return self

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

        Args:
            target: The model's target.
            features: Feature -> dimension.
        """
        return tuple(
            feature
            for feature, dimension in features.items()
            if not self.codes_of(target, feature) and self.silence_of(target, feature, dimension) is None
        )

    def actions(self, code: str) -> tuple[str, ...]:
        """Returns the actions that answer a reason code. Raises DataError for an unknown code."""
        return self._spec(code).actions

    def holds(self, code: str, facts: Mapping[str, Any]) -> bool:
        """Returns whether a portrait's facts hold this reason's fact with every figure that its texts need.

        A sentence about {n} of something is not said of none.
        """
        slots = facts.get(code)
        if slots is None or slots.get("n") == 0:
            return False
        return all(slots.get(name) is not None for name in self._spec(code).slots)

    def _spec(self, code: str) -> ReasonSpec:
        if code not in self.reasons:
            raise DataError(f"'{code}' is not a reason code")
        return self.reasons[code]


def load_book() -> ReasonBook:
    """Returns the reasons in `configs/reasons.yaml`. Raises ConfigurationError naming the code and the text."""
    path = config_path("reasons.yaml")
    book = load_config(ReasonBook, path)
    try:
        check_known("reasons", book.reasons, fact_codes(load_portrait_settings().limits))
    except ValueError as error:
        raise ConfigurationError(f"{path}: {error}") from None
    return book


def slots_of(text: str) -> set[str]:
    """Returns the names of the slots in a text."""
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def forbidden_word(text: str, words: Sequence[str], locale: Locale) -> str | None:
    """Returns the first forbidden word in a text, slots aside, or None. English words count whole, in any case."""
    bare = re.sub(r"\{[^}]*\}", " ", text)
    for word in words:
        pattern = re.escape(word) if locale == "zh" else rf"\b{re.escape(word)}\b"
        if re.search(pattern, bare, re.IGNORECASE):
            return word
    return None
