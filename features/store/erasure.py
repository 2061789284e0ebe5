"""Takes one person out of the online store, both views of it."""

from __future__ import annotations

from features.feeds.landed.subject import Subject
from features.kit.home import Home
from features.store.online.online import open_store
from features.store.settings import StoreSettings


def erase(home: Home, subject: Subject, settings: StoreSettings | None = None) -> dict[str, int]:
    """Removes a person's vectors and facts, free pages included.

    Returns:
        The customers removed, and that the store's files were `rewritten`; a server that allows nobody to ask for it
        lacks that word: its append-only file and dump then hold the removed rows until it writes them by itself.

    The caller holds the run lock. Feast's registry holds definitions only.

    Raises:
        NotReadyError: If the store does not answer, or another process keeps its file busy.
    """
    store = open_store(home, settings or StoreSettings.load())
    try:
        removed = {"customers": store.forget(sorted(one.customer_id for one in subject.holdings))}
        return removed | ({"rewritten": 1} if store.rewrite() else {})
    finally:
        store.close()
