"""One pull of a list: candidates -> policy -> value -> claims -> files, each list claimed once and released once.

    request --key--> known? then the same list again
    policy, portraits, scores, fit --> options                        (outside any transaction)
    [ carry over what is unfinished; claim persons; add lines ]       one writing transaction
    [ check suppressions again; write the files; mark released ]      one writing transaction

A run killed between the two leaves a claimed list; the same request completes it. Nobody is lost, nobody is doubled.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

import orjson
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from features.feeds.landed.manifest import Operator
from features.feeds.landed.steady import on_current_feeds
from features.kit.clock import instant_of, utc_now
from features.kit.errors import ConflictError, NotFoundError
from features.kit.home import Home
from features.kit.progress import SILENT, Progress
from features.kit.runs import hit
from serving.database.session import opened, reading, writing
from serving.database.tables_outreach import OutreachListRow
from serving.outreach.decision.actions import Chooser, Offered
from serving.outreach.decision.allocate import Places, allocate, in_list_order, shared_capacity
from serving.outreach.decision.candidates import Sources, read_candidates
from serving.outreach.decision.catalogue import Pack, pack_on_sale
from serving.outreach.export.content import ContentWriter
from serving.outreach.export.wording import Wording
from serving.outreach.lists.ledger import (
    CLAIMED,
    ListLedger,
    expire_lines,
    listed_on,
    lock_ledger,
    patiently,
    read_facts,
    unfinished_lines,
    withdraw,
)
from serving.outreach.lists.release import Released, release, stopped_by
from serving.outreach.policy.policy import LedgerFacts, PolicyBook
from serving.outreach.policy.states import FeedStates, read_states
from serving.outreach.settings import OutreachSettings, load_settings
from serving.scoring.reasons.reasons import ReasonBook, load_book


@dataclass(frozen=True)
class ListRequest:
    """What a list is asked for; the same request with the same key is the same list.

    Attributes:
        as_of: The day of the list.
        capacity: Attempts to share among the teams; None means as configured.
        locale: zh or en.
        province: Only this province.
        city: Only this city.
    """

    as_of: date
    capacity: int | None = None
    locale: str = "zh"
    province: str | None = None
    city: str | None = None

    def body(self) -> bytes:
        """Returns the canonical bytes of the request."""
        return orjson.dumps(self.__dict__, option=orjson.OPT_SORT_KEYS)

    def digest(self) -> str:
        """Returns the hash of the request."""
        return hashlib.sha256(self.body()).hexdigest()


@dataclass(frozen=True)
class _Prepared:
    settings: OutreachSettings
    policy: PolicyBook
    facts: LedgerFacts
    offered: Offered
    content: ContentWriter
    sources: Sources
    time_zone: str


def draw_list(
    home: Home,
    request: ListRequest,
    *,
    key: str | None = None,
    owner: str = "cli",
    progress: Progress = SILENT,
    threads: int = 1,
) -> Released:
    """Returns the list of a request: claimed now, completed after a kill, or the same again for the same key.

    Args:
        home: The state.
        request: What is asked for.
        key: The idempotency key; None means one key per request, so that a repeated command repeats its list.
        owner: Whose key it is.
        progress: Shows the steps.
        threads: DuckDB threads.

    Raises:
        ConflictError: If the key was used with another request.
        NotFoundError: If nobody lives in the place asked for.
        NotReadyError: If feeds, portraits or scores of the date are missing.
    """
    key = key or f"request:{request.digest()[:16]}"
    with opened(home) as engine:
        return _draw(home, engine, request, owner, key, progress, threads)


def _draw(
    home: Home, engine: Engine, request: ListRequest, owner: str, key: str, progress: Progress, threads: int
) -> Released:
    with reading(engine) as session:
        known = _known(session, owner, key, request)
    if known is not None:
        return release(home, engine, known, load_book(), is_replay=True)
    book = load_book()
    with progress.step("outreach: policy and candidates"):
        prepared = _prepare(home, request, engine, book, threads)
    hit("outreach.before_claims")
    with progress.step("outreach: claims"):
        list_id = patiently(lambda: _claim_once(engine, prepared, request, owner, key))
    hit("outreach.after_claims")
    with progress.step("outreach: files"):
        return release(home, engine, list_id, book, is_replay=False)


def _claim_once(engine: Engine, prepared: _Prepared, request: ListRequest, owner: str, key: str) -> str:
    with writing(engine) as session:
        lock_ledger(session)
        list_id = _known(session, owner, key, request)
        if list_id is None:
            list_id = _claim(session, prepared, request, owner, key)
            hit("outreach.in_claims")
    return list_id


def _known(session: Session, owner: str, key: str, request: ListRequest) -> str | None:
    row = session.scalars(select(OutreachListRow).filter_by(owner=owner, key=key)).first()
    if row is None:
        return None
    if row.request_hash != request.digest():
        raise ConflictError(f"the key '{key}' was used with another request", remedy="use a new key")
    return row.list_id


def _prepare(home: Home, request: ListRequest, engine: Engine, book: ReasonBook, threads: int) -> _Prepared:
    settings = load_settings()
    with reading(engine) as session:
        facts = read_facts(session, request.as_of)
    operator, states, pack = read_operator(home, request.as_of, settings, threads)
    policy = PolicyBook(settings, states, facts, request.as_of)
    for name, wanted in (("province", request.province), ("city", request.city)):
        if wanted is not None and wanted not in policy.table.column(name).to_pylist():
            raise NotFoundError("no customers in this place", remedy=f"name a {name} as the feed `customers` writes it")
    candidates, sources = read_candidates(home, request.as_of, settings)
    if request.province is not None:
        candidates = [one for one in candidates if one.card.get("province") == request.province]
    if request.city is not None:
        candidates = [one for one in candidates if one.card.get("city") == request.city]
    chooser = Chooser(settings, book, policy, request.as_of, money_scale=operator.money_scale)
    offered = chooser.offer(candidates)
    wording = Wording(
        settings, book, currency=operator.currency, money_scale=operator.money_scale, operator=operator.name
    )
    provinces = dict(zip(policy.customer_ids, policy.provinces, strict=True))
    content = ContentWriter(settings, book, wording, provinces=provinces, pack=pack)
    return _Prepared(settings, policy, facts, offered, content, sources, operator.time_zone)


def read_operator(
    home: Home, as_of: date, settings: OutreachSettings, threads: int
) -> tuple[Operator, FeedStates, Pack | None]:
    """Returns who the operator is, what the feeds say about contacts on a date, and the data pack on sale then."""
    return on_current_feeds(
        home,
        lambda feeds: (
            feeds.operator,
            read_states(feeds, as_of, settings, threads=threads),
            pack_on_sale(feeds, as_of),
        ),
    )


def _claim(session: Session, prepared: _Prepared, request: ListRequest, owner: str, key: str) -> str:
    """Carries over, claims and adds the lines of a new list in the caller's transaction; returns its id."""
    settings, as_of = prepared.settings, request.as_of
    facts = read_facts(session, as_of)
    touched = _touched(prepared.facts, facts)
    number = 1 + (session.scalar(select(func.count()).where(OutreachListRow.as_of == as_of)) or 0)
    list_id = f"L{as_of:%y%m%d}-{number:02d}"
    row = OutreachListRow(
        list_id=list_id,
        as_of=as_of,
        owner=owner,
        key=key,
        request_hash=request.digest(),
        locale=request.locale,
        status=CLAIMED,
        summary="{}",
        created_at=utc_now(),
    )
    session.add(row)
    session.flush()
    expired = expire_lines(session, as_of)
    ledger = ListLedger(session, list_id, as_of, settings.claim.days, facts.claimed_until)
    places = _places(session, settings, request)
    carried, withdrawn = _carry_over(session, prepared, request, ledger, places, touched)
    options = [one for one in prepared.offered.options if one.person_id not in touched]
    chosen, left_out = allocate(options, places, ledger.claim)
    for option in in_list_order(chosen, settings.capacity):
        purpose = settings.actions[option.action].purpose
        ledger.add_line(option, prepared.content.write(option, ledger.valid_until), purpose)
    suppressed = prepared.offered.suppressed + Counter({"claimed": left_out["claimed"]})
    summary = {
        "new": len(chosen),
        "carried": carried,
        "withdrawn": dict(sorted(withdrawn.items())),
        "expired": expired,
        "suppressed": dict(sorted(suppressed.items())),
        "not_evaluable": sorted(prepared.policy.unchecked),
        "over_capacity": left_out["over_capacity"],
        "without_value": prepared.offered.without_value,
        "models": prepared.sources.models,
        "unscored": list(prepared.sources.unscored),
        "portraits": prepared.sources.portraits,
        "has_fit": prepared.sources.has_fit,
        "policy": settings.content_hash(),
        "assumed": True,
    }
    row.summary = orjson.dumps(summary, option=orjson.OPT_SORT_KEYS).decode()
    return list_id


def _places(session: Session, settings: OutreachSettings, request: ListRequest) -> Places:
    """Returns the attempts of a request, at most what the earlier lists of its day leave of the team's capacity."""
    wanted = shared_capacity(settings.capacity, request.capacity)
    listed = listed_on(session, request.as_of)
    left = {
        (one.team, one.skill): max(one.attempts, wanted[one.team, one.skill]) - listed.get((one.team, one.skill), 0)
        for one in settings.capacity
    }
    return {key: max(0, min(attempts, left[key])) for key, attempts in wanted.items()}


def _touched(before: LedgerFacts, now: LedgerFacts) -> set[str]:
    """Returns the persons whom the ledger has heard of since the options were found; they wait for the next list."""
    refused = set(now.refusals) - set(before.refusals)
    met = set(now.contacts) - set(before.contacts)
    return {one.person_id for one in refused if one.person_id} | {person for person, *_ in met}


def _carry_over(
    session: Session,
    prepared: _Prepared,
    request: ListRequest,
    ledger: ListLedger,
    places: Places,
    touched: Iterable[str],
) -> tuple[int, Counter[str]]:
    """Checks unfinished lines again: what is stopped is withdrawn, the rest goes on this list while attempts last."""
    policy, as_of = prepared.policy, request.as_of
    stopped: Counter[str] = Counter()
    carried = 0
    lines = unfinished_lines(session, as_of, instant_of(as_of + timedelta(days=1), prepared.time_zone))
    for line in sorted(lines, key=lambda line: (line.next_at is None, line.drawn_on, line.line_id)):
        if request.province not in (None, line.province) or request.city not in (None, line.city):
            continue
        code = stopped_by(policy, line, as_of)
        if code is not None:
            withdraw(session, [(line, code)])
            stopped[code] += 1
        elif line.person_id not in touched and places.get((line.team, line.skill), 0) > 0:
            places[line.team, line.skill] -= 1
            ledger.carry(line)
            carried += 1
    return carried, stopped
