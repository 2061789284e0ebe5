"""A small town in which one person carries fifty canaries through every room, and a finder that reads every file."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import select

from features.feeds.landing.reports import LandingReport
from features.kit.clock import instant_of
from features.kit.files import sha256_of, write_json, write_parquet
from features.kit.home import Home
from features.portraits.feature_list import FeatureList
from features.store.online.online import open_store
from features.store.online.pointer import Pointer
from features.store.online.rows import Block
from features.store.settings import SqliteOnline, StoreSettings
from serving.database import idempotency
from serving.database.audit import record
from serving.database.keys import create_key, find_key
from serving.database.session import open_database, reading, writing
from serving.database.tables_outreach import OutreachLineRow
from serving.outreach.feedback.contacts import record_contact
from serving.outreach.feedback.landing import land_pending
from serving.outreach.feedback.outcomes import record_reports
from serving.outreach.feedback.reported_rows import ReportedContact
from serving.outreach.feedback.returns import Report
from serving.outreach.lists.draw import draw_list
from serving.outreach.lists.handover import hand_over
from serving.outreach.lists.request import ListRequest
from serving.outreach.settings import load_settings
from tests.world import AS_OF, Town, card, write_people, write_scores
from training import bundle

PERSON, ACCOUNT = "CANARYPERSON00", "CANARYACCOUNT01"
CUSTOMERS = ("CANARY02", "CANARY03")
NUMBERS = ("13955550004", "13955550005")
EMBEDDED = StoreSettings(online=SqliteOnline(deadline_ms=5_000))
TAKEN_OVER = "13900000777"
"""A number that was the person's and is somebody else's now: it stays, without its first owner."""


def canary(number: int) -> str:
    """Returns the text of one of the canaries that are no identifiers."""
    return f"CANARYTEXT{number:02d}"


CANARIES = frozenset({PERSON, ACCOUNT, *CUSTOMERS, *NUMBERS, *(canary(k) for k in range(6, 50))})


def found_in(root: Path, texts: Iterable[str] = CANARIES) -> set[str]:
    """Returns the canaries in any file below a folder: raw bytes, Parquet values, archives, SQLite with free pages."""
    haystack: list[bytes] = []
    for path in root.rglob("*"):
        if not path.is_file():
            continue
        haystack.append(path.read_bytes())
        if path.suffix == ".parquet":
            table = pq.ParquetFile(path).read()
            haystack.append(repr(table.to_pydict()).encode())
        elif zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                haystack += [archive.read(name) for name in archive.namelist()]
    whole = b"\x00".join(haystack)
    return {text for text in texts if text.encode() in whole}


def erase_in_a_fresh_process(home: Home, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs `insight erase` as a user would."""
    command = [
        sys.executable,
        "-m",
        "features.kit.cli",
        "erase",
        "--person",
        PERSON,
        "--home",
        str(home.root),
        "--json",
    ]
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)


class MarkedTown(Town):
    """A town whose files may hold a bad row or two, as an operator's do."""

    def deliver(self, name: str = "", **limits: float) -> LandingReport:
        """Lands whatever is good, however much is refused."""
        return super().deliver(name, **{"max_quarantine_share": 1} | limits)


def make_town(root: Path) -> MarkedTown:
    """Returns a town with files, not landed yet: the person, and six neighbours."""
    town = MarkedTown(root)
    for k in range(6):
        town.customer(f"C{k:04d}")
    first, second = CUSTOMERS
    for one, number in zip(CUSTOMERS, NUMBERS, strict=True):
        town.add("customers", customer_id=one, activated_on="2025-01-01", kind="consumer", status="active",
                 province="Jiangsu", city="Nanjing", birth_year=1980, language="zh")  # fmt: skip
        town.add("persons", customer_id=one, person_id=PERSON, account_id=ACCOUNT, role="main",
                 form_of_address=canary(6), valid_from="2025-01-01")  # fmt: skip
        town.add("numbers", customer_id=one, number=number, valid_from="2025-01-01 00:00:00", is_verified=True)
        for purpose in ("marketing", "retention", "service", "personalisation"):
            town.consent(one, purpose)
    town.add("numbers", customer_id=second, number=TAKEN_OVER, valid_from="2025-02-01 00:00:00",
             valid_until="2025-06-01 00:00:00")  # fmt: skip
    town.add("numbers", customer_id="C0001", number=TAKEN_OVER, valid_from="2025-09-01 00:00:00", is_verified=True)
    for k in range(8):
        town.add("tickets", customer_id=first, ticket_id=canary(7 + 3 * k), kind="enquiry", topic="billing",
                 text=f"说明 {canary(8 + 3 * k)}", status="closed", owner=canary(9 + 3 * k),
                 opened_at="2026-01-04 10:00:00", event_at=f"2026-01-0{k + 1} 10:00:00")  # fmt: skip
    town.add("tickets", customer_id="C0002", ticket_id="T1", kind="enquiry", topic="billing", text="neighbour",
             status="open", opened_at="2026-01-04 10:00:00")  # fmt: skip
    town.add("surveys", customer_id=second, survey="care", score=3, comment=canary(31))
    town.add("contacts", customer_id=first, contact_id=canary(32), campaign=canary(33), action="service_review",
             channel="call", arm="treated", event_at="2026-02-01 10:00:00")  # fmt: skip
    town.add("outcomes", customer_id=first, contact_id=canary(32), outcome="accepted", accepted=True,
             order_reference=canary(34), event_at="2026-02-01 11:00:00")  # fmt: skip
    town.add("tickets", customer_id=first, ticket_id=canary(35), kind=canary(36), status="closed",
             event_at="2026-01-09 10:00:00")  # fmt: skip
    town.add("hotline_calls", customer_id=second, call_id=canary(47), topic="billing", event_at="2026-01-09 10:00:00")
    town.raw["surveys"] = f"{first},{canary(37)}\n"  # too few columns: refused before any SELECT
    return town


def fill_rooms(home: Home, store: StoreSettings = EMBEDDED) -> None:
    """Takes the landed person through portraits, store, scores, product fit, lists, ledger, audit and mlruns."""
    tickets = {"C0000": "T9", "C0001": "T8", "C0002": "T7", CUSTOMERS[0]: canary(38), CUSTOMERS[1]: canary(39)}
    ids = sorted(tickets)
    overdue = {one: {"service.ticket_overdue": {"ticket": ticket, "hours": 30}} for one, ticket in tickets.items()}
    write_people(home, {one: {"reasons": overdue[one], "card": card()} for one in ids})
    codes = {one: [canary(40)] if one in CUSTOMERS else [] for one in ids}
    write_scores(home, "churn", {one: {"p": 0.3, "band": "very_high", "codes": codes[one]} for one in ids})
    _publish(home, ids, store)
    _outreach(home)
    fits = pa.table({"customer_id": ids, "offers": [canary(41) if one in CUSTOMERS else "" for one in ids]})
    write_parquet(home.product_fit / f"as_of={AS_OF}" / "fit.parquet", fits)
    _judge(home.bundles / "churn" / "v1", ids)
    simulated = home.simulation / "files"
    simulated.mkdir(parents=True)
    (simulated / "bills.csv").write_text(f"customer_id,note\nC0001,x\n{CUSTOMERS[0]},{canary(48)}\n", encoding="utf-8")
    write_parquet(simulated / "usage" / "2026-01.parquet",
                  pa.table({"customer_id": ["C0001", CUSTOMERS[1]], "note": ["x", canary(49)]}))  # fmt: skip


def _judge(folder: Path, ids: list[str]) -> None:
    """Writes the judged rows of a bundle, sealed, as training does; customers stand there by their pseudonyms."""
    judged = pa.table({"customer": [bundle.pseudonym(one) for one in ids], "label": [0] * len(ids)})
    write_parquet(folder / bundle.JUDGED, judged)
    content = {"files": {bundle.JUDGED: sha256_of(folder / bundle.JUDGED)}}
    (folder / bundle.MANIFEST).write_bytes(bundle._seal(content))


def _publish(home: Home, ids: list[str], settings: StoreSettings) -> None:
    """Fills both views of the online store, so that the idle one holds the person too."""
    store = open_store(home, settings)
    event_at = instant_of(AS_OF)
    identity = FeatureList.load(home).identity
    for sequence, view in enumerate(("portrait_b", "portrait_a"), start=1):
        facts = [canary(42) if one in CUSTOMERS else "{}" for one in ids]
        store.clear(view)
        store.fill(view, Block(ids, np.ones((len(ids), 3), "float32"), facts, identity, int(event_at.timestamp())))
        store.switch(Pointer(view, AS_OF, identity, datetime(2026, 6, 1, tzinfo=UTC), len(ids), event_at, sequence))
    store.close()


def _outreach(home: Home) -> None:
    """Draws a list, hands numbers over, takes reports and keeps answers, all of them naming the person."""
    engine, settings = open_database(home), load_settings()
    released = draw_list(home, ListRequest(AS_OF, 60))
    with reading(engine) as session:
        mine = session.scalars(select(OutreachLineRow.line_id).where(OutreachLineRow.person_id == PERSON)).one()
    key = find_key(engine, create_key(engine, "dialler", frozenset({"handover"}), actor="t")[1])
    hand_over(home, engine, released.list_id, key, reason="morning calls", hours=8)
    at = datetime(2026, 6, 1, 2, 30, tzinfo=UTC)
    reports = [
        Report(1, mine, "accepted", attempted_at=at, order_reference=canary(43), agent=canary(44)),
        Report(2, mine, "never_again", attempted_at=at, agent="a"),
    ]
    record_reports(engine, reports, settings, "Asia/Shanghai")
    sent = ReportedContact(canary(45), CUSTOMERS[1], at, "service_review", "message", canary(46))
    record_contact(engine, sent, PERSON, "Asia/Shanghai", owner="crm")
    land_pending(home, engine)
    with writing(engine) as session:
        answer = idempotency.Answer(200, f'{{"items":["{CUSTOMERS[0]}","C0001"]}}'.encode())
        idempotency.remember(session, "crm", "k1", b"body", answer)
        record(session, actor="crm", action="lookups.read", subject=CUSTOMERS[0])
        record(session, actor="crm", action="lookups.read", subject="C0001", detail={"asked": "C0001"})
    engine.dispose()
    write_json(home.root / "results" / "note.json", {"nobody": True})


@pytest.fixture(scope="session")
def marked_town(tmp_path_factory: pytest.TempPathFactory) -> MarkedTown:
    """The town with every room filled; copy it, never change it."""
    town = make_town(tmp_path_factory.mktemp("marked"))
    town.deliver()
    fill_rooms(town.home)
    return town


@pytest.fixture
def marked(marked_town: MarkedTown, tmp_path: Path) -> MarkedTown:
    """A fresh copy of the marked town."""
    shutil.copytree(marked_town.root, tmp_path / "town")
    return MarkedTown(tmp_path / "town", rows=dict(marked_town.rows), raw=dict(marked_town.raw))
