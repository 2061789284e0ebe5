"""What one serving process holds: the home, its database, the models, the live portraits and the contact policy.

Nothing is opened at import time. Feeds, policy and product fit are read again as soon as they have changed.
"""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass, field
from datetime import date
from math import inf
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from features.kit.errors import NotReadyError
from features.kit.home import Home
from features.store.online.online import OnlinePortraits
from serving.api.auth import KeyRing
from serving.api.traffic import Figures
from serving.database.session import in_request, open_database
from serving.scoring.batch.lookup import Lookups
from serving.scoring.models import Models
from serving.scoring.ranks import RankTables
from serving.scoring.reasons.book import ReasonBook, load_book
from serving.scoring.reasons.writing import ReasonWriter
from serving.scoring.settings import load_settings

if TYPE_CHECKING:
    from features.feeds.landed.reading import Feeds
    from serving.outreach.policy.live import Basis
    from serving.outreach.policy.policy import PolicyBook

STATE_SECONDS = 10.0
"""How often readiness reads the footers of the landed files and a sample of the live portraits, at most."""


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
    _delivered: tuple[Feeds, str] | None = None
    _state_checked: float = -inf

    def __post_init__(self) -> None:
        """Gives the policy what it stands on."""
        from serving.outreach.policy.live import LivePolicy

        self._policy = LivePolicy(self.home, self.engine, self._basis)

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
        context = cls(home, engine, KeyRing(engine), figures, models, *batches, portraits, book, writer)
        with contextlib.suppress(Exception):  # nothing landed or published yet, or damaged: the first request says it
            context._policy.current(patience=None)
        return context

    def close(self) -> None:
        """Gives everything back."""
        self.models.stop()
        self._policy.stop()
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
            NotReadyError: Before the first landing or publish, or while it is being renewed for longer than a request
                may wait.
        """
        return self._policy.current()

    def watch(self, seconds: float) -> None:
        """Follows champions, feeds and portraits in threads of their own, until `close`."""
        self.models.watch(seconds)
        self._policy.watch()

    def _basis(self) -> Basis:
        from serving.outreach.policy.kept import delivery
        from serving.outreach.policy.live import Basis

        feeds, live = self.feeds(), self.portraits.pointer()
        with self._lock:
            if self._delivered is None or self._delivered[0] is not feeds:
                self._delivered = (feeds, delivery(feeds))
            return Basis(self._delivered[1], max(live.as_of, feeds.latest_as_of()), live, feeds)


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
