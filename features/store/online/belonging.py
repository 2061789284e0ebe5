"""Whether an online store is that of a home: its place, its mark, and what its pointer says of the home's portraits.

Publishing marks the store and remembers it; reading refuses what another home published, so that no score answers from
other people's rows. An unmarked store, filled by an older release, is this home's if it holds this home's portraits.
"""

from __future__ import annotations

from features.kit.errors import HomeError
from features.kit.home import Home
from features.kit.homes.identity import (
    ADOPT,
    OWN_FILE,
    STORE,
    Backend,
    first_use,
    folder_in_mark,
    read_identity,
    refuse_copy,
    refuse_fall,
    refuse_foreign,
    refuse_other_place,
    remember,
    remembered,
)
from features.store.online.pointer import Pointer
from features.store.online.rows import OnlineStore, Owner
from features.store.settings import RedisOnline, StoreSettings

ROWS = "portraits"
_SAMPLE = 20


def place_of(settings: StoreSettings) -> str:
    """Returns where the portraits of some settings lie, without user and password."""
    online = settings.online
    if not isinstance(online, RedisOnline):
        return OWN_FILE
    return f"redis://{online.host.lower()}:{online.port}/{online.database}/{settings.project}"


def check_belongs(home: Home, store: OnlineStore, settings: StoreSettings) -> None:
    """Refuses a store that is not this home's; nothing is written.

    Raises:
        ConfigurationError: If the settings name another store than this home's.
        HomeError: If another home published into it, or the original of this copied home.
        NotReadyError: If it does not answer.
    """
    place = place_of(settings)
    refuse_other_place(home, STORE, place, decided_by="feature_store.yaml")
    owner = store.owner()
    if owner is not None:
        # where `home.json` was lost, the file inside the home knows who it is
        identity = first_use(home, home_id=owner.home_id) if place == OWN_FILE else read_identity(home)
        refuse_foreign(home, identity, STORE, place, owner.home_id)
        refuse_copy(home, STORE, place, owner.lives_at)
        return
    live = None if place == OWN_FILE else store.pointer()
    if live is not None and not _holds_portraits_of(home, store, live):
        raise HomeError(
            f"home {home.root}: the {STORE} at {place} holds {live.rows:,} portraits that are not this home's",
            remedy=f"name another `project` in feature_store.yaml; if they are this home's all the same: {ADOPT}",
        )


def take(home: Home, store: OnlineStore, settings: StoreSettings, *, over: bool = False) -> None:
    """Marks a store as this home's before anything is written to it, and remembers it.

    Raises:
        HomeError: If another home was faster.
    """
    place, identity = place_of(settings), first_use(home)
    mine = Owner(identity.home_id, folder_in_mark(home, place))
    now = store.owner()
    if now != mine:
        is_mine = now is not None and now.home_id == mine.home_id
        store.take(mine, over=over or is_mine)
        now = store.owner()
    refuse_foreign(home, identity, STORE, place, now.home_id if now else "")
    known = remembered(home, STORE)
    if known is None or known.place != place:
        remember(home, STORE, Backend(place=place))


def refuse_few(home: Home, settings: StoreSettings, live: Pointer | None, rows: int) -> None:
    """Refuses to publish a small part of what is live. Raises HomeError naming both counts."""
    known = remembered(home, STORE)
    before = known.counts if known and known.counts else {ROWS: live.rows if live else 0}
    refuse_fall(home, STORE, place_of(settings), before, {ROWS: rows})


def remember_rows(home: Home, settings: StoreSettings, rows: int) -> None:
    """Keeps how many portraits are live now."""
    remember(home, STORE, Backend(place=place_of(settings), counts={ROWS: rows}))


def _holds_portraits_of(home: Home, store: OnlineStore, live: Pointer) -> bool:
    """Returns whether what is live was published from this home: as many rows as its partition, and the same people."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from features.portraits.reading import PORTRAIT_FILE, partition

    path = partition(home.portraits / live.identity, live.as_of) / PORTRAIT_FILE
    if not path.exists():
        return False
    ids = pq.read_table(path, columns=["customer_id"], partitioning=None)["customer_id"]
    sample = ids.take(pa.array(np.arange(0, len(ids), max(1, len(ids) // _SAMPLE)))).to_pylist()
    found = sum(row is not None for row in store.read_view(live.view, sample))
    return len(ids) <= 2 * live.rows and live.rows <= 2 * len(ids) and 2 * found > len(sample)
