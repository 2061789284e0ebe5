"""Counter-based randomness: a draw is a hash of (seed, stream, customer, time), so order and chunks do not matter."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)

Whole = NDArray[np.int64]
Real = NDArray[np.float64]


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Returns the splitmix64 finaliser of each element."""
    x = (x ^ (x >> np.uint64(30))) * _FIRST
    x = (x ^ (x >> np.uint64(27))) * _SECOND
    return x ^ (x >> np.uint64(31))


def _words(values: object) -> NDArray[np.uint64]:
    return np.atleast_1d(np.asarray(values, dtype=np.int64)).view(np.uint64)


@dataclass(frozen=True)
class Dice:
    """Draws for customers and times.

    Attributes:
        seed: The seed of the world.
        fork_day: From this day on draws differ between forks (None: one world only).
        fork: The number of the continuation, used for times from `fork_day` on.
    """

    seed: int
    fork_day: int | None = None
    fork: int = 0

    def uniform(self, stream: str, who: object, when: object = 0, *, day: object = None) -> Real:
        """Returns uniforms in [0, 1) of the broadcast shape of `who` and `when`.

        Args:
            stream: The name of the stream; two names never share a draw.
            who: Customer numbers (or the number of another thing, such as a grid).
            when: Day or month numbers, or any counter.
            day: The day that decides whether the draw lies in a fork's future; `when` if omitted.
        """
        start = np.uint64(zlib.crc32(stream.encode()) + (self.seed << 32) & 0xFFFFFFFFFFFFFFFF)
        with np.errstate(over="ignore"):
            key = _mix(_words(who) * _GOLDEN + start)
            counter = _words(when) * _FIRST + _GOLDEN
            if self.fork_day is not None:
                late = np.atleast_1d(np.asarray(when if day is None else day)) >= self.fork_day
                counter = counter + np.where(late, np.uint64(self.fork + 1) * _SECOND, np.uint64(0))
            bits = _mix(key + counter)
        return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def normal(self, stream: str, who: object, when: object = 0, *, day: object = None) -> Real:
        """Returns standard normals of the broadcast shape of `who` and `when`."""
        from scipy.special import ndtri

        drawn: Real = ndtri(self.uniform(stream, who, when, day=day) * (1 - 2**-40) + 2**-42)
        return drawn

    def choice(self, stream: str, who: object, shares: object, when: object = 0, *, day: object = None) -> Whole:
        """Returns category numbers drawn with the given shares (they are scaled to sum to 1)."""
        weights = np.asarray(shares, dtype=np.float64)
        edges = np.cumsum(weights) / weights.sum()
        drawn = np.searchsorted(edges, self.uniform(stream, who, when, day=day), side="right")
        return np.minimum(drawn, len(weights) - 1).astype(np.int64)
