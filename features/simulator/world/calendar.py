"""The simulated months and days: day numbers, month numbers, weekends, festivals. Day 0 is the first simulated day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from features.kit.arrays import Floats, Integers
from features.kit.clock import add_months

MOST_DAYS = 4096
"""More days than any simulation has: `row * MOST_DAYS + day` is one number for both."""
SPRING_FESTIVALS = (date(2023, 1, 22), date(2024, 2, 10), date(2025, 1, 29), date(2026, 2, 17), date(2027, 2, 6))


@dataclass(frozen=True)
class Calendar:
    """The simulated span `[first, end)`; `end` is the first of a month and is the data end."""

    end: date
    months: int

    @property
    def first(self) -> date:
        """Returns day 0."""
        return add_months(self.end, -self.months)

    @property
    def days(self) -> int:
        """Returns the number of days."""
        return (self.end - self.first).days

    @property
    def month_starts(self) -> Integers:
        """Returns the day number of each month's first day, and of the end (months + 1 elements)."""
        return np.array([(add_months(self.first, m) - self.first).days for m in range(self.months + 1)])

    @property
    def month_of(self) -> Integers:
        """Returns the month number of each day."""
        return np.asarray(np.searchsorted(self.month_starts, np.arange(self.days), side="right") - 1)

    def civil(self, day: int) -> date:
        """Returns the civil date of a day number."""
        return self.first + timedelta(days=int(day))

    def day(self, when: date) -> int:
        """Returns the day number of a civil date."""
        return (when - self.first).days

    def dates(self, days: Integers) -> np.ndarray:
        """Returns civil dates (datetime64[D]) of day numbers."""
        return np.asarray(np.datetime64(self.first, "D") + np.asarray(days).astype("timedelta64[D]"))

    def times(self, days: Integers, seconds: Integers) -> np.ndarray:
        """Returns local times (datetime64[s]) of day numbers and seconds of the day."""
        return np.asarray(self.dates(days).astype("datetime64[s]") + np.asarray(seconds).astype("timedelta64[s]"))

    @property
    def weekday(self) -> Integers:
        """Returns 0 for Monday ... 6 for Sunday, per day."""
        return (np.arange(self.days) + self.first.weekday()) % 7

    @property
    def festival(self) -> Floats:
        """Returns 1 within ten days around Spring Festival, else 0, per day."""
        day = np.arange(self.days)
        near = [np.abs(day - self.day(spring) - 2) <= 5 for spring in SPRING_FESTIVALS]
        return np.asarray(np.any(near, axis=0), dtype=np.float64)
