"""No sale today: one rule, and each path that could pitch obeys it; without the rule each of them does pitch."""

from __future__ import annotations

from datetime import date

import pytest

from features.kit.home import Home
from serving.no_sale import NoSaleSettings, load_no_sale, no_sale_today
from tests.world import AS_OF, Town, write_people

OFF = NoSaleSettings(classes=(), complaint_days=0, leave_enquiry_days=0)
NAMES = ("CLASS", "ALSO", "CALLER", "FILED", "REOPENED", "CALLED", "ENQUIRED", "LINE1", "LINE2", "PLAIN", "OLD", "TOMORROW",
         "NETWORK", "ASKED_LONG_AGO")  # fmt: skip
ID = {name: f"C{place:04d}" for place, name in enumerate(NAMES)}
HELD = {"CLASS", "ALSO", "CALLER", "FILED", "REOPENED", "CALLED", "ENQUIRED", "LINE1", "LINE2"}


@pytest.fixture(scope="module")
def feeds(tmp_path_factory):
    """Lands one customer of every cause, and one on the other side of every border."""
    town = Town(tmp_path_factory.mktemp("no_sale"))
    for one in NAMES:
        town.customer(ID[one], person="P-LINES" if one.startswith("LINE") else None)
    for one, kind, status, when in (
        ("FILED", "complaint", "open", "2026-05-20 10:00:00"), ("FILED", "complaint", "closed", "2026-05-21 10:00:00"),
        ("LINE1", "complaint", "open", "2026-05-20 10:00:00"), ("NETWORK", "fault", "open", "2026-05-20 10:00:00"),
        ("OLD", "complaint", "open", "2026-03-20 10:00:00"), ("OLD", "complaint", "closed", "2026-05-20 10:00:00"),
        ("REOPENED", "complaint", "open", "2026-03-20 10:00:00"), ("TOMORROW", "complaint", "open", "2026-06-01 10:00:00"),
        ("REOPENED", "complaint", "reopened", "2026-05-20 10:00:00"),
    ):  # fmt: skip
        town.add("tickets", customer_id=ID[one], ticket_id=f"T{one}", kind=kind, topic="network", status=status,
                 event_at=when)  # fmt: skip
    for one, when in (("ENQUIRED", "2026-05-20 10:00:00"), ("ASKED_LONG_AGO", "2026-03-20 10:00:00")):
        town.add("port_requests", customer_id=ID[one], step="enquiry", event_at=when)
    for one, topic in (("CALLED", "cancelling"), ("PLAIN", "roaming")):
        town.add(
            "hotline_calls",
            customer_id=ID[one],
            topic=topic,
            call_id=ID[one],
            agent=True,
            event_at="2026-05-20 10:00:00",
        )
    landed = town.land()
    classes = {"CLASS": {"class": "complaint_sensitive"}, "CALLER": {"class": "repeat_caller"},
               "ALSO": {"class": "arrears_prone", "also": "bundled|repeat_caller"}}  # fmt: skip
    write_people(town.home, {ID[one]: classes.get(one, {}) for one in NAMES})
    return landed


def test_every_cause_holds_and_no_other_as_known_on_the_day(feeds):
    """Class, complaint and question about leaving hold, on all lines of the person; older or later ones do not."""
    assert no_sale_today(feeds, AS_OF) == {ID[one] for one in HELD}


def test_a_day_before_the_portraits_does_not_know_their_classes(feeds):
    """On 31 May the classes of 1 June are not known yet."""
    assert no_sale_today(feeds, date(2026, 5, 31)) == {ID[one] for one in HELD - {"CLASS", "ALSO", "CALLER"}}


def test_without_its_causes_the_rule_holds_nobody(feeds, monkeypatch):
    """Canary: the file's causes decide."""
    monkeypatch.setattr("serving.no_sale.load_no_sale", lambda: OFF)
    assert no_sale_today(feeds, AS_OF) == frozenset()
    monkeypatch.undo()
    assert load_no_sale().classes == ("complaint_sensitive", "repeat_caller")


def test_before_any_portrait_the_feeds_alone_decide(tmp_path):
    """A home without portraits holds back who complained."""
    town = Town(tmp_path)
    town.customer("C0001")
    town.add("tickets", customer_id="C0001", ticket_id="T", kind="complaint", topic="network", status="open",
             event_at="2026-05-20 10:00:00")  # fmt: skip
    feeds = town.land()
    assert not Home(town.home.root).portraits.exists()
    assert no_sale_today(feeds, AS_OF) == {"C0001"}
