"""Who gets a place on the list: attempts per team and skill, one line per person, ties broken on purpose."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from serving.outreach.decision.actions import Option
from serving.outreach.settings import Capacity

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


def allocate(
    options: Iterable[Option], places: Mapping[tuple[str, str], int], claim: Callable[[Option], bool]
) -> tuple[list[Option], Counter[str]]:
    """Returns the chosen options in list order, and how many persons were left out and why.

    Args:
        options: Every allowed option; a person may have several, also through several subscriptions.
        places: Attempts that are left per team and skill.
        claim: Reserves the person of an option; False if somebody else holds the person.
    """
    left = Counter(dict(places))
    chosen: list[Option] = []
    taken: set[str] = set()
    waiting: set[str] = set()
    lost: set[str] = set()
    for option in sorted(options, key=lambda option: option.rank):
        person = option.person_id
        if person in taken or person in lost:
            continue
        if left[option.team, option.skill] <= 0:
            waiting.add(person)
        elif claim(option):
            left[option.team, option.skill] -= 1
            taken.add(person)
            chosen.append(option)
        else:
            lost.add(person)
    return chosen, Counter({"over_capacity": len(waiting - taken - lost), "claimed": len(lost)})


def in_list_order(chosen: Iterable[Option], capacity: Iterable[Capacity]) -> list[Option]:
    """Returns chosen options as a list shows them: each team's lines together, best first."""
    teams = [(team.team, team.skill) for team in capacity]
    return sorted(chosen, key=lambda option: (teams.index((option.team, option.skill)), option.rank))
