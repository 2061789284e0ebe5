"""How a command ends: the exit codes of `insight`, each with one meaning in every room."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """The number a command leaves to the shell.

    Attributes:
        DONE: All went well; nothing is left to decide.
        DIFFERENT: A check found values that differ or are missing.
        FAILED: An expected failure, told in one line with its remedy.
        REFUSED: The data cannot carry the result; nothing was published.
        FOUND: The same number: a leak or an alarm was found, see the report.
        UNDECIDED: Done, and a person has something to decide.
        INTERRUPTED: Stopped from the keyboard.
    """

    DONE = 0
    DIFFERENT = 1
    FAILED = 2
    REFUSED = 3
    FOUND = 3
    UNDECIDED = 4
    INTERRUPTED = 130
