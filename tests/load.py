"""Load on a running API, from a process of its own: so many at once, or so many a second whatever is answered.

python -m tests.load PORT KEY '{"targets": ["churn"], "ids": ["1"]}' --at-once 8 --seconds 3
python -m tests.load PORT KEY '...' --rate 300 --seconds 3
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import math
import subprocess
import sys
import time
from collections import deque
from pathlib import Path

from pydantic import BaseModel

SCORES = "/v1/scores"
MOST_OPEN = 400
"""Connections of a client that sends at a rate; a request that finds none free counts as not answered."""


class Outcome(BaseModel):
    """What a run got: seconds of each answer by status; 0 is none."""

    seconds: float
    answers: dict[int, list[float]]
    retry_after: bool

    def rate(self, status: int = 200) -> float:
        """Returns the answers of a status a second."""
        return len(self.answers.get(status, [])) / self.seconds

    def quantile(self, share: float, status: int = 200) -> float:
        """Returns the seconds within which a share of the answers of a status came."""
        return quantile(self.answers.get(status, []), share)


def quantile(times: list[float], share: float) -> float:
    """Returns the time that a share of the times does not exceed; NaN if there are none."""
    return sorted(times)[min(int(share * len(times)), len(times) - 1)] if times else math.nan


def load(
    port: int,
    key: str,
    body: dict[str, object],
    *,
    seconds: float,
    at_once: int = 0,
    rate: float = 0.0,
    path: str = SCORES,
) -> Outcome:
    """Returns what a process of its own got from the API."""
    command = [sys.executable, "-m", "tests.load", str(port), key, json.dumps(body), "--seconds", str(seconds)]
    command += ["--at-once", str(at_once), "--rate", str(rate), "--path", path]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, check=True)
    return Outcome.model_validate_json(done.stdout)


class _Client:
    """Sends one request over kept connections and keeps what came."""

    def __init__(self, port: int, content: bytes) -> None:
        self._port, self._content = port, content
        self._free: deque[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = deque()
        self._open = 0
        self.answers: dict[int, list[float]] = {}
        self.retry_after = True

    async def ask(self) -> None:
        """Sends one request and notes its status and time."""
        began = time.perf_counter()
        status = 0
        with contextlib.suppress(OSError, EOFError, TimeoutError, ValueError):
            status = await asyncio.wait_for(self._exchange(), 30)
        self.answers.setdefault(status, []).append(time.perf_counter() - began)

    async def _exchange(self) -> int:
        if self._free:
            reader, writer = self._free.pop()
        elif self._open >= MOST_OPEN:
            return 0
        else:
            self._open += 1
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        stays = False
        try:
            writer.write(self._content)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.split(b"content-length: ", 1)[1].split(b"\r\n", 1)[0])
            await reader.readexactly(length)
            stays = b"connection: close" not in head
        finally:
            if stays:
                self._free.append((reader, writer))
            else:
                self._open -= 1
                writer.close()
        status = int(head[9:12])
        if status == 503:
            self.retry_after = self.retry_after and b"retry-after: " in head
        return status


async def _run(client: _Client, seconds: float, at_once: int, rate: float) -> float:
    began = time.perf_counter()
    if at_once:

        async def one_after_another() -> None:
            while time.perf_counter() - began < seconds:
                await client.ask()

        await asyncio.gather(*(one_after_another() for _ in range(at_once)))
        return time.perf_counter() - began
    asked: list[asyncio.Task[None]] = []
    for number in range(int(seconds * rate)):
        await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
        asked.append(asyncio.create_task(client.ask()))
    await asyncio.gather(*asked)
    return time.perf_counter() - began


def main() -> None:
    """Runs the load and writes its outcome as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("key")
    parser.add_argument("body")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--at-once", type=int, default=0)
    parser.add_argument("--rate", type=float, default=0.0)
    parser.add_argument("--path", default=SCORES)
    given = parser.parse_args()
    body = given.body.encode()
    content = (
        f"POST {given.path} HTTP/1.1\r\nHost: x\r\nAuthorization: {given.key}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body
    client = _Client(given.port, content)
    spent = asyncio.run(_run(client, given.seconds, given.at_once, given.rate))
    outcome = Outcome(seconds=spent, answers=client.answers, retry_after=client.retry_after)
    sys.stdout.write(outcome.model_dump_json())


if __name__ == "__main__":
    main()
