"""A bundle is refused for any damage, never kills the process that asks, and scores to the last bit."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson
import pytest

from features.kit.errors import BundleError, DataError
from features.kit.files import sha256_of, write_json
from training import bundle as bundles_module
from training.bundle import BundleFeature, Manifest, import_lightgbm, load, model_hash, verify, write
from training.knots import Calibration

FEATURES = (
    BundleFeature("bill_amount_30d", "number"),
    BundleFeature("套餐", "category", ("a", "b", "c")),
    BundleFeature("tenure_months", "number"),
)
KNOTS = Calibration(np.array([-3.0, -1.0, 0.5, 2.0]), np.array([0.01, 0.05, 0.2, 0.6]))


def _rows(count: int = 400) -> np.ndarray:
    random = np.random.default_rng(3)
    values = random.normal(size=(count, 3)).astype(np.float32)
    values[:, 1] = random.integers(0, 3, count)
    values[random.random(count) < 0.1, 0] = np.nan
    return values


@pytest.fixture(scope="module")
def model_text() -> str:
    """Returns a small model with one category."""
    lightgbm = import_lightgbm()
    values = _rows(600)
    label = (np.nan_to_num(values[:, 0]) + (values[:, 1] == 1) > 0.5).astype(float)
    names = [bundles_module.model_name(f.name) for f in FEATURES]
    data = lightgbm.Dataset(values, label, feature_name=names, categorical_feature=[1], free_raw_data=False)
    settings = {"objective": "binary", "num_leaves": 5, "num_threads": 1, "deterministic": True, "verbosity": -1,
                "force_row_wise": True, "seed": 1}  # fmt: skip
    return lightgbm.train(settings, data, 12).model_to_string()


def _manifest(version: str = "v1") -> Manifest:
    return Manifest(
        target="churn", version=version, created_at="2026-06-01T00:00:00+00:00", portrait_identity="portrait_v1-00000000",
        features=FEATURES, base_rate=0.02, lead_days=0, horizon_days=30, label_delay_days=30, data_hash="d",
        config_hash="c", code_version="0.1.0", metrics={"auc": 0.8},
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, model_text: str) -> Path:
    """Returns a whole bundle."""
    return write(tmp_path, _manifest(), model_text, KNOTS, _rows(100), "# card\n")


def _reseal(folder: Path, **changes: object) -> None:
    """Signs a damaged bundle anew, as a careless tool would, so that only the later checks can refuse it."""
    body = orjson.loads((folder / "manifest.json").read_bytes())
    body.pop("seal")
    body |= changes
    body["files"] = {name: sha256_of(folder / name) for name in body["files"]}
    (folder / "manifest.json").write_bytes(bundles_module._seal(body))


def test_a_written_bundle_loads_and_scores_bit_equal(folder: Path, model_text: str):
    """What was written is what loads: raw scores and propensities are those of the model in memory."""
    loaded = load(folder)
    values = _rows(50)
    expected = import_lightgbm().Booster(model_str=model_text).predict(values, raw_score=True)
    assert expected.tobytes() == loaded.margins(values).tobytes()
    assert loaded.manifest.model_hash == model_hash(model_text)
    assert KNOTS.propensity(expected).tobytes() == loaded.propensity(loaded.margins(values)).tobytes()


def test_contributions_sum_to_the_raw_score(folder: Path):
    """The contributions of all features and the mean add up to the raw score."""
    loaded = load(folder, check_in_child=False)
    values = _rows(20)
    contributions = loaded.contributions(values)
    assert contributions.shape == (20, 4)
    np.testing.assert_allclose(loaded.margins(values), contributions.sum(axis=1), atol=1e-9)


def test_one_row_scores_as_it_does_in_a_batch(folder: Path):
    """A customer's propensity does not depend on who else is asked about."""
    loaded = load(folder, check_in_child=False)
    values = _rows(333)
    batch = loaded.propensity(loaded.margins(values))
    single = np.array([loaded.propensity(loaded.margins(values[i : i + 1]))[0] for i in range(len(values))])
    assert batch.tobytes() == single.tobytes()
    assert batch.tobytes() == loaded.propensity(loaded.margins(values, threads=2)).tobytes()


def test_nobody_is_an_empty_answer(folder: Path):
    """No rows give no scores, not an error."""
    loaded = load(folder, check_in_child=False)
    none = np.empty((0, 3), dtype=np.float32)
    assert loaded.propensity(loaded.margins(none)).shape == (0,)
    assert loaded.contributions(none).shape == (0, 4)


@pytest.mark.parametrize("values", [np.zeros((2, 3)), np.zeros((2, 2), np.float32), np.zeros(3, np.float32)])
def test_vectors_of_another_shape_or_type_are_refused(folder: Path, values: np.ndarray):
    """A vector that is not float32 [n, k] is an error, never a guess."""
    with pytest.raises(DataError, match=r"expected float32 \[n, 3\]"):
        load(folder, check_in_child=False).margins(values)


def test_columns_are_found_by_name_and_identity(folder: Path):
    """Neither order nor further features matter; a missing one, other codes or another meaning of names is refused."""
    loaded = load(folder, check_in_child=False)
    bill, plan, tenure = FEATURES
    later = [tenure, BundleFeature("other", "number"), bill, replace(plan, categories=(*plan.categories, "new"))]
    for identity in ("portrait_v1-00000000", "portrait_v1-11111111", None):
        assert loaded.positions(later, identity).tolist() == [2, 3, 0]
    with pytest.raises(BundleError, match="lacks 套餐"):
        loaded.positions(later[:3])
    for other in (replace(plan, categories=("b", "a", "c")), replace(plan, kind="number")):
        with pytest.raises(BundleError, match="codes of '套餐'"):
            loaded.positions([*later[:3], other])
    with pytest.raises(BundleError, match="these are portrait_v2-00000000"):
        loaded.positions(later, "portrait_v2-00000000")


@pytest.mark.parametrize("name", ["manifest.json", "model.txt", "calibration.json", "golden.json", "card.md"])
def test_any_changed_byte_of_any_file_is_refused(folder: Path, name: str):
    """Truncated, one byte changed, the last line lost, emptied or removed: refused by name, nobody dies."""
    good = (folder / name).read_bytes()
    random = np.random.default_rng(5)
    damaged = [good[: len(good) // 2], good.rsplit(b"\n", 2)[0], b"", good + b"\n", good[:-1]]
    for at in random.integers(0, len(good), 30):
        other = bytearray(good)
        other[at] ^= 1 + int(random.integers(0, 255))
        damaged.append(bytes(other))
    refused = 0
    for content in damaged:
        (folder / name).write_bytes(content)
        with pytest.raises(BundleError):
            load(folder)
        refused += 1
    (folder / name).unlink()
    with pytest.raises(BundleError, match=r"not a whole bundle|changed since"):
        load(folder)
    (folder / name).write_bytes(good)
    assert refused == 35
    assert verify(folder)


def _truncate(text: str) -> str:
    return text[: len(text) // 2]


def _change_a_digit(text: str) -> str:
    at = text.index("leaf_value=") + len("leaf_value=") + 1
    digit = next(i for i in range(at, at + 9) if text[i] in "123456789")
    return text[:digit] + str((int(text[digit]) % 9) + 1) + text[digit + 1 :]


def _lose_the_last_tree_line(text: str) -> str:
    head, tail = text.split("end of trees", 1)
    return head.rstrip().rsplit("Tree=", 1)[0] + "end of trees" + tail


@pytest.mark.parametrize("damage", [_truncate, _change_a_digit, _lose_the_last_tree_line])
def test_a_damaged_model_with_right_hashes_is_refused_by_child_or_golden_rows(folder: Path, damage):
    """A damaged model that was signed anew kills at most the child; the golden rows refuse the rest."""
    text = (folder / "model.txt").read_text()
    (folder / "model.txt").write_text(damage(text))
    _reseal(folder)
    assert verify(folder)
    with pytest.raises(BundleError):
        load(folder)


def test_reordered_columns_with_right_hashes_are_refused(folder: Path):
    """Two inputs swapped in the manifest no longer match the names inside the model."""
    body = orjson.loads((folder / "manifest.json").read_bytes())
    _reseal(folder, features=[body["features"][k] for k in (2, 1, 0)])
    with pytest.raises(BundleError, match="inputs are not those"):
        load(folder)


def test_a_changed_calibration_with_right_hashes_is_refused(folder: Path):
    """A calibration that answers differently, or is none, does not serve."""
    write_json(folder / "calibration.json", {"scores": [-3.0, 2.0], "propensities": [0.0, 0.6]})
    _reseal(folder)
    with pytest.raises(BundleError, match="golden rows"):
        load(folder)
    write_json(folder / "calibration.json", {"scores": [2.0, -3.0], "propensities": [0.0, 0.6]})
    _reseal(folder)
    with pytest.raises(BundleError, match="do not ascend"):
        load(folder, check_in_child=False)


def test_without_the_guards_a_changed_digit_would_serve(folder: Path, monkeypatch: pytest.MonkeyPatch):
    """Canary: with the golden comparison off, the changed digit loads silently."""
    text = (folder / "model.txt").read_text()
    (folder / "model.txt").write_text(_change_a_digit(text))
    _reseal(folder)
    monkeypatch.setattr(bundles_module, "_same_bits", lambda *_: True)
    assert load(folder, check_in_child=False)


def test_an_unknown_format_version_is_named(folder: Path):
    """A bundle of a later format says so instead of being half understood."""
    _reseal(folder, format_version=2)
    with pytest.raises(BundleError, match="format version 2"):
        load(folder)


def test_writing_a_version_again_keeps_it_and_repairs_a_damaged_one(folder: Path, model_text: str):
    """Writing the same version twice changes nothing; a damaged one is written anew."""
    before = (folder / "manifest.json").read_bytes()
    again = replace(_manifest(), created_at="2027-01-01T00:00:00+00:00")
    write(folder.parents[1], again, model_text, KNOTS, _rows(100), "# card\n")
    assert before == (folder / "manifest.json").read_bytes()
    (folder / "card.md").unlink()
    write(folder.parents[1], again, model_text, KNOTS, _rows(100), "# card\n")
    assert verify(folder).created_at == again.created_at
    assert [path.name for path in folder.parent.iterdir()] == ["v1"]


def test_the_lean_import_changes_no_bit_and_loads_no_pandas(folder: Path, model_text: str):
    """A child process loads the model without pandas, scikit-learn and pyarrow; a process with them scores the same."""
    code = (
        "import sys; {first}; from pathlib import Path; from training.bundle import load; import numpy as np;"
        "b = load(Path(sys.argv[1]), check_in_child=False);"
        "v = np.arange(30, dtype=np.float32).reshape(10, 3) % 7;"
        "print(b.margins(v).tobytes().hex(), sorted({{'pandas', 'sklearn', 'pyarrow'}} & set(sys.modules)))"
    )
    lean, full = (
        subprocess.run(
            [sys.executable, "-c", code.format(first=first), str(folder)], capture_output=True, text=True, check=True
        ).stdout.split(" ", 1)
        for first in ("pass", "import lightgbm")
    )
    assert lean[0] == full[0]
    assert lean[1].strip() == "[]"
    assert full[1].strip() != "[]"


def test_the_same_bytes_are_checked_in_a_child_once(folder: Path, monkeypatch: pytest.MonkeyPatch):
    """Going back to a version that this process has loaded before needs no child; other bytes under its name do."""
    asked: list[Path] = []
    monkeypatch.setattr(bundles_module, "_check_in_child", asked.append)
    monkeypatch.setattr(bundles_module, "_checked", set())
    for _ in range(3):
        load(folder)
    assert asked == [folder]
    (folder / "card.md").write_text("# another card\n")
    _reseal(folder)
    load(folder)
    assert asked == [folder, folder]
