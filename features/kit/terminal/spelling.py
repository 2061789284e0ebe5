"""What a misspelt name may have been meant to be."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

CLOSE = 0.6


def did_you_mean(name: str, known: Iterable[str], *, otherwise: str = "") -> str:
    """Returns the end of an error's line. Example: "; did you mean 'bill'?"; without a close name `otherwise`."""
    near = close_names(name, known)
    return f"; did you mean '{near[0]}'?" if near else otherwise


def close_names(name: str, known: Iterable[str], *, most: int = 1, cutoff: float = CLOSE) -> list[str]:
    """Returns the known names that are closest to a name, closest first; none if all are further than `cutoff`."""
    return get_close_matches(name, list(known), n=most, cutoff=cutoff)
