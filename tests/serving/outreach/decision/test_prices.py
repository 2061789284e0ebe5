"""Places are shared so that nearly nothing is left of what the linear program would gain (perf-9 at full size)."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linprog
from scipy.sparse import coo_matrix, vstack

from serving.outreach.decision.allocate import allocate
from tests.bench.perf_9 import ACTIONS, SHARES, TEAMS, drawn, options_of

CUSTOMERS = 2_000


def missing() -> float:
    """Returns by how many % an allocation is worth less than the optimum of the linear program."""
    values = drawn(CUSTOMERS, seed=1)
    capacity = np.maximum(1, SHARES * CUSTOMERS).astype(np.int64)
    places = {(f"team{team}", "skill"): int(count) for team, count in enumerate(capacity)}
    chosen, _, _ = allocate(options_of(values), places, lambda _: True)
    assert len({one.person_id for one in chosen}) == len(chosen) <= capacity.sum()
    every = np.arange(values.size)
    ones = np.ones(values.size)
    persons = coo_matrix((ones, (every // ACTIONS, every)), shape=(CUSTOMERS, values.size))
    teams = coo_matrix((ones, (np.tile(TEAMS, CUSTOMERS), every)), shape=(len(capacity), values.size))
    limits = np.concatenate([np.ones(CUSTOMERS), capacity])
    worth = np.where(values > 1, values, 0).ravel()
    best = linprog(-worth, A_ub=vstack([persons, teams]), b_ub=limits, method="highs")
    return float(100 * (1 - sum(one.value for one in chosen) / -best.fun))


def test_an_allocation_is_worth_nearly_the_optimum() -> None:
    """At most .1 % below the linear program over persons and teams, with every person once and no team overdrawn."""
    assert 0 <= missing() + 1e-9 <= 0.1


def test_by_value_alone_more_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Canary: without prices the best of everybody goes first, and teams that others need are used up."""
    monkeypatch.setattr("serving.outreach.decision.allocate.prices_of", lambda _, capacity: np.zeros(len(capacity)))
    assert missing() > 1
