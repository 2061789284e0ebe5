"""What one serving process holds: the home, its database, the models, the live portraits and the contact policy.

Nothing is opened at import time. Feeds, policy and product fit are read again as soon as they have changed.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from datetime import date
from math import inf
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request
from sqlalchemy import Engine, func, select
from sqlalchemy.exc import SQLAlchemyError

from features.kit.errors import NotReadyError
from features.kit.home import Home
from features.store.online.online import OnlinePortraits
from serving.api.auth import KeyRing
from serving.api.traffic import Figures
from serving.database.session import in_request, open_database, reading
from serving.database.tables_outreach import ClaimDayRow, ContactRow, RefusalRow
from serving.scoring.batch.lookup import Lookups
from serving.scoring.models import Models
from serving.scoring.ranks import RankTables
from serving.scoring.reasons.book import ReasonBook, load_book
from serving.scoring.reasons.writing import ReasonWriter
from serving.scoring.settings import load_settings

if TYPE_CHECKING:
    from features.feeds.landed.reading import Feeds
    from features.store.online.pointer import Pointer
    from serving.outreach.policy.policy import PolicyBook
    from serving.outreach.policy.states import FeedStates
    from serving.outreach.settings import OutreachSettings

STATE_SECONDS = 10.0
"""How often readiness reads the footers of the landed files and a sample of the live portraits, at most."""

_LEDGER_STATE = select(
    select(func.count()).select_from(RefusalRow).scalar_subquery(),
    select(func.max(RefusalRow.refusal_id)).scalar_subquery(),
    select(func.count()).select_from(ContactRow).scalar_subquery(),
    select(func.count()).select_from(ClaimDayRow).scalar_subquery(),
    select(func.max(ClaimDayRow.day)).scalar_subquery(),
)
"""Changes whenever the ledger forbids or allows something else."""


@dataclass
class Context:
    """One process's resources. Thread-safe."""

    home: Home
    engine: Engine
    keys: KeyRing
    figures: Figures  # what `/metrics` shows
    models: Models  # every target's champion
    ranks: RankTables  # rank tables of the batches
    lookups: Lookups  # stored scores of the batches
    portraits: OnlinePortraits
    book: ReasonBook
    writer: ReasonWriter
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _feeds: tuple[int, Feeds] | None = None
    _states: tuple[tuple[Feeds, date, Pointer], FeedStates, OutreachSettings] | None = None
    _policy: tuple[tuple[object, ...], PolicyBook] | None = None
    _state_checked: float = -inf

    @classmethod
    def open(cls, home: Home, figures: Figures, *, check_in_child: bool = True) -> Context:
        """Opens everything and loads the champions; what is not there yet is found when it appears.

        Raises:
            NotReadyError: If the database or the online store cannot be reached.
            ConfigurationError: If a configuration is wrong.
        """
        try:
            with in_request():
                engine = open_database(home)
        except SQLAlchemyError as error:
            why = str(error).splitlines()[0]
            raise NotReadyError(f"{home.root}: the operational database cannot be used ({why})") from None
        book = load_book()
        writer = _writer(home, book)
        settings = load_settings()
        models = Models(home, settings=settings, book=book, writer=writer)
        models.refresh(check_in_child=check_in_child)  # first, so that LightGBM loads without pandas and pyarrow
        portraits = OnlinePortraits.open(home)
        batches = RankTables(home), Lookups(home, settings)
        return cls(home, engine, KeyRing(engine), figures, models, *batches, portraits, book, writer)

    def close(self) -> None:
        """Gives everything back."""
        self.models.stop()
        self.portraits.close()
        self.engine.dispose()

    def feeds(self) -> Feeds:
        """Returns the landed feeds of this moment. Raises NotReadyError before the first landing."""
        from features.feeds.landed.reading import Feeds

        try:
            written = (self.home.feeds / "manifest.json").stat().st_mtime_ns
        except FileNotFoundError:
            return Feeds.open(self.home)  # says whether nothing has landed or the manifest is gone
        with self._lock:
            if self._feeds is None or self._feeds[0] != written:
                self._feeds = (written, Feeds.open(self.home))
            return self._feeds[1]

    def check_state(self) -> None:
        """Checks that landed files and live portraits are whole, at most once in `STATE_SECONDS`. Raises StateError."""
        from features.feeds.landed.manifest import check_whole

        if time.monotonic() >= self._state_checked + STATE_SECONDS:
            check_whole(self.home, self.feeds().manifest)
            self.portraits.check_sample()
            self._state_checked = time.monotonic()

    def today(self) -> date:
        """Returns the operator's day that the live portraits stand for."""
        return self.portraits.pointer().as_of

    def policy(self) -> PolicyBook:
        """Returns the contact policy with everything that feeds and ledger know at this moment.

        Raises:
            NotReadyError: Before the first landing or publish.
        """
        from features.feeds.landed.steady import on_current_feeds
        from serving.outreach.policy.ledger_facts import read_facts
        from serving.outreach.policy.policy import PolicyBook
        from serving.outreach.policy.states import read_states
        from serving.outreach.settings import load_settings as load_outreach

        feeds = self.feeds()
        live = self.portraits.pointer()
        as_of = max(live.as_of, feeds.latest_as_of())
        with self._lock, reading(self.engine) as session:
            key = (feeds, as_of, live)  # classes are read from portraits
            if self._states is None or self._states[0] != key:
                settings = load_outreach()
                states = on_current_feeds(self.home, lambda current: read_states(current, as_of, settings))
                self._states = (key, states, settings)
            state = (*key, *session.execute(_LEDGER_STATE).one())
            if self._policy is None or self._policy[0] != state:
                book = PolicyBook(self._states[2], self._states[1], read_facts(session, as_of), as_of)
                self._policy = (state, book)
            return self._policy[1]


def _writer(home: Home, book: ReasonBook) -> ReasonWriter:
    """Returns the writer of reasons in the operator's currency; before the first landing in the default one."""
    from features.feeds.landed.reading import Feeds

    try:
        operator = Feeds.open(home).operator
    except NotReadyError:
        return ReasonWriter(book)
    return ReasonWriter(book, currency=operator.currency, money_scale=operator.money_scale)


async def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


ContextOf = Annotated[Context, Depends(_context)]
"""The process's resources as a route's argument."""
