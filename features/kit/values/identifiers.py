"""Identifiers and phone numbers in their one form, whoever wrote them: a feed, a workbook, a request, a command line.

What loses nothing is undone: blanks around, invisible characters, full-width digits and letters, `="0012"` and `'0012`,
a `.0` behind up to 15 digits. What a spreadsheet destroyed is named by `damage`. In SQL the same two functions run,
and only for values that are not plain already.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import TYPE_CHECKING

from features.kit.errors import DataError
from features.kit.sql import literals

if TYPE_CHECKING:
    import duckdb

IN_SCIENTIFIC_NOTATION = "scientific_notation"
"""What is wrong with 1.23E+17: the digits are lost."""
CUT_BY_A_DOUBLE = "rounded_number"
"""What is wrong with 880000001000000123.0, or a whole column of 880000001000000000: a double holds 15 digits."""
CONTROL_CHARACTER = "control_character"
NO_IDENTIFIER = "not_an_identifier"
DAMAGES = (CONTROL_CHARACTER, IN_SCIENTIFIC_NOTATION, CUT_BY_A_DOUBLE, NO_IDENTIFIER)
"""Everything that `damage` names."""

_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
_BLANKS = " \u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"
_BLANK = re.compile(f"[{_BLANKS}]")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ufffd]")
_DASH = re.compile("[\u2010-\u2015\u2212\ufe58\ufe63]")
_ASCII_FORMS = tuple(
    range(first, last)
    for first, last in (
        (0xA1, 0x3400), (0xA600, 0xAC00), (0xFB00, 0xFFF0), (0x10400, 0x12000), (0x16A00, 0x16F00), (0x1CCF0, 0x1CCFA),
        (0x1D400, 0x1D800), (0x1E100, 0x1E960), (0x1FBF0, 0x1FBFA),
    )
)  # fmt: skip
"""Where characters lie that are a digit, a letter or a sign of ASCII in another form."""
_QUOTED = re.compile(r'=\s*"(.*)"|"=""(.*)"""', re.DOTALL)
_DECIMAL = re.compile(r"(?![+-]?\d{1,3}[.,]000$)([+-]?\d+)[.,]0+")
"""A whole number with zeros behind its point; `8,000` and `8.000` may be eight thousand and stay as they are."""
_SCIENTIFIC = re.compile(r"[+-]?(\d\s*[eE]\s*[+]\s*\d+|\d[.,]\d+\s*[eE]\s*[+-]?\s*\d+)")
_NOTHING = ("nan", "null", "none", "undefined")
"""Words that programs write where there is no value."""
_NO_NAME = re.compile(rf"{'|'.join(_NOTHING)}|<na>|n/a|\\n|#.*|=.*|[\W_]+", re.IGNORECASE)
_MOST_DIGITS = 15
_PLAIN = "[0-9A-Za-z_-]*[0-9A-Za-z][0-9A-Za-z_-]*"
_PLAIN_NUMBER = "[1-7][0-9]*|9[0-9]*|8|8[0-57-9][0-9]*|0|0[2-9][0-9]*|01|01[0-2][0-9]*"
"""A value that its function leaves alone, as a pattern of DuckDB: the function itself is called for the others."""

_PHONE = re.compile(r"[+\d\s().\-/*]*\d[\d\s().\-/*]*")
_MOBILE = re.compile(r"(?:(?:\+|00)?86)?0(1[3-9][\d*]{9})|(?:\+|00)?86(1[\d*]{10})")
_LANDLINE = re.compile(r"(?:\+|00)86(?:0?)([1-9]\d{8,10})")
SPACED_NUMBER = r"\+?\d(?:[\s().\-/]{0,2}\d){6,19}"
"""A number with signs between its digits, as a pattern of Python and of DuckDB."""
_RUN = re.compile(rf"(?<![0-9A-Za-z]){SPACED_NUMBER}(?![0-9A-Za-z])")


def identifier(text: str) -> str:
    """Returns an identifier as it is landed, compared and looked up; empty if there is nothing but blanks.

    Example: ` ８８０1`, `="8801"` and `8801.0` give `8801`.
    """
    plain = _trimmed(text)
    quoted = _QUOTED.fullmatch(plain)
    if quoted:
        plain = _trimmed(quoted[1] if quoted[1] is not None else quoted[2])
    plain = _trimmed(plain.removeprefix("'"))
    decimal = _DECIMAL.fullmatch(plain)
    return decimal[1] if decimal and len(decimal[1].lstrip("+-")) <= _MOST_DIGITS else plain


def damage(text: str) -> str:
    """Returns what is wrong with an identifier for good, as a reason code; empty if nothing is."""
    plain = identifier(text)
    if not plain:
        return ""
    if _CONTROL.search(plain):
        return CONTROL_CHARACTER
    if _SCIENTIFIC.fullmatch(plain):
        return IN_SCIENTIFIC_NOTATION
    if _DECIMAL.fullmatch(plain):
        return CUT_BY_A_DOUBLE
    return NO_IDENTIFIER if _NO_NAME.fullmatch(plain) else ""


def given(text: str) -> str:
    """Returns an identifier that a person typed in its one form. Raises DataError if it is spoiled."""
    why = damage(text)
    if why:
        raise DataError(f"'{text}' is no identifier ({why})", remedy="copy it from where it is shown as text")
    return identifier(text)


def phone_number(text: str) -> str:
    """Returns a phone number in its one form: digits without signs between them, without the country code 86 or a plus.

    Example: `+86 138-1234-1234`, `008613812341234`, `013812341234` and full-width digits give 13812341234;
    +86 10 1234 5678 gives 01012345678; any other country's number loses its plus or 00. What is no number (a hash) is
    an identifier.
    """
    plain = identifier(text)
    if not _PHONE.fullmatch(plain):
        return plain
    digits = re.sub(r"[\s().\-/]", "", plain)
    found = _MOBILE.fullmatch(digits)
    if found:
        return found[1] or found[2]
    fixed = _LANDLINE.fullmatch(digits)
    if fixed:
        return f"0{fixed[1]}"
    return digits.removeprefix("+").removeprefix("00") or digits


def spellings(number: str) -> tuple[str, ...]:
    """Returns the forms in which releases before this one may have kept a number that came as `phone_number` gives."""
    return (
        number,
        *(f"{code}{number.removeprefix('0')}" for code in ("0", "86", "+86", "0086")),
        f"+{number}",
        f"00{number}",
    )


def numbers_in(text: str) -> set[str]:
    """Returns every phone number or long row of digits in a text, in its one form, however it is spaced."""
    return {phone_number(found) for found in _RUN.findall(_trimmed(text))}


def twins(names: Iterable[str]) -> tuple[str, str] | None:
    """Returns the first two column names that differ only in case, blanks or width, or are equal; None if none do."""
    seen: dict[str, str] = {}
    for name in names:
        key = "".join(_trimmed(name).split()).casefold()
        if key in seen:
            return seen[key], name
        seen[key] = name
    return None


def rounded(texts: Iterable[str]) -> bool:
    """Tells whether a column's long numbers came through a double: most have only zeros behind the 15th digit.

    One such number says nothing: every thousandth of 18 digits ends so by itself.
    """
    long = {text for text in texts if len(text) > _MOST_DIGITS and text.isascii() and text.isdigit()}
    ends = [text[_MOST_DIGITS:] for text in long]
    zeros = [end for end in ends if not end.strip("0")]
    return 2 * len(zeros) > len(ends) and sum(map(len, zeros)) >= 20 and len(zeros) >= 3


def identifier_sql(value: str) -> str:
    """Returns SQL of `identifier` for a text; NULL where it is empty. The connection has `add_functions`."""
    return f"(CASE WHEN {_is_plain(value, _PLAIN)} THEN {value} ELSE nullif(identifier({value}), '') END)"


def damage_sql(value: str) -> str:
    """Returns SQL of `damage` for a text; NULL where nothing is wrong."""
    is_word = f"strlen({value}) < 10 AND lower({value}) IN ({literals(_NOTHING)})"
    return f"(CASE WHEN {is_word} OR NOT {_is_plain(value, _PLAIN)} THEN nullif(damage({value}), '') END)"


def phone_number_sql(value: str) -> str:
    """Returns SQL of `phone_number` for a text; NULL where it is empty."""
    return f"(CASE WHEN {_is_plain(value, _PLAIN_NUMBER)} THEN {value} ELSE nullif(phone_number({value}), '') END)"


def add_functions(connection: duckdb.DuckDBPyConnection) -> None:
    """Gives a connection the functions that the SQL of this module calls."""
    functions: tuple[Callable[[str], str], ...] = (identifier, damage, phone_number)
    for function in functions:
        connection.create_function(function.__name__, function, ["VARCHAR"], "VARCHAR")


def _is_plain(value: str, pattern: str) -> str:
    return f"regexp_full_match({value}, '{pattern}')"


def _trimmed(text: str) -> str:
    """Returns a text without invisible characters and blanks around it, its ASCII in the usual form."""
    if not text.isascii():
        text = _DASH.sub("-", unicodedata.normalize("NFC", _INVISIBLE.sub("", text).translate(_ascii_forms())))
        text = _BLANK.sub(" ", text)
    return text.strip(" \t\r\n\v\f\x85\u2028\u2029")


@lru_cache(maxsize=1)
def _ascii_forms() -> dict[int, str]:
    """Returns character -> the one character of ASCII that it is by NFKC, or its decimal digit."""
    found: dict[int, str] = {}
    for code in (code for codes in _ASCII_FORMS for code in codes):
        digit = unicodedata.decimal(chr(code), None)
        plain = str(digit) if digit is not None else unicodedata.normalize("NFKC", chr(code))
        if len(plain) == 1 and "!" <= plain <= "~":
            found[code] = plain
    return found
