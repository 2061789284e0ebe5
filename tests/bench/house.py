"""house-1 .. house-3: one world through the code before and after each rebuilding, and the house in figures.

The code of a commit is checked out of the history and runs with the installed libraries. Capability was added between the
rebuildings and changes results on purpose; CHANGELOG.md says what and why. So each rebuilding is judged by its own first
and last commit, and the lines of the house are counted over the rebuildings alone, too.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson

from features.kit.errors import NotReadyError
from features.kit.home import Home
from tests.results import figure

ROOT = Path(__file__).parents[2]
FLOORS = ("features", "training", "serving")
REBUILDINGS = (
    ("75b88bd3750b85f6532944b1d1fd96916c3188e9", "30752b0", "the move into rooms, circles, one place for each thing"),
    ("b3ba460", "99a4caa", "data tables beside their modules, docstrings once, templates"),
    ("3c21fa6", "4c74678", "cards, campaigns, folds and views written once"),
    ("19d8169", "2865b3b", "insert-if-missing, folders in marks, names of places written once"),
    ("d356bd6", "127e62e", "fields explained beside themselves, sentences in tables, places and errors declared"),
)
"""First and last commit of each rebuilding, oldest first; the first one starts at the last commit of the flat rooms."""
LINES_BEFORE = 41412
CUSTOMERS = 3000
AS_OF = "2026-06-01"


def run(home: Home) -> Iterator[dict[str, Any]]:
    """Yields the largest room, what differs between before and after, and the lines of the three floors."""
    rooms = {path.parent for floor in FLOORS for path in (ROOT / floor).rglob("__init__.py")}
    sizes = {str(room.relative_to(ROOT)): len([*room.glob("*.py")]) - 1 for room in rooms}
    largest = max(sizes, key=lambda room: (sizes[room], room))
    yield figure(
        "house-3", "own files of the largest room", sizes[largest], goal=12, met=sizes[largest] <= 12,
        compared_with=f"{largest}; 46 before", rounds=sorted(sizes.values(), reverse=True)[:5],
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        found = [_rebuilding(Path(folder), *each) for each in REBUILDINGS]
        gone_on = _old_home(Path(folder))
    differs = [difference for each in found for difference in each["differs"]]
    yield figure(
        "house-1", "parts of one world that a rebuilding changed", len(differs), goal=0, met=not differs,
        compared_with=f"{sum(each['parts'] for each in found)} parts: portraits, models, scores, offers, list lines",
        rounds=found,
    )  # fmt: skip
    yield figure(
        "house-1", "commands that fail on a home of the flat rooms", len(gone_on), goal=0, met=not gone_on,
        compared_with="build, score, models and outreach of this commit", rounds=gone_on,
    )  # fmt: skip
    rebuilt = LINES_BEFORE + sum(each["lines"] for each in found)
    yield figure(
        "house-2", "lines of the three floors, rebuildings alone", rebuilt, goal=38500, met=rebuilt <= 38500,
        compared_with=f"{LINES_BEFORE} before; {_lines(ROOT)} with all capability added since",
    )  # fmt: skip


def _rebuilding(folder: Path, first: str, last: str, what: str) -> dict[str, Any]:
    """Compares portraits, models, scores, offers and lists of one world; the home of before goes on under the code after."""
    codes, homes = ([folder / commit / part for commit in (first, last)] for part in ("code", "home"))
    for commit, code, home in zip((first, last), codes, homes, strict=True):
        check_out(commit, code)
        insight(code, home, "demo", "--customers", str(CUSTOMERS), "--no-serve")
    (_, after), (old, new) = codes, homes
    before = contents(old)
    differs = differences(before, contents(new))
    insight(after, old, "score", "--as-of", AS_OF)
    insight(after, old, "models")
    differs += [f"old home, scored again: {each}" for each in differences(scores(before), scores(contents(old)))]
    for home in homes:
        insight(after, home, "outreach", "--as-of", AS_OF, "--capacity", "90", "--out", str(home / "second.xlsx"))
    differs += [f"old home, second list: {each}" for each in differences(contents(old), contents(new))]
    return {
        "what": what, "first": first[:7], "last": last, "parts": len(before), "differs": differs,
        "lines": _lines(codes[1]) - _lines(codes[0]),
    }  # fmt: skip


def _old_home(folder: Path) -> list[str]:
    """Goes on with the home that the flat rooms made; returns the commands that failed, with their last words."""
    home, failed = folder / REBUILDINGS[0][0] / "home", []
    for words in (
        ("build", "--as-of", AS_OF),
        ("score", "--as-of", AS_OF),
        ("models",),
        ("outreach", "--as-of", AS_OF),
    ):
        try:
            insight(ROOT, home, *words)
        except subprocess.CalledProcessError as error:
            failed.append(f"{' '.join(words)}: {error.stderr.decode().strip().splitlines()[-1]}")
    return failed


def _lines(code: Path) -> int:
    return sum(len(path.read_text().splitlines()) for floor in FLOORS for path in (code / floor).rglob("*.py"))


def check_out(commit: str, place: Path) -> None:
    """Puts a commit's code into a folder, with the entry points that its installation would have."""
    place.mkdir(parents=True)
    packed = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=False)
    if packed.returncode:
        raise NotReadyError(f"git does not know the commit {commit[:7]}", remedy="fetch the whole history")
    subprocess.run(["tar", "-x"], cwd=place, input=packed.stdout, check=True)
    project = tomllib.loads((place / "pyproject.toml").read_text())["project"]
    installed = place / f"customer_insight-{project['version']}.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    groups = [
        f"[{group}]\n" + "\n".join(f"{name} = {target}" for name, target in entries.items())
        for group, entries in project["entry-points"].items()
    ]
    (installed / "entry_points.txt").write_text("\n".join(groups) + "\n")


def insight(code: Path, home: Path, *words: str) -> None:
    """Runs a command of some code on some home. Raises CalledProcessError if it fails."""
    environment = os.environ | {"PYTHONPATH": str(code), "INSIGHT_HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run(
        [sys.executable, "-m", "features.kit.cli", *words], cwd=code, env=environment, check=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip


def contents(home: Path) -> dict[str, str]:
    """Returns part -> digest of everything that must not change: what was made when, and drawn ids, are left out."""
    import duckdb

    made: dict[str, str] = {}
    for path in sorted(home.glob("portraits/*/as_of=*/portrait.parquet")):
        made[f"portrait {path.parent.name}"] = _rows(duckdb, path, "built_at")
    for path in sorted(home.glob("mlruns/bundles/*/*/model.txt")):
        made[f"model {path.parents[1].name}"] = hashlib.sha256(path.read_bytes()).hexdigest()
        made[f"calibration {path.parents[1].name}"] = hashlib.sha256(
            (path.parent / "calibration.json").read_bytes()
        ).hexdigest()
    for path in sorted(home.glob("scores/*/*/as_of=*/scores.parquet")):
        made[f"scores {path.parents[2].name} {path.parent.name}"] = _rows(duckdb, path)
    for path in sorted(home.glob("product_fit/as_of=*/fit.parquet")):
        made[f"offers {path.parent.name}"] = _rows(duckdb, path)
    with closing(sqlite3.connect(f"file:{home / 'operations.db'}?mode=ro", uri=True)) as ledger:
        lines = ledger.execute(
            "SELECT day, position, is_carried, withdrawn_code, person_id, customer_id, action, purpose, channel, team, "
            "skill, drawn_on, valid_until, status, content FROM outreach_list_lines JOIN outreach_lines USING (line_id) "
            "ORDER BY day, position, line_id"
        ).fetchall()
    for day in sorted({row[0] for row in lines}):
        made[f"list {day}"] = hashlib.sha256(repr([row for row in lines if row[0] == day]).encode()).hexdigest()
    return made


def scores(made: dict[str, str]) -> dict[str, str]:
    """Returns the scores among the parts."""
    return {name: digest for name, digest in made.items() if name.startswith("scores")}


def differences(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Returns the parts that are missing, new or not the same."""
    return [name for name in sorted(before | after) if before.get(name) != after.get(name)]


def _rows(duckdb: Any, path: Path, *left_out: str) -> str:
    but = f"EXCLUDE ({', '.join(left_out)})" if left_out else ""
    with duckdb.connect() as connection:
        rows = connection.execute(
            f"SELECT * {but} FROM read_parquet('{path}', hive_partitioning=false) ORDER BY 1"
        ).fetchall()
    return hashlib.sha256(orjson.dumps([[repr(cell) for cell in row] for row in rows])).hexdigest()
