"""Logs keep to their list of fields, also for what libraries write: no id, number or SQL parameter."""

import logging
import subprocess
import sys
import threading

import pytest

from features.kit import log

SECRET = "13800001234"


@pytest.fixture
def library(monkeypatch):
    """Returns a library's logger whose records pass our handler, and the lines that are written."""
    written = []

    class Lines:
        def __getattr__(self, level):
            return lambda event, **fields: written.append(
                log.keep_allowed_fields(None, level, {"event": event, "level": level, **fields})
            )

    monkeypatch.setattr(log, "get_logger", Lines)
    logger = logging.getLogger("library")
    logger.propagate, logger.handlers = False, [log.FromLibraries()]
    return logger, written


def test_a_library_s_record_keeps_its_words_and_the_kind_of_its_error(library):
    """Values, the text of an error and a traceback are not written."""
    logger, written = library
    try:
        int(SECRET + "x")
    except ValueError as error:
        logger.exception("Exception in %s of\n%s", SECRET, SECRET)
        logger.warning(error)
    assert written == [
        {"event": "Exception in %s of", "level": "error", "error_kind": "ValueError"},
        {"event": "library", "level": "warning", "error_kind": "ValueError"},
    ]


def test_a_thread_that_fails_leaves_its_kind(library):
    """Python's own hook prints the error's text."""
    _, written = library
    log._of_thread(threading.ExceptHookArgs((ValueError, ValueError(SECRET), None, threading.current_thread())))
    assert written == [{"event": "thread_failed", "level": "error", "error_kind": "ValueError"}]


def test_a_serving_process_logs_through_the_handler():
    """Once logging is set up, uvicorn, SQLAlchemy and threads have no other way to the log."""
    program = (
        "import logging, threading\nfrom features.kit.log import configure_logging\nconfigure_logging()\n"
        f"def fail(): raise ValueError('{SECRET}')\n"
        "thread = threading.Thread(target=fail); thread.start(); thread.join()\n"
        "for name in ('uvicorn.error', 'sqlalchemy.pool', 'asyncio'):\n"
        "    try:\n        fail()\n    except ValueError:\n"
        f"        logging.getLogger(name).error('{{}} %s', '{SECRET}', exc_info=True)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr.count('"error_kind": "ValueError"') == len(done.stderr.splitlines()) == 4
    assert SECRET not in done.stderr + done.stdout
