"""A customer's portrait, product fit and the look-up by number; audiences and models."""

import csv
import io
from datetime import date

import numpy as np
import pyarrow as pa
import pytest
from sqlalchemy import select

from features.feeds.landed.reading import Feeds
from features.portraits.reading import Portraits
from serving.database.session import open_database, reading
from serving.database.tables_access import AuditRow
from serving.outreach.policy.states import read_states
from serving.outreach.settings import load_settings
from serving.scoring.batch.stored import Scores

pytestmark = pytest.mark.xdist_group("api")


def test_the_portrait_is_the_built_one(client, world, everything):
    """Every feature by name equals the Parquet cell to the last bit; missing is null, never zero."""
    portraits = Portraits.open(world.home)
    row = portraits.read(portraits.as_of_dates()[-1]).slice(7, 1).to_pylist()[0]
    answer = client.get(f"/v1/customers/{row['customer_id']}/portrait", headers=everything).json()
    told = answer["features"]
    assert set(told) == set(portraits.feature_list.names)
    for name, value in told.items():
        expected = row[name]
        assert value == (expected if expected is None or isinstance(expected, str) else float(np.float32(expected)))
    assert (answer["class"], answer["as_of"]) == (row["primary_class"], "2026-06-01")


@pytest.mark.parametrize("path", ["portrait", "product-fit"])
def test_unknown_and_foreign_customers_are_the_same_404(client, world, path):
    """A key of one province learns nothing about customers elsewhere, not even that they exist."""
    foreign = next(one for one in world.ids if world.cards[one]["province"] != "Sichuan")
    headers = world.key("portraits:read", province="Sichuan")
    answers = [client.get(f"/v1/customers/{one}/{path}", headers=headers) for one in (foreign, "9" * len(foreign))]
    first, second = ({**answer.json(), "request_id": ""} for answer in answers)
    assert (first, first["status"]) == (second, 404)


def test_product_fit_is_the_batch_s(client, world, everything):
    """At most three offers, each with its need; what is not reproduced is not offered."""
    seen = set()
    for customer_id in world.ids[:120]:
        fit = client.get(f"/v1/customers/{customer_id}/product-fit", headers=everything).json()
        seen.add(fit["status"])
        assert len(fit["offers"]) <= 3
        assert fit["offers"] == [] or fit["reproduced"]
    assert {"ok", "no_better_plan"} <= seen


def number_of(world, customer_id):
    """Returns the number that a customer holds on the as-of date."""
    with Feeds.open(world.home).connect(personal=True) as database:
        query = "SELECT number FROM numbers WHERE customer_id = ? AND valid_until IS NULL AND superseded_at IS NULL"
        row = database.execute(query, [customer_id]).fetchone()
    return row and row[0]


def test_a_lookup_shows_the_agents_first_page_and_is_audited(client, world, everything):
    """The number stands in the body only; the card, scores with reasons and product fit come back without it."""
    customer_id = next(one for one in world.ids if number_of(world, one))
    number = number_of(world, customer_id)
    response = client.post("/v1/lookups", json={"number": number}, headers=everything)
    page = response.json()
    assert (response.status_code, page["customer_id"]) == (200, customer_id)
    assert [score["target"] for score in page["scores"]] == ["churn", "complaint"]
    assert page["product_fit"]["customer_id"] == customer_id
    assert {"card", "open_tickets", "arrears", "facts"} <= page.keys()
    assert number not in response.text
    engine = open_database(world.home)
    with reading(engine) as session:
        last = session.scalars(select(AuditRow).order_by(AuditRow.entry_id.desc()).limit(1)).one()
    engine.dispose()
    assert (last.action, last.subject) == ("lookups.read", customer_id)


def test_a_number_with_its_country_code_is_the_same_number(client, world, everything):
    """A telephone system sends +86 or 0086 before it, a person signs between, a phone other digits; an id may be wide."""
    customer_id = next(one for one in world.ids if number_of(world, one))
    for code in ("+86", "86", "0086"):
        answer = client.post("/v1/lookups", json={"number": code + number_of(world, customer_id)}, headers=everything)
        assert answer.json()["customer_id"] == customer_id
    number = number_of(world, customer_id)
    for written in (
        f"+86 {number[:3]}-{number[3:]}",
        f" {number}\u200b",
        number.translate({48 + n: 0xFF10 + n for n in range(10)}),
    ):
        answer = client.post("/v1/lookups", json={"number": written}, headers=everything)
        assert answer.json()["customer_id"] == customer_id
    lost = client.post("/v1/lookups", json={"number": "1.38123E+10"}, headers=everything)
    wide = customer_id.translate({48 + n: 0xFF10 + n for n in range(10)})
    answer = client.get(f"/v1/customers/ {wide}%E2%80%8B/portrait", headers=everything)
    assert (lost.status_code, answer.json()["customer_id"]) == (422, customer_id)


def test_a_number_of_nobody_and_of_a_foreign_customer_look_the_same(client, world):
    """Neither existence nor place can be found out by trying numbers."""
    customer_id = next(one for one in world.ids if world.cards[one]["province"] != "Sichuan" and number_of(world, one))
    headers = world.key("lookups", province="Sichuan")
    answers = [
        client.post("/v1/lookups", json={"number": number}, headers=headers)
        for number in (number_of(world, customer_id), "19999999999")
    ]
    first, second = ({**answer.json(), "request_id": ""} for answer in answers)
    assert (first, first["status"]) == (second, 404)


@pytest.mark.parametrize("number", [13800001234, "138-0000x", "", "1" * 21])
def test_what_is_no_number_is_refused_without_repeating_it(client, everything, number):
    """422, and the text that was sent is nowhere in the answer."""
    response = client.post("/v1/lookups", json={"number": number}, headers=everything)
    assert response.status_code == 422
    assert not str(number) or str(number) not in response.text


AUDIENCE = {"target": "churn", "purpose": "marketing", "channel": "message"}


def persons_of(world):
    """Returns the person of every subscription."""
    states = read_states(Feeds.open(world.home), date(2026, 6, 1), load_settings()).states
    return dict(zip(states["customer_id"].to_pylist(), states["person_id"].to_pylist(), strict=True))


def test_an_audience_passes_the_contact_policy(client, world, everything):
    """Whom the policy allows is found, once per person by the best score, and nobody else."""
    answer = client.get("/v1/audiences", params=AUDIENCE | {"limit": 1000}, headers=everything).json()
    found = {row["customer_id"] for row in answer["items"]}
    items = client.post(
        "/v1/scores",
        json={"targets": ["churn"], "ids": world.ids, "purpose": "marketing", "channel": "message"},
        headers=everything,
    ).json()["items"]
    allowed = {i["customer_id"] for i in items if i["contactable"]["ok"] and i["status"] == "ok"}
    scores = Scores.current(world.home, "churn").read(["customer_id", "margin"]).to_pylist()
    ranked = sorted((-row["margin"], row["customer_id"]) for row in scores if row["customer_id"] in allowed)
    person_of = persons_of(world)
    best: dict[str, str] = {}
    for _, one in ranked:
        best.setdefault(person_of[one], one)
    assert found == set(best.values())
    assert answer["refused"]["same_person"] == len(allowed) - len(found) > 0
    assert answer["count"] == len(found)
    assert 0 < len(found) < len(world.ids)


def test_pages_csv_and_count_agree(client, world, everything):
    """Pages joined are the CSV, highest propensity first; the count is theirs."""
    pages, cursor = [], None
    while True:
        params = AUDIENCE | {"limit": 17} | ({"cursor": cursor} if cursor else {})
        answer = client.get("/v1/audiences", params=params, headers=everything).json()
        pages += answer["items"]
        cursor = answer["next_cursor"]
        if cursor is None:
            break
    text = client.get("/v1/audiences", params=AUDIENCE | {"view": "csv"}, headers=everything).text
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["customer_id"] for row in pages] == [row["customer_id"] for row in rows]
    assert len({row["customer_id"] for row in rows}) == len(rows) == answer["count"]
    propensities = [row["propensity"] for row in pages]
    assert propensities == sorted(propensities, reverse=True)
    count = client.get("/v1/audiences", params=AUDIENCE | {"view": "count"}, headers=everything).json()
    assert (count["count"], count["items"], count["next_cursor"]) == (len(rows), [], None)


def test_the_csv_of_an_audience_is_harmless_and_says_what_nobody_could_check(client, everything, monkeypatch):
    """A city called `=1+1` is text in a spreadsheet; the codes without a feed stand in a header, as in the answer."""
    row = {"customer_id": "-1+1", "percentile": 99.0, "propensity": 0.5, "times_base": None, "band": "high",
           "class": "ordinary", "province": "@x", "city": "=1+1"}  # fmt: skip
    head = {"not_evaluable": ("consent_withdrawn", "porting")}
    monkeypatch.setattr("serving.api.audiences.service._members", lambda *_: (pa.Table.from_pylist([row]), head))
    answer = client.get("/v1/audiences", params=AUDIENCE | {"view": "csv"}, headers=everything)
    assert answer.text.splitlines()[1] == "'-1+1,99.0,0.5,,high,ordinary,'@x,'=1+1"
    assert answer.headers["not-evaluable"] == "consent_withdrawn, porting"


def test_filters_and_row_scope(client, world, everything):
    """Place, class, band and percentile narrow the audience; a key of one province sees no other."""

    def ask(headers, **params):
        return client.get("/v1/audiences", params=AUDIENCE | {"limit": 1000} | params, headers=headers).json()["items"]

    person_of = persons_of(world)

    def narrows(found, name, value):
        """A person whose best subscription does not fit may be found by another one that does, but only once."""
        assert all(row[name] == value for row in found)
        assert [row for row in found if row in whole] == [row for row in whole if row[name] == value] != []
        assert len({person_of[row["customer_id"]] for row in found}) == len(found)

    whole = ask(everything)
    for name, value in (("province", whole[0]["province"]), ("class", whole[0]["class"]), ("band", "normal")):
        narrows(ask(everything, **{name: value}), name, value)
    assert ask(everything, min_percentile=90) == [row for row in whole if row["percentile"] >= 90]
    scoped = world.key("scores:read", province="Henan")
    narrows(ask(scoped), "province", "Henan")
    assert ask(scoped, province="Hebei") == []


@pytest.mark.parametrize("cursor", ["x", "WzFd", "bm9uc2Vuc2U"])
def test_a_cursor_that_is_not_ours_is_refused(client, everything, cursor):
    """422 with a remedy."""
    answer = client.get("/v1/audiences", params=AUDIENCE | {"cursor": cursor}, headers=everything)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


def test_an_unknown_class_and_a_cursor_of_other_filters_are_refused(client, everything):
    """A misspelt class is no empty audience, and a page goes on only with the filters it began with."""
    wrong = client.get("/v1/audiences", params=AUDIENCE | {"class": "nonsense"}, headers=everything)
    assert (wrong.status_code, "self_served" in wrong.json()["remedy"]) == (422, True)
    cursor = client.get("/v1/audiences", params=AUDIENCE | {"limit": 1}, headers=everything).json()["next_cursor"]
    assert client.get("/v1/audiences", params=AUDIENCE | {"cursor": cursor}, headers=everything).status_code == 200
    other = client.get("/v1/audiences", params=AUDIENCE | {"cursor": cursor, "band": "high"}, headers=everything)
    assert (other.status_code, other.json()["detail"]) == (422, "cursor: of other filters")


def test_models_are_told_with_their_versions(client, everything):
    """Each target's champion with its version and horizon."""
    items = client.get("/v1/models", headers=everything).json()["items"]
    assert [(one["target"], one["version"], one["horizon_days"], one["refused"]) for one in items] == [
        ("churn", "v1", 30, ""), ("complaint", "v1", 30, ""),
    ]  # fmt: skip


HOSTILE = [
    "", " ", "0", "-1", "1e309", "NaN", "null", "../../etc/passwd", "..%2f..%2fetc", "%00", "%0a", "%ff", "'; DROP TABLE runs;--",
    '"', "\\", "{}", "[]", "a" * 65, "a" * 5000, "客户", "\u202e", "ﷺ" * 20, "😀", "<script>", "{customer_id}", "%25", "+", "?x", "#x",
]  # fmt: skip


@pytest.mark.parametrize("path", ["portrait", "product-fit"])
def test_hostile_ids_are_refused_calmly(client, everything, path):
    """No id, however strange, is answered with anything but 404, 422 or a redirect-free refusal."""
    for hostile in HOSTILE:
        response = client.get(f"/v1/customers/{hostile}/{path}", headers=everything)
        assert response.status_code in (404, 422), hostile
    body = {"targets": ["churn"], "ids": [one for one in HOSTILE if 0 < len(one) <= 64]}
    items = client.post("/v1/scores", json=body, headers=everything).json()["items"]
    assert {item["status"] for item in items} == {"unknown_customer"}


def test_a_place_without_customers_is_no_empty_audience(client, world, everything):
    """A misspelt province is named, with the nearest that exist; a key of one province learns nothing of others."""
    wrong = client.get("/v1/audiences", params=AUDIENCE | {"province": "Henann"}, headers=everything)
    assert (wrong.status_code, wrong.json()["detail"]) == (422, "province: no customers in 'Henann'")
    assert "Henan" in wrong.json()["remedy"]
    assert client.get("/v1/audiences", params=AUDIENCE | {"city": "Nowhere"}, headers=everything).status_code == 422
    scoped = client.get(
        "/v1/audiences", params=AUDIENCE | {"province": "Henann"}, headers=world.key("scores:read", province="Henan")
    )
    assert (scoped.status_code, scoped.json()["items"]) == (200, [])


def test_every_parameter_of_every_route_is_described(client):
    """Nobody has to guess what a path or a query takes."""
    routes = client.get("/openapi.json").json()["paths"]
    named = [
        (path, one["name"])
        for path, methods in routes.items()
        for method in methods.values()
        for one in method.get("parameters", [])
        if "description" not in one and "description" not in one["schema"]
    ]
    assert named == []


def test_every_filter_of_an_audience_is_described_with_an_example(client):
    """The documentation shows what to write."""
    filters = client.get("/openapi.json").json()["paths"]["/v1/audiences"]["get"]["parameters"]
    bare = [one["name"] for one in filters if "description" not in one and "description" not in one["schema"]]
    assert bare == []
    without = [one["name"] for one in filters if not (one.get("examples") or one["schema"].get("examples"))]
    assert without == ["cursor"]
