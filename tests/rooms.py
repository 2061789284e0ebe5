"""Writes the table of files into the README of every room (`make docs`); a test holds that it is up to date.

A table stands between two marks. Files stand in the order to read them in: each one only on those above it.
"""

from __future__ import annotations

import ast
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[1]
FLOORS = ("features", "training", "serving")
START, END = "<!-- files: written by `make docs` -->", "<!-- /files -->"
WITHOUT_PAGE = ("serving/api/", "serving/database/migrations")
"""The API's slices all have the same three files, and migrations are read by their number."""


def rooms() -> list[Path]:
    """Returns the folder of every room, floors included."""
    folders = [path.parent for floor in FLOORS for path in (ROOT / floor).rglob("__init__.py")]
    return sorted(one for one in folders if not f"{one.relative_to(ROOT)}".startswith(WITHOUT_PAGE))


def promise(module: Path) -> str:
    """Returns the first line of a module's docstring."""
    text = ast.get_docstring(ast.parse(module.read_text(encoding="utf-8"))) or ""
    return text.split("\n\n")[0].replace("\n", " ").replace("|", "\\|")


def table(graph: grimp.ImportGraph, room: Path) -> str:
    """Returns the room's files and inner rooms with what each does, as a Markdown table."""
    package = ".".join(room.relative_to(ROOT).parts)
    inside = sorted(graph.find_children(package))
    needs = {
        one: {other for other in inside if other != one and graph.find_shortest_chains(one, other, as_packages=True)}
        for one in inside
    }
    ordered: list[str] = []
    while needs:
        free = min(needs, key=lambda one: (len(needs[one] - set(ordered)), one))
        ordered.append(free)
        del needs[free]
    lines = ["| file | does |", "|---|---|"]
    for name in ordered:
        place = room / name.rsplit(".", 1)[1]
        inner = place.is_dir()
        shown = f"[{place.name}/]({place.name}/README.md)" if (place / "README.md").exists() else f"{place.name}/"
        lines.append(
            f"| {shown if inner else f'`{place.name}.py`'} | {promise(place / '__init__.py' if inner else place.with_suffix('.py'))} |"
        )
    return "\n".join(lines)


def with_table(page: str, new: str) -> str:
    """Returns a page with the text between its marks replaced; a page without marks gets them at its end."""
    if START not in page:
        return f"{page.rstrip()}\n\n{START}\n{new}\n{END}\n"
    before, rest = page.split(START, 1)
    return f"{before}{START}\n{new}\n{END}{rest.split(END, 1)[1]}"


def pages() -> dict[Path, str]:
    """Returns the README of every room as it should be."""
    graph = grimp.build_graph(*FLOORS, cache_dir=None)
    found = {}
    for room in rooms():
        page = room / "README.md"
        text = (
            page.read_text(encoding="utf-8") if page.exists() else f"# {room.name}\n\n{promise(room / '__init__.py')}\n"
        )
        found[page] = with_table(text, table(graph, room))
    return found


if __name__ == "__main__":
    for place, text in pages().items():
        place.write_text(text, encoding="utf-8")
