"""What an attempt of each team is worth where persons could be served by several: the prices that share them best.

A person who is worth 100 to one team and 99 to another leaves the first team's place to somebody who is worth 90 to it
and nothing to others. Prices say so: everybody takes what is worth most beyond its price, and each team is just full.
"""

from __future__ import annotations

import numpy as np

from features.kit.arrays import Floats, Integers

_CYCLES = 50


def prices_of(worth: Floats, capacity: Integers) -> Floats:
    """Returns the price of one attempt of each team, found team by team until none moves any more.

    Args:
        worth: What each person is worth to each team at best, 0 where not at all [persons, teams].
        capacity: Attempts of each team [teams].
    """
    prices = np.zeros(len(capacity))
    for _ in range(_CYCLES):
        before = prices.copy()
        for team, places in enumerate(capacity.tolist()):
            if places >= len(worth):
                continue  # enough for everybody
            others = np.delete(worth - prices, team, axis=1).max(axis=1, initial=0.0)
            willing = worth[:, team] - others  # the price up to which a person comes to this team
            nth = len(worth) - places - 1
            prices[team] = max(0.0, float(np.partition(willing, nth)[nth]))
        if np.array_equal(prices, before):
            break
    return prices
