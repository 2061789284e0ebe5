"""A command in a message can be pasted where the message stands."""

from __future__ import annotations

import sys

import pytest
import typer

from features.kit.cli import create_app, main
from features.kit.terminal.pasting import pasteable

ROOT = typer.main.get_command(create_app())


@pytest.mark.parametrize(
    ("typed", "text", "expected"),
    [
        ("train churn --home h1", "run `insight build --as-of 2026-06-01`", "run `insight build --home h1 --as-of 2026-06-01`"),
        ("train churn --home=h1", "insight models lists what is whole", "insight models --home h1 lists what is whole"),
        ("run --source a.yaml --data d --home h", "run `insight ingest` first",
         "run `insight ingest --source a.yaml --data d --home h` first"),
        ("score --home h", "insight promote churn V --home h", "insight promote churn V --home h"),
        ("outcomes held --home h", "`insight outcomes held` shows it", "`insight outcomes held --home h` shows it"),
        ("check --source a.yaml --data d", "insight catalogue lists the features", "insight catalogue lists the features"),
        ("train churn --home h", "an insight into it", "an insight into it"),
    ],
)  # fmt: skip
def test_a_printed_command_carries_the_places_that_were_typed(typed, text, expected):
    """Options that the other command takes, once, before what follows; prose stays prose."""
    shown = pasteable(text, ROOT, ["insight", *typed.split()])
    assert shown == expected


def test_an_error_names_the_program_and_a_home_with_a_space(monkeypatch, capsys, tmp_path):
    """The remedy of a home without feeds works as printed, although no shell knows `insight`."""
    home = tmp_path / "my home"
    monkeypatch.setattr(sys, "argv", ["venv/bin/insight", "build", "--home", str(home)])
    with pytest.raises(SystemExit):
        main()
    assert f"venv/bin/insight ingest --home '{home}' --source FILE --data DIR" in capsys.readouterr().err
