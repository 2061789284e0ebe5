"""Identifiers in one form: what loses nothing is undone, what was destroyed is named, SQL and Python agree."""

from __future__ import annotations

import sys
import unicodedata
from typing import get_type_hints

import duckdb
import pytest

from features.kit.errors import DataError
from features.kit.values.identifiers import (
    add_functions,
    damage,
    damage_sql,
    given,
    identifier,
    identifier_sql,
    numbers_in,
    phone_number,
    phone_number_sql,
    rounded,
    spellings,
    twins,
)

FORMS = [
    ("880000001000000123", "880000001000000123"),
    ("8801", " \t\u3000８８０１\u200b\r\n"),
    ("8801", "\ufeff88\u00ad01\u202e"),
    ("8801", '="8801"'),
    ("0012", '=" 0012 "'),
    ("0012", "'0012"),
    ("123456789012345", "123456789012345.00"),
    ("A-1", "Ａ\u20111"),
    ("A 1", "A\u00a01"),
    ("12e4", "12e4"),
    ("v5.5", "v5.5"),
    ("8,000", "8,000"),
    ("-8.000", "-8.000"),
    ("8801", "8801.000"),
    ("8", "8,00"),
    ("", " \u200b\u00a0"),
]
DAMAGED = [
    ("scientific_notation", "2.02606E+17"),
    ("scientific_notation", "2,02606E+17"),
    ("scientific_notation", " ２．０２６０６Ｅ＋１７"),
    ("scientific_notation", '="1.2e17"'),
    ("scientific_notation", "-1.5E-05"),
    ("rounded_number", "880000001000000123.0"),
    ("control_character", "88\x0001"),
    ("control_character", "88\n01"),
    ("control_character", "88\ufffd01"),
    ("not_an_identifier", "NaN"),
    ("not_an_identifier", "nOne"),
    ("not_an_identifier", "#####"),
    ("not_an_identifier", "=A1+1"),
    ("not_an_identifier", "--"),
]
NUMBERS = [
    ("13812341234", "+86 138-1234-1234"),
    ("13812341234", "0086 (138) 1234.1234"),
    ("13812341234", "(+86)13812341234"),
    ("13812341234", "８６１３８\u200b１２３４１２３４"),
    ("13812341234", "13812341234.0"),
    ("138****1234", "138****1234"),
    ("13812341234", "013812341234"),
    ("13812341234", "+86 (0)138-1234-1234"),
    ("0101234567", "0101234567"),
    ("01012345678", "+86 10 1234 5678"),
    ("01012345678", "010-12345678"),
    ("14155550100", "001 (415) 555-0100"),
    ("10086", "10086"),
    ("ab12-cd", "ab12-cd"),
]


@pytest.mark.parametrize(("form", "written"), FORMS)
def test_what_loses_nothing_is_undone(form, written):
    """Blanks, invisible characters, width, spreadsheet quotes and an exact `.0` go; the rest stays, once and for all."""
    assert (identifier(written), damage(written)) == (form, "")
    assert identifier(form) == form


@pytest.mark.parametrize(("reason", "written"), DAMAGED)
def test_what_a_program_destroyed_is_named(reason, written):
    """Lost digits, control characters and words for nothing are no identifiers, however they are wrapped."""
    assert damage(written) == reason


@pytest.mark.parametrize(("form", "written"), NUMBERS)
def test_a_phone_number_has_one_form(form, written):
    """Country code, signs, blanks and width make no other number; a hash is left alone."""
    assert phone_number(written) == form
    assert phone_number(form) == form


def test_sql_and_python_say_the_same():
    """For every character at every place of a value, and for every case above, the pair agrees."""
    values = [written for case in (*FORMS, *DAMAGED, *NUMBERS) for written in case if written]
    letters = list(map(chr, range(1, 0x180)))
    values += [shape.format(char) for char in letters for shape in ("{0}", "{0}1", "1{0}", "1{0}1", "13812341{0}34")]
    odd = (
        range(0x1100, 0x1200),
        range(0x1680, 0x1820),
        range(0x2000, 0x2100),
        range(0xFE00, 0x10000),
        range(0x500, 0xD800, 29),
    )
    values += [f"1{chr(code)}1" for codes in odd for code in codes]
    with duckdb.connect() as connection:
        add_functions(connection)
        connection.execute("CREATE TABLE raw (place BIGINT, v VARCHAR)")
        import pyarrow as pa

        connection.register("given", pa.table({"place": range(len(values)), "v": values}))
        found = connection.execute(
            f"SELECT {identifier_sql('v')}, {damage_sql('v')}, {phone_number_sql('v')} FROM given ORDER BY place"
        ).fetchall()
    expected = [(identifier(v) or None, damage(v) or None, phone_number(v) or None) for v in values]
    assert [pair for pair in zip(values, expected, found, strict=True) if pair[1] != pair[2]] == []
    assert [v for v in values if identifier(identifier(v)) != identifier(v)] == []


def test_every_digit_of_every_script_is_a_digit():
    """The ranges that are looked through hold every decimal digit of Unicode but those of rare historic scripts."""
    digits = {chr(code) for code in range(sys.maxunicode) if unicodedata.decimal(chr(code), None) is not None}
    missed = {char for char in digits if identifier(char) != str(unicodedata.decimal(char))}
    assert all(unicodedata.name(char).startswith(("MATHEMATICAL", "DIVES")) for char in missed), sorted(missed)


def test_a_column_that_a_spreadsheet_cut_is_known_by_its_zeros():
    """Most of many long numbers end in zeros; by chance, in few numbers or in short ones that says nothing."""
    whole = [str(880_000_001_000_000_000 + n) for n in range(2000)]
    assert rounded(
        number[:15] + "000" for number in map(str, range(880_000_001_000_000_123, 880_000_009_000_000_123, 10**9))
    )
    assert not rounded(whole)
    assert not rounded(["880000001000000000", "880000002000000000"])
    assert not rounded(str(n * 1000) for n in range(100))


def test_numbers_are_found_in_text_however_they_are_spaced():
    """A masked search for a number sees through signs, width and country code."""
    assert "13812341234" in numbers_in("请回电＋８６ 138-1234-1234，谢谢")
    assert numbers_in("order A13812341234 of 2026") == set()
    assert {"+8613812341234", "013812341234"} < set(spellings("13812341234"))


def test_columns_that_differ_in_case_or_width_only_are_twins():
    """Two names that a person or SQL takes for one are both returned."""
    assert twins(["id", "name", "ＩＤ "]) == ("id", "ＩＤ ")
    assert twins(["id", "id_2"]) is None


def test_every_id_on_the_command_line_is_brought_into_one_form():
    """Each option that takes a person's, a customer's or a contact's id goes through the one guard."""
    from features.kit.cli import create_app

    found = []
    stack = [create_app()]
    while stack:
        app = stack.pop()
        stack += [group.typer_instance for group in app.registered_groups]
        for command in app.registered_commands:
            hints = get_type_hints(command.callback, include_extras=True)
            found += [
                hints[name].__metadata__[0].parser for name in ("person", "customer", "contact_id") if name in hints
            ]
    assert len(found) >= 6
    assert set(found) == {given}


def test_an_id_that_a_person_typed_is_in_its_one_form_or_refused():
    """What loses nothing is undone, a spoiled id is an error of one line."""
    assert given(' ="８８01" ') == "8801"
    with pytest.raises(DataError, match="scientific_notation"):
        given("2.02606E+17")
