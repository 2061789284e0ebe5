"""house-1 .. house-3: the same world through the code before and after the house was rebuilt, and the house in figures.

The code before is checked out of the history beside the present one and runs with the same installed libraries.
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
BEFORE = "75b88bd3750b85f6532944b1d1fd96916c3188e9"
"""The last commit of the flat rooms; 41,412 lines in its three floors."""
CUSTOMERS = 3000
AS_OF = "2026-06-01"


def run(home: Home) -> Iterator[dict[str, Any]]:
    """Yields what differs between before and after, the lines of the three floors, and the largest room."""
    yield same_world()
    lines = sum(len(path.read_text().splitlines()) for floor in FLOORS for path in (ROOT / floor).rglob("*.py"))
    yield figure(
        "house-2", "lines of the three floors", lines, goal=38500, met=lines <= 38500, compared_with="41412 before"
    )
    rooms = {path.parent for floor in FLOORS for path in (ROOT / floor).rglob("__init__.py")}
    sizes = {str(room.relative_to(ROOT)): len([*room.glob("*.py")]) - 1 for room in rooms}
    largest = max(sizes, key=lambda room: (sizes[room], room))
    yield figure(
        "house-3", "own files of the largest room", sizes[largest], goal=12, met=sizes[largest] <= 12,
        compared_with=f"{largest}; 46 before", rounds=sorted(sizes.values(), reverse=True)[:5],
    )  # fmt: skip


def same_world() -> dict[str, Any]:
    """Compares portraits, models, scores, offers and list of one world; and a home of before goes on under the new code."""
    with tempfile.TemporaryDirectory() as folder:
        old_code, old, new = Path(folder) / "code", Path(folder) / "old", Path(folder) / "new"
        check_out(BEFORE, old_code)
        for code, home in ((old_code, old), (ROOT, new)):
            insight(code, home, "demo", "--customers", str(CUSTOMERS), "--no-serve")
        before, after = contents(old), contents(new)
        differs = differences(before, after)
        insight(ROOT, old, "score", "--as-of", AS_OF)
        insight(ROOT, old, "models")
        differs += [f"old home, scored again: {one}" for one in differences(scores(before), scores(contents(old)))]
        for home in (old, new):
            insight(ROOT, home, "outreach", "--as-of", AS_OF, "--capacity", "90", "--out", str(home / "second.xlsx"))
        differs += [f"old home, second list: {one}" for one in differences(contents(old), contents(new))]
    return figure(
        "house-1", "parts of one world that differ from the code before", len(differs), goal=0, met=not differs,
        compared_with=f"{len(before)} parts of commit {BEFORE[:7]}: portraits, models, scores, offers, list lines", rounds=differs,
    )  # fmt: skip


def check_out(commit: str, place: Path) -> None:
    """Puts a commit's code into a folder, with the entry points that its installation would have."""
    place.mkdir()
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
