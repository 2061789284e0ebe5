"""The catalogue of reasons: a Markdown page generated from `configs/reasons.yaml`, checked for staleness by a test."""

from __future__ import annotations

from collections.abc import Sequence

from features.kit.config import config_path
from features.kit.language import LOCALES, Text
from features.portraits.feature_list import FeatureList
from serving.scoring.reasons.reasons import ReasonBook, ReasonSpec, load_book

_NEVER = "(never)"
_READING = (
    "A code is shown only if its fact holds in the customer's portrait and its feature group raises this customer's "
    "score. The agent reads *about*; the customer may hear *say*."
)


def page(book: ReasonBook | None = None) -> str:
    """Returns the page: every code with its sentences and actions, then what becomes of every feature."""
    book = book or load_book()
    targets = targets_known()
    features = FeatureList.declared().features
    lines = [
        "# Catalogue of reasons",
        "",
        f"Generated from `configs/reasons.yaml` ({len(book.reasons)} codes). Do not edit; run:",
        "",
        "    insight reasons --out serving/scoring/REASONS.md",
        "",
        _READING,
    ]
    for code, spec in book.reasons.items():
        lines += ["", f"## `{code}`", "", *_of_code(spec)]
    lines += ["", "## Features", "", _row(["feature", *targets]), "|---" * (len(targets) + 1) + "|"]
    silences: dict[str, int] = {}
    for feature in features:
        cells = [f"`{feature.name}`"]
        for target in targets:
            codes = book.codes_of(target, feature.name)
            why = book.silence_of(target, feature.name, feature.dimension)
            if codes:
                cells.append(", ".join(f"`{code}`" for code in codes))
            elif why is not None:
                cells.append(f"never ({silences.setdefault(why.en, len(silences) + 1)})")
            else:
                cells.append("**not covered**")
        lines.append(_row(cells))
    zh = {one.why.en: one.why.zh for one in book.never_said}
    lines += ["", "Never said, because:", ""]
    lines += [f"{number}. {why} / {zh[why]}" for why, number in silences.items()]
    whole = [name for one in book.never_said for name in one.dimensions]
    lines += ["", f"Never said as a whole: {', '.join(whole)}."]
    return "\n".join(lines) + "\n"


def targets_known() -> tuple[str, ...]:
    """Returns the names of the configured targets."""
    return tuple(sorted(path.stem for path in config_path("targets").glob("*.yaml")))


def _of_code(spec: ReasonSpec) -> list[str]:
    lines = [_row(["", *LOCALES]), "|---|---|---|"]
    for name in ("about", "say", "say_if_asked"):
        text = getattr(spec, name)
        if text is not None:
            lines.append(_row([name, *(text.get(locale) if isinstance(text, Text) else _NEVER for locale in LOCALES)]))
    targets = spec.targets if isinstance(spec.targets, str) else ", ".join(spec.targets)
    names = ", ".join(f"`{name}`" for name in spec.features) or "none"
    says = f"Of: {targets}. Dimension: {spec.dimension}. Actions: {', '.join(spec.actions)}. Features: {names}."
    return [*lines, "", says]


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
