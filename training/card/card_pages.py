"""A model card's sections as one Markdown page or one HTML page that needs nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

_STYLE = (
    "body{font:15px/1.6 system-ui,'Noto Sans CJK SC','Microsoft YaHei',sans-serif;max-width:60rem;margin:2rem auto;"
    "padding:0 1rem;color:#1c2733}table{border-collapse:collapse;margin:.6rem 0}td,th{border:1px solid #c9d3dd;"
    "padding:.25rem .6rem;text-align:left}th{background:#eef3f7}h2{margin-top:2rem;border-bottom:2px solid #c9d3dd}"
    "img{max-width:100%}"
)


@dataclass(frozen=True)
class Lines:
    """Sentences, as paragraphs or as a list; `title` stands above them."""

    lines: tuple[str, ...]
    as_list: bool = False
    title: str = ""


@dataclass(frozen=True)
class Facts:
    """Names and values."""

    pairs: tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Table:
    """Rows under heads; `title` stands above them."""

    heads: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    title: str = ""


Block = Lines | Facts | Table


@dataclass(frozen=True)
class Section:
    """One section of the card.

    Attributes:
        name: Its stable id.
        title: Its heading.
        blocks: What it holds.
        pictures: Files beside the card.
    """

    name: str
    title: str
    blocks: tuple[Block, ...]
    pictures: tuple[str, ...] = ()


def as_markdown(title: str, parts: Sequence[Section]) -> str:
    """Returns the page; each section begins with a comment that names it."""
    lines = [f"# {title}"]
    for part in parts:
        lines += [f"<!-- section: {part.name} -->", f"## {part.title}"]
        lines += [text for block in part.blocks for text in _markdown(block)]
        lines += [f"![{picture}]({picture})" for picture in part.pictures]
    return "\n\n".join(lines) + "\n"


def as_html(title: str, parts: Sequence[Section], language: str) -> str:
    """Returns the page; each section is an element with its id, and all styles are in the page."""
    body = []
    for part in parts:
        inner = "".join(_html(block) for block in part.blocks)
        inner += "".join(f'<p><img src="{escape(one)}" alt="{escape(one)}"></p>' for one in part.pictures)
        body.append(f'<section id="{part.name}">\n<h2>{escape(part.title)}</h2>\n{inner}\n</section>')
    language = "zh-CN" if language == "zh" else language
    return (
        f'<!doctype html>\n<html lang="{language}"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body>\n<h1>{escape(title)}</h1>\n" + "\n".join(body) + "\n</body></html>\n"
    )


def _markdown(block: Block) -> list[str]:
    if isinstance(block, Facts):
        return ["\n".join(f"- {name}: {value}" for name, value in block.pairs)]
    if not (block.rows if isinstance(block, Table) else block.lines):
        return []
    above = [f"### {block.title}"] if block.title else []
    if isinstance(block, Lines):
        return [*above, "\n".join(f"- {line}" for line in block.lines)] if block.as_list else [*above, *block.lines]
    lines = [_row(block.heads), "|---" * len(block.heads) + "|", *(_row(row) for row in block.rows)]
    return [*above, "\n".join(lines)]


def _row(cells: Sequence[Any]) -> str:
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"


def _html(block: Block) -> str:
    if isinstance(block, Facts):
        return _rows_html((), [(name, value) for name, value in block.pairs])
    if not (block.rows if isinstance(block, Table) else block.lines):
        return ""
    above = f"<h3>{escape(block.title)}</h3>" if block.title else ""
    if isinstance(block, Table):
        return above + _rows_html(block.heads, block.rows)
    if block.as_list:
        return above + "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in block.lines) + "</ul>"
    return above + "".join(f"<p>{escape(line)}</p>" for line in block.lines)


def _rows_html(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    head = "<tr>" + "".join(f"<th>{escape(one)}</th>" for one in heads) + "</tr>" if heads else ""
    body = "".join("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table>{head}{body}</table>"
