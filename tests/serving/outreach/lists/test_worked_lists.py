"""A list that is asked for again shows what was reported; what it shows may come back without harm."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime

from features.kit.language import Locale
from serving.outreach.feedback.landing import import_outcomes
from serving.outreach.feedback.returns import Report, read_reports
from serving.outreach.lists.draw import draw_list
from serving.outreach.lists.release import Released
from serving.outreach.lists.request import ListRequest
from serving.outreach.step import list_summary
from tests.serving.outreach.conftest import at
from tests.world import AS_OF

NAMES = ("状态", "联系结果*", "联系时间", "坐席")


def pull(home, locale: Locale = "zh") -> tuple[Released, list[dict[str, str]]]:
    """Returns the list of the day and its rows."""
    released = draw_list(home, ListRequest(AS_OF, 30, locale))
    return released, list(csv.DictReader(io.StringIO(released.csv.read_text(encoding="utf-8-sig"))))


def test_a_solved_line_shows_its_end_time_and_agent_in_every_form_of_the_list(crowd):
    """The same command again: CSV, workbook, JSON and the other language say what came of it; open lines are empty."""
    _, rows = pull(crowd)
    assert {tuple(row[name] for name in NAMES) for row in rows} == {("新增", "", "", "")}
    solved, missed = rows[0]["行号"], rows[1]["行号"]
    reports = [
        Report(1, solved, "solved", attempted_at=at("2026-06-01T06:30:41"), agent="7"),
        Report(2, missed, "no_answer", attempted_at=at("2026-06-01T06:40:00"), agent="7"),
    ]
    assert import_outcomes(crowd, reports).imported == 2
    again, rows = pull(crowd)
    assert tuple(rows[0][name] for name in NAMES) == ("已结案", "solved 已解决", "2026-06-01 14:30", "7")
    assert tuple(rows[1][name] for name in NAMES) == ("新增", "", "", "")
    assert (rows[1]["已尝试"], rows[0]["行号"]) == ("1/3，上次14:40", solved)
    assert [line.rsplit(" · ", 1)[1] for line in list_summary(crowd, again)["first_lines"]][:1] == ["solved 已解决"]
    _, english = pull(crowd, "en")
    shown = ("closed", "solved", "2026-06-01 14:30", "7")
    assert tuple(english[0][name] for name in ("state", "disposition*", "attempted at", "agent")) == shown
    (sheet,) = read_reports(again.xlsx, "Asia/Shanghai").reports
    assert (sheet.line_id, sheet.disposition, sheet.agent) == (solved, "solved", "7")
    assert sheet.attempted_at == datetime(2026, 6, 1, 6, 30, tzinfo=UTC)


def test_what_a_list_shows_comes_back_as_known_and_another_end_is_refused(crowd):
    """Agents go on in the same sheet: its closed lines are repeated, not errors; a second end of a line is one."""
    _, rows = pull(crowd)
    line = rows[0]["行号"]
    import_outcomes(crowd, [Report(1, line, "solved", agent="7")])  # without a time: it was now
    again, _ = pull(crowd)
    returned = read_reports(again.xlsx, "Asia/Shanghai").reports
    result = import_outcomes(crowd, returned)
    assert (len(returned), result.repeated, result.imported, result.errors) == (1, 1, 0, [])
    other = Report(1, line, "accepted", attempted_at=returned[0].attempted_at, order_reference="1")
    later = Report(2, line, "solved", attempted_at=at("2026-06-02T06:30:00"))
    assert [error.column for error in import_outcomes(crowd, [other, later]).errors] == ["line_id", "line_id"]
