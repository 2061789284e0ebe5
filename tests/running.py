"""The real `insight` as a process: `insight serve` on a free port until nobody needs it, a command with its JSON."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from features.kit.errors import NotReadyError

INSIGHT = str(Path(sys.executable).parent / "insight")
PATIENCE_SECONDS = 90


def free_port() -> int:
    """Returns a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def insight_json(*words: str) -> dict[str, Any]:
    """Returns what a command prints with `--json`, its progress being shown. Raises NotReadyError if it fails."""
    done = subprocess.run([INSIGHT, *words, "--json"], stdout=subprocess.PIPE, check=False)
    if done.returncode:
        raise NotReadyError(f"insight {words[0]} ended with {done.returncode}", remedy="its last lines say why")
    printed: dict[str, Any] = json.loads(done.stdout)
    return printed


@contextmanager
def serve(
    home: Path, log: Path, *, patience: float = PATIENCE_SECONDS
) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """Yields the port and process of a home's service once it is ready; a full pipe in place of the log would stop it."""
    port = free_port()
    with log.open("wb") as written:
        process = subprocess.Popen(
            [INSIGHT, "serve", "--port", str(port), "--home", str(home)], stdout=written, stderr=written
        )
        try:
            until_ready(port, process, patience=patience)
            yield port, process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def until_ready(
    port: int, process: subprocess.Popen[bytes], *, patience: float = PATIENCE_SECONDS, path: str = "/readyz"
) -> None:
    """Waits until the service answers `/readyz` with 200. Raises NotReadyError if it ends, or never does."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urlopen(f"http://127.0.0.1:{port}{path}", timeout=30):
                return
        except HTTPError as answer:
            answer.close()
        except (URLError, ConnectionError, TimeoutError):
            pass
        time.sleep(0.2)
    raise NotReadyError("the service never became ready", remedy="its log says why")


def children_of(parent: int) -> list[int]:
    """Returns the children that a process has spawned, oldest first: of a service who serves, and who stands by."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            status = (folder / "status").read_text()
            command = (folder / "cmdline").read_text()
        except OSError:
            continue
        if f"PPid:\t{parent}\n" in status and "spawn_main" in command:
            found.append(int(folder.name))
    return sorted(found)
