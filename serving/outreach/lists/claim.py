"""The claim of a list: persons reserved, lines added, all in one writing transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, timedelta

import orjson
from sqlalchemy import Engine, delete, func, select
from sqlalchemy.orm import Session

from features.kit.clock import utc_now
from features.kit.errors import ConflictError
from features.kit.runs import hit
from serving.database.base import insert_missing
from serving.database.session import reading, writing
from serving.database.tables_outreach import OPEN, ClaimDayRow, ListLineRow, OutreachLineRow, OutreachListRow
from serving.outreach.decision.actions import Decision, Option, Started
from serving.outreach.decision.allocate import Held, Places, allocate, in_list_order, shared_capacity
from serving.outreach.export.content import Content, ContentWriter
from serving.outreach.lists.ledger import (
    CLAIMED,
    SALTS,
    content_of,
    expire_lines,
    line_id_of,
    listed_on,
    lock_ledger,
    patiently,
    unfinished_lines,
    withdraw,
)
from serving.outreach.lists.recheck import stopped_by
from serving.outreach.lists.request import ListRequest
from serving.outreach.policy.ledger_facts import LedgerFacts, read_facts
from serving.outreach.policy.policy import PolicyBook
from serving.outreach.refusals import RefusalCode
from serving.outreach.settings import OutreachSettings


@dataclass(frozen=True)
class Claim:
    """A request under a key: the same claim is the same list."""

    request: ListRequest  # what is asked for
    owner: str  # whose key it is
    key: str


def find_list(engine: Engine, claim: Claim) -> str | None:
    """Returns the id of the list that a claim has drawn before, or None. Raises ConflictError."""
    with reading(engine) as session:
        return _find(session, claim)


def claim_list(
    engine: Engine,
    claim: Claim,
    settings: OutreachSettings,
    policy: PolicyBook,
    decision: Decision,
    content: ContentWriter,
) -> str:
    """Claims what was decided and returns the list's id; one that somebody else claimed meanwhile is taken over.

    Raises:
        ConflictError: If the key was used with another request.
        NotReadyError: If the ledger stays busy.
    """

    def once() -> str:
        with writing(engine) as session:
            lock_ledger(session)
            list_id = _find(session, claim)
            if list_id is None:
                list_id = _claim(session, claim, settings, policy, decision, content)
                hit("outreach.in_claims")
        return list_id

    return patiently(once)


def _find(session: Session, claim: Claim) -> str | None:
    row = session.scalars(select(OutreachListRow).filter_by(owner=claim.owner, key=claim.key)).first()
    if row is None:
        return None
    if row.request_hash != claim.request.digest():
        raise ConflictError(f"the key '{claim.key}' was used with another request", remedy="use a new key")
    return row.list_id


def _claim(
    session: Session,
    claim: Claim,
    settings: OutreachSettings,
    policy: PolicyBook,
    decision: Decision,
    content: ContentWriter,
) -> str:
    """Carries over, claims and adds the lines of a new list in the caller's transaction; returns its id."""
    request, as_of = claim.request, claim.request.as_of
    facts = read_facts(session, as_of)
    touched = _touched(policy.facts, facts)
    number = 1 + (session.scalar(select(func.count()).where(OutreachListRow.as_of == as_of)) or 0)
    list_id = f"L{as_of:%y%m%d}-{number:02d}"
    row = OutreachListRow(
        list_id=list_id,
        as_of=as_of,
        owner=claim.owner,
        key=claim.key,
        request_hash=request.digest(),
        locale=request.locale,
        status=CLAIMED,
        summary="{}",
        created_at=utc_now(),
    )
    session.add(row)
    session.flush()
    expired = expire_lines(session, as_of)
    new_list = _NewList(session, list_id, as_of, settings.claim.days, facts.claimed_until)
    places = _places(session, settings, request)
    unfinished, held, withdrawn = _carry_over(session, policy, request, decision, content, touched)
    options = [option for option in decision.options if option.person_id not in touched]
    chosen, kept, left_out = allocate(options, places, new_list.claim, held, settings.claim.new_share)
    for line in in_list_order(chosen, settings.capacity, kept):
        if isinstance(line, Held):
            new_list.carry(unfinished[line.line_id])
        else:
            purpose = settings.actions[line.action].purpose
            new_list.add_line(line, content.write(line, new_list.valid_until), purpose)
    suppressed = decision.suppressed + Counter({"claimed": left_out["claimed"]})
    summary = {
        "new": len(chosen),
        "carried": len(kept),
        "postponed": len(held) - len(kept),
        "withdrawn": dict(sorted(withdrawn.items())),
        "expired": expired,
        "suppressed": dict(sorted(suppressed.items())),
        "not_evaluable": sorted(policy.unchecked),
        "over_capacity": left_out["over_capacity"],
        "without_value": decision.without_value,
        "models": decision.sources.models,
        "unscored": list(decision.sources.unscored),
        "portraits": decision.sources.portraits,
        "basis": decision.sources.basis,
        "has_fit": decision.sources.has_fit,
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
    policy: PolicyBook,
    request: ListRequest,
    decision: Decision,
    content: ContentWriter,
    touched: Collection[str],
) -> tuple[dict[str, OutreachLineRow], list[Held], Counter[str]]:
    """Checks unfinished lines again: what is stopped is withdrawn, what goes on is written anew from today's facts.

    A line whose fact holds no longer is withdrawn as `no_longer_true`, unless a time was promised to the customer.
    """
    stopped: Counter[str] = Counter()
    unfinished: dict[str, OutreachLineRow] = {}
    held: list[Held] = []
    for line in unfinished_lines(session, request.as_of, policy.operator.time_zone):
        if request.province not in (None, line.province) or request.city not in (None, line.city):
            continue
        option = decision.again.get(about(line))
        code = stopped_by(policy, line, request.as_of)
        if code is None and not is_still_true(line, decision):
            code = RefusalCode.NO_LONGER_TRUE.value
        if code is not None:
            withdraw(session, [(line, code)])
            stopped[code] += 1
        elif line.person_id not in touched:
            unfinished[line.line_id] = line
            held.append(_refreshed(line, option, content))
    return unfinished, held, stopped


def about(line: OutreachLineRow) -> Started:
    """Returns what an unfinished line is about."""
    return line.customer_id, line.action, line.channel


def is_still_true(line: OutreachLineRow, decision: Decision) -> bool:
    """Returns whether a line's fact holds today or cannot be asked for, or a time was promised to the customer."""
    return line.next_at is not None or decision.again.get(about(line), ...) is not None


def held_of(line: OutreachLineRow, option: Option | None) -> Held:
    """Returns a line's claim to a place, as what it is today, or was when it was drawn."""
    if option is not None:
        return Held(line.line_id, option.team, option.skill, option.rank, line.next_at)
    known = content_of(line)
    rank = (int(known.get("tier", 2)), 0, -int(known.get("value", 0)), line.customer_id, line.action)
    return Held(line.line_id, line.team, line.skill, rank, line.next_at)


def _refreshed(line: OutreachLineRow, option: Option | None, content: ContentWriter) -> Held:
    """Returns a line's claim to a place; its content is what today's facts say, if they say anything of it."""
    if option is not None:
        line.team, line.skill = option.team, option.skill
        line.content = orjson.dumps(content.write(option, line.valid_until), option=orjson.OPT_SORT_KEYS).decode()
    return held_of(line, option)


class _NewList:
    """The writing side of one list, inside one transaction of `serving.database.session.writing`."""

    def __init__(
        self, session: Session, list_id: str, as_of: date, window_days: int, claimed: Collection[str] = ()
    ) -> None:
        self._session = session
        self._claimed = claimed
        self._list_id = list_id
        self._as_of = as_of
        self._days = [as_of + timedelta(days=k) for k in range(window_days)]
        self._now = utc_now()
        self._position = 0
        self.line_ids: dict[str, str] = {}

    @property
    def valid_until(self) -> date:
        """Returns the last day of a new line."""
        return self._days[-1]

    def claim(self, option: Option) -> bool:
        """Reserves the person for every day of the window; False, and nothing kept, if any day is taken."""
        if option.person_id in self._claimed:
            return False
        for salt in range(SALTS):
            line_id = line_id_of(option.person_id, self._as_of, salt)
            if self._session.get(OutreachLineRow, line_id) is None:
                break
        rows = [{"person_id": option.person_id, "day": day, "line_id": line_id} for day in self._days]
        insert_missing(self._session, ClaimDayRow, rows)
        mine = select(func.count()).where(ClaimDayRow.line_id == line_id)
        if self._session.scalar(mine) != len(rows):
            self._session.execute(delete(ClaimDayRow).where(ClaimDayRow.line_id == line_id))
            return False
        self.line_ids[option.person_id] = line_id
        return True

    def add_line(self, option: Option, content: Content, purpose: str) -> str:
        """Adds a claimed option as a new line at the end of the list and returns its id."""
        line_id = self.line_ids[option.person_id]
        card = option.candidate.card
        self._session.add(
            OutreachLineRow(
                line_id=line_id,
                person_id=option.person_id,
                customer_id=option.candidate.customer_id,
                province=card.get("province"),
                city=card.get("city"),
                action=option.action,
                purpose=purpose,
                channel=option.channel,
                team=option.team,
                skill=option.skill,
                drawn_on=self._as_of,
                valid_until=self.valid_until,
                status=OPEN,
                attempts=0,
                content=orjson.dumps(content, option=orjson.OPT_SORT_KEYS).decode(),
                created_at=self._now,
            )
        )
        self._session.flush()
        self._put(line_id, is_carried=False)
        return line_id

    def carry(self, line: OutreachLineRow) -> None:
        """Puts an unfinished line on this list as carried over."""
        self._put(line.line_id, is_carried=True)

    def _put(self, line_id: str, *, is_carried: bool) -> None:
        self._position += 1
        self._session.add(
            ListLineRow(
                list_id=self._list_id,
                line_id=line_id,
                day=self._as_of,
                position=self._position,
                is_carried=is_carried,
            )
        )
