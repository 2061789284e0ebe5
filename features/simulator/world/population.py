"""Who the customers are: households, places, plans, needs and habits that do not change by chance from day to day."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from features.kit.arrays import Flags, Floats, Integers
from features.simulator.world import catalogue
from features.simulator.world.calendar import Calendar
from features.simulator.world.catalogue import ALLOWANCE_KB, CITY_SHARES, GB, PLAN_NUMBER
from features.simulator.world.dice import FORK, Dice

BLOCK = 64
"""Customers `[64 k, 64 k + 64)` share households and re-issued numbers, so a chunk is always whole blocks."""

ASSISTED_BELOW = 0.52
"""Below this digital habit a customer prefers the phone and the hall."""


@dataclass(frozen=True)
class Population:
    """Customers of one chunk, one element each. Days are day numbers (negative: before the first day)."""

    number: Integers  # customer number, 0 ..
    main: Integers  # number of the main line of the same person
    activated: Integers
    kind: Integers  # 0 consumer, 1 corporate, 2 machine
    city: Integers
    grid: Integers
    birth_year: Integers
    vip: Integers  # 0 none .. 4 diamond
    has_5g_device: Flags
    device_since: Integers
    broadband: Flags
    tv: Flags
    ported_in: Flags
    plan: Integers  # at the first day or at activation
    need_kb: Floats  # mean KB a day
    voice: Floats  # mean seconds a day
    sms: Floats  # mean messages a day
    activity: Floats  # share of days with use
    digital: Floats  # 0 assisted .. 1 self-served
    lateness: Floats  # chance that a bill is paid late
    quality: Floats  # 0 good .. high poor coverage at home
    line: Floats  # how often the broadband line fails, 1 on average
    travel: Floats  # trips abroad a month
    calls: Floats  # how readily the customer calls, 1 on average
    contract_end: Integers  # day number of the contract's end; far in the past: none
    contract_months: Integers
    contract_type: Integers  # 0 none, 1 handset, 2 discount, 3 bundle
    discount: Integers  # li a month until the contract ends
    value_added_from: Integers  # day number from which a lasting value-added service is charged; large: never
    value_added_item: Integers

    def __len__(self) -> int:
        return len(self.number)

    def take(self, rows: Integers) -> Population:
        """Returns the customers of the given rows."""
        return replace(self, **{f.name: getattr(self, f.name)[rows] for f in fields(self)})


def make_population(dice: Dice, calendar: Calendar, customers: int, numbers: Integers) -> Population:
    """Returns the customers with the given numbers out of `customers`."""
    n = numbers % FORK  # continuations of a customer are the same customer
    days = calendar.days
    is_second = (n % 4 == 1) & (dice.uniform("household.second", n // 4) < 0.8)
    main = np.where(is_second, n - 1, n)

    kind = dice.choice("kind", n, (0.94, 0.04, 0.02))
    kind = np.where(is_second | (dice.uniform("household.second", n // 4) < 0.8) & (n % 4 == 0), 0, kind)
    new = dice.uniform("activated.new", n) < 0.2
    activated = np.where(
        new,
        (dice.uniform("activated.day", n) * days).astype(np.int64),
        -(dice.uniform("activated.ago", n) ** 1.5 * 3600).astype(np.int64) - 1,
    )
    city = dice.choice("city", main, CITY_SHARES)
    grids = catalogue.grid_count(customers)
    cities = len(catalogue.CITIES)
    grid = (dice.uniform("grid", main) * (grids // cities)).astype(np.int64) * cities + city
    age = np.clip(38 + 14 * dice.normal("age", n), 14, 88).astype(np.int64)
    birth_year = calendar.first.year - age

    need = np.exp(np.log(9.0) + 0.95 * dice.normal("need", n) - 0.02 * np.maximum(0, age - 45)) * GB / 30
    sms = np.exp(np.log(0.15) + 0.7 * dice.normal("sms", n))
    machine = kind == 2
    need = np.where(machine, 0.004 * GB, need)
    has_5g = (dice.uniform("device", n) < 0.55 - 0.006 * np.maximum(0, age - 40)) & ~machine
    plan = _choose_plan(dice, n, need, age, kind, has_5g)
    voice = catalogue.MINUTES[plan] * 2 * np.exp(np.log(0.3) + 0.5 * dice.normal("voice", n))
    contract_type = np.where(machine, 0, dice.choice("contract", n, (0.30, 0.22, 0.26, 0.22)))
    contract_months = np.where(dice.uniform("contract.long", n) < 0.4, 24, 12)
    start = np.maximum(activated, -(dice.uniform("contract.start", n) * 900).astype(np.int64))
    contract_end = np.where(contract_type > 0, start + contract_months * 30, -9999)
    fee = catalogue.FEE[plan]
    discount = np.where((contract_type == 2) | (contract_type == 3), fee // 5 // 1000 * 1000, 0)
    rich = dice.uniform("vip", n) < 0.04 + 0.25 * (fee >= 130_000)
    vip = np.where(rich, 1 + dice.choice("vip.tier", n, (0.40, 0.40, 0.15, 0.05)), 0)
    broadband = (dice.uniform("broadband", main) < 0.47) & (kind == 0)
    return Population(
        number=numbers, main=main, activated=activated, kind=kind, city=city, grid=grid, birth_year=birth_year, vip=vip,
        has_5g_device=has_5g, device_since=-(dice.uniform("device.since", n) * 900).astype(np.int64) - 40,
        broadband=broadband & (main == n), tv=broadband & (main == n) & (dice.uniform("tv", n) < 0.5),
        ported_in=new & (dice.uniform("ported", n) < 0.05), plan=plan, need_kb=need, voice=voice, sms=sms,
        activity=np.clip(0.98 - 0.35 * dice.uniform("activity", n) ** 3, 0.5, 1),
        digital=np.clip(0.6 + 0.25 * dice.normal("digital", n) - 0.008 * np.maximum(0, age - 45), 0.02, 0.98),
        lateness=np.where(dice.uniform("late.group", n) < 0.12, 0.38, 0.010),
        quality=np.exp(0.8 * dice.normal("quality", n) + 0.7 * dice.normal("quality.grid", grid)),
        travel=np.where(dice.uniform("travel.group", n) < 0.011, 0.5, 0.0045),
        line=np.exp(0.9 * dice.normal("line", main) - 0.4),
        calls=np.exp(0.8 * dice.normal("calls", n) - 0.32),
        contract_end=contract_end, contract_months=contract_months, contract_type=contract_type, discount=discount,
        value_added_from=np.where(dice.uniform("vas", n) < 0.2, -1000, 10**6),
        value_added_item=dice.choice("vas.item", n, (0.4, 0.2, 0.2, 0.2)),
    )  # fmt: skip


def _choose_plan(dice: Dice, n: Integers, need: Floats, age: Integers, kind: Integers, has_5g: Flags) -> Integers:
    """Returns the plan that about fits a noisy idea of the need, most often of the generation of the handset."""
    wanted = need * 30 * np.exp(0.6 * dice.normal("plan.noise", n))
    four = [PLAN_NUMBER[name] for name in ("L08", "L19", "L39", "L59", "L88", "L138")]
    five = [PLAN_NUMBER[name] for name in ("F69", "F99", "F129", "F169", "F239")]
    four_pick = np.array(four)[np.minimum(np.searchsorted(ALLOWANCE_KB[four], wanted * 1.05), len(four) - 1)]
    five_pick = np.array(five)[np.minimum(np.searchsorted(ALLOWANCE_KB[five], wanted * 1.05), len(five) - 1)]
    takes_5g = has_5g & (wanted > 6 * GB) & (dice.uniform("plan.5g", n) < 0.6)
    plan = np.where(takes_5g, five_pick, four_pick)
    old_unlimited = ~takes_5g & (wanted > 12 * GB) & (dice.uniform("plan.unlimited", n) < 0.62)
    plan = np.where(old_unlimited, PLAN_NUMBER["L98"], plan)
    plan = np.where((age >= 60) & (dice.uniform("plan.senior", n) < 0.4), PLAN_NUMBER["S29"], plan)
    plan = np.where((age <= 23) & (dice.uniform("plan.student", n) < 0.5), PLAN_NUMBER["Y39"], plan)
    premium = dice.choice("plan.premium", n, (0.91, 0.035, 0.055))
    dear = np.array([PLAN_NUMBER[name] for name in ("L138", "F169", "F239")])
    plan = np.where(premium > 0, dear[np.where(has_5g, premium, 0)], plan)
    plan = np.where(kind == 1, PLAN_NUMBER["C50"], plan)
    return np.where(kind == 2, PLAN_NUMBER["M05"], plan).astype(np.int64)
