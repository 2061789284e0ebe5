"""The ground floor: map, simulate, ingest, check, build, publish, catalogue, classes, demo, run, day, runs."""

from __future__ import annotations

import typer

from features.feeds import commands as feeds
from features.journey import commands as journey
from features.portraits import commands as portraits
from features.simulator import commands as simulator
from features.store import commands as store


def register(app: typer.Typer) -> None:
    """Adds this floor's commands to `insight`."""
    for room in (journey, simulator, feeds, portraits, store):
        room.register(app)
