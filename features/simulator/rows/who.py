"""Rows about who the customers are: customers, persons, numbers, subscriptions, fixed services, departures."""

from __future__ import annotations

import numpy as np

from features.kit.arrays import Integers
from features.simulator.rows.chunk import HOUR, Chunk, masked, yuan
from features.simulator.world import catalogue
from features.simulator.world.behaviour import ARREARS, CANCEL, NEVER, PORT_OUT, SILENT
from features.simulator.world.catalogue import PLANS
from features.simulator.world.population import BLOCK

KINDS = np.array(["consumer", "corporate", "machine"])
VIPS = np.array(["none", "silver", "gold", "platinum", "diamond"])
CONTRACTS = np.array(["none", "handset", "discount", "bundle"])
PLAN_IDS = np.array([p.plan_id for p in PLANS])
CITIES = np.array([c for _, c in catalogue.CITIES])
PROVINCES = np.array([p for p, _ in catalogue.CITIES])
REASONS = np.array(["other", "cancel", "port_out", "arrears", "other"])
SUSPENDED_AFTER = 12


def grid_ids(grids: Integers) -> np.ndarray:
    """Returns grid names."""
    return np.char.add("G", np.char.zfill(np.asarray(grids).astype("U6"), 5))


def write_who(chunk: Chunk) -> None:
    """Collects the rows of who the customers are."""
    _customers(chunk)
    _persons(chunk)
    _numbers(chunk)
    _subscriptions(chunk)
    _fixed_services(chunk)
    _departures(chunk)


def _customers(chunk: Chunk) -> None:
    p, c, s = chunk.people, chunk.calendar, chunk.story
    row = np.arange(len(p))
    device = s.shocks["device"]
    gone, arrears = np.flatnonzero(s.way > 0), np.flatnonzero(s.way == ARREARS)
    live = device.day < s.last_use[device.row]
    device_row, device_day = device.row[live], device.day[live]
    rows = np.concatenate([row, device_row, arrears, gone])
    days = np.concatenate(
        [np.maximum(p.activated, 0), device_day, s.last_use[arrears] + SUSPENDED_AFTER, chunk.recorded[gone]]
    )
    status = np.repeat(
        ["active", "active", "suspended_arrears", "closed"], [len(row), len(device_row), len(arrears), len(gone)]
    )
    last_device = np.full(len(p), -1)
    np.maximum.at(last_device, device_row, device_day)
    is_new = np.isin(np.arange(len(rows)), np.arange(len(row), len(row) + len(device_row)))
    renewed = is_new | ((last_device[rows] >= 0) & (status != "active"))
    since = np.where(is_new, days, np.where(renewed, last_device[rows], p.device_since[rows]))
    chunk.rows(
        "customers", rows, days, 9 * HOUR, activated_on=c.dates(p.activated[rows]), kind=KINDS[p.kind[rows]],
        status=status, province=PROVINCES[p.city[rows]], city=CITIES[p.city[rows]], grid=grid_ids(p.grid[rows]),
        birth_year=p.birth_year[rows], vip_tier=VIPS[p.vip[rows]],
        device_generation=np.where(p.has_5g_device[rows] | renewed, "5G", "4G"), device_since=c.dates(since),
        language=np.where(chunk.chance("language", rows) < 0.01, "en", "zh"),
    )  # fmt: skip


def _persons(chunk: Chunk) -> None:
    p, c = chunk.people, chunk.calendar
    row = np.arange(len(p))
    person = np.char.add("P", np.char.zfill(p.main.astype("U12"), 9))
    deceased = chunk.chance("deceased", row) < 0.0005
    chunk.rows(
        "persons", row, np.maximum(p.activated, 0), 9 * HOUR, person_id=person,
        account_id=np.char.replace(person, "P", "A"), role=np.where(p.main == p.number, "main", "secondary"),
        form_of_address=np.where(chunk.dice.uniform("sex", p.main) < 0.5, "女士", "先生"),
        valid_from=c.dates(p.activated), valid_until=masked(c.dates(p.activated), missing=np.ones(len(p), dtype=bool)),
        is_deceased=deceased,
    )  # fmt: skip


def phone_numbers(chunk: Chunk) -> tuple[Integers, np.ndarray]:
    """Returns the number (as the customer number that held it first) of each customer, and whether it is re-issued.

    A number is free 90 days after its owner's departure was recorded; a new customer of the same block may get it.
    """
    p = chunk.people
    holder, reissued = p.number.copy(), np.zeros(len(p), dtype=bool)
    new = np.flatnonzero((p.activated > 90) & ~p.ported_in & (chunk.chance("reissue", np.arange(len(p))) < 0.7))
    free = np.flatnonzero(chunk.recorded + 90 < chunk.calendar.days)
    by_block: dict[int, list[int]] = {}
    for place in free[np.argsort(chunk.recorded[free], kind="stable")].tolist():
        by_block.setdefault(int(p.number[place]) // BLOCK, []).append(place)
    for place in new[np.lexsort((p.number[new], p.activated[new]))].tolist():
        waiting = by_block.get(int(p.number[place]) // BLOCK, [])
        if waiting and chunk.recorded[waiting[0]] + 90 < p.activated[place] and waiting[0] != place:
            holder[place] = holder[waiting.pop(0)]
            reissued[place] = True
    return holder, reissued


def _numbers(chunk: Chunk) -> None:
    p, c, s = chunk.people, chunk.calendar, chunk.story
    row = np.arange(len(p))
    holder, reissued = phone_numbers(chunk)
    number = np.char.add("1", (3_000_000_000 + holder).astype("U10"))
    ended = np.flatnonzero(chunk.recorded < c.days)
    rows = np.concatenate([row, ended])
    last = np.minimum(chunk.recorded, c.days)[rows]
    is_open = np.arange(len(rows)) < len(row)
    chunk.rows(
        "numbers", rows, np.where(is_open, np.maximum(p.activated[rows], 0), last),
        np.where(is_open, 9, 10) * HOUR, number=number[rows],
        valid_from=c.times(p.activated[rows], np.full(len(rows), 9 * HOUR)),
        valid_until=masked(c.times(last, np.full(len(rows), 10 * HOUR)), is_open),
        ported_in_on=masked(c.dates(p.activated[rows]), ~p.ported_in[rows]),
        ported_out_on=masked(c.dates(last), is_open | (s.way[rows] != PORT_OUT)),
        is_verified=~(reissued[rows] & (chunk.chance("verified", rows) < 0.5)),
    )  # fmt: skip


def _subscriptions(chunk: Chunk) -> None:
    p, c, s = chunk.people, chunk.calendar, chunk.story
    row = np.arange(len(p))
    live = s.orders.day <= s.last_use[s.orders.row]
    rows, days, plans = [row, s.orders.row[live]], [p.activated, s.orders.day[live]], [p.plan, s.ordered[live]]
    for cycle in range(s.contracts.end.shape[1]):
        end = s.contracts.end[:, cycle]
        found = np.flatnonzero(s.contracts.renewed[:, cycle] & (end <= s.last_use) & (end >= 0))
        rows.append(found)
        days.append(end[found])
        plans.append(chunk.plan_on(found, end[found] + 1))
    r, d, plan = np.concatenate(rows), np.concatenate(days), np.concatenate(plans)
    start, end, has_contract = contract_on(chunk, r, np.maximum(d, 0))
    has_discount = has_contract & (p.discount[r] > 0)
    next_month = (c.dates(d).astype("datetime64[M]") + (np.arange(len(r)) >= len(row))).astype("datetime64[D]")
    new_line = (np.arange(len(r)) < len(row)) & (d >= 0)
    next_month = np.where(new_line, (next_month.astype("datetime64[M]") + 1).astype("datetime64[D]"), next_month)
    now = (np.arange(len(r)) >= len(row)) & (chunk.chance("effective.now", r, d) < 0.2)
    chunk.rows(
        "subscriptions", r, np.maximum(d, 0), 11 * HOUR, plan_id=PLAN_IDS[plan],
        ordered_at=c.times(d, np.full(len(r), 11 * HOUR)), effective_on=np.where(now, c.dates(d), next_month),
        contract_type=np.where(has_contract, CONTRACTS[p.contract_type[r]], "none"),
        contract_start=masked(c.dates(start), ~has_contract), contract_end=masked(c.dates(end), ~has_contract),
        discount_end=masked(c.dates(end), ~has_discount),
        discount_amount=masked(yuan(p.discount[r]), ~has_discount),
    )  # fmt: skip


def contract_on(chunk: Chunk, row: Integers, day: Integers) -> tuple[Integers, Integers, np.ndarray]:
    """Returns start and end of the newest contract begun by a day, and whether there is one; it may have ended.

    A renewal on the last day counts as begun that day. Days before the first one see the first day's contract.
    """
    p, contracts = chunk.people, chunk.story.contracts
    length = (p.contract_months * 30)[row]
    start, end, found = np.zeros(len(row), np.int64), np.zeros(len(row), np.int64), np.zeros(len(row), dtype=bool)
    for cycle in range(contracts.end.shape[1]):
        last = contracts.end[row, cycle]
        here = (last < NEVER) & (last - length <= day)
        start, end, found = np.where(here, last - length, start), np.where(here, last, end), found | here
    return start, end, found


def _fixed_services(chunk: Chunk) -> None:
    p, c, s = chunk.people, chunk.calendar, chunk.story
    kbps = np.array([100_000, 300_000, 500_000])[chunk.dice.choice("speed", p.number, (0.3, 0.5, 0.2))]
    row = np.flatnonzero(p.broadband)
    fault = s.shocks["broadband"]
    live = fault.day < s.last_use[fault.row]
    parts = [(row, np.maximum(p.activated[row], 0), np.zeros(len(row), dtype=np.int64))]
    parts.append((fault.row[live], fault.day[live], np.ones(int(live.sum()), dtype=np.int64)))
    for day in c.month_starts[1:-1:3]:
        here = row[(p.activated[row] < day) & (s.last_use[row] > day)]
        parts.append((here, np.full(len(here), day), np.zeros(len(here), dtype=np.int64)))
    r, d, faults = (np.concatenate(part) for part in zip(*parts, strict=True))
    speed = np.clip(1.04 - 0.11 * p.line[r] - 0.04 * chunk.chance("speed.now", r, d) - 0.05 * faults, 0.3, 1)
    closed = np.flatnonzero(p.broadband & (s.way > 0))
    rows, days = np.concatenate([r, closed]), np.concatenate([d, chunk.recorded[closed]])
    is_open = np.arange(len(rows)) < len(r)
    measured = np.concatenate([(kbps[r] * speed).astype(np.int64), np.zeros(len(closed), dtype=np.int64)])
    chunk.rows(
        "fixed_services", rows, days, np.where(np.concatenate([faults, np.zeros(len(closed))]) > 0, 14, 2) * HOUR,
        service="broadband", status=np.where(is_open, "active", "closed"), contracted_kbps=kbps[rows],
        measured_kbps=measured, last_active_on=c.dates(np.maximum(days - 1, 0)),
        faults=np.concatenate([faults, np.zeros(len(closed), dtype=np.int64)]),
    )  # fmt: skip
    tv = np.flatnonzero(p.tv)
    for day in c.month_starts[1:-1]:
        here = tv[(p.activated[tv] < day) & (s.last_use[tv] > day)]
        idle = (chunk.chance("tv.idle", here, day) ** 3 * 60).astype(np.int64)
        chunk.rows(
            "fixed_services", here, np.full(len(here), day), 3 * HOUR, service="tv", status="active",
            contracted_kbps=kbps[here], measured_kbps=kbps[here],
            last_active_on=c.dates(np.maximum(day - idle, 0)), faults=np.zeros(len(here), dtype=np.int64),
        )  # fmt: skip


def _departures(chunk: Chunk) -> None:
    s = chunk.story
    gone = np.flatnonzero(s.way > 0)
    chunk.rows(
        "terminations", gone, chunk.recorded[gone], 10 * HOUR, reason=REASONS[s.way[gone]],
        voluntary=np.isin(s.way[gone], (CANCEL, PORT_OUT, SILENT)), last_used_on=chunk.calendar.dates(s.last_use[gone]),
    )  # fmt: skip
    port = np.flatnonzero(s.way == PORT_OUT)
    for step, hour, shift in (("application", 10, -1), ("code", 12, -1), ("completed", 10, 1)):
        chunk.rows("port_requests", port, s.last_use[port] + shift, hour * HOUR, step=np.full(len(port), step))
    drift = s.shocks["drift"]
    asks = chunk.chance("drift.asks", drift.row, drift.day) < 0.2
    day = drift.day[asks] + 8 + (chunk.chance("drift.asks.day", drift.row[asks], drift.day[asks]) * 25).astype(np.int64)
    keep = day < s.last_use[drift.row[asks]] - 1
    chunk.rows("port_requests", drift.row[asks][keep], day[keep], 16 * HOUR, step=np.full(int(keep.sum()), "enquiry"))
