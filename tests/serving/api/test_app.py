"""The whole application: every route decides who may ask, refuses in one way, and is documented with examples."""

import time

import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from features.kit.home import Home
from serving.api.app import create_app
from serving.api.auth import KEY_SECONDS, Needs, OpenToAll
from serving.api.errors import REMEDIES
from serving.database.keys import SCOPES, create_key, revoke_key
from serving.database.session import open_database

pytestmark = pytest.mark.xdist_group("api")

DOCUMENTATION = {"/openapi.json", "/docs", "/redoc", "/docs/oauth2-redirect"}


def routes(app):
    """Returns the application's own routes: all but the documentation pages."""
    return [route for route in flat(app.routes) if isinstance(route, APIRoute) and route.path not in DOCUMENTATION]


def flat(entries):
    """Returns routes, also those of included routers."""
    for entry in entries:
        inner = getattr(entry, "original_router", None)
        yield from flat(inner.routes) if inner is not None else (entry,)


def decisions(route):
    """Returns the decisions in a route's tree of dependencies."""
    found, todo = [], [route.dependant]
    while todo:
        one = todo.pop()
        todo += one.dependencies
        found += [one.call] if isinstance(one.call, Needs | OpenToAll) else []
    return found


def undecided(app):
    """Returns the routes without exactly one decision."""
    return [route.path for route in routes(app) if len(decisions(route)) != 1]


def test_every_route_has_decided_who_may_ask(world):
    """No route is open by omission; what is open says why; nothing under /v1 is open."""
    app = create_app(world.home)
    assert undecided(app) == []
    assert [route.path for route in routes(app) if isinstance(decisions(route)[0], OpenToAll)] == [
        "/livez", "/readyz", "/version", "/metrics",
    ]  # fmt: skip


def test_a_route_without_a_decision_is_found(world):
    """Canary: a route added without a decision turns the test above red."""
    app = create_app(world.home)
    app.get("/v1/forgotten")(lambda: None)
    assert undecided(app) == ["/v1/forgotten"]


def test_nothing_else_is_exposed(world):
    """Besides the declared routes there is only the documentation."""
    app = create_app(world.home)
    others = {getattr(route, "path", "") for route in flat(app.routes) if not isinstance(route, APIRoute)}
    assert others <= DOCUMENTATION | {"/static-offline-docs"}


def filled(route):
    """Returns a route's path with something in its places."""
    return route.path.replace("{customer_id}", "x").replace("{list_id}", "x")


def test_no_key_and_a_wrong_key_are_refused_everywhere(client, world):
    """Every closed route answers 401 as a problem, whatever else is wrong with the request."""
    closed = [route for route in routes(client.app) if not isinstance(decisions(route)[0], OpenToAll)]
    assert {"/v1/scores", "/v1/outcomes"} <= {route.path for route in closed}
    for route in closed:
        for headers in ({}, {"Authorization": "Bearer ik_0_x"}, {"Authorization": "Basic eDp5"}):
            response = client.request(next(iter(route.methods)), filled(route), headers=headers)
            assert (response.status_code, response.json()["code"]) == (401, "unauthenticated")
            assert response.headers["www-authenticate"] == "Bearer"


def test_a_key_without_the_scope_is_refused_everywhere(client, world):
    """Generated from the routes: each needs its scope, and every other scope together is not enough."""
    needs = [(route, one) for route in routes(client.app) for one in decisions(route)[:1] if isinstance(one, Needs)]
    assert {"/v1/scores", "/v1/outcomes"} <= {route.path for route, _ in needs}
    for route, decision in needs:
        headers = world.key(*(SCOPES.keys() - set(decision.scopes)))
        response = client.request(next(iter(route.methods)), filled(route), headers=headers)
        assert (response.status_code, response.json()["code"]) == (403, "not_permitted")
        assert "insight keys create" in response.json()["remedy"]


def test_every_operation_has_examples(client):
    """Each operation shows an example of its good answer, and of its body if it takes one."""
    paths = client.get("/openapi.json").json()["paths"]
    assert {"/v1/scores", "/v1/outcomes"} <= set(paths)
    for path, operations in paths.items():
        for method, operation in operations.items():
            good = next(answer for status, answer in operation["responses"].items() if status.startswith("2"))
            assert all("example" in content or name.startswith("text/csv") or "spreadsheet" in name
                       for name, content in good["content"].items()), (method, path)  # fmt: skip
            if "requestBody" in operation:
                assert "example" in operation["requestBody"]["content"]["application/json"], (method, path)


def test_the_documentation_needs_no_other_host(client):
    """The page loads its scripts and styles from this service."""
    page = client.get("/docs").text
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page


def test_unknown_paths_and_methods_are_problems(client, everything):
    """404 and 405 have the same form as every other refusal, and a request id."""
    for response, status in (
        (client.get("/v1/nothing", headers=everything), 404),
        (client.delete("/v1/scores", headers=everything), 405),
    ):
        assert (response.status_code, response.json()["status"]) == (status, status)
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["request_id"] == response.headers["x-request-id"]
        assert response.json()["remedy"] == REMEDIES["not_found" if status == 404 else "method_not_allowed"]


def test_health(client):
    """Alive, ready by real golden predictions, versioned, and measured."""
    assert client.get("/livez").json() == {"status": "alive"}
    ready = client.get("/readyz").json()
    assert (ready["status"], ready["targets"], ready["as_of"]) == (
        "ready",
        {"churn": "v1", "complaint": "v1"},
        "2026-06-01",
    )
    assert client.get("/version").json()["name"] == "customer-insight"
    figures = client.get("/metrics").text
    assert 'insight_requests_total{method="GET",route="/livez",status="200"}' in figures
    assert "insight_portrait_age_hours" in figures


def test_too_large_bodies_are_refused_unread(client, everything):
    """Two megabytes are more than any operation needs."""
    response = client.post("/v1/scores", content=b"x" * (2 * 1024 * 1024 + 1), headers=everything)
    assert (response.status_code, response.json()["code"]) == (413, "too_large")
    assert response.json()["remedy"] == REMEDIES["too_large"]


@pytest.mark.parametrize(
    "content", [b"{", b"[" * 100_000, b'{"ids": ["\xff"]}', b'{"targets":["churn"],"ids":["\\ud800"]}']
)
def test_what_is_not_json_is_a_problem(client, everything, content):
    """Broken, hostile or wrongly encoded bodies are refused without a stack trace."""
    response = client.post("/v1/scores", content=content, headers={**everything, "content-type": "application/json"})
    assert response.status_code in (400, 422)
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["remedy"] == REMEDIES["invalid_request"]


def test_another_content_type_is_named(client, everything):
    """A body sent as text is 415 and says what to send."""
    answer = client.post("/v1/scores", content="hello", headers={**everything, "content-type": "text/plain"})
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
    assert "application/json" in answer.json()["remedy"]


def test_overload_is_shed_early(world, everything):
    """Beyond the bound a request is refused with 503 and Retry-After; health still answers."""
    with TestClient(create_app(world.home, check_in_child=False, most_at_once=0)) as crowded:
        refused = crowded.get("/v1/models", headers=everything)
        assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")
        assert int(refused.headers["retry-after"]) > 0
        assert crowded.get("/livez").status_code == 200


def test_before_anything_is_there_the_service_starts_and_says_so(tmp_path):
    """An empty home serves: alive, not ready, each answer a 503 problem with its remedy."""
    with TestClient(create_app(Home(tmp_path))) as empty:
        assert empty.get("/livez").status_code == 200
        ready = empty.get("/readyz")
        assert (ready.status_code, ready.json()["code"]) == (503, "not_ready")
        engine = open_database(Home(tmp_path))
        _, key = create_key(engine, "t", frozenset(SCOPES), actor="test")
        engine.dispose()
        answer = empty.get("/v1/customers/1/portrait", headers={"Authorization": f"Bearer {key}"})
        assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (503, "not_ready", "2")


def test_a_revoked_key_stops_working(client, world):
    """After the second for which a process trusts a key, it is refused."""
    engine = open_database(world.home)
    key, full = create_key(engine, "gone", frozenset({"models:read"}), actor="test")
    headers = {"Authorization": f"Bearer {full}"}
    assert client.get("/v1/models", headers=headers).status_code == 200
    revoke_key(engine, key.key_id, actor="test")
    engine.dispose()
    time.sleep(KEY_SECONDS)
    assert client.get("/v1/models", headers=headers).status_code == 401
