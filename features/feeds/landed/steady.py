"""Reading the feeds while somebody lands: on the newest manifest, begun anew if its files were replaced meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import duckdb

from features.feeds.landed.reading import Feeds
from features.kit.errors import NotReadyError
from features.kit.home import Home

TRIES = 5
Result = TypeVar("Result")


def on_current_feeds(home: Home, read: Callable[[Feeds], Result]) -> Result:
    """Returns what `read` finds on the landed feeds of this moment.

    Raises:
        NotReadyError: If nothing has landed, or landings kept replacing the files.
    """
    for _ in range(TRIES):
        feeds = Feeds.open(home)
        try:
            return read(feeds)
        except duckdb.IOException:
            if Feeds.open(home).version == feeds.version:
                raise
    raise NotReadyError(f"{home.feeds}: the feeds keep changing", remedy="try again")
