"""Takes one person out of every built portrait, of whatever identity."""

from __future__ import annotations

from features.erasure.rewriting import remove_from_dates, remove_leftovers
from features.feeds.landed.subject import Subject
from features.kit.home import Home
from features.portraits.reading import PORTRAIT_FILE


def erase(home: Home, subject: Subject) -> dict[str, int]:
    """Removes a person's rows; returns tables rewritten and rows removed. The caller holds the run lock."""
    remove_leftovers([home.portraits])
    pattern = f"*/as_of=*/{PORTRAIT_FILE}"
    return remove_from_dates(home.portraits, pattern, subject.customers_as_of, subject.time_zone)
