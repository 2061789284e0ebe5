"""Kill -9 at every failpoint of a landing: the run completes when repeated, nothing lost, nothing doubled."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import yaml

from features.feeds.landing.landing import land
from features.kit.home import Home

FIRST, SECOND = "2026-06-01T00:00:00", "2026-07-15T00:00:00"


def ingest_in_a_fresh_process(operator, home: Path, failpoint: str, log: Path) -> subprocess.CompletedProcess[str]:
    """Runs `insight ingest` with a failpoint and returns the process."""
    mapping = operator.root / "small.yaml"
    content = {"operator": {"name": "small"}, "files": operator.files, "feeds": operator.feeds}
    mapping.write_text(yaml.safe_dump(content), encoding="utf-8")
    environment = os.environ | {"INSIGHT_FAILPOINT": failpoint, "INSIGHT_FAILPOINT_LOG": str(log)}
    command = [
        str(Path(sys.executable).with_name("insight")), "ingest", "--source", str(mapping), "--data", str(operator.data),
        "--home", str(home), "--arrived-at", SECOND, "--json",
    ]  # fmt: skip
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def content_of(home: Path) -> dict[str, bytes]:
    """Returns every file of the landed state, orphans included, with its bytes."""
    folders = [home / "feeds", home / "personal", home / "quarantine"]
    paths = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(home).as_posix(): path.read_bytes() for path in paths}


def deliver_second(operator) -> None:
    """Writes the second delivery: a new month, a correction and a bad row."""
    operator.write("bills_2.csv", "customer_id,period,total\n1,2026-05-01,12\n2,2026-05-01,x\n3,2026-06-01,1\n")


def test_a_landing_killed_anywhere_completes_when_repeated(operator, tmp_path):
    """At each failpoint: killed, the last good state is what readers see; repeated, every byte is as if never killed."""

    def ingest(home: Path, arrived_at: str) -> None:
        land(operator.source(), operator.data, Home(home), arrived_at=datetime.fromisoformat(arrived_at))

    operator.write("bills_1.csv", "customer_id,period,total\n1,2026-05-01,10\n2,2026-04-01,7\n")
    operator.map("bills", "SELECT * FROM bills", known_after="P5D", max_quarantine_share=0.5)
    operator.write("persons.csv", "customer_id,person_id,valid_from\n1,P1,2025-01-01\n")
    operator.map("persons", "SELECT * FROM persons", known_after="PT1H")
    start, calm = tmp_path / "start", tmp_path / "calm"
    ingest(start, FIRST)
    shutil.copytree(start, calm)
    deliver_second(operator)
    ingest(calm, SECOND)
    ingest(calm, SECOND)  # the repeat removes the generation before
    expected = content_of(calm)
    allowed = {content_of(start)["feeds/manifest.json"], expected["feeds/manifest.json"]}
    fired = []
    for number in range(1, 100):
        home, log = tmp_path / f"home{number}", tmp_path / f"log{number}"
        shutil.copytree(start, home)
        killed = ingest_in_a_fresh_process(operator, home, f"*:{number}:kill", log)
        last = log.read_text(encoding="utf-8").split()[-1]
        if killed.returncode == 0:
            assert not last.startswith("fired:")
            break
        assert killed.returncode == -9
        fired.append(last.removeprefix("fired:"))
        assert content_of(home)["feeds/manifest.json"] in allowed
        ingest(home, SECOND)
        ingest(home, SECOND)
        assert content_of(home) == expected
    assert set(fired) == {"ingest.after_check", "ingest.after_part", "ingest.before_manifest", "ingest.after_manifest"}
