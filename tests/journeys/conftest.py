"""One small synthetic operator taken through the whole main job by the command itself, shared by the journeys."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
CUSTOMERS, MONTHS = 2_500, 14


def _insight(*arguments: str, timeout: int = 1800, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "features.kit.cli", *arguments],
        cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, check=False, timeout=timeout,
    )  # fmt: skip


@pytest.fixture(scope="session")
def insight() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Returns a function that runs the command line in a fresh process, as a user would."""
    return _insight


@dataclass(frozen=True)
class Demo:
    """A home after `insight demo`, and what the command said."""

    home: Path
    summary: dict[str, Any]
    stderr: str


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """Returns the demo of a small operator."""
    home = tmp_path_factory.mktemp("journey") / "home"
    answer = _insight(
        "demo", "--customers", str(CUSTOMERS), "--months", str(MONTHS), "--threads", "1", "--no-serve", "--json",
        "--home", str(home),
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr[-3000:]
    return Demo(home, json.loads(answer.stdout), answer.stderr)
