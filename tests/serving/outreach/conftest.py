"""A small town of customers whose feeds, portraits and scores a test writes by hand, landed for real."""

from __future__ import annotations

import csv
import shutil
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pytest

from features.feeds.landed.reading import Feeds
from features.feeds.landing.landing import land
from features.feeds.mapping.sources import Source
from features.kit.config import parse_config
from features.kit.files import write_json, write_parquet
from features.kit.home import Home
from features.portraits.feature_list import FeatureList
from serving.outreach.policy.ledger_facts import LedgerFacts
from serving.outreach.policy.policy import PolicyBook
from serving.outreach.policy.states import FeedStates, read_states
from serving.outreach.settings import OutreachSettings, load_settings

AS_OF = date(2026, 6, 1)
EARLY = "2026-01-05 10:00:00"
BANDS = {"very_high": 99.5, "high": 97.0, "raised": 85.0, "normal": 40.0}


@dataclass
class Town:
    """Rows per feed; every customer gets a person, a verified number and all consents unless told otherwise."""

    root: Path
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    @property
    def home(self) -> Home:
        return Home(self.root / "home")

    def add(self, feed: str, **row: Any) -> None:
        row.setdefault("event_at", EARLY)
        row.setdefault("known_at", row["event_at"])
        self.rows.setdefault(feed, []).append(row)

    def customer(self, customer_id: str, *, person: str | None = None, consents: bool = True, **columns: Any) -> None:
        known = {"activated_on": "2025-01-01", "kind": "consumer", "status": "active", "province": "Jiangsu",
                 "city": "Nanjing", "birth_year": 1988, "language": "zh"}  # fmt: skip
        self.add("customers", customer_id=customer_id, **{**known, **columns})
        person = person or customer_id.replace("C", "P")
        self.add("persons", customer_id=customer_id, person_id=person, account_id="A", role="main",
                 form_of_address="女士", valid_from="2025-01-01")  # fmt: skip
        number = "139" + f"{abs(int(customer_id[1:])):08d}"
        self.add("numbers", customer_id=customer_id, number=number, valid_from="2025-01-01 00:00:00", is_verified=True)
        if consents:
            for purpose in ("marketing", "retention", "service", "personalisation"):
                self.consent(customer_id, purpose)

    def consent(self, customer_id: str, purpose: str, *, channel: str = "all", granted: bool = True, at: str = EARLY):
        self.add("consents", customer_id=customer_id, purpose=purpose, channel=channel, granted=granted, event_at=at)

    def land(self) -> Feeds:
        data = self.root / "data"
        data.mkdir(exist_ok=True)
        files, feeds = {}, {}
        for feed, rows in self.rows.items():
            names = sorted({name for row in rows for name in row})
            with (data / f"{feed}.csv").open("w", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, names)
                writer.writeheader()
                writer.writerows(rows)
            files[feed] = {"path": f"{feed}.csv"}
            feeds[feed] = {"select": f"SELECT * FROM {feed}"}
        content = {"operator": {"name": "town"}, "files": files, "feeds": feeds, "delivered_until": AS_OF}
        land(parse_config(Source, content, source="town.yaml"), data, self.home)
        return Feeds.open(self.home)


def states_of(feeds: Feeds, on: date = AS_OF) -> FeedStates:
    """Returns what a town's feeds say about contacts on a day."""
    return read_states(feeds, on, load_settings())


def policy_of(states: FeedStates, settings: OutreachSettings, ledger: LedgerFacts | None = None) -> PolicyBook:
    """Returns the policy of a town on the first of June."""
    return PolicyBook(settings, states, ledger or LedgerFacts(), AS_OF)


def card(**changes: Any) -> dict[str, Any]:
    """Returns a customer's card."""
    known = {"plan_id": "L59", "plan_zh": "飞享59", "plan_en": "Easy 59", "months_with_us": 31, "vip_tier": "gold",
             "province": "Jiangsu", "city": "Nanjing", "arrears": 0, "arrears_due": None, "mean_bill": 100_000,
             "open_tickets": [], "best_channel": "app", "best_hours": [10, 19], "last_contact": None}  # fmt: skip
    return {**known, **changes}


def write_portraits(home: Home, people: dict[str, dict[str, Any]], as_of: date = AS_OF) -> None:
    """Writes portraits in the contract's layout: customer_id -> {"reasons": ..., "card": ..., "class": ...}."""
    features = FeatureList.declared()
    features.save(home)
    write_json(home.portraits / "current.json", {"identity": features.identity})
    ids = sorted(people)
    facts = [
        orjson.dumps(
            {"class": "self_served", "missing": [], "reasons": people[one].get("reasons", {}),
             "card": people[one].get("card", card())},
            option=orjson.OPT_SORT_KEYS,
        ).decode()
        for one in ids
    ]  # fmt: skip
    asked = [people[one].get("asked") for one in ids]
    table = pa.table(
        {
            "customer_id": ids,
            "roaming_enquiries_count_30d": pa.array(asked, pa.float32()),
            "use_recency_days": pa.array([people[one].get("idle_days", 1) for one in ids], pa.float32()),
            "primary_class": [people[one].get("class", "self_served") for one in ids],
            "facts": facts,
        }
    )
    write_parquet(home.portraits / features.identity / f"as_of={as_of}" / "portrait.parquet", table)


def write_scores(home: Home, target: str, scores: dict[str, dict[str, Any]], as_of: date = AS_OF) -> None:
    """Writes scores in the contract's layout: customer_id -> {"p": ..., "band": ..., "codes": [...]}."""
    ids = sorted(scores)
    table = pa.table(
        {
            "customer_id": ids,
            "propensity": [float(scores[one]["p"]) for one in ids],
            "percentile": [BANDS[scores[one]["band"]] for one in ids],
            "times_base": [float(scores[one]["p"]) / 0.02 for one in ids],
            "band": [scores[one]["band"] for one in ids],
            "reason_codes": pa.array([scores[one].get("codes") for one in ids], pa.list_(pa.string())),
        }
    )
    write_parquet(home.scores / target / "v1" / f"as_of={as_of}" / "scores.parquet", table)
    write_json(home.scores / target / "current.json", {"version": "v1", "as_of": as_of.isoformat()})


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
        write_portraits(town.home, people, day)
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
