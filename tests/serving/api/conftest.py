"""A small real world for the API: a simulated operator, landed, built, published, scored, fitted, and three models."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient

from features.feeds.landed.reading import Feeds
from features.feeds.landing.landing import land
from features.feeds.mapping.sources import load_source
from features.kit.home import Home
from features.portraits.build.build import build_portraits
from features.portraits.reading import Portraits
from features.portraits.vector import encode
from features.simulator.step import simulate_to
from features.store.publish import publish
from serving.api.app import create_app
from serving.database.keys import SCOPES, create_key
from serving.database.session import open_database
from serving.product_fit.step import fit_base
from tests.serving.scoring.conftest import score_base
from tests.world import AS_OF, boosted, promote, write_bundle

TARGETS = ("churn", "complaint")


@dataclass
class World:
    """What the tests share; they must leave feeds, portraits and scores as they are."""

    home: Home
    ids: list[str]
    cards: dict[str, dict]

    def key(self, *scopes, province=None, city=None, name="test"):
        """Returns the headers of a new key with these scopes (all of them if none is named)."""
        chosen = frozenset(scopes or SCOPES)
        engine = open_database(self.home)
        _, full = create_key(engine, name, chosen, province=province, city=city, actor="test")
        engine.dispose()
        return {"Authorization": f"Bearer {full}"}


def copy_of(home, folder):
    """Returns a copy of a home whose ledger this process may hold open.

    Another process copies it: whoever closes a file of a SQLite database takes the locks from its own connections.
    """
    subprocess.run(["cp", "-a", home.root, folder], check=True)
    return Home(folder)


def train_bundle(home, portraits, target, *, seed, version="v1"):
    """Writes and promotes a small real LightGBM model of a made-up risk."""
    features, table = portraits.feature_list, portraits.read(AS_OF)
    values = encode(table, features)
    dice = np.random.default_rng(seed)
    weights = dice.normal(size=values.shape[1])
    spread = np.nan_to_num(values.astype(np.float64))
    spread = (spread - spread.mean(0)) / (spread.std(0) + 1e-9)
    labels = (spread @ weights + dice.normal(size=len(values)) > 0).astype(np.float64)
    model = boosted(values, labels, features, seed=seed, trees=30, leaves=7)
    write_bundle(home, features, values, model, target=target, version=version, widest=3.0)
    promote(home, target, version)


@pytest.fixture(scope="session")
def world(tmp_path_factory) -> World:
    """Returns the shared world."""
    root = tmp_path_factory.mktemp("api")
    simulate_to(root / "sim", customers=220, months=7, seed=5)
    home = Home(root / "home")
    land(load_source(Path("configs/sources/simulator.yaml")), root / "sim" / "files", home)
    feeds = Feeds.open(home)
    assert feeds.latest_as_of() == AS_OF
    build_portraits(home, feeds, [AS_OF])
    publish(home, AS_OF)
    portraits = Portraits.open(home)
    for seed, target in enumerate(TARGETS):
        train_bundle(home, portraits, target, seed=seed)
        score_base(home, target, AS_OF, check_in_child=False)
    fit_base(home, AS_OF)
    import orjson

    table = portraits.read(AS_OF, ["customer_id", "facts"])
    facts = [orjson.loads(text) for text in table["facts"].to_pylist()]
    ids = table["customer_id"].to_pylist()
    return World(home, ids, {one: fact["card"] for one, fact in zip(ids, facts, strict=True)})


@pytest.fixture(scope="session")
def client(world):
    """Returns a client of the running application, without a key."""
    with TestClient(create_app(world.home, check_in_child=False), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="session")
def everything(world):
    """Returns the headers of a key with every scope."""
    return world.key()


@pytest.fixture
def fresh(world, tmp_path):
    """Returns a copy of the world that a test may change, with a client and a key of every scope."""
    home = copy_of(world.home, tmp_path / "home")
    changed = type(world)(home, world.ids, world.cards)
    with TestClient(create_app(home, check_in_child=False), raise_server_exceptions=False) as client:
        yield changed, client, changed.key()
