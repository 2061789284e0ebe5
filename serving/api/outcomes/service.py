"""Dispositions over HTTP: they bind at once, exactly like an imported file."""

from __future__ import annotations

from serving.api.answers import FAILED, ErrorOut
from serving.api.auth import may_see
from serving.api.context import Context
from serving.api.outcomes.schemas import OutcomeIn, OutcomeOut, OutcomesAnswer, OutcomesRequest
from serving.database.keys import ApiKey
from serving.database.session import reading
from serving.database.tables_outreach import OutreachLineRow
from serving.outreach.feedback.outcomes import record_reports
from serving.outreach.feedback.returns import Report, RowError
from serving.outreach.settings import load_settings

UNKNOWN_LINE = ErrorOut(code="not_found", detail="no line with this id")


def record(context: Context, key: ApiKey, request: OutcomesRequest) -> OutcomesAnswer:
    """Records each report by itself; sending one again changes nothing.

    Raises:
        NotReadyError: Before the first landing.
    """
    settings, zone = load_settings(), context.feeds().operator.time_zone
    outcomes = list(enumerate(request.outcomes, start=1))
    known = [(place, outcome) for place, outcome in outcomes if _may_report(context, key, outcome.line_id)]
    result = record_reports(context.engine, [_report(place, outcome) for place, outcome in known], settings, zone)
    answers = {place: ("recorded", None) for place, _ in known} | {error.row: _answer(error) for error in result.errors}
    items = []
    for place, outcome in outcomes:
        status, error = answers.get(place, ("unknown_line", UNKNOWN_LINE))
        items.append(OutcomeOut(line_id=outcome.line_id, status=status, error=error))
    return OutcomesAnswer(recorded=len(known) - len(result.errors), withdrawn=result.withdrawn, items=items)


def _answer(error: RowError) -> tuple[str, ErrorOut]:
    if error.is_transient:
        return FAILED, ErrorOut(code="not_ready", detail=error.message)
    return "refused", ErrorOut(code="data_error", detail=f"{error.column}: {error.message}")


def _may_report(context: Context, key: ApiKey, line_id: str) -> bool:
    with reading(context.engine) as session:
        line = session.get(OutreachLineRow, line_id)
    return line is not None and may_see(key, {"province": line.province, "city": line.city})


def _report(place: int, outcome: OutcomeIn) -> Report:
    """Returns the report with its moments cut to whole seconds, as a file would hold them."""
    moments = {name: getattr(outcome, name) for name in ("attempted_at", "next_at")}
    whole = {name: moment and moment.replace(microsecond=0) for name, moment in moments.items()}
    return Report(row=place, **outcome.model_dump() | whole | {"disposition": outcome.disposition.value})
