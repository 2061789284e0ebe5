"""The pages tell the truth: commands exist, links lead somewhere, the two languages agree."""

import re
from pathlib import Path
from typing import Any

import pytest
import typer

from features.kit.cli import create_app
from tests import figures
from tests.rooms import pages, with_table

ROOT = Path(__file__).parents[2]
TWINS = ("README.md", "README.zh-CN.md")


def _commands() -> Any:
    return typer.main.get_command(create_app())


@pytest.mark.parametrize("page", TWINS)
def test_every_command_on_the_page_exists_with_its_options(page: str) -> None:
    """Each `insight ...` in backquotes or code blocks resolves to a command, and each `--option` to one of its own."""
    mentioned = re.findall(
        r"(?:`|^)(?:\.venv/bin/)?insight ([a-z][^`\n]*)", (ROOT / page).read_text(), flags=re.MULTILINE
    )
    assert len(mentioned) >= 12
    commands = _commands()
    for text in mentioned:
        words, command = text.split(), commands
        assert words[0] in command.commands, f"{page}: insight {text}"
        while words and words[0] in getattr(command, "commands", {}):
            command = command.commands[words.pop(0)]
        options = {option for parameter in command.params for option in parameter.opts}
        for word in words:
            assert not word.startswith("--") or word in options | {"--help"}, f"{page}: insight {text}"


@pytest.mark.parametrize("page", TWINS)
def test_every_make_target_on_the_page_exists(page: str) -> None:
    """Each `make X` of the page is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    assert set(re.findall(r"(?:`|^)make ([a-z]+)", (ROOT / page).read_text(), flags=re.MULTILINE)) <= targets


def test_links_lead_somewhere() -> None:
    """Every relative link of every page names a file of the tree."""
    pages = [page for page in ROOT.rglob("*.md") if not {".venv", ".insight", "node_modules"} & set(page.parts)]
    assert len(pages) > 8
    broken = [
        f"{page.relative_to(ROOT)}: {link}"
        for page in pages
        for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text())
        if not (page.parent / link).exists()
    ]
    assert broken == []


def test_the_twins_have_one_shape() -> None:
    """The English and the Chinese page have the same headings, code blocks and table rows, in the same order."""

    def shape(page: str) -> list[str]:
        lines = (ROOT / page).read_text().splitlines()
        marks = [re.match(r"#+ |```|\|", line) for line in lines]
        return [mark.group(0) for mark in marks if mark]

    assert shape("README.md") == shape("README.zh-CN.md")


def test_every_room_has_a_page_whose_table_is_true() -> None:
    """Each room tells its input and output, and its table of files is what `make docs` would write."""
    made = pages()
    assert len(made) > 40
    assert [str(page.relative_to(ROOT)) for page in made if not page.exists()] == []
    assert [str(page.relative_to(ROOT)) for page, text in made.items() if page.read_text() != text] == []


def gone(page: Path, text: str) -> list[str]:
    """Returns the files that a page names in backquotes and that lie neither beside it nor at a path from the root.

    A bare name in a line that speaks of another folder is looked for there: `rows/usage.py`, `billing.py`.
    """
    found = []
    for line in text.splitlines():
        places = [page.parent, ROOT]
        for name in re.findall(r"`([\w./-]+\.(?:py|yaml|toml|md))`", line):
            if not any((place / name).exists() for place in places):
                found.append(name)
            places += [place / Path(name).parent for place in (page.parent, ROOT) if "/" in name]
    return [name for name in found if name not in MADE]


MADE = {"card.md", "evaluation.md", "step.py", "endpoints.py", "schemas.py", "service.py", "erasure.py"}
"""Names that no single file has: what a run writes, and what every room or slice calls its own."""


def test_rooms_name_only_files_that_are_there() -> None:
    """Every file that a room's page names is found from the page's folder or from the root; each page says In and Out."""
    rooms = {page: page.read_text(encoding="utf-8") for page in pages()}
    assert {str(page.relative_to(ROOT)): gone(page, text) for page, text in rooms.items() if gone(page, text)} == {}
    wanted = ("**In**", "**Out**"), ("| in | out |",)
    silent = [page for page, text in rooms.items() if not any(all(one in text for one in way) for way in wanted)]
    assert [str(page.relative_to(ROOT)) for page in silent] == []


def test_a_file_that_is_gone_is_noticed() -> None:
    """The canary: a page that names a file by its old place is not true."""
    page = ROOT / "features" / "feeds" / "README.md"
    assert gone(page, "read `contracts.py`, `landing/versions.py`, `configs/outreach.yaml`, `typing_rows.py`") == []
    assert gone(page, "first `proposal_columns.py`, then `versions.py`") == ["proposal_columns.py", "versions.py"]


def test_a_file_that_is_missing_in_a_table_is_noticed() -> None:
    """The canary: a page with an older table is not what would be written."""
    page, text = next(iter(pages().items()))
    older = text.replace(text.splitlines()[-2], "")
    assert with_table(older, "| new |") != older, page


def test_figures_on_pages_are_those_that_were_kept() -> None:
    """README and the page of figures show what `make figures` would write from the committed measurements."""
    stale = [page for page, text in figures.pages().items() if page.read_text(encoding="utf-8") != text]
    assert stale == [], "run `make figures`"


def test_a_figure_typed_by_hand_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The canary: a kept figure that changes makes the pages stale."""
    kept = [figures_entry("perf-3", 41), figures_entry("users-1", 0)]
    monkeypatch.setattr(figures, "kept", lambda kind: kept if kind == "bench" else [])
    changed = figures.pages()
    assert all(page.read_text(encoding="utf-8") != text for page, text in changed.items())
    readme, every = changed[ROOT / "README.md"], changed[ROOT / "tests" / "FIGURES.md"]
    assert "| perf-3 | speed | 41 | 40, met | a floor | 1234567, 2026-11-28 |" in readme
    assert "users-1" in every
    assert "users-1" not in readme


def figures_entry(identity: str, value: int) -> dict[str, object]:
    """Returns one entry as `make bench` writes it."""
    origin = {"commit": "1234567", "date": "2026-11-28", "machine": "a processor, 2 cores"}
    return {
        "id": identity,
        "name": "speed",
        "value": value,
        "goal": 40,
        "met": True,
        "compared_with": "a floor",
    } | origin
