"""The identity of the code and thresholds that make a portrait's values: a change of either rebuilds the partitions."""

from __future__ import annotations

import hashlib
from importlib import resources
from importlib.resources.abc import Traversable

import orjson

from features.portraits.settings import PortraitSettings

VALUE_MAKING = (
    "features.feeds.contracts",
    "features.feeds.landed.reading",
    "features.feeds.landed.shape",
    "features.feeds.schema",
    "features.feeds.times",
    "features.kit.clock",
    "features.kit.spark",
    "features.kit.sql",
    "features.portraits.build.build",
    "features.portraits.build.compute",
    "features.portraits.build.passes",
    "features.portraits.build.plans",
    "features.portraits.build.sums",
    "features.portraits.dimensions",
    "features.portraits.facts",
    "features.portraits.feature_list",
    "features.portraits.settings",
    "features.portraits.sources",
)
"""The modules that can change a value, a folder standing for all that it holds at any depth. Commands, reports for
people and the writing of files are not here: changing them rebuilds nothing."""


def specification(settings: PortraitSettings) -> str:
    """Returns 16 hex digits over the modules that can change a value, and the thresholds."""
    content = [(name, code.hex()) for name, code in sources().items()]
    return hashlib.sha256(orjson.dumps([content, settings.content_hash()])).hexdigest()[:16]


def sources() -> dict[str, bytes]:
    """Returns module -> source code and data file of every module that can change a value, sorted by name."""
    found: dict[str, bytes] = {}
    for name in VALUE_MAKING:
        package, _, last = name.rpartition(".")
        place = resources.files(package) / last
        if place.is_dir():
            found |= _below(name, place)
        else:
            found[name] = _code(resources.files(package), last)
    return dict(sorted(found.items()))


def _below(name: str, folder: Traversable) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for place in folder.iterdir():
        if place.is_dir() and place.name != "__pycache__":
            found |= _below(f"{name}.{place.name}", place)
        elif place.name.endswith(".py"):
            found[f"{name}.{place.name[:-3]}"] = _code(folder, place.name[:-3])
    return found


def _code(folder: Traversable, module: str) -> bytes:
    """Returns a module's source code, and behind it the data file of its name where there is one."""
    data = folder / f"{module}.yaml"
    return (folder / f"{module}.py").read_bytes() + (data.read_bytes() if data.is_file() else b"")
