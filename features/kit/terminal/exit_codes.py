"""How a command ends: the exit codes of `insight`, each with one meaning in every room."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """The number a command leaves to the shell."""

    DONE = 0  # all went well; nothing is left to decide
    DIFFERENT = 1  # a check found values that differ or are missing
    FAILED = 2  # an expected failure, told in one line with its remedy
    REFUSED = 3  # the data cannot carry the result; nothing was published
    FOUND = 3  # the same number: a leak or an alarm was found, see the report
    UNDECIDED = 4  # done, and a person has something to decide
    INTERRUPTED = 130  # stopped from the keyboard
