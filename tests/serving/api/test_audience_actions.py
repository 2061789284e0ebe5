"""An audience for one action: its own conditions, its purpose and channel, and classes that stay out."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from features.portraits.reading import Portraits
from serving.api.app import create_app
from serving.outreach.decision.candidates import read_candidates
from serving.outreach.settings import load_settings
from tests.serving.api.test_no_sale_routes import no_sale_of, whole
from tests.world import AS_OF

ACTION = {"target": "churn", "action": "plan_fit_offer", "channel": "message", "limit": 1000}
pytestmark = pytest.mark.xdist_group("api")


def ask(client, headers, **params):
    """Returns the answer of an audience and its customers."""
    answer = whole(client.get("/v1/audiences", params=ACTION | params, headers=headers)).json()
    return answer, {row["customer_id"] for row in answer["items"]}


def unproven_of(world) -> set[str]:
    """Returns whom no plan is proven to save money, by product fit's own file."""
    rows = read_candidates(world.home, AS_OF, load_settings(), {}, also=frozenset(world.ids)).rows
    return {row.customer_id for row in rows if (row.fit or {}).get("status") != "ok" or row.fit["saving"] <= 0}


def test_an_offer_reaches_only_whom_it_fits(client, world, everything):
    """Of the audience of the same purpose and channel, those without a proven saving are out, under the code."""
    answer, found = ask(client, everything)
    assert (answer["purpose"], answer["channel"]) == ("marketing", "message")
    plain = {"target": "churn", "purpose": "marketing", "channel": "message", "limit": 1000}
    items = whole(client.get("/v1/audiences", params=plain, headers=everything)).json()["items"]
    everybody = {row["customer_id"] for row in items}
    assert found
    assert found & unproven_of(world) == found & no_sale_of(world) == set()
    assert everybody & unproven_of(world)
    assert answer["refused"]["fit_not_proven"] > 0


def test_without_the_conditions_the_offer_reaches_others(world, everything, monkeypatch):
    """Canary: where an action has no conditions, customers without a proven saving are found."""
    monkeypatch.setattr("serving.outreach.decision.actions.Chooser.stops", lambda *_: set())
    with TestClient(create_app(world.home, check_in_child=False)) as client:
        assert ask(client, everything)[1] & unproven_of(world)


def test_classes_stay_out(client, world, everything):
    """Whoever is of an excluded class, as the primary or as a further one, is not found; the others are."""
    service = {"action": "service_review", "channel": "call"}
    _, before = ask(client, everything, **service)
    rows = Portraits.open(world.home).read(AS_OF, ["customer_id", "primary_class", "also_classes"]).to_pylist()
    classes = {row["customer_id"]: {row["primary_class"], *(row["also_classes"] or "").split("|")} for row in rows}
    also = sorted({name for row in rows for name in (row["also_classes"] or "").split("|")} - {""})
    assert also
    out = [also[0], rows[0]["primary_class"]]
    answer, after = ask(client, everything, **service, exclude_class=out)
    kept = {one for one in before if classes[one].isdisjoint(out)}
    assert kept <= after != before
    assert all(classes[one].isdisjoint(out) for one in after)
    assert answer["count"] == len(after)


@pytest.mark.parametrize(
    ("params", "detail"),
    [
        ({"action": "plan_fit_ofer"}, "action: no action 'plan_fit_ofer'"),
        ({"action": "no_contact"}, "action: no action 'no_contact'"),
        ({"purpose": "retention"}, "purpose: plan_fit_offer is marketing"),
        ({"channel": "hall"}, "channel: plan_fit_offer does not go by hall"),
        ({"exclude_class": "nonsense"}, "exclude_class: no class 'nonsense'"),
        ({"action": None, "channel": None, "purpose": "care"}, "channel: missing"),
        ({"action": None}, "purpose: missing"),
    ],
)
def test_what_does_not_go_together_is_refused(client, everything, params, detail):
    """422 in one line with a remedy: a misspelt filter is never an empty or a wider audience."""
    asked = {name: value for name, value in (ACTION | params).items() if value is not None}
    answer = client.get("/v1/audiences", params=asked, headers=everything)
    assert (answer.status_code, answer.json()["detail"]) == (422, detail)
    assert answer.json()["remedy"]
