"""The pictures of a bundle, drawn after it serves, each bundle's in a process of its own.

train --keep--> bundles/<target>/.pictures-<version>.npz --draw--> shap.png, reliability.png --add--> bundle

What is drawn from is kept before the bundle is written and goes when its pictures are in. A run that dies between
leaves a whole model, whose card says that its pictures follow; the next training or `insight explain` draws them.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from features.kit.arrays import Floats, Vectors
from features.kit.errors import BundleError
from features.kit.files import atomic_path, read_json, write_bytes
from features.kit.home import Home
from features.kit.runs import hit
from training import bundle
from training.explanation import pictures

SUMMARY, RELIABILITY = "shap.png", "reliability.png"
PICTURES = (SUMMARY, RELIABILITY)
_KEPT = ".pictures-"

Record = Callable[[Path, tuple[str, ...]], None]
"""Is told of a bundle's folder and the pictures that are in it now."""


def keep(
    bundles: Path, target: str, version: str, contributions: Floats, values: Vectors, names: tuple[str, ...]
) -> None:
    """Keeps what the pictures of a version are drawn from, as `pictures.summary` takes it."""
    with atomic_path(bundles / target / f"{_KEPT}{version}.npz") as temporary, temporary.open("wb") as file:
        np.savez(file, contributions=contributions, values=values, names=np.array(names, dtype=str))


def draw(kept: Path) -> None:
    """Draws the pictures of a version into its folder; its manifest does not know them yet."""
    folder = _folder(kept)
    with np.load(kept) as content:
        names = content["names"].tolist()
        write_bytes(folder / SUMMARY, pictures.summary(content["contributions"], content["values"], names))
    deciles = read_json(folder / bundle.EVALUATION)["metrics"]["deciles"]
    write_bytes(folder / RELIABILITY, pictures.reliability(deciles, folder.parent.name))


class Drawing:
    """Draws what waits in a home, beside other work. It and that work use at most `cores` processes."""

    def __init__(self, home: Home, *, cores: int) -> None:
        self._bundles, self._cores = home.bundles, cores
        self._children: dict[Path, subprocess.Popen[bytes]] = {}

    @property
    def waiting(self) -> list[Path]:
        """Returns what is kept of versions whose pictures are to come."""
        return sorted(self._bundles.glob(f"*/{_KEPT}*.npz"))

    def begin(self) -> None:
        """Begins to draw as much as the other cores allow."""
        running = sum(child.poll() is None for child in self._children.values())
        for kept in self.waiting:
            if kept not in self._children and running < self._cores - 1 and _lacks_pictures(_folder(kept)):
                command = [sys.executable, "-m", "training.explanation.drawing", str(kept)]
                # It ends by itself whatever becomes of us, and leaves nothing but pictures.
                self._children[kept] = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603
                running += 1

    def end(self, record: Record | None = None) -> None:
        """Draws the rest and takes all pictures into their bundles.

        What was kept goes once `record` was told; without one the next training tells.
        """
        self.begin()
        for kept in sorted(self.waiting, key=self._children.__contains__):
            child, folder = self._children.pop(kept, None), _folder(kept)
            lacks_pictures = _lacks_pictures(folder)
            if lacks_pictures:
                if child is None or child.wait() != 0:
                    draw(kept)
                hit("drawing.before_manifest")
                bundle.add(folder, PICTURES)
                hit("drawing.after_manifest")
            if record is not None:
                if lacks_pictures is not None:
                    record(folder, PICTURES)
                kept.unlink(missing_ok=True)


def _lacks_pictures(folder: Path) -> bool | None:
    """Tells whether a bundle's pictures are to come; None if there is no whole bundle: its training died before it."""
    try:
        return not set(PICTURES) <= set(bundle.verify(folder).files)
    except BundleError:
        return None


def _folder(kept: Path) -> Path:
    return kept.with_name(kept.stem.removeprefix(_KEPT))


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
