"""Dispositions over HTTP: they bind at once, exactly like an imported file."""

from __future__ import annotations

from typing import Any

from serving.api.auth import may_see
from serving.api.context import Context
from serving.api.outcomes.schemas import OutcomeIn, OutcomesRequest
from serving.database.keys import ApiKey
from serving.database.session import reading
from serving.database.tables_outreach import OutreachLineRow
from serving.outreach.lists.outcomes import record_reports
from serving.outreach.lists.returns import Report
from serving.outreach.settings import load_settings

UNKNOWN_LINE = {"code": "not_found", "detail": "no line with this id"}


def record(context: Context, key: ApiKey, request: OutcomesRequest) -> dict[str, Any]:
    """Records each report by itself; a report told again changes nothing (see `OutcomesAnswer`).

    Raises:
        NotReadyError: Before the first landing.
    """
    settings, zone = load_settings(), context.feeds().operator.time_zone
    items: list[dict[str, Any]] = []
    withdrawn = 0
    for place, one in enumerate(request.outcomes, start=1):
        if not _may_report(context, key, one.line_id):
            items.append({"line_id": one.line_id, "status": "unknown_line", "error": UNKNOWN_LINE})
            continue
        result = record_reports(context.engine, [_report(place, one)], settings, zone)
        withdrawn += result.withdrawn
        error = None
        if result.errors:
            error = {"code": "data_error", "detail": f"{result.errors[0].column}: {result.errors[0].message}"}
        items.append({"line_id": one.line_id, "status": "refused" if error else "recorded", "error": error})
    recorded = sum(item["status"] == "recorded" for item in items)
    return {"recorded": recorded, "withdrawn": withdrawn, "items": items}


def _may_report(context: Context, key: ApiKey, line_id: str) -> bool:
    with reading(context.engine) as session:
        line = session.get(OutreachLineRow, line_id)
    return line is not None and may_see(key, {"province": line.province, "city": line.city})


def _report(place: int, one: OutcomeIn) -> Report:
    return Report(
        row=place,
        line_id=one.line_id,
        disposition=one.disposition.value,
        attempted_at=one.attempted_at and one.attempted_at.replace(microsecond=0),
        order_reference=one.order_reference,
        ticket_id=one.ticket_id,
        next_at=one.next_at and one.next_at.replace(microsecond=0),
        agent=one.agent,
    )
