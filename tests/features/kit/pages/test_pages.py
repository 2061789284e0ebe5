"""Pages from templates: every value is escaped, every name must be known, every template is used."""

import re
from pathlib import Path

import jinja2
import pytest

from features.kit.pages import pages

ROOT = Path(pages.__file__).parents[3]
TEMPLATES = sorted(
    path.relative_to(ROOT) for floor in ("features", "training", "serving") for path in (ROOT / floor).rglob("*.j2")
)


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch):
    """Returns a function that makes an environment whose own templates are the given texts."""

    def made(**texts: str) -> None:
        real = pages._environment.__wrapped__("features.kit.pages")
        own = jinja2.DictLoader({name.replace("_", "."): text for name, text in texts.items()})
        real.loader = jinja2.ChoiceLoader([own, real.loader])
        monkeypatch.setattr(pages, "_environment", lambda _: real)

    return made


def test_a_value_cannot_break_out_of_an_html_page(room):
    """Markup in a cell and in the title is text; the page declares its language and holds its own styles."""
    room(
        p_html_j2='{% extends "page.html.j2" %}{% from "blocks.html.j2" import table %}{% block body %}{{ table(("a",), rows) }}{% endblock %}'
    )
    page = pages.render("x", "p.html.j2", locale="zh", title="<b>", rows=[("<script>",)])
    assert "<td>&lt;script&gt;</td>" in page
    assert "<title>&lt;b&gt;</title>" in page
    assert '<html lang="zh-CN">' in page
    assert "prefers-color-scheme: dark" in page


def test_a_value_cannot_break_out_of_a_markdown_table(room):
    """A bar is escaped and a line break becomes a space; nothing else changes."""
    room(p_md_j2='{% from "blocks.md.j2" import table %}{{ table(("a", "b"), rows) }}')
    page = pages.render("x", "p.md.j2", rows=[("x|y", "<1>\n2")])
    assert page == "| a | b |\n|---|---|\n| x\\|y | <1> 2 |\n"


def test_numbers_stand_right_and_dates_left(room):
    """Only what is a number is aligned; a table without heads holds names and values and aligns nothing."""
    room(p_html_j2='{% from "blocks.html.j2" import table %}{{ table(("a", "b", "c"), rows) }}{{ table((), rows) }}')
    page = pages.render("x", "p.html.j2", rows=[("1,234", -0.5, "2026-01-01")])
    assert re.findall(r"<td[^>]*>[^<]*", page) == [
        '<td class="number">1,234', '<td class="number">-0.5', "<td>2026-01-01", "<td>1,234", "<td>-0.5", "<td>2026-01-01",
    ]  # fmt: skip


def test_a_name_that_nobody_gave_is_an_error(room):
    """A misspelt name does not leave a hole in the page."""
    room(p_md_j2="{{ titel }}")
    with pytest.raises(jinja2.UndefinedError, match="titel"):
        pages.render("x", "p.md.j2", title="x")


@pytest.mark.parametrize("path", TEMPLATES, ids=str)
def test_every_template_is_read_and_is_used(path):
    """A template parses, and a module of its room names it; a shared one is named by another template."""
    room = path.parent.parent
    source = pages._environment(".".join(room.parts)).get_template(path.name)
    assert source.filename == str(ROOT / path)
    rooms = TEMPLATES if room == Path("features/kit/pages") else ()
    users = [*(ROOT / room).glob("*.py"), *(ROOT / other for other in rooms if other != path)]
    assert any(f'"{path.name}"' in user.read_text(encoding="utf-8") for user in users)
