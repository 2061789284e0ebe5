"""The one command `insight`, assembled from every floor's `cli.py` without importing the upper floors.

A floor registers itself through the entry-point group `insight.commands`; each entry is a function that takes the
Typer application and adds its commands. Heavy imports happen inside the commands, so `--help` answers at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from datetime import date, datetime
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any

import typer

from features.kit.errors import ConfigurationError, InsightError, of_state
from features.kit.home import Home
from features.kit.terminal.exit_codes import ExitCode

COMMANDS_GROUP = "insight.commands"
DEBUG = "INSIGHT_DEBUG"

HomeOption = Annotated[
    Path | None,
    typer.Option("--home", help="Folder of the state [env: INSIGHT_HOME] [default: .insight]", show_default=False),
]
JsonOption = Annotated[bool, typer.Option("--json", help="End with one JSON object on stdout.")]


def create_app() -> typer.Typer:
    """Returns the command line with the commands of every floor, in floor order."""
    app = typer.Typer(
        name="insight",
        help="Know each telecom customer, and act before the customer complains or leaves.\n\n"
        "Start with `insight demo` (a synthetic operator), then `insight run` on your own files.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="markdown",
    )
    app.callback()(_options)
    order = ("features", "training", "serving")
    for entry in sorted(entry_points(group=COMMANDS_GROUP), key=lambda entry: order.index(entry.name)):
        register: Callable[[typer.Typer], None] = entry.load()
        register(app)
    return app


def main() -> None:
    """Runs the command line: an expected failure is one line with its remedy and its exit code.

    So is a failure of a file, a database, a disk or the memory, wherever it was met; `--debug` shows its traceback.
    """
    _limit_threads()
    try:
        create_app()(standalone_mode=True)
    except KeyboardInterrupt:
        _say_error("interrupted; nothing is half written", "run the same command again to continue")
        sys.exit(ExitCode.INTERRUPTED)
    except BrokenPipeError:  # the reader of a pipe has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(ExitCode.DONE)
    except Exception as error:
        expected = error if isinstance(error, InsightError) else of_state(error)
        if expected is None or DEBUG in os.environ:
            raise
        _say_error(expected.message, expected.remedy)
        sys.exit(ExitCode.FAILED)


def _options(
    *, debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of a failure.")] = False
) -> None:
    if debug:
        os.environ[DEBUG] = "1"


def _say_error(message: str, remedy: str) -> None:
    one_line = " ".join(message.split())
    print("error: " + as_typed(one_line + (f"  -> {remedy}" if remedy else "")), file=sys.stderr)


def as_typed(text: str) -> str:
    """Returns a message whose commands can be pasted where they stand (see `terminal.pasting`)."""
    from features.kit.terminal.pasting import pasteable

    return pasteable(text, typer.main.get_command(create_app()), sys.argv) if "insight " in text else text


def _limit_threads() -> None:
    """Pins native thread pools to one thread unless the user says otherwise; LightGBM and DuckDB get theirs by flag."""
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"):
        os.environ.setdefault(variable, "1")


def open_home(home: Path | None) -> Home:
    """Returns the home of a command."""
    return Home.at(home)


def parse_date(text: str | None, *, flag: str) -> date | None:
    """Returns a flag's date, of the years 1970 to 2099. Raises ConfigurationError naming the flag."""
    if text is None:
        return None
    try:
        day = datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007 - a civil date has no zone
    except ValueError:
        raise ConfigurationError(f"{flag}: '{text}' is not a date", remedy="write it as 2026-06-01") from None
    if not 1970 <= day.year < 2100:  # the range of feeds and requests
        raise ConfigurationError(f"{flag}: {day} is not between 1970 and 2100", remedy="write it as 2026-06-01")
    return day


def check_workbook(path: Path | None, *, flag: str) -> Path | None:
    """Returns a flag's path of a workbook. Raises ConfigurationError naming the flag."""
    if path is not None and path.suffix != ".xlsx":
        raise ConfigurationError(f"{flag}: '{path}' does not end in .xlsx")
    return path


def print_json(content: Any) -> None:
    """Writes one JSON object and a newline to stdout."""
    import orjson

    options = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE | orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS
    sys.stdout.buffer.write(orjson.dumps(content, option=options, default=str))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
