"""A list is drawn once, carried over honestly, and never exports whom the ledger or the policy forbids."""

from __future__ import annotations

import csv
import io
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import select

from features.kit.errors import ConflictError, NotFoundError
from features.kit.home import Home
from serving.database.session import open_database, reading
from serving.database.tables_outreach import ClaimDayRow, ListLineRow, OutreachLineRow
from serving.outreach.feedback.landing import import_outcomes
from serving.outreach.feedback.returns import Report
from serving.outreach.lists import draw
from serving.outreach.lists.draw import draw_list
from serving.outreach.lists.release import Released
from serving.outreach.lists.request import ListRequest
from tests.serving.outreach.conftest import at
from tests.world import AS_OF, Town, card, write_people, write_scores

JUNE_2, JUNE_3, JUNE_4 = date(2026, 6, 2), date(2026, 6, 3), date(2026, 6, 4)

PULL = """
import sys
from datetime import date
from features.kit.home import Home
from serving.outreach.lists.draw import draw_list
from serving.outreach.lists.request import ListRequest
print(draw_list(Home.at(sys.argv[1]), ListRequest(date(2026, 6, 1), 30), key=sys.argv[2]).list_id)
"""


def rows_of(released: Released) -> list[dict[str, str]]:
    """Returns the rows of a list's CSV by column header."""
    return list(csv.DictReader(io.StringIO(released.csv.read_text(encoding="utf-8-sig"))))


def ids_of(released: Released) -> list[str]:
    """Returns the line ids of a list in order."""
    return [row["行号"] for row in rows_of(released)]


def lines(home: Home) -> dict[str, OutreachLineRow]:
    """Returns every line of the ledger by id."""
    with reading(open_database(home)) as session:
        return {row.line_id: row for row in session.scalars(select(OutreachLineRow))}


def report(line_id: str, disposition: str, **more) -> Report:
    """Returns a report of the morning of 1 June."""
    known = {"attempted_at": at("2026-06-01T02:30:00")}
    return Report(1, line_id, disposition, **{**known, **more})


def test_the_same_request_is_the_same_list_to_the_byte(crowd):
    """A repeated command claims nobody anew; another request under its key is refused; a new key takes others."""
    first = draw_list(crowd, ListRequest(AS_OF, 30), key="morning")
    bytes_before = first.xlsx.read_bytes(), first.csv.read_bytes()
    again = draw_list(crowd, ListRequest(AS_OF, 30), key="morning")
    assert (again.list_id, again.is_replay) == (first.list_id, True)
    assert (again.xlsx.read_bytes(), again.csv.read_bytes()) == bytes_before
    with pytest.raises(ConflictError, match="'morning' was used with another request"):
        draw_list(crowd, ListRequest(AS_OF, 31), key="morning")
    other = draw_list(crowd, ListRequest(AS_OF, 30), key="noon")
    assert not set(ids_of(first)) & set(ids_of(other))


def test_the_other_language_is_a_view_of_the_same_list(crowd):
    """The same request in English, with a key and without, is the same list with files beside the Chinese ones."""
    for key in (None, "morning"):
        chinese = draw_list(crowd, ListRequest(AS_OF, 30), key=key)
        english = draw_list(crowd, ListRequest(AS_OF, 30, "en"), key=key)
        assert (english.list_id, english.is_replay, english.lines) == (chinese.list_id, True, chinese.lines)
        assert chinese.lines > 0
        with english.csv.open(encoding="utf-8-sig", newline="") as file:
            assert [row["line_id"] for row in csv.DictReader(file)] == ids_of(chinese)


def test_who_opted_out_leaves_the_files_of_both_languages(crowd):
    """A list that is asked for in Chinese again takes whoever was withdrawn off the English files too."""
    chinese, english = (draw_list(crowd, ListRequest(AS_OF, 30, locale)) for locale in ("zh", "en"))
    gone = ids_of(chinese)[0]
    import_outcomes(crowd, [report(gone, "never_again")])
    assert gone not in ids_of(draw_list(crowd, ListRequest(AS_OF, 30)))
    assert gone not in english.csv.read_text(encoding="utf-8-sig")
    assert english.csv.read_bytes().count(b"\r\n") == len(ids_of(chinese)) + 1


def test_capacity_bounds_the_list_and_duties_come_first(crowd):
    """Thirty attempts give at most thirty lines; the overdue tickets are before everything else of their team."""
    released = draw_list(crowd, ListRequest(AS_OF, 30))
    rows = rows_of(released)
    assert released.lines == len(rows) <= 30
    care = [row["建议动作"] for row in rows if row["班组"] == "服务关怀组"]
    assert care[0] == "问题回访"
    assert released.summary["over_capacity"] > 0


def test_every_duty_by_message_is_told_whatever_people_can_call(tmp_path):
    """One call a day among the teams: 150 outage notices and 150 reminders of arrears go out all the same."""
    town = Town(tmp_path)
    people = {}
    for k in range(300):
        one = f"C{k:04d}"
        town.customer(one)
        arrears = {"bill.arrears": {"amount": 59_000, "days": 9}}
        outage = {"network.grid_fault": {"ticket": "G1", "date": "2026-06-02"}}
        people[one] = {"reasons": arrears if k % 2 else outage}
    town.land()
    write_people(town.home, people)
    write_scores(town.home, "churn", {one: {"p": 0.1, "band": "normal"} for one in people})
    released = draw_list(town.home, ListRequest(AS_OF, 1))
    told = Counter(row["建议动作"] for row in rows_of(released))
    control = released.summary["suppressed"]
    assert told == Counter({"抢修告知": 150, "缴费提醒": 150}), control
    assert released.summary["over_capacity"] == 0


def test_carried_lines_say_what_holds_today(tmp_path):
    """Repair put off is told anew, a repair that is over withdraws its line, and a promised call stays whatever holds."""
    town = Town(tmp_path)
    facts = {
        "C0001": {"network.grid_fault": {"ticket": "G1", "date": "2026-06-01"}},
        "C0002": {"network.grid_fault": {"ticket": "G2", "date": "2026-06-01"}},
        "C0003": {"network.grid_fault": {"ticket": "G3", "date": "2026-06-01"}},
        "C0004": {"service.ticket_overdue": {"ticket": "T4", "hours": 30}},
        "C0005": {"service.ticket_overdue": {"ticket": "T5", "hours": 30}},
    }
    for one in facts:
        town.customer(one)
    town.land()
    write_scores(town.home, "churn", {one: {"p": 0.1, "band": "normal"} for one in facts})
    write_people(town.home, {one: {"reasons": reasons} for one, reasons in facts.items()})
    first = draw_list(town.home, ListRequest(AS_OF))
    assert first.lines == 5
    line_of = {row.customer_id: row.line_id for row in lines(town.home).values()}
    import_outcomes(town.home, [report(line_of["C0004"], "callback", next_at=at("2026-06-02T07:00:00"), agent="7")])
    facts["C0001"] = {"network.grid_fault": {"ticket": "G1", "date": "2026-06-05"}}
    facts["C0003"] = facts["C0004"] = facts["C0005"] = {}
    write_people(town.home, {one: {"reasons": reasons} for one, reasons in facts.items()}, JUNE_2)
    write_scores(town.home, "churn", {one: {"p": 0.1, "band": "normal"} for one in facts}, JUNE_2)
    second = draw_list(town.home, ListRequest(JUNE_2))
    assert ids_of(second) == [line_of["C0004"], line_of["C0001"]]
    assert "6月5日" in rows_of(second)[1]["开场白"], rows_of(second)[1]["开场白"]
    assert second.summary["withdrawn"] == {"no_longer_true": 3}


def test_the_lists_of_a_day_share_its_capacity(crowd, settings, monkeypatch):
    """Of 12 care attempts a day, six are left to the second list and none to the third; the next day has its own."""
    small = [one.model_copy(update={"attempts": 12}) for one in settings.capacity]
    monkeypatch.setattr(draw, "load_settings", lambda: settings.model_copy(update={"capacity": tuple(small)}))
    share = 6 * len(small)
    first = draw_list(crowd, ListRequest(AS_OF, share), key="1")
    worked = next(row["行号"] for row in rows_of(first) if row["班组"] == "服务关怀组")
    import_outcomes(crowd, [report(worked, "solved")])
    draw_list(crowd, ListRequest(AS_OF), key="2")
    third = draw_list(crowd, ListRequest(AS_OF), key="3")
    drawn = Counter((one.team, one.skill) for one in lines(crowd).values())
    assert (max(drawn.values()), third.lines) == (12, 0)
    assert third.summary["over_capacity"] > 0
    assert draw_list(crowd, ListRequest(JUNE_2), key="4").lines > 0


@pytest.mark.parametrize("nth", range(1, 10))
def test_a_killed_pull_is_completed_by_the_next(crowd, tmp_path, nth, undisturbed):
    """Killed at any failpoint, the same command ends with the very list of an undisturbed run; nobody is doubled."""
    log = tmp_path / "hits"
    environment = {"INSIGHT_FAILPOINT": f"*:{nth}:kill", "INSIGHT_FAILPOINT_LOG": str(log), "PATH": "/usr/bin:/bin"}
    victim = subprocess.run([sys.executable, "-c", PULL, str(crowd.root), "k"], env=environment, check=False,
                            capture_output=True)  # fmt: skip
    fired = [line for line in log.read_text().splitlines() if line.startswith("fired:outreach.")]
    assert (bool(fired), victim.returncode) == ((True, -9) if nth <= 8 else (False, 0)), victim.stderr
    completed = draw_list(crowd, ListRequest(AS_OF, 30), key="k")
    assert completed.csv.read_bytes() == undisturbed
    with reading(open_database(crowd)) as session:
        claims = Counter(session.scalars(select(ClaimDayRow.line_id)))
        listed = session.scalars(select(ListLineRow.line_id)).all()
    assert claims == dict.fromkeys(listed, 3)


@pytest.fixture(scope="module")
def undisturbed(crowd_home, tmp_path_factory) -> bytes:
    """Returns the CSV of the same pull without any kill."""
    import shutil

    root = tmp_path_factory.mktemp("undisturbed") / "home"
    shutil.copytree(crowd_home.root, root)
    return draw_list(Home(root), ListRequest(AS_OF, 30), key="k").csv.read_bytes()


def test_twenty_parallel_pulls_never_share_a_person(crowd):
    """Four processes with five threads each pull at once: every person is on one line, every claim is whole."""
    program = (
        "import sys, threading\nfrom datetime import date\nfrom features.kit.home import Home\n"
        "from serving.outreach.lists.draw import draw_list\nfrom serving.outreach.lists.request import ListRequest\n"
        "def pull(n): draw_list(Home.at(sys.argv[1]), ListRequest(date(2026, 6, 1), 6), key=f'{sys.argv[2]}-{n}')\n"
        "threads = [threading.Thread(target=pull, args=(n,)) for n in range(5)]\n"
        "[t.start() for t in threads]; [t.join() for t in threads]\n"
    )
    children = [
        subprocess.Popen([sys.executable, "-c", program, str(crowd.root), f"p{n}"], stderr=subprocess.PIPE)
        for n in range(4)
    ]
    errors = [child.communicate()[1].decode() for child in children]
    assert errors == [""] * 4
    with reading(open_database(crowd)) as session:
        persons = Counter(session.scalars(select(OutreachLineRow.person_id)))
        placed = Counter(session.scalars(select(ListLineRow.line_id)))
        lists = set(session.scalars(select(ListLineRow.list_id)))
    assert set(persons.values()) == set(placed.values()) == {1}
    assert len(lists) > 10


def test_unfinished_lines_are_carried_over_and_never_new(crowd):
    """No answer on 1 June: the same line comes back on 2 and 3 June, and the third attempt ends it with a rest."""
    first = draw_list(crowd, ListRequest(AS_OF, 30))
    line = next(iter(ids_of(first)))
    import_outcomes(crowd, [report(line, "no_answer")])
    import_outcomes(crowd, [report(one, "solved") for one in ids_of(first)[1:]])
    second = draw_list(crowd, ListRequest(JUNE_2, 30))
    assert second.summary["carried"] == 1
    assert (ids_of(second)[0], rows_of(second)[0]["状态"]) == (line, "续办")
    assert rows_of(second)[0]["已尝试"] == "1/3，上次10:30"
    import_outcomes(crowd, [report(line, "busy_or_off", attempted_at=at("2026-06-02T06:30:00"))])
    third = draw_list(crowd, ListRequest(JUNE_3, 30))
    assert ids_of(third)[0] == line
    import_outcomes(crowd, [report(line, "no_answer", attempted_at=at("2026-06-03T09:30:00"))])
    assert (lines(crowd)[line].status, lines(crowd)[line].closed_code) == ("closed", "no_answer")
    fourth = draw_list(crowd, ListRequest(JUNE_4, 30))
    assert line not in ids_of(fourth)
    everybody = Counter(one.person_id for one in lines(crowd).values())
    assert everybody[lines(crowd)[line].person_id] == 1


def test_a_call_back_keeps_its_line_and_its_day(crowd):
    """An appointment on 3 June is not called on the 2nd, and comes first on the 3rd with its time."""
    first = draw_list(crowd, ListRequest(AS_OF, 30))
    line = ids_of(first)[3]
    import_outcomes(crowd, [report(line, "callback", next_at=at("2026-06-03T07:00:00"), agent="7")])
    assert line not in ids_of(draw_list(crowd, ListRequest(JUNE_2, 60)))
    third = draw_list(crowd, ListRequest(JUNE_3, 60))
    assert (ids_of(third)[0], rows_of(third)[0]["状态"]) == (line, "约定回拨 06-03 15:00")


def test_never_again_and_wrong_person_bind_the_next_pull_of_the_same_day(crowd):
    """Both leave the very list when it is asked for again, and never come on another one."""
    first = draw_list(crowd, ListRequest(AS_OF, 30), key="a")
    care = [row["行号"] for row in rows_of(first) if row["建议动作"] == "服务关怀"]
    gone = [care[0], care[1]]
    import_outcomes(crowd, [report(gone[0], "never_again"), report(gone[1], "wrong_person")])
    before = set(ids_of(first))
    again = draw_list(crowd, ListRequest(AS_OF, 30), key="a")
    assert before - set(ids_of(again)) == set(gone)
    persons = {lines(crowd)[one].person_id for one in gone}
    for day in (AS_OF, JUNE_2, JUNE_4):
        later = draw_list(crowd, ListRequest(day, 200), key=f"later {day}")
        assert not persons & {lines(crowd)[one].person_id for one in ids_of(later)}


def test_random_interleavings_of_pulls_and_opt_outs(crowd):
    """Whatever release begins after an acknowledged opt-out does not hold the person, in any order and in parallel."""
    dice = random.Random(11)
    first = draw_list(crowd, ListRequest(AS_OF, 60), key="0")
    care = [row["行号"] for row in rows_of(first) if row["建议动作"] == "服务关怀"][:8]
    known = lines(crowd)
    acknowledged: dict[str, float] = {}
    exports: list[tuple[float, set[str]]] = []

    def opt_out() -> None:
        for line in care:
            time.sleep(dice.random() / 50)
            import_outcomes(crowd, [report(line, "never_again")])
            acknowledged[line] = time.monotonic()

    def pull(keys: list[str]) -> None:
        for key in keys:
            started = time.monotonic()
            request = ListRequest(AS_OF, 60 if key == "0" else 4)
            exports.append((started, set(ids_of(draw_list(crowd, request, key=key)))))

    workers = [threading.Thread(target=opt_out)]
    workers += [threading.Thread(target=pull, args=(["0", f"{n}a", "0", f"{n}b", "0"],)) for n in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    exports.append((time.monotonic(), set(ids_of(draw_list(crowd, ListRequest(AS_OF, 60), key="0")))))
    late = [line for started, ids in exports for line, when in acknowledged.items() if when < started and line in ids]
    assert len(acknowledged) == len(care) > 5
    assert late == []
    opted = {known[line].person_id for line in care}
    now = lines(crowd)
    assert not opted & {now[one].person_id for one in exports[-1][1]}


def test_two_lines_of_one_person_get_one_call(tmp_path):
    """Both subscriptions have an overdue ticket; one line is drawn, for the first by tie-break."""
    town = Town(tmp_path)
    town.customer("C0001", person="P1")
    town.customer("C0002", person="P1")
    town.customer("C0003", person="P2")
    town.land()
    overdue = {"reasons": {"service.ticket_overdue": {"ticket": "T1", "hours": 30}}}
    write_people(town.home, dict.fromkeys(("C0001", "C0002", "C0003"), overdue))
    released = draw_list(town.home, ListRequest(AS_OF))
    assert sorted(one.customer_id for one in lines(town.home).values()) == ["C0001", "C0003"]
    assert released.lines == 2


def test_a_new_opt_out_in_the_feeds_takes_a_carried_line_back(tmp_path):
    """Listed on 1 June, withdrawn by the customer that evening: on 2 June the line is withdrawn with its code."""
    town = Town(tmp_path)
    town.customer("C0002")
    town.consent("C0002", "retention", granted=False, at="2026-06-01 20:00:00")
    town.land()
    for day in (AS_OF, JUNE_2):
        write_people(town.home, {"C0002": {"card": card(mean_bill=300_000)}}, day)
        write_scores(town.home, "churn", {"C0002": {"p": 0.5, "band": "very_high"}}, day)
    assert draw_list(town.home, ListRequest(AS_OF)).lines == 1
    second = draw_list(town.home, ListRequest(JUNE_2))
    assert (second.lines, second.summary["withdrawn"]) == (0, {"consent_withdrawn": 1})


def test_the_file_never_holds_a_full_number_or_a_score(crowd):
    """Every number is masked, no cell holds eleven digits or a probability, and only the owner may read the file."""
    released = draw_list(crowd, ListRequest(AS_OF, 30))
    text = released.csv.read_text(encoding="utf-8-sig")
    assert {row["号码"][3:7] for row in rows_of(released)} == {"****"}
    assert "1390000" not in text
    assert Path(released.xlsx).stat().st_mode & 0o777 == 0o600


def test_a_place_where_nobody_lives_is_an_error_not_an_empty_list(crowd):
    """A misspelt city draws no list and leaves none behind."""
    with pytest.raises(NotFoundError, match="no customers in this place"):
        draw_list(crowd, ListRequest(AS_OF, 60, city="Atlantis"))
    assert draw_list(crowd, ListRequest(AS_OF, 60)).list_id == "L260601-01"
