"""An operator's own columns as facts: declared in its reasons file, with its own thresholds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from features.feeds.schema import Column, Kind
from features.kit.errors import ConfigurationError
from features.portraits.facts.declared import declared_facts, own_facts
from tests.features.portraits.conftest import EXAMPLE_ATTRIBUTES, World, build_world

COLUMNS = (Column("family", Kind.CATEGORY), Column("income", Kind.NUMBER))


def declare(folder: Path, **whens: str) -> None:
    """Writes a reasons file with some codes (`_` for the dot) and their `when`."""
    (folder / "configs").mkdir(exist_ok=True)
    lines = [f"  {code.replace('_', '.')}: {{when: {{{when}}}}}" for code, when in whens.items()]
    (folder / "configs/reasons.yaml").write_text("\n".join(["reasons:", *lines, ""]), encoding="utf-8")


def held(world: World, out: Path) -> dict[str, dict[str, object]]:
    """Returns customer -> the own facts that hold."""
    rows = build_world(world, out).rows
    reasons = {one: json.loads(row["facts"])["reasons"] for one, row in rows.items()}
    return {one: {code: facts[code] for code in facts if code.startswith("own.")} for one, facts in reasons.items()}


def test_a_threshold_a_quantile_and_a_value_make_facts_with_the_customers_own_figure(tmp_path, monkeypatch):
    """The threshold itself counts, the quantile itself does not, an unknown value is no fact; the text has the figure."""
    monkeypatch.chdir(tmp_path)
    declare(
        tmp_path,
        own_rich="attribute: income, raises_when: high, threshold: 30.7",
        own_top="attribute: income, raises_when: high, quantile: 0.5",
        own_poor="attribute: income, raises_when: low, threshold: 10",
        own_couple="attribute: family, one_of: [couple, 'O''Neil']",
    )
    world = World(tmp_path / "landed", attributes=EXAMPLE_ATTRIBUTES)
    for name, family, income in (
        ("a", "couple", 10.0),
        ("b", "single", 20.0),
        ("c", "O'Neil", 30.7),
        ("d", None, None),
    ):
        world.customer(name)
        world.add("attributes", name, "2026-01-01", family=family, income=income)
    assert held(world, tmp_path / "home") == {
        "a": {"own.couple": {}, "own.poor": {"value": 10.0}},
        "b": {},
        "c": {"own.couple": {}, "own.rich": {"value": 30.7}, "own.top": {"value": 30.7}},
        "d": {},
    }
    (tmp_path / "configs/reasons.yaml").unlink()  # the canary: without the entries the same rows hold nothing
    assert not any(held(world, tmp_path / "other").values())


@pytest.mark.parametrize(
    ("when", "message"),
    [
        (
            "attribute: incme, raises_when: high, threshold: 1",
            r"own\.x\.when\.attribute: .*'incme'; did you mean 'income'",
        ),
        ("attribute: family, raises_when: high, threshold: 1", r"own\.x\.when: 'family' is a category"),
        ("attribute: income, one_of: [a]", r"own\.x\.when: 'income' is a number"),
        ("attribute: income, raises_when: high", r"own\.x\.when: income: give `raises_when`"),
        ("attribute: income, raises_when: high, quantil: 0.9", r"own\.x\.when: unknown key 'quantil'; did you mean"),
        ("attribute: income, raises_when: up, quantile: 0.9", r"own\.x\.when: 'raises_when'"),
    ],
)
def test_a_wrong_entry_is_refused_with_its_place(when, message, tmp_path, monkeypatch):
    """A misspelt attribute or key, and a question that does not fit the kind, name file, code and key."""
    monkeypatch.chdir(tmp_path)
    declare(tmp_path, own_x=when)
    with pytest.raises(ConfigurationError, match=message):
        own_facts(COLUMNS)


def test_nothing_is_declared_by_the_shipped_file():
    """The shipped reasons speak of the portrait's own facts alone, and who declares no attribute is not asked."""
    assert declared_facts() == {}
    assert own_facts(()) == ()
