"""Identifiers, numbers and what people wrote, as they land: one form, one owner, one private place."""

from __future__ import annotations

import json
import stat

import pytest

from features.feeds.landed.manifest import manifest_path, read_manifest
from features.feeds.landing import parts
from features.kit.errors import DataError, InsightError

HEAD = "customer_id,event_at\n"
NUMBERS = (
    "number,customer_id,valid_from,valid_until\n"
    "+86 138-0000-0001,１,2025-01-01,2026-01-01\n"
    '008613800000001,"=""2""",2026-04-01,\n'
)
CALLS = (
    "number,event_at,call_id\n"
    "13800000001,2025-06-01,old\n"
    "１３８０００００００１,2026-02-01,nobody\n"
    "8613800000001,2026-05-01,new\n"
)
TICKETS = (
    "customer_id,event_at,ticket_id,kind,status,text,owner\n"
    "1,2026-05-01,T1,complaint,open,王小明 请打13900001111,李建国\n"
    "2,2026-05-02,T2,complaint,open,nothing,desk\n"
)
MAPPED = {"known_after": "PT1H", "max_quarantine_share": 0.5}


@pytest.fixture
def shop(operator):
    """Returns an operator whose numbers, calls and tickets are written in many ways."""
    for feed, text in (("numbers", NUMBERS), ("hotline_calls", CALLS), ("tickets", TICKETS)):
        operator.write(f"{feed}.csv", text)
        keyed = {"keyed_by": "number"} if feed == "hotline_calls" else {}
        operator.map(feed, f"SELECT * FROM {feed}", **MAPPED, **keyed)
    return operator


def test_a_number_has_the_owner_that_its_one_form_has(shop):
    """Three feeds write a number in five ways: each call is its owner's, and the second owner's number is re-issued."""
    report = shop.land()
    assert shop.rows("SELECT customer_id, call_id FROM hotline_calls ORDER BY ALL") == [("1", "old"), ("2", "new")]
    assert shop.rows("SELECT customer_id, is_reissued FROM number_flags ORDER BY ALL") == [("1", False), ("2", True)]
    assert shop.rows("SELECT DISTINCT number FROM numbers", personal=True) == [("13800000001",)]
    assert report.feeds["hotline_calls"].reasons == {"number_without_owner:number": 1}
    assert (report.feeds["numbers"].rewritten, report.feeds["customers"].rewritten) == (2, 0)


def test_what_people_wrote_is_in_the_personal_folder_only(shop):
    """Names and numbers of texts are in no shared file; the one file that keeps them is its owner's alone."""
    shop.write("customers_2.csv", HEAD + "4,not a day 王小明\n")
    shop.feeds["customers"]["max_quarantine_share"] = 0.5
    shop.land()
    held = {path: path.read_bytes() for path in shop.home.root.rglob("*.*") if path.is_file()}
    private = {path for path in held if shop.home.personal in path.parents}
    texts = shop.rows(f"SELECT text FROM '{shop.home.personal}/free_text/tickets-*.parquet' WHERE customer_id = '1'")
    assert sorted(texts) == [("李建国",), ("王小明 请打13900001111",)]
    assert shop.rows("SELECT count(*), count(text), count(owner) FROM tickets") == [(2, 0, 0)]
    assert [path for path in held if path not in private and "王小明".encode() in held[path]] == []
    assert {path.name for path in private} >= {"customers.parquet", "hotline_calls.parquet"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in private} == {0o600}
    assert {stat.S_IMODE(path.parent.stat().st_mode) for path in private} == {0o700}


def test_a_home_of_an_earlier_release_goes_on(shop, monkeypatch):
    """Landed numbers of other forms and texts in the months are written again once; no row is doubled or lost."""
    with monkeypatch.context() as earlier:
        earlier.setattr(parts, "free_text_columns", lambda _: [])
        earlier.setattr("features.feeds.landing.versions.is_kept_apart", lambda _: False)
        earlier.setattr("features.feeds.conversion.one_form", lambda text, _: f"trim({text})")
        earlier.setattr("features.feeds.landing.identity.phone_number_sql", lambda value: value)
        shop.write("customers_2.csv", HEAD + '１,2025-01-01\n"=""2""",2025-01-01\n')
        shop.feeds["hotline_calls"]["max_quarantine_share"] = 1
        shop.land()
    old = json.loads(manifest_path(shop.home).read_text())
    for feed in old["feeds"].values():
        feed["form"], feed["signature"], feed["mapping"] = 0, "", ""
    manifest_path(shop.home).write_text(json.dumps(old))
    assert shop.rows("SELECT DISTINCT number FROM numbers ORDER BY 1", personal=True) == [
        ("+86 138-0000-0001",), ("008613800000001",)
    ]  # fmt: skip
    assert shop.rows("SELECT count(text) FROM tickets") == [(2,)]
    shop.land("2026-06-02T00:00:00")
    now = "WHERE superseded_at IS NULL"
    assert shop.rows(f"SELECT number, customer_id FROM numbers {now} ORDER BY ALL", personal=True) == [
        ("13800000001", "1"), ("13800000001", "2")
    ]  # fmt: skip
    assert shop.rows(f"SELECT count(*), count(text) FROM tickets {now}") == [(2, 0)]
    assert shop.rows("SELECT customer_id, is_reissued FROM number_flags ORDER BY ALL")[-1] == ("2", True)
    assert len(shop.rows(f"SELECT * FROM '{shop.home.personal}/free_text/tickets-*.parquet'")) == 4
    manifest = read_manifest(shop.home)
    assert manifest is not None
    assert {feed.form for feed in manifest.feeds.values()} == {1}


def test_a_column_of_cut_numbers_stops_the_run(operator):
    """Ids of 18 digits that all end in zeros went through a spreadsheet; ids that count up by thousands are no reason."""
    operator.write("customers.csv", HEAD + "".join(f"{88_000_000_000_000 + n * 7}0000,2025-01-01\n" for n in range(9)))
    with pytest.raises(DataError, match=r"rounded_number:customer_id in customers\.csv row 1; the digits"):
        operator.land()
    operator.write("customers.csv", HEAD + "".join(f"{880_000_001_000_000_000 + n},2025-01-01\n" for n in range(900)))
    assert operator.land().feeds["customers"].accepted == 900


@pytest.mark.parametrize("written", ["2,02606E+17", '"=""2.02606E+17"""', "２．０２６Ｅ＋１７", "880000001000000123.0"])
def test_lost_digits_stop_the_run_however_they_are_wrapped(operator, written):
    """Scientific notation and doubles of 18 digits are refused in every dress that a spreadsheet or pandas gives them."""
    operator.write(
        "customers.csv", HEAD + f'"{written}",2025-01-01\n' if "," in written else HEAD + f"{written},2025-01-01\n"
    )
    with pytest.raises(DataError, match="the digits of this identifier are lost"):
        operator.land()


@pytest.mark.parametrize(
    "header", ["customer_id,event_at,Event_At", "customer_id,event_at,ｅvent_at", "customer_id,event_at,event_at "]
)
def test_headers_that_differ_in_case_or_width_are_refused(operator, header):
    """Both names are said, for CSV and for Parquet."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    operator.write("customers.csv", f"{header}\n1,2025-01-01,2025-01-02\n")
    with pytest.raises(
        InsightError, match=f"'event_at' and '{header.split(',')[2]}' differ only in case, blanks or width"
    ):
        operator.land()
    (operator.data / "customers.csv").unlink()
    names = header.split(",")
    pq.write_table(pa.table([["1"], ["2025-01-01"], ["2025-01-02"]], names=names), operator.data / "customers.parquet")
    operator.files["customers"]["path"] = "customers.parquet"
    with pytest.raises(InsightError, match=f"'event_at' and '{names[2]}' differ only"):
        operator.land()
