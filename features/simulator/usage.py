"""A month's daily use of a chunk: who used on which day, how much, at what quality."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from features.simulator.behaviour import Story
from features.simulator.calendar import Calendar
from features.simulator.dice import Dice, Whole
from features.simulator.population import Population


@dataclass(frozen=True)
class DailyUse:
    """Matrices [customers, days of the month], zero where not used."""

    used: np.ndarray
    voice_seconds: Whole
    billed_minutes: Whole
    offnet_seconds: Whole
    data_kb: Whole
    night_data_kb: Whole
    sms_count: Whole


def use_of_month(dice: Dice, calendar: Calendar, people: Population, story: Story, days: Whole) -> DailyUse:
    """Returns the use on the given days."""
    who, day = people.number[:, None], days[None, :]
    alive = (day >= people.activated[:, None]) & (day <= story.last_use[:, None])
    used = alive & (dice.uniform("use", who, day) < people.activity[:, None])
    weekend = (calendar.weekday[days] >= 5)[None, :]
    factor = story.decline[:, days] * np.where(weekend, 1.45, 0.85) * (1 + 0.15 * calendar.festival[days])[None, :]
    noise = np.exp(0.55 * dice.normal("use.data", who, day) - 0.15)
    data = (people.need_kb[:, None] * factor * noise * used).astype(np.int64)
    draw = dice.uniform("use.voice", who, day)
    voice_factor = story.decline[:, days] * np.where(weekend, 0.8, 1.08)
    voice = (people.voice[:, None] * voice_factor * -np.log1p(-draw) * used).astype(np.int64)
    voice = np.where(draw < 0.15, 0, voice)
    split = dice.uniform("use.split", who, day)
    sms = (dice.uniform("use.sms", who, day) < people.sms[:, None]) & used
    return DailyUse(
        used=used, voice_seconds=voice, billed_minutes=-(-voice // 60) + (voice > 120) * (split * 2).astype(np.int64),
        offnet_seconds=(voice * (0.2 + 0.5 * split)).astype(np.int64), data_kb=data,
        night_data_kb=(data * 0.25 * split).astype(np.int64), sms_count=sms.astype(np.int64),
    )  # fmt: skip
