"""The whole base equals single customers to the last bit, whole or not at all."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import date
from types import SimpleNamespace
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.journey.journey import Journey
from features.kit.errors import BundleError, NotReadyError
from features.kit.runs import FailpointError
from features.kit.terminal.progress import SILENT
from features.portraits.reading import Portraits
from serving.scoring.batch import blocks
from serving.scoring.batch.base import score_targets
from serving.scoring.batch.chosen import explain_customers
from serving.scoring.batch.export import write_csv
from serving.scoring.batch.stored import Scores
from serving.scoring.commands import score as score_command
from serving.scoring.ranks import RankTables
from serving.scoring.reasons.book import load_book
from serving.scoring.settings import load_settings
from serving.scoring.step import score
from tests.serving.scoring.conftest import CUSTOMERS, make_bundle, make_scorer, save_portraits, score_base
from tests.serving.scoring.slow import pick_slowly
from tests.spark import needs_spark
from tests.world import AS_OF, promote
from training.bundle import load


def test_batch_equals_single_customers_to_the_last_bit(fresh):
    """Raw score, propensity, percentile, band and reasons of each customer alone are those of the batch."""
    report = score_base(fresh.home, "churn", AS_OF, block_rows=37, check_in_child=False)
    rows = pq.read_table(report.path, partitioning=None).to_pylist()
    ranks = RankTables(fresh.home).get("churn", "v1", AS_OF)
    assert [row["customer_id"] for row in rows] == fresh.ids
    for place in range(0, CUSTOMERS, 23):
        alone = fresh.values[place : place + 1]
        (single,) = fresh.scorer.score([fresh.ids[place]], alone, [fresh.facts[place]], as_of=AS_OF, ranks=ranks)
        row = rows[place]
        assert row["margin"] == fresh.scorer.rows(alone).margins[0]
        for name in ("customer_id", "status", "propensity", "percentile", "times_base", "band"):
            assert row[name] == getattr(single, name), name
        assert row["reason_codes"] == [reason.code for reason in single.reasons]
        assert (tuple(row["missing"]), tuple(row["flags"])) == (single.missing, single.flags)


@pytest.mark.parametrize("block_rows", [29, 101])
def test_the_size_of_blocks_changes_nothing(fresh, block_rows):
    """The scores in blocks of any size are equal, and so is the rank table."""
    expected = score_base(fresh.home, "churn", AS_OF, check_in_child=False).path
    want = pq.read_table(expected, partitioning=None), (expected.parent / "ranks.json").read_bytes()
    score_base(fresh.home, "churn", AS_OF, block_rows=block_rows, check_in_child=False)
    assert pq.read_table(expected, partitioning=None).equals(want[0])
    assert (expected.parent / "ranks.json").read_bytes() == want[1]


@pytest.mark.xdist_group("spark")
@pytest.mark.filterwarnings("ignore")  # pyspark warns about its own use of pandas and sockets
def test_spark_scores_what_this_machine_scores(fresh):
    """Blocks scored by Spark's workers give the same scores, reasons and ranks; what was done before is not done again."""
    needs_spark()
    expected = score_base(fresh.home, "churn", AS_OF, check_in_child=False).path
    want = pq.read_table(expected, partitioning=None), (expected.parent / "ranks.json").read_bytes()
    shutil.rmtree(expected.parent)
    score_targets(fresh.home, ["churn"], AS_OF, block_rows=97, threads=2, check_in_child=False, on_spark=True)
    assert pq.read_table(expected, partitioning=None).equals(want[0])
    assert (expected.parent / "ranks.json").read_bytes() == want[1]


@pytest.mark.parametrize("number", [0, 2, 6])
def test_a_block_is_read_by_its_number(fresh, number):
    """The block of a number holds the rows that the pass in order gives it, the last one what is left."""
    portraits = Portraits.open(fresh.home)
    base = blocks.Base(portraits.path(AS_OF), fresh.features, load_book(), load_settings(), block_rows=97)
    in_order = list(base.blocks(["customer_id"]))[number]["customer_id"].to_pylist()
    assert base.block(number, ["customer_id"])["customer_id"].to_pylist() == in_order
    assert base.rows_of(number) == len(in_order)


def test_blocks_equal_the_whole_base_at_once(fresh):
    """Numbers, ranks, bands and reasons are those of all vectors in one call and of the plain choice of reasons."""
    make_bundle(fresh.home, fresh.features, fresh.values, target="complaint", seed=9)
    promote(fresh.home, "complaint", "v1")
    reports: Any = score_targets(fresh.home, ["churn", "complaint"], AS_OF, block_rows=97, check_in_child=False)
    book = load_book()
    for target, report in reports.items():
        scorer = make_scorer(load(fresh.home.bundles / target / "v1", check_in_child=False), fresh.features)
        whole, stored = scorer.rows(fresh.values), pq.read_table(report.path, partitioning=None).to_pylist()
        ordered = np.sort(whole.margins[whole.is_enough])
        parts = scorer.contributions(fresh.values)
        groups = [
            [scorer.bundle.manifest.feature_names.index(name) for name in book.reasons[code].features]
            for code in scorer.codes[:-1]
        ]
        for row, found in enumerate(stored):
            assert found["margin"] == whole.margins[row]
            assert found["propensity"] == (whole.propensities[row] if whole.is_enough[row] else None)
            below = sum(ordered[-(-step * len(ordered) // 1000) - 1] < found["margin"] for step in range(1, 1000))
            assert abs(found["percentile"] - below / 10) <= 0.1
            sums = {code: sum(parts[row, group].tolist()) for code, group in zip(scorer.codes, groups, strict=False)}
            facts = orjson.loads(fresh.facts[row]).get("reasons", {})
            slow = pick_slowly(book, facts, sums, most=3, most_per_dimension=2)
            assert found["reason_codes"] == [code for code, _ in slow]
            assert found["reason_contributions"] == [float(np.float32(part)) for _, part in slow]
    assert reports["churn"].explained == reports["complaint"].explained == CUSTOMERS


def test_a_killed_pass_goes_on_after_its_last_block(fresh, monkeypatch):
    """Blocks that are whole are not scored again, the scores are those of one go; other settings begin anew."""
    expected = pq.read_table(score_base(fresh.home, "churn", AS_OF, check_in_child=False).path, partitioning=None)
    work, scored, score_rows = fresh.home.scores / ".work", [], blocks._score_rows

    def counted(*arguments):
        scored.append(arguments[3])
        return score_rows(*arguments)

    def killed(_name):
        if len(scored) == 3:
            raise FailpointError("killed")

    monkeypatch.setattr(blocks, "_score_rows", counted)
    for block_rows, left in ((100, [3, 4, 5]), (150, [0, 1, 2, 3])):
        scored.clear()
        with monkeypatch.context() as patch:
            patch.setattr(blocks, "hit", killed)
            with pytest.raises(FailpointError):
                score_base(fresh.home, "churn", AS_OF, block_rows=100, check_in_child=False)
        assert scored == [0, 1, 2]
        assert work.exists()
        scored.clear()
        report = score_base(fresh.home, "churn", AS_OF, block_rows=block_rows, check_in_child=False)
        assert scored == left
        assert pq.read_table(report.path, partitioning=None).equals(expected)
        assert not work.exists()


def test_two_threads_change_nothing(fresh):
    """Scores of one and of two threads, ten blocks, are byte-equal."""
    one, two = (
        score_base(fresh.home, "churn", AS_OF, threads=threads, block_rows=60, check_in_child=False).path.read_bytes()
        for threads in (1, 2)
    )
    assert one == two


def test_reasons_go_to_everybody_or_nobody(fresh):
    """By default everybody is explained; without reasons nobody, and there is nothing for the API to serve as stored."""
    for explain in (True, False):
        report = score_base(fresh.home, "churn", AS_OF, explain=explain, check_in_child=False)
        codes = pq.read_table(report.path, partitioning=None)["reason_codes"]
        assert (codes.null_count == 0, codes.null_count == CUSTOMERS) == (explain, not explain)
        assert report.explained == explain * CUSTOMERS
        assert (report.path.parent / "lookup.bin").exists() == explain


def test_who_has_no_data_has_no_number_and_moves_no_rank(fresh):
    """Empty portraits are `not_enough_data` with nulls, and the rank table is that of the others."""
    table = fresh.table
    before = score_base(fresh.home, "churn", AS_OF, check_in_child=False)
    knots = RankTables(fresh.home).get("churn", "v1", AS_OF).knots
    empty = pa.table({
        name: pa.array([f"9{row:09d}" for row in range(20)]) if name == "customer_id"
        else table.column(name).slice(0, 20) if name not in fresh.features.names
        else pa.nulls(20, table.column(name).type)
        for name in table.column_names
    })  # fmt: skip
    save_portraits(fresh.home, fresh.features, pa.concat_tables([table, empty]))
    report = score_base(fresh.home, "churn", AS_OF, check_in_child=False)
    assert (report.rows, report.refused, report.mean) == (CUSTOMERS + 20, 20, before.mean)
    assert RankTables(fresh.home).get("churn", "v1", AS_OF).knots.tobytes() == knots.tobytes()
    for row in pq.read_table(report.path, partitioning=None).to_pylist()[CUSTOMERS:]:
        assert row["status"] == "not_enough_data"
        assert [row[name] for name in ("propensity", "percentile", "times_base", "band", "reason_codes")] == [None] * 5
        assert len(row["missing"]) == 9


def test_the_pointer_names_the_newest_scores(fresh):
    """After a promotion the scores of the new version count; those of the old one stay beside them."""
    score_base(fresh.home, "churn", AS_OF, check_in_child=False)
    make_bundle(fresh.home, fresh.features, fresh.values, version="v2", seed=9)
    promote(fresh.home, "churn", "v2")
    assert Scores.current(fresh.home, "churn").version == "v1"
    score_base(fresh.home, "churn", AS_OF, check_in_child=False)
    current = Scores.current(fresh.home, "churn")
    assert (current.version, current.as_of) == ("v2", AS_OF)
    assert current.read(["customer_id"]).num_rows == CUSTOMERS
    assert RankTables(fresh.home).get("churn", "v1", AS_OF).version == "v1"
    assert Scores.current(fresh.home, "upgrade") is None


@pytest.mark.parametrize("point", ["score.before_scores", "score.after_scores", "score.before_pointer"])
def test_a_killed_batch_leaves_the_old_scores_in_charge(fresh, point):
    """Killed anywhere, the pointer names whole scores of the old version; a re-run completes."""
    score_base(fresh.home, "churn", AS_OF, check_in_child=False)
    make_bundle(fresh.home, fresh.features, fresh.values, version="v2", seed=9)
    promote(fresh.home, "churn", "v2")
    log = fresh.home.root / "hits.log"
    environment = os.environ | {"INSIGHT_FAILPOINT": f"{point}:1:kill", "INSIGHT_FAILPOINT_LOG": str(log)}
    command = [sys.executable, "-m", "features.kit.cli", "score", "--as-of", str(AS_OF), "--home", str(fresh.home.root)]
    main = "import sys; from features.kit.cli import main; sys.argv[0] = 'insight'; main()"
    victim = subprocess.run(
        [sys.executable, "-c", main, *command[3:]], env=environment, capture_output=True, check=False
    )
    assert victim.returncode == -9
    assert f"fired:{point}" in log.read_text()
    assert Scores.current(fresh.home, "churn").version == "v1"
    assert Scores.current(fresh.home, "churn").read().num_rows == CUSTOMERS
    score_base(fresh.home, "churn", AS_OF, check_in_child=False)
    assert Scores.current(fresh.home, "churn").version == "v2"
    assert not [
        path for path in fresh.home.scores.rglob(".*") if path.suffix == ".parquet" and path.stat().st_size == 0
    ]


def test_the_step_scores_every_champion_of_the_journey(fresh):
    """One summary per target with a champion; none for the others; a damaged one is told."""
    make_bundle(fresh.home, fresh.features, fresh.values, target="complaint", seed=9)
    promote(fresh.home, "complaint", "v1")
    journey = Journey(home=fresh.home, source=fresh.home.root, data=fresh.home.root, as_of=AS_OF, threads=1)
    targets = score(journey, SILENT)["targets"]
    assert set(targets) == {"churn", "complaint"}
    assert (targets["churn"]["rows"], targets["churn"]["base_rate"], targets["churn"]["version"]) == (
        CUSTOMERS,
        0.02,
        "v1",
    )
    only = score(journey.model_copy(update={"targets": ("churn",)}), SILENT)["targets"]
    assert set(only) == {"churn"}
    (fresh.home.bundles / "complaint" / "v1" / "card.md").write_text("another card")
    damaged = score(journey, SILENT)["targets"]
    assert damaged["churn"]["rows"] == CUSTOMERS
    assert damaged["complaint"]["rows"] == 0
    assert "card.md" in damaged["complaint"]["reason"]
    with pytest.raises(NotReadyError, match="no as-of date"):
        score(journey.model_copy(update={"as_of": None}), SILENT)


def test_what_is_not_there_is_named(fresh):
    """No champion, no portrait of the date, a damaged champion: one line each, and nothing is written."""
    with pytest.raises(NotReadyError, match="no model of 'upgrade'"):
        score_base(fresh.home, "upgrade", AS_OF)
    with pytest.raises(NotReadyError, match="2020-01-01"):
        score_base(fresh.home, "churn", date(2020, 1, 1))
    model = fresh.home.bundles / "churn" / "v1" / "model.txt"
    model.write_text(model.read_text().replace("0.1", "0.2", 1))
    with pytest.raises(BundleError, match=r"model\.txt"):
        score_base(fresh.home, "churn", AS_OF)
    assert not fresh.home.scores.exists()


def test_chosen_customers_are_explained_as_in_the_batch(fresh):
    """`explain_customers` gives the codes of the batch; somebody without a portrait is left out."""
    rows = pq.read_table(score_base(fresh.home, "churn", AS_OF, check_in_child=False).path, partitioning=None)
    expected = dict(zip(rows.column("customer_id").to_pylist(), rows.column("reason_codes").to_pylist(), strict=True))
    some = fresh.ids[5:300:7]
    assert {one: expected[one] for one in some} == explain_customers(fresh.home, "churn", AS_OF, [*some, "nobody"])


def test_the_command_line_scores_and_writes_a_table(fresh, tmp_path):
    """`insight score` takes the newest portraits, prints one JSON object and writes one row per customer and target."""
    out = tmp_path / "scores.csv"
    main = "from features.kit.cli import main; main()"
    command = [sys.executable, "-c", main, "score", "--home", str(fresh.home.root), "--out", str(out), "--json"]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    said = orjson.loads(done.stdout)
    assert (said["as_of"], said["targets"]["churn"]["rows"]) == (str(AS_OF), CUSTOMERS)
    lines = out.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 1 + CUSTOMERS
    assert lines[0].startswith(
        "customer_id,target,status,propensity,percentile,times_base,band,reason_codes,model_version"
    )


def test_no_cell_of_the_scores_table_starts_a_formula(tmp_path):
    """An id that an operator made of a formula is text in the CSV, and numbers stay numbers."""
    row = {"customer_id": "=HYPERLINK(1)", "status": "ok", "propensity": 0.1, "percentile": 99.0, "times_base": 2.0,
           "band": "high", "reason_codes": ["a", "b"], "missing": ["@x"], "flags": ["f"]}  # fmt: skip
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "scores.parquet")
    report: Any = SimpleNamespace(target="churn", version="v1", as_of=AS_OF, path=tmp_path / "scores.parquet")
    write_csv([report], tmp_path / "scores.csv")
    cells = (tmp_path / "scores.csv").read_text(encoding="utf-8").splitlines()[1]
    assert cells == f"'=HYPERLINK(1),churn,ok,0.1,99.0,2.0,high,a|b,v1,{AS_OF},'@x,f"


def test_ids_of_18_digits_survive(fresh):
    """A long id is text all the way."""
    long_ids = pa.array([f"1234567890123456{row:02d}" for row in range(20)])
    table = fresh.table.slice(0, 20).set_column(0, "customer_id", long_ids)
    save_portraits(fresh.home, fresh.features, table)
    path = score_base(replace(fresh).home, "churn", AS_OF, check_in_child=False).path
    assert pq.read_table(path, partitioning=None).column("customer_id").to_pylist() == long_ids.to_pylist()
    assert np.isfinite(pq.read_table(path, partitioning=None).column("propensity").to_numpy()).all()


def test_a_damaged_champion_hides_no_other_scores(fresh, capsys):
    """`insight score` writes and prints the other target's scores, then ends with the damage in one line."""
    make_bundle(fresh.home, fresh.features, fresh.values, target="complaint", seed=9)
    promote(fresh.home, "complaint", "v1")
    (fresh.home.bundles / "churn" / "v1" / "card.md").write_text("another card")
    with pytest.raises(BundleError, match=r"card\.md"):
        score_command(home=fresh.home.root, as_json=True)
    assert set(orjson.loads(capsys.readouterr().out)["targets"]) == {"complaint"}
    assert Scores.current(fresh.home, "complaint") is not None
    assert Scores.current(fresh.home, "churn") is None
