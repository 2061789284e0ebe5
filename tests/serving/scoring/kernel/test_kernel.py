"""The kernel against LightGBM itself: margins to the last bit, contributions within 1e-5, in blocks and row by row."""

from __future__ import annotations

import copy
import importlib
import sys
from pathlib import Path
from weakref import WeakKeyDictionary

import numpy as np
import pytest
from numba.core.errors import TypingError

import serving.scoring.kernel.kernel as module
from features.kit.errors import DataError
from serving.scoring.kernel import shapley, vectors
from serving.scoring.kernel.kernel import FEW, Kernel, kernel_of
from serving.scoring.kernel.tables import MOST_THRESHOLDS, compile_model
from serving.scoring.kernel.trees import MOST_CATEGORY, UnsupportedModelError, trees_of
from serving.scoring.served import ServedModel
from training.bundle import import_lightgbm

ROWS, NUMBERS, CATEGORIES = 700, 7, 2
ODD = (0.0, -0.0, 1e-36, -1e-36, 1e-35, 2e-35, 1e-44, 3.4e38, -3.4e38, np.inf, -np.inf, np.nan)
STRANGE_CODES = (-1.0, -0.5, 0.5, 40.0, 254.0, 255.0, 256.0, 3e9, np.nan, np.inf)


def table(seed: int) -> np.ndarray:
    """Returns float32 [700, 9]: numbers of many scales with blanks, zeros and odd values, and two categories."""
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(ROWS, NUMBERS)) * 10.0 ** rng.integers(-3, 4, size=NUMBERS)
    numbers[:, 0] = rng.integers(0, 4, ROWS)
    numbers[rng.random((ROWS, NUMBERS)) < 0.15] = np.nan
    numbers[rng.random((ROWS, NUMBERS)) < 0.15] = 0.0
    categories = rng.integers(0, [5, 70], size=(ROWS, CATEGORIES)).astype(float)
    values = np.hstack([numbers, categories]).astype(np.float32)
    return np.where(rng.random(values.shape) < 0.01, np.float32(np.nan), values)


def odd_rows(seed: int) -> np.ndarray:
    """Returns rows of which some cells hold what no training row held."""
    rng, values = np.random.default_rng(seed + 1), table(seed)
    strange = rng.random(values.shape) < 0.2
    values[:, :NUMBERS][strange[:, :NUMBERS]] = rng.choice(ODD, strange[:, :NUMBERS].sum())
    values[:, NUMBERS:][strange[:, NUMBERS:]] = rng.choice(STRANGE_CODES, strange[:, NUMBERS:].sum())
    return values


def booster(seed: int, **parameters: object):
    """Returns a model of random parameters over a table of its seed."""
    lightgbm, rng, values = import_lightgbm(), np.random.default_rng(seed), table(seed)
    signal = (
        np.nan_to_num(values[:, 0])
        + (values[:, NUMBERS] == 2)
        - np.nan_to_num(values[:, 1] > 0)
        + rng.normal(size=ROWS)
    )
    settings = {
        "objective": "binary", "num_leaves": int(rng.choice([2, 5, 31, 63])), "min_data_in_leaf": int(rng.choice([1, 20])),
        "zero_as_missing": bool(rng.random() < 0.3), "use_missing": bool(rng.random() < 0.8), "max_bin": 63,
        "max_cat_to_onehot": 4, "min_data_per_group": 5, "cat_smooth": 1.0, "num_threads": 1, "verbose": -1, "seed": seed,
        "feature_fraction": 0.9,
    }  # fmt: skip
    data = lightgbm.Dataset(values, signal > 1, categorical_feature=[NUMBERS, NUMBERS + 1])
    return lightgbm.train(settings | parameters, data, num_boost_round=int(rng.choice([1, 7, 25])))


def assert_same(model, values: np.ndarray) -> None:
    """Holds a kernel against LightGBM, in a block and row by row."""
    kernel = Kernel.of(model.dump_model())
    expected = model.predict(values, raw_score=True, num_threads=1)
    assert kernel.margins(values).tobytes() == expected.tobytes()
    few = [kernel.margins(values[at : at + FEW]) for at in range(0, len(values), FEW)]
    assert np.concatenate(few).tobytes() == expected.tobytes()
    some = values[:100]
    shap = model.predict(some, pred_contrib=True, num_threads=1)
    found = kernel.contributions(some)
    assert np.abs(found - shap).max() <= 1e-5 * max(1.0, np.abs(shap).max())
    assert np.vstack([kernel.contributions(some[at : at + 1]) for at in range(len(some))]).tobytes() == found.tobytes()


@pytest.mark.parametrize("seed", range(12))
def test_random_models_are_scored_and_explained_as_by_lightgbm(seed):
    """Blanks, zeros as missing, categories, tiny and huge values, unknown codes: the same bits, the same reasons."""
    assert_same(booster(seed), odd_rows(seed))


@pytest.mark.parametrize(
    "parameters",
    [
        {"num_leaves": 2}, {"num_leaves": 255, "min_data_in_leaf": 1}, {"max_depth": 30, "num_leaves": 120, "min_data_in_leaf": 1},
        {"min_data_in_leaf": 10_000}, {"boosting": "dart", "drop_rate": 0.5}, {"objective": "regression"}, {"extra_trees": True},
    ],
    ids="-".join,
)  # fmt: skip
def test_trees_of_every_shape(parameters):
    """Stumps, full and deep trees, trees of one leaf, other boostings and objectives."""
    assert_same(booster(100, **parameters), odd_rows(100))


def test_a_path_of_many_features_is_exact():
    """A tree whose path uses more features than a vector has lanes is not cut short: the prototype was wrong by .03."""
    lightgbm, rng = import_lightgbm(), np.random.default_rng(0)
    values = rng.normal(size=(3000, 24)).astype(np.float32)
    data = lightgbm.Dataset(values, (values > 1.2).any(axis=1))
    model = lightgbm.train(
        {"objective": "binary", "num_leaves": 60, "verbose": -1, "min_data_in_leaf": 1, "num_threads": 1}, data, 5
    )
    assert max(tree.most_features for tree in trees_of(model.dump_model())) > 16
    assert_same(model, values)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"objective": "multiclass", "num_class": 3}, "one plain sum"),
        ({"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5}, "one plain sum"),
        ({"linear_tree": True}, "linear"),
    ],
)
def test_what_the_kernel_does_not_support_it_refuses(change, why):
    """A model that is more than one sum of plain trees is left to LightGBM, by name."""
    lightgbm, values = import_lightgbm(), np.abs(np.nan_to_num(table(1)[:, :3]))
    settings = {"objective": "regression", "verbose": -1, "num_threads": 1} | change
    model = lightgbm.train(settings, lightgbm.Dataset(values, np.arange(ROWS) % 3), 3)
    with pytest.raises(UnsupportedModelError, match=why):
        Kernel.of(model.dump_model())


def test_too_many_thresholds_or_categories_are_refused():
    """A code is one byte; what does not fit is not scored by it."""
    lightgbm, values = import_lightgbm(), np.arange(20_000, dtype=np.float32)[:, None]
    many = {"objective": "regression", "max_bin": 1000, "num_leaves": 200, "verbose": -1, "num_threads": 1}
    model = lightgbm.train(many, lightgbm.Dataset(values, np.sin(values[:, 0] / 20)), 5)
    with pytest.raises(UnsupportedModelError, match=str(MOST_THRESHOLDS)):
        Kernel.of(model.dump_model())
    large = values[:6000] % 300
    data = lightgbm.Dataset(large, (large[:, 0] % 7 > 3), categorical_feature=[0])
    model = lightgbm.train({"objective": "binary", "min_data_per_group": 1, "verbose": -1, "max_bin": 400}, data, 3)
    with pytest.raises(UnsupportedModelError, match=str(MOST_CATEGORY)):
        Kernel.of(model.dump_model())


@pytest.fixture(autouse=True)
def kernel_on(monkeypatch):
    """Holds the kernel on where the other tests run without it."""
    monkeypatch.delenv(module.SWITCH, raising=False)
    monkeypatch.setattr(module, "_kernels", WeakKeyDictionary())


@pytest.fixture
def noticed(monkeypatch):
    """Returns what the kernel writes to the log: (event, reason)."""
    lines = []

    class Log:
        """A log that remembers."""

        def warning(self, event, **about):
            lines.append((event, about["reason"]))

    monkeypatch.setattr(module, "get_logger", Log)
    return lines


def test_a_wrong_table_is_found_by_the_golden_rows(world, monkeypatch, noticed):
    """The canary: a threshold that is off by one makes LightGBM score, and the log says so once."""
    monkeypatch.setattr(module, "compile_model", lambda dump: _moved(compile_model(dump)))
    assert kernel_of(world.bundle) is None
    assert kernel_of(world.bundle) is None
    assert noticed == [("kernel_off", "margins of golden rows")]


@pytest.mark.parametrize("way", ["contributions_of", "contributions_of_rows"])
def test_wrong_contributions_are_found_by_the_golden_rows_in_either_way(world, monkeypatch, noticed, way):
    """The canary: blocks that explain wrongly while single rows are right are found, and the other way round."""
    right = getattr(shapley, way)

    def wrong(*given):
        right(*given)
        given[-1][:, 0] += 0.1

    monkeypatch.setattr(shapley, way, wrong)
    assert kernel_of(world.bundle) is None
    assert noticed == [("kernel_off", "contributions of golden rows")]


@pytest.mark.parametrize(
    "error", [TypingError("no such type"), ZeroDivisionError("a node of no rows"), KeyError("leaf_count")]
)
def test_whatever_stops_the_compiler_leaves_the_model_to_lightgbm(world, monkeypatch, noticed, error):
    """A compiler that fails, and a dump that is unlike the known ones, stop no scoring."""

    def stopped(dump):
        raise error

    monkeypatch.setattr(module, "compile_model", stopped)
    assert kernel_of(world.bundle) is None
    assert noticed == [("kernel_off", f"{type(error).__name__}: {error}")]


def test_kept_machine_code_goes_with_any_file_of_the_room(tmp_path, monkeypatch):
    """A function whose own file is as it was, and which calls another file that is not, is compiled anew."""
    (tmp_path / "vectors.py").write_bytes(Path(vectors.__file__).read_bytes())
    monkeypatch.syspath_prepend(tmp_path)
    called = "from vectors import compiled\n@compiled\ndef inner() -> int: return {}\n"
    (tmp_path / "kept_outer.py").write_text(
        "from vectors import entry\nfrom kept_inner import inner\n@entry\ndef outer() -> int: return inner()\n"
    )
    found = []
    for result in (1, 1, 22):
        (tmp_path / "kept_inner.py").write_text(called.format(result))
        for name in ("vectors", "kept_inner", "kept_outer"):
            monkeypatch.delitem(sys.modules, name, raising=False)
        importlib.invalidate_caches()
        outer = importlib.import_module("kept_outer").outer
        found.append((outer(), sum(outer.stats.cache_hits.values())))
    for name in ("vectors", "kept_inner", "kept_outer"):
        monkeypatch.delitem(sys.modules, name)
    assert found == [(1, 0), (1, 1), (22, 0)]


def _moved(model):
    codes_of_nodes = model.tables.node_codes.copy()
    codes_of_nodes[: len(codes_of_nodes) // 2] += 1
    return model._replace(tables=model.tables._replace(node_codes=codes_of_nodes))


def test_the_switch_leaves_every_model_to_lightgbm(world, monkeypatch):
    """INSIGHT_KERNEL=off changes no score and no reason."""
    from tests.serving.scoring.conftest import make_scorer

    fast = make_scorer(world.bundle, world.features)
    monkeypatch.setenv("INSIGHT_KERNEL", "off")
    slow = make_scorer(copy.copy(world.bundle), world.features)
    assert kernel_of(world.bundle) is not None
    assert kernel_of(slow.bundle) is None
    assert fast.rows(world.values).margins.tobytes() == slow.rows(world.values).margins.tobytes()
    reasons = [scorer.reason_codes(world.values, world.facts, most=3) for scorer in (fast, slow)]
    assert reasons[0] == reasons[1]
    assert sum(len(each) > 1 for each in reasons[0]) > 50


def test_a_served_model_is_compiled_before_the_first_request(world, monkeypatch):
    """A champion serves with its kernel: the first scorer of it compiles nothing."""
    served = ServedModel(world.home.bundles, world.bundle.manifest.target)
    assert served.refresh(check_in_child=False)
    monkeypatch.delattr(module, "compile_model")
    assert kernel_of(served.bundle) is not None


def test_threads_and_chunks_change_no_bit(world, monkeypatch):
    """Any chunk on any number of threads gives the same."""
    kernel = kernel_of(world.bundle)
    inputs = world.scorer._inputs(world.values)
    whole = kernel.margins(inputs), kernel.contributions(inputs)
    monkeypatch.setattr(module, "CHUNK", 100)
    assert kernel.margins(inputs, threads=2).tobytes() == whole[0].tobytes()
    assert kernel.contributions(inputs, threads=2).tobytes() == whole[1].tobytes()


@pytest.mark.parametrize("rows", [3, 100])
def test_rows_of_another_width_or_type_are_refused(world, rows):
    """Machine code would read beyond them."""
    kernel, inputs = kernel_of(world.bundle), world.scorer._inputs(world.values[:rows])
    for wrong in (inputs[:, 1:], inputs.astype(np.float64), inputs[0]):
        for asked in (kernel.margins, kernel.contributions):
            with pytest.raises(DataError, match="expected float32"):
                asked(wrong)
