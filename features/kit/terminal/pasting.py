"""Commands inside messages, as a person can paste them: the program as it was called, with the same places."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_PLACES = ("--home", "--source", "--data")
_COMMAND = re.compile(r"(?<![\w./-])insight((?: [a-z]+){1,2})")


def pasteable(text: str, commands: Any, argv: Sequence[str]) -> str:
    """Returns a text whose `insight ...` commands name the program and the places of the command that was typed.

    What is no known command stays as it is. `commands` is the root command of click, `argv` what was typed, the program
    first.

    Example: after `venv/bin/insight train churn --home h1` the text "run `insight build`" says
    "run `venv/bin/insight build --home h1`".
    """
    given = places_in(argv[1:])
    program = program_of(argv[0])

    def with_places(match: re.Match[str]) -> str:
        words = match[1].split()
        node, taken = commands, 0
        while taken < len(words) and words[taken] in getattr(node, "commands", {}):
            node = node.commands[words[taken]]
            taken += 1
        if not taken:
            return match[0]
        accepted = {option for parameter in node.params for option in parameter.opts}
        said = re.split(r"[`;\n]", text[match.end() :], maxsplit=1)[0]
        places = [f"{flag} {shlex.quote(value)}" for flag, value in given.items() if flag in accepted - {*said.split()}]
        return " ".join([program, *words[:taken], *places, *words[taken:]])

    return _COMMAND.sub(with_places, text)


def places_in(argv: Sequence[str]) -> Mapping[str, str]:
    """Returns the options of places among typed words, `--home x` and `--home=x` alike."""
    given: dict[str, str] = {}
    for at, word in enumerate(argv):
        flag, is_joined, value = word.partition("=")
        if flag in _PLACES and (is_joined or at + 1 < len(argv)):
            given[flag] = value if is_joined else argv[at + 1]
    return given


def program_of(typed: str) -> str:
    """Returns how the program is called: as it was typed, by its name alone where the shell finds that one."""
    if Path(typed).name != "insight":
        return "insight"
    found = shutil.which("insight")
    return "insight" if found and Path(found).resolve() == Path(typed).resolve() else shlex.quote(typed)
