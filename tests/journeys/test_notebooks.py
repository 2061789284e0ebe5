"""Every notebook runs from top to bottom on a home, and holds no outputs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import pytest
from nbclient import NotebookClient

pytestmark = pytest.mark.xdist_group("journey")

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.py"))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the Jupyter client, not ours
@pytest.mark.parametrize("page", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(page: Path, demo: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """No cell fails on the demo's home."""
    monkeypatch.setenv("INSIGHT_HOME", str(demo.home))
    notebook = jupytext.read(page)
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    assert any(cell.get("outputs") for cell in notebook.cells if cell.cell_type == "code")


@pytest.mark.parametrize("page", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_pair_agrees_and_holds_no_output(page: Path) -> None:
    """The `.ipynb` has the cells of its `.py` and nothing that a run left behind."""
    made = nbformat.read(page.with_suffix(".ipynb"), as_version=4)
    assert [re.sub(r"\s+", " ", cell.source) for cell in made.cells] == [
        re.sub(r"\s+", " ", cell.source) for cell in jupytext.read(page).cells
    ]
    assert all(not cell.get("outputs") for cell in made.cells)
    command = f"jupyter-execute --output={page.stem}_seen notebooks/{page.stem}.ipynb"
    assert command in made.cells[0].source  # so that who sees no picture reads how to get it
