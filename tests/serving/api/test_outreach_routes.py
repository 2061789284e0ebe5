"""Outreach lists, contacts and outcomes: drawn once, counted at once, binding at once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from features.feeds.landed.reading import Feeds
from serving.database.session import open_database
from serving.outreach.feedback.held import held_reports

pytestmark = pytest.mark.xdist_group("api")


def draw(client, headers, key, **body):
    """Draws a list."""
    return client.post("/v1/outreach/lists", json=body, headers={**headers, "Idempotency-Key": key})


def lines_of(client, headers, list_id):
    """Returns a list's lines, page by page."""
    found: list[dict[str, Any]] = []
    cursor = None
    while True:
        params = {"limit": 7} | ({"cursor": cursor} if cursor else {})
        page = client.get(f"/v1/outreach/lists/{list_id}/lines", params=params, headers=headers).json()
        found, cursor = found + page["items"], page["next_cursor"]
        if cursor is None:
            return found


def test_a_list_is_drawn_once_per_key(fresh):
    """The same key gives the same list; with another body it is a conflict; without a key nothing happens."""
    _, client, headers = fresh
    first, again = draw(client, headers, "a"), draw(client, headers, "a")
    assert (first.status_code, first.json()) == (201, again.json())
    assert first.json()["lines"] > 0
    refused = draw(client, headers, "a", capacity=1)
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    assert client.post("/v1/outreach/lists", json={}, headers=headers).status_code == 422


def test_lists_are_read_paged_and_exported(fresh):
    """Lines come in pages without a full number; the files are those of the list; nobody is on two lists."""
    world, client, headers = fresh
    first, second = (draw(client, headers, key, capacity=40).json() for key in ("a", "b"))
    seen = [lines_of(client, headers, one["list_id"]) for one in (first, second)]
    assert [len(lines) for lines in seen] == [first["lines"], second["lines"]]
    assert not {line["line_id"] for line in seen[0]} & {line["line_id"] for line in seen[1]}
    numbers = [line["number"] for line in seen[0] if line["number"]]
    assert numbers
    assert all("****" in number for number in numbers)
    listed = client.get("/v1/outreach/lists", params={"limit": 1}, headers=headers).json()
    following = client.get("/v1/outreach/lists", params={"cursor": listed["next_cursor"]}, headers=headers).json()
    assert {one["list_id"] for one in listed["items"] + following["items"]} == {first["list_id"], second["list_id"]}
    path = f"/v1/outreach/lists/{first['list_id']}/export"
    workbook = client.get(path, headers=headers)
    assert workbook.content == (world.home.lists / first["list_id"] / "list.xlsx").read_bytes()
    table = client.get(path, params={"format": "csv"}, headers=headers)
    assert table.text.count("\n") >= first["lines"]


def test_the_other_language_is_the_same_list(fresh):
    """A repeat in English is the list of its key; its lines and its file are given in either language."""
    _, client, headers = fresh
    chinese, english = (draw(client, headers, "a", capacity=40, locale=one).json() for one in ("zh", "en"))
    assert (english["list_id"], english["lines"]) == (chinese["list_id"], chinese["lines"])
    path = f"/v1/outreach/lists/{chinese['list_id']}"
    zh, en = (
        client.get(f"{path}/lines", params={"locale": one}, headers=headers).json()["items"] for one in ("zh", "en")
    )
    assert [line["line_id"] for line in zh] == [line["line_id"] for line in en]
    assert all(one["action"] != other["action"] for one, other in zip(zh, en, strict=True))
    tables = [
        client.get(f"{path}/export", params={"format": "csv", "locale": one}, headers=headers).text
        for one in ("zh", "en")
    ]
    assert ["行号" in table for table in tables] == [True, False]


def test_a_row_scoped_key_draws_and_sees_its_own_province_only(fresh):
    """Its list holds its province alone; another key's list does not exist for it."""
    world, client, headers = fresh
    whole = draw(client, headers, "a", capacity=40).json()
    scoped = world.key("outreach:write", "outreach:read", province="Henan")
    own = draw(client, scoped, "a").json()
    cities = {card["city"] for card in world.cards.values() if card["province"] == "Henan"}
    assert {line["city"] for line in lines_of(client, scoped, own["list_id"])} <= cities
    for path in ("", "/lines", "/export"):
        answers = [client.get(f"/v1/outreach/lists/{one}{path}", headers=scoped) for one in (whole["list_id"], "none")]
        first, second = ({**answer.json(), "request_id": ""} for answer in answers)
        assert (first, first["status"]) == (second, 404)
    assert [one["list_id"] for one in client.get("/v1/outreach/lists", headers=scoped).json()["items"]] == [
        own["list_id"]
    ]
    foreign = next(
        card["city"] for card in world.cards.values() if card["province"] != "Henan" and card["city"] not in cities
    )
    answers = [
        draw(client, scoped, f"b{n}", **place)
        for n, place in enumerate(({"province": "Hebei"}, {"city": foreign}, {"city": "Atlantis"}))
    ]
    assert {answer.status_code for answer in answers} == {404}
    assert len({(answer.json()["detail"], answer.json()["remedy"]) for answer in answers[1:]}) == 1


def contact(customer_id, contact_id="c1", **changes):
    """Returns a campaign tool's contact of today."""
    at = datetime.now(UTC).replace(microsecond=0).isoformat()
    return {
        "contact_id": contact_id,
        "customer_id": customer_id,
        "at": at,
        "action": "upgrade_invite",
        "channel": "message",
    } | changes


def tell(client, headers, key, *contacts):
    """Posts contacts."""
    return client.post("/v1/contacts", json={"contacts": list(contacts)}, headers={**headers, "Idempotency-Key": key})


def may_contact(client, headers, customer_id):
    """Returns the policy's verdict on a marketing message."""
    body = {"targets": ["churn"], "ids": [customer_id], "purpose": "marketing", "channel": "message"}
    return client.post("/v1/scores", json=body, headers=headers).json()["items"][0]["contactable"]


def test_a_contact_counts_at_once_and_becomes_a_feed(fresh):
    """Who was reached is no longer contactable, stands on no list, and the contact is in the feed."""
    world, client, headers = fresh
    customer_id = next(one for one in world.ids if may_contact(client, headers, one)["ok"])
    answer = tell(client, headers, "k", contact(customer_id)).json()
    assert (answer["recorded"], answer["items"][0]["status"]) == (1, "recorded")
    verdict = may_contact(client, headers, customer_id)
    assert not verdict["ok"]
    assert {"cool_down", "cap_reached"} & set(verdict["codes"])
    with Feeds.open(world.home).connect() as database:
        rows = database.execute("SELECT customer_id, action FROM contacts WHERE contact_id LIKE 'c1@%'").fetchall()
    assert rows == [(customer_id, "upgrade_invite")]


def test_contacts_answer_item_by_item_and_only_once_per_key(fresh):
    """Unknown customers, reused contact ids and future times are items; a repeat is byte-equal; another body is 409."""
    world, client, headers = fresh
    one, two = world.ids[:2]
    body = [contact(one), contact("nobody", "c2"), contact(one, "c1", action="plan_fit_offer"),
            contact(two, "c3", at=(datetime.now(UTC) + timedelta(days=2)).isoformat())]  # fmt: skip
    first = tell(client, headers, "k", *body)
    assert [item["status"] for item in first.json()["items"]] == ["recorded", "unknown_customer", "conflict", "refused"]
    assert tell(client, headers, "k", *body).content == first.content
    assert tell(client, headers, "k", body[0]).status_code == 409
    assert tell(client, headers, "another", body[0]).json()["recorded"] == 1
    changed = tell(client, headers, "third", contact(one, channel="call"), contact(two, "c4", action="upgrade_invit"))
    assert [item["status"] for item in changed.json()["items"]] == ["conflict", "refused"]
    assert "upgrade_invite" in changed.json()["items"][1]["error"]["detail"]


def test_never_again_binds_the_next_list_of_the_same_day(fresh):
    """After the disposition neither the policy nor a further list of the day lets anybody contact that person."""
    world, client, headers = fresh
    first = draw(client, headers, "a", capacity=30).json()
    line = lines_of(client, headers, first["list_id"])[0]
    report = {"line_id": line["line_id"], "disposition": "never_again"}
    answer = client.post("/v1/outcomes", json={"outcomes": [report]}, headers={**headers, "Idempotency-Key": "o"})
    assert answer.json()["items"] == [{"line_id": line["line_id"], "status": "recorded", "error": None}]
    refused = client.post(
        "/v1/scores",
        json={"targets": ["churn"], "ids": world.ids, "purpose": "marketing", "channel": "call"},
        headers=headers,
    ).json()["items"]
    assert any("do_not_contact" in item["contactable"]["codes"] for item in refused)
    with Feeds.open(world.home).connect() as database:
        rows = database.execute("SELECT contact_id, outcome FROM outcomes WHERE outcome = 'never_again'").fetchall()
    assert (line["line_id"], "never_again") in rows


def test_outcomes_refuse_row_by_row(fresh):
    """An unknown line and a missing order reference are items; the good report is recorded."""
    _, client, headers = fresh
    lines = lines_of(client, headers, draw(client, headers, "a", capacity=10).json()["list_id"])
    reports = [
        {"line_id": "0000-00000", "disposition": "solved"},
        {"line_id": lines[0]["line_id"], "disposition": "accepted"},
        {"line_id": lines[1]["line_id"], "disposition": "solved"},
    ]
    answer = client.post("/v1/outcomes", json={"outcomes": reports}, headers={**headers, "Idempotency-Key": "o"}).json()
    assert [item["status"] for item in answer["items"]] == ["unknown_line", "refused", "recorded"]
    assert "order_reference" in answer["items"][1]["error"]["detail"]


def at_once(calls):
    """Runs calls in threads of their own and returns their answers in order."""
    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]


def test_parallel_requests_with_one_key_are_one_request(fresh):
    """Six requests at once with one key give one answer, one list, one contact."""
    world, client, headers = fresh
    answers = at_once([lambda: draw(client, headers, "same", capacity=20)] * 6)
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["list_id"] for answer in answers}) == 1
    told = contact(world.ids[0])
    answers = at_once([lambda: tell(client, headers, "same", told)] * 6)
    assert {answer.content for answer in answers} == {answers[0].content}
    assert answers[0].json()["recorded"] == 1


def test_parallel_lists_share_nobody(fresh):
    """Four lists drawn at once: every line is on one of them only."""
    _, client, headers = fresh
    answers = at_once([lambda key=key: draw(client, headers, key, capacity=15) for key in "abcd"])
    lines = [line["line_id"] for one in answers for line in lines_of(client, headers, one.json()["list_id"])]
    assert len(lines) == len(set(lines)) > 0


def test_what_landing_would_refuse_is_refused_at_the_door(fresh):
    """Times of no feed, a lost id and a blank are items; a clock three minutes ahead is taken; the list comes out."""
    world, client, headers = fresh
    one = world.ids[0]
    ahead = (datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=3)).isoformat()
    bad = [
        contact(one, "b1", at="1969-12-31T00:00:00Z"), contact(one, "b2", at="0001-01-01T00:00:00+08:00"),
        contact(one, "b3", at="9999-12-31T23:59:59-08:00"), contact(one, "２,02606E+17"), contact(one, " "),
    ]  # fmt: skip
    answer = tell(client, headers, "k", *bad, contact(one, "c1", at=ahead)).json()
    assert [item["status"] for item in answer["items"]] == ["refused"] * 5 + ["recorded"]
    columns = [item["error"]["detail"].partition(":")[0] for item in answer["items"][:5]]
    assert columns == ["at", "at", "at", "contact_id", "contact_id"]
    assert draw(client, headers, "a").status_code == 201
    assert held_reports(open_database(world.home)) == []
    with Feeds.open(world.home).connect() as database:
        assert database.execute("SELECT count(*) FROM contacts WHERE contact_id LIKE 'c1@%'").fetchall() == [(1,)]
