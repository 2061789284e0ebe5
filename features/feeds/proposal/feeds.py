"""Which feeds the views give: whole views, what a customer list holds besides, and single uses summed to days.

Where only a person can decide, the proposal says `TODO`, and the mapping is refused until it is decided.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from features.feeds.contracts import FEEDS
from features.feeds.mapping.sources import UNDECIDED
from features.feeds.proposal.matching import Match
from features.feeds.proposal.seen.columns import ColumnLook, identifies
from features.feeds.proposal.seen.personal import masked
from features.feeds.proposal.seen.views import View
from features.feeds.proposal.selects import expression, select_of, translations, unit_for, with_clock
from features.feeds.proposal.words import Words, folded, words_in
from features.feeds.schema import Column, Feed, Grain, Kind
from features.feeds.units import UNITS
from features.kit.sql import literal, quoted

ROW = ColumnLook("_row", "integer")
"""What stands for the customer where no column does."""

_LAGS = {Grain.INSTANT: ("PT1H", ""), Grain.DAY: ("PT6H", ""), Grain.MONTH: ("P5D", "06:00")}


@dataclass
class FeedPlan:
    """One feed of the proposal."""

    feed: Feed
    views: tuple[str, ...]
    select: str
    confidence: float
    why: str  # what speaks for it, in one line
    known_after: str = ""  # the delivery lag; empty where a column says it, or on a snapshot
    at: str = ""  # the local time at which the lag ends
    units: dict[str, str] = field(default_factory=dict)  # column -> unit
    by_number: bool = False  # whether rows are known by their number
    todos: list[str] = field(default_factory=list)  # what a person should look at, one line each
    unused: tuple[str, ...] = ()  # columns of its view that it does not read


@dataclass
class FileNeeds:
    """What a view must declare for the feeds that sum its rows."""

    types: dict[str, str] = field(default_factory=dict)  # column -> type
    required: tuple[str, ...] = ()  # columns that every row must have
    reject: dict[str, str] = field(default_factory=dict)  # reason -> condition


def single_uses(views: Sequence[View], found: dict[str, list[Match]], words: Words) -> dict[str, list[View]]:
    """Returns kind of use -> views of single uses: a customer, a time and at most an amount a row, several a day."""
    kinds: dict[str, list[View]] = {}
    for view in views:
        best = found[view.name][0] if found[view.name] else None
        times = [look for look in view.columns if look.is_time and look.filled > 0.9]
        if best is None or best.feed.name != "usage_daily" or not view.customer or not times or len(view.columns) > 8:
            continue
        if identifies(view.table, (view.customer, best.columns["day"])):
            continue  # one row a customer and day: summed already
        title = folded(view.title)
        named = [kind for kind, use in words.uses.items() if any(word in title for word in use.file)]
        by_amount = (kind for kind, use in words.uses.items() if use.amount in best.columns)
        kind = named[0] if named else next(by_amount, "")
        if kind:
            kinds.setdefault(kind, []).append(view)
    return kinds


def whole_view(view: View, match: Match, words: Words, *, is_snapshot: bool, since: str = "") -> FeedPlan:
    """Returns the plan of a feed that a view gives row by row; `since` is SQL of customers' first day, if known."""
    feed = match.feed
    taken = dict(match.columns)
    if feed.name == "customers" and "event_at" not in taken and "activated_on" in taken and not is_snapshot:
        taken["event_at"] = taken["activated_on"]
    columns = [_contract(feed, name) for name in taken]
    looks = {column.name: view.by_name.get(taken[column.name], ROW) for column in columns}
    order = ["customer_id", "number", "event_id", "event_at", "known_at", *feed.by_name]
    columns.sort(key=lambda column: order.index(column.name))
    parts = [(expression(looks[column.name], column, words), column.name) for column in columns]
    parts = [(view.customer_sql if name == "customer_id" else sql, name) for sql, name in parts]
    clock = next((look for look in view.columns if look.kind == "clock" and look.filled > 0.9), None)
    if clock is not None and "event_at" in looks and looks["event_at"].kind == "date":
        parts = [(with_clock(looks[name], clock) if name == "event_at" else sql, name) for sql, name in parts]
    constants, todos = _fill(view, match, taken)
    if feed.name == "customers" and not is_snapshot and not {"event_at", "known_at"} & taken.keys():
        constants.append((since or f"DATE '{UNDECIDED}'", "event_at"))
        if UNDECIDED in constants[-1][0]:
            todos.append(
                "event_at: no column says since when they are customers; write the first day of the first month"
            )
    if feed.name == "customers" and view.customer_why:
        todos.append(view.customer_why)
    if feed.name == "plans":
        block, asked = _data_block(taken)
        constants, todos = constants + block, todos + asked
    plan = FeedPlan(
        feed, (view.name,), select_of(view.name, [*parts, *constants]), match.confidence, _why(view, match),
        by_number=match.is_by_number, todos=todos,
    )  # fmt: skip
    for column in columns:
        look = looks[column.name]
        if unit := unit_for(look, column):
            plan.units[column.name] = unit
        plan.todos += _doubts(look, column, words)
    used = " ".join(sql for sql, _ in parts)
    plan.unused = tuple(look.name for look in view.columns if quoted(look.name) not in used)
    if "known_at" not in taken and not is_snapshot:
        _lag(plan)
    return plan


def _contract(feed: Feed, name: str) -> Column:
    if name in feed.by_name:
        return feed.by_name[name]
    return Column(name, Kind.INSTANT if name in ("event_at", "known_at") else Kind.TEXT)


def _lag(plan: FeedPlan) -> None:
    plan.known_after, plan.at = ("PT0S", "") if plan.feed.reference else _LAGS[plan.feed.grain]
    if plan.feed.name == "customers":
        plan.known_after = "PT0S"
    elif not plan.feed.reference:
        plan.todos.append("known_after is a guess: how long after the event does your system know it?")


def _why(view: View, match: Match) -> str:
    names = ", ".join(f"{header or 'the row'} = {name}" for name, header in match.columns.items() if header != name)
    same = sum(header == name for name, header in match.columns.items())
    parts = [f"{same} column{'s' * (same > 1)} by the contract's own names"] if same else []
    return f"{view.pattern}: " + "; ".join([*parts, names] if names else parts)


def _doubts(look: ColumnLook, column: Column, words: Words) -> list[str]:
    """Returns what a person should look at in one column."""
    doubts = []
    name = f"{look.name} -> {column.name}"
    if look.also_form:
        doubts.append(f"{name}: read as {look.form}; it may as well be {look.also_form}, no day above 12 occurs")
    if (
        column.unit
        and column.unit != "UTC"
        and column.kind is not Kind.MONEY
        and not look.unit
        and (column.unit not in _words_of_unit(look.name))
    ):
        doubts.append(f"{name}: no unit in the header, taken as {column.unit}; if not, say so under `units`")
    if column.kind is Kind.MONEY and not look.unit:
        doubts += _money_doubt(look, name)
    if column.allowed:
        _, unknown = translations(look, column, words)
        if unknown:
            ours = {word.casefold() for word in (*column.allowed, *words.values.get(column.name, {}))}
            is_ours = any(word.casefold() in ours for word in look.values)  # then no column of names was taken for it
            few = ", ".join(masked(word, look.name, "words" if is_ours else look.kind) for word in unknown[:6])
            few += " ..." * (len(unknown) > 6)
            doubts.append(f"{name}: rows with {few} will be refused; translate them to {', '.join(column.allowed)}")
    return doubts


def _words_of_unit(header: str) -> str:
    return "s min KB kbit/s" if header in {c.name for feed in FEEDS.values() for c in feed.columns} else ""


def _money_doubt(look: ColumnLook, name: str) -> list[str]:
    numbers = sorted(abs(float(value)) for value in look.values if value.strip())
    middle = numbers[len(numbers) // 2] if numbers else 0
    if look.kind == "integer" and middle >= 1000:
        return [f"{name}: whole numbers around {middle:,.0f}: cents or the minor unit? then say so under `units`"]
    return []


def _fill(view: View, match: Match, taken: dict[str, str]) -> tuple[list[tuple[str, str]], list[str]]:
    """Returns constants for needed columns that the view lacks, and what a person decides about them."""
    parts: list[tuple[str, str]] = []
    todos: list[str] = []
    for column in match.feed.columns:
        if not column.required or column.name in taken:
            continue
        if column.name in ("ordered_at", "effective_on") and taken.keys() & {"ordered_at", "effective_on", "event_at"}:
            other = next(name for name in ("ordered_at", "effective_on", "event_at") if name in taken)
            parts.append((quoted(taken[other]), column.name))
            todos.append(f"{column.name} is taken from {taken[other]}: are both the same day?")
        elif column.name == "survey":
            parts.append((literal(view.name), "survey"))
        elif match.feed.key[0] == column.name and not match.feed.reference:
            parts.append((f"md5(concat_ws('|', {', '.join(quoted(look.name) for look in view.columns)}))", column.name))
            todos.append(f"{column.name}: no column says it; the whole row is taken, so that equal rows are one")
        elif column.is_time:
            parts.append((f"DATE '{UNDECIDED}'", column.name))
            todos.append(f"{column.name}: no column says it; write the date, as DATE '2020-01-01'")
        else:
            parts.append((literal(UNDECIDED), column.name))
            choice = f": one of {', '.join(column.allowed)}" if column.allowed else ""
            todos.append(f"{column.name}: no column says it; write what holds for all rows{choice}")
    return parts, todos


def _data_block(taken: dict[str, str]) -> tuple[list[tuple[str, str]], list[str]]:
    """Returns the block by which a plan's data overage is priced, if the price's header names it."""
    price = taken.get("data_overage_price", "")
    size = next((str(UNITS[unit.upper()][1]) for unit in words_in(price) if unit in ("kb", "mb", "gb")), "")
    if not size or "data_block_kb" in taken:
        return [], []
    return [(size, "data_block_kb")], [f"data_block_kb: `{price}` reads like a price for each started {size} KB"]


def usage(kinds: dict[str, list[View]], found: dict[str, list[Match]]) -> tuple[list[FeedPlan], dict[str, FileNeeds]]:
    """Returns usage_daily and usage_monthly as sums of single uses, and what their views must declare."""
    needs: dict[str, FileNeeds] = {}
    parts: list[str] = []
    todos: list[str] = []
    zero = {"seconds": "0", "minutes": "0", "kb": "CAST(0 AS DECIMAL(18, 6))", "messages": "0"}
    for kind, views in sorted(kinds.items()):
        for view in views:
            match = found[view.name][0]
            time = view.by_name[match.columns["day"]]
            day = _contract(FEEDS["usage_daily"], "day")
            need = FileNeeds({time.name: time.kind} if time.kind in ("date", "instant") else {})
            amount = next((view.by_name[h] for n, h in match.columns.items() if n not in ("customer_id", "day")), None)
            if amount is not None:
                need.types[amount.name] = "number"
                need.reject = {f"negative:{amount.name}": f"{quoted(amount.name)} < 0"}
            need.required = tuple([view.customer, time.name] + ([amount.name] if amount else []))
            needs[view.name] = need
            values = dict(zero)
            todos += _sum(kind, view, amount, values)
            start = f"CAST({quoted(time.name)} AS DATE)" if time.kind == "instant" else quoted(time.name)
            columns = ", ".join(f"{sql} AS {name}" for name, sql in values.items())
            parts.append(
                f"SELECT {view.customer_sql} AS customer_id, {start} AS {day.name}, {columns} FROM {view.name}"
            )
    sums = {
        "voice_seconds": "sum(seconds)", "billed_minutes": "sum(minutes)", "data_kb": "ceil(sum(kb))",
        "sms_count": "sum(messages)",
    }  # fmt: skip
    used = {"calls": ("voice_seconds", "billed_minutes"), "internet": ("data_kb",), "messages": ("sms_count",)}
    wanted = ", ".join(f"{sums[name]} AS {name}" for kind in kinds for name in used[kind])
    inside = "\n    UNION ALL ".join(parts)
    views_read = tuple(view.name for views in kinds.values() for view in views)
    confidence = min(found[view.name][0].confidence for views in kinds.values() for view in views)
    why = f"{', '.join(views_read)}: single uses, several a day and customer, summed"
    lag = "known_after is a guess: how long after the day or month does your system know it?"
    daily = f"SELECT customer_id, day, {wanted}\nFROM (\n    {inside})\nGROUP BY ALL"
    monthly = f"SELECT customer_id, date_trunc('month', day) AS period, {wanted}\nFROM (\n    {inside})\nGROUP BY ALL"
    return [
        FeedPlan(FEEDS["usage_daily"], views_read, daily, confidence, why, "PT6H", todos=[*todos, lag]),
        FeedPlan(FEEDS["usage_monthly"], views_read, monthly, confidence, why, "P1D", "06:00", todos=[lag]),
    ], needs


def _sum(kind: str, view: View, amount: ColumnLook | None, values: dict[str, str]) -> list[str]:
    """Puts one use's amounts into `values`; returns what a person should look at."""
    if kind == "messages":
        values["messages"] = quoted(amount.name) if amount else "1"
        return []
    if amount is None:
        return [f"{view.name}: no column tells how much each use was"]
    number = quoted(amount.name)
    if kind == "internet":
        factor = {"byte": "/ 1024", "KB": "", "MB": "* 1024", "GB": "* 1048576"}.get(amount.unit, "")
        values["kb"] = f"CAST({number} AS DECIMAL(18, 6)) {factor}".strip()
        return [] if amount.unit else [f"{view.name}.{amount.name}: no unit in the header, taken as KB"]
    unit = amount.unit or ("min" if amount.kind == "number" else "s")
    per = {"s": 1, "min": 60, "h": 3600}[unit]
    values["seconds"] = f"CAST(round({number} * {per}) AS BIGINT)"
    values["minutes"] = (
        f"CAST(ceil({number} * {per} / 60) AS BIGINT)" if per != 60 else f"CAST(ceil({number}) AS BIGINT)"
    )
    doubts = [f"{view.name}: billed_minutes rounds each call up to a whole minute; does your tariff?"]
    if not amount.unit:
        doubts.append(f"{view.name}.{amount.name}: no unit in the header, taken as {unit}")
    return doubts
