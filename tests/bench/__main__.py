"""`make bench [BENCH="main_job ..."]`: figures beside a floor or a peer of the same run, with the machine's noise shown.

One module a subject, each with `run(home) -> entries`; without names all of them run, and each tells what it needs.
"""

from __future__ import annotations

import importlib
import sys

from features.kit.errors import InsightError
from features.kit.home import Home
from tests.results import record

SUBJECTS = (
    "house",
    "perf-1",
    "perf-2",
    "perf-3",
    "perf-6",
    "perf-7",
    "perf-8",
    "perf-11",
    "perf-12",
    "perf-9",
    "perf-13-policy",
    "main_job",
    "kernel",
    "mapping",
    "benchmark",
    "oracle_gap",
    "calibration",
    "verdict",
    "retrain_cycles",
    "erasure",
    "offers",
    "users-2",
    "input-3",
    "input-5",
    "input-1",
    "input-4",
    "input-2",
)


def main(names: list[str]) -> int:
    """Runs the subjects, writes each entry to `<home>/results/bench.json` as it comes, and prints one line for it."""
    unknown = sorted(set(names) - set(SUBJECTS))
    if unknown:
        sys.exit(f"error: no subject {', '.join(unknown)}  -> known: {', '.join(SUBJECTS)}")
    failed = 0
    for name in names or SUBJECTS:
        try:
            for entry in importlib.import_module(f"tests.bench.{name.replace('-', '_')}").run(Home.at()):
                record("bench", [entry])
                goal = "" if entry["goal"] is None else f", goal {entry['goal']}, {'met' if entry['met'] else 'MISSED'}"
                print(f"{entry['id']}  {entry['name']}: {entry['value']} ({entry['compared_with']}{goal})", flush=True)
                print(f"      rounds {entry['rounds']}", flush=True)
        except InsightError as error:
            failed += 1
            print(
                f"{name}: {error.message}  -> {error.remedy or 'run `make demo DEMO=--no-serve` first'}",
                file=sys.stderr,
            )
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
