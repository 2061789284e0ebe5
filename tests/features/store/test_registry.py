"""The registry is created once, whoever comes first, and follows the feature list."""

from collections import Counter
from dataclasses import replace

import pytest

from features.kit.errors import ConfigurationError
from features.kit.homes.identity import read_identity
from features.portraits.dimensions.spec import Feature
from features.store import definitions
from features.store.loading import load_feast
from features.store.registry import open_registry, redis_connection_string
from features.store.settings import RedisOnline

SERVICES = ["churn_v1", "complaint_v1", "dissatisfaction_v1", "portrait_online", "upgrade_v1"]


def test_eight_first_opens_at_once(home, settings, fresh_processes):
    """Eight processes that open a fresh registry at the same time all get it, whole."""
    import store_children

    answers = fresh_processes.Queue()
    openers = [
        fresh_processes.Process(target=store_children.open_and_list, args=(home, settings, answers)) for _ in range(8)
    ]
    for opener in openers:
        opener.start()
    found = [answers.get(timeout=120) for _ in openers]
    for opener in openers:
        opener.join(30)
    assert found == [SERVICES] * 8


def test_registry_on_a_server(home, settings, postgresql, monkeypatch):
    """By configuration the registry lies on PostgreSQL; the password stays in the environment, Feast alone opens it."""
    monkeypatch.setenv("FEAST_REGISTRY", postgresql.replace("postgresql:", "postgresql+psycopg:"))
    on_server = settings.model_copy(update={"registry_variable": "FEAST_REGISTRY"})
    ours = open_registry(home, on_server)
    assert sorted(one.name for one in ours.list_feature_services()) == SERVICES
    assert not (home.store / "registry.db").exists()
    written = (home.store / "feature_store.yaml").read_text()
    assert "path: ${FEAST_REGISTRY}" in written
    assert "insight@" not in written
    plain = load_feast().FeatureStore(repo_path=str(home.store))
    assert sorted(one.name for one in plain.list_feature_services()) == SERVICES
    for store in (ours, plain):
        store.registry.write_engine.dispose()
    assert "@" not in read_identity(home).backends["registry"].place
    monkeypatch.delenv("FEAST_REGISTRY")
    with pytest.raises(ConfigurationError, match="registry_variable names 'FEAST_REGISTRY', which is not set"):
        open_registry(home, on_server)


def test_killed_while_creating_is_created_again(home, settings, monkeypatch):
    """A registry whose creation died before its marker was written is created again by the next open."""
    monkeypatch.setenv("INSIGHT_FAILPOINT", "publish.after_registry:1:fail")
    from features.kit import runs

    monkeypatch.setattr(runs, "_hits", Counter())
    with pytest.raises(runs.FailpointError):
        open_registry(home, settings)
    assert not (home.store / "registry.json").exists()
    monkeypatch.delenv("INSIGHT_FAILPOINT")
    assert [one.name for one in open_registry(home, settings).list_feature_services()] != []


def test_the_view_describes_every_feature(home, settings, portraits, monkeypatch):
    """Each feature's one sentence stands in the store; a new feature appears at the next open; exclusions hold."""
    store = open_registry(home, settings)
    told = {one.name: one.description for one in store.get_feature_view("portrait").features}
    assert told["signal_3_30d"] == "Signal 3."

    grown = replace(portraits.features, features=(*portraits.features.features, Feature("bills_count_90d", "x")))
    grown.save(home)
    monkeypatch.setitem(definitions.EXCLUDED, "churn_v1", frozenset({"tenure_days"}))
    store = open_registry(home, settings)
    service = store.get_feature_service("churn_v1")
    names = [field.name for one in service.feature_view_projections for field in one.features]
    assert names == [*grown.names[1:]]


def test_a_plain_client_opens_the_folder(home, settings):
    """`FeatureStore(repo_path=<home>/store)` is all that a plain Feast client needs."""
    open_registry(home, settings)
    store = load_feast().FeatureStore(repo_path=str(home.store))
    assert [one.name for one in store.list_entities()] == ["customer_id"]


def test_feast_is_not_bent_for_others():
    """After Feast is loaded, typeguard's decorator is its own again."""
    import typeguard

    load_feast()
    assert typeguard.typechecked.__module__.startswith("typeguard")


def test_redis_connection_string_carries_deadlines():
    """Feast's own Redis client gets our deadlines, database and password."""
    online = RedisOnline(
        kind="redis", host="store", port=7000, database=3, tls=True, username="insight", deadline_ms=200
    )
    assert redis_connection_string(online, password="s=1") == (
        "store:7000,db=3,socket_timeout=0.2,socket_connect_timeout=0.1,ssl=true,username=insight,password=s=1"
    )
