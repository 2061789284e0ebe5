"""perf-4 and perf-5: the scoring kernel against LightGBM itself, on this processor and on one without AVX-512.

The model is synthetic: 300 trees of 63 leaves over 80 features, 8 of them categories. Each round measures both, one after
the other, in CPU seconds of one thread; the figure is the median of the rounds' ratios. onnxruntime runs in the same
rounds where it is installed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from importlib import import_module
from time import process_time
from typing import Any

import numpy as np

from features.kit.home import Home
from serving.scoring.kernel.kernel import CLOSE, Kernel
from tests.results import figure
from training.bundle import import_lightgbm

ROUNDS, TREES, LEAVES, NUMBERS, CATEGORIES = 5, 300, 63, 72, 8
SCORED, SCORED_BY_LIGHTGBM, EXPLAINED, EXPLAINED_BY_LIGHTGBM = 40_000, 8_000, 4_096, 100
PORTABLE = {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx2,+fma,+bmi,+bmi2"}


def run(home: Home) -> Iterator[dict[str, Any]]:
    """Yields the ratios of margins and of reasons, each on this processor with the portable one beside."""
    here, portable = _in_child({}), _in_child(PORTABLE)
    wide = here["is_avx512"]
    is_same = all(each["margins_apart"] == 0 and each["reasons_apart"] <= CLOSE for each in (here, portable))
    peer = f"; onnxruntime {here['onnxruntime']}" if here["onnxruntime"] else ""
    if not peer:
        print("skipped onnxruntime: not installed  -> pip install onnxruntime onnxmltools")
    for identity, name, key, goal, least, others in (
        ("perf-4", "margins, times Booster.predict", "margins", 20 if wide else 4, 4, peer),
        ("perf-5", "exact reasons, times pred_contrib", "reasons", 100 if wide else 12, 12, ""),
    ):
        value, apart = here[key], max(here[f"{key}_apart"], portable[f"{key}_apart"])
        yield figure(
            identity, name, value, goal=goal, met=is_same and value >= goal and portable[key] >= least,
            compared_with=f"{'AVX-512' if wide else 'no AVX-512'}; without it {portable[key]}, goal {least}{others}; "
            f"largest difference {apart:.1e}",
            rounds=here[f"{key}_rounds"],
        )  # fmt: skip


def _in_child(environment: dict[str, str]) -> dict[str, Any]:
    """Measures in a process of its own, for which the kernel is compiled anew where it must be."""
    threads = {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.kernel"],
        env=os.environ | threads | environment,
        check=True,
        capture_output=True,
    )
    measured: dict[str, Any] = json.loads(done.stdout)
    return measured


def _table(rows: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(rows, NUMBERS)) + rng.normal(size=(rows, 6)) @ np.random.default_rng(7).normal(
        size=(6, NUMBERS)
    )
    numbers[:, ::6] = np.floor(np.exp(np.clip(numbers[:, ::6], -5, 5)))
    numbers[rng.random(numbers.shape) < 0.04] = np.nan
    return np.hstack([numbers, rng.integers(0, (6, 12, 30, 4, 50, 90, 8, 16), (rows, CATEGORIES))]).astype(np.float32)


def _measure() -> dict[str, Any]:
    import llvmlite.binding as llvm

    lightgbm, values = import_lightgbm(), _table(SCORED, 1)
    signal = np.tanh(np.nan_to_num(values[:, :NUMBERS])) @ np.random.default_rng(3).normal(size=NUMBERS)
    signal += np.sin(values[:, NUMBERS:]).sum(axis=1) + np.random.default_rng(4).logistic(size=SCORED)
    data = lightgbm.Dataset(
        values, signal > np.quantile(signal, 0.94), categorical_feature=list(range(NUMBERS, NUMBERS + CATEGORIES))
    )
    settings = {
        "objective": "binary",
        "num_leaves": LEAVES,
        "learning_rate": 0.05,
        "num_threads": 1,
        "verbose": -1,
        "min_data_in_leaf": 40,
    }
    model = lightgbm.train(settings, data, TREES)
    kernel, fresh = Kernel.of(model.dump_model()), _table(SCORED, 2)
    few, some = fresh[:SCORED_BY_LIGHTGBM], fresh[:EXPLAINED_BY_LIGHTGBM]
    margins = model.predict(few, raw_score=True, num_threads=1)
    shap = model.predict(some, pred_contrib=True, num_threads=1)
    apart = float(np.abs(kernel.margins(few) - margins).max()), float(np.abs(kernel.contributions(some) - shap).max())
    explained = fresh[:EXPLAINED]
    ratios: dict[str, list[float]] = {"margins": [], "reasons": [], "onnxruntime": []}
    peer = _onnxruntime(model, values.shape[1])
    for _ in range(ROUNDS):
        theirs = _seconds(lambda: model.predict(few, raw_score=True, num_threads=1)) / len(few)
        ratios["margins"].append(round(theirs / (_seconds(lambda: kernel.margins(fresh)) / len(fresh)), 1))
        if peer is not None:
            ratios["onnxruntime"].append(round(theirs / (_seconds(lambda: peer(few)) / len(few)), 2))
        theirs = _seconds(lambda: model.predict(some, pred_contrib=True, num_threads=1)) / len(some)
        ratios["reasons"].append(round(theirs / (_seconds(lambda: kernel.contributions(explained)) / EXPLAINED), 1))
    is_wide = os.environ.get("NUMBA_CPU_NAME") is None and bool(llvm.get_host_cpu_features().get("avx512bw"))
    figures = {key: float(np.median(rounds)) if rounds else None for key, rounds in ratios.items()}
    rounds = {f"{key}_rounds": rounds for key, rounds in ratios.items()}
    return figures | rounds | {"margins_apart": apart[0], "reasons_apart": apart[1], "is_avx512": is_wide}


def _onnxruntime(model: Any, width: int) -> Callable[[np.ndarray], Any] | None:
    """Returns how onnxruntime scores rows with the same model on one thread; None where it is not installed."""
    try:
        onnxruntime, converter = import_module("onnxruntime"), import_module("onnxmltools")
        kind = import_module("onnxmltools.convert.common.data_types").FloatTensorType([None, width])
    except ImportError:
        return None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    with redirect_stdout(sys.stderr):
        graph = converter.convert_lightgbm(model, initial_types=[("x", kind)], zipmap=False)
    session = onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return lambda rows: session.run(None, {"x": rows})


def _seconds(work: Callable[[], Any]) -> float:
    start = process_time()
    work()
    return process_time() - start


if __name__ == "__main__":
    print(json.dumps(_measure()))
