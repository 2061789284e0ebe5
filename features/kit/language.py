"""The two languages of every page and list, and a text written in both."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import Field

from features.kit.config import Config
from features.kit.errors import ConfigurationError

Locale = Literal["zh", "en"]
LOCALES: tuple[Locale, ...] = get_args(Locale)


class Text(Config):
    """One text in both languages; neither may be empty."""

    zh: str = Field(min_length=1)
    en: str = Field(min_length=1)

    def get(self, locale: Locale) -> str:
        """Returns the text in a language."""
        return self.en if locale == "en" else self.zh


def parse_locale(text: str | None, *, flag: str) -> Locale | None:
    """Returns a flag's language, None where it is not given. Raises ConfigurationError naming the flag."""
    if text is None:
        return None
    for locale in LOCALES:
        if text == locale:
            return locale
    raise ConfigurationError(f"{flag}: '{text}' is not one of {', '.join(LOCALES)}")
