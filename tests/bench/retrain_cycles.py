"""Six retrain cycles of an operator whose contacts work, with and without corrected labels (model-6).

Each month the operator retrains, scores everybody, draws the riskiest tenth into a campaign, treats 80 % of them (the
rest is the control arm; both are logged with the propensity .8) and thereby takes away about half of their hazard of
leaving in the next 30 days. The simulator tells the story again with these contacts, so the next training sees what
they did. Labels, corrections, folds, learner and calibration are the product's own code; only the portraits are
replaced by what the same events leave behind (days since each kind of trouble, tenure, contract), since 48 landings
and builds would take hours.

The calibration slope of a cycle is that of a logistic regression of leaving *without* that cycle's contacts on the
promised log-odds: 1 is right, more promises too little to the riskiest. It is measured twice: against the simulator's
true probabilities, which leave no noise but that of the customers drawn, and against who really left in the story told
without those contacts (every draw of the simulator is a hash, so that story is exactly that world). The first decides,
the second stands beside it. Intervals are a bootstrap over customers.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any
from unittest import mock

import duckdb
import numpy as np
import pyarrow as pa

from features.feeds.contracts import FEEDS
from features.kit.home import Home
from features.simulator.oracle.closed_form import probability, state_of
from features.simulator.world.behaviour import Contracts, Events, Story, story_of
from features.simulator.world.calendar import Calendar
from features.simulator.world.contacts import actions
from features.simulator.world.contacts.effects import FIELD
from features.simulator.world.dice import Dice
from features.simulator.world.drivers import age, need_ratio
from features.simulator.world.population import Population, make_population
from features.simulator.world.shocks import Shocks
from tests.results import figure
from training.bundle import BundleFeature
from training.dataset.dataset import Dataset, thinned, thinned_split
from training.dataset.splits import temporal_split
from training.labels import own_actions
from training.labels.history import History
from training.labels.spine import Spine, spine
from training.labels.targets import OwnActions, load_target
from training.model.modelling import fit

CORRECTIONS = ("weight", "exclude", "model", "ignore")
KINDS = ("drift", "spell", "broadband", "binge", "late", "enquiry")
CUSTOMERS, WARM_UP, CYCLES = 16_000, 2, 6
CHUNK = 64 * 64
FIRST_MONTH, EVERY_DAYS, HISTORY_DAYS = 12, 15, 300
DRAWN, TREATED, STRENGTH = 0.10, 0.80, 0.80
CONTACT_AFTER_DAYS = 3
ROUNDS = 200
ZONE = "Asia/Shanghai"
Slope = tuple[float, float, float]
"""Value, and the ends of its 95 % interval."""
LOOK_BACK = 120


@dataclass(frozen=True)
class World:
    """One story of one operator; rows are customers."""

    dice: Dice
    calendar: Calendar
    people: Population
    story: Story

    @property
    def ids(self) -> np.ndarray:
        """Returns the ids, ascending like the rows."""
        return np.char.zfill(np.arange(len(self.people)).astype(str), 8)


def run(home: Home) -> Iterator[dict[str, Any]]:
    """Yields one entry a correction: the mean slope of six cycles, and each with its interval."""
    del home
    found = cycles(CUSTOMERS, WARM_UP, CYCLES)
    for correction in CORRECTIONS:
        slopes = [one["true"][0] for one in found[correction]]
        mean, corrected = float(np.mean(slopes)), correction != "ignore"
        yield figure(
            "model-6",
            f"calibration slope over {CYCLES} retrain cycles, labels: {correction}",
            round(mean, 3),
            goal="mean 1 +- .05, each 1 +- .15" if correction == "weight" else None,
            met=abs(mean - 1) <= 0.05 and all(abs(one - 1) <= 0.15 for one in slopes)
            if correction == "weight"
            else None,
            compared_with="true probabilities without the cycle's contacts" + ("" if corrected else "; no correction"),
            rounds=[
                {name: [round(part, 3) for part in one[name]] for name in ("true", "happened")}
                for one in found[correction]
            ],
        )


def cycles(
    customers: int, warm_up: int, count: int, corrections: Sequence[str] = CORRECTIONS
) -> dict[str, list[dict[str, Slope]]]:
    """Returns per correction the slopes of each cycle after the warm-up: against `true` and against what `happened`."""
    months = FIRST_MONTH + warm_up + count + 1
    dice, calendar = Dice(7), Calendar(end=date(2026, 6, 1), months=months)
    people = make_population(dice, calendar, customers, np.arange(customers))
    contacts = _no_contacts()
    found: dict[str, list[dict[str, Slope]]] = {name: [] for name in corrections}
    for cycle in range(warm_up + count):
        world = World(dice, calendar, people, _told(dice, calendar, people, contacts))
        day = int(calendar.month_starts[FIRST_MONTH + cycle])
        here = np.flatnonzero((people.kind == 0) & (people.activated < day - 90) & (world.story.last_use >= day))
        left = (world.story.last_use[here] < day + 30).astype(float)
        truth = _true_probability(world, day)
        promised = {}
        for correction in corrections if cycle >= warm_up else corrections[:1]:
            promised[correction] = retrained(world, contacts, day, here, correction)
            if cycle >= warm_up:
                found[correction].append(
                    {"true": slope(promised[correction], truth[here]), "happened": slope(promised[correction], left)}
                )
        told = ", ".join(f"{name} {found[name][-1]['true'][0]:.3f}" for name in corrections if found[name])
        print(f"{calendar.civil(day)}: {len(here):,} customers, {left.sum():.0f} leave; {told}", file=sys.stderr)
        contacts = _with_campaign(world, contacts, day, here, promised[corrections[0]], truth)
    return found


def _true_probability(world: World, day: int) -> np.ndarray:
    """Returns P(leaving in 30 days | state) with no further contact: this operator has no other campaigns."""
    with mock.patch.object(actions, "CAMPAIGN_SHARE", 0.0):
        state = state_of(world.dice, world.calendar, world.people, world.story)
        return probability(state, world.calendar, "churn", day)


def retrained(world: World, contacts: actions.Contacts, day: int, here: np.ndarray, correction: str) -> np.ndarray:
    """Returns what a model trained on the day promises the customers who are here."""
    target = load_target("churn").model_copy(update={"own_actions": OwnActions(correction=correction)})
    last = day - target.embargo_days
    dates = [world.calendar.civil(one) for one in range(last, max(last - HISTORY_DAYS, LOOK_BACK), -EVERY_DAYS)]
    with duckdb.connect() as connection:
        chosen = spine(_history(connection, world, contacts), target, dates)
    data = _matrix(world, contacts, chosen)
    split = temporal_split(data.as_of, data.labels, target.embargo_days, target.folds)
    assert split is not None
    if data.treated is not None:
        untreated = ~data.treated
        split = replace(split, folds=tuple(replace(fold, test=fold.test[untreated[fold.test]]) for fold in split.folds))
    thin = target.learner.negatives_per_positive
    final = thinned(data.labels, np.arange(len(data.labels)), thin, seed=7)
    fitted = fit(target, data, thinned_split(split, data.labels, thin, seed=7), final, seed=7, threads=1)
    now = features_on(world, contacts, day)[here]
    return fitted.calibration.propensity(fitted.model.decision_function(now))


def slope(promised: np.ndarray, happened: np.ndarray) -> Slope:
    """Returns the calibration slope with its 95 % bootstrap interval over customers."""
    logit = np.log(promised / (1 - promised))
    random = np.random.default_rng(7)
    found = [_slope(logit, happened, np.ones(len(logit)))]
    found += [_slope(logit, happened, random.poisson(1.0, len(logit)).astype(float)) for _ in range(ROUNDS)]
    low, high = np.percentile(found[1:], [2.5, 97.5])
    return found[0], float(low), float(high)


def _slope(x: np.ndarray, y: np.ndarray, weight: np.ndarray) -> float:
    """Returns the slope of a logistic regression by Newton's method."""
    design, beta = np.column_stack([x, np.ones(len(x))]), np.array([1.0, 0.0])
    for _ in range(30):
        fitted = 1 / (1 + np.exp(-design @ beta))
        gradient = design.T @ (weight * (y - fitted))
        step = np.linalg.solve((design * (weight * fitted * (1 - fitted))[:, None]).T @ design, gradient)
        beta += step
        if np.abs(step).max() < 1e-8:
            break
    return float(beta[0])


def features_on(world: World, contacts: actions.Contacts, day: int) -> np.ndarray:
    """Returns what is known about everybody before a day, float32 [customers, features]."""
    people, story = world.people, world.story
    columns = [
        day - people.activated, people.contract_type, people.broadband, people.quality, need_ratio(people, people.plan),
        people.lateness > 0.1, people.digital, age(people, world.calendar), people.has_5g_device, people.line,
    ]  # fmt: skip
    ends = np.where(story.contracts.end > day - 60, story.contracts.end, 10**6).min(axis=1)
    columns.append(np.where(ends < 10**6, np.clip(ends - day, -60, 400), np.nan))
    for kind in KINDS:
        columns += _recency(story.shocks[kind].row, story.shocks[kind].day, day, len(people))
    columns += _recency(story.complaints.row, story.complaints.day, day, len(people))
    columns += _recency(contacts.row[contacts.treated], contacts.day[contacts.treated], day, len(people))
    return np.column_stack(columns).astype(np.float32)


def _recency(row: np.ndarray, when: np.ndarray, day: int, count: int) -> list[np.ndarray]:
    """Returns days since the newest event and the events of the look-back."""
    seen = (when < day) & (when >= day - LOOK_BACK)
    newest = np.full(count, -(10**6))
    np.maximum.at(newest, row[seen], when[seen])
    return [np.where(newest > 0, day - newest, np.nan), np.bincount(row[seen], minlength=count).astype(float)]


def _matrix(world: World, contacts: actions.Contacts, chosen: Spine) -> Dataset:
    rows = np.char.lstrip(chosen.table["customer_id"].to_numpy().astype(str), "0")
    place = np.where(rows == "", "0", rows).astype(np.int64)
    parts = []
    for day in np.unique(chosen.as_of):
        at = world.calendar.day(day.astype(object))
        parts.append(features_on(world, contacts, at)[place[chosen.as_of == day]])
    values = np.concatenate(parts)
    return Dataset(
        values=values, features=tuple(BundleFeature(f"f{k}", "number") for k in range(values.shape[1])),
        customers=chosen.table["customer_id"].to_numpy().astype(str), as_of=chosen.as_of, labels=chosen.labels,
        kinds=chosen.table["kind"].to_numpy().astype(str), rows=np.arange(len(values)),
        **own_actions.columns(chosen.table),
    )  # fmt: skip


def _history(connection: Any, world: World, contacts: actions.Contacts) -> History:
    """Returns the feeds that labels and corrections need, as known when they were recorded."""
    people, story, calendar = world.people, world.story, world.calendar
    connection.execute("SET TimeZone = 'UTC'; SET threads = 1")
    ids, consumer = world.ids, np.flatnonzero(people.kind == 0)
    joined = calendar.dates(people.activated[consumer])
    gone = np.flatnonzero((story.way > 0) & (people.kind == 0))
    left = calendar.dates(story.last_use[gone])
    reached = np.flatnonzero(contacts.day <= story.last_use[contacts.row])
    made = calendar.times(contacts.day[reached], np.full(len(reached), 6 * 3600))
    tables = {
        "customers": {"customer_id": ids[consumer], "event_at": joined.astype("datetime64[s]"), "activated_on": joined},
        "terminations": {
            "customer_id": ids[gone], "event_at": left.astype("datetime64[s]"), "last_used_on": left,
            "reason": np.full(len(gone), "cancel"), "known_at": (left + 1).astype("datetime64[s]"),
        },
        "contacts": {
            "customer_id": ids[contacts.row[reached]], "event_at": made, "action": np.full(len(reached), "review"),
            "contact_id": np.arange(len(reached)).astype(str), "propensity": np.full(len(reached), TREATED),
            "arm": np.where(contacts.treated[reached], "treated", "control"),
        },
    }  # fmt: skip
    for name, columns in tables.items():
        kinds = {"event_id": "VARCHAR", "customer_id": "VARCHAR", "event_at": "TIMESTAMP", "known_at": "TIMESTAMP",
                 "superseded_at": "TIMESTAMP"} | {one.name: one.sql_type for one in FEEDS[name].columns}  # fmt: skip
        known = {"known_at": columns["event_at"]} | columns
        connection.register("given", pa.table(known))
        listed = ", ".join(f"CAST({column} AS {kinds[column]}) AS {column}" for column in known)
        absent = ", ".join(f"CAST(NULL AS {kinds[c]}) AS {c}" for c in kinds if c not in known and c != "event_id")
        connection.execute(
            f"CREATE TABLE {name} AS SELECT {listed}, {absent}, CAST(row_number() OVER () AS VARCHAR) AS event_id FROM given"
        )
    return History(connection, frozenset(tables), ZONE)


def _told(dice: Dice, calendar: Calendar, people: Population, contacts: actions.Contacts) -> Story:
    """Returns the story of everybody, told in chunks that fit into memory."""
    parts = []
    for first in range(0, len(people), CHUNK):
        rows = np.arange(first, min(first + CHUNK, len(people)))
        mine = np.isin(contacts.row, rows)
        own = actions.Contacts(
            contacts.row[mine] - first, contacts.day[mine], contacts.action[mine], contacts.channel[mine],
            contacts.treated[mine], contacts.size[mine],
        )  # fmt: skip
        parts.append((first, story_of(dice, calendar, people.take(rows), own)))

    def events(kind: str) -> Events:
        found = [(getattr(part, kind), first) for first, part in parts]
        return Events(
            np.concatenate([one.row + first for one, first in found]), np.concatenate([one.day for one, _ in found])
        )

    def joined(name: str) -> np.ndarray:
        return np.concatenate([getattr(part, name) for _, part in parts])

    shocks = {
        kind: Shocks(
            np.concatenate([part.shocks[kind].row + first for first, part in parts]),
            np.concatenate([part.shocks[kind].day for _, part in parts]),
            np.concatenate([part.shocks[kind].mark for _, part in parts]),
        )
        for kind in parts[0][1].shocks
    }
    contracts = Contracts(
        np.concatenate([part.contracts.end for _, part in parts]),
        np.concatenate([part.contracts.renewed for _, part in parts]),
    )
    none = np.zeros(0, dtype=np.int64)
    return Story(
        shocks=shocks, answers={}, tiring=actions.SizedEvents(none, none, none.astype(float)), level=FIELD,
        contacts=contacts, contracts=contracts, complaints=events("complaints"),
        low_scores=events("low_scores"), orders=events("orders"), ordered=joined("ordered"),
        last_use=joined("last_use"), way=joined("way"),
    )  # fmt: skip


def _no_contacts() -> actions.Contacts:
    none = np.zeros(0, dtype=np.int64)
    return actions.Contacts(none, none, none, none, none.astype(bool), none.astype(float))


def _with_campaign(
    world: World, contacts: actions.Contacts, day: int, here: np.ndarray, promised: np.ndarray, truth: np.ndarray
) -> actions.Contacts:
    """Returns the contacts with one more campaign: the riskiest tenth, of whom most are treated and many kept."""
    drawn = here[promised >= np.quantile(promised, 1 - DRAWN)]
    arm = world.dice.uniform("bench.arm", world.people.number[drawn], day) < TREATED
    hazard = -np.log1p(-truth[drawn])
    parts = (
        (contacts.row, drawn),
        (contacts.day, np.full(len(drawn), day + CONTACT_AFTER_DAYS)),
        (contacts.action, np.full(len(drawn), actions.ACTIONS.index("service_review"))),
        (contacts.channel, np.zeros(len(drawn), dtype=np.int64)),
        (contacts.treated, arm),
        (contacts.size, -STRENGTH * hazard),
    )
    return actions.Contacts(*(np.concatenate(part) for part in parts))
