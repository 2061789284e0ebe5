"""What a list is asked for, by the command, by the step of the main job and by the API."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date

import orjson

from features.kit.language import Locale


@dataclass(frozen=True)
class ListRequest:
    """What a list is asked for; the same request with the same key is the same list."""

    as_of: date  # the day of the list
    capacity: int | None = None  # attempts to share among the teams of people; None means as configured
    locale: Locale = "zh"  # zh or en; a view of the list, not part of what makes it another one
    province: str | None = None  # only this province
    city: str | None = None  # only this city

    def body(self) -> bytes:
        """Returns the canonical bytes of the request, without its language: that draws no other list."""
        return orjson.dumps({**self.__dict__, "locale": "zh"}, option=orjson.OPT_SORT_KEYS)

    def digest(self) -> str:
        """Returns the hash of the request."""
        return hashlib.sha256(self.body()).hexdigest()
