"""The dialect `bss_cn`: which extract holds which feed, under which headers, in which forms (`bss_cn.yaml`)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from features.kit.config import load_yaml, parse_data

Rhythm = Literal["snapshot", "changed", "events", "late"]


@dataclass(frozen=True)
class Form:
    """How a value is written; `words` maps ours to the operator's."""

    name: str
    words: tuple[tuple[str, str], ...] = ()


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
    """

    feed: str
    name: str
    rhythm: Rhythm
    columns: tuple[tuple[str, str, Form], ...]
    key: str = ""
    delimiter: str = "|"


def _columns(declared: list[Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """Returns the columns of an extract, with the shared ones in their places."""
    shared = [column if isinstance(column[0], list) else [column] for column in declared]
    return [
        (header, name, {"name": form} if isinstance(form, str) else {"name": "words", "words": list(form.items())})
        for part in shared
        for header, name, form in part
    ]


def load_extracts() -> tuple[Extract, ...]:
    """Returns the extracts in the order of the file."""
    path = Path(__file__).with_suffix(".yaml")
    content = {
        name: extract | {"name": name, "columns": _columns(extract["columns"])}
        for name, extract in load_yaml(path)["extracts"].items()
    }
    extracts: dict[str, Extract] = parse_data(dict[str, Extract], content, source=str(path))
    return tuple(extracts.values())


EXTRACTS = load_extracts()
