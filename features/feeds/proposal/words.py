"""The words of `configs/mapping_words.yaml`: which header means which column, which unit, which feed a file is."""

from __future__ import annotations

import re
import unicodedata
from functools import cached_property, lru_cache
from typing import Literal

from pydantic import field_validator

from features.feeds.contracts import FEEDS
from features.feeds.schema import Feed
from features.kit.config import Config, config_path, load_config

_BRACKETS = re.compile(r"[(\[【<〔{]([^()\[\]【】<>〔〕{}]*)[)\]】>〕}]")
_SHORTEST_PART = {True: 4, False: 2}  # of a word within a header: Latin, Chinese
EXACT, SYNONYM, PART = 1.0, 0.95, 0.8


def plain(header: str) -> str:
    """Returns a header in NFKC and lower case, without what stands in brackets."""
    text = unicodedata.normalize("NFKC", header).lower().strip()
    return _BRACKETS.sub("", text).strip() or text


@lru_cache(maxsize=20_000)
def folded(header: str) -> str:
    """Returns letters, digits and Chinese characters only. Example: `User_ID` and `user id` are both `userid`."""
    return "".join(char for char in plain(header) if char.isalnum())


def words_in(header: str) -> list[str]:
    """Returns the Latin words of a header. Example: `TotalCharges` is total, charges."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", _BRACKETS.sub("", unicodedata.normalize("NFKC", header)))
    return [word for word in re.split(r"[^a-z0-9]+", spaced.lower()) if word]


class CurrencyWords(Config):
    """By which words a currency is known, and how many decimals its landed integer has."""

    scale: int
    words: tuple[str, ...]


class UseWords(Config):
    """Records of single uses: what their files are called, and which amount they carry."""

    file: tuple[str, ...]
    amount: Literal["voice_seconds", "sms_count", "data_kb"]


class AnswerWords(Config):
    """Headers of columns that hold an answer known only later."""

    left: tuple[str, ...]
    left_on: tuple[str, ...]
    about_leaving: tuple[str, ...]
    score: tuple[str, ...]
    same_interview: tuple[str, ...]


class NothingWords(Config):
    """Texts that mean "nothing there"."""

    certain: tuple[str, ...]
    among_values: tuple[str, ...]
    far_dates: tuple[str, ...]


class Words(Config):
    """All words; see the comments of the YAML file."""

    columns: dict[str, tuple[str, ...]]
    feeds: dict[str, tuple[str, ...]]
    uses: dict[str, UseWords]
    answers: AnswerWords
    units: dict[str, tuple[str, ...]]
    currencies: dict[str, CurrencyWords]
    nothing: NothingWords
    values: dict[str, dict[str, str]]
    glossary: dict[str, str]

    @field_validator("columns")
    @classmethod
    def _known_columns(cls, value: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        common = {"customer_id", "number", "event_id", "event_at", "known_at"}
        known = common | {c.name for f in FEEDS.values() for c in f.columns}
        known |= {f"{f.name}.{c.name}" for f in FEEDS.values() for c in f.columns}
        wrong = sorted(set(value) - known)
        if wrong:
            raise ValueError(f"'{wrong[0]}' is no column of any feed")
        return value

    @cached_property
    def _folded(self) -> dict[str, frozenset[str]]:
        return {name: frozenset(folded(word) for word in words) for name, words in self.columns.items()}

    @cached_property
    def parts(self) -> tuple[str, ...]:
        """Returns the glossary's Chinese parts, longest first."""
        return tuple(sorted(self.glossary, key=len, reverse=True))

    def meaning(self, header: str, feed: Feed, column: str) -> float:
        """Returns how surely a header means a column of a feed: 1 for its own name, 0 for not at all."""
        name, own = folded(header), f"{feed.name}.{column}"
        return max(self._meaning(name, column), self._meaning(name, own) if own in self.columns else 0.0)

    def _meaning(self, name: str, key: str) -> float:
        known = self._meanings.get((name, key))
        if known is None:
            own = folded(key.rpartition(".")[2])
            synonyms = self._folded.get(key, frozenset())
            if not name:
                known = 0.0
            elif name == own:
                known = EXACT
            elif name in synonyms:
                known = SYNONYM
            else:
                share = max(_share(word, name) for word in (*synonyms, own))
                known = PART * share if share >= 0.5 else 0.0
            self._meanings[name, key] = known
        return known

    @cached_property
    def _meanings(self) -> dict[tuple[str, str], float]:
        return {}

    def means(self, header: str, column: str) -> bool:
        """Tells whether a header is a common column's own name or one of its synonyms."""
        return folded(header) == folded(column) or folded(header) in self._folded.get(column, frozenset())

    def named_feeds(self, name: str) -> dict[str, float]:
        """Returns the feeds whose word occurs in a file's name: 1 where it is the whole name, the longest word only."""
        stem = folded(name)
        found: dict[str, int] = {}
        for feed in FEEDS:
            for word in (feed, *self.feeds.get(feed, ())):
                plainly = folded(word)
                if plainly and plainly in stem:
                    found[feed] = max(found.get(feed, 0), len(plainly) + (len(plainly) == len(stem)))
        longest = max(found.values(), default=0)
        return {feed: 1.0 if size > len(stem) else 0.8 for feed, size in found.items() if size == longest}


def _share(word: str, name: str) -> float:
    shorter, longer = sorted((word, name), key=len)
    if len(shorter) < _SHORTEST_PART[shorter.isascii()] or shorter not in longer:
        return 0.0
    return len(shorter) / len(longer)


def unit_of(header: str, words: Words) -> str:
    """Returns the unit that a header names, in brackets or as a word of its own, or an empty string."""
    text = unicodedata.normalize("NFKC", header).lower()
    for inside in _BRACKETS.findall(text):
        for unit, names in words.units.items():
            if inside.strip() in names:
                return unit
    latin = words_in(header)
    for word in latin:  # the first unit: `usd_per_gb` is an amount of money
        for unit, names in words.units.items():
            if word in names and (len(word) > 1 or (len(latin) > 1 and word == latin[-1])):
                return unit
    for unit, names in words.units.items():
        if any(len(name) > 1 and not name.isascii() and name in text for name in names):
            return unit
    return "s" if text.endswith(("秒", "秒数")) else ""


def english_name(header: str, place: int, words: Words) -> str:
    """Returns an English snake_case name for a header, `column_7` where no part of it is known."""
    parts: list[str] = []
    rest = unicodedata.normalize("NFKC", header)
    while rest:
        part = next((part for part in words.parts if rest.startswith(part)), "")
        if part:
            parts.append(words.glossary[part])
            rest = rest[len(part) :]
            continue
        latin = re.match(r"[A-Za-z0-9]+", rest)
        parts += words_in(latin[0]) if latin else []
        rest = rest[len(latin[0]) if latin else 1 :]
    name = re.sub(r"_+", "_", "_".join(part for part in parts if part)).strip("_")
    if not name:
        return f"column_{place}"
    return name if name[0].isalpha() else f"n_{name}"


def load_words() -> Words:
    """Returns the words of `configs/mapping_words.yaml`. Raises ConfigurationError naming the wrong key."""
    return load_config(Words, config_path("mapping_words.yaml"))
