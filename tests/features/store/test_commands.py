"""`insight publish` on the command line and as the journey's step."""

import json
from datetime import date

import pytest
from typer.testing import CliRunner

from features.journey.journey import Journey
from features.kit.cli import create_app
from features.kit.errors import ConflictError, NotReadyError
from features.kit.home import Home
from features.kit.runs import run_lock
from features.kit.terminal.progress import SILENT
from features.store.step import publish as publish_step


@pytest.fixture
def insight(monkeypatch, tmp_path, settings):
    """Runs a command line with the embedded store; a failure is raised."""
    named = tmp_path / "store.yaml"
    named.write_text(settings.model_dump_json())
    monkeypatch.setenv("INSIGHT_FEATURE_STORE", str(named))
    return lambda *words: CliRunner().invoke(create_app(), words, catch_exceptions=False)


def test_publish_on_the_command_line(home, insight):
    """The latest built date is published unless one is named; `--json` says what was done."""
    told = json.loads(insight("publish", "--home", str(home.root), "--json").stdout)
    assert (told["view"], told["as_of"], told["rows"]) == ("portrait_a", "2026-03-09", 3)
    with pytest.raises(ConflictError, match="older"):
        insight("publish", "--home", str(home.root), "--as-of", "2026-03-08")
    told = insight("publish", "--home", str(home.root), "--as-of", "2026-03-08", "--back").stdout
    assert "3 portraits as of 2026-03-08" in told


def test_publish_needs_portraits(insight, tmp_path):
    """A home without portraits is told to build."""
    with pytest.raises(NotReadyError, match="insight build"):
        insight("publish", "--home", str(tmp_path / "empty"))


def test_one_writer_at_a_time(home, insight):
    """A publish beside another writer of the home is refused, naming it."""
    with run_lock(home, "build"), pytest.raises(ConflictError, match="build"):
        insight("publish", "--home", str(home.root))


def test_the_journeys_step(home, insight, tmp_path):
    """The step publishes the journey's date, and may go back."""
    for day in (date(2026, 3, 9), date(2026, 3, 8)):
        journey = Journey(home=Home.at(home.root), source=tmp_path, data=tmp_path, as_of=day)
        assert publish_step(journey, SILENT)["rows"] == 3
