"""No test is green whatever the code does: each one has an assertion that is surely reached.

An assertion inside a loop over what the code returned says nothing when the code returns nothing; a `return` in the
middle of a test skips the rest. Both kinds once let a splitter without any split pass.
"""

import ast
from functools import partial
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
RAISES = ("pytest.raises", "pytest.warns")


def _is_written_out(loop: ast.For) -> bool:
    """Returns whether a loop runs over what stands there: a tuple, a list, a range of numbers."""
    if isinstance(loop.iter, ast.Call):
        return ast.unparse(loop.iter.func) == "range" and all(isinstance(one, ast.Constant) for one in loop.iter.args)
    return isinstance(loop.iter, ast.Tuple | ast.List) and bool(loop.iter.elts)


def _is_sure(statement: ast.stmt, checks: frozenset[str] = frozenset()) -> bool:
    """Returns whether a statement asserts, in whatever way the test goes; `checks` are functions that surely do."""
    sure = partial(_is_sure, checks=checks)
    match statement:
        case ast.Assert():
            found = not isinstance(statement.test, ast.Constant | ast.Tuple)
        case ast.With():
            raised = any(ast.unparse(item.context_expr).startswith(RAISES) for item in statement.items)
            found = raised or any(map(sure, statement.body))
        case ast.For():
            found = _is_written_out(statement) and any(map(sure, statement.body))
        case ast.If():
            found = any(map(sure, statement.body)) and any(map(sure, statement.orelse))
        case ast.Try():
            found = any(map(sure, [*statement.body, *statement.finalbody]))
        case ast.Expr(value=ast.Call(func=ast.Name(id=name))):
            found = name in checks
        case _:
            found = False
    return found


def _own(statements: list[ast.stmt]) -> list[ast.stmt]:
    """Returns statements and those inside them, without those of inner functions and classes."""
    found = []
    for one in statements:
        if not isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found += [one, *_own([inner for inner in ast.iter_child_nodes(one) if isinstance(inner, ast.stmt)])]
            found += _own([inner for part in getattr(one, "handlers", []) for inner in part.body])
    return found


def hollow(source: str) -> list[str]:
    """Returns the tests of a file that may pass without having asserted anything, and why."""
    found = []
    functions = [one for one in ast.parse(source).body if isinstance(one, ast.FunctionDef)]
    checks = frozenset(one.name for one in functions if any(map(_is_sure, one.body)))
    for test in functions:
        if test.name.startswith("test_"):
            if not any(_is_sure(one, checks) for one in test.body):
                found.append(f"{test.name}: no assertion is surely reached")
            if any(isinstance(one, ast.Return) for one in _own(test.body)):
                found.append(f"{test.name}: returns early")
    return found


def test_every_test_surely_asserts_something() -> None:
    """In all files of tests; assert that a collection is not empty before a loop over it, or compare it whole."""
    files = sorted(TESTS.rglob("test_*.py"))
    assert len(files) > 100
    assert [f"{path.relative_to(TESTS)}: {one}" for path in files for one in hollow(path.read_text("utf-8"))] == []


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("work()", "no assertion is surely reached"),
        ("assert True", "no assertion is surely reached"),
        ("assert (work(), 'words')", "no assertion is surely reached"),
        ("for one in work(): assert one", "no assertion is surely reached"),
        ("for one in (): assert one", "no assertion is surely reached"),
        ("if work(): assert False, 'x'\n    assert work()\n    if work(): return", "returns early"),
        ("if work(): assert work()", "no assertion is surely reached"),
        ("def inner(): assert work()\n    inner()", "no assertion is surely reached"),
        ("assert work()", ""),
        ("for one in (1, 2): assert work(one)", ""),
        ("with pytest.raises(ValueError): work()", ""),
        ("if work(): assert work(1)\n    else: assert work(2)", ""),
        ("def inner(): return 1\n    assert work(inner)", ""),
        ("check()", ""),
    ],
)
def test_a_hollow_test_is_found(body: str, why: str) -> None:
    """The canary: each kind of hollow test is named, and what surely asserts is not."""
    found = hollow(f"def check():\n    assert work()\n\n\ndef test_x():\n    {body}\n")
    assert found == ([f"test_x: {why}"] if why else [])


def unmirrored(tests: list[Path], root: Path) -> list[str]:
    """Returns the folders of tests of a floor that no folder of the code has."""
    rooms = {path.parent for path in tests if path.parent.relative_to(TESTS).parts[:1] in FLOORS}
    return sorted(str(room.relative_to(TESTS)) for room in rooms if not (root / room.relative_to(TESTS)).is_dir())


FLOORS = {("features",), ("training",), ("serving",)}


def test_tests_mirror_the_tree() -> None:
    """Each folder of tests is named as the room that it tests; what belongs to no room lies in arrows, journeys or bench."""
    assert unmirrored(sorted(TESTS.rglob("test_*.py")), TESTS.parent) == []
    others = {path.name for path in TESTS.iterdir() if path.is_dir() and not path.name.startswith("__")}
    assert others - {floor for (floor,) in FLOORS} == {"arrows", "journeys", "bench"}


def test_a_folder_of_tests_without_a_room_is_found() -> None:
    """The canary: tests that stayed behind when their room moved are named."""
    files = [TESTS / "features" / "kit" / "test_x.py", TESTS / "training" / "tunes" / "test_y.py"]
    assert unmirrored(files, TESTS.parent) == ["training/tunes"]
