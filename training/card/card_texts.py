"""The words of the model card in Chinese and English: `configs/cards.yaml` as one closed object."""

from __future__ import annotations

from string import Formatter
from typing import Self

from pydantic import model_validator

from features.kit.config import Config, merged_config
from features.kit.language import Locale, Text
from features.portraits.facts.classes import CLASS_NAMES
from training.labels.targets import CohortRules

SECTIONS = (
    "purpose", "forbidden", "definition", "data", "folds", "figures", "slices", "calibration", "reasons", "limits",
    "law.purpose", "law.data", "law.logic", "law.impact",
)  # fmt: skip
"""What every card must hold, in order; the last four are the algorithm record."""


class TargetTexts(Config):
    """What only a person can say of one target."""

    predicts: Text
    purpose: Text


class LawTexts(Config):
    """The algorithm record of the Personal Information Protection Law: purpose, data categories, logic, impact."""

    purpose: Text
    data: Text
    logic: Text
    impact: Text


class CardTexts(Config):
    """Every text of every card."""

    titles: dict[str, Text]
    targets: dict[str, TargetTexts]  # target -> what only a person can say of it
    forbidden: tuple[Text, ...]
    limits: tuple[Text, ...]
    reasons: Text
    law: LawTexts
    dimensions: dict[str, Text]  # dimension -> the category of personal data that it holds
    cohort: dict[str, Text]  # a rule of the cohort in words, with `{value}` for what the target file says
    labels: dict[str, Text]  # a figure's or fact's name by its identifier

    @model_validator(mode="after")
    def _every_section_has_a_title(self) -> Self:
        untitled = [name for name in SECTIONS if name not in self.titles]
        if untitled:
            raise ValueError(f"titles: '{untitled[0]}' is missing")
        return self

    @model_validator(mode="after")
    def _every_rule_of_the_cohort_has_words(self) -> Self:
        for name, rule in CohortRules.model_fields.items():
            if name not in self.cohort:
                raise ValueError(f"cohort: '{name}' is missing")
            wanted = set() if rule.annotation is bool else {"value"}
            for text in (self.cohort[name].zh, self.cohort[name].en):
                if {slot for _, slot, _, _ in Formatter().parse(text) if slot is not None} != wanted:
                    raise ValueError(f"cohort: '{name}' must have {'{value}' if wanted else 'no slot'}: {text}")
        return self

    def label(self, identifier: str, locale: Locale) -> str:
        """Returns the name of a figure or, in Chinese, of a class; what has no name is shown by its identifier."""
        words = self.labels.get(identifier) or (CLASS_NAMES.get(identifier) if locale == "zh" else None)
        return words.get(locale) if words else identifier

    def cohort_rules(self, rules: CohortRules, locale: Locale) -> str:
        """Returns who may be judged, rule by rule, without those that are off."""
        sentences = []
        for name, value in rules.model_dump().items():
            if value is None or value is False:
                continue
            shown = [self.label(str(word), locale) for word in (value if isinstance(value, tuple) else (value,))]
            sentences.append(self.cohort[name].get(locale).format(value=("、" if locale == "zh" else ", ").join(shown)))
        return (";" if locale == "zh" else "; ").join(sentences)


def load_texts() -> CardTexts:
    """Returns the texts in `configs/cards.yaml`, one's own entries added. Raises ConfigurationError naming the key."""
    return merged_config(CardTexts, "cards.yaml")
