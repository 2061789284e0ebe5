"""What a request may bring as a moment: the forms with an offset that a feed takes, and no others."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from serving.api.types import Instant

MOMENT: TypeAdapter[Any] = TypeAdapter(Instant)


@pytest.mark.parametrize(
    "text", ["2026-06-01T14:30:00+08:00", "2026-06-01 06:30:00Z", "2026-06-01T06:30z", "2026-06-01T14:30:00.000+0800"]
)
def test_one_moment_in_each_form_with_an_offset(text):
    """Half past two in Shanghai, however it is written."""
    assert MOMENT.validate_python(text) == datetime(2026, 6, 1, 6, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        1780295400, 1780295400.5, "1780295400", True, "2026-06-01T14:30:00", "2026-06-01", "26-06-01T14:30:00Z",
        "2026-W23-1T14:30:00Z", "2026-06-01T14:30:00 CST", "２０２６-06-01T14:30:00Z",
    ],
)  # fmt: skip
def test_a_number_or_a_time_without_an_offset_is_no_moment(value):
    """Seconds since 1970, local times, short years, week dates and zone names are refused, never guessed."""
    with pytest.raises(ValidationError):
        MOMENT.validate_python(value)
