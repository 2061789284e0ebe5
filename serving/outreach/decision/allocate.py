"""Who gets a place on the list: attempts per team and skill, one line per person, ties broken on purpose."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from features.kit.arrays import Floats, Rows
from serving.outreach.decision.actions import Option
from serving.outreach.decision.prices import prices_of
from serving.outreach.settings import Capacity

_PRICED = 2
"""From this tier on value decides."""
Rank = tuple[int, int, int, str, str]
Places = dict[tuple[str, str], int]
"""Attempts left per (team, skill)."""


def shared_capacity(capacity: Iterable[Capacity], total: int | None) -> Places:
    """Returns the attempts per team and skill; `total` is shared in the configured proportions, largest rest first.

    Attempts that are not shared, those of messages, stay what they are; a total of 0 leaves nobody any.

    Example: teams of 90 and 60 attempts share a total of 7 as 4 and 3 (4.2 and 2.8).
    """
    teams = list(capacity)
    configured = {(team.team, team.skill): team.attempts for team in teams if team.shared}
    apart = {(team.team, team.skill): 0 if total == 0 else team.attempts for team in teams if not team.shared}
    whole = sum(configured.values())
    if total is None or not whole:
        return configured | apart
    shares = {key: attempts * total / whole for key, attempts in configured.items()}
    places = {key: int(share) for key, share in shares.items()}
    by_rest = sorted(shares, key=lambda key: (places[key] - shares[key], key))
    for key in by_rest[: total - sum(places.values())]:
        places[key] += 1
    return places | apart


@dataclass(frozen=True)
class Held:
    """An unfinished line of an earlier day that wants a place again."""

    line_id: str
    team: str  # who works it
    skill: str  # with which capacity
    rank: Rank  # its place among new options, see `Option.rank`
    next_at: datetime | None = None  # the time of its appointment today, if it has one


def allocate(
    options: Iterable[Option],
    places: Mapping[tuple[str, str], int],
    claim: Callable[[Option], bool],
    held: Iterable[Held] = (),
    new_share: float = 0.0,
) -> tuple[list[Option], list[Held], Counter[str]]:
    """Returns the chosen options in list order, the lines that go on, and how many persons were left out and why.

    Appointments come first. Then lines and options share one order, except that a line leaves `new_share` of its team's
    places to new options of its own tier or a better one, as long as there are any. Duties and service go by rank; care
    and marketing by what an option is worth beyond the price of its team's attempt (`prices.py`).

    A person may have several options, also through several subscriptions; `places` are the attempts left per team and
    skill. `claim` reserves the person of an option: False if somebody else holds the person.
    """
    draft = _Places(options, places, claim, new_share)
    lines = list(held)
    for line in sorted((line for line in lines if line.next_at), key=lambda line: (line.next_at, line.rank)):
        draft.keep(line)
    later: list[Held] = []
    waiting = [line for line in lines if line.next_at is None]
    wanted: list[Option | Held] = [*waiting, *draft.options]
    draft.serve(sorted((one for one in wanted if one.rank[0] < _PRICED), key=lambda one: one.rank), later)
    draft.serve_priced([one for one in wanted if one.rank[0] >= _PRICED], later)
    for line in later:
        draft.keep(line)
    left_out = {"over_capacity": len(draft.waiting - draft.taken - draft.lost), "claimed": len(draft.lost)}
    return draft.chosen, draft.kept, Counter(left_out)


class _Places:
    """The places of one list while they are given away."""

    def __init__(
        self,
        options: Iterable[Option],
        places: Mapping[tuple[str, str], int],
        claim: Callable[[Option], bool],
        new_share: float,
    ) -> None:
        self.options = list(options)
        self.left = Counter(dict(places))
        self.chosen: list[Option] = []
        self.kept: list[Held] = []
        self.taken: set[str] = set()
        self.waiting: set[str] = set()
        self.lost: set[str] = set()
        self._claim = claim
        self._share = {key: int(new_share * count) for key, count in places.items()}
        self._new: Counter[tuple[str, str]] = Counter()
        self._tiers = Counter((option.team, option.skill, option.tier) for option in self.options)

    def serve(self, wanted: Iterable[Option | Held], later: list[Held]) -> None:
        """Gives places in an order; lines that leave theirs to new options are added to `later`."""
        for one in wanted:
            if isinstance(one, Option):
                self.choose(one)
            elif self.is_kept_for_new(one):
                later.append(one)
            else:
                self.keep(one)

    def serve_priced(self, wanted: Sequence[Option | Held], later: list[Held]) -> None:
        """Gives places by what each is worth beyond its team's price, the rest where places are left all the same."""
        teams = {key: number for number, key in enumerate(sorted({(one.team, one.skill) for one in wanted}))}
        team = np.array([teams[one.team, one.skill] for one in wanted], dtype=np.intp)
        worth = np.array([-one.rank[2] for one in wanted], dtype=np.float64)
        beyond = (worth - self._prices(wanted, team, worth, teams)[team]).astype(np.int64)

        def ordered(places: Rows) -> list[Option | Held]:
            ranked = [(-beyond[place], wanted[place].rank, place) for place in places.tolist()]
            return [wanted[place] for *_, place in sorted(ranked)]

        self.serve(ordered(np.flatnonzero(beyond >= 0)), later)
        full = np.array([self.left[key] <= 0 for key in teams], dtype=bool)[team] if teams else beyond < 0
        rest = [wanted[place] for place in np.flatnonzero((beyond < 0) & full).tolist()]
        self.waiting |= {one.person_id for one in rest if isinstance(one, Option)}
        self.serve(ordered(np.flatnonzero((beyond < 0) & ~full)), later)

    def _prices(
        self, wanted: Sequence[Option | Held], team: Rows, worth: Floats, teams: Mapping[tuple[str, str], int]
    ) -> Floats:
        """Returns the price of each team's attempt, whole minor units, among those who are still free."""
        gone = self.taken | self.lost
        names = [f"line {one.line_id}" if isinstance(one, Held) else one.person_id for one in wanted]
        person_of = {name: number for number, name in enumerate(dict.fromkeys(names))}
        best = np.zeros((len(person_of), len(teams)))
        np.maximum.at(best, (np.array([person_of[name] for name in names], dtype=np.intp), team), worth)
        best[[number for name, number in person_of.items() if name in gone]] = 0
        return np.floor(prices_of(best, np.array([max(0, self.left[key]) for key in teams], dtype=np.int64)))

    def keep(self, line: Held) -> None:
        """Gives a line a place if one is left."""
        if self.left[line.team, line.skill] > 0:
            self.left[line.team, line.skill] -= 1
            self.kept.append(line)

    def is_kept_for_new(self, line: Held) -> bool:
        """Returns whether the places that are left are those of new options."""
        team = (line.team, line.skill)
        wanting = sum(self._tiers[*team, tier] for tier in range(line.rank[0] + 1))
        return self.left[team] <= min(self._share.get(team, 0), wanting) - self._new[team]

    def choose(self, option: Option) -> None:
        """Gives an option a place if one is left and its person is free."""
        team, person = (option.team, option.skill), option.person_id
        if person in self.taken or person in self.lost:
            return
        if self.left[team] <= 0:
            self.waiting.add(person)
        elif self._claim(option):
            self.left[team] -= 1
            self._new[team] += 1
            self.taken.add(person)
            self.chosen.append(option)
        else:
            self.lost.add(person)


def in_list_order(
    chosen: Iterable[Option], capacity: Iterable[Capacity], kept: Iterable[Held] = ()
) -> list[Option | Held]:
    """Returns a list's lines as it shows them: each team's together, its appointments by time, then best first."""
    teams = [(team.team, team.skill) for team in capacity]

    def key(line: Option | Held) -> tuple[int, float, Rank]:
        at = line.next_at.timestamp() if isinstance(line, Held) and line.next_at else float("inf")
        place = (line.team, line.skill)
        return (teams.index(place) if place in teams else len(teams), at, line.rank)

    return sorted([*chosen, *kept], key=key)
