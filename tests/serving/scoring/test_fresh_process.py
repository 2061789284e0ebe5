"""Scoring loads no heavy library: proved on `sys.modules` of fresh processes."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("pandas", "sklearn", "feast", "mlflow", "optuna", "shap", "ibis", "duckdb", "matplotlib")

SERVE = """
import sys
import numpy as np
from features.kit.home import Home
from features.portraits.feature_list import FeatureList
from serving.scoring.models import Models
from serving.scoring.ranks import RankTables
from serving.scoring.reasons.book import load_book
from serving.scoring.reasons.writing import ReasonWriter
from serving.scoring.settings import load_settings
from datetime import date
home, book = Home.at(sys.argv[1]), load_book()
models = Models(home, settings=load_settings(), book=book, writer=ReasonWriter(book))
models.refresh()
features = FeatureList.load(home)
scorer = models.scorer("churn", features)
models.probe("churn")
values = np.ones((1, len(features.names)), dtype=np.float32)
facts = '{"reasons":{"calls.frequent":{"n":4}}}'
print(scorer.score(["1"], values, [facts], as_of=date(2026, 6, 1), ranks=RankTables(home).get("churn", "v1", date(2026, 6, 1))))
"""

BATCH = """
import sys
from datetime import date
from features.kit.home import Home
from serving.scoring.batch.base import score_targets
score_targets(Home.at(sys.argv[1]), ["churn"], date(2026, 6, 1))
"""


def loaded(program: str, home, names: tuple[str, ...]) -> str:
    """Runs a program in a fresh process and returns which of the named modules it loaded."""
    ending = f"\nprint('loaded:', *(name for name in {names!r} if sys.modules.get(name) is not None))"
    done = subprocess.run(
        [sys.executable, "-c", program + ending, str(home.root)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def test_a_single_score_loads_nothing_heavy(world):
    """The API's way to a score with reasons imports neither pandas nor any training or store library."""
    assert loaded(SERVE, world.home, (*HEAVY, "pyarrow")) == "loaded:"


def test_the_batch_loads_no_training_library(fresh):
    """The batch reads Parquet with pyarrow (which loads pandas where it is installed) and nothing else."""
    heavy = tuple(name for name in HEAVY if name != "pandas")
    assert loaded(BATCH, fresh.home, heavy) == "loaded:"


def test_the_check_can_fail(world):
    """The same program with an import of sklearn is caught."""
    assert loaded("import sklearn\n" + SERVE, world.home, ("sklearn",)) == "loaded: sklearn"
