"""The catalogue of reasons: a Markdown page generated from `configs/reasons.yaml`, checked for staleness by a test."""

from __future__ import annotations

from features.kit.config import config_files
from features.kit.language import LOCALES, Text
from features.kit.pages.pages import render
from features.portraits.feature_list import FeatureList
from serving.scoring.reasons.book import ReasonBook, load_book


def page(book: ReasonBook | None = None) -> str:
    """Returns the page: every code with its sentences and actions, then what becomes of every feature."""
    book = book or load_book()
    targets = targets_known()
    silences: dict[Text, int] = {}

    def cell(target: str, feature: str, dimension: str) -> str:
        why = book.silence_of(target, feature, dimension)
        if codes := book.codes_of(target, feature):
            return ", ".join(f"`{code}`" for code in codes)
        return "**not covered**" if why is None else f"never ({silences.setdefault(why, len(silences) + 1)})"

    features = [
        (f"`{one.name}`", *(cell(target, one.name, one.dimension) for target in targets))
        for one in FeatureList.declared().features
    ]
    return render(
        "serving.scoring.reasons", "reasons.md.j2", reasons=book.reasons, locales=LOCALES, targets=targets,
        features=features, silences=list(silences), whole=[name for one in book.never_said for name in one.dimensions],
    )  # fmt: skip


def targets_known() -> tuple[str, ...]:
    """Returns the names of the configured targets."""
    return tuple(sorted(config_files("targets")))
