"""How the workbook lays a list out: a sheet per team and agent, columns that print, rows as high as their text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from features.kit.language import Text
from serving.outreach.dispositions import SENT_CHANNELS
from serving.outreach.export.columns import COLUMNS, Entry, ListColumn, Page

LINE_POINTS = 14.5
"""Height of a line of ten-point text, also in the fonts that stand in for Chinese."""
HIGHEST_POINTS = 409.0
"""No spreadsheet program shows a higher row."""
LONGEST_NAME = 31
_BY_NAME = {column.name: column for column in COLUMNS}


@dataclass(frozen=True)
class Part:
    """One sheet: the lines of a team that nobody has begun, or those of one of its agents."""

    name: str
    team: str
    agent: str
    entries: list[Entry]

    @property
    def is_sent(self) -> bool:
        """Returns whether all its lines go out without a talk."""
        return bool(self.entries) and all(entry.line.channel in SENT_CHANNELS for entry in self.entries)


def parts_of(entries: Sequence[Entry], page: Page) -> list[Part]:
    """Returns the sheets of a list in its order, each team before its agents; one empty sheet for an empty list."""
    groups: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries:
        groups.setdefault((entry.line.team, entry.line.agent or ""), []).append(entry)
    teams = list(dict.fromkeys(team for team, _ in groups))
    taken: set[str] = set()
    parts = []
    for team, agent in sorted(groups, key=lambda key: (teams.index(key[0]), key[1])):
        label = page.settings.teams[team].get(page.locale)
        name = _sheet_name(f"{label} {agent}".strip(), taken)
        parts.append(Part(name, label, agent, groups[team, agent]))
    return parts or [Part(_sheet_name(page.phrase("empty"), taken), "", "", [])]


def _sheet_name(wanted: str, taken: set[str]) -> str:
    """Returns a name that every spreadsheet program takes: 31 characters at most, none forbidden, none twice."""
    bare = re.sub(r"[\[\]:*?/\\\x00-\x1f]", " ", wanted).strip(" '") or "-"
    name, number = bare[:LONGEST_NAME].rstrip(" '"), 1
    while name.casefold() in taken or name.casefold() == "history":
        number += 1
        name = f"{bare[: LONGEST_NAME - 4].rstrip()} {number}"
    taken.add(name.casefold())
    return name


def columns_of(part: Part) -> tuple[list[ListColumn], int]:
    """Returns a sheet's columns, and how many of them are printed; what nobody says is left out where nobody talks."""
    printed = [column for column in _PRINTED if column.name not in (_UNSENT if part.is_sent else _UNTALKED)]
    return [*printed, *_BESIDE], len(printed)


def height_of(cells: Sequence[Any], widths: Sequence[float]) -> float:
    """Returns the points that show every cell of a row whole."""
    most = max((lines_of(str(cell), width) for cell, width in zip(cells, widths, strict=True)), default=1)
    return min(LINE_POINTS * most + 4, HIGHEST_POINTS)


def lines_of(text: str, width: float) -> int:
    """Returns the lines that a text takes in a column; words stay whole, a Chinese character is two digits wide.

    Example: eleven Chinese characters are 22 wide and take three lines in a column of 10.
    """
    room = max(int(width) - 1, 2)
    count = 0
    for paragraph in text.split("\n"):
        count += 1
        used = 0.0
        for piece in _PIECE.findall(paragraph):
            wide = sum(2 if unicodedata.east_asian_width(one) in "WFA" else 0.9 for one in piece)
            if used and used + wide > room:
                count += 1
                used = 0.0
            if wide > room:
                count += int(-(-wide // room)) - 1
                wide %= room
            used += wide
    return count


_PIECE = re.compile(r"[^\s\u2e80-\uffff]+|\s|[\u2e80-\uffff]")


def _place(entry: Entry, page: Page) -> str:
    """Returns what an agent plans with: new or not, the hours, the attempts made, the last day."""
    state, attempts, until = (_text(name, entry, page) for name in ("state", "attempts", "valid_until"))
    hours = "\n".join(re.split("[、,] ?", _text("hours", entry, page)))
    tried = page.phrase("tried", attempts=attempts) if entry.line.attempts else ""
    return "\n".join(part for part in (state, hours, tried, page.phrase("until", day=until[5:])) if part)


def _action(entry: Entry, page: Page) -> str:
    return page.phrase("action", action=_text("action", entry, page), channel=_text("channel", entry, page))


def _reasons(entry: Entry, page: Page) -> str:
    texts = [text for text in (_text(f"reason_{place}", entry, page) for place in (1, 2, 3)) if text]
    shown = [f"{number}. {text}" for number, text in enumerate(texts, start=1)] if len(texts) > 1 else texts
    matters = _text("matters", entry, page).split("\n")
    told = [matter for matter in matters if matter and not any(matter in text for text in texts)]
    shown += [page.phrase("open_matter", matter=matter) for matter in told]
    return "\n".join(shown)


def _script(entry: Entry, page: Page) -> str:
    texts = (_text("opening", entry, page), "" if entry.line.channel in SENT_CHANNELS else _text("say", entry, page))
    return "\n".join(text for text in texts if text)


def _must_not_say(entry: Entry, page: Page) -> str:
    """Returns what is not said on this line; what is said to nobody stands once above the lines."""
    return _text("must_not_say", entry, page).removesuffix(page.settings.never_say.get(page.locale)).rstrip("；; ")


def _text(name: str, entry: Entry, page: Page) -> str:
    return str(_BY_NAME[name].cell(entry, page))


def _composed(name: str, zh: str, en: str, width: float, fill: Any) -> ListColumn:
    return ListColumn(name, Text(zh=zh, en=en), width, fill)


_PRINTED: tuple[ListColumn, ...] = (
    _BY_NAME["position"],
    _BY_NAME["line_id"],
    _composed("place", "状态与时段", "state and hours", 12.5, _place),
    _BY_NAME["form_of_address"],
    _BY_NAME["number"],
    replace(_BY_NAME["action"], fill=_action),
    _BY_NAME["value"],
    _composed("reasons", "原因与未结事项", "reasons and open matters", 32, _reasons),
    *(_BY_NAME[name] for name in ("disposition", "attempted_at", "next_at", "order_reference", "ticket_id", "agent")),
    _composed("script", "开场白与可说的话", "opening and what may be said", 41, _script),
    _composed("text_sent", "短信或推送的内容", "text that is sent", 60, _script),
    _BY_NAME["may_grant"],
    replace(_BY_NAME["must_not_say"], fill=_must_not_say),
)
_BESIDE = tuple(
    _BY_NAME[name]
    for name in ("band", "class", "city", "plan", "months", "vip", "best_channel", "last_contact", "team", "effect")
)
"""Right of what is printed: the person, for the screen."""
_UNSENT = frozenset({"script", "next_at", "may_grant", "must_not_say"})
"""Columns that a sheet of messages does without."""
_UNTALKED = frozenset({"text_sent"})

SHEET_COLUMNS: tuple[ListColumn, ...] = (*_PRINTED, *_BESIDE)
"""Every column that a sheet may have."""
