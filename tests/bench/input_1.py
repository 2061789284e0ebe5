"""2,000 hostile requests, slow senders beside others, and three times as many requests as can be answered (input-1).

A copy of the finished demo is served by the real `insight serve` (`make demo DEMO=--no-serve` first). What others feel
of slow senders is the ratio of their p99 with and without them, the two in turn; the noise is the same ratio of two
rounds without. Overload is offered by processes of their own, at multiples of what was answered just before.
"""

from __future__ import annotations

import socket
import statistics
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from features.kit.home import Home
from tests.hostile import requests, statuses
from tests.load import Outcome, load
from tests.results import figure
from tests.running import children_of, serve

REQUESTS, SENDERS, ROUNDS = 2_000, 64, 5
SECONDS = 4.0
READY_SECONDS = 120


def run(home: Home) -> Iterator[dict[str, Any]]:
    """Yields the answers of 5xx, what slow senders cost others, and what is left at three times the load."""
    with tempfile.TemporaryDirectory() as folder, served(home, Path(folder) / "home") as door:
        yield hostile(door)
        yield slow_senders(door)
        yield from overload(door)


@dataclass(frozen=True)
class Door:
    """A running API: its port, two keys (one may do everything), some customers, and who serves."""

    port: int
    everything: str
    other: str
    ids: list[str]
    pid: int

    def figures(self) -> list[str]:
        """Returns the lines of `/metrics`."""
        with urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=30) as answer:
            return str(answer.read().decode()).splitlines()

    def load(self, key: str, *, seconds: float = SECONDS, at_once: int = 0, rate: float = 0.0) -> Outcome:
        """Returns what a process got that scores five customers with the contact policy."""
        body: dict[str, object] = {"targets": ["churn"], "ids": self.ids[:5], "purpose": "retention", "channel": "call"}
        return load(self.port, key, body, seconds=seconds, at_once=at_once, rate=rate)


@contextmanager
def served(demo: Home, home: Path) -> Iterator[Door]:
    """Serves a copy of the demo's home: what the requests leave in the ledger goes with it."""
    from features.portraits.reading import Portraits
    from serving.database.keys import SCOPES, create_key
    from serving.database.session import opened

    subprocess.run(["cp", "-a", str(demo.root), str(home)], check=True)
    place = Home(home)
    if not place.mlruns.exists():  # the models of the default home lie beside it
        subprocess.run(["cp", "-a", str(demo.mlruns), str(place.mlruns)], check=True)
    portraits = Portraits.open(place)
    ids = portraits.read(portraits.as_of_dates()[-1], ["customer_id"])["customer_id"].to_pylist()
    with opened(place) as engine:
        keys = [create_key(engine, name, frozenset(SCOPES), actor="bench")[1] for name in ("everything", "other")]
    with serve(home, home.parent / "log", patience=READY_SECONDS) as (port, process):
        yield Door(port, f"Bearer {keys[0]}", f"Bearer {keys[1]}", ids, children_of(process.pid)[0])


def hostile(door: Door) -> dict[str, Any]:
    """Sends hostile requests of every kind and counts the 5xx among the answers, and by the service's own figures."""
    sent = list(requests(REQUESTS, {"Authorization": door.everything}, door.ids))
    with ThreadPoolExecutor(6) as pool:
        got = list(pool.map(lambda one: statuses(door.port, one), sent))
    kinds = Counter(one.kind for one, found in zip(sent, got, strict=True) if any(status >= 500 for status in found))
    own = [line for line in door.figures() if line.startswith("insight_requests_total{") and 'status="5' in line]
    worst = max(sum(kinds.values()), len(own))
    answers = Counter(status // 100 for found in got for status in found)
    told = ", ".join(f"{count} of {kind}xx" for kind, count in sorted(answers.items()))
    return figure(
        "input-1", f"{REQUESTS} hostile requests of {len({one.kind for one in sent})} kinds: answers of 5xx", worst,
        goal=0, met=worst == 0, compared_with=f"18 found by the tester; answers: {told}", rounds=[*kinds.items(), *own],
    )  # fmt: skip


def slow_senders(door: Door) -> dict[str, Any]:
    """Compares others' p99 with and without senders of a byte a moment: heads, bodies with a key, bodies without."""
    door.load(door.other, at_once=2)
    ratios, noise, times = [], [], []
    for _ in range(ROUNDS):
        calm = [door.load(door.other, at_once=2).quantile(0.99)]
        with slowly(door):
            slow = door.load(door.other, at_once=2).quantile(0.99)
        calm.append(door.load(door.other, at_once=2).quantile(0.99))
        ratios.append(slow / statistics.mean(calm))
        noise.append(calm[1] / calm[0])
        times.append([round(1000 * one, 1) for one in (calm[0], slow, calm[1])])
    ratio = round(statistics.median(ratios), 2)
    spread = f"{min(noise):.2f} to {max(noise):.2f}"
    return figure(
        "input-1", f"others' p99 beside {SENDERS} slow senders, as a multiple", ratio, goal=2.0, met=ratio <= 2.0,
        compared_with=f"rounds without them beside each other: {spread}; rounds in ms: without, with, without", rounds=times,
    )  # fmt: skip


@contextmanager
def slowly(door: Door) -> Iterator[None]:
    """Keeps 64 connections open that send a byte ten times a second, each of them opened again once it is closed."""
    ended = threading.Event()

    def sender(number: int) -> None:
        key: Mapping[str, str] = {"Authorization": door.everything} if number % 2 else {}
        whole = next(iter(requests(1, {"Authorization": door.everything, **key}, door.ids, seed=number))).content
        head = "".join(f"{name}: {value}\r\n" for name, value in key.items()).encode()
        begun = (b"", b"POST /v1/scores HTTP/1.1\r\nContent-Length: 1000\r\n" + head + b"\r\n")[number % 4 > 0]
        while not ended.is_set():
            try:
                with socket.create_connection(("127.0.0.1", door.port), timeout=5) as connection:
                    connection.sendall(begun)
                    for place in range(len(whole)):
                        if ended.wait(0.1):
                            return
                        connection.sendall(whole[place : place + 1])
            except OSError:
                ended.wait(0.1)

    threads = [threading.Thread(target=sender, args=(number,)) for number in range(SENDERS)]
    for thread in threads:
        thread.start()
    try:
        time.sleep(1)
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def overload(door: Door) -> Iterator[dict[str, Any]]:
    """Yields goodput at three times the capacity measured just before, and how soon the others are refused."""
    shares, refusals, rounds, told = [], [], [], True
    for _ in range(ROUNDS):
        capacity = door.load(door.other, at_once=8).rate()
        with ThreadPoolExecutor(2) as pool:
            both = list(pool.map(lambda key: door.load(key, rate=1.5 * capacity), (door.everything, door.other)))  # noqa: B023
        good = sum(one.rate() for one in both)
        refused = sorted(second for one in both for status in (429, 503) for second in one.answers.get(status, []))
        shares.append(good / capacity)
        refusals.append(refused[int(0.99 * len(refused))] if refused else float("nan"))
        told = told and bool(refused) and all(one.retry_after for one in both)
        rounds.append([round(capacity), round(good), len(refused), *(round(1000 * refused[int(share * len(refused))], 1) for share in (0.5, 0.95, 0.99) if refused)])  # fmt: skip
    share, soon = round(statistics.median(shares), 2), round(1000 * statistics.median(refusals), 1)
    yield figure(
        "input-1", "goodput at 3x, as a share of the capacity", share, goal=0.7, met=share >= 0.7,
        compared_with="126 of 304 a second for the tester; rounds: capacity, answered a second at 3x, refused, ms of refusal p50 p95 p99",
        rounds=rounds,
    )  # fmt: skip
    yield figure(
        "input-1", "ms until a refusal at 3x, p99, each with Retry-After", soon, goal=50, met=told and soon <= 50,
        compared_with="1.1 to 4.7 s before",
    )  # fmt: skip
