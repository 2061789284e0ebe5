"""Every way our own state can be damaged, and how each command of the command line ends then.

A case is a command, a place (a file of the home or an input) and a damage. It runs in a forked process on a copy of a
home; `Ended.is_raw` is a traceback where a line that names the file was due.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.world import AS_OF

NOBODY = 65534
CASE_SECONDS = 120
PLACES: dict[str, str] = {
    "tickets": "home/feeds/tickets/*.parquet",
    "usage": "home/feeds/usage_daily/*.parquet",
    "customers": "home/feeds/customers/*.parquet",
    "persons": "home/personal/persons/*.parquet",
    "numbers": "home/personal/numbers/*.parquet",
    "manifest": "home/feeds/manifest.json",
    "portraits": "home/portraits/*/as_of=*/portrait.parquet",
    "class report": "home/portraits/*/as_of=*/class_report.json",
    "feature list": "home/portraits/*/feature_list.json",
    "current portraits": "home/portraits/current.json",
    "scores": "home/scores/churn/*/as_of=*/scores.parquet",
    "ranks": "home/scores/churn/*/as_of=*/ranks.json",
    "current scores": "home/scores/churn/current.json",
    "fit": "home/product_fit/as_of=*/fit.parquet",
    "fit summary": "home/product_fit/as_of=*/summary.json",
    "ledger": "home/operations.db",
    "runs": "home/runs.db",
    "experiments": "home/mlruns/mlflow.db",
    "studies": "home/studies.db",
    "registry": "home/store/registry.db",
    "online store": "home/store/online.db",
    "identity": "home/home.json",
    "champion": "home/mlruns/bundles/churn/champion.json",
    "bundle": "home/mlruns/bundles/churn/v1/manifest.json",
    "model": "home/mlruns/bundles/churn/v1/model.txt",
    "calibration": "home/mlruns/bundles/churn/v1/calibration.json",
    "golden rows": "home/mlruns/bundles/churn/v1/golden.json",
    "list": "home/lists/*/list.json",
    "mapping": "configs/sources/simulator.yaml",
    "outreach settings": "configs/outreach.yaml",
    "reasons": "configs/reasons.yaml",
    "store settings": "configs/feature_store.yaml",
    "target": "configs/targets/churn.yaml",
    "delivered file": "sim/files/tickets.*",
    "returned list": "L.xlsx",
}
"""What may be damaged, as the first match of a pattern in the world's folder."""


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _garble(path: Path) -> None:
    for log in path.parent.glob(f"{path.name}-*"):
        log.unlink()
    path.write_bytes(b"\x00\xffnothing " * 1000)


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _other(path: Path) -> None:
    """Leaves a file that is whole, but of another kind: JSON of another shape, YAML without its keys."""
    path.write_bytes(b'["something", {"else": null}]')


DAMAGES: dict[str, Callable[[Path], None]] = {
    "gone": Path.unlink, "cut": _cut, "garbage": _garble, "empty": _empty, "directory": _directory, "other": _other,
    "forbidden": lambda path: path.chmod(0),
}  # fmt: skip
"""What may happen to a file; `forbidden` needs a process that is not root's."""
WHOLE = ("full disk", "read-only")
"""What may happen to the home as a whole."""

_DAY, _IN = str(AS_OF), ("--source", "configs/sources/simulator.yaml", "--data", "sim/files")
COMMANDS: dict[str, tuple[str, ...]] = {
    "ingest": ("ingest", *_IN),
    "build": ("build", "--as-of", _DAY),
    "classes": ("classes", "--as-of", _DAY),
    "publish": ("publish", "--as-of", _DAY),
    "train": ("train", "churn"),
    "audit": ("audit", "churn"),
    "monitor": ("monitor", "--as-of", _DAY),
    "promote": ("promote", "churn", "v1", "--override", "because of the test"),
    "shadow": ("shadow", "churn", "v1"),
    "rollback": ("rollback", "churn"),
    "models": ("models",),
    "explain": ("explain", "churn", "--out", "pictures"),
    "score": ("score", "--as-of", _DAY),
    "replay": ("replay", "--as-of", _DAY, "--target", "churn", "--customer", "880000001000000000"),
    "reasons": ("reasons", "--check"),
    "fit": ("fit", "--as-of", _DAY),
    "fit one": ("fit", "--customer", "880000001000000000"),
    "erase": ("erase", "--person", "880000001000000000", "--reason", "a test of it"),
    "outreach": ("outreach", "--as-of", _DAY, "--capacity", "30", "--out", "out.xlsx"),
    "lists": ("outreach", "lists"),
    "handover": ("outreach", "handover", "L260601-01", "--reason", "a test of it", "--on", _DAY, "--api-key", "ik_a_b"),
    "import": ("outcomes", "import", "L.xlsx"),
    "held": ("outcomes", "held"),
    "mend": ("outcomes", "mend", "H1", "--at", "2026-06-01T10:00"),
    "drop": ("outcomes", "drop", "H1", "--reason", "a test of it"),
    "keys": ("keys", "list"),
    "key": ("keys", "create", "crm", "--scope", "scores:read"),
    "revoke": ("keys", "revoke", "abc"),
    "home": ("home", "show"),
    "move": ("home", "move", "--reason", "a test of it"),
    "adopt": ("home", "adopt", "--reason", "a test of it"),
    "runs": ("runs",),
    "day": ("day", *_IN, "--on", _DAY, "--capacity", "30"),
    "run": ("run", *_IN, "--as-of", _DAY, "--target", "churn"),
    "check": ("check", *_IN),
    "map": ("map", "--data", "sim/files", "--out", "mapped.yaml"),
}
"""Each command with the words that lead it to the state; those of another folder take no `--home`."""
HOMELESS = ("check", "map")


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        code: Its exit code.
        lines: What it wrote to stderr, with the traceback of what it raised.
    """

    code: int
    lines: tuple[str, ...]

    @property
    def is_raw(self) -> bool:
        """Returns whether a traceback, a signal or more than a line came out."""
        return self.code not in (0, 2, 3, 4, 5) or "Traceback" in "".join(self.lines)

    @property
    def error(self) -> str:
        """Returns the line of the error, or nothing."""
        return next((line for line in reversed(self.lines) if line.startswith("error: ")), "")


def place_in(root: Path, place: str) -> Path | None:
    """Returns the file of a place in a world, or None if it has none."""
    return min(root.glob(PLACES[place]), default=None)


def end_of(world: Path, command: str, place: str = "", damage: str = "") -> Ended:
    """Returns how a command ends on a copy of a world with one damage; `place` is nothing for a damage of the whole.

    Another process copies it: whoever closes a file of a SQLite database takes the locks from its own connections.
    """
    with tempfile.TemporaryDirectory(prefix="damage-") as folder:
        root = Path(folder) / "world"
        subprocess.run(["cp", "-a", world, root], check=True)
        path = place_in(root, place) if place else None
        if path is not None:
            DAMAGES[damage](path)
        Path(folder).chmod(0o777)
        if damage == "read-only" and os.geteuid() != 0:
            for found in (root / "home", *(root / "home").rglob("*")):
                found.chmod(0o555 if found.is_dir() else 0o444)
        if damage == "forbidden" and os.geteuid() == 0:
            for found in (root, *root.rglob("*")):
                os.chown(found, NOBODY, NOBODY)
        words = COMMANDS[command] + (() if command in HOMELESS else ("--home", "home"))
        victim = multiprocessing.get_context("fork").Process(target=_victim, args=(root, words, damage))
        victim.start()
        victim.join(CASE_SECONDS)
        if victim.is_alive():
            victim.kill()
            victim.join()
        lines = (root.parent / "stderr").read_text(errors="replace").splitlines()
        return Ended(int(victim.exitcode or 0), tuple(lines))


def _victim(root: Path, words: tuple[str, ...], damage: str) -> None:
    """Runs a command. What it raises, `multiprocessing` writes to stderr, and the process ends with 1."""
    from features.kit.cli import main

    os.chdir(root)
    os.environ.pop("INSIGHT_HOME", None)
    with (root.parent / "stderr").open("w") as stderr, Path(os.devnull).open("w") as nothing:
        os.dup2(stderr.fileno(), 2)
        os.dup2(nothing.fileno(), 1)
    sys.stderr, sys.stdout = (os.fdopen(number, "w", encoding="utf-8", closefd=False) for number in (2, 1))
    if damage == "full disk":
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))
    if damage in ("read-only", "forbidden") and os.geteuid() == 0:  # for root nothing is forbidden
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    sys.argv = ["insight", *words]
    code = 0
    try:
        main()
    except SystemExit as ended:
        code = int(ended.code or 0) if not isinstance(ended.code, str) else 1
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.flush()
    os._exit(code)
