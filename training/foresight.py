"""What a training would refuse for want of history or events, foreseen from landed feeds: for `insight check`."""

from __future__ import annotations

from features.feeds.landed.reading import Feeds
from features.kit.home import Home
from features.portraits.settings import load_settings
from features.portraits.step import grid
from training.dataset.prepare import few_positives
from training.labels.history import open_history
from training.labels.spine import labelled_by, short_history, spine
from training.labels.targets import known_targets, load_target


def foresee(home: Home, *, threads: int = 1) -> dict[str, str]:
    """Returns why a target that the feeds support would get no model, with what can be done; others are not there.

    Portraits need not be built: the dates are those that `insight build` would make, the positives are counted as
    training counts them.
    """
    feeds = Feeds.open(home)
    until, to_build = feeds.latest_as_of(), grid(feeds, None, load_settings())
    foreseen: dict[str, str] = {}
    with open_history(feeds, threads=threads) as history:
        for target in map(load_target, known_targets()):
            if not target.supported(feeds.names):
                continue
            dates = labelled_by(until, target, to_build, snapshot=history.snapshot)
            short = few_positives(target, spine(history, target, dates)) if dates else short_history(feeds, target)
            if short:
                foreseen[target.name] = "; ".join(short)
    return foreseen
