"""The commands as a team lead types them: one line of help where something is wrong, files where they were asked for."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

from features.journey.journey import Journey
from features.kit.cli import main
from features.kit.terminal.progress import SILENT
from serving.outreach.step import outreach
from tests.world import AS_OF


def insight(home, *words: str) -> subprocess.CompletedProcess[str]:
    """Runs `insight` as a fresh process would, in this one, which has the libraries already."""
    printed, complained = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    code = 0
    typed = ["insight", *words, "--home", str(home.root)]
    with (
        patch.object(sys, "argv", typed), patch.dict(os.environ), redirect_stdout(printed), redirect_stderr(complained),
    ):  # fmt: skip
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
    said = [stream.buffer.getvalue().decode() for stream in (printed, complained)]
    return subprocess.CompletedProcess(typed, code, *said)


def test_a_list_is_drawn_filled_in_and_imported(crowd, tmp_path):
    """`--out` gets both files, JSON tells the list, bad rows end with exit code 2 after the good ones are in."""
    out = tmp_path / "LIST.xlsx"
    drawn = insight(crowd, "outreach", "--as-of", "2026-06-01", "--capacity", "20", "--out", str(out), "--json")
    told = json.loads(drawn.stdout)
    assert (told["lines"], told["assumed"], told["xlsx"]) == (told["new"], True, str(out))
    assert out.exists()
    with out.with_suffix(".csv").open(encoding="utf-8-sig", newline="") as file:
        head, *rows = list(csv.reader(file))
    assert len(rows) == told["lines"]
    rows[0][head.index("联系结果*")] = "solved"
    rows[1][head.index("联系结果*")] = "accepted"
    with (tmp_path / "back.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([head, *rows])
    back = insight(crowd, "outcomes", "import", str(tmp_path / "back.csv"))
    assert back.returncode == 2
    assert back.stdout.startswith("1 imported")
    assert "第3行，订单号：“同意办理”必须填写“订单号”" in back.stderr


def test_handover_without_a_key_is_one_line(crowd):
    """No stack, no number: the scope that is missing, and how to get it."""
    refused = insight(crowd, "outreach", "handover", "L260601-01", "--reason", "morning calls")
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: handover of 'L260601-01' needs a key with the scope 'handover'")


def test_the_step_tells_what_the_journey_needs(crowd):
    """List, length, who was held back, files, and five first lines without a full number."""
    journey = Journey(home=crowd, source=Path("x"), data=Path(), as_of=AS_OF, capacity=20)
    told = outreach(journey, SILENT)
    assert {"list_id", "lines", "suppressed", "xlsx", "csv", "first_lines", "assumed"} <= set(told)
    assert len(told["first_lines"]) == 5
    assert all("139****" in line for line in told["first_lines"])
    assert outreach(journey, SILENT)["drawn_before"] is True
