"""A proposal as YAML: the mapping itself, and in comments what was seen and what is still to decide."""

from __future__ import annotations

import json
import re

from features.feeds.mapping.sources import UNDECIDED
from features.feeds.proposal.feeds import FeedPlan
from features.feeds.proposal.propose import Proposal
from features.feeds.proposal.selects import select_of
from features.feeds.proposal.views import View
from features.kit.sql import quoted

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./]*")
_WORDS = ("null", "true", "false", "yes", "no", "on", "off", "y", "n", "~")


def yaml_text(proposal: Proposal) -> str:
    """Returns the whole file."""
    taken = {pattern for view in proposal.views for pattern in view.also}
    views = [line for view in proposal.views if view.pattern not in taken for line in _view(proposal, view)]
    feeds = [line for plan in proposal.plans for line in _feed(plan)]
    lines = [
        f"# A proposed mapping of {proposal.operator}, by `insight map`: edit it, then try `insight check`.",
        f"# Where `{UNDECIDED}` is a value, the files cannot say it, and the mapping is refused until you do;",
        f"# a comment that begins with `# {UNDECIDED}` asks you to look at a guess. Guide: configs/sources/README.md.",
        *_comments("# ", proposal.notes, f"{UNDECIDED} "),
        *(f"# {UNDECIDED} not mapped: {look.name}: {look.problem}" for look in proposal.unreadable),
        "operator:",
        f"  name: {_scalar(proposal.operator)}",
        f"  time_zone: {proposal.time_zone}{_zone_note(proposal)}",
        f"  currency: {{code: {proposal.currency}, scale: {proposal.scale}}}{_money_note(proposal)}",
        *_snapshot(proposal),
        *_check_file(proposal),
        "files:",
        *views,
        "feeds:",
        *feeds,
        *_attributes(proposal),
    ]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _zone_note(proposal: Proposal) -> str:
    if proposal.time_zone == UNDECIDED:
        return "  # TODO of the operator's local times, as Asia/Shanghai or America/New_York"
    return "  # TODO a guess from the Chinese headers"


def _money_note(proposal: Proposal) -> str:
    if proposal.currency == UNDECIDED:
        return "  # TODO ISO code, as CNY; scale 3: landed money is 1/1000 of it"
    return f"  # from {proposal.currency_why}; landed money is 1/{10**proposal.scale} of it"


def _snapshot(proposal: Proposal) -> list[str]:
    if not proposal.is_snapshot:
        return []
    return [f"snapshot_at: {UNDECIDED}  # TODO no file holds events: when was this state taken? as 2026-05-31T23:00:00"]


def _check_file(proposal: Proposal) -> list[str]:
    """Returns the control file as a default of every file."""
    found = proposal.counted
    if found is None:
        return []
    right = f"# {found.path} names the files and counts their rows; {found.agrees} of the newest agree"
    between = f", delimiter: {json.dumps(found.delimiter)}"
    place = f"{{path: {_scalar(found.path)}, file: {_scalar(found.file)}, rows: {_scalar(found.rows)}{between}}}"
    return [right, "file_defaults:", f"  check_file: {place}"]


def _view(proposal: Proposal, view: View) -> list[str]:
    look = view.first
    count = f"{len(view.files)} files, " if len(view.files) > 1 else ""
    rows = sum(look.rows for look in view.files)
    whole = "" if all(look.is_whole for look in view.files) else "; only the beginning was looked at"
    lines = [f"  # {view.pattern}: {count}{rows:,} rows{whole}"]
    if look.encoding:
        shown = {"\t": "tab", "\x01": "0x01", "\x1e": "0x1e", "\x7f": "0x7f"}.get(look.delimiter, look.delimiter)
        header = "a header" if look.has_header else "no header"
        packed = f", {look.compression}" if look.compression else ""
        lines.append(f"  #   {look.encoding} ({look.encoding_note}), values between `{shown}`, {header}{packed}")
    lines.append(f"  #   a row is known by: {_key(proposal, view)}")
    if view.customer and view.name != proposal.owner and view.customer_share is not None:
        lines.append(
            f"  #   customer: {view.customer}, {view.customer_share:.1%} of its values are in {proposal.owner}"
        )
    guesses = ", ".join(f"{match.feed.name} {match.confidence:.2f}" for match in proposal.found[view.name][:3])
    lines.append(f"  #   looks like: {guesses or 'no feed'}")
    if look.broken_rows:
        lines.append(f"  #   TODO {look.broken_rows:,} rows with another number of values go to quarantine")
    lines += _columns(view)
    options = _options(proposal, view)
    lines.append(f"  {view.name}:")
    lines += [f"    {key}: {value}" for key, value in options.items()]
    return lines


def _key(proposal: Proposal, view: View) -> str:
    key = proposal.key_of(view)
    if not key:
        return "no few columns; rows may stand there twice"
    note = "" if len(key) > 1 or view.by_name[key[0]].distinct > 1 else " (one row only)"
    return ", ".join(key) + note


def _columns(view: View) -> list[str]:
    width = min(30, max(len(column.name) for column in view.columns))
    lines = []
    for column in view.columns:
        what = " ".join(part for part in (column.kind, column.form, column.unit and f"[{column.unit}]") if part)
        samples = " | ".join(column.samples)
        filled = "" if column.filled == 1 else f", {column.filled:.1%} filled"
        gone = f", nothing = {', '.join(repr(text) for text in column.nothing)}" if column.nothing else ""
        lines.append(f"  #     {column.name:<{width}}  {what}, {column.distinct:,} different{filled}{gone}: {samples}")
    return lines


def _options(proposal: Proposal, view: View) -> dict[str, str]:
    look = view.first
    globs = [_scalar(pattern) for pattern in view.patterns]
    options = {"path": globs[0] if len(globs) == 1 else f"[{', '.join(globs)}]"}
    if look.encoding and look.encoding != "utf-8":
        options["encoding"] = look.encoding
    if look.delimiter and look.delimiter != ",":
        options["delimiter"] = json.dumps(look.delimiter)
    if not look.has_header:
        options["headerless"] = "true"
        options["header"] = "[" + ", ".join(_scalar(name) for name in look.header) + "]"
    everywhere = sorted({text for column in view.columns for text in column.nothing if text not in column.nothing_here})
    if everywhere:
        options["null_values"] = "[" + ", ".join(_json(text) for text in ["", *everywhere]) + "]"
    here = {column.name: column.nothing_here for column in view.columns if column.nothing_here}
    if here:
        marks = (f"{_scalar(name)}: [{', '.join(_json(text) for text in texts)}]" for name, texts in here.items())
        options["null_values_of"] = "{" + ", ".join(marks) + "}"
    need = proposal.needs.get(view.name)
    if need is not None:
        options["types"] = "{" + ", ".join(f"{_scalar(name)}: {kind}" for name, kind in need.types.items()) + "}"
        options["required"] = "[" + ", ".join(_scalar(name) for name in need.required) + "]"
        if need.reject:
            options["reject"] = (
                "{" + ", ".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in need.reject.items()) + "}"
            )
    return options


def _feed(plan: FeedPlan) -> list[str]:
    lines = [f"  # {plan.feed.name}: {plan.feed.row}; confidence {plan.confidence:.2f}"]
    lines += _comments("  #   ", [plan.why])
    lines += _comments("  # ", plan.todos, f"{UNDECIDED} ")
    lines += [f"  {plan.feed.name}:", "    select: |", *(f"      {line}" for line in plan.select.splitlines())]
    if plan.by_number:
        lines.append("    keyed_by: number")
    if plan.known_after:
        lines.append(f"    known_after: {plan.known_after}")
    if plan.at:
        lines.append(f'    at: "{plan.at}"')
    if plan.units:
        lines.append("    units: {" + ", ".join(f"{name}: {unit}" for name, unit in plan.units.items()) + "}")
    if plan.unused and plan.feed.name != "customers":
        lines += _comments("  #   ", [f"not used: {', '.join(plan.unused)}"])
    return lines


def _attributes(proposal: Proposal) -> list[str]:
    if not proposal.attributes:
        return []
    view = next(view for view in proposal.views if view.name == proposal.owner)
    parts = [(quoted(attribute.header), attribute.name) for attribute in proposal.attributes]
    first = select_of(view.name, [(quoted(view.customer), "customer_id")]).splitlines()[0]
    lines = ["  # attributes: every further column of the customers that was known at the snapshot"]
    if proposal.left_out:
        by_reason: dict[str, list[str]] = {}
        for name, why in proposal.left_out.items():
            by_reason.setdefault(why, []).append(name)
        reasons = [f"left out, {why}: {', '.join(names)}" for why, names in by_reason.items()]
        lines += _comments("  #   ", reasons)
    lines += [f"  # {UNDECIDED} is any of these known only after the snapshot? then leave it out here and below"]
    lines += ["  attributes:", "    select: |", f"      {first},"]
    lines += [
        f"             {sql} AS {name}{',' if place < len(parts) else ''}" for place, (sql, name) in enumerate(parts, 1)
    ]
    lines += [f"      FROM {view.name}", "attributes:"]
    lines += [
        f"  - {{name: {attribute.name}, kind: {attribute.kind}, description: {_json(attribute.header)}}}"
        for attribute in proposal.attributes
    ]
    return lines


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
