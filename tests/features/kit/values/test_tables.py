"""CSV for spreadsheets: no cell starts a formula, and every writer of the house goes through the one guard."""

import ast
import csv
import io
import re
from pathlib import Path

import duckdb
import pytest

from features.kit.values.tables import csv_text, harmless, harmless_sql

FLOORS = ("features", "training", "serving")
GUARDED = "features/kit/values/tables.py"
NOT_FOR_PEOPLE = {
    "features/simulator/rows/output.py": "the feeds of the simulated operator, from words of our own, to be landed as they are",
}
WRITES = re.compile(r"\bcsv\.(Dict)?[wW]riter$|\.(CSVWriter|write_csv|to_csv)$")
COPIES = re.compile(r"\bTO (?!STDOUT)[^;]*FORMAT csv", re.IGNORECASE)
CELLS = {
    "=1+1": "'=1+1", "+cmd|' /C calc'!A0": "'+cmd|' /C calc'!A0", "-2+3": "'-2+3", "@SUM(A1)": "'@SUM(A1)",
    "\t=1": "'\t=1", "\r=1": "'\r=1", "\n=1": "'\n=1", " =1+1": "' =1+1", "\u3000＝1": "'\u3000＝1", "＋1+1": "'＋1+1",
    "－1+1": "'－1+1", "＠a": "'＠a", "\ufeff=1": "'\ufeff=1", "-abc": "'-abc",
    "-": "-", "": "", "-5": "-5", "+8613912345678": "+8613912345678", "-1.5": "-1.5", "a=b": "a=b", "南京": "南京",
}  # fmt: skip


@pytest.mark.parametrize(("cell", "shown"), CELLS.items())
def test_a_formula_is_text_and_a_number_stays(cell, shown):
    """Signs, full-width signs, blanks before them and control characters; in Python and in SQL alike."""
    assert harmless(cell) == shown
    assert duckdb.execute(f"SELECT {harmless_sql('c')} FROM (SELECT ? AS c)", [cell]).fetchone() == (shown,)
    assert list(csv.reader(io.StringIO(csv_text([["a", cell]], line_end="\r\n"), newline=""))) == [["a", shown]]
    assert harmless(shown) == shown, "a file that is written again changes no cell"


def test_what_is_no_text_stays_itself():
    """Numbers, dates and nothing are cells of their own kind."""
    assert csv_text([[-1, -0.5, None, True]]) == "-1,-0.5,,True\n"


def unguarded(modules):
    """Returns the modules that write CSV other than through the guard."""
    found = []
    for path, text in modules.items():
        writes = any(
            (isinstance(node, ast.Attribute) and WRITES.search(ast.unparse(node)))
            or (isinstance(node, ast.ImportFrom) and node.module == "csv")
            or (isinstance(node, ast.Constant) and COPIES.search(str(node.value)))
            for node in ast.walk(ast.parse(text))
        )
        if writes and path not in NOT_FOR_PEOPLE and path != GUARDED and "harmless_sql(" not in text:
            found.append(path)
    return found


def test_every_writer_of_csv_goes_through_the_guard():
    """Walks all modules; the exceptions exist, each with its reason."""
    root = Path(__file__).parents[4]
    modules = {
        path.relative_to(root).as_posix(): path.read_text(encoding="utf-8")
        for floor in FLOORS
        for path in sorted((root / floor).rglob("*.py"))
    }
    assert unguarded(modules) == []
    assert set(NOT_FOR_PEOPLE) | {GUARDED} <= set(modules)


@pytest.mark.parametrize(
    "line",
    [
        "csv.writer(file).writerow(row)", "from csv import writer", "csv.DictWriter(file, names)", "frame.to_csv(path)", "pc.CSVWriter(f, schema)",
        "relation.write_csv(path)", "database.execute('COPY t TO x (FORMAT csv)')",
    ],
)  # fmt: skip
def test_a_writer_without_the_guard_is_found(line):
    """Canary: any of the ways to write CSV in a new module is named."""
    assert unguarded({"serving/new.py": line}) == ["serving/new.py"]
