"""Takes one person out of every batch of scores; rank tables hold no rows of anybody."""

from __future__ import annotations

import shutil

from features.erasure.rewriting import remove_from_dates, remove_leftovers
from features.feeds.landed.subject import Subject
from features.kit.home import Home
from serving.scoring.batch.lookup import LOOKUP, remove_customers
from serving.scoring.batch.stored import SCORES, WORK


def erase(home: Home, subject: Subject) -> dict[str, int]:
    """Removes a person's rows; returns tables rewritten and rows removed. The caller holds the run lock."""
    remove_leftovers([home.scores])
    shutil.rmtree(home.scores / WORK, ignore_errors=True)
    whose = (subject.customers_as_of, subject.time_zone)
    remove_from_dates(home.scores, f"*/*/as_of=*/{LOOKUP}", *whose, remove_customers)
    return remove_from_dates(home.scores, f"*/*/as_of=*/{SCORES}", *whose)
