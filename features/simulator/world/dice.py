"""Counter-based randomness: a draw is a hash of (seed, stream, customer, time), so order and chunks do not matter."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.kit.arrays import Floats, Integers

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_LOW = np.uint64(0xFFFFFFFF)

FORK = 1 << 32
"""Added to a customer's number it makes another continuation of the same customer (see `Dice.fork_day`)."""


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Returns the splitmix64 finaliser of each element, in place."""
    x ^= x >> np.uint64(30)
    x *= _FIRST
    x ^= x >> np.uint64(27)
    x *= _SECOND
    x ^= x >> np.uint64(31)
    return x


def _words(values: object) -> NDArray[np.uint64]:
    return np.atleast_1d(np.asarray(values, dtype=np.int64)).view(np.uint64)


@dataclass(frozen=True)
class Dice:
    """Draws for customers and times.

    Attributes:
        fork_day: Draws for a time from this day on differ between the continuations of a customer (number, number +
            FORK, number + 2 FORK ...); earlier draws and draws without a time are the same in all of them.
    """

    seed: int
    fork_day: int | None = None

    def uniform(self, stream: str, who: object, when: object = None) -> Floats:
        """Returns uniforms in [0, 1) of the broadcast shape of `who` and `when`.

        Two names of a stream never share a draw. `who` are customer numbers (or those of other things, such as grids),
        `when` are day numbers; None is for what holds for good.
        """
        start = np.uint64((zlib.crc32(stream.encode()) + (self.seed << 32)) & 0xFFFFFFFFFFFFFFFF)
        number = _words(who)
        with np.errstate(over="ignore"):
            bits = _mix((number & _LOW) * _GOLDEN + start)
            if when is not None:
                counter = _words(when)
                bits = bits + (counter * _FIRST + _GOLDEN)
                if self.fork_day is not None:
                    late = np.atleast_1d(np.asarray(when)) >= self.fork_day
                    bits = bits + np.where(late, (number >> np.uint64(32)) * _SECOND, np.uint64(0))
            bits = _mix(bits)
        return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def normal(self, stream: str, who: object, when: object = None) -> Floats:
        """Returns standard normals of the broadcast shape of `who` and `when`."""
        from scipy.special import ndtri

        drawn: Floats = ndtri(self.uniform(stream, who, when) * (1 - 2**-40) + 2**-42)
        return drawn

    def choice(self, stream: str, who: object, shares: object, when: object = None) -> Integers:
        """Returns category numbers drawn with the given shares (they are scaled to sum to 1)."""
        weights = np.asarray(shares, dtype=np.float64)
        edges = np.cumsum(weights) / weights.sum()
        drawn = np.searchsorted(edges, self.uniform(stream, who, when), side="right")
        return np.minimum(drawn, len(weights) - 1).astype(np.int64)
