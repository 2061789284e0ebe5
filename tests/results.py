"""Figures of `make bench` and `make soak`: one JSON a home, one entry an id, the newest measurement wins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from features.kit.files import write_json
from features.kit.home import Home


def figure(
    identity: str, name: str, value: Any, *, goal: Any = None, met: bool | None = None, compared_with: str = "",
    rounds: Sequence[Any] = (),
) -> dict[str, Any]:  # fmt: skip
    """Returns one entry: `id` is `perf-N`, `trust-N` or what an issue names; `goal` and `met` are None if none is set."""
    return {
        "id": identity, "name": name, "value": value, "goal": goal, "met": met, "compared_with": compared_with,
        "rounds": list(rounds),
    }  # fmt: skip


def record(kind: str, entries: Sequence[dict[str, Any]]) -> None:
    """Writes entries to `<home>/results/<kind>.json` (`bench` or `soak`), replacing those of the same id and name."""
    path = Home.at().results / f"{kind}.json"
    known = {(one["id"], one["name"]): one for one in (orjson.loads(path.read_bytes()) if path.exists() else [])}
    known |= {(one["id"], one["name"]): one for one in entries}
    write_json(path, [known[key] for key in sorted(known)])
