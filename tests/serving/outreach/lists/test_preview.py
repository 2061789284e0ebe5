"""The dry run of a list chooses what the real one draws, with the places and the order that carried lines leave."""

from __future__ import annotations

from datetime import date

import pytest
from sqlalchemy import select

from serving.database.session import open_database, reading
from serving.database.tables_outreach import OutreachLineRow
from serving.outreach.decision.candidates import find_scores
from serving.outreach.feedback.landing import import_outcomes
from serving.outreach.feedback.returns import Report
from serving.outreach.lists import preview
from serving.outreach.lists.draw import draw_list
from serving.outreach.lists.request import ListRequest
from tests.serving.outreach.conftest import at
from tests.world import AS_OF

JUNE_2, JUNE_4 = date(2026, 6, 2), date(2026, 6, 4)


@pytest.mark.parametrize(("worked", "day"), [(0, JUNE_2), (6, JUNE_2), (19, JUNE_4)])
def test_a_preview_chooses_the_new_lines_that_the_list_draws(crowd, worked, day):
    """With 19, 13 and no lines carried; whoever was solved, or holds a place, is chosen by neither."""
    drawn = draw_list(crowd, ListRequest(AS_OF, 30))
    with reading(open_database(crowd)) as session:
        ids = list(session.scalars(select(OutreachLineRow.line_id)))
    when = at("2026-06-01T05:00:00")
    import_outcomes(crowd, [Report(k, one, "solved", attempted_at=when) for k, one in enumerate(ids[:worked], 1)])
    choose = preview._dry_choice(crowd, day, 30, 1)
    expected = [option.candidate.customer_id for option in choose(find_scores(crowd, day)[0])]
    second = draw_list(crowd, ListRequest(day, 30))
    with reading(open_database(crowd)) as session:
        new = session.scalars(select(OutreachLineRow.customer_id).where(OutreachLineRow.drawn_on == day))
        assert sorted(new) == sorted(expected)
    assert (drawn.lines, len(expected)) == (19, second.summary["new"])
