"""Promotion follows a written rule and one pointer; a kill at any point leaves a model that serves."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import orjson
import pytest
from typer.testing import CliRunner

from features.kit.cli import create_app
from features.kit.errors import BundleError, ConfigurationError, ConflictError, InsightError, NotFoundError
from features.kit.files import write_json
from features.kit.home import Home
from tests.training.aliases import alias_version
from tests.training.cards import pages
from training import bundle
from training.bundle import BundleFeature, Manifest
from training.dataset.dataset import Dataset
from training.evaluation import written
from training.evaluation.champion import champion_on
from training.evaluation.evaluate import Judged, evaluate
from training.evaluation.verdict import judge
from training.knots import Calibration
from training.labels.targets import load_target
from training.model.learner import BoostedTrees
from training.registry import promote, tracking

GOOD = {"auc": 0.75, "auc_ci": [0.72, 0.78]}


def write_version(
    home: Home, name: str, seed: int, day: str = "2026-06-01", verdict: str | None = "first_champion",
    compared_with: str | None = None, other_pages: dict[str, bytes] | None = None,
) -> None:  # fmt: skip
    """Writes a small whole bundle with a verdict, or without any."""
    random = np.random.default_rng(seed)
    values = random.normal(size=(300, 2)).astype(np.float32)
    labels = (values[:, 0] + random.normal(size=300) > 0).astype(np.int8)
    model = BoostedTrees(trees=4, leaves=4, names=("a", "b"), seed=seed).fit(values, labels)
    manifest = Manifest(
        target="churn", version=name, created_at=f"{day}T00:00:00+00:00", portrait_identity="p",
        features=(BundleFeature("a", "number"), BundleFeature("b", "number")), base_rate=0.5, lead_days=0,
        horizon_days=30, label_delay_days=30, data_hash="d", config_hash="c", code_version="0", metrics=GOOD,
    )  # fmt: skip
    knots = Calibration(np.array([-2.0, 2.0]), np.array([0.1, 0.9]))
    told = {"format": 1, "promoted": verdict != "no_more_profit", "decision": "by hand", "compared_with": compared_with}
    proof = {} if verdict is None else {bundle.EVALUATION: orjson.dumps(told | {"rule": verdict})}
    card = pages(version=name) | (other_pages or {}) | proof
    bundle.write(home.bundles, manifest, model.model_text, knots, values, card.pop("card.md").decode(), card)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Returns a home with three whole versions, none promoted."""
    state = Home(tmp_path_factory.mktemp("promotion"))
    for seed, (name, champion) in enumerate((("v1", None), ("v2", "v1"), ("v3", "v2"))):
        write_version(
            state, name, seed, verdict="more_profit" if champion else "first_champion", compared_with=champion
        )
    return state


@pytest.fixture(autouse=True)
def no_champion(home: Home) -> None:
    """Starts every test without a champion."""
    (home.bundles / "churn" / "champion.json").unlink(missing_ok=True)


def serving(home: Home) -> str | None:
    """Returns the version that serves."""
    folder = bundle.champion(home.bundles, "churn")
    return None if folder is None else bundle.load(folder, check_in_child=False).manifest.version


def test_promote_and_roll_back(home: Home):
    """Each promotion remembers the one before; going back walks the history and ends with a clear refusal."""
    assert promote.promote(home, "churn", "v1")
    assert promote.promote(home, "churn", "v2")
    assert not promote.promote(home, "churn", "v2")
    assert promote.promote(home, "churn", "v3")
    assert promote.pointer(home, "churn")["previous"] == "v2"
    assert alias_version(home, "churn") == "v3"
    assert promote.rollback(home, "churn") == "v2"
    assert (serving(home), alias_version(home, "churn")) == ("v2", "v2")
    assert promote.rollback(home, "churn") == "v1"
    with pytest.raises(ConflictError, match="no earlier version"):
        promote.rollback(home, "churn")
    assert serving(home) == "v1"


def test_an_unknown_or_damaged_version_changes_nothing(home: Home):
    """A version that is not there or fails its checks is refused by name; the champion goes on serving."""
    promote.promote(home, "churn", "v1")
    with pytest.raises(NotFoundError, match="known versions: v1, v2, v3"):
        promote.promote(home, "churn", "v9")
    with pytest.raises(NotFoundError):
        promote.promote(home, "churn", "../churn/v2")
    card = home.bundles / "churn" / "v2" / "card.md"
    whole = card.read_bytes()
    card.write_text("other")
    try:
        with pytest.raises(BundleError, match=r"card\.md: changed"):
            promote.promote(home, "churn", "v2")
        listed = {line["version"]: line for line in promote.models(home)}
        assert (listed["v1"]["champion"], listed["v2"]["state"]) == (True, "damaged")
    finally:
        card.write_bytes(whole)
    assert serving(home) == "v1"


def test_promote_without_a_version_takes_the_newest_whole_one(tmp_path: Path):
    """The day of writing decides, not the name; a damaged bundle is passed over; none at all is told with a remedy."""
    state = Home(tmp_path)
    with pytest.raises(NotFoundError, match="there is no whole version"):
        promote.newest(state, "churn")
    for seed, (name, day) in enumerate((("c", "2026-06-01"), ("b", "2026-06-02"), ("a", "2026-06-03"))):
        write_version(state, name, seed, day)
    assert promote.newest(state, "churn") == "a"
    (state.bundles / "churn" / "a" / "card.md").write_text("other")
    done = CliRunner().invoke(create_app(), ["promote", "churn", "--home", str(tmp_path)])
    assert (done.exit_code, done.stdout) == (0, "churn: b serves\n")
    assert serving(state) == "b"


@pytest.mark.parametrize("command", ["promote", "shadow", "explain"])
def test_a_misspelt_target_is_answered_with_the_known_ones(command: str, tmp_path: Path):
    """Nobody is sent to train a target that does not exist; a known one without a model is sent to its training."""

    def remedy(name: str) -> str:
        more = {"promote": [name], "shadow": [name, "v9"],
                "explain": [name, "--out", str(tmp_path / "out")]}[command]  # fmt: skip
        with pytest.raises(InsightError) as told:
            CliRunner().invoke(create_app(), [command, *more, "--home", str(tmp_path / "home")], catch_exceptions=False)
        return told.value.remedy

    assert remedy("chrn") == "known targets: churn, complaint, dissatisfaction, upgrade"
    assert remedy("churn") == "insight train churn"


def test_models_of_a_home_without_any_says_so(tmp_path: Path):
    """No model is one line with the remedy, an empty list for a program, and nothing is created."""
    command = ["models", "--home", str(tmp_path / "nohome")]
    assert CliRunner().invoke(create_app(), command).stdout == "no model yet  -> insight train churn\n"
    assert orjson.loads(CliRunner().invoke(create_app(), [*command, "--json"]).stdout) == {"models": []}
    assert list(tmp_path.iterdir()) == []


def test_an_incomplete_card_blocks_promotion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A whole bundle whose card lacks a section is refused with its code and the section; the guard off, it would serve."""
    state = Home(tmp_path)
    write_version(state, "v1", 1)
    write_version(
        state, "v2", 2, compared_with="v1", other_pages={"card.zh.html": b'<section id="purpose"><h2>x</h2></section>'}
    )
    promote.promote(state, "churn", "v1")
    with pytest.raises(ConflictError, match=r"incomplete_card: .*card\.zh\.html: purpose"):
        promote.promote(state, "churn", "v2")
    assert serving(state) == "v1"
    monkeypatch.setattr(promote, "refuse_incomplete", lambda folder: None)
    promote.promote(state, "churn", "v2")
    assert serving(state) == "v2"


def test_a_damaged_pointer_is_mended_by_the_promotion_that_its_error_names(home: Home):
    """The error says `insight promote churn VERSION`, and that works."""
    promote.promote(home, "churn", "v1")
    (home.bundles / "churn" / "champion.json").write_text("{")
    damaged, *whole = promote.models(home)
    assert (damaged["state"], damaged["version"]) == ("damaged", "?")
    assert alias_version(home, "churn") == "v1", "a list that knows no champion must not take one away"
    assert "insight promote churn VERSION" in damaged["error"]
    assert {line["version"] for line in whole} == {"v1", "v2", "v3"}
    assert promote.promote(home, "churn", "v1")
    assert serving(home) == "v1"


def test_a_champion_whose_folder_is_gone_has_a_line_of_its_own(home: Home):
    """Without it the list would look as if nothing had ever served."""
    write_json(home.bundles / "churn" / "champion.json", {"version": "v0", "history": []})
    gone = promote.models(home, repair=False)[0]
    assert (gone["version"], gone["champion"], gone["state"]) == ("v0", True, "damaged")
    assert "the folder is gone" in gone["error"]


def test_rollback_skips_a_damaged_version(home: Home):
    """The way back leads to the newest earlier version that passes every check."""
    for version in ("v1", "v2", "v3"):
        promote.promote(home, "churn", version)
    card = home.bundles / "churn" / "v2" / "card.md"
    whole = card.read_bytes()
    card.write_text("other")
    try:
        assert promote.rollback(home, "churn") == "v1"
    finally:
        card.write_bytes(whole)


def test_the_mirror_is_repaired_by_models(home: Home):
    """The pointer is the truth: an alias that lags behind follows it at the next `insight models`."""
    promote.promote(home, "churn", "v1")
    (home.bundles / "churn" / "champion.json").write_bytes(orjson.dumps({"version": "v3", "history": ["v1"]}))
    assert alias_version(home, "churn") == "v1"
    promote.models(home)
    assert alias_version(home, "churn") == "v3"


@pytest.mark.parametrize("point", ["promote.before_champion", "promote.after_champion", "promote.after_mirror"])
def test_kill_9_during_promotion_loses_nothing(home: Home, point: str, tmp_path: Path):
    """Killed at any point, one whole version serves; running it again completes, and history holds nothing twice."""
    promote.promote(home, "churn", "v1")
    log = tmp_path / "hits"
    code = (
        "import sys; from pathlib import Path; from features.kit.home import Home; from training.registry.promote import promote;"
        "promote(Home(Path(sys.argv[1])), 'churn', 'v2')"
    )
    command = [sys.executable, "-W", "ignore", "-c", code, str(home.root)]
    planted = {"INSIGHT_FAILPOINT": f"{point}:1:kill", "INSIGHT_FAILPOINT_LOG": str(log)}
    killed = subprocess.run(command, env=os.environ | planted, check=False, capture_output=True)
    assert killed.returncode == -signal.SIGKILL
    assert f"fired:{point}" in log.read_text()
    assert serving(home) == ("v1" if point == "promote.before_champion" else "v2")
    promote.promote(home, "churn", "v2")
    assert (serving(home), alias_version(home, "churn")) == ("v2", "v2")
    assert promote.pointer(home, "churn")["history"] == ["v1"]
    assert sorted(path.name for path in (home.bundles / "churn").iterdir()) == ["champion.json", "v1", "v2", "v3"]


@pytest.mark.parametrize("point", ["bundle.before_manifest", "bundle.before_rename", "bundle.after_rename"])
def test_kill_9_while_a_bundle_is_written_leaves_no_half_version(home: Home, point: str, tmp_path: Path):
    """A killed writer leaves a draft that nobody lists; writing again gives the whole version."""
    other = Home(tmp_path)
    code = (
        "import sys; from pathlib import Path; from training import bundle; from training.knots import Calibration; import numpy as np;"
        "source = Path(sys.argv[1]); m = bundle.verify(source);"
        "bundle.write(Path(sys.argv[2]), m, (source / 'model.txt').read_text(),"
        "Calibration(np.array([-2.0, 2.0]), np.array([0.1, 0.9])), np.zeros((5, 2), np.float32), '# card')"
    )
    command = [sys.executable, "-c", code, str(home.bundles / "churn" / "v1"), str(other.bundles)]
    killed = subprocess.run(
        command, env=os.environ | {"INSIGHT_FAILPOINT": f"{point}:1:kill"}, check=False, capture_output=True
    )
    assert killed.returncode == -signal.SIGKILL
    assert promote.versions(other, "churn") == (["v1"] if point == "bundle.after_rename" else [])
    assert subprocess.run(command, check=False).returncode == 0
    assert promote.versions(other, "churn") == ["v1"]
    assert bundle.verify(other.bundles / "churn" / "v1")
    assert [path.name for path in (other.bundles / "churn").iterdir()] == ["v1"]


def test_promote_goes_by_the_written_verdict(tmp_path: Path):
    """No verdict, no promotion; a refused version needs a person's reason, which the pointer keeps."""
    state = Home(tmp_path)
    write_version(state, "v1", 1)
    write_version(state, "v2", 2, verdict=None)
    write_version(state, "v3", 3, verdict="no_more_profit", compared_with="v1")
    promote.promote(state, "churn", "v1")
    with pytest.raises(ConflictError, match="'v2' has no written verdict"):
        promote.promote(state, "churn", "v2", override="because")
    command = ["promote", "churn", "v3", "--home", str(tmp_path)]
    with pytest.raises(ConflictError, match="refused by no_more_profit"):
        CliRunner().invoke(create_app(), command, catch_exceptions=False)
    assert serving(state) == "v1"
    assert CliRunner().invoke(create_app(), [*command, "--override", "the auditor asked for it"]).exit_code == 0
    assert promote.pointer(state, "churn")["verdict"] == {
        "rule": "no_more_profit", "compared_with": "v1", "override": "the auditor asked for it",
    }  # fmt: skip
    assert {line["version"]: line["verdict"] and line["verdict"]["rule"] for line in promote.models(state)} == {
        "v1": "first_champion", "v2": None, "v3": "no_more_profit",
    }  # fmt: skip
    told = CliRunner().invoke(create_app(), ["models", "--home", str(tmp_path)]).stdout.splitlines()
    assert [line.split("T")[-1][7:] for line in told if "overridden" in line] == [
        "by hand by no_more_profit, overridden: the auditor asked for it"
    ]


def test_a_verdict_beside_another_champion_is_reached_again(tmp_path: Path, judged):
    """Written without a champion, promoted beside one: the stored rows of both decide, not the old page."""
    state, target = Home(tmp_path), load_target("churn")
    for seed, (name, sees) in enumerate((("v1", 0.8), ("v2", 0.4), ("v3", 0.9))):
        rows = judged(sees, customers=2_000, dates=2)
        found = evaluate(rows)
        verdict = judge(target.promotion, target.value, rows, found, None)
        assert verdict.promoted
        data: Any = SimpleNamespace(as_of=rows.as_of)
        write_version(
            state, name, seed, verdict=None, other_pages=written.files(target, verdict, rows, found, data, "2026-05-01")
        )
    promote.promote(state, "churn", "v1")
    with pytest.raises(ConflictError, match="'v2' is refused by worse_than_champion"):
        promote.promote(state, "churn", "v2")
    assert promote.promote(state, "churn", "v3")
    assert promote.pointer(state, "churn")["verdict"] == {
        "rule": "more_profit", "compared_with": "v1", "override": None,
    }  # fmt: skip


def test_a_challenger_has_its_alias_until_it_is_promoted(home: Home):
    """`insight shadow` points at a whole version that is not the champion; promotion and --end take the alias away."""
    promote.promote(home, "churn", "v1")
    with pytest.raises(ConflictError, match="'v1' is the champion itself"):
        promote.shadow(home, "churn", "v1")
    said = CliRunner().invoke(create_app(), ["shadow", "churn", "v2", "--home", str(home.root)])
    assert said.stdout == "churn: v2 scores in the champion's shadow\n"
    assert alias_version(home, "churn", alias=tracking.CHALLENGER) == "v2"
    aliases = {line["version"]: line["alias"] for line in promote.models(home)}
    assert aliases == {"v1": "champion", "v2": "challenger", "v3": None}
    promote.promote(home, "churn", "v2")
    assert alias_version(home, "churn", alias=tracking.CHALLENGER) is None
    assert not (home.bundles / "churn" / bundle.CHALLENGER).exists()
    promote.shadow(home, "churn", "v3")
    CliRunner().invoke(create_app(), ["shadow", "churn", "--end", "--home", str(home.root)])
    assert not (home.bundles / "churn" / bundle.CHALLENGER).exists()
    with pytest.raises(ConfigurationError, match="name a version, or --end"):
        CliRunner().invoke(create_app(), ["shadow", "churn"], catch_exceptions=False)


@pytest.mark.parametrize(
    ("features", "identity", "why"),
    [
        (("new", "b", "a"), "p-2", ""),
        (("b", "a"), "q-1", "reads other portraits"),
        (("b", "new"), "p-2", "lacks a"),
        (("b", "a as a category"), "p-2", "codes of 'a'"),
    ],
)
def test_a_champion_of_a_former_release_is_compared_by_the_names_of_its_features(home: Home, features, identity, why):
    """Another place in the vector is no obstacle; another meaning, a lack or other codes are, and it is said which."""
    promote.promote(home, "churn", "v1")
    random = np.random.default_rng(8)
    kinds = [("a", "category") if name.endswith("category") else (name, "number") for name in features]
    rows = Dataset(
        values=random.normal(size=(40, len(features))).astype(np.float32),
        features=tuple(BundleFeature(name, kind, ("x",) if kind == "category" else ()) for name, kind in kinds),
        customers=np.array([f"c{row}" for row in range(40)]),
        as_of=np.full(40, "2026-06-01", dtype="datetime64[D]"),
        labels=(np.arange(40) % 2).astype(np.int8),
        kinds=np.full(40, ""),
        rows=np.arange(40),
    )
    none = np.zeros(40)
    judged = Judged(rows.customers, rows.labels, rows.kinds, none, none, as_of=rows.as_of)
    champion, told = champion_on(home, "churn", judged, rows, identity)
    assert why in told
    assert (champion is None) == bool(why)
    if champion is not None:
        loaded = bundle.load(home.bundles / "churn" / "v1", check_in_child=False)
        expected = loaded.propensity(loaded.margins(np.ascontiguousarray(rows.values[:, [2, 1]])))
        assert champion.propensities.tolist() == expected.tolist()


def test_experiments_on_a_server_by_the_variable_of_mlflow(
    tmp_path: Path, postgresql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `MLFLOW_TRACKING_URI` runs, versions and aliases lie on PostgreSQL; the home keeps no store of its own."""
    from mlflow import MlflowClient

    place = Home.at(tmp_path / "home")
    address = postgresql.replace("postgresql:", "postgresql+psycopg:")
    write_version(place, "v1", seed=1)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    tracking.log_training(
        place, "churn", "v1", parameters={"trees": 3}, metrics=GOOD, tags={}, folder=place.bundles / "churn" / "v1"
    )
    assert tracking.mirror(place, "churn", "v1")
    assert not tracking.mirror(place, "churn", "v1")
    assert not (place.mlruns / "mlflow.db").exists()
    client = MlflowClient(address, address)
    found = client.get_model_version_by_alias("churn", tracking.CHAMPION)
    assert found.source == str((place.bundles / "churn" / "v1").resolve())
    assert client.get_run(found.run_id).data.metrics["auc"] == 0.75


@pytest.mark.parametrize("artifacts", ["mlflow-artifacts:/1/r/artifacts", "s3://bucket/1/r/artifacts"])
def test_a_server_takes_a_version_from_where_its_run_lies(artifacts: str, tmp_path: Path) -> None:
    """Wherever a server keeps its artifacts, it refuses a folder of ours; a database takes the bundle's folder."""
    run = SimpleNamespace(info=SimpleNamespace(artifact_uri=artifacts, run_id="r"))
    for address, expected in (("http://127.0.0.1:5000", f"{artifacts}/bundle"), ("postgresql://db", str(tmp_path))):
        client = SimpleNamespace(tracking_uri=address, create_model_version=lambda _, source, **_more: source)
        assert tracking._register(client, "churn", "v1", tmp_path, run) == expected
