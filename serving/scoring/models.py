"""The models that a running process serves: verified, loaded, swapped; the last good one keeps serving."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np

from features.kit.errors import BundleError, InsightError, NotReadyError
from features.kit.files import read_json
from features.kit.home import Home
from features.kit.log import get_logger
from serving.scoring.kernel.kernel import kernel_of
from serving.scoring.reasons.book import ReasonBook
from serving.scoring.reasons.writing import ReasonWriter
from serving.scoring.scorer import PortraitList, Scorer
from serving.scoring.served import ServedModel
from serving.scoring.settings import ScoreSettings
from training.bundle import GOLDEN, Manifest


@dataclass(frozen=True)
class ModelState:
    """What serves for one target, and why a newer champion does not."""

    target: str
    manifest: Manifest | None  # the serving bundle's manifest, or None if none serves
    refused: str  # why the present champion does not serve, or an empty string


class Models:
    """Every target's champion with the scorers made of it. Thread-safe.

    A champion that fails its checks, or does not fit the portraits that are online, changes nothing: the last good
    model of those portraits keeps serving and `states` says why.
    """

    def __init__(self, home: Home, *, settings: ScoreSettings, book: ReasonBook, writer: ReasonWriter) -> None:
        self._home = home
        self._settings = settings
        self._book = book
        self._writer = writer
        self._lock = threading.Lock()
        self._served: dict[str, ServedModel] = {}
        self._scorers: dict[tuple[str, str], Scorer] = {}
        self._misfits: dict[str, str] = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def targets(self) -> tuple[str, ...]:
        """Returns the targets that a model serves, by name."""
        return tuple(sorted(target for target, served in self._served.items() if served.bundle is not None))

    def refresh(self, *, check_in_child: bool = True, retry: bool = False) -> list[str]:
        """Follows every champion pointer and returns the targets that another model serves now."""
        for pointer in sorted(self._home.bundles.glob("*/champion.json")):
            target = pointer.parent.name
            with self._lock:
                self._served.setdefault(target, ServedModel(self._home.bundles, target))
        swapped = []
        for target, served in sorted(self._served.items()):
            refused_before = served.refused
            if served.refresh(check_in_child=check_in_child, retry=retry) and served.bundle is not None:
                swapped.append(target)
                get_logger().info("model_swapped", target=target, version=served.bundle.manifest.version)
            elif served.refused and served.refused != refused_before:
                get_logger().warning("model_refused", target=target, reason=served.refused)
        return swapped

    def scorer(self, target: str, features: PortraitList) -> Scorer:
        """Returns the scorer of a target for portraits of one feature list.

        Raises:
            NotReadyError: If no model of this target has ever been good for these portraits.
        """
        served = self._served.get(target)
        bundle = None if served is None else served.bundle
        if bundle is None:
            why = f": {served.refused}" if served and served.refused else ""
            raise NotReadyError(f"no model serves '{target}'{why}", remedy=f"insight train {target}")
        key = (target, features.identity)
        scorer = self._scorers.get(key)
        if scorer is not None and scorer.bundle is bundle:
            return scorer
        version = bundle.manifest.version
        if scorer is not None and self._misfits.get(target, "").startswith(f"{version}: "):
            return scorer
        try:
            scorer = Scorer(bundle, features, settings=self._settings, book=self._book, writer=self._writer)
        except BundleError as error:
            self._misfits[target] = f"{version}: {error.message}"
            if scorer is None:
                raise
            return scorer
        self._misfits.pop(target, None)
        self._scorers[key] = scorer
        return scorer

    def states(self) -> list[ModelState]:
        """Returns the state of every target that has a champion, by name."""
        return [
            ModelState(
                target,
                served.bundle.manifest if served.bundle else None,
                served.refused or self._misfits.get(target, ""),
            )
            for target, served in sorted(self._served.items())
        ]

    def probe(self, target: str) -> None:
        """Makes one real prediction of a golden row, by what scores the requests.

        Raises:
            NotReadyError: If no model serves the target, or its golden row comes out differently.
        """
        served = self._served.get(target)
        if served is None or served.bundle is None:
            raise NotReadyError(f"no model serves '{target}'", remedy=f"insight train {target}")
        bundle = served.bundle
        try:
            golden = read_json(bundle.folder / GOLDEN)
            values = np.array(golden["values"][:1], dtype=np.float32)
            is_same = (kernel_of(bundle) or bundle).margins(values).tolist() == golden["margins"][:1]
        except (OSError, InsightError) as error:
            raise NotReadyError(f"{bundle.folder}: its golden row cannot be read ({error})") from None
        if not is_same:
            raise NotReadyError(f"{bundle.folder}: its golden row comes out differently")

    def watch(self, seconds: float) -> None:
        """Follows the champion pointers every so many seconds in a thread of its own, until `stop`."""
        self._thread = threading.Thread(target=self._watch, args=(seconds,), name="models", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the watching."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _watch(self, seconds: float) -> None:
        while not self._stop.wait(seconds):
            try:
                self.refresh()
            except Exception as error:  # noqa: BLE001 - whatever happened, the last good model keeps being watched
                get_logger().error("watch_failed", error_kind=type(error).__name__)
