"""A portrait is rebuilt when code that makes its values changes, and only then."""

from __future__ import annotations

from importlib import resources

import grimp
import pytest

from features.portraits.build import specification
from features.portraits.build.specification import sources
from features.portraits.settings import load_settings

ENTRANCES = ("features.portraits.build.build", "features.portraits.build.compute")
CANNOT_CHANGE_A_VALUE = {
    "features.feeds.costs": "asked which names an attribute may not take",
    "features.feeds.landed.arrival": "says when rows had arrived, beside the portrait",
    "features.feeds.landed.manifest": "names the landed files; their names are part of a partition's origin",
    "features.feeds.mapping.expectations": "limits of the feed calendar",
    "features.feeds.mapping.layout": "how files are read before they land",
    "features.feeds.mapping.sources": "the mapping; its declared attributes are part of a partition's origin",
    "features.feeds.units": "units of delivery, applied before rows land",
    "features.kit.config": "reads settings; their content is part of the specification",
    "features.kit.errors": "refusals",
    "features.kit.files": "writes and checks files",
    "features.kit.home": "folders",
    "features.kit.homes.identity": "which home this is and which backends it remembers; no value of a portrait",
    "features.kit.language": "which language a person reads; the texts stand where they are used",
    "features.kit.terminal.progress": "progress bars",
    "features.kit.runs": "locks and the run table",
    "features.kit.terminal.spelling": "the nearest word, for messages",
    "features.portraits.build.ahead": "which date runs beside which; each has a database of its own",
    "features.portraits.build.specification": "this identity itself",
    "features.portraits.reading": "names of folders and files",
}


def _reachable() -> set[str]:
    graph = grimp.build_graph("features", cache_dir=None)
    return set(ENTRANCES) | {module for entrance in ENTRANCES for module in graph.find_upstream_modules(entrance)}


def _undecided(hashed: set[str]) -> set[str]:
    return _reachable() - hashed - set(CANNOT_CHANGE_A_VALUE)


def test_every_module_that_a_build_reaches_is_hashed_or_cannot_change_a_value() -> None:
    """Nothing that a build imports is outside without a reason, and nothing is hashed that it does not reach."""
    hashed = set(sources())
    assert len(_reachable()) > 30
    assert _undecided(hashed) == set()
    assert {name for name in hashed if not name.endswith("__init__")} <= _reachable()
    assert set(CANNOT_CHANGE_A_VALUE) <= _reachable() - hashed


@pytest.mark.parametrize("room", ["features.portraits.dimensions", "features.feeds.landed.reading"])
def test_a_room_that_leaves_the_list_is_noticed(room: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The canary: with a value-making room taken off the list its modules are undecided."""
    fewer = tuple(name for name in specification.VALUE_MAKING if name != room)
    monkeypatch.setattr(specification, "VALUE_MAKING", fewer)
    assert any(name.startswith(room) for name in _undecided(set(sources())))


@pytest.mark.parametrize(
    ("module", "rebuilds"),
    [
        ("features.portraits.dimensions.consumption", True),
        ("features.portraits.facts.classes", True),
        ("features.feeds.landed.reading", True),
        ("features.portraits.commands", False),
        ("features.portraits.class_table", False),
    ],
)
def test_a_changed_module_rebuilds_if_it_makes_values(
    module: str,
    rebuilds: bool,  # noqa: FBT001
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One byte more in a value-making module is another specification; in a command it is not."""
    before = specification.specification(load_settings())
    found = sources()
    changed = {name: code + b"#" if name == module else code for name, code in found.items()}
    monkeypatch.setattr(specification, "sources", lambda: changed)
    assert (specification.specification(load_settings()) != before) is rebuilds


def test_the_data_file_beside_a_module_is_hashed_with_it() -> None:
    """A changed column of `contracts.yaml` rebuilds, although no code has changed."""
    declared = resources.files("features.feeds") / "contracts.yaml"
    assert sources()["features.feeds.contracts"].endswith(declared.read_bytes())
