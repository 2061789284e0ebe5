"""Why a score is high: reason codes whose fact holds and whose feature group raises the score, in two languages."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from functools import cached_property
from string import Formatter
from typing import Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from features.kit.arrays import Floats
from features.kit.config import Config, check_known, config_path, load_config
from features.kit.errors import ConfigurationError, DataError
from features.kit.language import LOCALES, Locale, Text
from features.portraits.facts.facts import fact_codes
from features.portraits.feature_list import definitions
from features.portraits.settings import load_settings as load_portrait_settings

SLOTS: dict[str, str] = {
    "amount": "money", "diff": "money", "date": "date", "month": "month", "topic": "topic", "festival": "festival",
    "item": "text", "ticket": "text", "n": "count", "days": "count", "pct": "count", "hours": "count", "score": "count",
}  # fmt: skip
"""What each slot of a sentence holds in a portrait's facts."""

_ENGLISH_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip


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
        return next((one.why for one in self.never_said if one.holds(target, feature, dimension)), None)

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
        shown = self._shown(spec, values, locale)
        silent = any(values.get(slot) in refused for slot, refused in spec.say_not_for.items())
        say = None if silent or not isinstance(spec.say, Text) else spec.say.get(locale).format_map(shown)
        return Reason(code, spec.about.get(locale).format_map(shown), say, values)

    def say_if_asked(self, code: str, facts: Mapping[str, Any], locale: Locale) -> str | None:
        """Returns what may be said on this only because the customer asked, or None."""
        spec = self._book.reasons[code]
        if spec.say_if_asked is None:
            return None
        return spec.say_if_asked.get(locale).format_map(self._shown(spec, facts.get(code) or {}, locale))

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

    def _shown(self, spec: ReasonSpec, values: Mapping[str, Any], locale: Locale) -> dict[str, str]:
        return {name: self._slot(name, values[name], locale) for name in spec.slots}

    def _slot(self, name: str, value: Any, locale: Locale) -> str:
        kind = SLOTS[name]
        if kind == "money":
            return self.money(value, locale)
        if kind == "date":
            return self.day(date.fromisoformat(str(value)[:10]), locale)
        if kind == "month":
            first = date.fromisoformat(f"{str(value)[:7]}-01")
            return (
                f"{first.year}年{first.month}月"
                if locale == "zh"
                else f"{_ENGLISH_MONTHS[first.month - 1]} {first.year}"
            )
        if kind == "topic":
            return self.topic(str(value), locale)
        if kind == "festival":
            label = self._book.festivals.get(str(value))
            return label.get(locale) if label else str(value)
        return f"{value:.0f}" if isinstance(value, float) else str(value)


class ReasonPicker:
    """Chooses the reasons of one model: which fact holds, which feature group raises the score, in which order."""

    def __init__(self, book: ReasonBook, target: str, inputs: Sequence[str], portrait: Sequence[str]) -> None:
        """Maps feature groups to a model's inputs.

        Args:
            book: All reasons.
            target: The model's target.
            inputs: The model's features in its order.
            portrait: The features of the portrait; one of a former release may lack what groups of this one name.

        Raises:
            ConfigurationError: If a feature group names a feature that no portrait has.
        """
        self._book = book
        known = {*portrait, *(one.feature.name for one in definitions())}
        at = {name: place for place, name in enumerate(inputs)}
        groups: dict[str, list[int]] = {}
        for code, spec in book.of_target(target).items():
            strange = [name for name in spec.features if name not in known]
            if strange:
                raise ConfigurationError(
                    f"reasons.yaml: reasons.{code}.features: no portrait has '{strange[0]}'",
                    remedy="insight catalogue lists the features",
                )
            groups[code] = [at[name] for name in spec.features if name in at]
        self._codes = {code: row for row, code in enumerate(groups)}
        width = max((len(group) for group in groups.values()), default=0)
        nothing = len(inputs)  # the place of the mean score, which is set to 0 before adding
        self._places = np.full((len(groups), max(width, 1)), nothing, dtype=np.intp)
        for row, group in enumerate(groups.values()):
            self._places[row, : len(group)] = group

    def group_sums(self, contributions: Floats) -> Floats:
        """Returns what each feature group adds to the raw score, float64 [n, codes].

        Added elementwise, in the order of the file, so that a row's sums do not depend on the rows around it.
        """
        parts = contributions.copy()
        parts[:, -1] = 0.0
        gathered = np.take(parts, self._places, axis=1)
        sums = gathered[:, :, 0].copy()
        for column in range(1, gathered.shape[2]):
            sums += gathered[:, :, column]
        return sums

    def held(self, facts: Mapping[str, Any]) -> list[str]:
        """Returns the codes of this target whose fact holds.

        Args:
            facts: The portrait's `facts["reasons"]`: code to slot values.
        """
        return [code for code in facts if code in self._codes and self._book.holds(code, facts)]

    def pick(self, held: Sequence[str], sums: Floats, *, most: int, most_per_dimension: int) -> list[str]:
        """Returns one customer's reason codes, strongest first; the fallback alone if none raises the score.

        Args:
            held: The codes whose fact holds.
            sums: The customer's row of `group_sums`, float64 [codes].
            most: The most reasons to return.
            most_per_dimension: The most reasons of one dimension.
        """
        raising = sorted((-float(sums[self._codes[code]]), code) for code in held if sums[self._codes[code]] > 0)
        picked: list[str] = []
        of_dimension: dict[str, int] = {}
        for _, code in raising:
            dimension = self._book.reasons[code].dimension
            if len(picked) < most and of_dimension.get(dimension, 0) < most_per_dimension:
                picked.append(code)
                of_dimension[dimension] = of_dimension.get(dimension, 0) + 1
        return picked or [self.fallback]

    @property
    def fallback(self) -> str:
        """Returns the code for no single cause."""
        return self._book.fallback


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
