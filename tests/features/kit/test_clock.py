"""The time arithmetic, with real dates."""

from datetime import UTC, date, datetime

import pytest

from features.kit import clock


def test_an_event_at_0759_on_the_as_of_date_is_after_it() -> None:
    """07:59 in Shanghai on D is after D although UTC still shows the day before."""
    event = datetime(2026, 5, 31, 23, 59, tzinfo=UTC)
    assert clock.instant_of(date(2026, 6, 1)) == datetime(2026, 5, 31, 16, 0, tzinfo=UTC)
    assert event >= clock.instant_of(date(2026, 6, 1))
    assert clock.civil_date(event) == date(2026, 6, 1)


@pytest.mark.parametrize(
    ("as_of", "lead", "horizon", "start", "end"),
    [
        (date(2026, 3, 10), 3, 30, date(2026, 3, 13), date(2026, 4, 12)),
        (date(2024, 2, 1), 0, 30, date(2024, 2, 1), date(2024, 3, 2)),
    ],
)
def test_label_windows_are_half_open(as_of: date, lead: int, horizon: int, start: date, end: date) -> None:
    """A label window starts `lead` days after the as-of date and holds `horizon` days."""
    window = clock.label_window(as_of, lead, horizon)
    assert (window.start, window.end, window.days) == (start, end, horizon)


def test_look_back_ends_before_the_as_of_date() -> None:
    """Seven days before 8 June are 1 to 7 June."""
    assert clock.look_back(date(2026, 6, 8), 7) == clock.DateWindow(date(2026, 6, 1), date(2026, 6, 8))


def test_the_last_labelled_date_leaves_room_for_the_label_and_its_delay() -> None:
    """With 30 days of horizon and 30 of delay, 2 March labels what stands on 1 January."""
    assert clock.last_labelled(date(2026, 3, 2), 0, 30, 30) == date(2026, 1, 1)


def test_a_grid_walks_through_the_days_of_the_month() -> None:
    """A step of 17 days never stays on one day of the month."""
    grid = clock.as_of_grid(date(2025, 12, 1), date(2026, 6, 1), 17)
    assert grid[0] >= date(2025, 12, 1)
    assert grid[-1] == date(2026, 6, 1)
    assert len({day.day for day in grid}) >= 4
    assert clock.as_of_grid(date(2026, 6, 2), date(2026, 6, 1), 17) == []


def test_months_that_overlap_a_window() -> None:
    """A window over New Year touches both months, and a window that ends on the 1st does not touch that month."""
    assert list(clock.months_between(date(2025, 12, 30), date(2026, 2, 1))) == [date(2025, 12, 1), date(2026, 1, 1)]
    assert clock.add_months(date(2026, 1, 31), 1) == date(2026, 2, 1)


def test_daylight_changes_do_not_move_civil_midnight() -> None:
    """The day after a change still begins at local midnight, an hour off in UTC."""
    assert clock.instant_of(date(2026, 3, 28), "Europe/Berlin").hour == 23
    assert clock.instant_of(date(2026, 3, 30), "Europe/Berlin").hour == 22
