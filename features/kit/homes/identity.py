"""Which home this is and which backends are its own: `<home>/home.json`, kept from the first use on.

A backend (the ledger, the online store, the landed feeds) carries the id of its home too. So a backend of another home,
another backend than yesterday's, and one that is gone are noticed before anything is read from it or written to it.
The file holds no path of this machine: a home may be moved, and a copy of it works on its own files.
"""

from __future__ import annotations

import fcntl
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import Field

from features.kit.clock import utc_now
from features.kit.config import Config, parse_config
from features.kit.errors import ConfigurationError, DataError, HomeError, NotReadyError
from features.kit.files import read_json, write_json
from features.kit.home import Home

NAME = "home.json"
FORMAT_VERSION = 1
OWN_FILE = "own file"
"""The place of a backend that lies inside the home and moves with it."""

LEDGER, STORE, REGISTRY, FEEDS = "ledger", "online store", "registry", "feeds"
MOVE, ADOPT = "insight home move --reason WHY", "insight home adopt --reason WHY"
SMALL_FALL = 20
"""Up to so many rows fewer are no large fall, whatever their share."""


class Backend(Config):
    """One backend as this home last saw it."""

    place: str  # `own file`, or its address without a password
    id: str = ""  # the backend's own random id, where it has one
    counts: dict[str, int] = Field(default_factory=dict)  # rows by kind, as of the last use; a large fall is refused


class Decision(Config):
    """What a person decided about this home: when, by which command, why, and what it changed."""

    at: datetime
    command: str
    reason: str
    detail: dict[str, Any] = Field(default_factory=dict)


class Identity(Config):
    """The content of `home.json`."""

    format_version: int = FORMAT_VERSION  # of this file
    home_id: str  # 16 random hex digits
    created_at: datetime  # when the home was first used, UTC
    backends: dict[str, Backend] = Field(default_factory=dict)  # kind of backend -> what is remembered of it
    decisions: tuple[Decision, ...] = ()  # every `insight home move` and `insight home adopt`, oldest first


def read_identity(home: Home) -> Identity | None:
    """Returns the identity of a home, or None before its first use.

    Raises:
        DataError: If `home.json` is damaged.
        NotReadyError: If a later version of this system wrote it.
    """
    path = home.root / NAME
    try:
        content = read_json(path)
    except FileNotFoundError:
        return None
    if content.get("format_version") != FORMAT_VERSION:
        raise NotReadyError(f"{path}: format {content.get('format_version')}, this version reads {FORMAT_VERSION}")
    try:
        return parse_config(Identity, content, source=str(path))
    except ConfigurationError as error:
        raise DataError(error.message, remedy="restore it from a backup") from None


def change(home: Home, edit: Callable[[Identity], Identity], *, home_id: str = "") -> Identity:
    """Returns the identity after an edit, written whole or not at all; makes one first where there is none.

    `edit` is called under a lock, with the newest content. `home_id` is the id of a new identity, if the home's own
    backends know it; otherwise it is drawn.
    """
    with _locked(home):
        old = read_identity(home)
        new = edit(old or Identity(home_id=home_id or secrets.token_hex(8), created_at=utc_now()))
        if new != old:
            write_json(home.root / NAME, new.model_dump(mode="json"))
    return new


def first_use(home: Home, *, home_id: str = "") -> Identity:
    """Returns the identity of a home, made now if this is its first use."""
    return read_identity(home) or change(home, lambda identity: identity, home_id=home_id)


def remember(home: Home, kind: str, backend: Backend) -> Identity:
    """Keeps what a backend looks like from now on."""
    return change(home, lambda old: old.model_copy(update={"backends": old.backends | {kind: backend}}))


def remembered(home: Home, kind: str) -> Backend | None:
    """Returns what the home remembers of a backend, or None before its first use."""
    identity = read_identity(home)
    return identity.backends.get(kind) if identity else None


def refuse_other_place(home: Home, kind: str, place: str, *, decided_by: str) -> None:
    """Refuses a backend at another place than this home's.

    Raises:
        ConfigurationError: Naming the home and both places.
    """
    known = remembered(home, kind)
    if known is not None and known.place != place:
        raise ConfigurationError(
            f"home {home.root}: its {kind} is {known.place}, but {decided_by} says {place}",
            remedy=f"set it back; if the {kind} was moved on purpose: {MOVE}",
        )


def refuse_foreign(home: Home, identity: Identity | None, kind: str, place: str, owner: str) -> None:
    """Refuses a backend that carries the id of another home. Raises HomeError naming the home and the place."""
    if identity is None or identity.home_id != owner:
        mine = identity.home_id if identity else "new"
        raise HomeError(
            f"home {home.root} ({mine}): the {kind} at {place} belongs to home {owner}",
            remedy=f"give this home its own {kind}; if it is this home's all the same: {ADOPT}",
        )


def folder_in_mark(home: Home, place: str) -> str:
    """Returns what the mark of a backend says of the home's folder: nothing where the backend moves with it."""
    return "" if place == OWN_FILE else str(home.root.resolve())


def refuse_copy(home: Home, kind: str, place: str, lives_at: str) -> None:
    """Refuses a copy of the home that a backend on a server belongs to, while the original is still there.

    Raises:
        HomeError: Naming both homes.
    """
    original, mine = Path(lives_at) / NAME, home.root / NAME
    if not lives_at or not original.exists() or original.samefile(mine):
        return
    there, here = read_identity(Home(Path(lives_at))), read_identity(home)
    if there is not None and here is not None and there.home_id == here.home_id:
        raise HomeError(
            f"home {home.root} is a copy of {lives_at}, and the {kind} at {place} belongs to that",
            remedy=f"remove the original if this goes on in its place ({ADOPT} does without); else give the copy "
            "backends of its own and a new id: insight home move --new-id --reason WHY",
        )


def refuse_fall(
    home: Home, kind: str, place: str, before: Mapping[str, int], now: Mapping[str, int], *, never: str = ""
) -> None:
    """Refuses a backend that has lost most rows of a kind since it was last used, or any of the kind `never`.

    Raises:
        HomeError: Naming the place and both counts.
    """
    for name, count in before.items():
        left = now.get(name, 0)
        if left < (count if name == never else min(count / 2, count - SMALL_FALL)):
            raise HomeError(
                f"home {home.root}: the {kind} at {place} has {left:,} {name}; it had {count:,}",
                remedy=f"restore it from a backup; if the fall is right: {ADOPT}",
            )


def gone(home: Home, kind: str, why: str) -> HomeError:
    """Returns the refusal of an absent backend that other state of the home contradicts."""
    return HomeError(
        f"home {home.root}: its {kind} went missing: {why}", remedy=f"restore it from a backup; if it is lost: {ADOPT}"
    )


def decide(identity: Identity, command: str, reason: str, **detail: Any) -> Identity:
    """Returns the identity with one more decision of a person on record."""
    decision = Decision(at=utc_now(), command=command, reason=reason, detail=detail)
    return identity.model_copy(update={"decisions": (*identity.decisions, decision)})


@contextmanager
def _locked(home: Home) -> Iterator[None]:
    home.root.mkdir(parents=True, exist_ok=True)
    with (home.root / "home.lock").open("a", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
