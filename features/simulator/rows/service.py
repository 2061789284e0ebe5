"""Rows about service: hotline calls, tickets, surveys, consents, campaigns and their outcomes."""

from __future__ import annotations

import numpy as np

from features.kit.arrays import Integers
from features.simulator.rows.chunk import DAY, HOUR, Chunk, masked
from features.simulator.world.calendar import MOST_DAYS
from features.simulator.world.contacts import actions
from features.simulator.world.hazards import (
    ANSWERS,
    HORIZON,
    KIND_NUMBER,
    KINDS,
    NO_ANSWER,
    SURVEY_RATE,
    UNTREATED_SHARE,
)

TOPICS = np.array(
    ["network", "data_plan", "unknown_charge", "billing", "broadband_tv", "roaming", "attitude",
     "porting", "cancelling", "contract", "recharge", "other"]
)  # fmt: skip
TOPIC = {name: number for number, name in enumerate(TOPICS.tolist())}
TOPIC_OF_KIND = np.array(
    [
        TOPIC[
            {
                "drift": "cancelling", "spell": "network", "fault": "network", "broadband": "broadband_tv",
                "charge": "unknown_charge", "binge": "data_plan", "trip": "roaming", "enquiry": "other",
                "late": "recharge", "device": "data_plan", "jump": "data_plan",
            }[kind.name]
        ]
        for kind in KINDS
    ]
)  # fmt: skip
ENQUIRY_SHARES = (0.06, 0.30, 0.08, 0.26, 0.0, 0.015, 0.01, 0.01, 0.01, 0.07, 0.11, 0.075)
BASE_SHARES = (0.36, 0.29, 0.18, 0.13, 0.0, 0.005, 0.01, 0.0, 0.0, 0.005, 0.005, 0.015)
TEXTS = {
    "network": "反映近期信号差、上网卡顿", "data_plan": "对套餐流量和扣费有异议",
    "unknown_charge": "反映有未办理的业务扣费",
    "billing": "对账单金额有异议", "broadband_tv": "宽带或电视故障未修好", "roaming": "对漫游费用有异议",
    "attitude": "对服务态度不满意", "porting": "咨询携号转网", "cancelling": "咨询销户", "contract": "对合约内容有异议",
    "recharge": "缴费未到账", "other": "其他问题",
}  # fmt: skip
ACTION_NAMES = np.array(actions.ACTIONS)
CHANNEL_NAMES = np.array([(*actions.CHANNELS[name], "")[:2] for name in actions.ACTIONS])


def write_service(chunk: Chunk) -> None:
    """Collects the rows of calls, tickets, surveys, consents and campaigns."""
    _calls(chunk)
    _tickets(chunk)
    _surveys(chunk)
    _consents(chunk)
    _campaigns(chunk)


def second_of_day(draw: np.ndarray) -> Integers:
    """Returns a time of the day between 08:00 and 22:00 with more in the morning."""
    return np.asarray((8 + 14 * draw**1.3) * HOUR, dtype=np.int64)


def complaint_topics(chunk: Chunk, causes: Integers) -> Integers:
    """Returns the topic of each complaint from its cause (a shock kind, -1 none, -2 an earlier complaint)."""
    e = chunk.story.complaints
    base = chunk.dice.choice("complaint.topic", chunk.people.number[e.row], BASE_SHARES, e.day)
    has_line = chunk.people.broadband[e.row] & (chunk.chance("complaint.line", e.row, e.day) < 0.08)
    base = np.where(has_line, TOPIC["broadband_tv"], base)
    enquiry = chunk.dice.choice("complaint.enquiry", chunk.people.number[e.row], ENQUIRY_SHARES, e.day)
    topic = np.where(causes >= 0, TOPIC_OF_KIND[np.maximum(causes, 0)], base)
    return np.where(causes == KIND_NUMBER["enquiry"], enquiry, topic)


def _calls(chunk: Chunk) -> None:
    s, c = chunk.story, chunk.calendar
    rows, days, topics, marks = [], [], [], []
    for name, found in s.shocks.items():
        hit = np.flatnonzero(found.mark > 0)
        rows.append(found.row[hit])
        days.append(found.day[hit] + (0 if name == "enquiry" else 1))
        topic = np.full(len(hit), TOPIC_OF_KIND[KIND_NUMBER[name]])
        if name == "enquiry":
            topic = chunk.dice.choice(
                "enquiry.topic", chunk.people.number[found.row[hit]], ENQUIRY_SHARES, found.day[hit]
            )
        topics.append(topic)
        marks.append(found.mark[hit])
    drift = s.shocks["drift"]
    asks = np.flatnonzero(chunk.chance("drift.calls", drift.row, drift.day) < 0.2)
    rows.append(drift.row[asks])
    days.append(
        drift.day[asks] + 10 + (chunk.chance("drift.calls.day", drift.row[asks], drift.day[asks]) * 30).astype(int)
    )
    topics.append(np.where(chunk.chance("drift.topic", drift.row[asks]) < 0.5, TOPIC["porting"], TOPIC["cancelling"]))
    marks.append(np.ones(len(asks), dtype=np.int64))
    e = s.complaints
    rows.append(e.row)
    days.append(e.day + 1)
    topics.append(complaint_topics(chunk, np.full(len(e.row), -1)))
    marks.append(np.where(chunk.chance("complaint.calls", e.row, e.day) < 0.35, 2, 1))
    r, d, topic, mark = (np.concatenate(part) for part in (rows, days, topics, marks))
    draw = chunk.chance("calls.more", r, d * 16 + topic)
    more = np.where(mark == 2, 1 + np.minimum(draw**-0.45 * 2.0, 9), np.where(draw < 0.75, 1, 2 + 1.6 * (draw - 0.75)))
    again = more.astype(np.int64)
    row, first, which, unsolved = (np.repeat(x, again) for x in (r, d, topic, mark == 2))
    step = np.arange(len(row)) - np.repeat(np.cumsum(again) - again, again)
    day = first + step * np.where(unsolved, 3, 2) // 2
    keep = (day < s.last_use[row]) & (day < c.days)
    row, day, which, step, unsolved = row[keep], day[keep], which[keep], step[keep], unsolved[keep]
    draw = chunk.chance("call.time", row, day * 16 + step)
    tags = chunk.tags("H", row, day * 16 + which, step)
    twice = np.flatnonzero(draw < 0.002)  # the delivery repeats a few rows
    pick = np.concatenate([np.arange(len(row)), twice])
    row, day, which, step, unsolved, draw, tags = (x[pick] for x in (row, day, which, step, unsolved, draw, tags))
    chunk.rows(
        "hotline_calls", row, day, second_of_day(draw), call_id=tags, ivr_seconds=(15 + 90 * draw).astype(np.int64),
        wait_seconds=(150 * draw**3).astype(np.int64), talk_seconds=(60 + 420 * ((draw * 7) % 1)).astype(np.int64),
        topic=TOPICS[which], agent=True, resolved=~unsolved, transferred=(draw * 31) % 1 < 0.1,
    )  # fmt: skip
    own = np.flatnonzero(((draw * 17) % 1 < 0.12) & (step == 0))
    _write_tickets(chunk, "Q", row[own], day[own], which[own], "enquiry")


def _tickets(chunk: Chunk) -> None:
    e = chunk.story.complaints
    live = e.day <= chunk.story.last_use[e.row]
    topic = complaint_topics(chunk, chunk.causes["complaint"].number)
    _write_tickets(chunk, "T", e.row[live], e.day[live], topic[live], "complaint")


def _write_tickets(chunk: Chunk, letter: str, row: Integers, day: Integers, topic: Integers, kind: str) -> None:
    draw, more = chunk.chance(f"ticket.{kind}", row, day), chunk.chance(f"ticket.{kind}.more", row, day)
    second = second_of_day(draw)
    opened = chunk.calendar.times(day, second)
    lasts = np.where(kind == "complaint", 1 + (more**2 * 9).astype(np.int64), (more < 0.3).astype(np.int64))
    reopened = (kind == "complaint") & (draw < 0.12)
    states = [
        ("open", np.zeros(len(row), np.int64), np.ones(len(row), dtype=bool)),
        ("closed", lasts, np.ones(len(row), dtype=bool)),
    ]
    if kind == "complaint":
        states += [("reopened", lasts + 3, reopened), ("closed", lasts + 8, reopened)]
    tags = chunk.tags(letter, row, day)
    for number, (status, shift, keep) in enumerate(states):
        is_closed = np.full(int(keep.sum()), status == "closed")
        score = np.clip(1 + (10 * more).astype(np.int64) - 3 * reopened * (number < 2), 1, 10)
        chunk.rows(
            "tickets", row[keep], (day + shift)[keep], (second + 1800 * (number > 0))[keep], delay=600,
            ticket_id=tags[keep], kind=kind, topic=TOPICS[topic[keep]],
            channel=np.where(draw[keep] < 0.8, "hotline", "app"),
            text=np.array([TEXTS[name] for name in TOPICS.tolist()])[topic[keep]], status=status,
            owner=np.char.add("desk_", (1 + chunk.people.city[row[keep]]).astype("U4")), opened_at=opened[keep],
            due_at=opened[keep] + np.timedelta64(2 * DAY, "s"),
            closed_at=masked((opened + shift.astype("timedelta64[D]") + np.timedelta64(1800, "s"))[keep], ~is_closed),
            satisfaction=masked(score[keep], ~(is_closed & (kind == "complaint"))),
        )  # fmt: skip


def _surveys(chunk: Chunk) -> None:
    s = chunk.story
    low = s.low_scores
    keep = low.day < s.last_use[low.row]
    row, day = low.row[keep], low.day[keep]
    score = np.array([6, 5, 4, 3, 2, 1])[
        chunk.dice.choice("score.low", chunk.people.number[row], (0.4, 0.22, 0.12, 0.1, 0.08, 0.08), day)
    ]
    happy_row, happy_day = _happy(chunk)
    high = 7 + chunk.dice.choice("score.high", chunk.people.number[happy_row], (0.15, 0.25, 0.25, 0.35), happy_day)
    r, d = np.concatenate([row, happy_row]), np.concatenate([day, happy_day])
    chunk.rows(
        "surveys", r, d, 12 * HOUR, survey="relationship", score=np.concatenate([score, high]),
        comment=np.where(np.arange(len(r)) < len(row), "不太满意", ""),
    )  # fmt: skip


def _happy(chunk: Chunk) -> tuple[Integers, Integers]:
    p, c = chunk.people, chunk.calendar
    rate = SURVEY_RATE * 0.78
    rows, days = [], []
    for start in range(0, c.days, HORIZON):
        row = np.flatnonzero((chunk.dice.uniform("answer.high", p.number, start) < rate) & (p.kind != 2))
        day = start + (chunk.chance("answer.high.day", row, start) * HORIZON).astype(np.int64)
        keep = (day > p.activated[row]) & (day < chunk.story.last_use[row])
        rows.append(row[keep])
        days.append(day[keep])
    return np.concatenate(rows), np.concatenate(days)


def _consents(chunk: Chunk) -> None:
    p, c = chunk.people, chunk.calendar
    row = np.arange(len(p))
    first = np.maximum(p.activated, 0)
    for purpose, share in (("marketing", 0.6), ("retention", 0.7), ("personalisation", 0.92), ("service", 1.0)):
        yes = chunk.dice.uniform(f"consent.{purpose}", p.main) < share
        chunk.rows("consents", row, first, 9 * HOUR, purpose=purpose, channel="all", granted=yes)
        if purpose == "service":
            continue
        draw = chunk.dice.uniform(f"consent.{purpose}.off", p.main)
        day = (draw / 0.04 * c.days).astype(np.int64)
        off = np.flatnonzero(yes & (draw < 0.04) & (day > first) & (day < chunk.story.last_use))
        chunk.rows("consents", off, day[off], 18 * HOUR, purpose=purpose, channel="all", granted=False)


def _campaigns(chunk: Chunk) -> None:
    contacts = chunk.story.contacts
    needless = np.isin(contacts.action, [actions.ACTIONS.index(name) for name in actions.ANSWER_ACTIONS])
    month = chunk.calendar.dates(contacts.day).astype("datetime64[M]").astype("U7")
    names = np.char.add(np.char.add(ACTION_NAMES[contacts.action], "_"), month)
    for some, letter, propensity in ((~needless, "K", actions.PROPENSITY), (needless, "N", 1 - UNTREATED_SHARE)):
        made = contacts.of(np.flatnonzero(some))
        _contacts(chunk, made, chunk.tags(letter, made.row, made.day, made.action % 10), names[some], propensity)
    for number, answer in enumerate(ANSWERS):
        found, answered = chunk.story.shocks[answer.kind], chunk.story.answers[answer.kind]
        drawn = np.flatnonzero((answered.day != NO_ANSWER) & (answered.day < chunk.calendar.days))
        _, first = np.unique(found.row[drawn] * MOST_DAYS + answered.day[drawn], return_index=True)  # one call for both
        row, day, arm = (values[drawn[first]] for values in (found.row, answered.day, answered.arm))
        action = np.full(len(row), actions.ACTIONS.index(answer.action))
        made = actions.Contacts(row, day, action, np.maximum(arm - 1, 0), arm > 0, np.zeros(len(row)))
        _contacts(chunk, made, chunk.tags("A", row, day, number), np.full(len(row), answer.action), 1 - UNTREATED_SHARE)


def _contacts(
    chunk: Chunk, contacts: actions.Contacts, tags: np.ndarray, campaign: np.ndarray, propensity: float
) -> None:
    """Collects the rows of one kind of campaign: who was drawn, and what those said who were contacted."""
    keep = np.flatnonzero(contacts.day <= chunk.story.last_use[contacts.row])
    made, tags, campaign = contacts.of(keep), tags[keep], campaign[keep]
    channel = CHANNEL_NAMES[made.action, made.channel]
    second = 14 * HOUR + 600 * (chunk.chance("contact.time", made.row, made.day) * 30).astype(np.int64)
    chunk.rows(
        "contacts", made.row, made.day, second, contact_id=tags, campaign=campaign, action=ACTION_NAMES[made.action],
        channel=channel, arm=np.where(made.treated, "treated", "control"), propensity=propensity,
    )  # fmt: skip
    hit = np.flatnonzero(made.treated)
    made, second, tags, channel = made.of(hit), second[hit], tags[hit], channel[hit]
    accepted = chunk.chance("outcome.accepted", made.row, made.day) < _acceptance(chunk, made)
    draw = chunk.chance("outcome", made.row, made.day)
    answers = np.array(["no_answer", "solved", "declined", "thinking", "never_again"])
    answer = answers[np.searchsorted([0.65, 0.84, 0.97, 0.995], draw, side="right")]
    answer = np.where(accepted, "accepted", answer)
    done = (channel == "call") | accepted
    chunk.rows(
        "outcomes", made.row[done], made.day[done], second[done] + 900, contact_id=tags[done], outcome=answer[done],
        accepted=accepted[done], order_reference=np.where(accepted[done], np.char.add("R", tags[done]), ""),
    )  # fmt: skip


def _acceptance(chunk: Chunk, made: actions.Contacts) -> np.ndarray:
    """Returns the chance that each contact's offer is taken."""
    chance = np.zeros(len(made.row))
    for number in np.unique(made.action):
        mine = np.flatnonzero(made.action == number)
        people = chunk.people.take(made.row[mine])
        chance[mine] = actions.acceptance(chunk.calendar, people, actions.ACTIONS[number], made.channel[mine])
    return chance
