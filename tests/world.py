"""Small worlds for the tests of every room: feeds landed for real; portraits, scores and bundles as their contracts say.

A test that needs a home takes what it needs from here, one line each:

    town = Town(tmp_path)                     # rows per feed, landed by `town.land()` as an operator's files
    write_portraits(home, features, {AS_OF: table})
    write_people(home, {"C0001": {"reasons": ...}})
    write_scores(home, "churn", {"C0001": {"p": 0.3, "band": "high"}})
    write_bundle(home, features, values, boosted(values, labels, features), target="churn", version="v1")
    promote(home, "churn", "v1")

Two worlds live elsewhere, because what they test lies below the landing: `tests/features/feeds/conftest.py` (an operator
whose mapping itself is tested) and `tests/features/portraits/conftest.py` (landed rows written without any landing).
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from features.feeds.landed.reading import Feeds
from features.feeds.landing.landing import land
from features.feeds.landing.reports import LandingReport
from features.feeds.mapping.sources import Source
from features.kit.config import parse_config
from features.kit.files import write_json, write_parquet
from features.kit.home import Home
from features.portraits.feature_list import FeatureList
from features.portraits.reading import PORTRAIT_FILE, partition
from training.bundle import BundleFeature, Manifest, import_lightgbm, write
from training.knots import Calibration

AS_OF = date(2026, 6, 1)
EARLY = "2026-01-05 10:00:00"
BANDS = {"very_high": 99.5, "high": 97.0, "raised": 85.0, "normal": 40.0}
USES_LESS: dict[str, dict[str, Any]] = {"usage.falling": {"pct": 30}}
"""A fact that a service review answers and that is not for the customer's ear."""
PROMISED = (0.001, 0.004, 0.01, 0.02, 0.05, 0.1, 0.3, 0.5, 0.9)
"""The propensities at the knots of every small bundle."""


@dataclass
class Town:
    """Rows per feed; every customer gets a person, a verified number and all consents unless told otherwise.

    Attributes:
        root: The folder that holds its files (`data`) and its home (`home`).
        rows: Rows by feed, as the operator would write them.
        raw: Text that follows the rows of a feed's file, such as a spoilt line.
    """

    root: Path
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    raw: dict[str, str] = field(default_factory=dict)

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
        """Delivers all rows and opens the feeds."""
        self.deliver()
        return Feeds.open(self.home)

    def deliver(self, name: str = "", **limits: float) -> LandingReport:
        """Writes the rows as files, beside those delivered under another name, and lands all of them."""
        data = self.root / "data"
        data.mkdir(exist_ok=True)
        for feed, rows in self.rows.items():
            names = sorted({column for row in rows for column in row})
            with (data / f"{feed}{name}.csv").open("w", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, names)
                writer.writeheader()
                writer.writerows(rows)
                file.write(self.raw.get(feed, ""))
        content = {
            "operator": {"name": "town"},
            "files": {feed: {"path": f"{feed}*.csv"} | limits for feed in self.rows},
            "feeds": {feed: {"select": f"SELECT * FROM {feed}"} | limits for feed in self.rows},
            "delivered_until": AS_OF,
        }
        return land(parse_config(Source, content, source="town.yaml"), data, self.home)


def card(**changes: Any) -> dict[str, Any]:
    """Returns a customer's card."""
    known = {"plan_id": "L59", "plan_zh": "飞享59", "plan_en": "Easy 59", "months_with_us": 31, "vip_tier": "gold",
             "province": "Jiangsu", "city": "Nanjing", "arrears": 0, "arrears_due": None, "mean_bill": 100_000,
             "open_tickets": [], "best_channel": "app", "best_hours": [10, 19], "last_contact": None}  # fmt: skip
    return {**known, **changes}


def write_portraits(home: Home, features: FeatureList, tables: Mapping[date, pa.Table], **parquet: Any) -> None:
    """Writes portraits of a feature list by as-of date, and points the home at them."""
    features.save(home)
    write_json(home.portraits / "current.json", {"identity": features.identity})
    for as_of, table in tables.items():
        write_parquet(partition(home.portraits / features.identity, as_of) / PORTRAIT_FILE, table, **parquet)


def write_people(home: Home, people: dict[str, dict[str, Any]], as_of: date = AS_OF) -> None:
    """Writes portraits with only what a list reads: customer_id -> {"reasons": ..., "card": ..., "class": ...}.

    Who is given no reason uses less than before: without any, nobody would be on a list.
    """
    ids = sorted(people)
    facts = [
        orjson.dumps(
            {"class": "self_served", "missing": [], "reasons": people[one].get("reasons") or USES_LESS,
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
            "also_classes": [people[one].get("also", "") for one in ids],
            "facts": facts,
        }
    )
    write_portraits(home, FeatureList.declared(), {as_of: table})


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


def boosted(
    values: np.ndarray, labels: np.ndarray, features: FeatureList, *, seed: int, trees: int = 40, leaves: int = 15,
    **columns: Any,
) -> str:  # fmt: skip
    """Returns the text of a small LightGBM model: one thread, the same for the same rows and seed."""
    lightgbm = import_lightgbm()
    data = lightgbm.Dataset(
        values, labels, feature_name=list(features.names),
        params={"verbosity": -1, "min_data_per_group": 5, "max_bin": 63}, **columns,
    )  # fmt: skip
    settings = {
        "objective": "binary", "num_leaves": leaves, "min_data_in_leaf": 5, "num_threads": 1, "deterministic": True,
        "force_row_wise": True, "seed": seed, "verbosity": -1, "min_data_per_group": 5, "cat_smooth": 1.0,
    }  # fmt: skip
    return lightgbm.train(settings, data, num_boost_round=trees).model_to_string()


def write_bundle(
    home: Home, features: FeatureList, values: np.ndarray, model: str, *, target: str, version: str, widest: float = 6.0
) -> Path:
    """Writes a bundle whose calibration reaches from `-widest` to `widest`, and returns its folder."""
    manifest = Manifest(
        target=target,
        version=version,
        created_at="2026-06-01T00:00:00+00:00",
        portrait_identity=features.identity,
        features=tuple(BundleFeature(f.name, f.kind, f.categories) for f in features.features),
        base_rate=0.02,
        lead_days=0,
        horizon_days=30,
        label_delay_days=30,
        data_hash="d",
        config_hash="c",
        code_version="0",
    )
    knots = Calibration(np.linspace(-widest, widest, len(PROMISED)), np.array(PROMISED))
    return write(home.bundles, manifest, model, knots, values[:100], "# card\n")


def promote(home: Home, target: str, version: str) -> None:
    """Points the champion at a version."""
    write_json(home.bundles / target / "champion.json", {"version": version, "previous": None, "promoted_at": "now"})
