"""A stored score of a past day comes out again from the landed feeds, to the last bit, whatever has landed since."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from features.feeds.landed.reading import Feeds
from features.feeds.landing.landing import land
from features.feeds.mapping.sources import load_source
from features.kit.cli import create_app
from features.kit.errors import BundleError, DataError, NotFoundError
from features.kit.files import write_parquet
from features.kit.home import Home
from features.portraits.build import rebuild as arrivals
from features.portraits.build.build import build_portraits
from features.portraits.reading import Portraits
from features.portraits.vector import encode
from serving.scoring.batch.replay import replay
from tests.serving.scoring.conftest import make_bundle, score_base
from tests.world import promote

AS_OF = date(2026, 6, 1)
MAPPING = """
operator: {name: small, time_zone: Asia/Shanghai, currency: {code: CNY, scale: 3}}
delivered_from: 2026-01-01
delivered_until: 2026-06-05
files:
  customers: {path: "customers*.csv"}
  calls: {path: "calls*.csv"}
  persons: {path: "persons*.csv"}
feeds:
  customers: {select: "SELECT id AS customer_id, TIMESTAMP '2025-01-01 10:00:00' AS event_at, 'consumer' AS kind, known AS known_at FROM customers"}
  hotline_calls: {select: "SELECT id AS customer_id, k AS call_id, called AS event_at, known AS known_at, topic, true AS agent FROM calls"}
  persons: {select: "SELECT id AS customer_id, person AS person_id, 'A1' AS account_id, 'main' AS role, DATE '2025-01-01' AS valid_from, known AS known_at FROM persons"}
"""
TOPICS = ("network", "billing", "roaming")


@dataclass
class World:
    """A home whose scores of AS_OF are stored, and the folder of its deliveries."""

    home: Home
    folder: Path

    def deliver(self, name: str, lines: list[str]) -> None:
        (self.folder / name).write_text("\n".join(lines) + "\n")

    def land(self, arrived: str) -> None:
        at = datetime.fromisoformat(arrived).replace(tzinfo=UTC)
        land(load_source(self.folder / "small.yaml"), self.folder, self.home, arrived_at=at)

    def build(self) -> bytes:
        """Builds AS_OF and returns the portraits' values."""
        build_portraits(self.home, Feeds.open(self.home), [AS_OF])
        portraits = Portraits.open(self.home)
        return encode(portraits.read(AS_OF), portraits.feature_list).tobytes()


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Returns a world that was delivered on 1 June, built, and scored by one model; tests only read it."""
    tmp_path = tmp_path_factory.mktemp("replay")
    made = World(Home(tmp_path / "home"), tmp_path)
    (tmp_path / "small.yaml").write_text(MAPPING)
    rng = np.random.default_rng(4)
    made.deliver("customers_1.csv", ["id,known", *(f"c{n:03d},2025-01-02 00:00:00" for n in range(120))])
    made.deliver(
        "persons_1.csv", ["id,person,known", *(f"c{n:03d},p{n // 2:03d},2025-01-02 00:00:00" for n in range(120))]
    )
    calls = [
        f"c{rng.integers(0, 120):03d},k{n},2026-05-{day:02d} 10:00:00,2026-05-{day:02d} 11:00:00,{TOPICS[n % 3]}"
        for n in range(500)
        for day in [int(rng.integers(1, 31))]
    ]
    made.deliver("calls_1.csv", ["id,k,called,known,topic", *calls])
    made.land("2026-06-01T02:00:00")
    made.build()
    portraits = Portraits.open(made.home)
    make_bundle(made.home, portraits.feature_list, encode(portraits.read(AS_OF), portraits.feature_list))
    promote(made.home, "churn", "v1")
    score_base(made.home, "churn", AS_OF, check_in_child=False)
    return made


@pytest.fixture
def world(scored: World, tmp_path: Path) -> World:
    """Returns a copy of the scored world that a test may change."""
    shutil.copytree(scored.folder, tmp_path / "world")
    return World(Home(tmp_path / "world" / "home"), tmp_path / "world")


def deliver_late(world: World) -> None:
    """Delivers, on 3 June, what changes 1 June: a call and a correction known in May, and a person link of then."""
    world.deliver(
        "calls_2.csv",
        ["id,k,called,known,topic", "c005,late,2026-05-20 10:00:00,2026-05-20 11:00:00,billing",
         *(f"c006,k{n},2026-05-28 10:00:00,2026-05-29 12:00:00,roaming" for n in range(6))],
    )  # fmt: skip
    world.deliver("persons_2.csv", ["id,person,known", "c007,p900,2025-02-02 00:00:00"])
    world.land("2026-06-03T02:00:00")


def test_a_stored_score_comes_out_again(scored: World):
    """Every column of every customer, with the rank table, and of one customer alone."""
    world = scored
    (all_of_them,) = replay(world.home, AS_OF, check_in_child=False)
    assert (all_of_them.compared, all_of_them.different, all_of_them.notes) == (120, 0, ())
    (one,) = replay(world.home, AS_OF, customer_id="c007", target="churn", version="v1", check_in_child=False)
    assert (one.compared, one.is_equal, one.stored["customer_id"]) == (1, True, "c007")


def test_a_version_that_is_gone_is_told_before_anything_is_built(world: World, monkeypatch: pytest.MonkeyPatch):
    """The error names the folder and says what to do; no portrait is built for it."""
    shutil.rmtree(world.home.bundles / "churn" / "v1")
    monkeypatch.setattr("serving.scoring.batch.replay.portrait_again", lambda *_, **__: pytest.fail("built a portrait"))
    with pytest.raises(BundleError, match=r"churn/v1") as refused:
        replay(world.home, AS_OF, check_in_child=False)
    assert refused.value.remedy


def test_a_damaged_batch_and_an_unknown_version_are_named(world: World):
    """Half a file is no batch: its path and the way on are told; a version that never was leads to the list of models."""
    with pytest.raises(NotFoundError) as unknown:
        replay(world.home, AS_OF, version="v9", check_in_child=False)
    assert "insight models" in unknown.value.remedy
    (path,) = world.home.scores.glob("churn/v1/as_of=*/scores.parquet")
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(DataError, match=r"scores\.parquet: not a whole Parquet file"):
        replay(world.home, AS_OF, check_in_child=False)


def test_late_deliveries_do_not_change_what_was_known_here_then(world: World, monkeypatch: pytest.MonkeyPatch):
    """Portraits rebuilt after a late delivery differ, the stored scores still come out; without the guard they do not."""
    before = world.build()
    deliver_late(world)
    assert world.build() != before
    (again,) = replay(world.home, AS_OF, check_in_child=False)
    assert again.is_equal
    assert any("rows that arrived after 2026-06-01T02:00:00 are left out" in note for note in again.notes)
    monkeypatch.setattr(arrivals.ArrivedEngine, "_is_late", lambda self, feed: False)
    (blind,) = replay(world.home, AS_OF, check_in_child=False)
    assert not blind.is_equal
    assert {"c005", "c006"} & {one.customer_id for one in blind.differences}


def test_scores_of_two_versions_and_two_deliveries_each_come_out(world: World):
    """A second version that scored after the late delivery is replayed beside the first, each as the feeds lay then.

    The first is of a former release, which explained some customers only and kept no contributions.
    """
    (path,) = world.home.scores.glob("churn/v1/as_of=*/scores.parquet")
    table = pq.read_table(path, partitioning=None).drop_columns(["reason_contributions"])
    codes = pc.if_else(
        pc.greater(table["percentile"], 80), table["reason_codes"], pa.scalar(None, table["reason_codes"].type)
    )
    write_parquet(path, table.set_column(table.column_names.index("reason_codes"), "reason_codes", codes))
    deliver_late(world)
    world.build()
    portraits = Portraits.open(world.home)
    make_bundle(
        world.home, portraits.feature_list, encode(portraits.read(AS_OF), portraits.feature_list), version="v2", seed=8
    )
    promote(world.home, "churn", "v2")
    score_base(world.home, "churn", AS_OF, check_in_child=False)
    found = replay(world.home, AS_OF, check_in_child=False)
    assert [(one.version, one.is_equal) for one in found] == [("v1", True), ("v2", True)]


def test_one_changed_bit_is_found_and_named(world: World):
    """A stored propensity moved by the least step, and a reason exchanged: exit code 1 and the customer by name."""
    path = next(world.home.scores.glob("churn/v1/*/scores.parquet"))
    table = pq.read_table(path, partitioning=None)
    values = table["propensity"].to_numpy().copy()
    values[17] = np.nextafter(values[17], 1.0)
    changed = table.set_column(table.column_names.index("propensity"), "propensity", pa.array(values))
    write_parquet(path, changed)
    command = ["replay", "--as-of", str(AS_OF), "--home", str(world.home.root), "--json"]
    said = CliRunner().invoke(create_app(), command)
    assert said.exit_code == 1
    (one,) = json.loads(said.stdout)["replays"]
    assert [(diff["customer_id"], diff["name"]) for diff in one["differences"]] == [("c017", "propensity")]
    assert CliRunner().invoke(create_app(), [*command, "--customer", "c016"]).exit_code == 0
    reasons = pc.if_else(
        pc.equal(table["customer_id"], "c016"),
        pa.scalar(["bill.arrears"], table.schema.field("reason_codes").type),
        table["reason_codes"],
    )
    write_parquet(path, table.set_column(table.column_names.index("reason_codes"), "reason_codes", reasons))
    said = CliRunner().invoke(create_app(), [*command[:-1], "--customer", "c016"])
    assert said.exit_code == 1
    assert "c016 reason_codes: stored ['bill.arrears']" in said.stdout


def test_what_was_never_stored_is_told_with_the_days_that_are(scored: World):
    """An unknown day, target or customer is one line with a remedy."""
    world = scored
    with pytest.raises(NotFoundError, match="no score is stored as of 2026-05-01") as problem:
        replay(world.home, date(2026, 5, 1))
    assert problem.value.remedy == "stored days: 2026-06-01"
    with pytest.raises(NotFoundError, match="no score of upgrade is stored"):
        replay(world.home, AS_OF, target="upgrade")
    with pytest.raises(NotFoundError, match="customer 'nobody' has no stored score"):
        replay(world.home, AS_OF, customer_id="nobody")
