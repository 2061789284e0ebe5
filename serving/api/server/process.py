"""One serving process, spawned and watched over, and a second that stands by: it takes over where the first is killed.

To import what serving needs and to check the models takes many seconds on a busy machine; the process that stands by
has done both. It opens no port before its turn.
"""

from __future__ import annotations

import multiprocessing
import signal
import socket
import sys
import time
from multiprocessing.connection import wait
from types import FrameType

from features.kit.errors import ConfigurationError
from features.kit.home import Home
from serving.api.server.server import SERVE, SERVING, run

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


class _Worker:
    """A spawned process that waits for the order to serve."""

    def __init__(self, arguments: tuple[str, str, int]) -> None:
        spawn = multiprocessing.get_context("spawn")
        self.orders, theirs = spawn.Pipe()
        self.process = spawn.Process(target=run, args=(*arguments, theirs), name="insight-api")
        self.process.start()
        theirs.close()

    def serve(self) -> bool:
        """Gives the order; returns whether the process was there to take it."""
        try:
            self.orders.send(SERVE)
        except OSError:
            return False
        return self.process.is_alive()

    def is_serving(self) -> bool:
        """Waits until the process serves or has ended, and returns whether it serves."""
        wait([self.process.sentinel, self.orders])
        try:
            return self.orders.poll() and self.orders.recv() == SERVING
        except (EOFError, OSError):
            return False

    def end(self) -> None:
        """Asks the process to end."""
        if self.process.is_alive():
            self.process.terminate()


class _Watch:
    """The parent of the serving process, and of one that stands by once the first serves."""

    def __init__(self, home: Home, host: str, port: int) -> None:
        self._arguments = (str(home.root), host, port)
        self._serving: _Worker | None = None
        self._standby: _Worker | None = None
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
            self._end_both()
            if self._standby is not None:
                self._standby.process.join()
            for number, handler in before.items():
                signal.signal(number, handler)

    def _serve_once(self) -> int:
        worker, self._standby = self._standby, None
        if worker is None or not worker.serve():
            worker = _Worker(self._arguments)
            worker.serve()
        self._serving = worker
        self._end_if_stopping()
        if worker.is_serving():
            self._standby = _Worker(self._arguments)
            self._end_if_stopping()
        worker.process.join()
        return int(worker.process.exitcode or 0)

    def _end_if_stopping(self) -> None:
        if self._is_stopping:  # the signal came while a process was being started
            self._end_both()

    def _stop(self, _: int, __: FrameType | None) -> None:
        self._is_stopping = True
        self._end_both()

    def _end_both(self) -> None:
        for worker in (self._serving, self._standby):
            if worker is not None:
                worker.end()


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
                remedy=f"insight serve --host {host} --port {free}" if free else "choose another --host or --port",
            ) from None


def _free_port(host: str) -> int | None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        try:
            probe.bind((host, 0))
        except OSError:
            return None
        return int(probe.getsockname()[1])
