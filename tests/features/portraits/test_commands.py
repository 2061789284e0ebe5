"""The commands of this room, as a user types them."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from features.kit.cli import create_app
from features.kit.errors import ConfigurationError

RUN = CliRunner()


def test_build_classes_and_catalogue(example_world):
    """A series of dates is built, the report is printed as a table and as JSON, the catalogue as a page."""
    home = str(example_world.land().root)
    app = create_app()
    built = RUN.invoke(app, ["build", "--home", home, "--as-of", "2026-06-08", "--from", "2026-06-01", "--json"])
    assert json.loads(built.stdout)["built"] == {"2026-06-01": 24, "2026-06-08": 24}
    table = RUN.invoke(app, ["classes", "--home", home])
    assert "customer classes as of 2026-06-08" in table.stdout
    assert "complaint_sensitive" in table.stdout
    report = json.loads(RUN.invoke(app, ["classes", "--home", home, "--json"]).stdout)
    assert sum(line["size"] for line in report["classes"]) == 24
    assert "`manual_calls_count_30d`" in RUN.invoke(app, ["catalogue"]).stdout


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--engine", "pandas"], "--engine pandas"),
        (["--from", "2026-06-09", "--as-of", "2026-06-08"], "--from 2026-06-09 is after"),
        (["--from", "2026-06-01", "--as-of", "2026-06-08", "--every", "week"], "--every week"),
    ],
)
def test_a_wrong_flag_is_named(example_world, flags, said):
    """The error names the flag."""
    home = str(example_world.land().root)
    result = RUN.invoke(create_app(), ["build", "--home", home, *flags])
    assert isinstance(result.exception, ConfigurationError)
    assert said in result.exception.message
