"""`insight ingest` and `insight check` as a person or a program calls them."""

from __future__ import annotations

import json
import re

import yaml
from typer.testing import CliRunner

from features.journey.journey import Journey
from features.kit.cli import create_app
from features.kit.errors import QuarantineLimitError
from features.kit.terminal.progress import SILENT


def call(operator, command, *more):
    """Runs a command on the small operator in this process."""
    path = operator.root / "small.yaml"
    content = {"operator": {"name": "small"}, "files": operator.files, "feeds": operator.feeds}
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return CliRunner().invoke(create_app(), [command, "--source", str(path), "--data", str(operator.data), *more])


def with_bills(operator):
    """Maps a bills file of which one row in three is bad."""
    operator.write("bills.csv", "customer_id,period,total\n1,2026-05-01,10\n2,2026-05-01,x\n3,2026-05-01,1\n")
    operator.map("bills", "SELECT * FROM bills", known_after="P5D", max_quarantine_share=0.5)


def test_ingest_prints_accepted_and_quarantined_rows_and_why(operator):
    """A table for people, the same figures as JSON for programs."""
    with_bills(operator)
    home = ("--home", str(operator.home.root))
    text = call(operator, "ingest", *home)
    assert text.exit_code == 0
    assert "not_an_amount:total 1" in text.stdout
    again = json.loads(call(operator, "ingest", *home, "--json").stdout)
    bills = again["feeds"]["bills"]
    assert (bills["accepted"], bills["quarantined"], bills["unchanged"]) == (2, 1, True)
    assert again["as_of"] == "2026-06-01"


def test_rows_that_the_mappings_own_reject_takes_out_are_counted(operator):
    """A file's own checks refuse before any SELECT: both commands count them by feed and reason, and the month too."""
    operator.write(
        "lines.csv", "customer_id,period,total\n1,2026-05-01,10\n2,2026-05-01,-4\n,2026-05-01,1\n3,2026-05-01,x\n"
    )
    operator.map("bills", "SELECT * FROM lines", known_after="P5D", max_quarantine_share=1)
    operator.files["lines"] = {
        "path": "lines.csv", "max_quarantine_share": 1, "required": ["customer_id"], "reject": {"negative": "total[1] = '-'"},
    }  # fmt: skip
    del operator.files["bills"]
    counted = {"missing:customer_id": 1, "negative": 1, "not_an_amount:total": 1}
    home = ("--home", str(operator.home.root))
    for command, place in (("check", ()), ("ingest", home), ("ingest", home)):
        bills = json.loads(call(operator, command, *place, "--json").stdout)["feeds"]["bills"]
        assert (bills["accepted"], bills["quarantined"], bills["reasons"]) == (1, 3, counted)
    assert "negative 1" in call(operator, "check").stdout
    assert operator.open().manifest.feeds["bills"].refused == {"lines.csv": {"2026-05": 3}}


def test_a_file_called_like_its_feed_has_a_limit_of_its_own(operator):
    """Rows that the file's own `reject` takes out do not count against the feed; the refusal names what to raise."""
    operator.write("bills.csv", "customer_id,period,total\n1,2026-05-01,10\n2,2026-05-01,-4\n9,2026-05-01,1\n")
    operator.map("bills", "SELECT * FROM bills", known_after="P5D", max_quarantine_share=0.5)
    operator.files["bills"] = {
        "path": "bills.csv",
        "max_quarantine_share": 0.4,
        "reject": {"negative": "total[1] = '-'"},
    }
    assert json.loads(call(operator, "check", "--json").stdout)["feeds"]["bills"]["quarantined"] == 2
    operator.feeds["bills"]["max_quarantine_share"] = 0.4
    refusal = str(call(operator, "check").exception)
    assert refusal.startswith("feed bills: 1 of 2 rows refused (50.0%, limit 40.0%); mostly ")
    assert "raise its `max_quarantine_share`" in refusal


def test_check_tries_a_mapping_and_keeps_nothing(operator):
    """The same table, no home; too many bad rows are the same error."""
    with_bills(operator)
    text = call(operator, "check")
    assert "nothing was landed" in text.stdout
    operator.feeds["bills"]["max_quarantine_share"] = 0
    assert isinstance(call(operator, "check").exception, QuarantineLimitError)
    assert not operator.home.root.exists()


def test_check_foresees_what_no_training_can_learn_from(operator):
    """Eleven days of tickets are no history: the key that decides and the days that lack are said, to programs too."""
    rows = "".join(f"t{day},1,complaint,open,2026-05-{day:02d}\n" for day in range(1, 12))
    operator.write("tickets.csv", f"ticket_id,customer_id,kind,status,event_at\n{rows}")
    operator.map("tickets", "SELECT * FROM tickets", known_after="PT0S")
    said = json.loads(call(operator, "check", "--json").stdout)["foreseen"]
    assert set(said) == {"complaint"}
    assert "grid.first_after_days" in said["complaint"]
    assert re.search(r"land 1\d\d days more", said["complaint"])
    assert "complaint: training will make no model: the feeds reach over" in call(operator, "check").stdout


def test_the_step_keeps_the_journeys_as_of_date(operator):
    """A given as-of date stays; else the step names the latest that the feeds allow."""
    from datetime import date

    from features.feeds.step import ingest

    with_bills(operator)
    call(operator, "check")
    journey = Journey(home=operator.home, source=operator.root / "small.yaml", data=operator.data)
    assert ingest(journey, SILENT)["as_of"] == "2026-06-01"
    summary = ingest(journey.model_copy(update={"as_of": date(2026, 5, 20)}), SILENT)
    assert (summary["as_of"], summary["latest_as_of"]) == ("2026-05-20", "2026-06-01")
