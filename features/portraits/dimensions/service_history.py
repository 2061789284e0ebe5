"""Service history: complaints, tickets, ratings, and what the operator's own contacts led to."""

from __future__ import annotations

from features.portraits.dimensions.spec import Definition, Dimension, each
from features.portraits.dimensions.windows import count, recency

_is = Dimension("service_history")
_TICKETS = "tickets"
_SURVEYS = "surveys"

DEFINITIONS: tuple[Definition, ...] = (
    *each((30, 90, 180), lambda days: _is.count(
        f"complaints_count_{days}d", _TICKETS, f"Complaints opened in {days} days.",
        lambda t: count(t, days, t.kind == "complaint"),
    )),
    _is.number(
        "complaint_recency_days", _TICKETS, "Days since the newest complaint was opened.",
        lambda t: recency(t, t.kind == "complaint"),
    ),
    _is.count(
        "open_complaints_count", _TICKETS, "Complaints not closed.",
        lambda t: t.count(where=t.is_open & (t.kind == "complaint")),
    ),
    _is.count(
        "overdue_tickets_count", _TICKETS, "Open tickets past their limit.", lambda t: t.count(where=t.is_overdue)
    ),
    _is.count(
        "reopened_tickets_count_180d", _TICKETS, "Tickets opened in 180 days that were opened again.",
        lambda t: count(t, 180, t.was_reopened),
    ),
    _is.count(
        "unsatisfied_tickets_count_90d", _TICKETS,
        "Tickets opened in 90 days and closed with a satisfaction of at most `unsatisfied_score`.",
        lambda t: count(t, 90, t.is_unsatisfied),
    ),
    _is.number(
        "survey_last_score", _SURVEYS, "Newest answer, 0 to 10.", lambda t: t.score.min(where=t.is_newest)
    ),
    _is.number("survey_recency_days", _SURVEYS, "Days since the newest answer.", recency),
    _is.count(
        "outreach_count_90d", "contacts", "Contacts made by the operator in 90 days, the control group's left out.",
        lambda t: count(t, 90, t.arm.fill_null("") != "control"),
    ),
    _is.number(
        "outreach_recency_days", "contacts", "Days since the operator's newest contact.",
        lambda t: recency(t, t.arm.fill_null("") != "control"),
    ),
)  # fmt: skip
