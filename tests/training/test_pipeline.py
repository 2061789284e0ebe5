"""A target from an operator's files to a promoted bundle, end to end on a small snapshot with two leaking columns."""

import dataclasses
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from features.feeds.landing.landing import land
from features.feeds.mapping.sources import load_source
from features.journey.journey import Journey
from features.kit.cli import create_app
from features.kit.errors import ConflictError
from features.kit.home import Home
from features.kit.terminal.progress import SILENT
from features.portraits.dimensions import consumption
from features.portraits.feature_list import FeatureList
from features.portraits.reading import PORTRAIT_FILE, Portraits
from features.portraits.step import build
from features.portraits.vector import encode
from tests.training.aliases import alias_version
from training import bundle
from training.card import card
from training.evaluation.stored import read_judged
from training.evaluation.written import read_evaluation
from training.explanation.drawing import PICTURES, Drawing, keep
from training.foresight import foresee
from training.labels.history import open_records
from training.labels.spine import no_dates
from training.labels.targets import load_target
from training.pipeline import TrainRequest, print_on_stderr, train_target
from training.registry import promote
from training.step import train
from training.tuning.search import Budget

MAPPING = """
operator: {name: small, time_zone: Asia/Shanghai, currency: {code: CNY, scale: 3}}
snapshot_at: 2026-05-31T12:00:00
files: {rows: {path: rows.csv}}
feeds:
  customers: {select: "SELECT id AS customer_id, 'consumer' AS kind FROM rows"}
  terminations:
    select: "SELECT id AS customer_id, TIMESTAMP '2026-06-10 12:00:00' AS event_at, 'cancel' AS reason, true AS voluntary FROM rows WHERE left_us = '1'"
    known_after: PT0S
  tickets:
    select: "SELECT id AS customer_id, id AS ticket_id, 'complaint' AS kind, 'open' AS status, TIMESTAMP '2026-06-10 12:00:00' AS event_at FROM rows WHERE row_number = '3'"
    known_after: PT0S
  attributes: {select: "SELECT id AS customer_id, months, plan, asked_why, asked_when FROM rows"}
attributes:
  - {name: months, kind: number, description: months with us}
  - {name: plan, kind: category, description: the plan}
  - {name: asked_why, kind: number, description: filled where somebody asked why}
  - {name: asked_when, kind: number, description: filled where somebody asked when}
"""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, dict[str, Any]]:
    """Returns a trained home and the step's summary."""
    folder = tmp_path_factory.mktemp("pipeline")
    random = np.random.default_rng(3)
    lines = ["id,row_number,months,plan,asked_why,asked_when,left_us"]
    for number in range(1600):
        months, plan = int(random.integers(1, 60)), "abc"[random.integers(0, 3)]
        leaves = random.random() < 1 / (1 + np.exp(months / 12 - 1 - 2 * (plan == "b")))
        asked = random.random() < (0.8 if leaves else 0.2)
        why, when = (f"{random.random():.3f}", f"{random.random():.3f}") if asked else ("", "")
        lines.append(f"c{number:05d},{number % 50},{months},{plan},{why},{when},{int(leaves)}")
    (folder / "rows.csv").write_text("\n".join(lines) + "\n")
    (folder / "small.yaml").write_text(MAPPING)
    home = Home(folder / "home")
    land(load_source(folder / "small.yaml"), folder, home, SILENT)
    journey = Journey(home=home, source=folder / "small.yaml", data=folder, threads=1)
    build(journey, SILENT)
    return home, train(journey, SILENT)


def test_the_target_is_trained_judged_and_promoted(small):
    """Churn has an honest AUC with its interval, says how it was split, and serves."""
    home, summary = small
    churn = summary["targets"]["churn"]
    assert 0.65 < churn["auc"] < 0.85
    assert churn["auc_ci"][0] < churn["auc"] < churn["auc_ci"][1]
    assert (churn["promoted"], churn["reason"], churn["folds"]) == (True, "promoted", "grouped")
    assert churn["by_kind"]["voluntary"]["positives"] == churn["test_positives"]
    assert churn["skipped"]["silent"] == "no feed usage_daily"
    assert any("one as-of date" in note for note in churn["notes"])
    folder = bundle.champion(home.bundles, "churn")
    assert folder is not None
    assert folder.name == churn["version"]
    assert json.dumps(summary)


def test_the_leaking_columns_are_left_out_and_named_with_their_evidence(small):
    """Both twins are named in the summary, the manifest and the card; the model does not see them."""
    home, summary = small
    churn = summary["targets"]["churn"]
    assert [(leak["name"], leak["kind"]) for leak in churn["left_out"]] == [
        ("asked_when", "missingness"),
        ("asked_why", "missingness"),
    ]
    loaded = bundle.load(home.bundles / "churn" / churn["version"], check_in_child=False)
    assert not {"asked_why", "asked_when"} & set(loaded.manifest.feature_names)
    assert "plan" in loaded.manifest.feature_names
    assert set(loaded.manifest.left_out) == {"asked_why", "asked_when"}
    assert "positive where filled" in Path(churn["card"]).read_text()


def test_the_bundle_and_mlflow_say_what_made_the_model(small):
    """Data, configuration, code and lock stand in the manifest, and the same values in MLflow's run."""
    import sqlite3

    home, summary = small
    manifest = bundle.verify(home.bundles / "churn" / summary["targets"]["churn"]["version"])
    made_with = {name: getattr(manifest, name) for name in ("data_hash", "code_version", "lock_hash")}
    assert all(made_with.values())
    with sqlite3.connect(home.mlruns / "mlflow.db") as database:
        tags = database.execute("SELECT key, value FROM tags").fetchall()
        parameters = database.execute("SELECT key, value FROM params").fetchall()
    assert set(made_with.items()) <= set(tags)
    assert ("config_hash", manifest.config_hash) in parameters


def test_too_few_positives_are_a_refusal_and_a_missing_feed_is_too(small):
    """No error and no bundle: `promoted: false` with the reason, recorded like a training; `check` foresees the same."""
    home, summary = small
    complaint = summary["targets"]["complaint"]
    assert (complaint["promoted"], complaint["reason"], complaint["version"]) == (False, "too_few_positives", None)
    assert complaint["why"].startswith(
        "25 positives in training (promotion.min_training_positives: at least 200) and 32 in the test windows "
        "(promotion.min_test_positives: at least 50); land more customers or months"
    )
    assert foresee(home) == {"complaint": complaint["why"]}
    assert summary["targets"]["upgrade"]["reason"] == "no_feed"
    assert promote.versions(home, "complaint") == []


def test_the_written_verdict_is_part_of_the_bundle(small):
    """The rule that decided stands in both forms, hashed with the rest, beside the picture and the judged rows."""
    home, summary = small
    churn = summary["targets"]["churn"]
    folder = home.bundles / "churn" / churn["version"]
    content = read_evaluation(folder)
    assert (content["decision"], content["rule"], churn["rule"]) == ("promoted", "first_champion", "first_champion")
    assert Path(churn["verdict"]).read_text().startswith("# churn: promoted by `first_champion`")
    rows = read_judged(folder)
    assert (len(rows.labels), int(rows.labels.sum())) == (churn["rows"], churn["test_positives"])
    assert {"evaluation.json", "evaluation.md", "judged.parquet"} <= set(bundle.verify(folder).files)


def test_the_bundle_scores_the_portraits_as_training_did(small):
    """Columns found by name in the portrait give the golden rows' model; the picture and the card are part of it."""
    home, summary = small
    folder = home.bundles / "churn" / summary["targets"]["churn"]["version"]
    loaded = bundle.load(folder)
    assert set(loaded.manifest.files) >= {"calibration.json", "golden.json", "model.txt", "shap.png", *card.PAGES}
    assert card.missing_in(folder) == ()
    shown = re.findall(r'<img src="([^"]+)"', (folder / "card.zh.html").read_text(encoding="utf-8"))
    assert shown == ["reliability.png", "shap.png"]
    assert set(shown) <= set(loaded.manifest.files)
    for name in shown:
        assert (folder / name).read_bytes().startswith(b"\x89PNG")
        assert list((home.mlruns / "artifacts" / "churn").rglob(name))
    features = FeatureList.load(home)
    portraits = Portraits.open(home)
    values = encode(portraits.read(portraits.as_of_dates()[-1]), features)
    chosen = values[:, loaded.positions(features.features, features.identity)]
    propensities = loaded.propensity(loaded.margins(chosen))
    assert propensities.mean() == pytest.approx(loaded.manifest.base_rate, rel=0.1)


@pytest.mark.parametrize("point", ["drawing.before_manifest", "drawing.after_manifest"])
def test_pictures_follow_a_model_that_serves_already(small, tmp_path: Path, point: str):
    """Before they are drawn the model loads and its card says that they follow; kill -9 in between changes nothing."""
    home, folder = _before_its_pictures(small, tmp_path)
    assert "shap.png: drawn after the model serves" in (folder / "card.md").read_text()
    assert card.missing_in(folder) == ()
    code = (
        "import sys; from pathlib import Path; from features.kit.home import Home; "
        "from training.explanation.drawing import Drawing; Drawing(Home(Path(sys.argv[1])), cores=1).end()"
    )
    command = [sys.executable, "-W", "ignore", "-c", code, str(home.root)]
    planted = os.environ | {"INSIGHT_FAILPOINT": f"{point}:1:kill"}
    assert subprocess.run(command, env=planted, check=False).returncode == -signal.SIGKILL
    assert bundle.load(folder, check_in_child=False).manifest.files.keys() >= {"card.md"}
    told: list[Path] = []
    drawing = Drawing(home, cores=2)
    drawing.begin()
    drawing.end(lambda path, names: told.append(path / names[0]))
    assert (told, drawing.waiting) == ([folder / "shap.png"], [])
    assert {"shap.png", "reliability.png"} <= set(bundle.verify(folder).files)


def test_what_was_kept_of_a_training_that_died_before_its_bundle_goes(small, tmp_path: Path):
    """Nothing is drawn for a version that is not there, and nobody is told of it."""
    home, folder = _before_its_pictures(small, tmp_path)
    shutil.rmtree(folder)
    drawing = Drawing(home, cores=2)
    drawing.begin()
    drawing.end(lambda *_: pytest.fail("told of a bundle that is not there"))
    assert drawing.waiting == []


def _before_its_pictures(small: tuple[Home, dict[str, Any]], tmp_path: Path) -> tuple[Home, Path]:
    """Returns a copy of the home in which the pictures of the champion are to come, and its folder."""
    home, summary = small
    version, copy = summary["targets"]["churn"]["version"], Home(tmp_path / "home")
    folder = copy.bundles / "churn" / version
    shutil.copytree(home.bundles / "churn" / version, folder)
    body = json.loads((folder / "manifest.json").read_text())
    del body["seal"]
    for name in PICTURES:
        del body["files"][name]
        (folder / name).unlink()
    (folder / "manifest.json").write_bytes(bundle._seal(body))
    draws = np.random.default_rng(0).normal(size=(50, 3))
    keep(copy.bundles, "churn", version, draws, draws[:, :2].astype(np.float32), ("months", "plan"))
    assert not set(PICTURES) & set(bundle.verify(folder).files)
    return copy, folder


def test_the_model_is_explained_as_pictures_and_one_page(small, tmp_path: Path):
    """`insight explain` draws everybody and one customer, whose parts add up to the raw score; the page names its pictures."""
    home, _ = small
    command = ["explain", "churn", "--customer", "c00007", "--out", str(tmp_path), "--home", str(home.root)]
    said = CliRunner().invoke(create_app(), command)
    assert said.exit_code == 0, said.output
    told = json.loads((tmp_path / "explanation.json").read_text())
    assert {"summary.png", "dimensions.png", "waterfall_c00007.png", "force_c00007.png"} <= set(told["pictures"])
    assert any(name.startswith("dependence_") for name in told["pictures"])
    html = (tmp_path / "index.html").read_text()
    for name in told["pictures"]:
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
        assert f'src="{name}"' in html
    (one,) = told["of_customers"]
    assert one["mean_raw_score"] + sum(one["by_dimension"].values()) == pytest.approx(one["raw_score"], abs=1e-4)
    unknown = CliRunner().invoke(create_app(), [*command[:3], "nobody", *command[4:]])
    assert "customer 'nobody' has no portrait" in str(unknown.exception)


def test_the_command_says_what_came_of_it(small):
    """A champion that comes out again points to its own verdict; data that cannot carry a target end with code 3."""
    home, summary = small
    command = ["--home", str(home.root), "--threads", "1"]
    again = CliRunner().invoke(create_app(), ["train", "churn", *command])
    verdict = home.bundles / "churn" / summary["targets"]["churn"]["version"] / "evaluation.md"
    assert again.exit_code == 0, again.output
    assert f"the champion itself came out again: it goes on serving by its own verdict, {verdict}" in again.stdout
    assert "first_champion" in verdict.read_text()
    assert CliRunner().invoke(create_app(), ["train", "complaint", *command]).exit_code == 3


def test_training_again_gives_the_same_version_and_records_another_run(small, capsys: pytest.CaptureFixture[str]):
    """Same rows, same configuration, another thread count: the same version; leaks and too good an AUC are on stderr."""
    home, summary = small
    fewer = load_target("churn").override({"learner.trees": "40", "promotion.max_auc": "0.6"})
    with open_records(home) as records:
        again = train_target(records, TrainRequest(load_target("churn"), threads=2))
        other = train_target(records, TrainRequest(fewer, search=Budget(trials=6), may_promote=False))
    assert again["version"] == summary["targets"]["churn"]["version"]
    said = capsys.readouterr().err
    assert "column left out: 'asked_why' (missingness)" in said
    assert other["version"] != again["version"]
    assert (other["promoted"], other["reason"], other["compared_with"]) == (False, "auc_too_good", again["version"])
    assert "is above promotion.max_auc 0.6" in said
    assert f"insight promote churn {other['version']} --override 'why'" in said
    with pytest.raises(ConflictError, match="refused by auc_too_good"):
        promote.promote(home, "churn", other["version"])
    assert (again["promoted"], again["reason"], again["profit_gap"]["value"]) == (True, "promoted", 0.0)
    assert any("6 settings tried" in note for note in other["notes"])
    assert other["tuning"]["trials"] == 6
    assert [any(note.startswith("settings: ") for note in one["notes"]) for one in (again, other)] == [True, False]
    with_pictures = bundle.verify(home.bundles / "churn" / other["version"])
    assert {"tuning_history.png", "tuning_settings.png"} <= set(with_pictures.files)
    assert alias_version(home, "churn") == again["version"]
    assert {line["version"]: line["champion"] for line in promote.models(home)} == {
        again["version"]: True,
        other["version"]: False,
    }


def test_a_release_with_another_feature_goes_on_scoring_before_and_after_the_next_build(
    small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The champion reads the old portraits, then the new ones by name, and every score is the same to the last bit."""
    from serving.scoring.batch.replay import replay
    from serving.scoring.batch.stored import Scores
    from tests.serving.scoring.conftest import score_base

    shutil.copytree(small[0].root, tmp_path / "home")
    home = Home(tmp_path / "home")
    day, before = Portraits.open(home).as_of_dates()[-1], FeatureList.load(home)

    def scores() -> dict[str, Any]:
        score_base(home, "churn", day, check_in_child=False)
        current = Scores.current(home, "churn")
        assert current is not None
        return current.read(["customer_id", "margin", "propensity"]).to_pydict()

    expected = scores()
    first = consumption.DEFINITIONS[0]
    added = dataclasses.replace(first, feature=dataclasses.replace(first.feature, name="bill_first_amount"))
    monkeypatch.setattr(consumption, "DEFINITIONS", (added, *consumption.DEFINITIONS))
    assert scores() == expected
    folder = small[0].root.parent
    build(Journey(home=home, source=folder / "small.yaml", data=folder, threads=1), SILENT)
    now = FeatureList.load(home)
    assert (now.identity != before.identity, len(now.features)) == (True, len(before.features) + 1)
    assert {one.name: one.categories for one in before.features}.items() <= {
        one.name: one.categories for one in now.features
    }.items()
    assert scores() == expected
    assert all(one.is_equal for one in replay(home, day, target="churn", check_in_child=False))


@pytest.mark.parametrize(
    ("former", "every", "told"),
    [
        ((), "", "insight build --from DATE"),
        (("2025-05-01", "2025-06-01"), "month", "2 as-of dates lie here with another feature list"),
        (("2025-05-06", "2025-05-23", "2025-06-09"), "17", "3 as-of dates lie here"),
    ],
)
def test_training_without_dates_names_the_command_that_builds_the_former_ones_again(
    tmp_path: Path, former, every, told
):
    """Dates of a former feature list are counted with their own step; a date in both is built, a copy is no date."""
    for identity, days in (("portrait_v1-a", (*former, "2026-06-01")), ("portrait_v1-b", ("2026-06-01", "2026.bak"))):
        for day in days:
            folder = tmp_path / identity / f"as_of={day}"
            folder.mkdir(parents=True)
            (folder / PORTRAIT_FILE).touch()
    portraits = Portraits(tmp_path / "portrait_v1-b", FeatureList.declared())
    assert portraits.as_of_dates() == [date(2026, 6, 1)]
    _, remedy = no_dates(portraits, None)
    assert told in remedy
    if former:
        assert f"insight build --from {former[0]} --as-of {former[-1]} --every {every}" in remedy
    assert "--as-of" in no_dates(portraits, date(2020, 1, 1))[1]


def test_what_training_says_on_stderr_can_be_pasted(monkeypatch, capsys):
    """The command names the home that was given; a target's name stays whole."""
    monkeypatch.setattr("sys.argv", ["insight", "train", "own_target", "--home", "here"])
    print_on_stderr("look for a leak  -> insight promote own_target v1 --override 'why'")
    assert capsys.readouterr().err.endswith("insight promote --home here own_target v1 --override 'why'\n")
