"""users-2 in its short form: a week of a care team, line by line, with all that goes wrong in it."""

from __future__ import annotations

from tests.bench.users_2 import FAULTS, REFUSED, Week


def test_five_days_without_new_files_go_line_by_line_as_expected(tmp_path):
    """75 lines where they belong; nobody twice, no opt-out lost, whatever is killed, spoiled, poisoned or gone."""
    week = Week(tmp_path, customers=120, capacity=24)
    week.play()
    assert [one["wrong"] for one in week.days] == [0] * 5
    assert (week.lines, week.twice, week.opted_out_again, week.opt_outs_lost) == (75, 0, 0, 0)
    assert (week.faults, week.refused) == (FAULTS, REFUSED)
    assert week.is_right()
