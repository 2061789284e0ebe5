"""After an erasure nothing names the person, nothing of others has changed, and nothing of the person comes back."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pyarrow.parquet as pq
import pytest
from sqlalchemy import select

from features.feeds.landed.reading import Feeds
from features.feeds.landing.suppression import Suppression
from features.kit.errors import DataError, NotFoundError
from features.kit.files import sha256_of
from features.kit.home import Home
from features.store.online.sqlite_online import SqliteStore
from serving.database.audit import first_tampered
from serving.database.session import open_database, reading
from serving.database.tables_access import AuditRow, IdempotencyRow
from serving.erasure.erase import erase
from serving.outreach.policy.ledger_facts import read_facts
from serving.outreach.policy.policy import PolicyBook
from serving.outreach.policy.states import FeedStates, read_states
from serving.outreach.settings import load_settings
from tests.world import AS_OF, Town
from training import bundle

from .conftest import (
    ACCOUNT,
    CANARIES,
    CUSTOMERS,
    PERSON,
    TAKEN_OVER,
    MarkedTown,
    canary,
    erase_in_a_fresh_process,
    found_in,
)

LEAVES_NOBODY: set[str] = set()


def others(home: Home) -> dict[str, list[tuple[Any, ...]]]:
    """Returns every landed row, portrait, score and fit of the neighbours."""
    kept: dict[str, list[tuple[Any, ...]]] = {}
    feeds = Feeds.open(home)
    with feeds.connect(personal=True) as database:
        for feed in sorted(feeds.names | {"person_links", "number_flags"}):
            rows = database.execute(f"SELECT * FROM {feed} WHERE customer_id LIKE 'C0%' ORDER BY ALL").fetchall()
            kept |= {feed: rows} if rows else {}
    for folder in (home.portraits, home.scores, home.product_fit):
        for path in sorted(folder.rglob("*.parquet")):
            rows = pq.ParquetFile(path).read().to_pylist()
            kept[str(path.relative_to(home.root))] = [row for row in rows if row["customer_id"] not in CUSTOMERS]
    return kept


def test_the_finder_finds_every_canary_before(marked):
    """The canary of the canaries: fifty of fifty are found where nothing has been erased."""
    assert found_in(marked.home.root) == CANARIES
    assert len(CANARIES) == 50


def test_nothing_of_the_person_is_left_and_nothing_of_others_is_touched(marked):
    """0 of 50 canaries in any file; neighbours' rows are the same; the receipt counts, and names nobody."""
    home = marked.home
    before = others(home)
    receipt, was_erased = erase(home, PERSON, by="privacy desk", reason="asked for it")
    assert found_in(home.root) == LEAVES_NOBODY
    assert (was_erased, receipt["is_complete"], receipt["still_named_in"], receipt["subscriptions"]) == (
        False,
        True,
        [],
        2,
    )
    assert receipt["removed"]["feeds"]["feeds"]["tickets"] == 8
    assert receipt["removed"]["portraits"] == {"tables": 1, "rows": 2}
    assert receipt["removed"]["store"] == {"customers": 2, "rewritten": 1}
    assert receipt["removed"]["ledger"]["attempts"] == 2
    assert receipt["removed"]["database"] == {"answers": 1, "audit": 1}
    after = others(home)
    assert after == before
    assert orjson.loads((home.erasures / f"{receipt['receipt_id']}.json").read_bytes()) == receipt


def test_what_must_stay_stays_without_the_name(marked):
    """A re-issued number remembers that it had an owner; the audit chain is whole; an answer names the others."""
    home = marked.home
    engine = open_database(home)
    with reading(engine) as session:
        ended_with = session.scalars(select(AuditRow.entry_hash).order_by(AuditRow.entry_id.desc())).first()
    erase(home, PERSON, by="privacy desk")
    with Feeds.open(home).connect(personal=True) as database:
        holders = database.execute("SELECT customer_id FROM numbers WHERE number = ? ORDER BY valid_from", [TAKEN_OVER])
        first, second = (row[0] for row in holders.fetchall())
        flags = database.execute("SELECT is_reissued FROM number_flags WHERE customer_id = 'C0001' ORDER BY valid_from")
        assert flags.fetchall() == [(False,), (True,)]
    assert (first.split("-")[0], second) == ("erased", "C0001")
    engine = open_database(home)
    assert first_tampered(engine) is None
    with reading(engine) as session:
        subjects = list(session.scalars(select(AuditRow.subject).where(AuditRow.action == "lookups.read")))
        assert sorted(subjects) == ["C0001", "erased"]
        last = session.scalars(select(AuditRow).order_by(AuditRow.entry_id.desc())).first()
        assert (last.action, orjson.loads(last.detail)["ended_with"]) == ("person.erase", ended_with)
        assert session.scalars(select(IdempotencyRow.answer)).one() == b'{"items":["erased","C0001"]}'
    store = SqliteStore(home.store / "online.db", "customer_insight", deadline_ms=5_000)
    pointer, rows = store.read(["C0000", *CUSTOMERS])
    assert (pointer.rows, [row is None for row in rows]) == (3, [False, True, True])


def test_lists_and_handed_over_numbers_are_written_anew_without_the_person(marked):
    """The list still holds the neighbours, and so does the dialler's file."""
    home = marked.home
    erase(home, PERSON, by="privacy desk")
    lists, handed_over = list(home.lists.rglob("list.csv")), list((home.personal / "handover").glob("*.csv"))
    assert (len(lists), len(handed_over)) == (1, 1)
    for path in (*lists, *handed_over):
        with path.open(encoding="utf-8-sig", newline="") as file:
            assert len(list(csv.reader(file))) == 1 + 3
    assert {path.name for path in home.lists.rglob("*.*")} == {"list.csv", "list.xlsx"}


def test_judged_rows_go_and_the_bundle_is_sealed_again(marked):
    """The person's pseudonyms leave the bundle's judged rows; the manifest names the new file; the seal holds."""
    folder = marked.home.bundles / "churn" / "v1"
    receipt, _ = erase(marked.home, PERSON, by="privacy desk")
    left = pq.ParquetFile(folder / bundle.JUDGED).read()["customer"].to_pylist()
    assert left == [bundle.pseudonym(one) for one in ("C0000", "C0001", "C0002")]
    content = orjson.loads((folder / bundle.MANIFEST).read_bytes())
    assert content["files"] == {bundle.JUDGED: sha256_of(folder / bundle.JUDGED)}
    assert bundle._seal({"files": content["files"]}) == (folder / bundle.MANIFEST).read_bytes()
    assert receipt["removed"]["models"] == {"judged_rows": 2}


def test_a_second_delivery_of_the_same_rows_is_refused(marked):
    """Everything delivered again, with a new subscription of the same person: counted, refused, kept nowhere.

    Of surveys that is one row, and one line of each file that cannot be read.
    """
    home = marked.home
    before = others(home)
    erase(home, PERSON, by="privacy desk")
    marked.add("customers", customer_id="CANARYTEXT99", kind="consumer", status="active")
    marked.add("persons", customer_id="CANARYTEXT99", person_id=PERSON, account_id=ACCOUNT, valid_from="2026-05-01")
    marked.add("customers", customer_id="C0007", kind="consumer", status="active")
    report = marked.deliver("_again")
    texts = {*CANARIES, "CANARYTEXT99"}
    assert found_in(home.root, texts) == LEAVES_NOBODY
    assert {name: one.erased for name, one in report.feeds.items() if one.erased} == {
        "customers": 3, "persons": 3, "numbers": 3, "tickets": 9, "surveys": 3, "consents": 8, "contacts": 1,
        "outcomes": 1, "hotline_calls": 1,
    }  # fmt: skip
    again = others(home)
    assert [row[0] for row in again.pop("customers")].count("C0007") == 1
    before.pop("customers")
    assert {name: rows for name, rows in again.items() if name in before} == before
    marked.add("customers", customer_id="C0001", activated_on="", birth_year="", city="", language="", province="")
    marked.rows = {"customers": marked.rows["customers"][-3:]}
    marked.raw = {}
    assert marked.deliver("_alone").feeds["customers"].erased == 1  # also alone, without its person


def test_without_the_record_they_would_come_back(marked):
    """The guard has teeth: with the suppression record gone, the same delivery lands the person again."""
    erase(marked.home, PERSON, by="privacy desk")
    (marked.home.personal / "suppressed.json").unlink()
    marked.deliver("_again")
    assert PERSON in found_in(marked.home.root)


def test_the_person_is_never_called_again(marked, tmp_path):
    """A do-not-contact that holds a hash only forbids marketing and care if the person ever comes back."""
    home = marked.home
    erase(home, PERSON, by="privacy desk")
    with reading(open_database(home)) as session:
        facts = read_facts(session, AS_OF)
    assert sorted({one.code for one in facts.refusals if (one.person_id or one.customer_id or "").startswith("#")}) == [
        "do_not_contact"
    ]
    town = Town(tmp_path)
    town.customer("C0100", person=PERSON)
    town.customer("C0200")
    states = read_states(town.land(), AS_OF, load_settings())
    back = FeedStates(states.states, states.contacts, states.declines, states.operator, Suppression.load(home))
    shipped = load_settings()
    nobody_withheld = shipped.model_copy(update={"control": shipped.control.model_copy(update={"share": 0.0})})
    verdicts = PolicyBook(nobody_withheld, back, facts, AS_OF).verdicts(["C0100", "C0200"], "marketing", "call", AS_OF)
    assert [one.codes for one in verdicts] == [("do_not_contact",), ()]


def test_the_record_holds_hashes_only_and_a_repeat_answers_with_the_receipt(marked):
    """Salted hashes of 64 digits, readable by the owner alone; asked again, the command shows what was done."""
    receipt, _ = erase(marked.home, PERSON, by="privacy desk")
    path = marked.home.personal / "suppressed.json"
    content = orjson.loads(path.read_bytes())
    hashes = [content["salt"], *content["persons"], *content["customers"], *content["numbers"]]
    assert all(len(one) == 64 for one in hashes)
    assert path.stat().st_mode & 0o077 == 0
    assert erase(marked.home, PERSON, by="somebody else") == (receipt, True)
    with pytest.raises(NotFoundError):
        erase(marked.home, "P9999", by="privacy desk")


def test_a_stray_file_that_names_the_person_is_told(marked):
    """The last step is a search by value: a copy that no room owns makes the erasure incomplete until it is gone."""
    stray = marked.home.root / "copies" / "for_the_boss.csv"
    stray.parent.mkdir()
    stray.write_text(f"customer_id\n{CUSTOMERS[0]}\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"1 files still name the person, first copies/for_the_boss\.csv"):
        erase(marked.home, PERSON, by="privacy desk")
    stray.unlink()
    receipt, _ = erase(marked.home, PERSON, by="privacy desk")
    assert (receipt["is_complete"], receipt["runs"]) == (True, 2)


def test_a_longer_id_is_somebody_else(marked):
    """CANARY02 is not CANARY021: only whole identifiers count, in landed text as in the search."""
    (marked.home.root / "note.txt").write_text("CANARY021 and 1.13955550004", encoding="utf-8")
    assert erase(marked.home, PERSON, by="privacy desk")[0]["is_complete"]


@pytest.mark.parametrize(
    "place",
    [
        "erase.before_manifest",
        *(
            pytest.param(place, marks=pytest.mark.soak)
            for place in (
                "erase.after_order",
                "erase.after_suppression",
                "erase.before_ledger",
                "erase.after_ledger",
                "erase.after_part",
                "erase.after_manifest",
                "erase.after_feeds",
                "erase.after_portraits",
                "erase.after_store",
                "erase.after_lists",
                "erase.after_database",
                "erase.after_simulation",
                "erase.after_receipt",
            )
        ),
    ],
)
def test_killed_in_the_middle_it_completes_when_repeated(marked, place):
    """Kill -9, then the same command: nothing of the person, everything of the others, one receipt."""
    home = marked.home
    before = others(home)
    killed = erase_in_a_fresh_process(home, INSIGHT_FAILPOINT=f"{place}:1:kill")
    assert killed.returncode == -9
    assert found_in(home.root)  # the order at least
    receipt, _ = erase(home, PERSON, by="privacy desk")
    assert found_in(home.root) == LEAVES_NOBODY
    assert others(home) == before
    assert (receipt["runs"], len(list(home.erasures.glob("*.json")))) == (2, 1)


def small_town(root: Path) -> MarkedTown:
    """Returns a landed town in which the person gave C0003 away on 2026-01-01 and C0009 stands for nobody else."""
    town = MarkedTown(root)
    for one in ("C0003", "C0004"):
        town.customer(one)
    town.rows["customers"][0] |= {"event_at": "2025-03-01 10:00:00", "known_at": "2025-03-01 10:00:00"}
    town.rows["persons"][0] |= {"person_id": PERSON, "valid_until": "2026-01-01"}
    town.add("persons", customer_id="C0003", person_id="P0099", account_id="A", valid_from="2026-01-01",
             event_at="2026-01-01 09:00:00")  # fmt: skip
    for day, text in (("2025-12-30", canary(7)), ("2026-01-02", "the new holder's")):
        town.add("tickets", customer_id="C0003", ticket_id=f"T{day}", kind="enquiry", status="open", text=text,
                 event_at=f"{day} 10:00:00")  # fmt: skip
    town.deliver()
    return town


def test_where_a_subscription_changed_hands_only_the_persons_time_goes(tmp_path):
    """The new holder keeps what happened since; the line's plan and place stay, the first holder's age goes."""
    town = small_town(tmp_path)
    erase(town.home, PERSON, by="privacy desk")
    town.add("tickets", customer_id="C0003", ticket_id="T3", kind="enquiry", status="open", text=canary(8),
             event_at="2025-12-31 10:00:00", known_at="2026-03-01 10:00:00")  # fmt: skip
    report = town.deliver("_again")
    assert found_in(town.home.root) == LEAVES_NOBODY
    with Feeds.open(town.home).connect(personal=True) as database:
        assert database.execute("SELECT ticket_id, text FROM tickets").fetchall() == [("T2026-01-02", None)]
        texts = f"SELECT text FROM '{town.home.personal}/free_text/tickets-*.parquet'"
        assert database.execute(texts).fetchall() == [("the new holder's",)]
        assert database.execute("SELECT person_id FROM persons ORDER BY 1").fetchall() == [("P0004",), ("P0099",)]
        known = database.execute("SELECT customer_id, birth_year, province FROM customers ORDER BY ALL").fetchall()
        assert set(known) >= {("C0003", None, "Jiangsu"), ("C0004", 1988, "Jiangsu")}
    assert report.feeds["tickets"].erased == 2
    assert report.feeds["persons"].erased == 1


def test_bad_rows_of_an_erased_person_are_not_quarantined(tmp_path):
    """A row that cannot be read at all still names the person: it is counted, and its text is kept nowhere.

    Nor is what a neighbour wrote with the person's number in it, however the number is spelt.
    """
    town = small_town(tmp_path)
    town.customer("C0077", person="CANARYPERSON77")
    town.add(
        "tickets", customer_id="C0004", ticket_id="T4", kind="enquiry", status="open", text="call １３９ 0000-0077"
    )
    town.deliver()
    texts = f"SELECT text FROM '{town.home.personal}/free_text/tickets-*.parquet' WHERE customer_id = 'C0004'"
    assert len(duckdb.execute(texts).fetchall()) == 1
    erase(town.home, "CANARYPERSON77", by="privacy desk")
    assert duckdb.execute(texts).fetchall() == []
    town.rows["tickets"] = [row for row in town.rows["tickets"] if row["ticket_id"] != "T4"]
    town.raw["tickets"] = "C0077,one,two\nC0004,one,two\nC0004,+86 139-0000-0077,two\n"
    report = town.deliver("_again")
    assert found_in(town.home.root, ["C0077", "CANARYPERSON77"]) == LEAVES_NOBODY
    kept = duckdb.execute(f"SELECT content FROM '{town.home.quarantine}/tickets.parquet'").fetchall()
    assert len(kept) == 1
    assert "C0004" in kept[0][0]
    assert report.feeds["tickets"].erased == 2
