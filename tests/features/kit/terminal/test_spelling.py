"""A misspelt name is answered with what it may have meant."""

import pytest

from features.kit.terminal.spelling import close_names, did_you_mean


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("bils", "; did you mean 'bill'?"),
        ("complaint", "; did you mean 'complaints'?"),
        ("zzz", "; known: bill, complaints"),
    ],
)
def test_the_nearest_name_is_offered(name, expected):
    """One slip finds the name; nothing near gives what the caller offers instead."""
    assert did_you_mean(name, ("bill", "complaints"), otherwise="; known: bill, complaints") == expected


def test_names_come_closest_first():
    """At most so many names, and none that is further than the cutoff."""
    assert close_names("wuhan", ("wuhan shi", "wuhu", "beijing"), most=3, cutoff=0.5) == ["wuhan shi", "wuhu"]
    assert close_names("wuhan", ("beijing",)) == []
