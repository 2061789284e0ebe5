"""One serving process, spawned and watched over: started again if it is killed, stopped with its parent."""

from __future__ import annotations

import multiprocessing
import signal
import socket
import sys
import time
from types import FrameType
from typing import Any

from features.kit.errors import ConfigurationError
from features.kit.home import Home

MOST_DEATHS = 5
DEATHS_WITHIN_SECONDS = 60.0


def serve_in_child(home: Home, host: str, port: int) -> int:
    """Serves in a spawned process until SIGINT or SIGTERM and returns the exit code.

    A process that was killed (by the kernel, or by hand) is started again, unless that happens too often; one that
    ends by itself could not start, and its exit code is returned.

    Raises:
        ConfigurationError: If the port is taken (0 takes a free one) or the address is not this machine's.
    """
    port = port or _free_port(host) or 0
    _check_free(host, port)
    print(f"starting on http://{host}:{port} (documentation at /docs); Ctrl-C ends it", flush=True)
    return _Watch(home, host, port).run()


class _Watch:
    """The parent of the serving process."""

    def __init__(self, home: Home, host: str, port: int) -> None:
        self._arguments = (str(home.root), host, port)
        self._child: Any = None
        self._is_stopping = False

    def run(self) -> int:
        """Returns the exit code once serving has ended."""
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self._stop) for number in numbers}
        deaths: list[float] = []
        try:
            while True:
                code = self._serve_once()
                if self._is_stopping:
                    return 0
                if code >= 0:
                    return code
                deaths = [at for at in deaths if time.monotonic() - at < DEATHS_WITHIN_SECONDS]
                deaths.append(time.monotonic())
                if len(deaths) >= MOST_DEATHS:
                    return 1
                print(f"the serving process died (signal {-code}); starting it again", file=sys.stderr, flush=True)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _serve_once(self) -> int:
        from serving.api.server.server import run

        spawn = multiprocessing.get_context("spawn")
        self._child = spawn.Process(target=run, args=self._arguments, name="insight-api")
        self._child.start()
        if self._is_stopping:
            self._child.terminate()
        self._child.join()
        return int(self._child.exitcode or 0)

    def _stop(self, _: int, __: FrameType | None) -> None:
        self._is_stopping = True
        if self._child is not None and self._child.is_alive():
            self._child.terminate()


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
