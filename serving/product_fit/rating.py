"""What a month's use costs under a plan: exact integers in minor units, vectorised over customers and months.

The rules, in order, for one subscription and one civil month:

    voice     max(0, billed minutes - allowance) x price a minute
    messages  max(0, messages - allowance) x price a message
    data      the month's allowance is used first, then what earlier months rolled over (oldest first), then packs;
              what is left over is charged in started blocks, at most the overage cap.
              A plan with a throttling limit charges no data: beyond the limit (plus packs) the line is slowed down.
    bill      max(minimum spend, monthly fee - discount + voice + messages + data)

Pack, roaming and value-added fees are not the plan's and are added by the caller.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from features.kit.arrays import Flags, Integers

UNLIMITED = 1 << 60
"""An allowance, a cap or a limit that does not exist."""


@dataclass(frozen=True)
class Terms:
    """Prices and allowances as int64 arrays: `[plans]` for a catalogue, or any shape that broadcasts with the use."""

    monthly_fee: Integers  # minor units
    voice_minutes: Integers  # included billed minutes, `UNLIMITED` if nothing is charged
    voice_price: Integers  # minor units per further billed minute
    sms_count: Integers  # included messages
    sms_price: Integers  # minor units per further message
    data_kb: Integers  # included KB
    data_price: Integers  # minor units per started block
    data_block_kb: Integers  # KB of a block, at least 1
    overage_cap: Integers  # the most data overage in a month
    throttle_after_kb: Integers  # beyond it slowed down and never charged; `UNLIMITED` if there is no such limit
    throttles: Integers  # whether the plan slows down instead of charging data (0 or 1)
    rollover_months: Integers  # how many further months an unused data allowance lives
    minimum_spend: Integers  # the least that fee, discount and overage come to

    def at(self, index: Any) -> Terms:
        """Returns the terms of the plans at `index`, in the shape of `index`."""
        return Terms(**{field.name: np.asarray(getattr(self, field.name)[index]) for field in fields(self)})


@dataclass(frozen=True)
class Use:
    """Rated units per customer and month, oldest month first; int64 `[customers, months]`."""

    minutes: Integers  # billed minutes
    sms: Integers
    data_kb: Integers  # KB rated against the plan (roaming is not)
    known: Flags  # whether the month's use is known; an unknown month is all zeros and rolls nothing over

    def rows(self, index: Any) -> Use:
        """Returns the use of some customers."""
        return Use(self.minutes[index], self.sms[index], self.data_kb[index], self.known[index])


@dataclass(frozen=True)
class DataCharge:
    """What a month's data costs."""

    fee: Integers  # minor units
    throttled: Flags  # whether the line was slowed down
    over_kb: Integers  # KB beyond allowance, roll-over and packs


def voice_and_message_fee(terms: Terms, use: Use) -> Integers:
    """Returns the overage of voice and messages, minor units `[customers, months]`."""
    voice = np.maximum(0, use.minutes - terms.voice_minutes) * terms.voice_price
    fee: Integers = voice + np.maximum(0, use.sms - terms.sms_count) * terms.sms_price
    return fee


def data_charge(terms: Terms, use: Use, pack_kb: Integers) -> DataCharge:
    """Returns what the data of each month costs, with `pack_kb` of packs bought in that month.

    `terms` are of one plan, of one plan per customer `[customers, 1]`, or of one per customer and month; `pack_kb` are
    domestic, and broadcast over customers and months.
    """
    packs = np.broadcast_to(np.asarray(pack_kb), use.data_kb.shape)
    over = _beyond_allowance(terms, use, packs)
    blocks = -(-over // terms.data_block_kb)
    charged = np.minimum(blocks * terms.data_price, terms.overage_cap)
    throttles = terms.throttles > 0
    fee: Integers = np.where(throttles, 0, charged)
    throttled: Flags = throttles & (use.data_kb - packs > terms.throttle_after_kb)
    return DataCharge(fee, throttled, over)


def bill(terms: Terms, overage_fee: Integers, discount: Integers) -> Integers:
    """Returns the plan's part of the bill; the discount is at most the monthly fee. Minor units."""
    fee: Integers = np.maximum(
        terms.minimum_spend, terms.monthly_fee - np.minimum(discount, terms.monthly_fee) + overage_fee
    )
    return fee


def _beyond_allowance(terms: Terms, use: Use, packs: Integers) -> Integers:
    """Returns the KB beyond this month's allowance, the rolled-over rest of earlier months and the packs."""
    oldest = int(np.max(terms.rollover_months, initial=0))
    if oldest == 0:
        beyond: Integers = np.maximum(0, use.data_kb - terms.data_kb - packs)
        return beyond
    shape = use.data_kb.shape
    allowance = np.broadcast_to(terms.data_kb, shape)
    lives = np.broadcast_to(terms.rollover_months, shape)
    kept = [np.zeros(shape[0], dtype=np.int64) for _ in range(oldest)]  # kept[age - 1]: unused KB of that age
    result = np.zeros(shape, dtype=np.int64)
    for month in range(shape[1]):
        left = use.data_kb[:, month]
        own = np.minimum(left, allowance[:, month])
        left = left - own
        for age in range(min(oldest, month), 0, -1):
            drawn = np.where(lives[:, month - age] >= age, np.minimum(left, kept[age - 1]), 0)
            kept[age - 1] = kept[age - 1] - drawn
            left = left - drawn
        result[:, month] = np.maximum(0, left - packs[:, month])
        rolls = use.known[:, month] & (allowance[:, month] < UNLIMITED)
        kept = [np.where(rolls, allowance[:, month] - own, 0), *kept[:-1]]
    return result
