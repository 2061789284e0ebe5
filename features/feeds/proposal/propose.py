"""`insight map`: a folder of unknown files becomes a proposed source mapping, which a person edits.

    files --look--> views --match words, kinds, keys--> feeds --write--> YAML with what was seen and what is open

Nothing is decided silently: what the bytes prove is written as it is, what is likely is written with a `# TODO`
comment that asks, and what cannot be seen (when a snapshot was taken, which time zone) stands as the word TODO, with
which a mapping is refused.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from features.feeds.contracts import FEEDS
from features.feeds.mapping.sources import UNDECIDED
from features.feeds.proposal.customers import AttributePlan, answers_in, attributes_of, besides
from features.feeds.proposal.feeds import FeedPlan, FileNeeds, single_uses, usage, whole_view
from features.feeds.proposal.matching import LEAST_CONFIDENCE, Match, matches
from features.feeds.proposal.seen.columns import identifies
from features.feeds.proposal.seen.control_file import Counted, find_check_file
from features.feeds.proposal.seen.files import FileLook
from features.feeds.proposal.seen.views import View, find_customers, found_files, look_at_views
from features.feeds.proposal.selects import time_of
from features.feeds.proposal.wide import NOT_WIDE, Wide, wide_plans
from features.feeds.proposal.words import Words, load_words, words_in
from features.kit.errors import DataError
from features.kit.terminal.progress import SILENT, Progress

_HAN = re.compile(r"[\u4e00-\u9fff]")


@dataclass
class Proposal:
    """Everything that was found out about a folder of files."""

    operator: str  # the operator's name: the folder's
    time_zone: str = UNDECIDED  # of local times, or TODO
    currency: str = UNDECIDED  # ISO code, or TODO
    scale: int = 2
    currency_why: str = ""
    is_snapshot: bool = False  # whether the files are one state of today, without events
    views: list[View] = field(default_factory=list)  # the readable files by layout
    unreadable: list[FileLook] = field(default_factory=list)  # the files that cannot be mapped as they are
    found: dict[str, list[Match]] = field(default_factory=dict)  # view -> what it may be, most likely first
    owner: str = ""  # the name of the view that lists the customers, or an empty string
    plans: list[FeedPlan] = field(default_factory=list)  # the proposed feeds, in landing order
    needs: dict[str, FileNeeds] = field(default_factory=dict)  # view -> types and checks that its feeds need
    attributes: list[AttributePlan] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)  # column -> why it is no attribute
    attributes_at: str = ""  # SQL of the day from which they hold; empty on a snapshot
    counted: Counted | None = None  # the control file that counts the others, if there is one
    notes: list[str] = field(default_factory=list)  # what a person should know of the whole

    def key_of(self, view: View) -> tuple[str, ...]:
        """Returns the columns that identify a row: the feed's own key if it does, else the smallest found."""
        match = self.found[view.name][0] if self.found.get(view.name) else None
        if match is not None and match.confidence >= LEAST_CONFIDENCE:
            own = tuple(match.columns.get(name, "") for name in match.feed.key)
            if all(own) and identifies(view.table, own):
                return own
        return view.keys[0] if view.keys else ()

    def as_dict(self) -> dict[str, Any]:
        """Returns plain values for `--json`."""
        return {
            "operator": {"name": self.operator, "time_zone": self.time_zone, "currency": self.currency},
            "snapshot": self.is_snapshot,
            "files": [self._view_dict(view) for view in self.views],
            "unreadable": {look.name: look.problem for look in self.unreadable},
            "feeds": {
                plan.feed.name: {
                    "views": list(plan.views), "confidence": plan.confidence, "why": plan.why, "todo": plan.todos,
                }
                for plan in self.plans
            },
            "attributes": [attribute.__dict__ for attribute in self.attributes],
            "left_out": self.left_out,
            "check_file": self.counted.__dict__ if self.counted else None,
            "notes": self.notes,
        }  # fmt: skip

    def _view_dict(self, view: View) -> dict[str, Any]:
        look = view.first
        return {
            "view": view.name, "path": view.pattern, "files": len(view.files),
            "rows": sum(look.rows for look in view.files), "whole": all(look.is_whole for look in view.files),
            "encoding": look.encoding, "encoding_why": look.encoding_note, "delimiter": look.delimiter,
            "compression": look.compression, "header": look.has_header, "key": list(self.key_of(view)),
            "customer": view.customer,
            "dates": {c.name: c.form for c in view.columns if c.is_time},
            "units": {c.name: c.unit for c in view.columns if c.unit},
            "feeds": {match.feed.name: match.confidence for match in self.found.get(view.name, [])[:3]},
            "columns": [
                {
                    "name": c.name, "kind": c.kind, "form": c.form, "unit": c.unit, "filled": round(c.filled, 4),
                    "distinct": c.distinct, "nothing": list(c.nothing), "samples": list(c.samples),
                }
                for c in view.columns
            ],
        }  # fmt: skip


def propose(data: Path, *, only: str = "", progress: Progress = SILENT) -> Proposal:
    """Returns a proposed mapping for the files under a folder.

    `only` is a glob below the folder; other files are not looked at.

    Raises:
        DataError: If there is no file to map, or none of them can be read.
    """
    if not data.is_dir():
        raise DataError(f"{data}: no such folder", remedy="check --data")
    paths = found_files(data, only)
    if not paths:
        raise DataError(f"{data}: no CSV, text or Parquet file", remedy="check --data, or --only")
    words = load_words()
    proposal = Proposal("_".join(words_in(data.resolve().name)) or "operator")
    with progress.step(f"look at {len(paths)} files"):
        proposal.views, proposal.unreadable = look_at_views(data, paths, words)
    if not proposal.views:
        first = proposal.unreadable[0]
        raise DataError(f"{data / first.name}: {first.problem}", remedy="no file here can be mapped")
    with progress.step("match feeds"):
        _take_check_file(proposal)
        proposal.notes += [
            f"{view.pattern}: {column.name}: {column.damage}" for view in proposal.views for column in view.columns
            if column.damage
        ]  # fmt: skip
        owner = find_customers(proposal.views, words)
        proposal.owner = owner.name if owner else ""
        proposal.found = {view.name: matches(view, words) for view in proposal.views}
        _calendar_and_money(proposal, words)
        _plan(proposal, owner, words)
    return proposal


def _take_check_file(proposal: Proposal) -> None:
    """Sets the control file apart from the views that may be feeds."""
    looks = [look for view in proposal.views for look in view.files]
    proposal.counted = find_check_file(proposal.views, looks)
    if proposal.counted is not None:
        proposal.views = [view for view in proposal.views if view.name != proposal.counted.view]
        differs = proposal.counted.differs
        if differs:
            proposal.notes.append(
                f"{proposal.counted.path} counts other rows than there are in {', '.join(differs[:3])}"
            )


def _calendar_and_money(proposal: Proposal, words: Words) -> None:
    headers = [column.name for view in proposal.views for column in view.columns]
    chinese = any(_HAN.search(header) for header in headers)
    for code, currency in words.currencies.items():
        named = next((header for header in headers if _names(header, currency.words)), "")
        if named and proposal.currency == UNDECIDED:
            proposal.currency, proposal.scale, proposal.currency_why = code, currency.scale, f"the header '{named}'"
    if chinese:
        proposal.time_zone = "Asia/Shanghai"
        if proposal.currency == UNDECIDED:
            proposal.currency, proposal.scale, proposal.currency_why = "CNY", 3, "Chinese headers"


def _names(header: str, words: tuple[str, ...]) -> bool:
    """Tells whether one of the words is a Latin word of a header, or stands in its brackets."""
    plain = unicodedata.normalize("NFKC", header)
    return bool(set(words_in(header)) & set(words)) or any(f"({word})" in plain for word in words)


def _plan(proposal: Proposal, owner: View | None, words: Words) -> None:
    kinds = single_uses(proposal.views, proposal.found, words)
    summed = {view.name for views in kinds.values() for view in views}
    sure = {
        view.name: proposal.found[view.name][0]
        for view in proposal.views
        if proposal.found[view.name] and proposal.found[view.name][0].confidence >= LEAST_CONFIDENCE
        and view.name not in summed and view is not owner
    }  # fmt: skip
    wide = {view.name: wide_plans(view, words) for view in proposal.views if view.name not in summed}
    wide = {name: found for name, found in wide.items() if found.plans}
    sure = {name: match for name, match in sure.items() if name not in wide}
    dated = bool(wide) or any(not (match.feed.reference or match.feed.is_timeless) for match in sure.values())
    own = (
        next((match for match in proposal.found[owner.name] if match.feed.name == "customers"), None) if owner else None
    )
    has_history = own is not None and bool({"event_at", "known_at"} & own.columns.keys()) and own.confidence > 0.9
    proposal.is_snapshot = not (summed or dated or has_history)
    plans: dict[str, FeedPlan] = {}
    first_month = wide.get(owner.name, NOT_WIDE).start if owner else ""
    if owner is not None and own is not None:
        if proposal.is_snapshot:
            undated = {name: header for name, header in own.columns.items() if name not in ("event_at", "known_at")}
            own = replace(own, columns=undated)
        plans["customers"] = whole_view(owner, own, words, is_snapshot=proposal.is_snapshot, since=first_month)
    else:
        _from_events(proposal, plans)
    by_name = {view.name: view for view in proposal.views}
    for plan in (plan for found in wide.values() for plan in found.plans):
        plans.setdefault(plan.feed.name, plan)
    for name, match in sorted(sure.items(), key=lambda one: -one[1].confidence):
        if match.feed.name in plans:
            _second(proposal, by_name[name], match, plans[match.feed.name])
        else:
            plans[match.feed.name] = whole_view(by_name[name], match, words, is_snapshot=proposal.is_snapshot)
    if kinds:
        sums, proposal.needs = usage(kinds, proposal.found)
        for plan in sums:
            plans.setdefault(plan.feed.name, plan)
    if owner is not None and own is not None:
        _from_the_list(proposal, owner, own, plans, words, wide.get(owner.name, NOT_WIDE))
    proposal.plans = [plans[name] for name in FEEDS if name in plans]
    _note_unread(proposal)


def _note_unread(proposal: Proposal) -> None:
    taken = {pattern for view in proposal.views for pattern in view.also}
    for view in proposal.views:
        is_noted = any(note.startswith(view.pattern) for note in proposal.notes) or view.pattern in taken
        is_noted = is_noted or any(todo.startswith(f"{view.name} ") for plan in proposal.plans for todo in plan.todos)
        if is_noted or any(view.name in plan.views for plan in proposal.plans):
            continue
        best = proposal.found[view.name][0] if proposal.found[view.name] else None
        guess = f"most like {best.feed.name} ({best.confidence:.2f})" if best else "like no feed"
        proposal.notes.append(f"{view.pattern} is read by no feed; it looks {guess}")


def _second(proposal: Proposal, view: View, match: Match, first: FeedPlan) -> None:
    if match.feed.name == "customers":
        known = f" (it knows {view.customer_share:.0%} of its ids)" if view.customer_share is not None else ""
        proposal.notes.append(
            f"{view.pattern} lists customers as well as {first.views[0]}{known}: if they are the same people, join the "
            f"two; if not, give it its own mapping: insight map --only '{view.pattern}'"
        )
    elif view.has_layout_of(same := next(other for other in proposal.views if other.name == first.views[0])):
        same.also.append(view.pattern)
        first.todos.append(
            f"{view.pattern} has the same columns and is read with it; if it holds late records, they were known later"
        )
    else:
        first.todos.append(
            f"{view.name} looks like the same feed ({match.confidence:.2f}): add it with UNION ALL BY NAME"
        )


def _from_events(proposal: Proposal, plans: dict[str, FeedPlan]) -> None:
    """Adds the customers that events name, where no file lists them: each since its first event."""
    best = {view.name: proposal.found[view.name][0] for view in proposal.views if proposal.found[view.name]}
    views = [view for view in proposal.views if view.customer and view.name in best]
    if not views:
        proposal.notes.append("no file names a customer: add the feed `customers`, all others need it")
        return
    view = max(views, key=lambda view: view.by_name[view.customer].distinct)
    feed = best[view.name].feed
    time = view.by_name.get(best[view.name].columns.get(feed.period or "event_at", ""))
    since = f"DATE '{UNDECIDED}'" if time is None else f"min({time_of(time)})"
    select = (
        f"SELECT {view.customer_sql} AS customer_id, {since} AS event_at\nFROM {view.name}\n"
        f"WHERE {view.customer_sql} IS NOT NULL GROUP BY ALL"
    )
    todo = "no file lists the customers: those that this file names are taken, each since its first row"
    plans["customers"] = FeedPlan(FEEDS["customers"], (view.name,), select, 0.5, view.customer, "PT0S", todos=[todo])


def _from_the_list(
    proposal: Proposal, owner: View, own: Match, plans: dict[str, FeedPlan], words: Words,
    wide: Wide,
) -> None:  # fmt: skip
    answers = answers_in(owner, words)
    for plan in besides(owner, own, answers, is_snapshot=proposal.is_snapshot, words=words):
        plans.setdefault(plan.feed.name, plan)
    if proposal.is_snapshot or wide.plans:
        proposal.attributes, left_out = attributes_of(owner, own, answers, words)
        proposal.attributes = [attribute for attribute in proposal.attributes if attribute.header not in wide.read]
        proposal.left_out = left_out | wide.read
        proposal.attributes_at = wide.end
        others = [view for view in proposal.views if view is not owner and view.customer]
        for view in others:
            is_noted = any(note.startswith(view.pattern) for note in proposal.notes)
            if not is_noted and not any(view.name in plan.views for plan in plans.values()):
                match = next((m for m in proposal.found[view.name] if m.feed.name == "customers"), None)
                if match is not None and view.by_name[view.customer].is_unique:
                    _second(proposal, view, match, plans["customers"])
