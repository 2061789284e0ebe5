"""The live policy equals one made from scratch after whatever the ledger hears, in whichever process."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from threading import Event
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pytest
from sqlalchemy import Engine, delete, select, text, update
from sqlalchemy.orm import Session

from features.feeds.landed.reading import Feeds
from features.feeds.landing.system_rows import land_rows
from features.kit.errors import NotReadyError
from serving.database.migrations.versions import m0005_changes
from serving.database.session import open_database, reading, writing
from serving.database.tables_outreach import ChangeRow, ClaimDayRow, ContactRow, RefusalRow
from serving.outreach.policy import ledger_facts, live
from serving.outreach.policy.kept import delivery, forget_states, kept_states
from serving.outreach.policy.ledger_facts import forget_changes, read_facts
from serving.outreach.policy.live import Basis, LivePolicy
from serving.outreach.policy.policy import PolicyBook
from serving.outreach.policy.states import FeedStates, read_states
from serving.outreach.refusals import CHANNELS, REFUSALS
from serving.outreach.settings import OutreachSettings, load_settings
from tests.serving.outreach.policy.slow_policy import SlowPolicy
from tests.serving.outreach.policy.test_policy import CASES, make_town
from tests.world import AS_OF, Town

STEPS = 30
ACTIONS = ("service_review", "plan_fit_offer", "arrears_reminder", "a_tool_s_own")
FORBIDDEN = ("do_not_contact", "open_ticket", "open_complaint", "wrong_person", "number_invalid", "cool_down", "unreached",
             "declined_recently")  # fmt: skip
POINTER = cast("Any", SimpleNamespace(sequence=1))


def basis_of(town: Town, day: date = AS_OF) -> Basis:
    """Returns what a policy of a town stands on."""
    feeds = Feeds.open(town.home)
    return Basis(delivery(feeds), day, POINTER, feeds)


@dataclass
class World:
    """A town, its ledger and a policy that lives on both; `day` is the as-of date."""

    town: Town
    engine: Engine
    states: dict[date, FeedStates]
    settings: OutreachSettings
    day: date = AS_OF

    def basis(self) -> Basis:
        """Returns what the policy stands on now."""
        return basis_of(self.town, self.day)

    def check(self, book: PolicyBook) -> None:
        """Compares every refusal of every row, and every action's, with the slow policy of this moment."""
        with reading(self.engine) as session:
            facts = read_facts(session, self.day)
        slow = SlowPolicy(self.settings, self.states[self.day], facts)
        for on in (self.day, self.day + timedelta(days=5), date(2026, 6, 19), date(2026, 11, 2)):
            for purpose in self.settings.purposes:
                for channel in CHANNELS:
                    wanted = slow.refusals(purpose, channel, on, at=time(13, 10))
                    got = book.refusals(purpose, channel, on, at=time(13, 10))
                    assert list(got) == list(wanted)
                    for code, flags in wanted.items():
                        assert np.array_equal(got[code], flags), (on, purpose, channel, code)
            for action in ACTIONS[:3]:
                for row in range(len(slow.customer_ids)):
                    assert book.action_codes(row, action, on) == slow.action_codes(row, action, on)


@pytest.fixture(scope="module")
def landed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Town, dict[date, FeedStates]]:
    """The town of the policy's cases with a few people of two subscriptions, landed once; its states on two days."""
    town = make_town(tmp_path_factory.mktemp("live"))
    for number in range(3):
        town.customer(f"C01{number:02d}", person="P0001" if number else "P0019")
    feeds = town.land()
    return town, {day: read_states(feeds, day, load_settings()) for day in (AS_OF, AS_OF + timedelta(days=1))}


@pytest.fixture
def world(landed: tuple[Town, dict[date, FeedStates]]) -> Any:
    """The town with an empty ledger."""
    engine = open_database(landed[0].home)
    with writing(engine) as session:
        for table in (ContactRow, ClaimDayRow, RefusalRow):
            session.execute(delete(table))
    yield World(landed[0], engine, landed[1], load_settings())
    engine.dispose()


def _person(dice: random.Random) -> tuple[str, str]:
    one = dice.choice([*CASES, "C0100", "C0101", "C0102", "C9999"])
    persons = {"C0023": "P0010", "C0100": "P0019", "C0101": "P0001", "C0102": "P0001"}
    return one, persons.get(one, "P" + one[1:])


def _contact(session: Session, dice: random.Random, number: int) -> None:
    one, person = _person(dice)
    day = AS_OF - timedelta(days=dice.randrange(200))
    contact_id = f"K{dice.randrange(1, 9)}" if dice.random() < 0.2 else f"T{number}"  # also ids that the feeds have
    if session.get(ContactRow, contact_id) is None:
        now = datetime(2026, 6, 1, tzinfo=UTC)
        session.add(ContactRow(contact_id=contact_id, customer_id=one, person_id=person, at=now, day=day,
                               action=dice.choice(ACTIONS), reported_at=now))  # fmt: skip


def _claim(session: Session, dice: random.Random, number: int) -> None:
    person = _person(dice)[1]
    for day in range(dice.randrange(1, 4)):
        session.merge(ClaimDayRow(person_id=person, day=AS_OF + timedelta(days=day), line_id=f"L{number}"))


def _forbid(session: Session, dice: random.Random, number: int) -> None:
    one, person = _person(dice)
    code = dice.choice(FORBIDDEN)
    passing = code in ("cool_down", "unreached", "declined_recently")
    session.add(RefusalRow(
        code=code, person_id=person, customer_id=one if dice.random() < 0.4 else None,
        action=dice.choice(ACTIONS[:3]) if code == "declined_recently" else None,
        ticket_id=f"TC001{dice.randrange(2)}" if code.startswith("open_") and dice.random() < 0.5 else None,
        starts_on=AS_OF - timedelta(days=dice.randrange(400)),
        ends_on=AS_OF + timedelta(days=dice.randrange(1, 60)) if passing else None,
        source=f"S{number}", created_at=datetime(2026, 6, 1, tzinfo=UTC),
    ))  # fmt: skip


def _renumber(session: Session, dice: random.Random, number: int) -> None:
    known = session.scalars(select(ContactRow.contact_id)).all()
    if known:
        one, person = _person(dice)
        change = update(ContactRow).where(ContactRow.contact_id == dice.choice(known))
        session.execute(change.values(contact_id=f"R{number}", customer_id=one, person_id=person))


def _take_back(session: Session, dice: random.Random, number: int) -> None:
    table = dice.choice((ContactRow, ClaimDayRow, RefusalRow))
    session.execute(delete(table).where(table.person_id == _person(dice)[1]))


def _erase(session: Session, dice: random.Random, number: int) -> None:
    person = _person(dice)[1]
    for table in (ContactRow, ClaimDayRow, RefusalRow):
        session.execute(delete(table).where(table.person_id == person))
    forget_changes(session, {person})


KINDS: tuple[Callable[[Session, random.Random, int], None], ...] = (
    _contact, _contact, _claim, _forbid, _forbid, _renumber, _take_back, _erase,
)  # fmt: skip


def live_through(world: World, policy: LivePolicy, seed: int) -> int:
    """Changes the ledger at random, several things between two looks, compares after each look; returns the changes."""
    changes = 0
    dice = random.Random(seed)
    other = open_database(world.town.home)  # another process's connections
    for number in range(STEPS):
        with writing(dice.choice((world.engine, other))) as session:
            for part in range(dice.randrange(1, 4)):
                dice.choice(KINDS)(session, dice, 100 * number + part)
                changes += 1
        world.day = AS_OF + timedelta(days=dice.random() < 0.3)
        world.check(policy.current())
    with reading(world.engine) as session:  # what a process finds that starts now
        world.check(PolicyBook(world.settings, world.states[world.day], read_facts(session, world.day), world.day))
    other.dispose()
    return changes


def test_the_live_policy_equals_the_slow_one_whatever_the_ledger_hears(world: World) -> None:
    """Contacts, claims, opt-outs, corrections, erasures and days in any order, by two writers: every code of every row."""
    policy = LivePolicy(world.town.home, world.engine, world.basis)
    try:
        changes = live_through(world, policy, seed=3)
    finally:
        policy.stop()
    assert changes > STEPS


@pytest.mark.parametrize(
    "damage", ["an increment is dropped", "the database tells nothing", "a person's rows are missed"]
)
def test_a_dropped_increment_is_found(world: World, monkeypatch: pytest.MonkeyPatch, damage: str) -> None:
    """Canary: where a change is not asked for, not written down, or applied to too few rows, the comparison fails."""
    if damage == "an increment is dropped":
        asked = ledger_facts.changed_since
        monkeypatch.setattr(live, "changed_since", lambda session, number: (asked(session, number) or [])[1:])
    elif damage == "a person's rows are missed":
        monkeypatch.setattr(PolicyBook, "concerned", lambda _, names: sorted(names)[:1])
    else:
        # A trigger that is gone would stay gone in the other tests' database; its rows can be taken away instead.
        monkeypatch.setattr(live, "newest_change", lambda _: 0)
    policy = LivePolicy(world.town.home, world.engine, world.basis)
    try:
        with pytest.raises(AssertionError):
            live_through(world, policy, seed=3)
    finally:
        policy.stop()


def test_an_opt_out_by_feed_is_heeded_and_a_rollback_takes_it_back(landed: Any, tmp_path: Any) -> None:
    """A landed withdrawal refuses at once; with the feeds of before restored the answer is that of before."""
    shutil.copytree(landed[0].root, tmp_path / "town")
    town = replace(landed[0], root=tmp_path / "town")
    shutil.copytree(town.home.root, tmp_path / "before")
    engine = open_database(town.home)
    policy = LivePolicy(town.home, engine, lambda: basis_of(town))

    def codes() -> tuple[str, ...]:
        (verdict,) = policy.current(patience=None).verdicts(["C0028"], "marketing", "call", AS_OF)
        assert verdict is not None
        return verdict.codes

    try:
        assert codes() == ()
        town.consent("C0028", "marketing", granted=False, at="2026-05-20 10:00:00")
        town.land()
        assert codes() == ("consent_withdrawn",)
        shutil.rmtree(town.home.feeds)
        shutil.copytree(tmp_path / "before" / "feeds", town.home.feeds)
        assert codes() == ()
    finally:
        policy.stop()
        engine.dispose()


def test_a_report_that_lands_renews_nothing_unless_it_was_known_on_the_day(landed: Any, tmp_path: Any) -> None:
    """An outcome of today leaves the policy as it is; one that was known yesterday and lands late is heeded on the next look."""
    shutil.copytree(landed[0].root, tmp_path / "town")
    town = replace(landed[0], root=tmp_path / "town")
    engine = open_database(town.home)
    feeds: dict[str, Any] = {"": basis_of(town)}
    policy = LivePolicy(town.home, engine, lambda: feeds[""])

    def report(contact_id: str, known: str) -> tuple[str, ...]:
        said = {"customer_id": "C0028", "contact_id": contact_id, "outcome": "never_again",
                "event_at": datetime.fromisoformat(known), "known_at": datetime.fromisoformat(known)}  # fmt: skip
        land_rows(town.home, "outcomes", pa.Table.from_pylist([said]), arrived_at=datetime(2026, 6, 2, tzinfo=UTC))
        feeds[""] = basis_of(town)
        policy.look()
        return policy.current(patience=None).verdicts(["C0028"], "marketing", "call", AS_OF)[0].codes

    try:
        before = policy.current(patience=None)
        assert report("today", "2026-06-01 10:00:00") == ()
        assert policy.current() is before
        assert report("yesterday", "2026-05-31 10:00:00") == ("do_not_contact",)
    finally:
        policy.stop()
        engine.dispose()


def test_kept_states_equal_what_the_feeds_say(landed: Any) -> None:
    """A copy is mapped only where every byte is as written, and holds what was read; a damaged one is read anew."""
    town, states = landed
    forget_states(town.home)
    feeds, settings = Feeds.open(town.home), load_settings()
    for _ in range(2):
        found = kept_states(feeds, AS_OF, settings)[1]
        for name in ("states", "contacts", "declines"):
            assert getattr(found, name).equals(getattr(states[AS_OF], name))
    (copy,) = (town.home.personal / "policy").glob("*/states.arrow")
    assert copy.stat().st_mode & 0o777 == 0o600
    content = copy.read_bytes()
    copy.write_bytes(content.replace(b"C0001", b"C0002"))
    assert kept_states(feeds, AS_OF, settings)[1].states.equals(states[AS_OF].states)


def test_a_policy_that_is_not_made_in_time_is_refused(world: World) -> None:
    """While everybody's states are being read a request is refused with a remedy, and never gets the old policy."""
    done = Event()

    def slowly(_: Feeds, day: date, __: OutreachSettings) -> tuple[str, FeedStates]:
        if day > AS_OF:
            done.wait()
        return "a name", world.states[day]

    policy = LivePolicy(world.town.home, world.engine, world.basis, slowly)
    policy.current(patience=None)
    world.day += timedelta(days=1)
    try:
        with pytest.raises(NotReadyError, match="being renewed"):
            policy.current(patience=0.01)
        done.set()
        assert policy.current(patience=None).as_of == world.day
    finally:
        done.set()
        policy.stop()


def test_changes_keep_one_row_a_name_and_never_go_back(world: World) -> None:
    """However much happens to a person there is one row; erasing its names leaves no trace, and the number grows."""
    with writing(world.engine) as session:
        for number in range(3):
            _contact(session, random.Random(1), number)
        session.flush()
        (name,) = {row.person_id for row in session.scalars(select(ContactRow))}
        before = session.scalars(select(ChangeRow.number).where(ChangeRow.name == name)).one()
        forget_changes(session, {name})
        assert session.scalars(select(ChangeRow.name).where(ChangeRow.name == name)).first() is None
        assert session.execute(text("SELECT max(number) FROM outreach_changes")).scalar_one() > before


def test_changes_are_numbered_under_the_lock_of_the_triggers() -> None:
    """The lock stands twice, for a migration never changes: in PostgreSQL both number changes one after the other."""
    assert m0005_changes._LOCK == ledger_facts.CHANGES_LOCK


def test_every_code_that_a_purpose_heeds_is_compared(settings: OutreachSettings) -> None:
    """The comparison leaves no code out: what purposes heed are refusals that the table names."""
    heeded = {code for rule in settings.purposes.values() for code in rule.refusals}
    assert heeded <= set(REFUSALS)
    assert {"cap_reached", "cool_down", "unreached", "claimed", "do_not_contact", "control_group"} <= heeded
