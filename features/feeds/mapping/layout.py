"""How one kind of file is written: what a mapping declares about the files behind one view."""

from __future__ import annotations

import re
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from features.kit.config import Config


class CheckFile(Config):
    """The control file that an operator delivers beside its data files: one line a file, with its rows.

    It speaks for the files of its own folder, in their encoding. `file` and `rows` are its two columns.
    """

    path: str = Field(min_length=1)
    file: str = Field(min_length=1)
    rows: str = Field(min_length=1)
    delimiter: str = Field(default="|", min_length=1, max_length=1)


class File(Config):
    """One view over files of one layout; `configs/sources/README.md` says what each key means and what it catches."""

    path: str | tuple[str, ...]
    encoding: str = "utf-8"
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    compression: Literal["by_suffix", "gzip", "none"] = "by_suffix"
    header: tuple[str, ...] = ()
    headerless: bool = False
    check_file: CheckFile | None = None
    null_values: tuple[str, ...] = ("",)
    null_values_of: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    words: dict[str, dict[str, str]] = Field(default_factory=dict)
    types: dict[str, Literal["integer", "number", "date", "instant", "flag", "identifier"]] = Field(
        default_factory=dict
    )
    required: tuple[str, ...] = ()
    reject: dict[str, str] = Field(default_factory=dict)
    typical: dict[str, tuple[float, float]] = Field(default_factory=dict)
    max_quarantine_share: float = Field(default=0.01, ge=0, le=1)
    optional: bool = False

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str) -> str:
        try:
            "x".encode(value)
        except LookupError:
            raise ValueError(f"'{value}' is not an encoding") from None
        return value

    @model_validator(mode="after")
    def _together(self) -> Self:
        twice = next((name for name in self.header if self.header.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"header: '{twice}' stands twice")
        if self.headerless and not self.header:
            raise ValueError("'headerless' needs 'header', which names the columns")
        both = sorted(set(self.words) & set(self.types))
        if both:
            raise ValueError(f"words.{both[0]}: the column has a type already; keep one")
        return self

    @property
    def patterns(self) -> tuple[str, ...]:
        """Returns the globs."""
        return (self.path,) if isinstance(self.path, str) else self.path


class Table(File):
    """One view over a table or view of a database, checked row by row like files."""

    path: str | tuple[str, ...] = ()
    table: str
    watermark: str = ""
    overlap: str = "P1D"

    @field_validator("table")
    @classmethod
    def _identifier(cls, value: str) -> str:
        if not re.fullmatch(r"\w+(\.\w+){0,2}", value):
            raise ValueError(f"'{value}' is not the name of a table, such as bss.t_bill")
        return value

    @model_validator(mode="after")
    def _no_file(self) -> Self:
        wrong = sorted(self.model_fields_set & _OF_FILES)
        if wrong:
            raise ValueError(f"'{wrong[0]}' is of files; a table has none")
        return self


class Database(Config):
    """Where the tables are: `url_env` names the environment variable with the address, which stands in no mapping."""

    url_env: str = Field(pattern="^[A-Z][A-Z0-9_]*$")


_OF_FILES = {"path", "encoding", "delimiter", "compression", "header", "headerless", "check_file", "optional"}
