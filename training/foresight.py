"""What a training would refuse for want of history or events, foreseen from landed feeds: for `insight check`."""

from __future__ import annotations

from features.feeds.landed.reading import Feeds
from features.kit.clock import last_labelled
from features.kit.home import Home
from features.portraits.settings import load_settings
from features.portraits.step import grid
from training.dataset.prepare import few_positives
from training.labels.history import History
from training.labels.spine import short_history, spine
from training.labels.targets import known_targets, load_target


def foresee(home: Home, *, threads: int = 1) -> dict[str, str]:
    """Returns why a target that the feeds support would get no model, with what can be done; others are not there.

    Portraits need not be built: the dates are those that `insight build` would make, the positives are counted as
    training counts them.
    """
    feeds = Feeds.open(home)
    snapshot = feeds.operator.snapshot_on is not None
    connection = feeds.connect(threads=threads)
    foreseen: dict[str, str] = {}
    try:
        history = History(connection, feeds.names, feeds.operator.time_zone, snapshot=snapshot)
        for name in known_targets():
            target = load_target(name)
            if not target.supported(feeds.names):
                continue
            dates = grid(feeds, None, load_settings())
            if not snapshot:
                wait = (target.lead_days, target.horizon_days, target.label_delay_days)
                dates = [day for day in dates if day <= last_labelled(feeds.latest_as_of(), *wait)]
            short = few_positives(target, spine(history, target, dates)) if dates else short_history(feeds, target)
            if short:
                foreseen[name] = "; ".join(short)
    finally:
        connection.close()
    return foreseen
