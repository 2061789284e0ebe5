"""When a contact may take place: festival days of the country and quiet hours of the province."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, time, timedelta
from functools import lru_cache

from serving.outreach.settings import Holidays, QuietHours

_DAY = timedelta(days=1)
_MIDNIGHT = time(0)


def festival_days(settings: Holidays, year: int) -> dict[date, str]:
    """Returns every day of `year` that belongs to a festival, with the festival's name.

    Statutory days come from the `holidays` package; a weekend that touches one belongs to the festival unless it is
    a make-up workday, and each configured window widens its own. Example: in 2026 the Spring Festival of China is
    16-20 and 23 February; Sunday 15, Saturday 21 and Sunday 22 count too, Saturday 14 is a make-up workday.
    """
    return _festival_days(settings.model_dump_json(), year)


@lru_cache(maxsize=64)
def _festival_days(written: str, year: int) -> dict[date, str]:
    import holidays

    settings = Holidays.model_validate_json(written)
    language = "zh_CN" if settings.country == "CN" else None  # the windows name Chinese festivals
    try:
        known = holidays.country_holidays(settings.country, years=[year - 1, year, year + 1], language=language)
    except NotImplementedError:  # no such country there; `insight check` says it
        known = holidays.HolidayBase()
    days: dict[date, str] = {day: str(name) for day, name in known.items()}
    for window in settings.windows:
        named = {day for day, name in days.items() if window.name in name}
        for day in named:
            span = range(-window.days_before, window.days_after + 1)
            days |= {day + k * _DAY: window.name for k in span if day + k * _DAY not in days}
    at_work: set[date] = set(getattr(known, "weekend_workdays", ()))
    for day in list(days):
        for step in (_DAY, -_DAY):
            free = day + step
            while free.weekday() >= 5 and free not in days and free not in at_work:
                days[free] = days[day]
                free += step
    days |= dict.fromkeys(settings.also, "local")
    return {day: name for day, name in sorted(days.items()) if day.year == year}


def is_festival(settings: Holidays, day: date) -> bool:
    """Returns whether a day belongs to a festival."""
    return day in festival_days(settings, day.year)


def next_working_day(settings: Holidays, day: date) -> date:
    """Returns the first day from `day` on that is no festival."""
    while is_festival(settings, day):
        day += _DAY
    return day


def is_quiet(settings: QuietHours, province: str | None, at: time) -> bool:
    """Returns whether a local time lies in the province's quiet hours `[start, end)`, which may pass midnight."""
    for start, end in _quiet_of(settings, province):
        inside = start <= at < end if start < end else at >= start or at < end
        if inside:
            return True
    return False


def open_hours(settings: QuietHours, province: str | None) -> list[tuple[time, time]]:
    """Returns the hours in which a contact is allowed. Example: 21-9 and 12-14 quiet leave 9-12 and 14-21."""
    edges = sorted({_MIDNIGHT, *(edge for pair in _quiet_of(settings, province) for edge in pair)})
    spans = zip(edges, [*edges[1:], _MIDNIGHT], strict=True)
    return [(start, end) for start, end in spans if not is_quiet(settings, province, start)]


def best_open_hours(settings: QuietHours, province: str | None, best: Iterable[int]) -> list[tuple[time, time]]:
    """Returns the customer's best hours cut down to the allowed ones, or all allowed ones if nothing is left.

    Args:
        settings: The quiet hours.
        province: The customer's province, if known.
        best: Two whole hours `[from, to)`, or nothing.
    """
    allowed = open_hours(settings, province)
    hours = list(best)
    if len(hours) != 2:
        return allowed
    low, high = time(min(hours[0], 23)), time(min(hours[1], 23))
    cut = [(max(start, low), min(_last(end), high)) for start, end in allowed]
    return [(start, end) for start, end in cut if start < end] or allowed


def _quiet_of(settings: QuietHours, province: str | None) -> tuple[tuple[time, time], ...]:
    return settings.provinces.get(province or "", settings.default)


def _last(end: time) -> time:
    return end if end != _MIDNIGHT else time(23, 59)
