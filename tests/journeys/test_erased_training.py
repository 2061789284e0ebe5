"""A training after an erasure: it succeeds, and no row of the person is in its matrix, its judged rows or `mlruns`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from features.erasure.traces import search
from features.feeds.landed.subject import find_subject
from features.kit.home import Home
from training import bundle
from training.dataset.prepare import prepare
from training.labels.history import open_records
from training.labels.spine import labelled
from training.labels.targets import load_target

pytestmark = [pytest.mark.soak, pytest.mark.xdist_group("journey")]

SEED = 8


def _learned_from(home: Home) -> set[str]:
    """Returns the customers in the matrix of a training, before its split."""
    target = load_target("churn")
    with open_records(home) as records:
        prepared = prepare(home, target, labelled(records, target), seed=SEED)
    return set(prepared.data.customers)


def _judged(home: Home) -> dict[str, set[str]]:
    """Returns the pseudonyms in the judged rows of each churn model, by version."""
    return {
        path.parent.name: set(pq.read_table(path, columns=["customer"])["customer"].to_pylist())
        for path in home.bundles.glob(f"churn/*/{bundle.JUDGED}")
    }


def test_a_training_after_an_erasure_has_no_row_of_the_person(demo: Any, insight: Any, tmp_path: Path) -> None:
    """Somebody whom the champion learned from and was judged by is erased; the next training never sees them."""
    home = Home(tmp_path / "home")
    shutil.copytree(demo.home, home.root)
    champion = demo.summary["train"]["targets"]["churn"]["version"]
    before, judged = _learned_from(home), _judged(home)[champion]
    customer = next(one for one in sorted(before) if bundle.pseudonym(one) in judged)
    person = _person_of(home, customer)
    subject = find_subject(home, person)
    mine = {bundle.pseudonym(one) for one in subject.customers}
    assert search([home.root], subject.names).naming  # the finder finds them before
    erased = insight("erase", "--person", person, "--home", str(home.root), "--json")
    assert erased.returncode == 0, erased.stderr[-2000:]
    trained = insight("train", "churn", "--seed", str(SEED), "--threads", "1", "--home", str(home.root), "--json")
    assert trained.returncode == 0, trained.stderr[-2000:]
    version = json.loads(trained.stdout)["version"]
    assert version not in (None, champion)
    after = _learned_from(home)
    assert before & subject.customers
    assert after & subject.customers == set()
    assert before - after == before & subject.customers
    assert {name: rows & mine for name, rows in _judged(home).items()} == {champion: set(), version: set()}
    assert search([home.root, home.mlruns], subject.names).naming == ()
    assert [path for path in home.mlruns.rglob("*") if path.is_file() and _names(path, mine)] == []


def _person_of(home: Home, customer: str) -> str:
    from features.feeds.landed.reading import Feeds

    with Feeds.open(home).connect(personal=True) as database:
        rows = database.execute("SELECT person_id FROM persons WHERE customer_id = ?", [customer]).fetchall()
    return str(rows[0][0])


def _names(path: Path, pseudonyms: set[str]) -> bool:
    content = path.read_bytes()
    return any(one.encode() in content for one in pseudonyms)
