"""Takes one person out of every product fit; the totals beside the tables hold no rows of anybody."""

from __future__ import annotations

from features.erasure.rewriting import remove_from_dates, remove_leftovers
from features.feeds.landed.subject import Subject
from features.kit.home import Home


def erase(home: Home, subject: Subject) -> dict[str, int]:
    """Removes a person's rows; returns tables rewritten and rows removed. The caller holds the run lock."""
    remove_leftovers([home.product_fit])
    return remove_from_dates(home.product_fit, "as_of=*/fit.parquet", subject.customers_as_of, subject.time_zone)
