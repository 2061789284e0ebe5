"""One world, two dialects, in full: the same portraits, scores and list; every spoilt file named and nothing published."""

from __future__ import annotations

import csv
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from features.feeds.landing.landing import land
from features.feeds.mapping.sources import load_source
from features.kit.clock import add_months
from features.kit.config import config_path
from features.kit.home import Home
from features.simulator.dialect.bss_cn import EXTRACTS
from features.simulator.dialect.write import write_dialect
from features.simulator.step import simulate_to
from tests.deliveries import MUTATIONS, Spoilt, outcome
from tests.results import figure, record

pytestmark = [pytest.mark.soak, pytest.mark.xdist_group("journey")]

AS_OF = date(2026, 6, 1)
MADE_ANEW = {"行号", "line_id"}


def _lines(path: Path) -> list[dict[str, str]]:
    """Returns a list's lines without their random keys."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return [{name: value for name, value in row.items() if name not in MADE_ANEW} for row in csv.DictReader(file)]


def _online(home: Home, ids: list[str]) -> list[Any]:
    """Returns what the online store says of customers, without the time of publishing."""
    from features.store.online.online import OnlinePortraits

    return [
        None if one is None else (one.customer_id, one.values.tobytes(), one.facts)
        for one in OnlinePortraits.open(home).read(ids)
    ]


def list_of(insight: Any, home: Home, source: str, data: Path, models: Path) -> dict[str, Any]:
    """Lands a dialect in a fresh home with given models, and returns portraits, published values, scores and list."""
    shutil.copytree(models, home.root / "mlruns")
    scores, lines = home.root / "scores.csv", home.root / "list.xlsx"
    for command in (
        ("ingest", "--source", f"configs/sources/{source}.yaml", "--data", str(data)),
        ("build", "--as-of", str(AS_OF)),
        ("publish", "--as-of", str(AS_OF)),
        ("score", "--as-of", str(AS_OF), "--threads", "1", "--out", str(scores)),
        ("outreach", "--as-of", str(AS_OF), "--out", str(lines)),
    ):
        answer = insight(*command, "--home", str(home.root))
        assert answer.returncode == 0, answer.stderr[-3000:]
    path = next(home.portraits.glob(f"portrait_v1-*/as_of={AS_OF}/portrait.parquet"))
    portraits = duckdb.sql(f"SELECT * EXCLUDE (built_at) FROM '{path}' ORDER BY customer_id").fetchall()
    ids = [row[0] for row in duckdb.sql(f"SELECT customer_id FROM '{path}' ORDER BY 1 LIMIT 500").fetchall()]
    return {
        "portraits": portraits, "online": _online(home, ids), "scores": scores.read_bytes(),
        "lines": _lines(lines.with_suffix(".csv")),
    }  # fmt: skip


def test_both_dialects_give_the_same_portraits_scores_and_list(demo: Any, insight: Any, tmp_path: Path) -> None:
    """With the same models, the clean files and the dialect's end in equal portraits, scores to the byte and lines."""
    clean, data = demo.home / "simulation" / "files", tmp_path / "bss_cn"
    write_dialect(clean, data, first=add_months(AS_OF, -demo.summary["simulate"]["months"]), end=AS_OF)
    models = demo.home / "mlruns"
    wanted = list_of(insight, Home(tmp_path / "home-clean"), "simulator", clean, models)
    found = list_of(insight, Home(tmp_path / "home-bss_cn"), "bss_cn", data, models)
    differing = {name: wanted[name] != found[name] for name in wanted}
    sizes = {name: len(value) for name, value in wanted.items()}
    record("soak", [figure(
        "deliver-1", "one world in two dialects: portraits, published values, scores and lists that differ",
        sum(differing.values()), goal=0, met=not any(differing.values()), compared_with="the clean dialect",
        rounds=[sizes],
    )])  # fmt: skip
    assert differing == dict.fromkeys(wanted, False)
    assert sizes["portraits"] > 1_000
    assert sizes["lines"] > 0


def test_every_mutation_of_every_extract_is_named(tmp_path: Path) -> None:
    """At least 30 mutations apply to each file; each error is one line that names it, and the landed feeds stay."""
    simulate_to(tmp_path / "world", customers=2_000, months=3, seed=3)
    data, home = tmp_path / "data", Home(tmp_path / "home")
    write_dialect(tmp_path / "world" / "files", data, first=add_months(AS_OF, -3), end=AS_OF)
    source = load_source(config_path("sources/bss_cn.yaml"))
    land(source, data, home)
    tried: dict[str, int] = {}
    failures: dict[str, str] = {}
    for extract in EXTRACTS:
        file = Spoilt(data, extract, tuple(source.files[extract.name].typical))
        for mutation in MUTATIONS:
            found = outcome(source, home, file, mutation)
            if found is not None:
                tried[extract.name] = tried.get(extract.name, 0) + 1
            if found:
                failures[f"{extract.name}, {mutation.name}"] = found
    total = sum(tried.values())
    record("soak", [figure(
        "deliver-1", "mutations of a month's files that are named, with nothing published", (total - len(failures)) / total,
        goal=1.0, met=not failures and min(tried.values()) >= 30,
        compared_with=f"{total} mutations, at least {min(tried.values())} an extract", rounds=[tried, failures],
    )])  # fmt: skip
    assert failures == {}
    assert min(tried.values()) >= 30
