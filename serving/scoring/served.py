"""One target's champion as a running process serves it: the pointer is followed, a bad bundle changes nothing."""

from __future__ import annotations

import threading
from pathlib import Path

from features.kit.errors import BundleError
from serving.scoring.kernel.kernel import kernel_of
from training.bundle import LoadedBundle, champion, load


class ServedModel:
    """The champion of one target as a running process serves it: swapped only for a bundle that passed every check.

    Attributes:
        bundle: The last good bundle, or None before the first.
        refused: Why the present champion does not serve, or an empty string.
    """

    def __init__(self, bundles: Path, target: str) -> None:
        self._bundles = bundles
        self._target = target
        self._lock = threading.Lock()
        self._refused_folder: Path | None = None
        self.bundle: LoadedBundle | None = None
        self.refused = ""

    def refresh(self, *, check_in_child: bool = True, retry: bool = False) -> bool:
        """Follows the champion pointer and returns whether another bundle serves now; a bad one changes nothing.

        A refused folder is not tried again until the pointer moves, or `retry` is set.
        """
        folder = None
        with self._lock:
            try:
                folder = champion(self._bundles, self._target)
                if folder is None or (self.bundle is not None and folder == self.bundle.folder):
                    self.refused, self._refused_folder = "", None
                    return False
                if folder == self._refused_folder and not retry:
                    return False
                bundle = load(folder, check_in_child=check_in_child)
                kernel_of(bundle)  # compiled while the last one serves: no request waits for it
                self.bundle = bundle
            except BundleError as error:
                self.refused = error.message
                self._refused_folder = folder
                return False
            self.refused, self._refused_folder = "", None
            return True
