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
    assert [row[:3] for row in reissued.refused("hotline_calls", personal=True)] == [
        ("number_without_owner:number", "hotline_calls.csv", 2),
        ("number_without_owner:number", "hotline_calls.csv", 3),
        ("number_without_owner:number", "hotline_calls.csv", 6),
    ]
    assert not (reissued.home.quarantine / "hotline_calls.parquet").exists()


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
