"""What a model was made with: the code's version and the locked dependencies, for the manifest and MLflow."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from functools import lru_cache
from importlib import metadata
from pathlib import Path

PACKAGE = "customer-insight"
CODE = ("features", "training", "serving", "configs", "pyproject.toml", "requirements.lock")
LOCK = "requirements.lock"
_GIT_SECONDS = 20
_ROOT = Path(__file__).parents[2]


@lru_cache(maxsize=4)
def code_version(root: Path = _ROOT) -> str:
    """Returns the package's version and, in a git work tree, its commit.

    Example: `0.1.0+g1a2b3c4d5e6f`, with `.changed` behind it while tracked code differs from that commit; an installed
    package without a work tree is `0.1.0`.
    """
    version = metadata.version(PACKAGE)
    git = shutil.which("git")
    if git is None or not (root / ".git").exists():
        return version
    commit = _git_output(git, root, "rev-parse", "--short=12", "HEAD")
    if commit is None:
        return version
    changed = _git_output(git, root, "status", "--porcelain", "--", *CODE)
    return f"{version}+g{commit}" + (".changed" if changed != "" else "")


@lru_cache(maxsize=4)
def lock_hash(root: Path = _ROOT) -> str:
    """Returns 16 hex digits over the lock file; without one, `installed-` and 16 over the installed packages."""
    lock = root / LOCK
    if lock.exists():
        return hashlib.sha256(lock.read_bytes()).hexdigest()[:16]
    pins = sorted(f"{package.metadata['Name']}=={package.version}".lower() for package in metadata.distributions())
    return "installed-" + hashlib.sha256("\n".join(pins).encode()).hexdigest()[:16]


def _git_output(git: str, root: Path, *words: str) -> str | None:
    """Returns what git printed, or None where it could not answer."""
    try:
        done = subprocess.run(  # noqa: S603 - git by its full path, with fixed words
            [git, "-C", str(root), *words], capture_output=True, text=True, timeout=_GIT_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
