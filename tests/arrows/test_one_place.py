"""Rules that stand in one place: what was known at an instant, what a feed is, how a value becomes SQL."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from features.feeds.contracts import FEEDS

ROOT = Path(__file__).parents[2]
FLOORS = ("features", "training", "serving")
RULES = {
    "known": (
        re.compile(r"known_at\s*<(?!\s*event_at)|superseded_at\s+IS\s+NULL", re.IGNORECASE),
        "features/feeds/landed/reading.py",
    ),
    "sql": (
        re.compile(r"""TIMESTAMP '\{[^}]*:%Y|replace\("'",|read_parquet\(\[?\{"""),
        "features/kit/sql.py",
    ),
}

MAKES_VERSIONS = "features/feeds/landing/identity.py"
"""Landing gives each version its span of knowledge; everybody else asks whether an instant lies in it."""


def _modules() -> dict[str, str]:
    paths = [path for floor in FLOORS for path in sorted((ROOT / floor).rglob("*.py"))]
    return {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in paths}


def _elsewhere(rule: str, modules: dict[str, str]) -> list[str]:
    """Returns every line that writes a rule again outside its one module."""
    pattern, home = RULES[rule]
    return [
        f"{path}: {line.strip()}"
        for path, text in modules.items()
        if path not in (home, MAKES_VERSIONS if rule == "known" else home)
        for line in text.splitlines()
        if pattern.search(line)
    ]


def _lists_of_feeds(text: str) -> Iterator[frozenset[str]]:
    """Yields every collection of at least three constants that are all names of feeds."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Tuple | ast.List | ast.Set):
            names = [each.value for each in node.elts if isinstance(each, ast.Constant)]
            if len(names) == len(node.elts) >= 3 and set(names) <= set(FEEDS):
                yield frozenset(map(str, names))


def _twice(modules: dict[str, str]) -> list[str]:
    """Returns the modules that list the same feeds as another one, or the feeds that a field of the contract names."""
    flags = [name for name, value in vars(FEEDS["customers"]).items() if isinstance(value, bool)]
    seen = {frozenset(name for name, feed in FEEDS.items() if getattr(feed, flag)): flag for flag in flags}
    found = []
    for path, text in modules.items():
        for names in _lists_of_feeds(text):
            if names in seen:
                found.append(f"{path}: {sorted(names)} stand in {seen[names]} too")
            seen[names] = path
    return found


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_is_written_in_its_one_module(rule: str) -> None:
    """No other module writes it, and its own does."""
    modules = _modules()
    pattern, home = RULES[rule]
    assert _elsewhere(rule, modules) == []
    assert pattern.search(modules[home])


@pytest.mark.parametrize(
    ("rule", "line"),
    [
        ("known", 'f"SELECT * FROM bills WHERE known_at < {moment}"'),
        ("known", '"AND (superseded_at IS NULL OR superseded_at >= $at)"'),
        ("known", '"FROM numbers WHERE superseded_at is null"'),
        ("sql", "f\"TIMESTAMP '{moment:%Y-%m-%d %H:%M:%S}'\""),
        ("sql", """path.replace("'", "''")"""),
        ("sql", 'f"FROM read_parquet([{paths}], union_by_name=true)"'),
    ],
)
def test_a_second_copy_is_found(rule: str, line: str) -> None:
    """The canary: one such line in any other module is named."""
    assert _elsewhere(rule, {"training/labels/new.py": line, RULES[rule][1]: line}) == [
        f"training/labels/new.py: {line}"
    ]


def test_no_list_of_feeds_stands_twice() -> None:
    """What sets feeds apart is a field of their contract, not a tuple under two names."""
    assert _twice(_modules()) == []


def test_a_list_of_feeds_that_stands_twice_is_found() -> None:
    """The canary: a list that equals a field of the contracts, and one that stands in two modules."""
    state = 'STATE = ("customers", "subscriptions", "fixed_services")'
    free = 'READ = ("bills", "tickets", "surveys")'
    assert len(_twice({"a.py": state})) == 1
    assert len(_twice({"a.py": free, "b.py": free})) == 1
    assert _twice({"a.py": free}) == []
