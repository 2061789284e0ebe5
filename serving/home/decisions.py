"""What a person may decide about a home: where its backends are now, and that what is there now is its own.

A decision is written into `home.json` with its reason. Killed anywhere, the checks refuse as before and the same
command may be repeated.
"""

from __future__ import annotations

import secrets
from typing import Any

from sqlalchemy import Engine, update

from features.feeds.landed.manifest import manifest_path, read_manifest
from features.kit.clock import utc_now
from features.kit.errors import ConfigurationError, HomeError, InsightError
from features.kit.home import Home
from features.kit.homes.identity import (
    FEEDS,
    LEDGER,
    OWN_FILE,
    STORE,
    Backend,
    change,
    decide,
    first_use,
    read_identity,
    remember,
)
from features.kit.homes.moved import follow_folder
from features.store.online import belonging as store_belonging
from features.store.online.online import connect, open_store
from features.store.settings import StoreSettings
from serving.database import belonging as ledger_belonging
from serving.database.audit import record
from serving.database.session import engine_of, migrated, open_database, writing
from serving.database.tables_outreach import AttemptRow, ContactRow
from serving.home.restored import restore

SHORTEST_REASON = 5


def show(home: Home) -> dict[str, Any]:
    """Returns the identity of a home and, for each backend, what is remembered and what is wrong now."""
    checks = {
        LEDGER: lambda: _check_ledger(home),
        STORE: lambda: open_store(home, StoreSettings.load()).close(),
        FEEDS: lambda: read_manifest(home),
    }
    problems = {kind: problem for kind, check in checks.items() if (problem := _problem(check))}
    identity = read_identity(home)
    content: dict[str, Any] = identity.model_dump(mode="json") if identity else {"home_id": None, "backends": {}}
    return {"home": str(home.root), **content, "problems": problems}


def move(home: Home, reason: str, *, new_id: bool = False) -> dict[str, Any]:
    """Accepts the present places of ledger and online store, or gives a copied home an id of its own.

    MLflow's records name the folder that they lie in afterwards, so that its pages find their artifacts at once.

    With `new_id` the files inside the home become those of the new id, and backends on servers stay the original's:
    this home forgets them.

    Raises:
        ConfigurationError: If the reason is too short.
        InsightError: If what is at the new place is not this home's; nothing has changed then.
    """
    _check_reason(reason)
    old, settings = first_use(home), StoreSettings.load()
    engine = engine_of(home)
    places = {LEDGER: ledger_belonging.place_of(engine.url), STORE: store_belonging.place_of(settings)}
    if new_id:
        own = {kind: one for kind, one in old.backends.items() if one.place == OWN_FILE}
        changed = old.model_copy(update={"home_id": secrets.token_hex(8), "backends": own})
        change(home, lambda _: decide(changed, "move --new-id", reason, before=old.home_id))
        follow_folder(home.mlruns / "mlflow.db")
        if home.operations.exists() and places[LEDGER] == OWN_FILE:
            _mark_ledger(home, engine)
        if (home.store / "online.db").exists() and places[STORE] == OWN_FILE:
            _mark_store(home, settings, may_fall=False)
        return show(home)
    places = {kind: places.get(kind, one.place) for kind, one in old.backends.items()}
    moved = {kind: [one.place, places[kind]] for kind, one in old.backends.items() if one.place != places[kind]}
    backends = {kind: one.model_copy(update={"place": places[kind]}) for kind, one in old.backends.items()}
    change(home, lambda now: decide(now.model_copy(update={"backends": backends}), "move", reason, places=moved))
    try:
        _check_ledger(home)
        open_store(home, settings).close()
    except InsightError:
        change(home, lambda _: old)
        raise
    follow_folder(home.mlruns / "mlflow.db")
    return show(home)


def adopt(home: Home, reason: str) -> dict[str, Any]:
    """Makes the present backends this home's, whatever they say; what files know of a lost ledger is put into it.

    Where the feeds' manifest is gone, their files are set aside, and what the ledger reported lands again after the
    next `insight ingest`.

    Returns:
        What `show` returns, with `restored`: the rows added to the ledger, and `set_aside`: the folder of lost feeds.

    Raises:
        ConfigurationError: If the reason is too short.
        HomeError: If ledger and manifest are both gone: then nothing knows who must not be contacted.
    """
    _check_reason(reason)
    settings = StoreSettings.load()
    feeds_lost = _problem(lambda: read_manifest(home)) is not None and not manifest_path(home).exists()
    if feeds_lost and _problem(lambda: open_database(home).dispose()):
        raise HomeError(
            f"home {home.root}: its ledger and {manifest_path(home)} are both gone",
            remedy="restore one of them from a backup, or begin another --home",
        )
    first_use(home)
    set_aside = _set_feeds_aside(home) if feeds_lost else None
    engine = engine_of(home)
    mark = _mark_ledger(home, engine)
    restored = {} if feeds_lost or read_manifest(home) is None else restore(home, engine)
    with writing(engine) as session:
        record(session, actor="cli", action="home.adopt", subject=mark.home_id, detail={"reason": reason})
        if feeds_lost:
            session.execute(update(ContactRow).values(landed_at=None))
            session.execute(update(AttemptRow).values(landed_at=None))
        counts = ledger_belonging.count_rows(session.connection())
    engine.dispose()
    _mark_store(home, settings, may_fall=True)
    place = ledger_belonging.place_of(engine.url)
    remember(home, LEDGER, Backend(place=place, id=mark.database_id, counts=counts))
    change(home, lambda now: decide(now, "adopt", reason, restored=restored, set_aside=set_aside))
    return {**show(home), "restored": restored, "set_aside": set_aside}


def _check_reason(reason: str) -> None:
    if len(reason.strip()) < SHORTEST_REASON:
        raise ConfigurationError(
            f"--reason '{reason.strip()}': shorter than {SHORTEST_REASON} characters",
            remedy="say why; it is kept in home.json",
        )


def _check_ledger(home: Home) -> None:
    """Opens the ledger, if there is one to check: one on a server, or an own file that was used before."""
    is_own = ledger_belonging.place_of(engine_of(home).url) == OWN_FILE
    identity = read_identity(home)
    used = identity is not None and LEDGER in identity.backends
    if not is_own or used or home.operations.exists() or ledger_belonging.lists_in(home):
        open_database(home).dispose()


def _problem(check: Any) -> str | None:
    try:
        check()
    except InsightError as error:
        return str(error)
    return None


def _mark_ledger(home: Home, engine: Engine) -> ledger_belonging.Mark:
    migrated(engine, home)
    with engine.connect() as connection:
        mark = ledger_belonging.read_mark(connection)
    return ledger_belonging.take(home, engine, database_id=mark.database_id if mark else "", over=True)


def _mark_store(home: Home, settings: StoreSettings, *, may_fall: bool) -> None:
    """Marks the online store as this home's, if anything was published into it; `may_fall` lets rows fall once."""
    store = connect(home, settings)
    try:
        if store.owner() is not None or store.pointer() is not None:
            store_belonging.take(home, store, settings, over=True)
            if may_fall:
                store_belonging.remember_rows(home, settings, 0)
        else:
            change(home, lambda old: old.model_copy(update={"backends": _without(old.backends, STORE)}))
    finally:
        store.close()


def _without(backends: dict[str, Backend], kind: str) -> dict[str, Backend]:
    return {name: one for name, one in backends.items() if name != kind}


def _set_feeds_aside(home: Home) -> str:
    """Moves the files of feeds without a manifest out of the way, and returns the folder."""
    stamp = f"{utc_now():%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"
    lost = home.root / "lost" / stamp
    lost.mkdir(parents=True)
    if home.feeds.exists():
        home.feeds.rename(lost / "feeds")
    personal = home.personal / "lost" / stamp
    for name in ("persons", "numbers"):
        if (home.personal / name).exists():
            personal.mkdir(parents=True, exist_ok=True)
            (home.personal / name).rename(personal / name)
    change(home, lambda old: old.model_copy(update={"backends": _without(old.backends, FEEDS)}))
    return str(lost.relative_to(home.root))
