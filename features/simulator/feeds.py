"""A chunk's story as the operator's raw rows: canonical names, yuan with decimals, local times."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from features.simulator import catalogue
from features.simulator.behaviour import ARREARS, CANCEL, NEVER, PORT_OUT, Story
from features.simulator.billing import MonthUse, rate
from features.simulator.calendar import Calendar
from features.simulator.catalogue import ALLOWANCE_KB, IS_UNLIMITED, PACK_KB, PACK_PRICE, PLANS, YUAN
from features.simulator.dice import Dice, Whole
from features.simulator.output import OperatorFiles
from features.simulator.population import Population
from features.simulator.usage import DailyUse, use_of_month

KINDS = np.array(["consumer", "corporate", "machine"])
VIPS = np.array(["none", "silver", "gold", "platinum", "diamond"])
CONTRACTS = np.array(["none", "handset", "discount", "bundle"])
TOPICS = np.array(
    ["network", "data_plan", "unknown_charge", "billing", "broadband_tv", "roaming", "attitude",
     "porting", "cancelling", "contract", "recharge", "other"]
)  # fmt: skip
PLAN_IDS = np.array([p.plan_id for p in PLANS])
PACK_IDS = np.array([p.pack_id for p in catalogue.PACKS])
AREAS = np.array(catalogue.AREAS)
CITIES = np.array([c for _, c in catalogue.CITIES])
PROVINCES = np.array([p for p, _ in catalogue.CITIES])
WAYS = np.array(["other", "cancel", "port_out", "arrears", "other"])
HOUR = 3600
USES = ("voice_seconds", "billed_minutes", "offnet_seconds", "data_kb", "night_data_kb", "sms_count")


def customer_ids(numbers: Whole) -> np.ndarray:
    """Returns 18-digit identifiers as text; their last digits do not survive a double."""
    return np.char.add("88", np.char.zfill((np.asarray(numbers) * 7 + 10**9).astype("U16"), 16))


def grid_ids(grids: Whole) -> np.ndarray:
    """Returns grid names."""
    return np.char.add("G", np.char.zfill(np.asarray(grids).astype("U6"), 5))


def yuan(li: Whole) -> np.ndarray:
    """Returns yuan with decimals."""
    result: np.ndarray = np.asarray(li) / YUAN
    return result


@dataclass
class ChunkWriter:
    """Writes one chunk; `ids` are the customers' identifiers."""

    dice: Dice
    calendar: Calendar
    people: Population
    story: Story
    files: OperatorFiles

    def __post_init__(self) -> None:
        self.ids = customer_ids(self.people.number)
        self.dictionary = pa.array(self.ids)

    def write(self) -> None:
        """Writes every feed of the chunk."""
        self._who()
        self._service()
        self._leaving()
        self._outreach()
        rolled = np.zeros(len(self.people), dtype=np.int64)
        for month in range(self.calendar.months):
            rolled = self._month(month, rolled)

    def _rows(self, feed: str, rows: Whole, days: Whole, at_second: Whole, /, **columns: Any) -> None:
        """Writes an event feed in order of customer and time, without rows beyond the end; known an hour later."""
        delay = columns.pop("delay", HOUR)
        at = self.calendar.times(days, at_second)
        known = at + np.broadcast_to(np.asarray(delay), at.shape).astype("timedelta64[s]")
        end = np.datetime64(self.calendar.end, "s")
        keep = np.flatnonzero((at < end) & (known < end + np.timedelta64(1, "D")))
        keep = keep[np.lexsort((at_second[keep], days[keep], rows[keep]))]
        table = {"customer_id": self.ids[rows[keep]], "event_at": at[keep], "known_at": known[keep]}
        table |= {name: _pick(value, keep) for name, value in columns.items()}
        self.files.csv(feed, table)

    def _who(self) -> None:
        p, c = self.people, self.calendar
        n = len(p)
        row = np.arange(n)
        first = np.maximum(p.activated, 0)
        second = np.full(n, 9 * HOUR)
        status, when, rows = [np.full(n, "active")], [first], [row]
        gone = np.flatnonzero(self.story.recorded < NEVER)
        suspended = np.flatnonzero(self.story.way == ARREARS)
        status += [np.full(len(suspended), "suspended_arrears"), np.full(len(gone), "closed")]
        when += [self.story.last_use[suspended] + 12, self.story.recorded[gone]]
        rows += [suspended, gone]
        r, w, s = np.concatenate(rows), np.concatenate(when), np.concatenate(status)
        self._rows(
            "customers", r, w, second[r], activated_on=c.dates(p.activated[r]), kind=KINDS[p.kind[r]], status=s,
            province=PROVINCES[p.city[r]], city=CITIES[p.city[r]], grid=grid_ids(p.grid[r]),
            birth_year=p.birth_year[r], vip_tier=VIPS[p.vip[r]],
            device_generation=np.where(p.has_5g_device[r], "5G", "4G"), device_since=c.dates(p.device_since[r]),
            language=np.full(len(r), "zh"),
        )  # fmt: skip
        start = c.dates(p.activated)
        person = np.char.add("P", np.char.zfill(p.main.astype("U12"), 9))
        self._rows(
            "persons", row, first, second, person_id=person, account_id=np.char.replace(person, "P", "A"),
            role=np.where(p.main == p.number, "main", "secondary"),
            form_of_address=np.where(self.dice.uniform("sex", p.main) < 0.5, "女士", "先生"), valid_from=start,
            valid_until=pa.nulls(n, pa.date32()), is_deceased=np.zeros(n, dtype=bool),
        )  # fmt: skip
        number = np.char.add("1", (3000000000 + p.number).astype("U10"))
        ended = self.calendar.times(np.minimum(self.story.recorded, c.days * 2), np.full(n, 10 * HOUR))
        unknown = self.story.recorded >= c.days
        self._rows(
            "numbers", row, first, second, number=number, valid_from=c.times(p.activated, second),
            valid_until=pa.array(ended, mask=unknown),
            ported_in_on=pa.array(start.astype("datetime64[D]"), mask=~p.ported_in),
            ported_out_on=pa.array(ended.astype("datetime64[D]"), mask=unknown | (self.story.way != PORT_OUT)),
            is_verified=np.ones(n, dtype=bool),
        )  # fmt: skip
        has = p.contract_type > 0
        end = c.dates(p.contract_end)
        contract_start = c.dates(p.contract_end - p.contract_months * 30)
        r2, d2, new = self.story.orders
        everyone = np.concatenate([row, r2])
        ordered = np.concatenate([p.activated, d2])
        plan = np.concatenate([p.plan, new])
        after = c.dates(ordered).astype("datetime64[M]").astype("datetime64[D]")
        after = np.where(ordered < 0, after, (after.astype("datetime64[M]") + 1).astype("datetime64[D]"))
        self._rows(
            "subscriptions", everyone, np.maximum(ordered, 0), np.full(len(ordered), 11 * HOUR),
            plan_id=PLAN_IDS[plan], ordered_at=c.times(ordered, np.full(len(ordered), 11 * HOUR)), effective_on=after,
            contract_type=CONTRACTS[p.contract_type[everyone]],
            contract_start=pa.array(contract_start[everyone], mask=~has[everyone]),
            contract_end=pa.array(end[everyone], mask=~has[everyone]),
            discount_end=pa.array(end[everyone], mask=p.discount[everyone] == 0),
            discount_amount=yuan(p.discount[everyone]),
        )  # fmt: skip
        fixed = np.concatenate([np.flatnonzero(p.broadband), np.flatnonzero(p.tv)])
        service = np.array(["broadband"] * int(p.broadband.sum()) + ["tv"] * int(p.tv.sum()))
        for month_start in c.month_starts[:-1]:
            day = np.maximum(month_start, 0) + np.zeros(len(fixed), dtype=np.int64)
            live = (p.activated[fixed] <= day) & (self.story.last_use[fixed] > day)
            f = fixed[live]
            speed = 300_000 * (0.6 + 0.4 * self.dice.uniform("speed", p.number[f], int(month_start)))
            self._rows(
                "fixed_services", f, day[live], np.full(len(f), HOUR), service=service[live],
                status=np.full(len(f), "active"), contracted_kbps=np.full(len(f), 300_000),
                measured_kbps=speed.astype(np.int64), last_active_on=c.dates(day[live]),
                faults=(self.dice.uniform("fault.bb", p.number[f], int(month_start)) < 0.03).astype(np.int64),
            )  # fmt: skip

    def _service(self) -> None:
        rows, days, topic, resolved = self.story.calls
        draw = self.dice.uniform("call.time", self.people.number[rows], days)
        second = (8.5 * HOUR + draw * 12 * HOUR).astype(np.int64)
        self._rows(
            "hotline_calls", rows, days, second, call_id=self._tags("H", rows, days),
            ivr_seconds=(20 + 80 * draw).astype(np.int64), wait_seconds=(120 * draw**3).astype(np.int64),
            talk_seconds=(90 + 400 * draw).astype(np.int64), topic=TOPICS[topic], agent=np.ones(len(rows), dtype=bool),
            resolved=resolved, transferred=draw < 0.1,
        )  # fmt: skip
        rows, days, topic = self.story.complaints
        draw = self.dice.uniform("ticket", self.people.number[rows], days)
        second = (9 * HOUR + draw * 11 * HOUR).astype(np.int64)
        opened = self.calendar.times(days, second)
        lasts = (1 + 6 * draw).astype(np.int64)
        both = np.concatenate([rows, rows])
        closed = np.arange(len(both)) >= len(rows)
        self._rows(
            "tickets", both, np.concatenate([days, days + lasts]), np.concatenate([second, second]),
            ticket_id=np.tile(self._tags("T", rows, days), 2), kind=np.full(len(both), "complaint"),
            topic=TOPICS[np.tile(topic, 2)], channel=np.full(len(both), "hotline"), text=np.full(len(both), ""),
            status=np.where(closed, "closed", "open"), owner=np.full(len(both), "desk_1"),
            opened_at=np.tile(opened, 2), due_at=np.tile(opened + np.timedelta64(48, "h"), 2),
            closed_at=pa.array(np.tile(opened + lasts.astype("timedelta64[D]"), 2), mask=~closed),
            satisfaction=pa.array(np.tile((1 + draw * 10).astype(np.int64), 2), mask=~closed),
        )  # fmt: skip

    def _tags(self, letter: str, rows: Whole, days: Whole) -> np.ndarray:
        number = self.people.number[rows] * 10_000 + days
        return np.char.add(letter, number.astype("U16"))

    def _leaving(self) -> None:
        s = self.story
        gone = np.flatnonzero(s.recorded < NEVER)
        self._rows(
            "terminations", gone, s.recorded[gone], np.full(len(gone), 10 * HOUR), reason=WAYS[s.way[gone]],
            voluntary=np.isin(s.way[gone], (CANCEL, PORT_OUT)), last_used_on=self.calendar.dates(s.last_use[gone]),
        )  # fmt: skip
        port = np.flatnonzero(s.way == PORT_OUT)
        for step, before in (("enquiry", 6), ("application", 1), ("code", 1), ("completed", -2)):
            second = np.full(len(port), (12 if step == "code" else 10) * HOUR)
            self._rows("port_requests", port, s.last_use[port] - before, second, step=np.full(len(port), step))

    def _outreach(self) -> None:
        p, c = self.people, self.calendar
        row = np.arange(len(p))
        for purpose, share in (("marketing", 0.55), ("retention", 0.6), ("personalisation", 0.9), ("service", 1.0)):
            yes = self.dice.uniform(f"consent.{purpose}", p.main) < share
            self._rows(
                "consents", row, np.maximum(p.activated, 0), np.full(len(row), 9 * HOUR),
                purpose=np.full(len(row), purpose), channel=np.full(len(row), "all"), granted=yes,
            )  # fmt: skip
        for month, start in enumerate(c.month_starts[:-1]):
            live = (p.activated < start) & (self.story.last_use > start + 8) & (p.kind == 0)
            draw = self.dice.uniform("campaign", p.number, month)
            r = np.flatnonzero(live & (draw < 0.12))
            treated = draw[r] < 0.06
            days = np.full(len(r), start + 8)
            second = np.full(len(r), 15 * HOUR)
            tags = self._tags("K", r, days)
            self._rows(
                "contacts", r, days, second, contact_id=tags, campaign=np.full(len(r), f"care_{month:02d}"),
                action=np.full(len(r), "service_review"), channel=np.full(len(r), "call"),
                arm=np.where(treated, "treated", "control"), propensity=np.full(len(r), 0.5),
            )  # fmt: skip
            t = np.flatnonzero(treated)
            result = self.dice.choice("outcome", p.number[r[t]], (0.1, 0.05, 0.2, 0.65), month)
            self._rows(
                "outcomes", r[t], days[t], second[t] + 600, contact_id=tags[t],
                outcome=np.array(["solved", "accepted", "declined", "no_answer"])[result], accepted=result == 1,
                order_reference=np.full(len(t), ""),
            )  # fmt: skip

    def _month(self, month: int, rolled: Whole) -> Whole:
        p, c, s = self.people, self.calendar, self.story
        start, end = c.month_starts[month], c.month_starts[month + 1]
        days = np.arange(start, end)
        name = str(c.civil(start))[:7]
        use = use_of_month(self.dice, c, p, s, days)
        self._daily(name, days, use)
        plan = s.plan[:, month]
        active = (p.activated < start) & (s.last_use >= start)
        row = np.flatnonzero(active)
        data = use.data_kb.sum(axis=1)
        short = active & ~IS_UNLIMITED[plan] & (data > 0.9 * ALLOWANCE_KB[plan])
        buys = short & (self.dice.uniform("pack", p.number, month) < 0.5)
        pack = np.where(data > 1.4 * ALLOWANCE_KB[plan], 1, 0)
        pack_fee = np.where(buys, PACK_PRICE[pack], 0)
        buyer = np.flatnonzero(buys)
        when = start + 18 + (self.dice.uniform("pack.day", p.number[buyer], month) * 9).astype(np.int64)
        self._rows(
            "pack_orders", buyer, when, np.full(len(buyer), 20 * HOUR), pack_id=PACK_IDS[pack[buyer]],
            data_kb=PACK_KB[pack[buyer]], price=yuan(PACK_PRICE[pack[buyer]]), channel=np.full(len(buyer), "app"),
        )  # fmt: skip
        roaming = self._roaming(month, start, active)
        vas = np.where(
            (p.value_added_from < end) & active,
            np.array([x[1] for x in catalogue.VALUE_ADDED])[p.value_added_item] * YUAN,
            0,
        )
        in_discount = (p.contract_end > start) & (p.discount > 0)
        bill = rate(
            MonthUse(
                plan=plan, data_kb=data, billed_minutes=use.billed_minutes.sum(axis=1),
                sms_count=use.sms_count.sum(axis=1), pack_kb=np.where(buys, PACK_KB[pack], 0), pack_fee=pack_fee,
                roaming_fee=roaming, value_added_fee=vas, discount=np.where(in_discount, p.discount, 0),
                rolled_kb=rolled,
            )
        )  # fmt: skip
        self._usage_monthly(row, start, end, use, bill.is_throttled)
        late = self.dice.uniform("late", p.number, month) < p.lateness
        never = (s.way == ARREARS) & (s.last_use < end + 20)
        lag = np.where(
            late,
            22 + 20 * self.dice.uniform("late.days", p.number, month),
            4 + 10 * self.dice.uniform("pay", p.number, month),
        )
        paid_day = end + lag.astype(np.int64)
        second = np.full(len(row), 9 * HOUR)
        item = np.array([x[0] for x in catalogue.VALUE_ADDED])[p.value_added_item]
        for version in (0, 1):
            known = np.full(len(row), end + 2) if version == 0 else np.where(late[row], end + 21, paid_day[row])
            paid = np.zeros(len(row), dtype=bool) if version == 0 else (paid_day[row] <= known) & ~never[row]
            self._rows(
                "bills", row, np.full(len(row), start), np.zeros(len(row), dtype=np.int64),
                delay=(known - start) * 86400 + second, period=np.repeat(c.dates(np.array([start])), len(row)),
                plan_id=PLAN_IDS[plan[row]], plan_fee=yuan(bill.plan_fee[row]), overage_fee=yuan(bill.overage_fee[row]),
                pack_fee=yuan(bill.pack_fee[row]), roaming_fee=yuan(bill.roaming_fee[row]),
                value_added_fee=yuan(bill.value_added_fee[row]),
                value_added_item=pa.array(item[row], mask=vas[row] == 0), discount=yuan(bill.discount[row]),
                total=yuan(bill.total[row]), due_at=c.times(np.full(len(row), end + 20), np.full(len(row), 0)),
                paid_at=pa.array(c.times(paid_day[row], second), mask=~paid),
                arrears=yuan(np.where(~paid & (version == 1), bill.total[row], 0)),
            )  # fmt: skip
        return bill.unused_kb

    def _daily(self, name: str, days: Whole, use: DailyUse) -> None:
        row, column = np.nonzero(use.used)
        at = self.calendar.dates(days[column])
        ids = pa.DictionaryArray.from_arrays(pa.array(row.astype(np.int32)), self.dictionary)
        self.files.parquet(
            "usage_daily", name,
            {"customer_id": ids, "day": pa.array(at)}
            | {k: getattr(use, k)[row, column] for k in USES}
            | {"known_at": (at + np.timedelta64(1, "D")).astype("datetime64[s]") + np.timedelta64(6, "h")},
        )  # fmt: skip
        draw = self.dice.uniform("stall", self.people.number[:, None], days[None, :])
        stalls = np.minimum(-np.log1p(-draw) * self.story.stalls[:, days] * 4, 60).astype(np.int64)
        row, column = np.nonzero((stalls > 0) & use.used)
        at = self.calendar.dates(days[column])
        grid = self.people.grid[row]
        self.files.parquet(
            "network_experience", name,
            {
                "customer_id": pa.DictionaryArray.from_arrays(pa.array(row.astype(np.int32)), self.dictionary),
                "day": pa.array(at), "drops": stalls[row, column] // 3, "stalls": stalls[row, column],
                "weak_signal_minutes": stalls[row, column] * 4, "cell_id": np.char.add("C", grid.astype("U6")),
                "known_at": (at + np.timedelta64(1, "D")).astype("datetime64[s]") + np.timedelta64(6, "h"),
            },
        )  # fmt: skip
        touch = (
            self.dice.uniform("touch", self.people.number[:, None], days[None, :])
            < 0.5 / 30 * 2 * self.people.digital[:, None]
        ) & use.used
        row, column = np.nonzero(touch)
        draw = self.dice.uniform("touch.kind", self.people.number[row], days[column])
        channel = np.array(["app", "web", "hall", "ivr", "message"])[np.searchsorted([0.62, 0.72, 0.77, 0.9], draw)]
        self._rows(
            "channel_contacts", row, days[column], (8 * HOUR + draw * 13 * HOUR).astype(np.int64), channel=channel,
            purpose=np.where(draw < 0.6, "query", "recharge"), succeeded=(draw * 1000) % 1 < 0.95,
        )  # fmt: skip
        answered = self.dice.uniform("survey", self.people.number, int(days[0])) < 0.03
        row = np.flatnonzero(answered & use.used.any(axis=1))
        score = np.clip(
            9 + self.dice.normal("score", self.people.number[row], int(days[0])) * 1.5 - self.people.quality[row], 1, 10
        )
        self._rows(
            "surveys",
            row,
            np.full(len(row), days[15]),
            np.full(len(row), 12 * HOUR),
            survey=np.full(len(row), "relationship"),
            score=score.astype(np.int64),
            comment=np.full(len(row), ""),
        )

    def _usage_monthly(self, row: Whole, start: int, end: int, use: DailyUse, throttled: np.ndarray) -> None:
        sums = {
            k: getattr(use, k).sum(axis=1)[row]
            for k in ("voice_seconds", "billed_minutes", "offnet_seconds", "data_kb", "night_data_kb", "sms_count")
        }
        self._rows(
            "usage_monthly", row, np.full(len(row), start), np.zeros(len(row), dtype=np.int64),
            delay=(end - start + 1) * 86400 + 6 * HOUR,
            period=np.repeat(self.calendar.dates(np.array([start])), len(row)), **sums, is_throttled=throttled[row],
        )  # fmt: skip

    def _roaming(self, month: int, start: int, active: np.ndarray) -> Whole:
        p = self.people
        summer = 2.0 if self.calendar.civil(start).month in (2, 7, 8) else 1.0
        goes = np.flatnonzero(active & (self.dice.uniform("trip", p.number, month) < p.travel * summer))
        fee = (self.dice.uniform("trip.fee", p.number[goes], month) * 80 * YUAN).astype(np.int64) // 10 * 10
        when = start + 3 + (self.dice.uniform("trip.day", p.number[goes], month) * 20).astype(np.int64)
        area = self.dice.choice("trip.area", p.number[goes], catalogue.AREA_SHARES, month)
        self._rows(
            "roaming_sessions", goes, when, np.full(len(goes), 13 * HOUR), area=AREAS[area],
            international=np.ones(len(goes), dtype=bool), seconds=fee // 500, data_kb=fee // 2, fee=yuan(fee),
            with_pack=fee < 20_000,
        )  # fmt: skip
        total = np.zeros(len(p), dtype=np.int64)
        total[goes] = fee
        return total


def _pick(value: Any, keep: Whole) -> Any:
    return value.take(pa.array(keep)) if isinstance(value, pa.Array) else np.asarray(value)[keep]


def write_reference(dice: Dice, calendar: Calendar, customers: int, files: OperatorFiles) -> None:
    """Writes the catalogue and the network faults (about one in a grid in two years)."""
    known = np.datetime64("2020-01-01", "s")
    for name, table in (("plans", catalogue.plan_table()), ("packs", catalogue.pack_table())):
        stamp = pa.array(np.full(table.num_rows, known))
        files.csv(name, table.append_column("event_at", stamp).append_column("known_at", stamp))
    grids = np.arange(catalogue.grid_count(customers))
    start = (dice.uniform("fault.day", grids) * 2 * calendar.days).astype(np.int64)
    lasts = 1 + (dice.uniform("fault.lasts", grids) * 5).astype(np.int64)
    keep = start + lasts < calendar.days
    both = np.tile(grids[keep], 2)
    opened = calendar.times(start[keep], np.full(keep.sum(), 7 * HOUR))
    repaired = opened + lasts[keep].astype("timedelta64[D]")
    at = np.concatenate([opened, repaired])
    files.csv(
        "network_faults",
        {
            "fault_id": np.char.add("F", both.astype("U6")), "event_at": at, "known_at": at + np.timedelta64(30, "m"),
            "grid": grid_ids(both),
            "expected_repair_on": np.tile(opened.astype("datetime64[D]") + np.timedelta64(3, "D"), 2),
            "repaired_at": pa.array(np.tile(repaired, 2), mask=np.arange(len(both)) < len(opened)),
        },
    )  # fmt: skip
