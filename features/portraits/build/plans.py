"""The plan of the specification, compiled once a machine: a date runs SQL texts, and Ibis takes seconds to write them.

A plan is kept in the user's cache folder under everything that made it: code, thresholds, what the run was told, and
the versions of the compilers. Where that folder cannot be read or written, each process compiles for itself.
"""

from __future__ import annotations

import hashlib
import os
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson

from features.kit.files import write_bytes
from features.portraits.build.compute import Plan
from features.portraits.build.specification import specification
from features.portraits.feature_list import definitions
from features.portraits.sources.engines import DuckDBEngine, Engine
from features.portraits.sources.request import Request

MOST_KEPT = 20
_PARTS = ("staged", "sources", "features", "sums")


def plan_of(engine: Engine | type[DuckDBEngine], request: Request) -> Plan:
    """Returns the plan of a request in an engine's SQL, kept or compiled."""
    if not _is_shipped(request):
        return Plan.compiled(engine.compile, request)
    place = plans_folder() / f"{_key(engine.dialect, request)}.json"
    parts = _read(place)
    if parts is None:
        plan = Plan.compiled(engine.compile, request)
        _keep(place, {part: getattr(plan, part) for part in _PARTS})
        return plan
    return Plan(request, **parts)


def plans_folder() -> Path:
    """Returns where plans are kept: `customer-insight/plans` in $XDG_CACHE_HOME, else in `~/.cache`."""
    caches = os.environ.get("XDG_CACHE_HOME")
    return Path(caches or Path.home() / ".cache") / "customer-insight" / "plans"


def _is_shipped(request: Request) -> bool:
    """Returns whether every expression is one of the code, or an attribute's, of which the declaration says all."""
    ours = set(definitions())
    return all(each in ours or each.feature.dimension == "attributes" for each in request.definitions)


def _key(dialect: str, request: Request) -> str:
    """Returns the hash of everything that a plan is made of."""
    features = [(each.feature.name, each.feature.kind, each.source, each.months) for each in request.definitions]
    content = (
        specification(request.settings), dialect, [version("ibis-framework"), version("sqlglot")], features,
        repr(request.attributes), request.time_zone, request.money_scale, request.country,
    )  # fmt: skip
    return hashlib.sha256(orjson.dumps(content)).hexdigest()[:32]


def _read(place: Path) -> dict[str, Any] | None:
    """Returns the parts of a kept plan; None where there is none, or it is not as it was written."""
    try:
        digest, _, content = place.read_bytes().partition(b"\n")
    except OSError:
        return None
    if hashlib.sha256(content).hexdigest().encode() != digest:
        return None
    parts: dict[str, Any] = orjson.loads(content)
    return parts


def _keep(place: Path, parts: dict[str, Any]) -> None:
    """Writes a plan, for its owner alone, and forgets the oldest ones; a folder that takes no file stops nothing."""
    content = orjson.dumps(parts)
    try:
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_bytes(place, hashlib.sha256(content).hexdigest().encode() + b"\n" + content, mode=0o600)
        kept = sorted(place.parent.glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
        for old in kept[MOST_KEPT:]:
            old.unlink(missing_ok=True)
    except OSError:
        return
