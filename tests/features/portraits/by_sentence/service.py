"""The sentences of the catalogue about calls, channels, tickets, answers and the operator's own contacts."""

from __future__ import annotations

from functools import partial
from typing import Any

from tests.features.portraits.by_sentence.history import Customer, Row, share

SELF_SERVICE = ("app", "web", "ivr", "message")
CHANNELS = ("app", "web", "hall", "ivr", "message", "call")


def manual(row: Row) -> bool:
    """Tells whether an agent took the call: as delivered, else by the talk."""
    return bool((row["talk_seconds"] or 0) > 0 if row["agent"] is None else row["agent"])


def about(*topics: str) -> Any:
    """Returns the test for calls on some topics."""
    return lambda row: row["topic"] in topics


def _is_by(channel: str, row: Row) -> bool:
    return row["channel"] == channel


def calls(one: Customer) -> dict[str, Any]:
    """Calls to the hotline."""
    feed = "hotline_calls"
    by_agent = one.rows(feed, where=manual)
    late = [row for row in by_agent if row["ago"] <= 60]
    with_topic = [row for row in by_agent if row["topic"] is not None]

    def by_topic(days: int, topics: tuple[str, ...]) -> int:
        return one.count(feed, days, lambda row: manual(row) and row["topic"] in topics)

    week = [
        sum(o["topic"] == row["topic"] and o["ago"] <= 7 for o in with_topic) for row in with_topic if row["ago"] <= 7
    ]
    weeks = [
        sum(o["topic"] == row["topic"] and 0 <= o["ago"] - row["ago"] < 7 for o in with_topic)
        for row in with_topic
        if row["ago"] <= 60
    ]
    return {
        **{f"manual_calls_count_{days}d": one.count(feed, days, manual) for days in (7, 30, 90, 180)},
        "manual_call_recency_days": one.newest(feed, manual),
        "manual_calls_trend_90d": share(one.count(feed, 30, manual) * 90, one.count(feed, 90, manual) * 30),
        "repeat_topic_calls_count_7d": max(week, default=0),
        "repeat_topic_calls_count_60d": max(weeks, default=0),
        "busiest_month_calls_count_60d": max(
            (sum(0 <= o["ago"] - row["ago"] < 30 for o in by_agent) for row in late), default=0
        ),
        "unresolved_calls_count_90d": one.count(feed, 90, lambda row: manual(row) and row["resolved"] is False),
        "wait_minutes_90d": share(one.total(feed, "wait_seconds", 90), 60),
        "network_calls_count_30d": by_topic(30, ("network",)),
        "charge_calls_count_30d": by_topic(30, ("billing", "unknown_charge")),
        "plan_calls_count_30d": by_topic(30, ("data_plan", "contract")),
        "leave_enquiry_calls_count_30d": one.count(feed, 30, about("porting", "cancelling")),
        "roaming_enquiries_count_30d": one.count(feed, 30, about("roaming")),
    }


def channels(one: Customer) -> dict[str, Any]:
    """Touches in app, web, hall, voice menu and message."""
    feed = "channel_contacts"

    def by_self(row: Row) -> bool:
        return row["channel"] in SELF_SERVICE

    def in_hall(row: Row) -> bool:
        return row["channel"] == "hall"

    return {
        "app_contacts_count_30d": one.count(feed, 30, lambda row: row["channel"] == "app"),
        "hall_visits_count_90d": one.count(feed, 90, in_hall),
        "self_service_contacts_count_90d": one.count(feed, 90, by_self),
        "failed_self_service_count_30d": one.count(feed, 30, lambda row: by_self(row) and row["succeeded"] is False),
        "channel_recency_days": one.newest(feed),
    }


def contacts_of_all_kinds(one: Customer) -> dict[str, Any]:
    """Manual calls beside touches."""
    by_channel = {name: one.count("channel_contacts", 180, partial(_is_by, name)) for name in CHANNELS}
    by_channel["call"] = one.count("hotline_calls", 180, manual)
    assisted = by_channel["call"] + by_channel["hall"]
    by_self = one.count("channel_contacts", 90, lambda row: row["channel"] in SELF_SERVICE)
    of_90 = one.count("channel_contacts", 90) + one.count("hotline_calls", 90, manual)
    most = max(by_channel.values())
    return {
        "assisted_contacts_count_180d": assisted,
        "assisted_share_180d": share(assisted, sum(by_channel.values())),
        "self_service_share_90d": share(by_self, of_90),
        "preferred_channel": next(name for name in CHANNELS if by_channel[name] == most) if most else None,
    }


def tickets(one: Customer) -> dict[str, Any]:
    """Tickets, each in its newest state."""
    everybody, states = one.everybody, one.rows("tickets")
    newest = list({row["ticket_id"]: row for row in states}.values())
    reopened = {row["ticket_id"] for row in states if row["status"] == "reopened"}
    first: dict[str, Any] = {}
    for row in states:
        first.setdefault(row["ticket_id"], row["event_at"])
    for row in newest:
        row["opened"] = everybody.ago(row["opened_at"] or first[row["ticket_id"]])
    complaints = [row for row in newest if row["kind"] == "complaint"]
    running = [row for row in newest if row["status"] != "closed"]

    def opened(some: list[Row], days: int) -> list[Row]:
        return [row for row in some if row["opened"] <= days]

    return {
        **{f"complaints_count_{days}d": len(opened(complaints, days)) for days in (30, 90, 180)},
        "complaint_recency_days": min((row["opened"] for row in complaints), default=None),
        "open_complaints_count": sum(row["status"] != "closed" for row in complaints),
        "overdue_tickets_count": sum(
            row["due_at"] is not None and row["due_at"] < everybody.instant for row in running
        ),
        "reopened_tickets_count_180d": sum(row["ticket_id"] in reopened for row in opened(newest, 180)),
        "unsatisfied_tickets_count_90d": sum(
            row["status"] == "closed" and (row["satisfaction"] or 99) <= one.limits.unsatisfied_score
            for row in opened(newest, 90)
        ),
    }


def surveys(one: Customer) -> dict[str, Any]:
    """Answers."""
    return {
        "survey_last_score": one.state("surveys").get("score"),
        "survey_recency_days": one.newest("surveys"),
    }


def outreach(one: Customer) -> dict[str, Any]:
    """Contacts made by the operator."""

    def made(row: Row) -> bool:
        return row["arm"] != "control"

    return {
        "outreach_count_90d": one.count("contacts", 90, made),
        "outreach_recency_days": one.newest("contacts", made),
    }
