"""The contact policy's half of perf-13: ready after a start, up to date after a contact, here and at a million customers.

A start is a process of its own that has imported what serving needs; the home's states, and the same fifty times over
under other ids, are mapped from their copy. What reading the feeds takes instead is printed beside.
"""

from __future__ import annotations

import json
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.feeds.landed.reading import Feeds
from features.kit.home import Home
from serving.database.session import opened
from serving.outreach.feedback.contacts import record_contact
from serving.outreach.feedback.reported_rows import ReportedContact
from serving.outreach.policy import kept
from serving.outreach.policy.live import Basis, LivePolicy
from serving.outreach.policy.states import FeedStates, read_states
from serving.outreach.settings import OutreachSettings, load_settings
from tests.bench.rounds import peak_megabytes
from tests.results import figure

MILLION, ROUNDS, CONTACTS = 1_000_000, 5, 40
SIZES = (("the home", 1.0), ("1 M customers", 5.0))


def run(home: Home) -> Iterator[dict[str, Any]]:
    """Yields seconds until ready and milliseconds after a contact, for the home and for a million."""
    feeds, settings = Feeds.open(home), load_settings()
    day = feeds.latest_as_of()
    began = time.perf_counter()
    states = read_states(feeds, day, settings)
    read = time.perf_counter() - began
    with tempfile.TemporaryDirectory() as folder:
        small, large = Path(folder) / "small", Path(folder) / "large"
        kept.write_states(small, states)
        kept.write_states(large, many(states, -(-MILLION // states.states.num_rows)))
        for (name, most), place in zip(SIZES, (small, large), strict=True):
            starts = [_measured(home, place, Path(folder) / f"{place.name}{number}") for number in range(ROUNDS)]
            ready = round(statistics.median(one["ready"] for one in starts), 2)
            yield figure(
                "perf-13", f"s until the policy is ready after a start, {name}", ready, goal=most, met=ready <= most,
                compared_with=f"{starts[0]['rows']:,} subscriptions, peak {max(one['peak'] for one in starts):,} MB; reading "
                f"the home's feeds instead takes {read:.1f} s more; rounds: s on the clock and of the processor",
                rounds=[[round(one["ready"], 2), round(one["processor"], 2)] for one in starts],
            )  # fmt: skip
            waits = sorted(wait for one in starts for wait in one["waits"])
            after = round(1000 * waits[len(waits) // 2], 1)
            yield figure(
                "perf-13", f"ms until the policy knows a contact, {name}", after, goal=20.0, met=after <= 20.0,
                compared_with=f"median of {len(waits)} contacts; p95 {1000 * waits[int(0.95 * len(waits))]:.1f} ms",
                rounds=[round(1000 * statistics.median(one["waits"]), 1) for one in starts],
            )  # fmt: skip


def many(states: FeedStates, times: int) -> FeedStates:
    """Returns the states of so many towns like this one, each under ids of its own."""

    def again(table: pa.Table, *names: str) -> pa.Table:
        towns = []
        for number in range(times):
            town = table
            for name in names:
                own = pc.binary_join_element_wise(f"{number:03d}", table[name], "")
                town = town.set_column(town.column_names.index(name), name, own)
            towns.append(town)
        return pa.concat_tables(towns).combine_chunks()

    rank, rows = states.states["person_rank"].to_numpy(), states.states.num_rows
    ranks = np.concatenate([rank + number * rows for number in range(times)]).astype(np.int32)
    table = again(states.states, "customer_id", "person_id")
    table = table.set_column(table.column_names.index("person_rank"), "person_rank", pa.array(ranks))
    contacts, declines = again(states.contacts, "person_id", "contact_id"), again(states.declines, "person_id")
    return replace(states, states=table, contacts=contacts, declines=declines)


def _measured(home: Home, copy: Path, ledger: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.bench.perf_13_policy", str(home.root.resolve()), str(copy), str(ledger)]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def start(home: Home, copy: Path, ledger: Path) -> dict[str, Any]:
    """Opens the policy as a serving process does, on a copy of states and a ledger of its own, and reports contacts."""
    import serving.api.app  # noqa: F401 - what serving has imported by then

    feeds = Feeds.open(home)
    day = feeds.latest_as_of()
    basis = Basis(kept.delivery(feeds), day, cast("Any", SimpleNamespace(sequence=1)), feeds)

    def states(feeds: Feeds, _: date, settings: OutreachSettings) -> tuple[str, FeedStates]:
        name = kept.origin(feeds, day, settings)
        found = kept.states_in(copy, feeds, settings)
        assert found is not None
        return name, found

    with opened(Home(ledger)) as engine:
        began, spent = time.perf_counter(), time.process_time()
        policy = LivePolicy(home, engine, lambda: basis, states)
        book = policy.current(patience=None)
        ready, processor = time.perf_counter() - began, time.process_time() - spent
        waits = []
        for number in range(CONTACTS):
            row = number * (len(book) // CONTACTS)
            customer = str(book.table.column("customer_id")[row].as_py())
            at = datetime(day.year, day.month, day.day, tzinfo=UTC)
            contact = ReportedContact(
                contact_id=secrets.token_hex(6), customer_id=customer, at=at, action="service_review", channel="call",
                campaign=None,
            )  # fmt: skip
            record_contact(engine, contact, book.person_of(row), feeds.operator.time_zone, owner="bench")
            asked = time.perf_counter()
            codes = policy.current().verdicts([customer], "marketing", "call", day)
            waits.append(time.perf_counter() - asked)
            assert codes[0] is not None
            assert "cool_down" in codes[0].codes
        policy.stop()
    peak = peak_megabytes()
    return {"ready": ready, "processor": processor, "waits": waits, "rows": len(book), "peak": peak}


if __name__ == "__main__":
    json.dump(start(Home(Path(sys.argv[1])), Path(sys.argv[2]), Path(sys.argv[3])), sys.stdout)
