"""The contact policy as a serving process keeps it: opened before the first request, brought up to date at each.

What the ledger hears (a contact, an opt-out, a list's claims), from this process or another, is asked for by the names
of those it is about. What lands in the feeds, a new day and other portraits change everybody: the policy is then made
anew in a thread of its own. A request that comes meanwhile waits for it, and is refused after `PATIENCE_SECONDS`, or
at once where another waits already: waiting ones hold places in which others could be answered. An answer by the policy
of before might name somebody who has just opted out.

Our own reports land in the feeds moments after the ledger has them. They change nothing that was known on the day; the
watching thread makes sure of that and makes the policy anew where one of them does, without anybody waiting.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass, field, replace
from datetime import date
from typing import TYPE_CHECKING

from sqlalchemy import Engine

from features.kit.errors import NotReadyError
from features.kit.home import Home
from features.kit.log import get_logger
from serving.database.session import reading
from serving.outreach.policy.calendar import is_festival
from serving.outreach.policy.kept import kept_states, origin
from serving.outreach.policy.ledger_facts import LedgerFacts, changed_since, newest_change, read_facts
from serving.outreach.policy.policy import PolicyBook
from serving.outreach.settings import OutreachSettings, load_settings

if TYPE_CHECKING:
    from features.feeds.landed.reading import Feeds
    from features.store.online.pointer import Pointer
    from serving.outreach.policy.states import FeedStates

PATIENCE_SECONDS = 5.0
"""How long a request waits for a policy that is being made anew."""
WATCH_SECONDS = 1.0
"""How often a process looks whether feeds or portraits have changed, whether or not anybody asks."""


StatesOf = Callable[["Feeds", date, OutreachSettings], "tuple[str, FeedStates]"]


@dataclass(frozen=True)
class Basis:
    """What a policy stands on: what was delivered, the day, and the portraits, from which classes are read."""

    delivery: str
    as_of: date
    live: Pointer
    feeds: Feeds = field(compare=False)


@dataclass(frozen=True)
class _State:
    basis: Basis
    settings: OutreachSettings
    origin: str
    states: FeedStates
    number: int
    book: PolicyBook


class LivePolicy:
    """The contact policy of one process. Thread-safe.

    Args:
        home: The state.
        engine: The operational database.
        basis: Returns what the policy has to stand on at this moment. Raises NotReadyError.
        states: Returns what feeds say of everybody on a day, and what that came from.
    """

    def __init__(self, home: Home, engine: Engine, basis: Callable[[], Basis], states: StatesOf | None = None) -> None:
        self._home, self._engine, self._basis = home, engine, basis
        self._states_of = states or kept_states
        self._state: _State | None = None
        self._making: tuple[Basis, Future[_State]] | None = None
        self._lock = threading.Lock()
        self._place_to_wait = threading.Semaphore()
        self._maker = ThreadPoolExecutor(1, thread_name_prefix="policy")
        self._stopped = threading.Event()
        self._watcher: threading.Thread | None = None
        self._looked_at: Feeds | None = None

    def current(self, patience: float | None = PATIENCE_SECONDS) -> PolicyBook:
        """Returns the policy with everything that feeds and ledger know at this moment.

        Args:
            patience: Seconds to wait for a policy that is being made anew; None waits for as long as it takes.

        Raises:
            NotReadyError: Before the first landing or publish, or if the policy is not made in time.
        """
        until = None if patience is None else time.monotonic() + patience
        while True:
            made = self._on(self._basis(), until)
            with self._lock, reading(self._engine) as session:
                state = self._state if self._state is not None and self._state.basis == made.basis else made
                number = newest_change(session)
                names = [] if number == state.number else changed_since(session, state.number)
                if names is not None:
                    if names:
                        concerned = state.book.concerned(names)
                        facts = read_facts(session, state.basis.as_of, concerned)
                        state = replace(state, book=state.book.renewed(names, facts))
                    self._state = replace(state, number=number)
                    return self._state.book
                self._state, self._making = None, None  # it may be about anybody

    def watch(self) -> None:
        """Makes the policy anew as soon as feeds or portraits change, in a thread of its own, until `stop`."""
        self._watcher = threading.Thread(target=self._watch, name="policy-watch", daemon=True)
        self._watcher.start()

    def stop(self) -> None:
        """Ends the watching, and waits for a policy that is being made."""
        self._stopped.set()
        if self._watcher is not None:
            self._watcher.join()
        self._maker.shutdown()

    def _watch(self) -> None:
        while not self._stopped.wait(WATCH_SECONDS):
            try:
                self.look()
            except NotReadyError:
                continue
            except Exception as error:  # noqa: BLE001 - whatever happened, the next request says it
                get_logger().error("policy_watch_failed", error_kind=type(error).__name__)

    def look(self) -> None:
        """Begins to make the policy anew where what it stands on changed; looks at our own reports that landed."""
        basis = self._basis()
        state = self._start(basis)
        if isinstance(state, _State) and basis.feeds is not self._looked_at:
            if origin(basis.feeds, basis.as_of, state.settings) != state.origin:
                made = self._maker.submit(self._make, basis).result()
                with self._lock:
                    self._state = made
            self._looked_at = basis.feeds  # last: a look that failed is tried again

    def _on(self, basis: Basis, until: float | None) -> _State:
        """Returns the policy on a basis, made in the maker's thread if it is another than before."""
        found = self._start(basis)
        if isinstance(found, _State):
            return found
        if found.done() or until is None:
            return found.result()
        if not self._place_to_wait.acquire(blocking=False):
            raise _renewing()
        try:
            return found.result(max(0.0, until - time.monotonic()))
        except FutureTimeoutError:
            raise _renewing() from None
        finally:
            self._place_to_wait.release()

    def _start(self, basis: Basis) -> _State | Future[_State]:
        with self._lock:
            if self._state is not None and self._state.basis == basis:
                return self._state
            if self._making is None or self._making[0] != basis or self._has_failed(self._making[1]):
                self._making = (basis, self._maker.submit(self._make, basis))
            return self._making[1]

    @staticmethod
    def _has_failed(making: Future[_State]) -> bool:
        return making.done() and (making.cancelled() or making.exception() is not None)

    def _make(self, basis: Basis) -> _State:
        from features.feeds.landed.steady import on_current_feeds

        settings = load_settings()
        before = self._state
        if before is not None and before.basis == basis and before.basis.feeds is basis.feeds:
            name, states = before.origin, before.states
        else:
            name, states = on_current_feeds(self._home, lambda feeds: self._states_of(feeds, basis.as_of, settings))
        with reading(self._engine) as session:
            number = newest_change(session)
            facts = read_facts(session, basis.as_of)
        book = PolicyBook(settings, states, facts, basis.as_of)
        book.facts = LedgerFacts()  # a list looks into it; here it would only take memory
        is_festival(book.settings.policy.holidays, basis.as_of)  # so that no request has to load the calendar
        return _State(basis, settings, name, states, number, book)


def _renewing() -> NotReadyError:
    return NotReadyError("the contact policy is being renewed", remedy="send the same again")
