"""A small town of customers whose feeds, portraits and scores a test writes by hand, landed for real."""

from __future__ import annotations

import shutil
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from features.feeds.landed.reading import Feeds
from features.kit.home import Home
from serving.outreach.policy.ledger_facts import LedgerFacts
from serving.outreach.policy.policy import PolicyBook
from serving.outreach.policy.states import FeedStates, read_states
from serving.outreach.settings import OutreachSettings, load_settings
from tests.world import AS_OF, Town, write_people, write_scores


def states_of(feeds: Feeds, on: date = AS_OF) -> FeedStates:
    """Returns what a town's feeds say about contacts on a day."""
    return read_states(feeds, on, load_settings())


def policy_of(states: FeedStates, settings: OutreachSettings, ledger: LedgerFacts | None = None) -> PolicyBook:
    """Returns the policy of a town on the first of June."""
    return PolicyBook(settings, states, ledger or LedgerFacts(), AS_OF)


@pytest.fixture(scope="session")
def settings() -> OutreachSettings:
    """The shipped configuration with an empty control group; a test that needs one says so."""
    shipped = load_settings()
    return shipped.model_copy(update={"control": shipped.control.model_copy(update={"share": 0.0})})


@pytest.fixture(scope="session")
def crowd_home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """120 customers with churn scores, forty of them with a duty or a service fact; landed once."""
    town = Town(tmp_path_factory.mktemp("crowd"))
    people: dict[str, dict[str, Any]] = {}
    for k in range(120):
        one = f"C{k:04d}"
        town.customer(one)
        reasons: dict[str, Any] = {}
        if k % 6 == 0:
            reasons["service.ticket_overdue"] = {"ticket": f"T{k}", "hours": 30}
        elif k % 6 == 1:
            reasons["bill.unknown_charge"] = {"item": "视频会员", "amount": 15_000}
        people[one] = {"reasons": reasons}
    town.land()
    scores = {f"C{k:04d}": {"p": 0.3 + k / 1000, "band": "very_high" if k % 6 > 1 else "normal"} for k in range(120)}
    for day in (AS_OF, date(2026, 6, 2), date(2026, 6, 3), date(2026, 6, 4)):
        write_people(town.home, people, day)
        write_scores(town.home, "churn", scores, day)
    return town.home


@pytest.fixture
def crowd(crowd_home: Home, tmp_path: Path) -> Home:
    """A fresh copy of the crowd, without a ledger."""
    shutil.copytree(crowd_home.root, tmp_path / "home")
    return Home(tmp_path / "home")


def at(text: str) -> datetime:
    """Returns a UTC instant."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
