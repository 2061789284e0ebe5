"""A plan that was kept is the plan that would be compiled; anything doubtful is compiled again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from features.feeds.schema import Column, Kind
from features.portraits.build import plans
from features.portraits.build.compute import Plan
from features.portraits.build.plans import plan_of, plans_folder
from features.portraits.feature_list import definitions
from features.portraits.settings import load_settings
from features.portraits.sources.engines import DuckDBEngine
from features.portraits.sources.request import Request

ENGINE = DuckDBEngine(None)  # compiling needs no connection
_LIMITS = load_settings().limits
OTHER_SETTINGS = load_settings().model_copy(
    update={"limits": _LIMITS.model_copy(update={next(iter(type(_LIMITS).model_fields)): 12345})}
)
REQUEST = Request("Asia/Shanghai", definitions(), load_settings(), (), 2)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Gives each test a cache folder of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def _uncompiled(*_: Any) -> Plan:
    raise AssertionError("compiled again")


def test_a_kept_plan_is_the_compiled_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second process compiles nothing and gets every text as the first one had it."""
    compiled = plan_of(ENGINE, REQUEST)
    monkeypatch.setattr(Plan, "compiled", _uncompiled)
    assert plan_of(ENGINE, REQUEST) == compiled
    assert len(compiled.features) > 10
    assert [path.stat().st_mode & 0o777 for path in plans_folder().iterdir()] == [0o600]


@pytest.mark.parametrize(
    "change",
    [
        {"time_zone": "Asia/Tokyo"},
        {"money_scale": 0},
        {"country": "US"},
        {"attributes": (Column("tier", Kind.TEXT),)},
        {"definitions": definitions()[:-1]},
        {"settings": OTHER_SETTINGS},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_a_run_is_told_is_part_of_the_plan(change: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Another zone, list, scale, threshold or attribute never gets the plan of this one."""
    plan_of(ENGINE, REQUEST)
    monkeypatch.setattr(Plan, "compiled", _uncompiled)
    with pytest.raises(AssertionError, match="compiled again"):
        plan_of(ENGINE, replace(REQUEST, **change))


def test_changed_code_compiles_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The identity of code and thresholds is part of the key."""
    plan_of(ENGINE, REQUEST)
    monkeypatch.setattr(plans, "specification", lambda _: "another")
    monkeypatch.setattr(Plan, "compiled", _uncompiled)
    with pytest.raises(AssertionError, match="compiled again"):
        plan_of(ENGINE, REQUEST)


def test_an_expression_of_nobody_is_never_kept() -> None:
    """A definition that the code does not hold is compiled each time, since its name does not say what it computes."""
    first, *others = definitions()
    strange = replace(first, value=lambda rows: rows.count())
    plan_of(ENGINE, replace(REQUEST, definitions=(strange, *others)))
    assert not plans_folder().exists()


def test_a_damaged_plan_is_compiled_again() -> None:
    """A file that is not as it was written is not run."""
    compiled = plan_of(ENGINE, REQUEST)
    (path,) = plans_folder().iterdir()
    path.write_bytes(path.read_bytes().replace(b"customer_id", b"customer_ix", 1))
    assert plan_of(ENGINE, REQUEST) == compiled


def test_a_cache_that_takes_nothing_stops_no_build(own_cache: Path) -> None:
    """Where a file stands in the folder's place each process compiles for itself."""
    (own_cache / "customer-insight").write_text("")
    assert plan_of(ENGINE, REQUEST).features


def test_old_plans_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder does not grow for ever."""
    monkeypatch.setattr(plans, "MOST_KEPT", 1)
    for zone in ("Asia/Shanghai", "Asia/Tokyo"):
        plan_of(ENGINE, replace(REQUEST, time_zone=zone))
    assert len([*plans_folder().iterdir()]) == 1
