"""The columns of a list: headers in both languages, widths, and how each cell is written from a line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from features.kit.language import Locale, Text
from features.portraits.facts.classes import CLASS_NAMES
from serving.database.tables_outreach import CLOSED, AttemptRow, ListLineRow, OutreachLineRow
from serving.outreach.decision.candidates import NO_BAND
from serving.outreach.dispositions import DISPOSITIONS, disposition_text
from serving.outreach.export.content import Content
from serving.outreach.export.personal import Personal
from serving.outreach.export.wording import NAMES, Wording, address_text, band_text, masked, name_of, phrase
from serving.outreach.settings import OutreachSettings


@dataclass(frozen=True)
class Entry:
    """One line of one list with everything its row is written from."""

    place: ListLineRow
    line: OutreachLineRow
    content: Content
    personal: Personal
    last: AttemptRow | None


@dataclass(frozen=True)
class Page:
    """What the cells need besides the entry."""

    settings: OutreachSettings
    wording: Wording
    locale: Locale
    time_zone: str

    def phrase(self, name: str, **slots: Any) -> str:
        """Returns a phrase of `phrases.yaml` in the page's language."""
        return phrase(name, self.locale, **slots)


@dataclass(frozen=True)
class ListColumn:
    """One column: `name` is its stable key on re-import; `fill` is None for what the agent fills in.

    Such a column shows what was `reported` once the line is closed, and is empty before.
    """

    name: str
    header: Text
    width: float
    fill: Callable[[Entry, Page], Any] | None
    reported: Callable[[AttemptRow, Page], Any] | None = None

    def cell(self, entry: Entry, page: Page) -> str | int | float:
        """Returns the cell of a line."""
        if self.fill is not None:
            return as_cell(self.fill(entry, page))
        if self.reported is None or entry.last is None or entry.line.status != CLOSED:
            return ""
        return as_cell(self.reported(entry.last, page))


def _text(page: Page, words: Any) -> str:
    return "" if words is None else str(words[page.locale])


def _address(entry: Entry, page: Page) -> str:
    return address_text(entry.personal.form_of_address, page.locale)


def _plan(entry: Entry, page: Page) -> str:
    card = entry.content["card"]
    return str(card.get(f"plan_{page.locale}") or card.get("plan_id") or "")


def _band(entry: Entry, page: Page) -> str:
    score = entry.content["score"]
    is_duty = entry.content["tier"] == 0
    if score is None or (is_duty and score["band"] == NO_BAND):  # a duty is owed, whatever the score
        return ""
    own = page.settings.targets
    return band_text(score["target"], score["band"], score["percentile"], score["times_base"], page.locale, own)


def _reason(place: int) -> Callable[[Entry, Page], str]:
    def fill(entry: Entry, page: Page) -> str:
        reasons = entry.content["reasons"]
        return _text(page, reasons[place]["about"]) if place < len(reasons) else ""

    return fill


def _say(entry: Entry, page: Page) -> str:
    sentences = [(k, reason["say"]) for k, reason in enumerate(entry.content["reasons"]) if reason["say"] is not None]
    return "\n".join(f"{k + 1}. {_text(page, say)}" for k, say in sentences)


def _action(entry: Entry, page: Page) -> str:
    return page.settings.actions[entry.line.action].get(page.locale)


def _channel(entry: Entry, page: Page) -> str:
    return page.settings.channels[entry.line.channel].get(page.locale)  # type: ignore[index]


def _grant(entry: Entry, page: Page) -> str:
    return _text(page, entry.content["may_grant"])


def _value(entry: Entry, page: Page) -> str:
    """Returns what the contact is worth; a duty is owed even where it earns nothing."""
    value = entry.content["value"]
    if entry.content["tier"] == 0 and value <= 0:
        return page.phrase("owed")
    return page.wording.writer.money(value, page.locale)


def _matters(entry: Entry, page: Page) -> str:
    card, parts = entry.content["card"], []
    for ticket in card.get("open_tickets") or ():
        kind = name_of(NAMES["ticket_kinds"], ticket["kind"], page.locale)
        topic = page.wording.writer.topic(ticket.get("topic") or "other", page.locale)
        late = ticket.get("overdue_hours") or 0
        overdue = page.phrase("overdue", hours=late) if late > 0 else ""
        parts.append(page.phrase("ticket", kind=kind, id=ticket["id"], topic=topic, overdue=overdue))
    if card.get("arrears"):
        parts.append(page.phrase("unpaid", money=page.wording.writer.money(card["arrears"], page.locale)))
    return "\n".join(parts)


def _hours(entry: Entry, page: Page) -> str:
    if entry.line.channel == "hall":  # the customer comes to us
        return ""
    spans = [f"{start}-{end}" for start, end in entry.content["hours"]]
    return page.phrase("and").join(spans)


def _vip_tier(entry: Entry, page: Page) -> str:
    return name_of(NAMES["vip_tiers"], entry.content["card"].get("vip_tier"), page.locale)


def _best_channel(entry: Entry, page: Page) -> str:
    best = entry.content["card"].get("best_channel")
    return name_of(NAMES["other_channels"] | dict(page.settings.channels), best, page.locale)


def _last_contact(entry: Entry, page: Page) -> str:
    if entry.last is not None:
        day = _local(entry.last.at, page.time_zone).date()
        return f"{day} {disposition_text(entry.last.disposition, page.locale)}"
    last = entry.content["card"].get("last_contact")
    if not last:
        return ""
    action = page.settings.actions.get(last.get("action") or "")
    named = action.get(page.locale) if action else str(last.get("action") or "")
    outcome = disposition_text(str(last.get("outcome") or ""), page.locale)
    return " ".join(part for part in (str(last.get("on") or "")[:10], named, outcome) if part)


def _attempts(entry: Entry, page: Page) -> str:
    done = f"{entry.line.attempts}/{page.settings.claim.attempts}"
    if entry.last is None:
        return done
    return page.phrase("last_tried", done=done, at=_local(entry.last.at, page.time_zone))


def _state(entry: Entry, page: Page) -> str:
    if entry.line.status in NAMES["over"]:
        return name_of(NAMES["over"], entry.line.status, page.locale)
    if entry.line.next_at is not None:
        met = "comes_in" if entry.line.channel == "hall" else "call_back"
        return page.phrase(met, at=_local(entry.line.next_at, page.time_zone))
    return page.phrase("carried" if entry.place.is_carried else "new")


def _reported_at(at: datetime | None, page: Page) -> str:
    return "" if at is None else f"{_local(at, page.time_zone):%Y-%m-%d %H:%M}"


def _disposition(last: AttemptRow, page: Page) -> str:
    return DISPOSITIONS[last.disposition].choice(page.locale)


def _assumed(entry: Entry, page: Page) -> str:
    return page.phrase("assumed") if entry.content["assumed"] else ""


def _local(at: datetime, zone: str) -> datetime:
    return at.astimezone(ZoneInfo(zone))


def _column(name: str, zh: str, en: str, width: float, fill: Callable[[Entry, Page], Any]) -> ListColumn:
    return ListColumn(name, Text(zh=zh, en=en), width, fill)


def _input(name: str, zh: str, en: str, width: float, reported: Callable[[AttemptRow, Page], Any]) -> ListColumn:
    return ListColumn(name, Text(zh=zh, en=en), width, None, reported)


COLUMNS: tuple[ListColumn, ...] = (
    _column("line_id", "行号", "line_id", 12, lambda e, _: e.line.line_id),
    _column("state", "状态", "state", 10, _state),
    _column("form_of_address", "称呼", "form of address", 7.5, _address),
    _column("number", "号码", "number", 12.5, lambda e, _: masked(e.personal.number)),
    _column("team", "班组", "team", 12, lambda e, p: p.settings.teams[e.line.team].get(p.locale)),
    _column("action", "建议动作", "suggested action", 10.5, _action),
    _column("channel", "渠道", "channel", 9, _channel),
    _column("position", "顺序", "rank", 5.5, lambda e, _: e.place.position),
    _column("value", "价值", "value", 8, _value),
    _column("reason_1", "原因1", "reason 1", 28, _reason(0)),
    _column("reason_2", "原因2", "reason 2", 28, _reason(1)),
    _column("reason_3", "原因3", "reason 3", 28, _reason(2)),
    _column("opening", "开场白", "opening", 42, lambda e, p: _text(p, e.content["opening"])),
    _column("say", "可对客户说", "may be said", 40, _say),
    _column("may_grant", "可给予", "may be granted", 17, _grant),
    _column("must_not_say", "不得说", "must not be said", 16, lambda e, p: _text(p, e.content["must_not_say"])),
    _column("matters", "未结工单与欠费", "open tickets and arrears", 28, _matters),
    _column("band", "等级与排名", "band and rank", 26, _band),
    _column("class", "客户类型", "class", 14, lambda e, p: name_of(CLASS_NAMES, e.content["class"], p.locale)),
    _column("city", "城市", "city", 11, lambda e, _: e.content["card"].get("city") or ""),
    _column("plan", "套餐", "plan", 18, _plan),
    _column("months", "在网月数", "months with us", 9, lambda e, _: e.content["card"].get("months_with_us")),
    _column("vip", "会员等级", "VIP tier", 9, _vip_tier),
    _column("best_channel", "客户常用渠道", "customer's own channel", 12, _best_channel),
    _column("hours", "适宜时段", "best hours", 16, _hours),
    _column("last_contact", "上次联系", "last contact", 22, _last_contact),
    _column("attempts", "已尝试", "attempts so far", 13, _attempts),
    _column("valid_until", "有效期至", "valid until", 11, lambda e, _: e.line.valid_until.isoformat()),
    _column("effect", "效果依据", "effect is", 9, _assumed),
    _input("disposition", "联系结果*", "disposition*", 12, _disposition),
    _input("attempted_at", "联系时间", "attempted at", 10, lambda a, p: _reported_at(a.at, p)),
    _input("order_reference", "订单号", "order reference", 9.5, lambda a, _: a.order_reference),
    _input("ticket_id", "工单号", "ticket number", 9.5, lambda a, _: a.ticket_id),
    _input("next_at", "回拨时间", "call back at", 10, lambda a, p: _reported_at(a.next_at, p)),
    _input("agent", "坐席", "agent", 7.5, lambda a, _: a.agent),
)
"""Every column of the CSV and of the API: who, what and why, what to say, then the person, then what is reported."""


def as_cell(value: Any) -> str | int | float:
    """Returns a value as a cell holds it."""
    if value is None:
        return ""
    if isinstance(value, date):
        return value.isoformat()
    return value if isinstance(value, (int, float)) else str(value)
