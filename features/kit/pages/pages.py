"""Pages for people: Jinja2 templates that lie as data in `templates/` beside the room that uses them.

`*.html.j2` escapes every value and extends `page.html.j2`, which brings the one stylesheet; `*.md.j2` and `*.txt.j2`
are plain text. Tables stand once, in `blocks.html.j2` and `blocks.md.j2`. A name that a template misses is an error.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment

SHARED = "features.kit.pages"


def render(room: str, template: str, **content: Any) -> str:
    """Returns a page.

    Args:
        room: The package beside whose modules `templates/` lies, such as "training.card".
        template: The file's name there, ending in `.html.j2`, `.md.j2` or `.txt.j2`.
        **content: What the template names. Of a page in two languages `locale` chooses: "zh" or "en".

    Raises:
        jinja2.TemplateNotFound: If there is no such file.
        jinja2.UndefinedError: If the template names what `content` lacks.
    """
    return _environment(room).get_template(template).render(content)


@lru_cache
def _environment(room: str) -> Environment:
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, select_autoescape

    made = Environment(
        loader=ChoiceLoader([PackageLoader(one) for one in dict.fromkeys((room, SHARED))]),
        autoescape=select_autoescape(("html.j2",), default=False),
        extensions=["jinja2.ext.do"],
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
    )
    made.filters["cell"] = _cell
    made.filters["base64"] = _base64
    return made


def _cell(value: Any) -> str:
    """Returns a value as it may stand in a Markdown table: without a bar or a line break that would end its cell."""
    return str(value).replace("|", "\\|").replace("\n", " ")


def _base64(content: bytes) -> str:
    import base64

    return base64.b64encode(content).decode()
