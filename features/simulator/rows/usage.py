"""Daily use of a chunk: who used on which day, how much, at what quality; shaped by the shocks of the story."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from features.kit.arrays import Floats, Integers
from features.simulator.world.behaviour import SILENT, Story
from features.simulator.world.calendar import Calendar
from features.simulator.world.dice import Dice
from features.simulator.world.population import Population

Matrix = np.ndarray
TRIP_DAYS = 6


def _profile(down: int, flat: int, back: int, level: float) -> Floats:
    fall = 1 + (level - 1) * np.arange(1, down + 1) / down
    rise = level + (1 - level) * np.arange(1, back + 1) / back
    return np.concatenate([fall, np.full(flat, level), rise])


DRIFT = _profile(4, 68, 10, 0.15)
JUMP = _profile(6, 62, 40, 1.6)


@dataclass(frozen=True)
class Factors:
    """Per day of the whole span: factor on data, factor on calls, and mean stalls, [customers, days]."""

    data: Matrix
    voice: Matrix
    stalls: Matrix


@dataclass(frozen=True)
class DailyUse:
    """Matrices [customers, days of the month], zero where not used."""

    used: Matrix
    voice_seconds: Integers
    billed_minutes: Integers
    offnet_seconds: Integers
    data_kb: Integers
    night_data_kb: Integers
    sms_count: Integers
    stalls: Integers


def factors(calendar: Calendar, people: Population, story: Story) -> Factors:
    """Returns how shocks shape use and quality over the whole span."""
    shape = (len(people), calendar.days)
    data = np.ones(shape, dtype=np.float32)
    _shape(data, story.shocks["drift"].row, story.shocks["drift"].day, DRIFT)
    voice = data.copy()
    _shape(data, story.shocks["jump"].row, story.shocks["jump"].day, JUMP)
    binge = story.shocks["binge"]
    last = calendar.month_starts[calendar.month_of[binge.day] + 1]
    for offset in range(20):
        inside = binge.day + offset < last
        data[binge.row[inside], binge.day[inside] + offset] *= 3.0
    trip = story.shocks["trip"]
    for matrix in (data, voice):
        _shape(matrix, trip.row, trip.day, np.zeros(TRIP_DAYS))
    stalls = np.repeat(0.20 * people.quality[:, None], calendar.days, axis=1).astype(np.float32)
    for name, length, level in (("spell", 10, 4.5), ("fault", 3, 2.5)):
        found = story.shocks[name]
        for offset in range(length):
            inside = found.day + offset < calendar.days
            stalls[found.row[inside], found.day[inside] + offset] += level
    return Factors(data=data, voice=voice, stalls=stalls)


def _shape(matrix: Matrix, row: Integers, day: Integers, profile: Floats) -> None:
    for offset, level in enumerate(profile):
        inside = day + offset < matrix.shape[1]
        matrix[row[inside], day[inside] + offset] *= level


def use_of_month(
    dice: Dice, calendar: Calendar, people: Population, story: Story, shape: Factors, days: Integers
) -> DailyUse:
    """Returns the use on the given days of one month."""
    who, day = people.number[:, None], days[None, :]
    alive = (day >= people.activated[:, None]) & (day <= story.last_use[:, None])
    factor, voice_factor = shape.data[:, days], shape.voice[:, days]
    used = alive & (dice.uniform("use", who, day) < people.activity[:, None]) & (factor > 0)
    weekend = (calendar.weekday[days] >= 5)[None, :]
    week = np.where(weekend, 1.5, 0.8) * (1 + 0.15 * calendar.festival[days])[None, :]
    first, second = dice.uniform("use.data", who, day), dice.uniform("use.data.2", who, day)
    noise = np.exp(0.9 * (first + second - 1)) * 0.93  # two uniforms: nearly a log-normal day, cheaper
    data = (people.need_kb[:, None] * factor * week * noise * used).astype(np.int64)
    draw = dice.uniform("use.voice", who, day)
    level = people.voice[:, None] * voice_factor * np.where(weekend, 0.8, 1.08)
    voice = np.where(draw < 0.15, 0, level * -np.log1p(-draw) * used).astype(np.int64)
    calls = 1 + (second * 3).astype(np.int64)
    sms = (first < people.sms[:, None]) & used
    stalls = np.floor(
        np.log1p(-dice.uniform("use.stalls", who, day)) / np.log(shape.stalls[:, days] / (1 + shape.stalls[:, days]))
    ).astype(np.int64)
    return DailyUse(
        used=used, voice_seconds=voice, billed_minutes=np.where(voice > 0, -(-voice // 60) + calls // 2, 0),
        offnet_seconds=(voice * (0.2 + 0.5 * second)).astype(np.int64), data_kb=data,
        night_data_kb=(data * 0.25 * first).astype(np.int64), sms_count=sms.astype(np.int64),
        stalls=np.minimum(stalls * (1 + (people.quality[:, None] / 2).astype(np.int64)), 60) * used,
    )  # fmt: skip


def stays_billed(story: Story, recorded: Integers, start: int) -> Matrix:
    """Returns who still gets a bill for the month that begins on day `start`."""
    return np.where(story.way == SILENT, recorded, story.last_use) >= start
