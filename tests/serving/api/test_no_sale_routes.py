"""No sale today on the API's paths and in product fit's file: 0 pitched anywhere in a small operator; each path's canary."""

from __future__ import annotations

import csv
import io
from datetime import date

import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient

from features.feeds.landed.reading import Feeds
from serving.api.app import create_app
from serving.no_sale import NoSaleSettings, no_sale_today
from serving.outreach.policy.states import read_states
from serving.product_fit.commands import fit
from serving.product_fit.step import fit_base, fit_path
from tests.serving.api.test_customer_routes import number_of
from tests.world import AS_OF

AUDIENCE = {"target": "churn", "purpose": "marketing", "channel": "message", "limit": 1000}
pytestmark = pytest.mark.xdist_group("api")

PATHS = ("json", "csv", "fit", "look-up")


def whole(response):
    """Returns an answer that is one: a failed request pitches nothing and would prove nothing."""
    assert response.status_code == 200, response.text
    return response


def pitched(client, world, headers, path) -> set[str]:
    """Returns the customers of no sale whom one path pitches something."""
    held = no_sale_of(world)
    if path == "json":
        page = whole(client.get("/v1/audiences", params=AUDIENCE, headers=headers)).json()
        return {row["customer_id"] for row in page["items"]} & held
    if path == "csv":
        text = whole(client.get("/v1/audiences", params=AUDIENCE | {"view": "csv"}, headers=headers)).text
        return {row["customer_id"] for row in csv.DictReader(io.StringIO(text))} & held
    found = set()
    for one in held:
        if path == "fit":
            shown = whole(client.get(f"/v1/customers/{one}/product-fit", headers=headers)).json()
        else:
            number = number_of(world, one)
            page = whole(client.post("/v1/lookups", json={"number": number}, headers=headers)).json() if number else {}
            shown = page.get("product_fit")
        if shown and (not shown["no_sale_today"] or shown["status"] == "ok" or shown["saving"] is not None
                      or not all(offer["on_request"] for offer in shown["offers"])):  # fmt: skip
            found.add(one)
    return found


def no_sale_of(world) -> frozenset[str]:
    """Returns whom the rule holds back in the small operator."""
    return no_sale_today(Feeds.open(world.home), AS_OF)


@pytest.mark.parametrize("path", PATHS)
def test_nobody_of_no_sale_is_pitched(client, world, everything, path):
    """0 of them by any path; the audience counts them by the code."""
    assert len(no_sale_of(world)) > 10
    assert pitched(client, world, everything, path) == set()
    refused = client.get("/v1/audiences", params=AUDIENCE, headers=everything).json()["refused"]
    assert refused["no_sale_today"] > 0


@pytest.fixture
def older_fit(world, monkeypatch):
    """Puts a fit of before the causes in place of the batch's, and puts it back afterwards."""
    path = fit_path(world.home, AS_OF)
    kept = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr("serving.product_fit.step.no_sale_today", lambda feeds, as_of: frozenset())
        fit_base(world.home, AS_OF, out=path)
    yield
    path.write_bytes(kept)


@pytest.mark.usefixtures("older_fit")
@pytest.mark.parametrize("path", ["fit", "look-up"])
def test_a_fit_that_did_not_know_the_cause_is_held_back_too(client, world, everything, path):
    """The door judges again by what is known now."""
    assert pitched(client, world, everything, path) == set()


@pytest.mark.usefixtures("older_fit")
@pytest.mark.parametrize("path", PATHS)
def test_without_the_rule_each_path_pitches(world, everything, monkeypatch, path):
    """Canary: where the policy reads that nobody is held back, every path finds somebody to pitch."""
    monkeypatch.setattr("serving.outreach.policy.states.no_sale_today", lambda feeds, as_of: frozenset())
    # Past the copy that the home keeps.
    monkeypatch.setattr("serving.outreach.policy.live.kept_states", lambda *given: ("read", read_states(*given)))
    with TestClient(create_app(world.home, check_in_child=False)) as client:
        assert pitched(client, world, everything, path) != set()


def of_file(world, path) -> set[str]:
    """Returns the customers of no sale to whom a fit file pitches an offer."""
    rows = pq.read_table(path, partitioning=None).to_pylist()
    held = no_sale_of(world)
    return {row["customer_id"] for row in rows if row["customer_id"] in held and row["status"] == "ok"}


def test_the_fit_file_pitches_nothing_to_them(world, tmp_path, monkeypatch):
    """Their figures stand with the mark; without the rule (canary) some would be offered a saving."""
    out = tmp_path / "fit.parquet"
    fit_base(world.home, AS_OF, out=out)
    rows = {row["customer_id"]: row for row in pq.read_table(out, partitioning=None).to_pylist()}
    held = no_sale_of(world) & rows.keys()
    assert {one for one, row in rows.items() if row["no_sale_today"]} == held
    assert (of_file(world, out), of_file(world, fit_path(world.home, AS_OF))) == (set(), set())
    assert any(rows[one]["offers"] != "[]" for one in held)
    monkeypatch.setattr("serving.product_fit.step.no_sale_today", lambda feeds, as_of: frozenset())
    fit_base(world.home, AS_OF, out=out)
    assert of_file(world, out) != set()


def test_the_command_marks_what_is_not_pitched(world, capsys, monkeypatch):
    """`insight fit --customer` says it first; without the rule (canary) the mark is missing."""
    one = min(no_sale_of(world))
    fit(customer=one, as_of=str(date(2026, 6, 1)), home=world.home.root)
    assert "no sale today" in capsys.readouterr().out
    monkeypatch.setattr("serving.no_sale.load_no_sale", lambda: NoSaleSettings(classes=(), complaint_days=0, leave_enquiry_days=0))  # fmt: skip
    fit(customer=one, as_of=str(date(2026, 6, 1)), home=world.home.root)
    assert "no sale today" not in capsys.readouterr().out
