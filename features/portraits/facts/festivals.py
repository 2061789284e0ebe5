"""The next festival after an as-of date, from the statutory calendar of China; other countries have none here yet."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

_CODES = {
    "Spring Festival": "spring_festival",
    "Chinese New Year": "spring_festival",
    "Tomb-Sweeping Day": "qingming",
    "Labor Day": "labour_day",
    "Dragon Boat Festival": "dragon_boat",
    "Mid-Autumn Festival": "mid_autumn",
    "National Day": "national_day",
    "New Year's Day": "new_year",
}


@dataclass(frozen=True)
class Festival:
    """A festival: its code and its first day."""

    code: str
    on: date


def next_festival(day: date, within_days: int, country: str = "CN") -> Festival | None:
    """Returns the festival that begins in `[day, day + within_days]`, or None; only China's have codes and words."""
    if country != "CN":
        return None
    near = [festival for festival in _festivals(day.year) + _festivals(day.year + 1) if festival.on >= day]
    return near[0] if near and near[0].on <= day + timedelta(days=within_days) else None


@lru_cache(maxsize=16)
def _festivals(year: int) -> tuple[Festival, ...]:
    """Returns the first day of each festival of a year, in order."""
    import holidays

    first: dict[str, date] = {}
    for on, name in sorted(holidays.country_holidays("CN", years=year, language="en_US").items()):
        codes = [code for part, code in _CODES.items() if part in name]
        if codes and "Eve" not in name:
            first.setdefault(codes[0], on)
    return tuple(Festival(code, on) for code, on in sorted(first.items(), key=lambda item: item[1]))
