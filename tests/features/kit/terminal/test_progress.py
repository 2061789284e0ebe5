"""A long step says how far it is, how fast it goes and how long it will take: at a terminal and in a log."""

from __future__ import annotations

import io
import re
import sys

import pytest

from features.kit.terminal import progress


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Returns True."""
        return True


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_a_step_shows_its_rate_and_the_time_left(stream, monkeypatch):
    """After a quarter of the work both are shown; a silent step shows nothing."""
    shown = stream()
    monkeypatch.setattr(sys, "stderr", shown)
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    for quiet in (True, False):
        with progress.Progress(quiet=quiet).step("scores", total=4000) as tick:
            tick(1000)
            assert bool(shown.getvalue()) is not quiet
    text = shown.getvalue()
    assert re.search(r"[\d,]+ a second", text)
    assert "left" in text
    assert ("1,000 of 4,000" in text) is (stream is io.StringIO)
