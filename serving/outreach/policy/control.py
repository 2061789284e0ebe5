"""The control group: persons whom marketing and discretionary care never contact, drawn by a stable hash."""

from __future__ import annotations

import hashlib

from serving.outreach.settings import ControlSettings

_SPAN = 2**64


def in_control_group(settings: ControlSettings, person_id: str) -> bool:
    """Returns whether a person is withheld: the same answer on every day, list and machine.

    The hash sees the person and the salt only, so membership depends on nothing that the operator does. A larger
    share keeps everybody who was in the smaller one.
    """
    digest = hashlib.sha256(f"{settings.salt}\x00{person_id}".encode()).digest()
    return int.from_bytes(digest[:8]) < settings.share * _SPAN
