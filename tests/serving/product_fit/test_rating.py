"""Rating, by hand and against an independent few-line loop over random catalogues."""

from datetime import date

import numpy as np
import pytest

from serving.product_fit.catalogue import Plan, on_sale, terms_of
from serving.product_fit.rating import Use, bill, data_charge, voice_and_message_fee

GB = 1024 * 1024


def plan(plan_id="P", **terms):
    """Returns a plan of 59 yuan with 100 minutes, 10 messages and 10 GB unless told otherwise."""
    columns = dict.fromkeys(Plan.__dataclass_fields__)
    columns |= {
        "plan_id": plan_id, "monthly_fee": 59_000, "voice_minutes": 100, "voice_overage_price": 190, "sms_count": 10,
        "sms_overage_price": 100, "data_kb": 10 * GB, "data_overage_price": 5_000, "data_block_kb": GB,
        "valid_from": date(2020, 1, 1),
    }  # fmt: skip
    return Plan(**columns | terms)


def use(*data_gb, minutes=0, sms=0):
    """Returns one customer's months with so many GB each."""
    data = np.array([[round(gb * GB) for gb in data_gb]], dtype=np.int64)
    return Use(
        np.full(data.shape, minutes, np.int64), np.full(data.shape, sms, np.int64), data, np.ones(data.shape, bool)
    )


def data_fees(terms, months, pack_gb=0):
    """Returns the data fee of each month."""
    return data_charge(terms_of([terms]).at(0), months, np.array([pack_gb * GB])).fee[0].tolist()


@pytest.mark.parametrize(
    ("fees", "terms", "months"),
    [
        ([0, 0, 5_000, 10_000], {}, (9.9, 10, 10.001, 11.5)),
        ([8_000], {"overage_cap": 8_000}, (99,)),
        ([0], {"data_kb": None, "throttle_after_kb": 20 * GB, "data_overage_price": None}, (99,)),
        ([0, 0, 5_000], {"rollover_months": 1}, (4, 16, 11)),
        ([0, 0, 5_000], {"rollover_months": 1}, (4, 7, 14)),
        ([0, 0, 0, 5_000], {"rollover_months": 2}, (8, 10, 12, 10.5)),
        ([0, 0, 0, 0], {"rollover_months": 2}, (8, 9, 12, 11)),
    ],
)
def test_data_overage(fees, terms, months):
    """Data is charged in started blocks beyond allowance and roll-over, at most the cap; throttled plans charge none."""
    assert fees == data_fees(plan(**terms), use(*months))


def test_rolled_over_data_lapses_after_its_months():
    """One month of roll-over lends a month's rest to the next month only, never further."""
    assert data_fees(plan(rollover_months=1), use(0, 10, 11)) == [0, 0, 5_000]


def test_packs_come_after_rollover_and_lapse():
    """Packs cover what allowance and roll-over do not, and are never rolled over."""
    assert data_fees(plan(rollover_months=1), use(10, 11, 12), pack_gb=1) == [0, 0, 5_000]


def test_an_unknown_month_rolls_nothing_over():
    """A month whose use is unknown lends nothing, however little of its allowance seems used."""
    months = use(0, 12)
    months.known[0, 0] = False
    assert data_fees(plan(rollover_months=1), months) == [0, 10_000]


def test_throttling_counts_packs():
    """A plan with a limit is slowed down beyond limit plus packs."""
    terms = terms_of([plan(data_kb=None, throttle_after_kb=20 * GB)]).at(0)
    assert data_charge(terms, use(20, 21, 22), np.array([GB])).throttled.tolist() == [[False, False, True]]


def test_the_bill_has_a_floor_and_a_bounded_discount():
    """The bill is at least the minimum spend; a discount takes at most the monthly fee."""
    terms = terms_of([plan(minimum_spend=20_000)]).at(0)
    assert bill(terms, np.array([0, 0, 30_000]), np.array([10_000, 99_000, 99_000])).tolist() == [
        49_000,
        20_000,
        30_000,
    ]


def test_voice_and_messages():
    """Minutes and messages beyond the allowance cost their price each."""
    terms = terms_of([plan()]).at(0)
    assert voice_and_message_fee(terms, use(0, minutes=103, sms=12)).tolist() == [[3 * 190 + 2 * 100]]


def test_sale_dates_are_half_open():
    """A plan is on sale from its first day up to and without `on_sale_until`."""
    sold = plan(on_sale_from=date(2026, 1, 1), on_sale_until=date(2026, 6, 1))
    days = (date(2025, 12, 31), date(2026, 1, 1), date(2026, 5, 31), date(2026, 6, 1))
    assert [on_sale(sold, day) for day in days] == [False, True, True, False]


def slow_month_fees(terms, discount, minutes, sms, data, packs, known) -> list[int]:
    """Rates one customer the long way: buckets of data with an age, one unit of arithmetic after another."""
    kept: list[tuple[int, int]] = []
    fees: list[int] = []
    for month in range(len(data)):
        over = 0
        if terms.data_kb is not None:
            left = data[month]
            own = min(left, terms.data_kb)
            left -= own
            kept = [(age + 1, kb) for age, kb in kept if age + 1 <= (terms.rollover_months or 0)]
            rest = []
            for age, kb in sorted(kept, reverse=True):
                drawn = min(left, kb)
                left -= drawn
                rest.append((age, kb - drawn))
            kept = rest + ([(0, terms.data_kb - own)] if known[month] else [])
            over = max(0, left - packs[month])
        fee = 0
        if terms.throttle_after_kb is None:
            while over > 0:
                over -= terms.data_block_kb
                fee += terms.data_overage_price
            fee = fee if terms.overage_cap is None else min(fee, terms.overage_cap)
        voice = 0 if terms.voice_minutes is None else max(0, minutes[month] - terms.voice_minutes)
        messages = max(0, sms[month] - terms.sms_count)
        fee += voice * (terms.voice_overage_price or 0) + messages * terms.sms_overage_price
        fees.append(max(terms.minimum_spend or 0, max(0, terms.monthly_fee - discount) + fee))
    return fees


def test_vectorised_rating_equals_the_slow_loop_on_random_catalogues():
    """5,000 customer-months under random plans cost the same to the minor unit as one by one."""
    dice = np.random.default_rng(11)
    for _ in range(25):
        unlimited = bool(dice.integers(2))
        terms = plan(
            monthly_fee=int(dice.integers(0, 200_000)),
            voice_minutes=[None, 0, 50, 300][dice.integers(4)],
            data_kb=None if unlimited else int(dice.integers(0, 20 * GB)),
            throttle_after_kb=[None, int(dice.integers(1, 30 * GB))][dice.integers(2)] if unlimited else None,
            data_block_kb=int(dice.choice([1024, GB, 7 * GB])) if not unlimited else GB,
            overage_cap=[None, int(dice.integers(1, 60_000))][dice.integers(2)],
            rollover_months=[None, 0, 1, 2, 3][dice.integers(5)],
            minimum_spend=[None, 30_000][dice.integers(2)],
        )
        if terms.data_block_kb == 1024:
            terms = plan(**{**vars(terms), "data_kb": 19 * GB, "data_block_kb": 64 * 1024})
        shape = (25, 8)
        minutes, sms = dice.integers(0, 500, shape), dice.integers(0, 30, shape)
        data = (dice.gamma(1.2, 8 * GB, shape)).astype(np.int64)
        packs = dice.integers(0, 2, shape) * 3 * GB
        known = dice.random(shape) < 0.9
        for column in (minutes, sms, data):
            column[~known] = 0
        discount = int(dice.choice([0, 10_000, 500_000]))
        columns = terms_of([terms]).at(0)
        months = Use(minutes, sms, data, known)
        overage = voice_and_message_fee(columns, months) + data_charge(columns, months, packs).fee
        fast = bill(columns, overage, np.array(discount))
        slow = [
            slow_month_fees(terms, discount, *(column[row].tolist() for column in (minutes, sms, data, packs, known)))
            for row in range(shape[0])
        ]
        assert slow == fast.tolist()
