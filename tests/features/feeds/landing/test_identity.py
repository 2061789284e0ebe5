"""Numbers and persons: who a row belongs to, and where personal data lies."""

from __future__ import annotations

import stat
from datetime import datetime

import pytest

NUMBERS = (
    "number,customer_id,valid_from,valid_until,is_verified\n"
    "13800000001,1,2025-01-01,2026-01-01,true\n"
    "13800000001,2,2026-04-01,,true\n"
    "13800000002,3,2025-01-01,,false\n"
)
CALLS = (
    "number,event_at,call_id\n"
    "13800000001,2025-12-31 23:59:59,old owner\n"
    "13800000001,2026-01-01 00:00:00,nobody\n"
    "13800000001,2026-03-31 23:59:59,still nobody\n"
    "13800000001,2026-04-01 00:00:00,new owner\n"
    "13800000002,2026-05-01,other\n"
    "13900000000,2026-05-01,unheard of\n"
)


@pytest.fixture
def reissued(operator):
    """Returns an operator whose first number changed hands, with calls keyed by number."""
    operator.write("numbers.csv", NUMBERS)
    operator.map("numbers", "SELECT * FROM numbers", known_after="PT1H")
    operator.write("hotline_calls.csv", CALLS)
    operator.map(
        "hotline_calls", "SELECT * FROM hotline_calls", known_after="PT1H", keyed_by="number", max_quarantine_share=0.6
    )
    return operator


def test_a_reissued_number_gives_the_new_owner_nothing_of_the_old_one(reissued):
    """Calls and opt-outs go to whoever owned the number at that moment; between two owners they go to nobody."""
    reissued.write(
        "consents.csv", "number,event_at,purpose,channel,granted\n13800000001,2025-06-01,marketing,call,no\n"
    )
    reissued.map("consents", "SELECT * FROM consents", known_after="PT1H", keyed_by="number")
    report = reissued.land()
    assert reissued.rows("SELECT customer_id, call_id FROM hotline_calls ORDER BY ALL") == [
        ("1", "old owner"),
        ("2", "new owner"),
        ("3", "other"),
    ]
    assert reissued.rows("SELECT customer_id, granted FROM consents") == [("1", False)]
    assert report.feeds["hotline_calls"].reasons == {"number_without_owner:number": 3}


def test_a_row_without_owner_is_named_in_the_private_quarantine(reissued):
    """The refused rows hold numbers, so they lie in the personal folder, by file and row."""
    reissued.land()
    assert [row[:3] for row in reissued.refused("hotline_calls")] == [
        ("number_without_owner:number", "hotline_calls.csv", 2),
        ("number_without_owner:number", "hotline_calls.csv", 3),
        ("number_without_owner:number", "hotline_calls.csv", 6),
    ]
    assert not (reissued.home.root / "quarantine").exists()


def test_rows_without_owner_land_when_the_owner_becomes_known(reissued):
    """A later numbers file brings the missing owner: the unchanged call file is read again."""
    reissued.land("2026-06-01T00:00:00")
    reissued.write(
        "numbers_2.csv", "number,customer_id,valid_from,valid_until,is_verified\n13900000000,3,2026-04-30,,true\n"
    )
    report = reissued.land("2026-06-02T00:00:00")
    assert report.feeds["hotline_calls"].reasons == {"number_without_owner:number": 2}
    assert reissued.rows("SELECT customer_id, known_at FROM hotline_calls WHERE call_id = 'unheard of'") == [
        ("3", datetime.fromisoformat("2026-06-02T00:00"))
    ]


def test_no_personal_data_outside_the_personal_folder(reissued):
    """No landed file but those of `personal/` holds a number; the folder is its owner's alone."""
    reissued.write(
        "persons.csv", "customer_id,person_id,role,valid_from,form_of_address\n1,P1,main,2025-01-01,王女士\n"
    )
    reissued.map("persons", "SELECT * FROM persons", known_after="PT1H")
    reissued.land()
    personal = reissued.home.personal
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in [personal, *personal.rglob("*")]}
    assert all(mode & 0o077 == 0 for mode in modes.values()), modes
    import duckdb

    contents = {
        path: str(duckdb.execute(f"FROM '{path}'").fetchall()) for path in reissued.home.root.rglob("*.parquet")
    }
    holding = {path for path, text in contents.items() if any(one in text for one in ("1380000", "1390000", "王女士"))}
    assert holding
    assert {path for path in contents if personal not in path.parents}
    assert {path for path in holding if personal not in path.parents} == set()


def test_links_and_flags_are_there_without_numbers_and_names(reissued):
    """Other rooms see who belongs together and which numbers were re-issued, but no digit and no name."""
    reissued.write(
        "persons.csv",
        "customer_id,person_id,account_id,role,valid_from,form_of_address\n1,P1,A1,main,2025-01-01,王女士\n3,P1,A1,secondary,2025-01-01,王女士\n",
    )
    reissued.map("persons", "SELECT * FROM persons", known_after="PT1H")
    reissued.land()
    assert reissued.rows("SELECT person_id, list(customer_id ORDER BY customer_id) FROM person_links GROUP BY ALL") == [
        ("P1", ["1", "3"])
    ]
    assert reissued.rows("SELECT customer_id, is_verified, is_reissued FROM number_flags ORDER BY 1") == [
        ("1", True, False),
        ("2", True, True),
        ("3", False, False),
    ]
    views = {row[0] for row in reissued.open().connect().execute("SHOW TABLES").fetchall()}
    assert views == {"customers", "hotline_calls", "person_links", "number_flags"}
    assert reissued.rows("SELECT count(*) FROM numbers", personal=True) == [(3,)]


def test_the_personal_views_are_always_there(operator):
    """A source without persons and numbers still has the two views, empty."""
    operator.land()
    assert operator.rows("SELECT (SELECT count(*) FROM person_links), (SELECT count(*) FROM number_flags)") == [(0, 0)]


def test_a_row_of_an_unknown_customer_is_refused_and_named(operator):
    """A customer that the feed customers never named is a counted reason with file and row."""
    operator.write("surveys.csv", "customer_id,event_at,survey,score\n1,2026-05-01,nps,9\n77,2026-05-01,nps,2\n")
    operator.map("surveys", "SELECT * FROM surveys", known_after="PT1H", max_quarantine_share=0.5)
    report = operator.land()
    assert report.feeds["surveys"].reasons == {"unknown_customer:customer_id": 1}
    assert operator.refused("surveys")[0][:3] == ("unknown_customer:customer_id", "surveys.csv", 2)


HANDED_OVER = (
    "number,customer_id,valid_from,valid_until,known_at\n"
    "13800000001,1,2025-01-01,,2025-01-01\n"
    "13800000001,1,2025-01-01,2026-03-01,2026-03-05\n"
    "13800000001,2,2026-03-01,,2026-03-05\n"
)


@pytest.fixture
def handed_over(operator):
    """Returns an operator who learnt on 03-05 that a number has had another owner since 03-01."""
    operator.write("numbers.csv", HANDED_OVER)
    operator.map("numbers", "SELECT * FROM numbers")
    return operator


@pytest.mark.parametrize(
    ("feed", "header", "cells"),
    [("hotline_calls", "call_id", "c"), ("consents", "purpose,channel,granted", "marketing,call,no")],
)
def test_a_row_belongs_to_whom_the_operator_then_took_for_the_owner(handed_over, feed, header, cells):
    """Up to 03-05 a call or a no of 03-02 is the old owner's, from then on the new one's; so too of a former world."""
    handed_over.write(f"{feed}.csv", f"number,event_at,{header}\n13800000001,2026-03-02 10:00:00,{cells}\n")
    handed_over.map(feed, f"SELECT * FROM {feed}", known_after="PT1H", keyed_by="number")
    handed_over.land()
    days = ("2026-03-02", "2026-03-03", "2026-03-05", "2026-03-06", "2026-05-01")
    known = {day: handed_over.known(feed, day, "customer_id") for day in days}
    assert known == {
        "2026-03-02": [], "2026-03-03": [("1",)], "2026-03-05": [("1",)], "2026-03-06": [("2",)], "2026-05-01": [("2",)],
    }  # fmt: skip


def test_a_row_waits_for_an_owner_who_becomes_known_later(operator):
    """A call of 03-02 over a number given out on 03-01 is known from 03-05 on, when the operator knew to whom."""
    operator.write("numbers.csv", "number,customer_id,valid_from,known_at\n13800000001,2,2026-03-01,2026-03-05 08:00\n")
    operator.map("numbers", "SELECT * FROM numbers")
    operator.write("hotline_calls.csv", "number,event_at,call_id\n13800000001,2026-03-02 10:00:00,c\n")
    operator.map("hotline_calls", "SELECT * FROM hotline_calls", known_after="PT1H", keyed_by="number")
    report = operator.land()
    assert operator.rows("SELECT customer_id, known_at, superseded_at FROM hotline_calls") == [
        ("2", datetime.fromisoformat("2026-03-05T00:00"), None)
    ]
    assert report.feeds["hotline_calls"].accepted == 1


def test_a_corrected_row_follows_its_number_in_every_version(handed_over):
    """Two versions known before the number changed hands and one after: none is a conflict, each has its owner."""
    handed_over.write(
        "hotline_calls.csv",
        "number,event_at,call_id,topic,known_at\n"
        "13800000001,2026-03-02 10:00:00,c,network,2026-03-02 11:00:00\n"
        "13800000001,2026-03-02 10:00:00,c,billing,2026-03-03 11:00:00\n"
        "13800000001,2026-03-02 10:00:00,c,porting,2026-03-07 11:00:00\n",
    )
    handed_over.map("hotline_calls", "SELECT * FROM hotline_calls", keyed_by="number")
    report = handed_over.land()
    days = ("2026-03-03", "2026-03-04", "2026-03-06", "2026-03-08")
    known = {day[-1]: handed_over.known("hotline_calls", day, "customer_id, topic") for day in days}
    assert known == {"3": [("1", "network")], "4": [("1", "billing")], "6": [("2", "billing")], "8": [("2", "porting")]}
    assert report.feeds["hotline_calls"].reasons == {}


def test_a_row_is_known_no_sooner_than_its_customer(operator):
    """A link known in January of a customer who became known in May is known in May, in its version of then."""
    operator.write("customers_2.csv", "customer_id,event_at\n9,2026-05-01\n")
    operator.write(
        "persons.csv",
        "customer_id,person_id,account_id,valid_from,known_at\n"
        "1,P1,A1,2025-06-01,2025-06-02\n9,P1,A1,2026-01-01,2026-01-02\n9,P1,A2,2026-01-01,2026-01-03\n",
    )
    operator.map("persons", "SELECT * FROM persons")
    report = operator.land()
    days = ("2026-04-01", "2026-05-01", "2026-05-02")
    known = {day: operator.known("person_links", day, "customer_id, account_id") for day in days}
    assert known == {
        "2026-04-01": [("1", "A1")], "2026-05-01": [("1", "A1")], "2026-05-02": [("1", "A1"), ("9", "A2")],
    }  # fmt: skip
    assert report.feeds["persons"].reasons == {}
