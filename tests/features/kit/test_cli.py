"""The command line answers at once and says what is wrong in one line."""

import subprocess
import sys
from pathlib import Path

import pytest

_CLI = (sys.executable, "-m", "features.kit.cli")


def _insight(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*_CLI, *arguments], capture_output=True, text=True, check=False, cwd=cwd)


def test_help_lists_the_main_job() -> None:
    """Help names the first command a newcomer needs."""
    answer = _insight("--help")
    assert answer.returncode == 0
    assert "demo" in answer.stdout
    assert "run" in answer.stdout


def test_help_loads_nothing_heavy() -> None:
    """`insight --help` imports none of the heavy libraries; that is what keeps it under a second."""
    code = (
        "import sys; from features.kit.cli import create_app; create_app();"
        "print([name for name in ('pandas','numpy','duckdb','ibis','lightgbm','feast','mlflow','shap','optuna',"
        "'sklearn','fastapi','jinja2','matplotlib','sqlalchemy') if name in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "--source", "none.yaml", "--data", "nowhere"), "--data: nowhere is not a folder"),
        (("run", "--source", "none.yaml", "--data", ".", "--home", "h"), "none.yaml: no such file"),
        (("run", "--source", "x.yaml", "--data", ".", "--as-of", "1.6.2026"), "--as-of: '1.6.2026' is not a date"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    """Standard error holds one error line that names the flag or the file; standard output stays empty."""
    answer = _insight(*arguments, cwd=tmp_path)
    errors = [line for line in answer.stderr.splitlines() if line.startswith("error:")]
    assert answer.returncode == 2
    assert len(errors) == 1
    assert said in errors[0]
    assert "Traceback" not in answer.stderr
    assert answer.stdout == ""
