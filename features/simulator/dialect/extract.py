"""How one feed is written down by a dialect: words, rhythm and form of its files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    pass


Rhythm = Literal["snapshot", "changed", "events", "late"]


@dataclass(frozen=True)
class Form:
    """How a value is written; `words` maps ours to the operator's."""

    name: str
    words: tuple[tuple[str, str], ...] = ()


def words(pairs: dict[str, str]) -> Form:
    """Returns the form of a closed vocabulary: our word -> the operator's."""
    return Form("words", tuple(pairs.items()))


@dataclass(frozen=True)
class Extract:
    """One file a month.

    Attributes:
        feed: The feed whose rows it holds.
        name: The file's name before the month.
        rhythm: `snapshot`: every key's newest state; `changed`: that of the keys that changed in the month; `events`:
            rows of the month; `late`: rows that were late.
        columns: Header, the feed's column, form.
        key: What a snapshot has one row of.
        delimiter: Between the values.
    """

    feed: str
    name: str
    rhythm: Rhythm
    columns: tuple[tuple[str, str, Form], ...]
    key: str = ""
    delimiter: str = "|"
