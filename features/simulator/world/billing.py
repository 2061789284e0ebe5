"""The operator's published rating rules, in whole li and KB, vectorised over customers of one month."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from features.kit.arrays import Integers
from features.simulator.world.catalogue import (
    CAP,
    DATA_KB,
    DATA_PRICE,
    FEE,
    GB,
    IS_UNLIMITED,
    MINIMUM,
    MINUTES,
    ROLLS_OVER,
    SMS,
    SMS_PRICE,
    THROTTLE_KB,
    VOICE_PRICE,
)


@dataclass(frozen=True)
class MonthUse:
    """What was used and bought in a month, one element per customer: KB, minutes, counts, li."""

    plan: Integers
    data_kb: Integers
    billed_minutes: Integers
    sms_count: Integers
    pack_kb: Integers
    pack_fee: Integers
    roaming_fee: Integers
    value_added_fee: Integers
    discount: Integers
    rolled_kb: Integers


@dataclass(frozen=True)
class MonthBill:
    """The bill's parts in li, and what is left of the plan's own allowance for the next month in KB."""

    plan_fee: Integers
    overage_fee: Integers
    pack_fee: Integers
    roaming_fee: Integers
    value_added_fee: Integers
    discount: Integers
    total: Integers
    unused_kb: Integers
    is_throttled: np.ndarray


def rate(use: MonthUse) -> MonthBill:
    """Returns the bill of each customer: plan allowance first, then roll-over, then packs; blocks are rounded up.

    Example: 10 GB plan, 1 GB rolled over, 12.5 GB used: 1.5 GB over, two blocks of 1 GB at 5 yuan, 10 yuan.
    """
    plan = use.plan
    available = DATA_KB[plan] + use.rolled_kb + use.pack_kb
    over = np.maximum(0, use.data_kb - available)
    data = np.where(IS_UNLIMITED[plan], 0, np.minimum(-(-over // GB) * DATA_PRICE[plan], CAP[plan]))
    voice = np.maximum(0, use.billed_minutes - MINUTES[plan]) * VOICE_PRICE
    sms = np.maximum(0, use.sms_count - SMS[plan]) * SMS_PRICE
    overage = data + voice + sms
    discount = np.minimum(use.discount, FEE[plan])
    total = np.maximum(MINIMUM[plan], FEE[plan] - discount + overage)
    total = total + use.pack_fee + use.roaming_fee + use.value_added_fee
    return MonthBill(
        plan_fee=FEE[plan], overage_fee=overage, pack_fee=use.pack_fee, roaming_fee=use.roaming_fee,
        value_added_fee=use.value_added_fee, discount=discount, total=total,
        unused_kb=np.where(ROLLS_OVER[plan], np.maximum(0, DATA_KB[plan] - use.data_kb), 0),
        is_throttled=IS_UNLIMITED[plan] & (use.data_kb > THROTTLE_KB[plan] + use.pack_kb),
    )  # fmt: skip
