"""trust-15 and trust-16: twice the nominal load without an error, five times it with early refusals and most of the goodput.

They need a finished demo (`make demo DEMO=--no-serve`), whose home is copied, and the registry for locust.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from features.kit.errors import NotReadyError
from features.kit.home import Home
from tests.bench.input_1 import Door, served
from tests.locust_load import NOMINAL, mixed, most, unloaded
from tests.results import figure, record

pytestmark = pytest.mark.soak
CALM_SECONDS, PEAK_SECONDS, TWICE_SECONDS, FIVE_TIMES_SECONDS = 60, 30, 600, 180


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """The demo's home, copied and served."""
    if not (Home.at().feeds / "manifest.json").exists():
        pytest.skip("run `make demo DEMO=--no-serve` first")
    with served(Home.at(), tmp_path_factory.mktemp("load") / "home") as door:
        try:
            unloaded(door, 1)  # also brings locust here
        except NotReadyError as error:
            pytest.skip(f"{error.message}  -> {error.remedy}")
        yield door


def test_twice_the_nominal_load_without_an_error(door: Door) -> None:
    """Ten minutes at twice the load: nothing but good answers, and a p99 of at most three times that of a calm service."""
    calm = [unloaded(door, CALM_SECONDS).quantile(0.99)]
    came = mixed(door, 2, TWICE_SECONDS)
    calm.append(unloaded(door, CALM_SECONDS).quantile(0.99))
    errors = came.errors() + len(came.refused())
    ratio = round(came.quantile(0.99) / (sum(calm) / 2), 2)
    told = f"p99 calm before and after {[round(1000 * one, 1) for one in calm]} ms; answers {came.counts()}"
    record("soak", [
        figure("trust-15", "errors in 10 minutes at twice the load", errors, goal=0, met=errors == 0, compared_with=told),
        figure("trust-15", "p99 at twice the load, as a multiple of the calm one", ratio, goal=3.0, met=ratio <= 3.0,
               compared_with=told),
    ])  # fmt: skip
    assert errors == 0
    assert ratio <= 3.0


def test_five_times_the_load_keeps_most_of_the_goodput(door: Door) -> None:
    """Three minutes at five times the load: what a process can do is done, the rest is refused at once with Retry-After."""
    peak = most(door, PEAK_SECONDS)
    came = mixed(door, 5, FIVE_TIMES_SECONDS)
    share = round(came.rate() / min(peak.rate(), 5 * NOMINAL["single"]), 2)
    soon = round(1000 * came.refusal(0.99), 1) if came.refused() else 0.0
    told = f"peak {peak.rate():.0f} single scores a second, {came.rate():.0f} at 5x; answers {came.counts()}"
    record("soak", [
        figure("trust-16", "goodput at five times the load, of the peak or of what was asked", share, goal=0.8,
               met=share >= 0.8, compared_with=told),
        figure("trust-16", "ms until a refusal at five times the load, p99", soon, goal=50, met=soon <= 50,
               compared_with=f"{len(came.refused())} refusals; {came.errors()} answers of another kind"),
    ])  # fmt: skip
    assert share >= 0.8
    assert soon <= 50
    assert came.errors() == 0
    assert all(has_retry_after for _, has_retry_after in came.refused())
