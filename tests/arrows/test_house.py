"""The house stands as drawn: floors, doors, names, sizes; and nothing of a machine is in it."""

import re
import subprocess
from importlib import metadata, util
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("features", "training", "serving")


def _tracked(*patterns: str) -> list[Path]:
    names = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split("\n")  # fmt: skip
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


def test_serving_knows_one_module_of_training() -> None:
    """Of the middle floor the top floor imports the bundle's format and nothing else."""
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    doors = {
        imported
        for module in graph.modules
        if module.startswith("serving")
        for imported in graph.find_modules_directly_imported_by(module)
        if imported.startswith("training")
    }
    assert doors == {"training.bundle"}


def test_the_packages_imported_are_ours() -> None:
    """An unrelated distribution on the registry is called `features`; ours is the one that is imported."""
    for package in PACKAGES:
        spec = util.find_spec(package)
        assert spec is not None
        assert Path(str(spec.origin)).parent == ROOT / package
    assert "features" not in {distribution.metadata["Name"] for distribution in metadata.distributions()}


def test_files_are_short_and_named_for_their_job() -> None:
    """No module is longer than 500 lines and none is called utils, helpers or common."""
    modules = [path for path in _tracked("*.py") if "tests" not in path.relative_to(ROOT).parts]
    assert len(modules) > 30
    assert [path.name for path in modules if len(path.read_text().splitlines()) > 500] == []
    assert [path.name for path in modules if re.match(r"(utils?|helpers?|common|misc)$", path.stem)] == []


def test_no_logic_in_package_files() -> None:
    """An `__init__.py` is one docstring."""
    files = _tracked("*__init__.py")
    assert len(files) > 40
    assert [str(path) for path in files if not re.fullmatch(r'"""[^"]+"""\s*', path.read_text())] == []


def test_the_lock_file_has_versions_and_hashes_but_no_address() -> None:
    """`requirements.lock` pins every package with a hash and names no host."""
    text = (ROOT / "requirements.lock").read_text()
    assert not re.search(r"https?://|file:|--(extra-)?index-url|--find-links", text)
    pins = re.findall(r"^[a-z0-9][\w.\[\]-]*==\S+", text, flags=re.MULTILINE)
    assert len(pins) > 150
    assert len(re.findall(r"^[a-z0-9].*\\\n    --hash=sha256:", text, flags=re.MULTILINE)) == len(pins)


@pytest.mark.parametrize("pattern", [r"/(root|home/\w+)/\.?\w", r"(^|[\s\"'(])/wor[k]/", r"\bpickle\.load"])
def test_nothing_of_this_machine_and_no_pickle_is_in_the_tree(pattern: str) -> None:
    """No tracked text holds a path of a machine or loads a pickle."""
    here = Path(__file__).resolve()
    found = [
        f"{path.relative_to(ROOT)}: {match.group(0)}"
        for path in _tracked()
        if path.suffix in {".py", ".md", ".yaml", ".toml", ".lock", ".txt", ".json", ".ipynb", ""} and path != here
        for match in [re.search(pattern, path.read_text(encoding="utf-8", errors="ignore"), flags=re.MULTILINE)]
        if match
    ]
    assert found == []
