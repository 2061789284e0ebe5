"""What a missing feed is said to cost is what a build without it shows."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import duckdb
import pytest

from features.feeds.contracts import FEEDS
from features.feeds.costs import board
from features.feeds.landed.reading import Feeds
from features.feeds.landing.landing import land
from features.feeds.mapping.sources import load_source
from features.kit.home import Home
from features.portraits.build.build import build_portraits
from features.portraits.costs import fact_stands
from features.simulator.step import simulate_to
from tests.results import figure, record

pytestmark = pytest.mark.soak
EVERY = frozenset(FEEDS) - {"attributes"}


def _seen(home: Home, feeds: Feeds) -> tuple[set[str], set[str], set[str]]:
    """Returns the features that anybody has, the facts that hold for anybody, and the classes."""
    build_portraits(home, feeds, [date(2026, 6, 1)])
    path = next(home.portraits.rglob("portrait.parquet"))
    with duckdb.connect() as connection:
        names = [row[0] for row in connection.execute(f"SELECT column_name FROM (DESCRIBE FROM '{path}')").fetchall()]
        counts = connection.execute(f"SELECT {', '.join(f'count({name})' for name in names)} FROM '{path}'").fetchone()
        keys = f"SELECT DISTINCT unnest(json_keys(facts, '$.reasons')) FROM '{path}'"
        codes = {row[0] for row in connection.execute(keys).fetchall()}
        classes = {r[0] for r in connection.execute(f"SELECT DISTINCT primary_class FROM '{path}'").fetchall()}
    return {name for name, count in zip(names, counts, strict=True) if count}, codes, classes


def test_a_build_without_a_feed_lacks_what_was_foretold(tmp_path):
    """Each feed but customers in turn: exactly the foretold features are empty, no foretold fact or class appears."""
    simulate_to(tmp_path / "sim", customers=1536, months=8, seed=7)
    home = Home(tmp_path / "home")
    land(load_source(Path("configs/sources/simulator.yaml")), tmp_path / "sim" / "files", home)
    feeds, items = Feeds.open(home), board()
    whole, _, _ = _seen(Home(tmp_path / "whole"), feeds)
    links = {"persons": "person_links", "numbers": "number_flags"}
    wrong, judged = [], 0
    for feed in sorted(feeds.names - {"customers"}):
        landed = {name: one for name, one in feeds.manifest.feeds.items() if name != feed}
        derived = {name: one for name, one in feeds.manifest.derived.items() if name != links.get(feed)}
        less = Feeds(home, feeds.manifest.model_copy(update={"feeds": landed, "derived": derived}))
        features, codes, classes = _seen(Home(tmp_path / feed), less)
        present = EVERY - {feed}
        foretold = {
            kind: {name for (what, name), item in items.items() if what == kind and not item.stands(present)}
            for kind in ("feature", "class")
        }
        judged += len(foretold["feature"]) + len(foretold["class"])
        if (whole - features) != foretold["feature"] & whole:
            wrong += [(feed, name) for name in sorted((whole - features) ^ (foretold["feature"] & whole))]
        facts = {code for code, can in fact_stands(present).items() if not can}
        wrong += [(feed, name) for name in sorted(codes & facts | classes & foretold["class"])]
    record("soak", [
        figure("deliver-3", "what a missing feed costs, foretold against built", len(wrong), goal=0, met=not wrong,
               compared_with="portraits built without each feed in turn", rounds=[f"{judged} foretold losses"]),
    ])  # fmt: skip
    assert wrong == []
