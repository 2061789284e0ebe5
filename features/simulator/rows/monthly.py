"""Rows that come month by month: daily use and quality, contacts in app and hall, packs, roaming, usage, bills."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from features.kit.arrays import Integers
from features.simulator.rows.chunk import DAY, HOUR, Chunk, masked, yuan
from features.simulator.rows.output import OperatorFiles
from features.simulator.rows.usage import TRIP_DAYS, DailyUse, factors, stays_billed, use_of_month
from features.simulator.rows.who import PLAN_IDS
from features.simulator.world import catalogue
from features.simulator.world.behaviour import ARREARS, NEVER
from features.simulator.world.billing import MonthBill, MonthUse, rate
from features.simulator.world.calendar import MOST_DAYS
from features.simulator.world.catalogue import ALLOWANCE_KB, IS_UNLIMITED, PACK_KB, PACK_PRICE, YUAN
from features.simulator.world.hazards import BILL_DAY, DUE_DAY
from features.simulator.world.population import ASSISTED_BELOW

USES = ("voice_seconds", "billed_minutes", "offnet_seconds", "data_kb", "night_data_kb", "sms_count")
PACK_IDS = np.array([p.pack_id for p in catalogue.PACKS])
AREAS = np.array(catalogue.AREAS)
ITEMS = np.array([name for name, _ in catalogue.VALUE_ADDED])
ITEM_FEE = np.array([fee for _, fee in catalogue.VALUE_ADDED]) * YUAN
CHANNELS = np.array(["app", "web", "ivr", "message", "hall"])


@dataclass(frozen=True)
class Extras:
    """What else is charged in a month: KB and li per customer."""

    pack_kb: Integers
    pack_fee: Integers
    roaming_fee: Integers
    item: Integers
    item_fee: Integers


def write_months(chunk: Chunk, files: OperatorFiles) -> None:
    """Collects the monthly rows and writes the daily ones."""
    shape = factors(chunk.calendar, chunk.people, chunk.story)
    plans = chunk.plans_by_month()
    rolled = np.zeros(len(chunk), dtype=np.int64)
    starts = chunk.calendar.month_starts
    for month in range(chunk.calendar.months):
        start, end = int(starts[month]), int(starts[month + 1])
        use = use_of_month(chunk.dice, chunk.calendar, chunk.people, chunk.story, shape, np.arange(start, end))
        _daily(chunk, files, start, use)
        _touches(chunk, start, use)
        billed = (chunk.people.activated < start) & stays_billed(chunk.story, chunk.recorded, start)
        extras = _extras(chunk, month, start, end, plans[:, month], use, billed)
        bill = rate(
            MonthUse(
                plan=plans[:, month], data_kb=use.data_kb.sum(axis=1), billed_minutes=use.billed_minutes.sum(axis=1),
                sms_count=use.sms_count.sum(axis=1), pack_kb=extras.pack_kb, pack_fee=extras.pack_fee,
                roaming_fee=extras.roaming_fee, value_added_fee=extras.item_fee, discount=_discount(chunk, start),
                rolled_kb=rolled,
            )
        )  # fmt: skip
        row = np.flatnonzero(billed)
        _usage_monthly(chunk, row, start, end, use, bill.is_throttled)
        _bills(chunk, row, start, end, plans[:, month], bill, extras)
        rolled = np.where(billed, bill.unused_kb, 0)


def _daily(chunk: Chunk, files: OperatorFiles, start: int, use: DailyUse) -> None:
    name = str(chunk.calendar.civil(start))[:7]
    for feed, mask in (("usage_daily", use.used), ("network_experience", use.stalls > 0)):
        row, column = np.nonzero(mask)
        at = chunk.calendar.dates(start + column)
        late = chunk.chance(f"late.{feed}", row, start + column)
        lag = np.where(late < 0.004, 2 + (late * 1000).astype(np.int64), 1).astype("timedelta64[D]")
        columns = {
            "customer_id": pa.DictionaryArray.from_arrays(pa.array(row.astype(np.int32)), chunk.dictionary),
            "day": pa.array(at),
        }
        if feed == "usage_daily":
            columns |= {key: getattr(use, key)[row, column] for key in USES}
        else:
            stalls = use.stalls[row, column]
            grid = chunk.people.grid[row].astype("U6")
            weak = (stalls * 4 * np.clip(chunk.people.quality[row], 0.25, 8)).astype(np.int64)
            columns |= {
                "drops": stalls // 3, "stalls": stalls, "weak_signal_minutes": weak,
                "cell_id": np.char.add("C", grid),
            }  # fmt: skip
        columns["known_at"] = (at + lag).astype("datetime64[s]") + np.timedelta64(6, "h")
        end = np.datetime64(chunk.calendar.end, "s") + np.timedelta64(1, "D")
        table = pa.table(columns)
        files.parquet(feed, name, table.filter(pa.array(columns["known_at"] < end)))


def _touches(chunk: Chunk, start: int, use: DailyUse) -> None:
    p = chunk.people
    days = start + np.arange(use.used.shape[1])
    assisted = p.digital < ASSISTED_BELOW
    rate = np.where(p.kind == 2, 0, np.where(assisted, 0.34, 0.40 + 1.1 * p.digital)) / 30
    row, column = np.nonzero((chunk.dice.uniform("touch", p.number[:, None], days[None, :]) < rate[:, None]) & use.used)
    day = start + column
    draw, kind = chunk.chance("touch.kind", row, day), chunk.chance("touch.time", row, day)
    low = np.array([0.12, 0.14, 0.22, 0.26, 1.0])
    high = np.array([0.74, 0.84, 0.93, 0.985, 1.0])
    edges = np.where(assisted[row, None], low[None, :], high[None, :])
    channel = CHANNELS[np.minimum((draw[:, None] >= edges).sum(axis=1), 4)]
    chunk.rows(
        "channel_contacts", row, day, ((8 + 14 * kind) * HOUR).astype(np.int64), channel=channel,
        purpose=np.where(kind < 0.5, "query", np.where(kind < 0.85, "recharge", "order")),
        succeeded=(draw * 97) % 1 < np.where(assisted[row], 0.88, 0.96),
    )  # fmt: skip


def _extras(
    chunk: Chunk, month: int, start: int, end: int, plan: Integers, use: DailyUse, billed: np.ndarray
) -> Extras:
    p, n = chunk.people, len(chunk)
    used_share = use.data_kb.sum(axis=1) / np.maximum(ALLOWANCE_KB[plan], 1)
    short = billed & ~IS_UNLIMITED[plan] & (used_share > 0.92)
    habit = chunk.dice.uniform("pack.habit", p.number) < 0.6
    buys = np.flatnonzero(short & habit & (chunk.dice.uniform("pack", p.number, start) < 0.85))
    pack = np.where(used_share[buys] > 1.5, 2, np.where(used_share[buys] > 1.15, 1, 0))
    day = start + 16 + (chunk.chance("pack.day", buys, start) * (end - start - 17)).astype(np.int64)
    keep = day <= chunk.story.last_use[buys]
    buys, pack, day = buys[keep], pack[keep], day[keep]
    goes, fee, pack_row, pack_day, pack_number = _trips(chunk, month, start, end, billed)
    rows, days = np.concatenate([buys, pack_row]), np.concatenate([day, pack_day])
    packs = np.concatenate([pack, pack_number])
    chunk.rows(
        "pack_orders", rows, days, 20 * HOUR, delay=60, pack_id=PACK_IDS[packs], data_kb=PACK_KB[packs],
        price=yuan(PACK_PRICE[packs]), channel=np.where(p.digital[rows] < ASSISTED_BELOW, "hall", "app"),
    )  # fmt: skip
    charge = chunk.story.shocks["charge"]
    item_fee = np.where(billed & (p.value_added_from < 0), ITEM_FEE[p.value_added_item], 0)
    item = p.value_added_item.copy()
    lasts = 1 + (chunk.chance("charge.lasts", charge.row, charge.day) * 3).astype(np.int64)
    age = (end + BILL_DAY - charge.day + 15) // 30  # 0 on the bill that first shows it
    now = (age >= 0) & (age < lasts) & (charge.day <= end + BILL_DAY)
    new = charge.row[now]
    item[new] = (item[new] + 1) % len(ITEMS)
    item_fee[new] = np.where(billed[new], ITEM_FEE[item[new]], 0)
    return Extras(
        pack_kb=np.bincount(buys, weights=PACK_KB[pack], minlength=n).astype(np.int64),
        pack_fee=np.bincount(rows, weights=PACK_PRICE[packs], minlength=n).astype(np.int64),
        roaming_fee=np.bincount(goes, weights=fee, minlength=n).astype(np.int64), item=item, item_fee=item_fee,
    )  # fmt: skip


def _trips(
    chunk: Chunk, month: int, start: int, end: int, billed: np.ndarray
) -> tuple[Integers, Integers, Integers, Integers, Integers]:
    """Collects roaming sessions; returns (row, fee) per session and (row, day, pack) per roaming pack."""
    trip = chunk.story.shocks["trip"]
    area = chunk.dice.choice("trip.area", chunk.people.number[trip.row], catalogue.AREA_SHARES, trip.day)
    with_pack = chunk.chance("trip.pack", trip.row, trip.day) < 0.45
    first = (chunk.calendar.month_of[trip.day] == month) & with_pack & billed[trip.row]
    which = np.where(area[first] < 3, 3, 4)
    spot = np.repeat(np.arange(len(trip.row)), TRIP_DAYS)
    day = trip.day[spot] + np.tile(np.arange(TRIP_DAYS), len(trip.row))
    row = trip.row[spot]
    keep = np.flatnonzero((day >= start) & (day < end) & billed[row] & (day <= chunk.story.last_use[row]))
    keep = keep[np.unique(row[keep] * MOST_DAYS + day[keep], return_index=True)[1]]  # two trips may overlap
    spot, day, row = spot[keep], day[keep], row[keep]
    draw = chunk.chance("trip.day", row, day)
    fee = np.where(with_pack[spot], 0, (draw * 32 * YUAN).astype(np.int64) // 10 * 10)
    chunk.rows(
        "roaming_sessions", row, day, 13 * HOUR, delay=DAY, area=AREAS[area[spot]], international=True,
        seconds=(draw * 400).astype(np.int64), data_kb=((0.2 + draw) * 200_000).astype(np.int64), fee=yuan(fee),
        with_pack=with_pack[spot],
    )  # fmt: skip
    return row, fee, trip.row[first], trip.day[first], which


def _discount(chunk: Chunk, start: int) -> Integers:
    p, contracts = chunk.people, chunk.story.contracts
    length = p.contract_months * 30
    covered = np.zeros(len(p), dtype=bool)
    for cycle in range(contracts.end.shape[1]):
        end = contracts.end[:, cycle]
        covered |= (end < NEVER) & (end - length < start) & (start < end)
    return np.where(covered, p.discount, 0)


def _usage_monthly(chunk: Chunk, row: Integers, start: int, end: int, use: DailyUse, throttled: np.ndarray) -> None:
    sums = {key: getattr(use, key).sum(axis=1)[row] for key in USES}
    chunk.rows(
        "usage_monthly", row, np.full(len(row), start), 0, delay=(end - start + 1) * DAY + 6 * HOUR,
        period=chunk.calendar.dates(np.full(len(row), start)), **sums, is_throttled=throttled[row],
    )  # fmt: skip


def _bills(chunk: Chunk, row: Integers, start: int, end: int, plan: Integers, bill: MonthBill, extras: Extras) -> None:
    s, c = chunk.story, chunk.calendar
    due = end + DUE_DAY
    late = np.zeros(len(chunk), dtype=bool)
    late[s.shocks["late"].row[s.shocks["late"].day == due]] = True
    early = end + BILL_DAY + 1 + (chunk.dice.uniform("paid", chunk.people.number, start) * 15).astype(np.int64)
    after = (
        due
        + np.array([12, 18, 24, 31])[chunk.dice.choice("paid.late", chunk.people.number, (0.25, 0.3, 0.25, 0.2), start)]
    )
    paid = np.where(late, after, early)
    never = (s.way == ARREARS) & (paid > s.last_use)
    late |= never
    draw = chunk.dice.uniform("correction", chunk.people.number, start)
    corrected = np.where(draw < 0.008, np.minimum(bill.total, (1 + (draw * 1000).astype(np.int64)) * YUAN), 0)
    steps = [(row, np.full(len(row), end + BILL_DAY), 9)]
    steps.append((row[late[row]], np.full(int(late[row].sum()), due), 1))
    settled = row[~never[row]]
    steps.append((settled, paid[settled], 21))
    for number, (r, known, hour) in enumerate(steps):
        total = bill.total[r] - (corrected[r] if number else 0)
        is_paid = np.full(len(r), number == 2)
        chunk.rows(
            "bills", r, np.full(len(r), start), 0, delay=(known - start) * DAY + hour * HOUR,
            period=c.dates(np.full(len(r), start)), plan_id=PLAN_IDS[plan[r]], plan_fee=yuan(bill.plan_fee[r]),
            overage_fee=yuan(bill.overage_fee[r]), pack_fee=yuan(bill.pack_fee[r]),
            roaming_fee=yuan(bill.roaming_fee[r]), value_added_fee=yuan(bill.value_added_fee[r]),
            value_added_item=masked(ITEMS[extras.item[r]], extras.item_fee[r] == 0), discount=yuan(bill.discount[r]),
            total=yuan(total), due_at=c.times(np.full(len(r), due), np.zeros(len(r), dtype=np.int64)),
            paid_at=masked(c.times(paid[r], np.full(len(r), 20 * HOUR)), ~is_paid),
            arrears=yuan(np.where(number == 1, total, 0)),
        )  # fmt: skip
