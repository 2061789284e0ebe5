"""The control group: persons whom marketing and discretionary care never contact, drawn by a stable hash."""

from __future__ import annotations

import hashlib
from math import ceil

from features.kit.sql import literal
from serving.outreach.settings import ControlSettings

_SPAN = 2**64


def lots_of(settings: ControlSettings) -> int:
    """Returns the number below which a person's lot means that the person is withheld.

    A larger share keeps everybody who was in the smaller one.
    """
    return ceil(settings.share * _SPAN)


def drawn(salt: str, person_id: str) -> int:
    """Returns a person's lot, from 0 to 2^64: the same on every day, list and machine.

    The hash sees the person and the salt only, so membership depends on nothing that the operator does.
    """
    return int.from_bytes(hashlib.sha256(f"{salt}\x00{person_id}".encode()).digest()[:8])


def drawn_sql(salt: str, person_id: str) -> str:
    """Returns SQL for `drawn`."""
    return f"CAST('0x' || left(sha256(concat({literal(salt)}, chr(0), {person_id})), 16) AS UBIGINT)"
