"""Keeps what `make bench` and `make soak` measured, and writes the table of figures into the README (`make figures`).

`tests/bench/figures.json` and `tests/soak/figures.json` are the newest measurements, committed; the table is made from them
alone, so that no figure stands in the README that a command does not reproduce. A test holds that it is up to date.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import orjson

from features.kit.files import write_json
from features.kit.home import Home

ROOT = Path(__file__).parents[1]
KINDS = ("bench", "soak")
OF_SPEED = ("perf", "trust")
PAGES: dict[Path, tuple[str, ...]] = {
    ROOT / "README.md": OF_SPEED,
    ROOT / "README.zh-CN.md": OF_SPEED,
    ROOT / "tests" / "FIGURES.md": (),
}
START, END = "<!-- figures: written by `make figures` -->", "<!-- /figures -->"


def kept(kind: str) -> list[dict[str, Any]]:
    """Returns the committed entries of a kind; none before the first were kept."""
    place = _place(kind)
    entries: list[dict[str, Any]] = orjson.loads(place.read_bytes()) if place.exists() else []
    return entries


def keep(home: Home) -> list[str]:
    """Takes over what was measured in a home; an entry that was not measured again stays. Returns what was renewed."""
    renewed = []
    for kind in KINDS:
        measured = home.results / f"{kind}.json"
        if not measured.exists():
            continue
        found = {(each["id"], each["name"]): each for each in kept(kind)}
        for each in orjson.loads(measured.read_bytes()):
            if found.get((each["id"], each["name"])) != each:
                found[each["id"], each["name"]] = each
                renewed.append(f"{each['id']} {each['name']}")
        _place(kind).parent.mkdir(exist_ok=True)
        write_json(_place(kind), [found[key] for key in sorted(found, key=_in_order)])
    return renewed


def table(families: tuple[str, ...] = ()) -> str:
    """Returns the figures as a Markdown table: what, figure, goal, beside what, where and when it was measured.

    `families` are the beginnings of the ids that are wanted (`perf` of `perf-3`); all without it.
    """
    entries = [each for kind in KINDS for each in kept(kind) if not families or each["id"].startswith(families)]
    lines = ["| id | figure | value | goal | beside | measured |", "|---|---|---|---|---|---|"]
    for each in entries:
        goal = "" if each["goal"] is None else f"{each['goal']}, {'met' if each['met'] else '**missed**'}"
        cells = (
            each["id"],
            each["name"],
            each["value"],
            goal,
            each["compared_with"],
            f"{each['commit']}, {each['date']}",
        )
        lines.append("| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |")
    machines = sorted({each["machine"] for each in entries})
    return "\n".join([*lines, "", f"Measured on: {'; '.join(machines)}."]) if entries else "None kept yet."


def pages() -> dict[Path, str]:
    """Returns each page that shows figures, with the table of the kept ones between its marks."""
    return {page: _with_table(page.read_text(encoding="utf-8"), table(families)) for page, families in PAGES.items()}


def _with_table(text: str, new: str) -> str:
    before, rest = text.split(START, 1)
    return f"{before}{START}\n{new}\n{END}{rest.split(END, 1)[1]}"


def _place(kind: str) -> Path:
    return ROOT / "tests" / kind / "figures.json"


def _in_order(key: tuple[str, str]) -> tuple[str, int, str]:
    """Returns where an entry stands: by its family, by its number, by its name."""
    family, _, number = key[0].rpartition("-")
    return family, int(number) if number.isdigit() else 0, key[1]


if __name__ == "__main__":
    for line in keep(Home.at()):
        sys.stdout.write(f"{line}\n")
    for place, text in pages().items():
        place.write_text(text, encoding="utf-8")
