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

from features.kit.language import Locale, Text
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
        content = {
            "title": f"{facts.target.name} {facts.version}",
            "sections": _Writer(facts, texts, locale).sections(),
            "picture_follows": texts.label("picture_follows", locale),
        }
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


@dataclass(frozen=True)
class _Writer:
    """Writes one card in one language."""

    facts: CardFacts
    texts: CardTexts
    locale: Locale

    def sections(self) -> list[Section]:
        """Returns the card's sections in the order of `SECTIONS`."""
        facts, say, law = self.facts, self._say, self.texts.law
        own = self.texts.targets.get(facts.target.name)
        blocks: dict[str, list[Block]] = {
            "purpose": [say(own.purpose)] if own else [],
            "forbidden": [self._items(self.texts.forbidden)],
            "definition": [*([say(own.predicts)] if own else []), self._definition(facts.target)],
            "data": [self._named({"as_of_dates": "{} – {} ({})".format(*facts.dates)} | dict(facts.data))],
            "folds": [self._folds()],
            "figures": [self._figures()],
            "slices": self._slices(),
            "calibration": self._calibration(),
            "reasons": self._reasons(),
            "limits": self._limits(),
            "law.purpose": [say(own.purpose, law.purpose)] if own else [],
            "law.data": [
                say(law.data),
                Block(items=tuple(f"{name} ({count})" for name, count in self._by_dimension(facts.dimensions))),
            ],
            "law.logic": [say(law.logic)],
            "law.impact": [say(law.impact)],
        }
        titles, pictures = self.texts.titles, facts.pictures
        return [
            Section(name, titles[name].get(self.locale), tuple(blocks[name]), tuple(pictures.get(name, ())))
            for name in SECTIONS
        ]

    def _label(self, identifier: str) -> str:
        return self.texts.label(identifier, self.locale)

    def _say(self, *texts: Text) -> Block:
        return Block(lines=tuple(text.get(self.locale) for text in texts))

    def _items(self, texts: Iterable[Text]) -> Block:
        return Block(items=tuple(text.get(self.locale) for text in texts))

    def _named(self, facts: Mapping[str, Any]) -> Block:
        return Block(facts=tuple((self._label(name), value) for name, value in facts.items()))

    def _table(self, heads: Iterable[str], rows: Iterable[tuple[Any, ...]], title: str = "") -> Block:
        return Block(heads=tuple(map(self._label, heads)), rows=tuple(rows), title=title and self._label(title))

    def _by_dimension(self, values: Mapping[str, Any]) -> list[tuple[str, Any]]:
        """Returns values by dimension, each under its category of personal data."""
        words = self.texts.dimensions
        return [(words[name].get(self.locale) if name in words else name, value) for name, value in values.items()]

    def _definition(self, target: Target) -> Block:
        return self._named(
            {
                "events": ", ".join(f"{event.name} ({event.kind})" for event in target.events),
                "window": f"[as-of + {target.lead_days}, as-of + {target.lead_days + target.horizon_days})",
                "label_delay": target.label_delay_days,
                "embargo": target.embargo_days,
                "cohort": self.texts.cohort_rules(target.cohort, self.locale),
                "feature_service": target.features,
            }
        )

    def _folds(self) -> Block:
        rows = []
        for fold in self.facts.folds:
            train, test = fold.get("train_as_of") or (), fold.get("test_as_of") or ()
            counts = (f"{fold[part + '_rows']:,} ({fold[part + '_positives']:,})" for part in ("train", "test"))
            rows.append((fold["fold"], *counts, f"{train[0]} – {train[-1]}" if train else "", ", ".join(test)))
        return self._table(("fold", "train", "test", "train_dates", "test_dates"), rows)

    def _figures(self) -> Block:
        rows = []
        for name, value in self.facts.metrics.items():
            if isinstance(value, bool) or not isinstance(value, int | float):
                continue
            interval = self.facts.metrics.get(f"{name}_ci")
            shown = f"{value:,}" if name in _NOT_FIGURES else value
            rows.append((self._label(name), shown, "" if interval is None else f"{interval[0]} – {interval[1]}"))
        return self._table(("figure", "value", "interval"), rows)

    def _slices(self) -> list[Block]:
        """Returns one table per way of slicing: every `by_<slice>`, and every member of `by_slice`."""
        metrics = self.facts.metrics
        tables = {name: groups for name, groups in metrics.items() if name.startswith("by_") and name != "by_slice"}
        tables |= {f"by_slice.{name}": groups for name, groups in (metrics.get("by_slice") or {}).items()}
        blocks: list[Block] = []
        for name, groups in tables.items():
            if not isinstance(groups, Mapping) or not groups:
                continue
            columns = list(dict.fromkeys(column for cell in groups.values() for column in cell))
            shown = [column for column in columns if not column.endswith("_ci")]
            rows = [(self._label(group), *(self._cell(cell, name) for name in shown)) for group, cell in groups.items()]
            blocks.append(self._table(("group", *shown), rows, title=name))
        return blocks

    def _cell(self, figures: Mapping[str, Any], name: str) -> str:
        """Returns a figure with its interval, where it has one."""
        value, interval = figures.get(name), figures.get(f"{name}_ci")
        if value is None:
            return ""
        if value == "too few":
            return self._label("too_few")
        if isinstance(value, Mapping):
            return ", ".join(f"{name} {inner}" for name, inner in value.items())
        return f"{value} ({interval[0]} – {interval[1]})" if interval else str(value)

    def _calibration(self) -> list[Block]:
        wanted, metrics = ("base_rate", "mean_propensity", "calibration_error"), self.facts.metrics
        found: dict[str, Any] = {"method": self.facts.method}
        for name, value in metrics.items():
            if isinstance(value, int | float) and (name in wanted or name.startswith(("calibration", "observed"))):
                found[name] = self._cell(metrics, name)
        blocks: list[Block] = [self._named(found)]
        if metrics.get("deciles"):
            rows_head = "weighted_rows" if "weighted_rows" in metrics else "rows"
            rows = (
                (place, decile["rows"], decile["observed"], decile["expected"], f"{decile['low']} – {decile['high']}")
                for place, decile in enumerate(metrics["deciles"], start=1)
            )
            blocks.append(self._table(("decile", rows_head, "observed", "expected", "promise_interval"), rows))
        return blocks

    def _reasons(self) -> list[Block]:
        return [
            self._say(self.texts.reasons),
            self._table(("feature", "contribution"), self.facts.importance.items()),
            self._table(("by_dimension", "contribution"), self._by_dimension(self.facts.by_dimension)),
        ]

    def _limits(self) -> list[Block]:
        blocks: list[Block] = [self._items(self.texts.limits)]
        for name, content in (("left_out", self.facts.left_out), ("skipped", self.facts.skipped)):
            lines = tuple(f"{key}: {value}" for key, value in content.items()) or (self._label("nothing"),)
            blocks.append(Block(items=lines, title=self._label(name)))
        if self.facts.notes:
            blocks.append(Block(items=tuple(self.facts.notes), title=self._label("notes")))
        return blocks
