"""An erased person is in neither view of the online store, nor in the file's free pages; everybody else still is."""

from __future__ import annotations

from datetime import date

from features.feeds.landed.subject import Holding, Subject
from features.store.erasure import erase
from features.store.online.feast_layout import VIEWS
from features.store.online.online import OnlinePortraits, open_store
from features.store.publish import publish

DAY = date(2026, 3, 9)


def test_a_forgotten_customer_is_in_no_view(home, any_store):
    """Both views held c1; afterwards none does, the pointer counts one less, and a repeat finds nothing to do."""
    publish(home, DAY, settings=any_store)
    publish(home, DAY, settings=any_store)
    store = open_store(home, any_store)
    rows = store.pointer().rows
    assert all(store.read_view(view, ["c1"])[0] for view in VIEWS)
    subject = Subject("P1", (Holding("c1"),))
    assert erase(home, subject, any_store) == {"customers": 1, "rewritten": 1}
    assert erase(home, subject, any_store) == {"customers": 0, "rewritten": 1}
    assert [store.read_view(view, ["c1"]) for view in VIEWS] == [[None], [None]]
    assert store.pointer().rows == rows - 1
    store.close()
    online = OnlinePortraits.open(home, any_store)
    assert [one and one.customer_id for one in online.read(["c1", "c2"])] == [None, "c2"]
    online.close()
    whole = b"".join(path.read_bytes() for path in home.store.glob("online.db*"))
    assert b"\x02\x00\x00\x00c1" not in whole
