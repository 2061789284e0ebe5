"""The two languages of every page and list, and a text written in both."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from features.kit.config import Config

Locale = Literal["zh", "en"]
LOCALES: tuple[Locale, ...] = ("zh", "en")


class Text(Config):
    """One text in both languages; neither may be empty."""

    zh: str = Field(min_length=1)
    en: str = Field(min_length=1)

    def get(self, locale: Locale) -> str:
        """Returns the text in a language."""
        return self.en if locale == "en" else self.zh
