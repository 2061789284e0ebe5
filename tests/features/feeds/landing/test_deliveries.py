"""Months delivered one after the other, late, twice and corrected: one final state, whatever the order."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from features.feeds.contracts import LINKS
from features.feeds.landed.reading import Feeds
from features.feeds.landing.landing import land
from features.feeds.mapping.sources import Source
from features.kit.config import parse_config
from features.kit.errors import QuarantineLimitError
from features.kit.home import Home
from features.portraits.build.build import build_portraits
from features.simulator.step import simulate_to
from tests.results import figure, record

pytestmark = pytest.mark.xdist_group("deliveries")

ROOT = Path(__file__).parents[4]
CUSTOMERS, MONTHS = 64, 13
FEW = ("customers", "bills", "tickets")
ARRIVAL = datetime.fromisoformat("2026-07-01T08:00:00")
ORDERS_SHORT, ORDERS_FULL = 4, 500
AS_OF = (date(2026, 5, 1), date(2026, 6, 1))
AT_ONCE: dict[tuple[str, ...], Home] = {}
"""The homes to which everything was delivered at once, by the feeds."""


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the files of a small synthetic operator."""
    out = tmp_path_factory.mktemp("world")
    simulate_to(out, customers=CUSTOMERS, months=MONTHS, seed=11)
    return out / "files"


@pytest.fixture(scope="session")
def extracts(simulated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the operator's monthly extracts, one folder each.

    `history` holds all that was known before March, `202603` ... `202605` what became known in each month, `202604_again`
    repeats April with corrections that the operator made later.
    """
    out = tmp_path_factory.mktemp("extracts")
    edges = {"history": ("1900-01-01", "2026-03-01"), "202603": ("2026-03-01", "2026-04-01"),
             "202604": ("2026-04-01", "2026-05-01"), "202605": ("2026-05-01", "2100-01-01")}  # fmt: skip
    for source in sorted(simulated.glob("*.csv")) + sorted(path for path in simulated.iterdir() if path.is_dir()):
        read = f"read_csv('{source}', all_varchar=true)" if source.is_file() else f"read_parquet('{source}/*.parquet')"
        form = "FORMAT csv, HEADER" if source.is_file() else "FORMAT parquet"
        suffix = "csv" if source.is_file() else "parquet"
        for name, (start, end) in edges.items():
            (out / name).mkdir(exist_ok=True)
            rows = f"SELECT * FROM {read} WHERE known_at >= '{start}' AND known_at < '{end}'"
            duckdb.execute(f"COPY ({rows}) TO '{out / name / source.stem}.{suffix}' ({form})")
    again = out / "202604_again"
    shutil.copytree(out / "202604", again)
    for feed, key, change in (
        ("bills", "customer_id, period", "CAST(CAST(total AS DECIMAL(18, 3)) + 1 AS VARCHAR) AS total"),
        ("tickets", "ticket_id, event_at, status", "'corrected' AS text"),
        ("usage_monthly", "customer_id, period", "CAST(CAST(sms_count AS INT) + 1 AS VARCHAR) AS sms_count"),
    ):
        rows = f"read_csv('{out / '202604' / feed}.csv', all_varchar=true)"
        newest = f"SELECT * FROM {rows} QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY known_at DESC) = 1"
        corrected = (
            f"SELECT * REPLACE ({change}, '2026-05-20 09:00:00' AS known_at) FROM ({newest}) WHERE hash({key}) % 5 = 0"
        )
        both = f"SELECT * FROM {rows} UNION ALL {corrected}"
        duckdb.execute(f"COPY ({both}) TO '{again / feed}.csv' (FORMAT csv, HEADER)")
    return out


def mapping(only: tuple[str, ...] = ()) -> Source:
    """Returns the shipped mapping of the synthetic operator over folders of extracts, with some feeds or all."""
    content = yaml.safe_load((ROOT / "configs/sources/simulator.yaml").read_text(encoding="utf-8"))
    content["files"] = {
        name: file | {"path": f"*/{name}.{'parquet' if '/' in file['path'] else 'csv'}"}
        for name, file in content["files"].items()
        if not only or name in only
    }
    content["feeds"] = {name: feed for name, feed in content["feeds"].items() if not only or name in only}
    return parse_config(Source, {key: content[key] for key in ("operator", "files", "feeds")}, source="extracts")


def portraits(home: Home, day: date) -> list[tuple[Any, ...]]:
    """Returns every portrait as of a date, without the time of the build."""
    build_portraits(home, Feeds.open(home), [day])
    path = next(home.portraits.glob(f"*/as_of={day}/portrait.parquet"))
    rows = f"SELECT * EXCLUDE (built_at) FROM read_parquet('{path}', hive_partitioning=false) ORDER BY customer_id"
    return [tuple(map(repr, row)) for row in duckdb.sql(rows).fetchall()]


def deliver(home: Home, inbox: Path, source: Source, extracts: Path, names: list[tuple[str, str]]) -> None:
    """Puts extracts into the inbox, one after the other, and lands after each; (extract, name in the inbox).

    An extract whose customers are still to come is refused as a whole and lands with the next one.
    """
    for number, (extract, name) in enumerate(names):
        shutil.copytree(extracts / extract, inbox / name)
        with suppress(QuarantineLimitError):
            land(source, inbox, home, arrived_at=ARRIVAL + timedelta(days=number))


def state(home: Home) -> dict[str, Any]:
    """Returns everything that a reader may rely on: every version of every row, the personal links, the days covered.

    Only the time of arrival is left out: it is bookkeeping and never decides what was known.
    """
    feeds = Feeds.open(home)
    connection = feeds.connect(personal=True)
    found: dict[str, Any] = {"days": (feeds.first_day(), feeds.latest_as_of())}
    for name in [*sorted(feeds.names), *LINKS]:
        columns = [row[0] for row in connection.execute(f"SELECT column_name FROM (DESCRIBE {name})").fetchall()]
        kept = ", ".join(f'"{column}"' for column in sorted(columns) if column != "arrived_at")
        rows = f"SELECT {kept} FROM {name} ORDER BY ALL"
        found[name] = connection.execute(
            f"SELECT count(*), md5(string_agg(t::VARCHAR, ';')) FROM ({rows}) t"
        ).fetchone()
    connection.close()
    return found


@pytest.fixture(scope="session")
def at_once(extracts: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[tuple[str, ...]], dict[str, Any]]:
    """Returns a function from feeds to the state after everything was delivered at once."""
    known: dict[tuple[str, ...], dict[str, Any]] = {}

    def of(only: tuple[str, ...]) -> dict[str, Any]:
        if only not in known:
            home = Home(tmp_path_factory.getbasetemp() / f"at_once_{len(only)}")
            land(mapping(only), extracts, home, arrived_at=ARRIVAL)
            known[only], AT_ONCE[only] = state(home), home
        return known[only]

    return of


def test_months_one_after_the_other_end_like_all_at_once(extracts: Path, at_once: Any, tmp_path: Path) -> None:
    """March comes after April, April comes again with corrections: all 23 feeds and the portraits are as if at once."""
    home, inbox = Home(tmp_path / "home"), tmp_path / "inbox"
    order = ["history", "202604", "202603", "202605", "202604_again"]
    deliver(home, inbox, mapping(), extracts, [(name, name) for name in order])
    found, expected = state(home), at_once(())
    assert {name: found[name] for name in found if found[name] != expected.get(name)} == {}
    assert len(found) >= 20
    assert found["bills"][0] > 500
    differing = {str(day): portraits(home, day) != portraits(AT_ONCE[()], day) for day in AS_OF}
    assert differing == dict.fromkeys(map(str, AS_OF), False)
    assert len(portraits(home, AS_OF[-1])) > CUSTOMERS / 2


def test_a_lost_month_is_not_taken_for_the_whole(extracts: Path, at_once: Any, tmp_path: Path) -> None:
    """The canary: without the corrections, or without March, the states differ."""
    for missing in ("202604_again", "202603"):
        home = Home(tmp_path / missing)
        names = [name for name in ("history", "202603", "202604", "202605", "202604_again") if name != missing]
        deliver(home, tmp_path / f"{missing}_inbox", mapping(FEW), extracts, [(name, name) for name in names])
        assert state(home)["bills"] != at_once(FEW)["bills"]


def orders(count: int) -> Iterator[list[tuple[str, str]]]:
    """Yields random orders of the extracts, each with one to three of them delivered twice under another name."""
    for seed in range(count):
        dice = random.Random(seed)
        names = ["history", "202603", "202604", "202605", "202604_again"]
        deliveries = [(name, name) for name in names]
        deliveries += [(name, f"{name}_{k}") for k, name in enumerate(dice.sample(names, dice.randint(1, 3)))]
        dice.shuffle(deliveries)
        yield deliveries


@pytest.mark.parametrize(
    "count", [ORDERS_SHORT, pytest.param(ORDERS_FULL, marks=pytest.mark.soak)], ids=["short", "full"]
)
def test_any_order_of_late_and_repeated_deliveries_ends_in_one_state(
    extracts: Path, at_once: Any, tmp_path: Path, count: int
) -> None:
    """Deliveries in random orders, repeats among them: one final state, that of everything at once (deliver-2)."""
    source, different = mapping(FEW), []
    for number, deliveries in enumerate(orders(count)):
        home, inbox = Home(tmp_path / "home"), tmp_path / "inbox"
        deliver(home, inbox, source, extracts, deliveries)
        if state(home) != at_once(FEW):
            different.append((number, deliveries))
        shutil.rmtree(home.root)
        shutil.rmtree(inbox)
    if count == ORDERS_FULL:
        entry = figure(
            "deliver-2", "random orders of late and repeated deliveries that end in another state", len(different),
            goal=0, met=not different, compared_with="everything delivered at once", rounds=[count],
        )  # fmt: skip
        record("soak", [entry])
    assert different == []
