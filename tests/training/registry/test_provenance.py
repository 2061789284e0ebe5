"""A model says which code and which locked dependencies made it."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from training.registry import provenance


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Returns a git work tree with one commit of a lock file."""
    git = str(shutil.which("git"))
    (tmp_path / "requirements.lock").write_text("a==1\n")
    identity = ["-c", "user.name=n", "-c", "user.email=e"]
    for words in (["init", "-q"], ["add", "."], [*identity, "commit", "-qm", "first"]):
        subprocess.run([git, "-C", str(tmp_path), *words], check=True)
    return tmp_path


def test_the_code_version_names_the_commit_and_whether_it_was_changed(tree: Path):
    """A clean tree gives the commit, a changed lock adds `.changed`, a folder without git gives the package's version."""
    clean = provenance.code_version(tree)
    assert re.fullmatch(r"\d+\.\d+\.\d+\+g[0-9a-f]{12}", clean)
    (tree / "requirements.lock").write_text("a==2\n")
    provenance.code_version.cache_clear()
    assert provenance.code_version(tree) == clean + ".changed"
    shutil.rmtree(tree / ".git")
    provenance.code_version.cache_clear()
    assert provenance.code_version(tree) == clean.split("+")[0]


def test_the_lock_hash_follows_the_lock_file(tree: Path):
    """Another pin is another hash; without a lock file what is installed is hashed and says so."""
    first = provenance.lock_hash(tree)
    (tree / "requirements.lock").write_text("a==2\n")
    provenance.lock_hash.cache_clear()
    assert provenance.lock_hash(tree) != first
    (tree / "requirements.lock").unlink()
    provenance.lock_hash.cache_clear()
    assert re.fullmatch(r"installed-[0-9a-f]{16}", provenance.lock_hash(tree))
