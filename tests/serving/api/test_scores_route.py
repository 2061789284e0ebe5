"""POST /v1/scores: what it answers, what it refuses, who sees what."""

from datetime import datetime
from typing import Any

import orjson
import pytest

from features.kit.clock import utc_now
from serving.api.scores.service import score
from serving.scoring.batch.lookup import Lookups
from serving.scoring.batch.stored import Scores

pytestmark = pytest.mark.xdist_group("api")


def ask(client, headers, **body):
    """Posts a request for scores."""
    return client.post("/v1/scores", json={"targets": ["churn"]} | body, headers=headers)


def test_items_come_in_the_order_asked_and_equal_the_batch(client, world, everything):
    """Every score, percentile and band is the batch's to the last bit, ids in the order asked, targets within an id."""
    ids = world.ids[40:0:-3]
    items = ask(client, everything, ids=ids, targets=["complaint", "churn"]).json()["items"]
    assert [(i["customer_id"], i["target"]) for i in items] == [(one, t) for one in ids for t in ("complaint", "churn")]
    for target in ("churn", "complaint"):
        batch = {row["customer_id"]: row for row in Scores.current(world.home, target).read().to_pylist()}
        for item in items:
            if item["target"] == target:
                expected = batch[item["customer_id"]]
                for name in ("status", "propensity", "percentile", "times_base", "band"):
                    assert expected[name] == item[name]


def test_a_stored_score_is_the_live_one(client, world, everything, monkeypatch):
    """What the batch stored is served as `stored`, without it the same comes out `live`, each with its instant."""
    body: dict[str, Any] = {"ids": world.ids[:60], "targets": ["churn", "complaint"], "reasons": 3, "locale": "en"}
    began = utc_now()
    stored = ask(client, everything, **body).json()["items"]
    monkeypatch.setattr(Lookups, "get", lambda *_: None)
    live = ask(client, everything, **body).json()["items"]
    assert {item["scored"] for item in stored} == {"stored"}
    assert {item["scored"] for item in live} == {"live"}
    assert max(datetime.fromisoformat(item.pop("scored_at")) for item in stored) < began
    assert min(datetime.fromisoformat(item.pop("scored_at")) for item in live) >= began
    ages = {"scored", "portrait_age_hours"}
    assert [{k: v for k, v in item.items() if k not in ages} for item in stored] == [
        {k: v for k, v in item.items() if k not in ages} for item in live
    ]


def test_a_score_is_never_bare(client, world, everything):
    """Version, as-of date, age, what is missing and flags stand beside every number."""
    (item,) = ask(client, everything, ids=world.ids[:1]).json()["items"]
    assert (item["model_version"], item["as_of"], item["error"]) == ("v1", "2026-06-01", None)
    assert item["portrait_age_hours"] > 0
    assert {"missing", "flags", "contactable", "control_group"} <= item.keys()


def test_unknown_customers_are_items_not_failures(client, world, everything):
    """An unknown id is answered in its place; the others have their scores."""
    items = ask(client, everything, ids=["nobody", world.ids[0]]).json()["items"]
    assert [item["status"] for item in items] == ["unknown_customer", "ok"]
    assert items[0]["error"]["code"] == "not_found"


def test_what_is_answered_at_once_is_what_the_usual_way_answers(client, world, everything, monkeypatch):
    """Few known customers are answered on the event loop, and by the same items as through FastAPI and a thread."""
    bodies: list[dict[str, Any]] = [
        {"ids": world.ids[:1], "reasons": 3},
        {"ids": world.ids[1:3], "targets": ["complaint", "churn"], "locale": "en"},
        {"ids": [*world.ids[:1], "nobody"]},
        {"ids": world.ids[:1], "purpose": "retention", "channel": "call"},
        {"ids": world.ids[:5]},
        {"ids": world.ids[:1], "targets": ["strange"]},
        {"ids": [1]},
    ]
    usual: list[dict[str, Any]] = []

    def noted(context, key, request):
        usual.append(request.model_dump(mode="json", exclude_unset=True))
        return score(context, key, request)

    monkeypatch.setattr("serving.api.scores.endpoints.score", noted)
    quick = [ask(client, everything, **body) for body in bodies]
    assert [one["ids"] for one in usual] == [body["ids"] for body in bodies[2:5]]
    monkeypatch.setattr("serving.api.scores.endpoints.score_at_once", lambda *_: None)
    slow = [ask(client, everything, **body) for body in bodies]
    assert len(usual) == 3 + 6
    assert [one.status_code for one in quick] == [200, 200, 200, 200, 200, 404, 422]
    for one, other in zip(quick, slow, strict=True):
        assert without_moments(one.json()) == without_moments(other.json())
        assert one.headers["content-type"] == other.headers["content-type"]


def without_moments(answer):
    """An answer without what differs from one request to the next."""
    for item in answer.get("items", ()):
        item.pop("portrait_age_hours")
    return {name: value for name, value in answer.items() if name != "request_id"}


def test_who_may_not_read_scores_is_refused_at_once_too(client, world):
    """A key without the scope gets nothing of a request that would be answered on the event loop."""
    assert ask(client, world.key("portraits:read"), ids=world.ids[:1]).status_code == 403


@pytest.mark.parametrize(
    ("where", "body"),
    [
        ("body.ids.0", {"ids": [880000001000000001]}),
        ("body.ids.1", {"ids": ["1", 2.5]}),
        ("body.ids", {"ids": []}),
        ("body.ids", {"ids": ["1"] * 1001}),
        ("body", {"ids": ["1"] * 201, "reasons": 1}),
        ("body", {"ids": ["1"], "purpose": "marketing"}),
        ("body.reasons", {"ids": ["1"], "reasons": 4}),
        ("body.reasons", {"ids": ["1"], "reasons": "3"}),
        ("body.reason", {"ids": ["1"], "reason": 1}),
        ("body.ids.0", {"ids": ["a\nb"]}),
    ],
)
def test_malformed_requests_are_problems(client, everything, where, body):
    """Each is a 422 problem that names the place and never repeats what was sent."""
    response = ask(client, everything, **body)
    assert (response.status_code, response.headers["content-type"]) == (422, "application/problem+json")
    problem = response.json()
    assert (problem["code"], ".".join(problem["errors"][0]["loc"])) == ("invalid_request", where)
    assert "880000001000000001" not in response.text


def test_a_thousand_ids_without_and_two_hundred_with_reasons(client, world, everything):
    """The limits themselves are allowed."""
    many = (world.ids * 6)[:1000]
    assert len(ask(client, everything, ids=many).json()["items"]) == 1000
    assert len(ask(client, everything, ids=many[:200], reasons=3).json()["items"]) == 200


def test_a_target_without_a_model_is_not_found(client, world, everything):
    """A target that nothing predicts is a 404 that names those that are predicted."""
    problem = ask(client, everything, ids=world.ids[:1], targets=["wealth"]).json()
    assert (problem["status"], problem["remedy"]) == (404, "targets: churn, complaint")


def test_reasons_are_the_batch_s_and_say_is_for_care_only(client, world, everything):
    """Codes equal the batch's; only a key with care:read sees what the customer may hear."""
    rows = Scores.current(world.home, "complaint").read(["customer_id", "reason_codes"]).to_pylist()
    told = {row["customer_id"]: row["reason_codes"] for row in rows if row["reason_codes"]}
    body: dict[str, Any] = {"ids": list(told)[:200], "targets": ["complaint"], "reasons": 3, "locale": "en"}
    items = ask(client, everything, **body).json()["items"]
    assert {i["customer_id"]: [r["code"] for r in i["reasons"]] for i in items} == {
        one: told[one] for one in body["ids"]
    }
    said = [r["say"] for i in items for r in i["reasons"]]
    silent = [r["say"] for i in ask(client, world.key("scores:read"), **body).json()["items"] for r in i["reasons"]]
    assert any(said)
    assert set(silent) == {None}


def test_foreign_and_absent_customers_look_the_same(client, world):
    """A key of one province gets the same bytes for a customer elsewhere as for one who does not exist."""
    home_id = next(one for one in world.ids if world.cards[one]["province"] == "Guangdong")
    foreign = next(one for one in world.ids if world.cards[one]["province"] != "Guangdong")
    headers = world.key("scores:read", province="Guangdong")
    items = ask(
        client, headers, ids=[home_id, foreign, "x" * len(foreign)], purpose="marketing", channel="call"
    ).json()["items"]
    assert [item["status"] for item in items] == ["ok", "unknown_customer", "unknown_customer"]
    blank = [{**item, "customer_id": ""} for item in items[1:]]
    assert orjson.dumps(blank[0]) == orjson.dumps(blank[1])


def test_contactable_is_the_policy_s_verdict(client, world, everything):
    """With purpose and channel each item says whether, why not and when; marketing without consent is refused."""
    items = ask(client, everything, ids=world.ids[:150], purpose="marketing", channel="call").json()["items"]
    verdicts = [item["contactable"] for item in items]
    assert {verdict["ok"] for verdict in verdicts} == {True, False}
    assert all(verdict["ok"] == (not verdict["codes"]) for verdict in verdicts)
    assert all(item["control_group"] in (True, False) for item in items)


def test_quiet_hours_are_judged_for_the_hour_that_is_asked(client, world, everything):
    """At ten in the evening nobody may be called, at ten in the morning who may on that day; a past day is refused."""

    def codes(at):
        items = ask(client, everything, ids=world.ids[:50], purpose="service", channel="call", at=at).json()["items"]
        return [set(item["contactable"]["codes"]) for item in items if item["contactable"]]

    assert all("quiet_hours" in one for one in codes("2026-06-01T22:00:00+08:00"))
    assert not any("quiet_hours" in one for one in codes("2026-06-01T10:00:00+08:00"))
    past = ask(client, everything, ids=world.ids[:1], purpose="service", channel="call", at="2025-06-01T10:00:00+08:00")
    assert (past.status_code, past.json()["code"]) == (422, "invalid_request")
