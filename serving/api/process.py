"""One serving process, spawned and watched over: started again if it dies, stopped with its parent."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import socket
import sys
import time
from typing import Any

from features.kit.errors import ConfigurationError
from features.kit.home import Home

STEADY_SECONDS = 10.0
"""A process that lived this long is started again; one that dies at once is not."""


def serve_in_child(home: Home, host: str, port: int) -> int:
    """Serves in a spawned process until SIGINT or SIGTERM and returns the exit code.

    Raises:
        ConfigurationError: If the port is taken or the address is not this machine's.
    """
    _check_free(host, port)
    spawn = multiprocessing.get_context("spawn")
    stopping = False
    child: Any = None

    def stop(number: int, _: Any) -> None:
        nonlocal stopping
        stopping = True
        if child is not None and child.is_alive() and number == signal.SIGTERM:
            child.terminate()  # SIGINT reaches the child by itself: both stand in the terminal's group

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        while True:
            started = time.monotonic()
            from serving.api.server import run

            child = spawn.Process(target=run, args=(str(home.root), host, port), name="insight-api")
            child.start()
            print(f"serving on http://{host}:{port}  (documentation: /docs, stop: Ctrl-C)", file=sys.stderr)
            child.join()
            if stopping:
                return 0
            if time.monotonic() - started < STEADY_SECONDS:
                return int(child.exitcode or 1)
            print("the serving process died; starting it again", file=sys.stderr)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if child is not None and child.is_alive():
            child.terminate()
            with contextlib.suppress(Exception):
                child.join(15)


def _check_free(host: str, port: int) -> None:
    """Raises ConfigurationError naming a free port if this one is taken."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            free = _free_port(host)
            raise ConfigurationError(
                f"cannot listen on {host}:{port} ({error.strerror})",
                remedy=f"insight serve --port {free}" if free else "choose another --host or --port",
            ) from None


def _free_port(host: str) -> int | None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        try:
            probe.bind((host, 0))
        except OSError:
            return None
        return int(probe.getsockname()[1])
