"""Trains one target in a fresh process, the way the pipeline does, and prints one JSON line a training.

python -m tests.journeys.reproduce HOME TARGET AS_OF SEED THREADS TIMES AUDIT

AUDIT is 1 to run the leakage audit too, 0 to leave it out: it costs most of the time and takes nothing from clean data.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
import warnings
from datetime import date
from pathlib import Path


def main(root: str, target: str, as_of: str, seed: str, threads: str, times: str, audited: str) -> None:
    """Prints `{"model", "whole_text", "data", "config", "zone", "hash_seed", "threads"}` of each training."""
    warnings.simplefilter("ignore")  # libraries warn about their own future; the parent reads stdout
    from features.kit.home import Home
    from training.bundle import model_hash
    from training.dataset.prepare import prepare
    from training.labels.history import open_records
    from training.labels.spine import labelled
    from training.labels.targets import load_target
    from training.leakage.audit import audit, gate
    from training.model.modelling import fit
    from training.tuning.few_rows import for_split

    home, chosen, native = Home(Path(root)), load_target(target), int(threads)
    for _ in range(int(times)):
        with open_records(home, threads=native) as records:
            spine = labelled(records, chosen, date.fromisoformat(as_of))
            prepared = prepare(home, chosen, spine, seed=int(seed))
            if audited == "1":
                leaks = audit(records, chosen, prepared, seed=int(seed), threads=native)
                prepared = gate(prepared, leaks, records.portraits).prepared
            sized, _ = for_split(chosen, prepared.data, prepared.split, seed=int(seed), threads=native)
            model = fit(sized, prepared.data, prepared.split, prepared.final, seed=int(seed), threads=native).model
        told = {
            "model": model_hash(model.model_text),
            "whole_text": hashlib.sha256(model.model_text.encode()).hexdigest(),
            "data": prepared.data.content_hash(),
            "config": sized.content_hash(),
            "zone": time.tzname[0],
            "hash_seed": os.environ.get("PYTHONHASHSEED", ""),
            "threads": native,
        }
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
