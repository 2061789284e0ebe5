"""A proposal as YAML: the mapping itself, and in comments what was seen and what is still to decide."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence

from features.feeds.proposal.propose import Proposal
from features.feeds.proposal.selects import select_of
from features.kit.pages.pages import render
from features.kit.sql import quoted

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./]*")
_WORDS = ("null", "true", "false", "yes", "no", "on", "off", "y", "n", "~")
Flow = str | Sequence["Flow"] | Mapping[str, "Flow"]


def yaml_text(proposal: Proposal) -> str:
    """Returns the whole file."""
    taken = {pattern for view in proposal.views for pattern in view.also}
    left_out: dict[str, list[str]] = {}
    for name, why in proposal.left_out.items():
        left_out.setdefault(why, []).append(name)
    owner = next((view for view in proposal.views if view.name == proposal.owner), None)
    text = render(
        "features.feeds.proposal", "mapping.txt.j2", proposal=proposal, comments=_comments, flow=_flow, json=_json,
        views=[view for view in proposal.views if view.pattern not in taken], left_out=left_out, quoted=quoted,
        first_line=select_of(owner.name, [(owner.customer_sql, "customer_id")]).splitlines()[0] if owner else "",
    )  # fmt: skip
    return "\n".join(line.rstrip() for line in text.split("\n"))


def _comments(begin: str, texts: list[str], mark: str = "") -> list[str]:
    """Returns texts as comment lines of at most 118 characters."""
    lines = []
    for text in texts:
        line = begin + mark
        for word in text.split(" "):
            if len(line) + len(word) > 117 and line.strip("# "):
                lines.append(line.rstrip())
                line = begin + "  "
            line += word + " "
        lines.append(line.rstrip())
    return lines


def _scalar(text: str) -> str:
    return text if _PLAIN.fullmatch(text) and text.lower() not in _WORDS else _json(text)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _flow(value: Flow, written: Callable[[str], str] = _scalar) -> str:
    """Returns a value in YAML's flow style; `written` says how a text is written that is no key."""
    if isinstance(value, str):
        return written(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_scalar(key)}: {_flow(inner, written)}" for key, inner in value.items()) + "}"
    return "[" + ", ".join(_flow(inner, written) for inner in value) + "]"
