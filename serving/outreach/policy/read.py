"""The first stage of a list: the contact policy of one day, from what feeds and ledger know."""

from __future__ import annotations

from datetime import date

from sqlalchemy import Engine

from features.feeds.landed.steady import on_current_feeds
from features.kit.home import Home
from serving.database.session import reading
from serving.outreach.policy.kept import kept_states
from serving.outreach.policy.ledger_facts import LedgerFacts, read_facts
from serving.outreach.policy.policy import PolicyBook
from serving.outreach.settings import OutreachSettings


def read_policy(
    home: Home,
    engine: Engine,
    as_of: date,
    settings: OutreachSettings,
    *,
    facts: LedgerFacts | None = None,
    threads: int = 1,
) -> PolicyBook:
    """Returns the policy of a day.

    Args:
        home: The state.
        engine: The operational database.
        as_of: The day.
        settings: The shipped configuration.
        facts: What the ledger knows; None means it is read.
        threads: DuckDB threads.

    Raises:
        NotReadyError: If no feeds have landed.
    """
    if facts is None:
        with reading(engine) as session:
            facts = read_facts(session, as_of)
    _, states = on_current_feeds(home, lambda feeds: kept_states(feeds, as_of, settings, threads=threads))
    return PolicyBook(settings, states, facts, as_of)
