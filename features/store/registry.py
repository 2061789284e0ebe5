"""Feast's registry of one home: SQL on SQLite or a server, created once under a lock, following the feature list."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from features.kit.errors import NotReadyError
from features.kit.files import read_json, write_bytes, write_json
from features.kit.home import Home
from features.kit.homes.identity import OWN_FILE, REGISTRY, Backend, remember
from features.kit.runs import hit
from features.portraits.feature_list import FeatureList
from features.store.definitions import EXCLUDED, ONLINE_SERVICE, TTL, objects
from features.store.loading import load_feast
from features.store.online.online import open_store
from features.store.settings import RedisOnline, SparkOffline, StoreSettings

_FORMAT = 2
_LOCK_SECONDS = 60.0


def open_registry(home: Home, settings: StoreSettings | None = None) -> Any:
    """Returns Feast's `FeatureStore` of a home, its registry created or brought up to date first.

    Any number of processes may open it at once: one creates, the others wait for it.

    Raises:
        NotReadyError: If no portrait has been built, or another process holds the registry for a minute.
    """
    settings = settings or StoreSettings.load()
    features = FeatureList.load(home)
    feast = load_feast()
    from feast.repo_config import RepoConfig

    wanted = _fingerprint(home, settings, features)
    marker = home.store / "registry.json"
    with _registry_lock(home):
        address = settings.registry_url()
        if address is None and not (home.store / "registry.db").exists():
            marker.unlink(missing_ok=True)  # what it marks is gone
        config = RepoConfig(**_client_config(home, settings, secret=True), repo_path=home.store.resolve())
        store = feast.FeatureStore(config=config)
        if not marker.exists() or read_json(marker) != wanted:
            on_spark = isinstance(settings.offline, SparkOffline)
            live = _live_view(home, settings)
            store.apply(objects(features, _partitions(home, features), live, on_spark=on_spark))
            hit("publish.after_registry")
            _write_client_file(home, settings)
            write_json(marker, wanted)
            remember(home, REGISTRY, Backend(place=_place_of(address)))
    return store


def show_live_view(home: Home, settings: StoreSettings, store: Any, view: str) -> None:
    """Points the service `portrait_online` at the live view, for plain Feast clients."""
    feast = load_feast()
    with _registry_lock(home):
        live = store.registry.get_feature_view(view, settings.project, allow_cache=False)
        service = feast.FeatureService(name=ONLINE_SERVICE, features=[live], tags=dict(live.tags))
        store.registry.apply_feature_service(service, settings.project, commit=True)


def redis_connection_string(online: RedisOnline, *, password: str | None) -> str:
    """Returns Feast's connection string of a Redis server, with its deadlines."""
    options: dict[str, Any] = {
        "db": online.database,
        "socket_timeout": online.deadline_ms / 1000,
        "socket_connect_timeout": online.connect_deadline_ms / 1000,
    }
    if online.tls:
        options["ssl"] = "true"
    if online.username:
        options["username"] = online.username
    if password:
        options["password"] = password
    return ",".join([f"{online.host}:{online.port}", *(f"{name}={value}" for name, value in options.items())])


def _client_config(home: Home, settings: StoreSettings, *, secret: bool) -> dict[str, Any]:
    folder = home.store.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    online: dict[str, Any]
    if isinstance(settings.online, RedisOnline):
        password = settings.online.password()
        shown = password if secret or password is None else f"${{{settings.online.password_variable}}}"
        online = {
            "type": "redis",
            "connection_string": redis_connection_string(settings.online, password=shown),
            "full_scan_for_deletion": False,
        }
    else:
        online = {"type": "sqlite", "path": "online.db"}  # Feast looks for it beside this file
    address = settings.registry_url()
    if address and not secret:
        address = f"${{{settings.registry_variable}}}"
    return {
        "project": settings.project,
        "provider": "local",
        "registry": {
            "registry_type": "sql",
            "path": address or f"sqlite:///{folder / 'registry.db'}",
            "cache_ttl_seconds": 60,
            "sqlalchemy_config_kwargs": {"echo": False, "connect_args": {} if address else {"timeout": 30}},
        },
        "offline_store": {"type": "spark", "spark_conf": settings.offline.session_conf()}
        if isinstance(settings.offline, SparkOffline)
        else {"type": "duckdb"},
        "online_store": online,
        "entity_key_serialization_version": 3,
    }


def _write_client_file(home: Home, settings: StoreSettings) -> None:
    """Writes `feature_store.yaml`, with which a plain Feast client opens this store: `FeatureStore(repo_path=...)`."""
    content = yaml.safe_dump(_client_config(home, settings, secret=False), sort_keys=True)
    write_bytes(home.store / "feature_store.yaml", content.encode(), mode=0o600)


def _partitions(home: Home, features: FeatureList) -> Path:
    return (home.portraits / features.identity).resolve()


def _fingerprint(home: Home, settings: StoreSettings, features: FeatureList) -> dict[str, Any]:
    """Returns everything that the registry's content follows from."""
    return {
        "format": _FORMAT,
        "settings": settings.content_hash(),
        "place": _place_of(settings.registry_url()),
        "partitions": str(_partitions(home, features)),
        "identity": features.identity,
        "features": [[one.name, one.kind, one.description] for one in features.features],
        "services": {name: sorted(left_out) for name, left_out in EXCLUDED.items()},
        "ttl_seconds": int(TTL.total_seconds()),
    }


def _live_view(home: Home, settings: StoreSettings) -> str | None:
    store = open_store(home, settings)
    try:
        pointer = store.pointer()
    finally:
        store.close()
    return pointer.view if pointer else None


def _place_of(address: str | None) -> str:
    """Returns where the registry lies, without user and password."""
    if address is None:
        return OWN_FILE
    parts = urlsplit(address)
    return f"{parts.scheme.partition('+')[0]}://{parts.hostname}:{parts.port}{parts.path}"


@contextmanager
def _registry_lock(home: Home) -> Iterator[None]:
    """Waits for the registry's lock; the kernel drops it when its holder dies."""
    home.store.mkdir(parents=True, exist_ok=True)
    ends = time.monotonic() + _LOCK_SECONDS
    with (home.store / "registry.lock").open("a") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                if time.monotonic() > ends:
                    raise NotReadyError(
                        f"{home.store}: another process has held the feature registry for {_LOCK_SECONDS:.0f} s",
                        remedy="wait for it or stop it",
                    ) from None
                time.sleep(0.05)
            else:
                break
        yield
