"""Tables of sentences beside the modules that use them: nothing is asked for that they lack, nothing lies there unused."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from features.kit.config import load_yaml

ROOT = Path(__file__).parents[2]
TABLES = {
    "serving/outreach/export/phrases.yaml": ("serving/outreach", {"phrase": 0, "say": 0}),
    "serving/outreach/feedback/report_errors.yaml": ("serving/outreach/feedback", {"ReportError": 1}),
    "training/monitor/advice.yaml": ("training/monitor", {"_advice": 0}),
}
"""Table -> the folder whose code may use it, and the calls that name a sentence with the place of the name."""


def _trees(folder: str) -> Iterator[ast.Module]:
    return (ast.parse(path.read_text(encoding="utf-8")) for path in sorted((ROOT / folder).rglob("*.py")))


def _texts(node: ast.AST) -> set[str]:
    return {one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str)}


def _asked_for(tree: ast.Module, calls: dict[str, int]) -> set[str]:
    """Returns the names that calls ask for, also those of `"a" if ... else "b"`."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            place = calls.get(getattr(node.func, "id", getattr(node.func, "attr", "")))
            if place is not None and len(node.args) > place:
                name = node.args[place]
                for part in [name.body, name.orelse] if isinstance(name, ast.IfExp) else [name]:
                    found |= _texts(part) if isinstance(part, ast.Constant) else set()
    return found


@pytest.mark.parametrize("table", TABLES)
def test_every_sentence_that_is_asked_for_stands_in_its_table_and_every_one_there_is_used(table):
    """A misspelt name would be seen only by the first person to whom the sentence is due."""
    folder, calls = TABLES[table]
    names = set(load_yaml(ROOT / table))
    trees = list(_trees(folder))
    assert not set().union(*(_asked_for(tree, calls) for tree in trees)) - names
    assert not names - set().union(*(_texts(tree) for tree in trees))


def test_a_misspelt_sentence_is_found():
    """The canary: both branches of a choice are looked at, whoever is called and on what."""
    tree = ast.parse('page.phrase("carried" if is_old else "knew")\nphrase("title", locale)\nother("left")')
    assert _asked_for(tree, {"phrase": 0}) == {"carried", "knew", "title"}
