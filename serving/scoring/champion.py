"""A target's champion, and the scorer that a bundle makes of a home's portraits."""

from __future__ import annotations

from features.kit.errors import NotReadyError
from features.kit.home import Home
from features.portraits.reading import Portraits
from serving.scoring.reasons.book import ReasonBook, load_book
from serving.scoring.reasons.writing import ReasonWriter
from serving.scoring.scorer import Scorer
from serving.scoring.settings import load_settings
from training.bundle import LoadedBundle, champion, load


def load_champion(home: Home, target: str, *, check_in_child: bool = True) -> LoadedBundle:
    """Returns the target's champion after every check. Raises NotReadyError if there is none, else BundleError."""
    folder = champion(home.bundles, target)
    if folder is None:
        raise NotReadyError(f"no model of '{target}' has been promoted", remedy=f"insight train {target}")
    return load(folder, check_in_child=check_in_child)


def scorer_of(bundle: LoadedBundle, portraits: Portraits, book: ReasonBook | None = None) -> Scorer:
    """Returns the scorer of a bundle on these portraits' feature list, with the shipped settings and reasons."""
    book = book or load_book()
    return Scorer(bundle, portraits.feature_list, settings=load_settings(), book=book, writer=ReasonWriter(book))
