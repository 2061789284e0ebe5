"""The kernel on other processors than this one: each way to write a step gives the same, with vectors of any width."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numba import njit
from numba.core.registry import cpu_target

from serving.scoring.kernel import vectors
from serving.scoring.kernel.tables import HALF
from serving.scoring.kernel.vectors import ROWS, in_set

WAYS = {"+avx512bw": "avx512.pshuf.b", "+avx2": "avx2.pshuf.b", "+ssse3": "ssse3.pshuf.b", "": "extractelement"}
PLAIN = {"NUMBA_CPU_NAME": "x86-64", "NUMBA_CPU_FEATURES": ""}
NARROW = {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx2,+fma,+bmi,+bmi2"}


@pytest.mark.parametrize("feature", WAYS)
def test_members_of_a_set_are_found_alike_on_every_processor(monkeypatch, feature):
    """Codes that are in a set and codes that are not, by the instruction of each processor and without one."""
    if feature and feature not in cpu_target.target_context.codegen().magic_tuple()[2].split(","):
        pytest.skip(f"this processor has no {feature[1:]}")
    monkeypatch.setattr(vectors, "_features", lambda context: [feature])

    @njit
    def find(places, bits, members):
        return in_set(np.uintp(places.ctypes.data), np.uintp(bits.ctypes.data), np.uintp(members.ctypes.data))

    rng = np.random.default_rng(1)
    codes, chosen = rng.integers(0, HALF, ROWS), rng.random(HALF) < 0.3
    members = np.array([sum(1 << bit for bit in range(8) if chosen[bit * 16 + byte]) for byte in range(16)], np.uint8)
    found = find((codes % 16).astype(np.uint8), (1 << codes // 16).astype(np.uint8), members)
    assert [bool(int(found) >> row & 1) for row in range(ROWS)] == chosen[codes].tolist()
    assert WAYS[feature] in next(iter(find.inspect_llvm().values()))


@pytest.mark.soak
@pytest.mark.parametrize("processor", [PLAIN, NARROW], ids=["plain", "avx2"])
def test_all_tests_of_the_kernel_pass_for_a_processor_with_narrow_vectors(processor):
    """The whole kernel, compiled for a processor without AVX-512, and for one with nothing but what all have."""
    _passes(processor, Path(__file__).with_name("test_kernel.py"))


@pytest.mark.soak
def test_all_tests_of_serving_and_training_pass_without_the_kernel():
    """LightGBM alone gives the same scores, reasons, lists and cards."""
    _passes({"INSIGHT_KERNEL": "off"}, Path(__file__).parents[2], Path(__file__).parents[3] / "training")


def _passes(environment: dict[str, str], *paths: Path) -> None:
    root = Path(__file__).parents[4]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *map(str, paths)], env=os.environ | environment, cwd=root,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
