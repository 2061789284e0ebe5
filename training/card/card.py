"""The model card: what a person must know before trusting a model, in Chinese and English, as Markdown and HTML.

`pages` makes the four files of a bundle; `missing_sections` tells what a card lacks, and a card that lacks anything
blocks promotion.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from features.kit.language import Locale
from features.kit.pages.pages import render
from training.card.card_texts import SECTIONS, CardTexts, load_texts
from training.labels.targets import Target

PAGES: dict[str, Locale] = {"card.md": "en", "card.zh.md": "zh", "card.html": "en", "card.zh.html": "zh"}
INCOMPLETE = "incomplete_card"
_NOT_FIGURES = ("rows", "test_positives", "weighted_rows", "oracle_rows")
_EMPTY = re.compile(r"[\s#*|:\-–—.]*(?:(?:TODO|TBD|待补充)[\s.。]*)*", re.IGNORECASE)


@dataclass(frozen=True)
class Block:
    """A part of a section: sentences, a list, names with their values, or rows under heads; `title` stands above.

    An empty block is left out, with its title.
    """

    title: str = ""
    lines: tuple[str, ...] = ()
    items: tuple[str, ...] = ()
    facts: tuple[tuple[str, Any], ...] = ()
    heads: tuple[str, ...] = ()
    rows: tuple[tuple[Any, ...], ...] = ()

    @property
    def is_filled(self) -> bool:
        """Returns whether there is anything to show."""
        return any((self.lines, self.items, self.facts, self.rows))


@dataclass(frozen=True)
class Section:
    """One section of the card."""

    name: str  # its stable id
    title: str
    blocks: tuple[Block, ...]
    pictures: tuple[str, ...] = ()  # files beside the card


@dataclass(frozen=True)
class CardFacts:
    """The figures and facts of one trained model."""

    target: Target
    version: str
    data: Mapping[str, Any]  # identifier -> plain fact about the rows and hashes
    dates: tuple[str, str, int]  # first and last as-of date, and how many
    folds: Sequence[Mapping[str, Any]]  # the splitter's log
    metrics: Mapping[str, Any]
    method: str
    importance: Mapping[str, float]  # mean absolute contribution by feature, strongest first
    by_dimension: Mapping[str, float]  # mean absolute contribution by dimension, strongest first
    dimensions: Mapping[str, int]  # dimension -> how many of its features the model reads
    left_out: Mapping[str, str] = field(default_factory=dict)  # leaking features with their evidence
    skipped: Mapping[str, str] = field(default_factory=dict)  # rules and events that could not be applied, and why
    notes: Sequence[str] = ()
    pictures: Mapping[str, Sequence[str]] = field(default_factory=dict)  # section -> picture files beside the card


def pages(facts: CardFacts, texts: CardTexts | None = None) -> dict[str, bytes]:
    """Returns the card's files by name: Markdown and HTML in both languages."""
    texts = texts or load_texts()
    made: dict[str, bytes] = {}
    for name, locale in PAGES.items():
        template = "card.html.j2" if name.endswith(".html") else "card.md.j2"
        content = {"title": f"{facts.target.name} {facts.version}", "sections": sections(facts, texts, locale)}
        made[name] = render("training.card", template, locale=locale, **content).encode()
    return made


def missing_sections(page: str) -> tuple[str, ...]:
    """Returns the sections that a card's page lacks or leaves empty, in order; empty means complete.

    Reads Markdown (`<!-- section: purpose -->`) and HTML (`<section id="purpose">`) alike, so a card that somebody
    wrote or cut by hand is judged as well.
    """
    if "<section id=" in page:
        found = dict(re.findall(r'<section id="([^"]+)">\s*<h2>.*?</h2>(.*?)</section>', page, flags=re.DOTALL))
        bodies = {name: re.sub(r"<[^>]+>", " ", body) for name, body in found.items()}
    else:
        parts = re.split(r"<!-- section: (\S+) -->", page)
        bodies = {name: re.sub(r"\A\s*#[^\n]*", "", body) for name, body in zip(parts[1::2], parts[2::2], strict=True)}
    return tuple(name for name in SECTIONS if _EMPTY.fullmatch(bodies.get(name, "")))


def missing_in(folder: Path) -> tuple[str, ...]:
    """Returns what the card in a bundle's folder lacks, as `page` or `page: section`; empty means complete."""
    lacking: list[str] = []
    for name in PAGES:
        path = folder / name
        if not path.exists():
            lacking.append(name)
        else:
            lacking += [f"{name}: {section}" for section in missing_sections(path.read_text(encoding="utf-8"))]
    return tuple(lacking)


def sections(facts: CardFacts, texts: CardTexts, locale: Locale) -> list[Section]:
    """Returns the card's sections in one language, in the order of `SECTIONS`."""
    own = texts.targets.get(facts.target.name)
    words = texts.law
    blocks: dict[str, list[Block]] = {
        "purpose": [Block(lines=(own.purpose.get(locale),))] if own else [],
        "forbidden": [Block(items=tuple(line.get(locale) for line in texts.forbidden))],
        "definition": [
            *([Block(lines=(own.predicts.get(locale),))] if own else []),
            _definition(facts.target, texts, locale),
        ],
        "data": [_data(facts, texts, locale)],
        "folds": [_folds(facts.folds, texts, locale)],
        "figures": [_figures(facts.metrics, texts, locale)],
        "slices": _slices(facts.metrics, texts, locale),
        "calibration": _calibration(facts, texts, locale),
        "reasons": _reasons(facts, texts, locale),
        "limits": _limits(facts, texts, locale),
        "law.purpose": [Block(lines=((own.purpose.get(locale),) if own else ()) + (words.purpose.get(locale),))]
        if own
        else [],
        "law.data": [Block(lines=(words.data.get(locale),)), _categories(facts.dimensions, texts, locale)],
        "law.logic": [Block(lines=(words.logic.get(locale),))],
        "law.impact": [Block(lines=(words.impact.get(locale),))],
    }
    return [
        Section(name, texts.titles[name].get(locale), tuple(blocks[name]), tuple(facts.pictures.get(name, ())))
        for name in SECTIONS
    ]


def _definition(target: Target, texts: CardTexts, locale: Locale) -> Block:
    return _named(
        {
            "events": ", ".join(f"{event.name} ({event.kind})" for event in target.events),
            "window": f"[as-of + {target.lead_days}, as-of + {target.lead_days + target.horizon_days})",
            "label_delay": target.label_delay_days,
            "embargo": target.embargo_days,
            "cohort": texts.cohort_rules(target.cohort, locale),
            "feature_service": target.features,
        },
        texts,
        locale,
    )


def _data(facts: CardFacts, texts: CardTexts, locale: Locale) -> Block:
    first, last, count = facts.dates
    return _named({"as_of_dates": f"{first} – {last} ({count})"} | dict(facts.data), texts, locale)


def _folds(folds: Sequence[Mapping[str, Any]], texts: CardTexts, locale: Locale) -> Block:
    rows = []
    for fold in folds:
        train, test = fold.get("train_as_of") or (), fold.get("test_as_of") or ()
        rows.append(
            (
                fold["fold"],
                f"{fold['train_rows']:,} ({fold['train_positives']:,})",
                f"{fold['test_rows']:,} ({fold['test_positives']:,})",
                f"{train[0]} – {train[-1]}" if train else "",
                ", ".join(test),
            )
        )
    heads = _heads(("fold", "train", "test", "train_dates", "test_dates"), texts, locale)
    return Block(heads=heads, rows=tuple(rows))


def _figures(metrics: Mapping[str, Any], texts: CardTexts, locale: Locale) -> Block:
    rows = []
    for name, value in metrics.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        interval = metrics.get(f"{name}_ci")
        shown = f"{value:,}" if name in _NOT_FIGURES else value
        rows.append((texts.label(name, locale), shown, "" if interval is None else f"{interval[0]} – {interval[1]}"))
    return Block(heads=_heads(("figure", "value", "interval"), texts, locale), rows=tuple(rows))


def _slices(metrics: Mapping[str, Any], texts: CardTexts, locale: Locale) -> list[Block]:
    """Returns one table per way of slicing: every `by_<slice>`, and every member of `by_slice`."""
    tables = {name: groups for name, groups in metrics.items() if name.startswith("by_") and name != "by_slice"}
    tables |= {f"by_slice.{name}": groups for name, groups in (metrics.get("by_slice") or {}).items()}
    blocks: list[Block] = []
    for name, groups in tables.items():
        if not isinstance(groups, Mapping) or not groups:
            continue
        columns = list(dict.fromkeys(column for cell in groups.values() for column in cell))
        shown = [column for column in columns if not column.endswith("_ci")]
        heads = _heads(("group", *shown), texts, locale)
        rows = tuple(
            (
                texts.label(group, locale),
                *(_cell(cell.get(column), cell.get(f"{column}_ci"), texts, locale) for column in shown),
            )
            for group, cell in groups.items()
        )
        blocks.append(Block(heads=heads, rows=rows, title=texts.label(name, locale)))
    return blocks


def _cell(value: Any, interval: Any, texts: CardTexts, locale: Locale) -> str:
    if value is None:
        return ""
    if value == "too few":
        return texts.label("too_few", locale)
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {inner}" for name, inner in value.items())
    return f"{value} ({interval[0]} – {interval[1]})" if interval else str(value)


def _calibration(facts: CardFacts, texts: CardTexts, locale: Locale) -> list[Block]:
    wanted = ("base_rate", "mean_propensity", "calibration_error")
    found: dict[str, Any] = {"method": facts.method}
    for name, value in facts.metrics.items():
        if isinstance(value, int | float) and (name in wanted or name.startswith(("calibration", "observed"))):
            found[name] = _cell(value, facts.metrics.get(f"{name}_ci"), texts, locale)
    blocks: list[Block] = [_named(found, texts, locale)]
    deciles = facts.metrics.get("deciles") or []
    if deciles:
        rows_head = "weighted_rows" if "weighted_rows" in facts.metrics else "rows"
        heads = ("decile", rows_head, "observed", "expected", "promise_interval")
        rows = tuple(
            (place, decile["rows"], decile["observed"], decile["expected"], f"{decile['low']} – {decile['high']}")
            for place, decile in enumerate(deciles, start=1)
        )
        blocks.append(Block(heads=_heads(heads, texts, locale), rows=rows))
    return blocks


def _reasons(facts: CardFacts, texts: CardTexts, locale: Locale) -> list[Block]:
    names = {name: texts.dimensions[name].get(locale) for name in facts.by_dimension if name in texts.dimensions}
    dimensions = tuple((names.get(name, name), value) for name, value in facts.by_dimension.items())
    return [
        Block(lines=(texts.reasons.get(locale),)),
        Block(heads=_heads(("feature", "contribution"), texts, locale), rows=tuple(facts.importance.items())),
        Block(heads=_heads(("by_dimension", "contribution"), texts, locale), rows=dimensions),
    ]


def _limits(facts: CardFacts, texts: CardTexts, locale: Locale) -> list[Block]:
    blocks: list[Block] = [Block(items=tuple(limit.get(locale) for limit in texts.limits))]
    for name, content in (("left_out", facts.left_out), ("skipped", facts.skipped)):
        lines = tuple(f"{key}: {value}" for key, value in content.items()) or (texts.label("nothing", locale),)
        blocks.append(Block(items=lines, title=texts.label(name, locale)))
    if facts.notes:
        blocks.append(Block(items=tuple(facts.notes), title=texts.label("notes", locale)))
    return blocks


def _categories(dimensions: Mapping[str, int], texts: CardTexts, locale: Locale) -> Block:
    lines = []
    for name, count in dimensions.items():
        words = texts.dimensions.get(name)
        lines.append(f"{words.get(locale) if words else name} ({count})")
    return Block(items=tuple(lines))


def _heads(names: Iterable[str], texts: CardTexts, locale: Locale) -> tuple[str, ...]:
    return tuple(texts.label(name, locale) for name in names)


def _named(facts: Mapping[str, Any], texts: CardTexts, locale: Locale) -> Block:
    return Block(facts=tuple((texts.label(name, locale), value) for name, value in facts.items()))
