"""The feed calendar: what arrived, when, and what of a month must not be published."""

from __future__ import annotations

import shutil
from calendar import monthrange
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from features.feeds.landed.calendar import FeedCalendar, feed_calendar
from features.kit.errors import ConfigurationError

CITIES = ("Nanjing", "Suzhou", "Wuxi")
PEOPLE = 60


def days_of(month: str) -> list[str]:
    """Returns the days of a month as text."""
    year, number = map(int, month.split("-"))
    return [f"{month}-{day:02}" for day in range(1, monthrange(year, number)[1] + 1)]


def usage(month: str, *, without: str = "", days: int = 31, people: int = PEOPLE) -> str:
    """Returns a month's file: every customer every day, but for one city, the last days or the last people."""
    rows = [
        f"{one},{day},7"
        for day in days_of(month)[:days]
        for one in range(people)
        if CITIES[one % len(CITIES)] != without
    ]
    return "\n".join(["customer_id,day,data_kb", *rows]) + "\n"


CUSTOMERS = "customer_id,event_at,city\n" + "".join(
    f"{one},2026-03-01,{CITIES[one % len(CITIES)]}\n" for one in range(PEOPLE)
)


def describe(operator: Any) -> Any:
    """Gives an operator sixty customers in three cities and a file of daily use a month, each on time."""
    operator.top["deliveries"] = {"on_time_days": 10}
    operator.write("customers.csv", CUSTOMERS)
    operator.map("usage_daily", "SELECT * FROM usage_daily", known_after="PT6H", max_quarantine_share=0.5)
    return operator


@pytest.fixture(scope="module")
def two_months(tmp_path_factory: pytest.TempPathFactory, small_operator: Any) -> Path:
    """March and April delivered whole, a day after each month; landed once."""
    operator = describe(small_operator(tmp_path_factory.mktemp("town")))
    for month, arrived in (("2026-03", "2026-04-01"), ("2026-04", "2026-05-01")):
        operator.write(f"usage_daily_{month}.csv", usage(month))
        operator.land(f"{arrived}T08:00:00")
    return operator.root


@pytest.fixture
def town(operator: Any, two_months: Path) -> Any:
    """Returns a copy of the town with its two months."""
    shutil.copytree(two_months, operator.root, dirs_exist_ok=True)
    return describe(operator)


def calendar(operator: Any, month: str = "2026-05") -> FeedCalendar:
    """Returns the calendar up to a month under the operator's own mapping."""
    source = operator.source()
    first = date.fromisoformat(f"{month}-01")
    return feed_calendar(operator.open(), source.deliveries, first, mapped=frozenset(source.feeds))


def deliver(operator: Any, text: str, arrived: str = "2026-06-01T08:00:00") -> FeedCalendar:
    """Lands a file of May and returns the calendar."""
    operator.write("usage_daily_2026-05.csv", text)
    operator.land(arrived)
    return calendar(operator)


def test_a_whole_month_is_told_and_not_objected_to(town: Any) -> None:
    """Rows, arrival and change a day; May has a day more than April, which is no change."""
    found = deliver(town, usage("2026-05"))
    cell = found.of("usage_daily", "2026-05")
    assert (cell.rows, cell.change, cell.arrived_at) == (
        PEOPLE * 31,
        0.0,
        datetime.fromisoformat("2026-06-01T08:00:00"),
    )
    assert found.periods == ("2026-03", "2026-04", "2026-05")
    assert found.problems == ()
    assert found.of("usage_daily", "2026-04").arrived_at == datetime.fromisoformat("2026-05-01T08:00:00")


@pytest.mark.parametrize(
    ("delivery", "code", "words"),
    [
        (usage("2026-05", without="Suzhou"), "cities_missing", "2026-05 lacks Suzhou"),
        (usage("2026-05", days=28), "days_missing", "3 days of 2026-05 have no row"),
        (usage("2026-05", people=30), "rows_changed", "930 rows in 2026-05 after 1,800 the month before (-50% a day)"),
        ("customer_id,day,data_kb\n", "feed_missing", "no row of 2026-05"),
    ],
    ids=["lost city", "truncated month", "half the rows", "nothing"],
)
def test_what_is_wrong_with_a_month_is_named(town: Any, delivery: str, code: str, words: str) -> None:
    """Each kind of loss has its code, its feed and its figures."""
    town.write("bills.csv", "customer_id,period,total\n1,2026-05-01,5\n")  # May did arrive, for another feed
    town.map("bills", "SELECT * FROM bills", known_after="PT1H")
    found = deliver(town, delivery)
    named = [(problem.code, problem.feed) for problem in found.problems]
    assert (code, "usage_daily") in named
    assert any(words in problem.detail for problem in found.problems)


def test_a_month_that_has_not_come_is_not_complete(town: Any) -> None:
    """Asked for June after April: the feeds end in April."""
    found = calendar(town, "2026-06")
    assert found.problems[0].code == "not_delivered"
    assert "complete up to 2026-05-01" in found.problems[0].detail


def test_what_the_mapping_declares_is_not_objected_to(town: Any) -> None:
    """The canary of each limit: declared wide enough, the same losses pass."""
    town.top["deliveries"] = {"on_time_days": 10, "feeds": {"usage_daily": {"max_change_share": 2, "cities": False}}}
    assert deliver(town, usage("2026-05", without="Suzhou")).problems == ()
    town.top["deliveries"] = {"on_time_days": 10, "feeds": {"usage_daily": {"max_change_share": 0.2, "cities": False}}}
    assert [problem.code for problem in calendar(town).problems] == ["rows_changed"]


def test_a_late_feed_is_judged_by_its_own_month(town: Any) -> None:
    """Declared a month late, April is asked for in May's run; May itself is not due."""
    town.top["deliveries"] = {"on_time_days": 10, "feeds": {"usage_daily": {"months_late": 1}}}
    found = calendar(town)
    assert [problem.code for problem in found.problems] == ["not_delivered"]
    assert not found.of("usage_daily", "2026-05").is_due


def test_a_lost_city_that_comes_late_mends_the_month_and_shows_both_arrivals(town: Any) -> None:
    """The rest of May comes two days later: nothing to object to, first and last arrival differ."""
    before = deliver(town, usage("2026-05", without="Wuxi"))
    assert before.of("usage_daily", "2026-05").cities_missing == ("Wuxi",)
    rest = [line for line in usage("2026-05").split("\n")[1:] if line and int(line.split(",")[0]) % 3 == 2]
    town.write("usage_daily_2026-05_late.csv", "customer_id,day,data_kb\n" + "\n".join(rest) + "\n")
    town.land("2026-06-03T08:00:00")
    found = calendar(town)
    cell = found.of("usage_daily", "2026-05")
    assert found.problems == ()
    assert (str(cell.arrived_at), str(cell.last_arrived_at)) == ("2026-06-01 08:00:00", "2026-06-03 08:00:00")


def test_refused_rows_are_counted_in_their_month_and_only_once(town: Any) -> None:
    """Bad rows of May and one of April: each in its month, also after the file is read again beside a new one."""
    bad = usage("2026-05") + "1,2026-05-09,x\n2,2026-05-10,-4\n1,2026-04-31,5\n77,2026-04-30,5\n"
    found = deliver(town, bad)
    assert found.of("usage_daily", "2026-05").quarantined == 3
    assert found.of("usage_daily", "2026-04").quarantined == 1
    town.write("usage_daily_2026-06.csv", usage("2026-06") + "1,2026-06-09,x\n")
    town.land("2026-07-01T08:00:00")
    found = calendar(town, "2026-06")
    assert [found.of("usage_daily", month).quarantined for month in ("2026-04", "2026-05", "2026-06")] == [1, 3, 1]


def test_a_month_that_is_known_only_after_it_is_not_published_without_a_word(operator: Any) -> None:
    """Declared on time, what arrives five days after its month was known in it; late or undeclared it was not."""
    describe(operator).write("usage_daily_2026-04.csv", usage("2026-04"))
    operator.land("2026-05-01T08:00:00")
    operator.top["deliveries"] = {"on_time_days": 10}
    assert deliver(operator, usage("2026-05"), "2026-06-06T08:00:00").problems == ()
    assert len(operator.known("usage_daily", "2026-06-01", "day")) == PEOPLE * (30 + 30)  # 31 May ends as June begins
    operator.write("usage_daily_2026-06.csv", usage("2026-06"))
    operator.land("2026-07-15T08:00:00")  # five days too late
    found = calendar(operator, "2026-06")
    assert [problem.code for problem in found.problems] == ["known_too_late"]
    assert "0 of 1,800 rows" in found.problems[0].detail


def test_a_feed_that_is_months_late_is_on_time_so_much_later(operator: Any) -> None:
    """May's rows that come in July are on time where the feed is declared a month late."""
    describe(operator).write("usage_daily_2026-04.csv", usage("2026-04"))
    operator.top["deliveries"] = {"on_time_days": 10, "feeds": {"usage_daily": {"months_late": 1}}}
    operator.land("2026-06-03T08:00:00")
    operator.write("usage_daily_2026-05.csv", usage("2026-05"))
    operator.land("2026-07-06T08:00:00")
    assert len(operator.known("usage_daily", "2026-06-02", "day")) == PEOPLE * (30 + 31)


def test_without_a_declared_time_later_loads_are_known_from_their_arrival(town: Any) -> None:
    """The canary: the same June file without the declaration is objected to."""
    town.top["deliveries"] = {}
    found = deliver(town, usage("2026-05"), "2026-06-06T08:00:00")
    assert [problem.code for problem in found.problems] == ["known_too_late"]


def test_an_expectation_of_an_unmapped_feed_is_refused(town: Any) -> None:
    """A misspelt feed under `deliveries` is named."""
    town.top["deliveries"] = {"on_time_days": 10, "feeds": {"usage_dayly": {"cities": False}}}
    with pytest.raises(ConfigurationError, match=r"deliveries\.feeds\.usage_dayly"):
        town.source()


def test_plain_values_can_be_written_as_json(town: Any) -> None:
    """The calendar is what `--json` says: times in UTC with their offset."""
    content = calendar(town, "2026-04").as_dict()
    assert content["cells"][-1]["arrived_at"] == "2026-05-01T08:00:00+00:00"
    assert content["problems"] == []
