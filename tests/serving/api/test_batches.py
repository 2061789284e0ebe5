"""Each item of a batch answers for itself, and a tool's ids meet nobody else's; both doors, over HTTP."""

from __future__ import annotations

from functools import partial

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from features.feeds.landed.reading import Feeds
from features.kit.errors import NotReadyError
from serving.api.contacts import service
from serving.database.session import open_database
from serving.outreach.feedback import outcomes
from serving.outreach.feedback.contacts import record_contact
from serving.outreach.lists import ledger
from tests.serving.api.test_outreach_routes import contact, draw, lines_of, tell

pytestmark = pytest.mark.xdist_group("api")

REFUSES = (
    "CREATE TRIGGER planted BEFORE INSERT ON {table} WHEN new.{column} = '{value}' "
    "BEGIN SELECT RAISE(ABORT, 'planted constraint'); END"
)


def statuses(answer):
    """Returns the status of each item of a good answer."""
    assert answer.status_code == 200, answer.text
    return [item["status"] for item in answer.json()["items"]]


def sql(home, statement):
    """Changes the ledger behind the service's back."""
    engine = open_database(home)
    with engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()


def contacts_of(home):
    """Returns customer and the sender's id of every contact in the ledger."""
    engine = open_database(home)
    with engine.connect() as connection:
        found = connection.execute(text("SELECT customer_id, client_id FROM outreach_contacts ORDER BY 1, 2")).all()
    engine.dispose()
    return [tuple(row) for row in found]


def test_a_contact_that_the_ledger_refuses_fails_alone_and_alone_is_tried_again(fresh):
    """The first and the third are recorded; the same request then tries the second one only; then nothing is tried."""
    world, client, headers = fresh
    one, two, three = sorted(world.ids[:3])
    body = [contact(one, "t-1"), contact(two, "t-2"), contact(three, "t-3", action="upgrade_invit"),
            contact(three, "t-4")]  # fmt: skip
    sql(world.home, REFUSES.format(table="outreach_contacts", column="client_id", value="t-2"))
    first = tell(client, headers, "k", *body)
    assert statuses(first) == ["recorded", "failed", "refused", "recorded"]
    assert first.json()["recorded"] == 2
    assert first.json()["items"][1]["error"]["code"] == "not_ready"
    assert contacts_of(world.home) == [(one, "t-1"), (three, "t-4")]
    assert statuses(tell(client, headers, "k", *body)) == ["recorded", "failed", "refused", "recorded"]
    sql(world.home, "DROP TRIGGER planted")
    sql(world.home, "DELETE FROM outreach_contacts WHERE client_id = 't-1'")  # were it tried again, it would be back
    again = tell(client, headers, "k", *body)
    assert (statuses(again), again.json()["recorded"]) == (["recorded", "recorded", "refused", "recorded"], 3)
    assert contacts_of(world.home) == [(two, "t-2"), (three, "t-4")]
    assert tell(client, headers, "k", *body).content == again.content
    assert tell(client, headers, "k", body[0]).status_code == 409


def test_a_ledger_that_is_busy_for_one_contact_keeps_no_other_waiting(fresh, monkeypatch):
    """Busy for the second item only: it fails, the third is recorded; busy for all of them: 503 and nothing is kept."""
    world, client, headers = fresh
    busy = OperationalError("INSERT", {}, Exception("database is locked"))
    stuck = {"b-2"}

    def record(engine, sent, *rest, **named):
        if sent.contact_id in stuck:
            raise busy
        return record_contact(engine, sent, *rest, **named)

    monkeypatch.setattr(service, "record_contact", record)
    body = [contact(world.ids[0], f"b-{number}") for number in (1, 2, 3)]
    assert statuses(tell(client, headers, "k", *body)) == ["recorded", "failed", "recorded"]
    stuck |= {"b-1", "b-3"}
    refused = tell(client, headers, "other", *body)
    assert (refused.status_code, refused.json()["code"]) == (503, "not_ready")
    stuck.clear()
    assert statuses(tell(client, headers, "k", *body)) == ["recorded"] * 3
    assert statuses(tell(client, headers, "other", *body)) == ["recorded"] * 3
    assert len(contacts_of(world.home)) == 3


def test_a_report_that_the_ledger_refuses_fails_alone_and_alone_is_tried_again(fresh):
    """Dispositions: the same; what the first request withdrew stays in the answer."""
    world, client, headers = fresh
    lines = [
        line["line_id"] for line in lines_of(client, headers, draw(client, headers, "a", capacity=20).json()["list_id"])
    ]
    reports = [{"line_id": line, "disposition": "solved"} for line in lines[:3]]
    post = partial(client.post, "/v1/outcomes", json={"outcomes": reports}, headers={**headers, "Idempotency-Key": "o"})
    sql(world.home, REFUSES.format(table="outreach_attempts", column="line_id", value=lines[1]))
    first = post()
    assert statuses(first) == ["recorded", "failed", "recorded"]
    sql(world.home, "DROP TRIGGER planted")
    again = post()
    assert (statuses(again), again.json()["recorded"]) == (["recorded"] * 3, 3)
    assert post().content == again.content
    with Feeds.open(world.home).connect() as database:
        found = database.execute("SELECT contact_id FROM outcomes WHERE outcome = 'solved'").fetchall()
    assert set(lines[:3]) <= {row[0] for row in found}


@pytest.mark.parametrize("door", [service, outcomes])
def test_canary_without_the_batch_the_second_item_ends_all(fresh, monkeypatch, door):
    """With the guard off the request ends without items after the first item was recorded."""
    world, client, headers = fresh

    class Unguarded:
        write = staticmethod(lambda work: work())

    monkeypatch.setattr(door, "Batch", Unguarded)
    if door is service:
        sql(world.home, REFUSES.format(table="outreach_contacts", column="client_id", value="u-2"))
        answer = tell(client, headers, "k", contact(world.ids[0], "u-1"), contact(world.ids[1], "u-2"))
        assert contacts_of(world.home) == [(world.ids[0], "u-1")]
    else:
        list_id = draw(client, headers, "a", capacity=20).json()["list_id"]
        first, second = [line["line_id"] for line in lines_of(client, headers, list_id)][:2]
        sql(world.home, REFUSES.format(table="outreach_attempts", column="line_id", value=second))
        reports = [{"line_id": line, "disposition": "solved"} for line in (first, second)]
        answer = client.post("/v1/outcomes", json={"outcomes": reports}, headers={**headers, "Idempotency-Key": "o"})
    assert (answer.status_code, "items" in answer.json()) == (503, False)


def test_a_batch_waits_for_a_busy_ledger_only_so_long(monkeypatch):
    """Once the items have waited long enough together, the rest is not tried."""
    tried: list[int] = []

    def work() -> None:
        tried.append(1)
        raise OperationalError("INSERT", {}, Exception("database is locked"))

    hours = iter(range(0, 3600 * 100, 3600))
    monkeypatch.setattr(ledger, "monotonic", lambda: float(next(hours)))
    batch = ledger.Batch()
    for _ in range(3):
        with pytest.raises(NotReadyError, match="busy"):
            batch.write(work)
    assert len(tried) == ledger.TRIES


def test_an_operators_contact_and_a_line_keep_their_ids_in_the_feed(fresh):
    """A tool's id equal to an operator's or to an open line's is a contact of its own; answers show it as it came."""
    world, client, headers = fresh
    with Feeds.open(world.home).connect() as database:
        query = "SELECT contact_id, customer_id, action FROM contacts ORDER BY event_at DESC, contact_id LIMIT 1"
        (theirs,) = database.execute(query).fetchall()
    list_id = draw(client, headers, "a", capacity=20).json()["list_id"]
    line = lines_of(client, headers, list_id)[0]["line_id"]
    other = next(one for one in world.ids if one != theirs[1])
    answer = tell(client, headers, "k", contact(other, theirs[0]), contact(other, line, channel="call"))
    assert [(item["contact_id"], item["status"]) for item in answer.json()["items"]] == [
        (theirs[0], "recorded"), (line, "recorded"),
    ]  # fmt: skip
    report = {"line_id": line, "disposition": "solved"}
    client.post("/v1/outcomes", json={"outcomes": [report]}, headers={**headers, "Idempotency-Key": "o"})
    with Feeds.open(world.home).connect() as database:
        same = database.execute(
            "SELECT contact_id, customer_id, action FROM contacts WHERE contact_id = ?", [theirs[0]]
        ).fetchall()
        new = database.execute(
            "SELECT regexp_extract(contact_id, '^(.*)@[0-9a-f]{12}$', 1) FROM contacts WHERE customer_id = ? "
            "AND contact_id LIKE '%@%' ORDER BY 1", [other],
        ).fetchall()  # fmt: skip
        talks = database.execute("SELECT count(*) FROM contacts WHERE contact_id = ?", [line]).fetchall()
    assert same == [theirs]
    assert [row[0] for row in new] == sorted([theirs[0], line])
    assert talks == [(1,)]
