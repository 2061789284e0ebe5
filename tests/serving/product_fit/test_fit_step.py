"""Product fit on real landed feeds: the step's file, the command's tables, and a kill that leaves no half file."""

import json
from datetime import date
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from features.feeds.landing.landing import land
from features.feeds.mapping.sources import load_source
from features.journey.journey import Journey
from features.kit.cli import create_app
from features.kit.home import Home
from features.kit.runs import FAILPOINT_VARIABLE, FailpointError
from features.kit.terminal.progress import SILENT
from features.simulator.step import simulate_to
from serving.product_fit.fit import FIT_SCHEMA
from serving.product_fit.offers.wording import money
from serving.product_fit.step import fit, fit_base, fit_path
from tests.bench.offers import Reviewer

AS_OF = date(2026, 6, 1)
pytestmark = pytest.mark.xdist_group("fit_step")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Returns a home with a simulated operator landed."""
    root = tmp_path_factory.mktemp("fit")
    simulate_to(root / "sim", customers=150, months=8, seed=9)
    place = Home(root / "home")
    land(load_source(Path("configs/sources/simulator.yaml")), root / "sim" / "files", place)
    return place


@pytest.fixture(scope="module")
def summary(home):
    """Returns what the step says."""
    journey = Journey(home=home, source=Path("x"), data=Path("x"), as_of=AS_OF)
    return fit(journey, SILENT)


def run(*arguments):
    """Runs `insight fit` and returns what it printed."""
    done = CliRunner().invoke(create_app(), ["fit", *map(str, arguments)], env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    return done.stdout


def test_the_operator_s_bills_are_reproduced(summary):
    """At least 90 % of 150 customers' last bills come out to the minor unit; the rest get no offer."""
    assert summary["reproduced_share"] > 0.9
    assert summary["by_status"]["ok"] > 10
    assert summary["total_saving"] > 0


def test_the_file_holds_everybody_once(home, summary):
    """One row per subscription in the declared columns; offers only where the status allows one."""
    table = pq.read_table(fit_path(home, AS_OF), partitioning=None)
    assert table.schema.equals(FIT_SCHEMA)
    rows = table.to_pylist()
    assert len({row["customer_id"] for row in rows}) == len(rows) == summary["customers"]
    for row in rows:
        offers = json.loads(row["offers"])
        assert bool(offers) == (row["status"] in ("ok", "on_request"))
        assert len(offers) <= 3
        assert row["saving"] is None or row["saving"] == max(o["saving"] for o in offers if not o["on_request"])


def test_a_strict_reviewer_refuses_nothing(home, summary):
    """None of the offers breaks a rule that is written a second time, over the operator's raw files."""
    reviewer = Reviewer(home.root.parent / "sim" / "files", AS_OF)
    offers, refused, by_rule = reviewer.review(pd.read_parquet(fit_path(home, AS_OF)))
    assert (refused, sum(by_rule.values())) == (0, 0)
    assert offers > 20


def test_one_customer_for_people_and_for_programs(home, summary):
    """The table and the JSON tell the same offers, with every plan's months."""
    row = next(r for r in pq.read_table(fit_path(home, AS_OF), partitioning=None).to_pylist() if r["saving"])
    one = json.loads(run("--home", home.root, "--customer", row["customer_id"], "--json"))
    assert one["offers"] == json.loads(row["offers"])
    assert [sum(plan["months"].values()) for plan in one["rated"]] == [plan["total"] for plan in one["rated"]]
    text = run("--home", home.root, "--customer", row["customer_id"])
    for offer in one["offers"]:
        assert offer["plan_id"] in text
        assert money(offer["monthly_cost"], 3) in text


def test_a_failed_run_leaves_the_old_file(home, summary, monkeypatch, tmp_path):
    """A run that fails after the table is written keeps a whole file, and the next run gives the same one."""
    before = fit_path(home, AS_OF).read_bytes()
    monkeypatch.setenv(FAILPOINT_VARIABLE, "fit.after_table:1:fail")
    with pytest.raises(FailpointError):
        fit_base(home, AS_OF, out=tmp_path / "fit.parquet")
    monkeypatch.delenv(FAILPOINT_VARIABLE)
    fit_base(home, AS_OF)
    assert before == fit_path(home, AS_OF).read_bytes()
    assert [path.name for path in fit_path(home, AS_OF).parent.iterdir() if path.name.startswith(".")] == []


def test_a_source_without_a_catalogue_is_told(tmp_path, home, summary):
    """The journey goes on without product fit and says why."""
    place = Home(tmp_path / "bare")
    content = Path("configs/sources/ibm_telco.yaml")
    data = Path("../shared/data/ibm_telco")
    if not data.exists():
        pytest.skip("the evaluation data ../shared/data/ibm_telco is not here")
    land(load_source(content), data, place)
    assert "skipped" in fit(Journey(home=place, source=content, data=data), SILENT)


@pytest.mark.parametrize(
    ("shown", "amount"), [("12.35", 12_345), ("12.34", 12_344), ("-0.01", -5), ("0.00", 4), ("-", None)]
)
def test_money_has_two_decimals(shown, amount):
    """Li become yuan, half a cent rounds up."""
    assert shown == money(amount, 3)
