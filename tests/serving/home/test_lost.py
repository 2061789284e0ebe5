"""What is gone is not silently made anew: a lost ledger, a lost manifest; and what `insight home adopt` brings back."""

from __future__ import annotations

import shutil
from datetime import date
from typing import Any

import pytest
from sqlalchemy import select

from features.erasure.rewriting import remove_leftovers
from features.feeds.landed.manifest import manifest_path, read_manifest
from features.feeds.landing.suppression import Suppression
from features.kit.errors import HomeError
from features.kit.home import Home
from features.kit.homes.identity import read_identity
from serving.api.context import Context
from serving.api.traffic import Figures
from serving.database import belonging
from serving.database.session import open_database, opened, reading
from serving.database.tables_outreach import AttemptRow, ClaimDayRow, ContactRow, OutreachLineRow, RefusalRow
from serving.home.decisions import adopt, move, show
from serving.outreach.feedback.landing import import_outcomes, land_pending, try_landing
from serving.outreach.feedback.returns import Report
from serving.outreach.lists.draw import draw_list
from serving.outreach.lists.request import ListRequest
from tests.serving.home.former import former_release
from tests.serving.outreach.conftest import at
from tests.world import AS_OF

TEN = at("2026-06-01T02:30:00")
JUNE_2 = date(2026, 6, 2)
WHY = "the disk of the server is lost"


def drawn(home: Home) -> dict[str, str]:
    """Returns the person of every line of the ledger."""
    with opened(home) as engine, reading(engine) as session:
        return dict(session.execute(select(OutreachLineRow.line_id, OutreachLineRow.person_id)).all())


def worked(home: Home) -> tuple[list[str], dict[str, str]]:
    """Draws a list and lands a `never_again`, a `solved` and a `wrong_person` on three of its discretionary lines.

    Returns the discretionary lines, those three first, and the person of every line.
    """
    draw_list(home, ListRequest(AS_OF, 30))
    persons = drawn(home)
    with opened(home) as engine, reading(engine) as session:
        chosen = select(OutreachLineRow.line_id).where(OutreachLineRow.purpose != "service")
        lines = sorted(session.scalars(chosen))
    first, second, third = lines[:3]
    import_outcomes(
        home,
        [
            Report(1, first, "never_again", attempted_at=TEN),
            Report(2, second, "solved", attempted_at=TEN),
            Report(3, third, "wrong_person", attempted_at=TEN),
        ],
    )
    return lines, persons


def lose_ledger(home: Home) -> None:
    """Removes the ledger's files."""
    for name in ("operations.db", "operations.db-wal", "operations.db-shm"):
        (home.root / name).unlink(missing_ok=True)


def test_a_lost_ledger_is_refused_and_nobody_is_drawn(crowd: Home) -> None:
    """The list, a look at lists, a new key and an import are refused in one line with the remedy; no file is made."""
    worked(crowd)
    lose_ledger(crowd)
    for _ in range(2):  # a refusal must not make the next one pass
        with pytest.raises(HomeError, match=r"ledger went missing: .*operations\.db.*insight home adopt"):
            draw_list(crowd, ListRequest(JUNE_2, 30))
    assert not crowd.operations.exists()
    for deed in (land_pending, try_landing, lambda home: Context.open(home, Figures())):
        with pytest.raises(HomeError, match="ledger went missing"):
            deed(crowd)
    assert "ledger went missing" in show(crowd)["problems"]["ledger"]


@pytest.mark.parametrize(
    ("lost", "said"), [((), "was drawn from it"), (("lists",), "contacts and outcomes that it landed")]
)
def test_an_older_home_is_refused_by_what_its_files_say(crowd: Home, lost: tuple[str, ...], said: str) -> None:
    """Without `home.json` the lists in the folder, or else the landed reports, contradict an empty ledger."""
    worked(crowd)
    lose_ledger(crowd)
    (crowd.root / "home.json").unlink()
    for folder in lost:
        shutil.rmtree(crowd.root / folder)
    with pytest.raises(HomeError, match=said):
        draw_list(crowd, ListRequest(JUNE_2, 30))
    crowd.operations.touch()  # an empty file is no ledger either
    with pytest.raises(HomeError, match=said):
        draw_list(crowd, ListRequest(JUNE_2, 30))


def test_without_the_guard_everybody_would_be_drawn_again(crowd: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """The canary: with the check off, a lost ledger draws persons of yesterday's list, also who said never again."""
    _, persons = worked(crowd)
    lose_ledger(crowd)
    monkeypatch.setattr("serving.database.session.check_before_opening", lambda *_: None)
    monkeypatch.setattr("serving.database.session.check_belongs", lambda *_: None)
    draw_list(crowd, ListRequest(AS_OF, 30), key="again")
    assert set(drawn(crowd).values()) & set(persons.values())


def test_after_adopting_nobody_is_drawn_twice_and_no_opt_out_is_lost(crowd: Home) -> None:
    """Claims of the lists, contacts and refusals that landed bind again, on the same day and the next ones."""
    lines, persons = worked(crowd)
    erased = Suppression.load(crowd)
    erased = Suppression(erased.salt, frozenset({erased.hashed("P9999")}), {erased.hashed("C9999"): (None, None)})
    erased.save(crowd)
    lose_ledger(crowd)
    done = adopt(crowd, WHY)
    assert done["problems"] == {}
    assert (done["restored"]["lists"], done["restored"]["attempts"]) == (1, 3)
    assert done["restored"]["refusals"] == 3 + 2  # what three reports forbid, and an erased person's two hashes
    assert done["decisions"][-1]["reason"] == WHY
    with opened(crowd) as engine, reading(engine) as session:
        assert set(session.scalars(select(ClaimDayRow.person_id))) == set(persons.values())
        refused = {tuple(row) for row in session.execute(select(RefusalRow.code, RefusalRow.person_id))}
        contacts = set(session.scalars(select(ContactRow.contact_id)))
    never, solved, wrong = lines[:3]
    assert refused >= {
        ("do_not_contact", persons[never]), ("cool_down", persons[solved]), ("wrong_person", persons[wrong]),
    }  # fmt: skip
    assert {never, solved} == contacts
    again = draw_list(crowd, ListRequest(AS_OF, 60), key="same day")
    later = draw_list(crowd, ListRequest(date(2026, 6, 4), 60), key="window passed")
    assert again.lines > 0
    assert later.lines > 0
    new = {person for line, person in drawn(crowd).items() if line not in persons}
    assert not new & {persons[never], persons[solved], persons[wrong]}
    with opened(crowd) as engine, reading(engine) as session:
        same_day = select(OutreachLineRow.person_id).where(
            OutreachLineRow.drawn_on == AS_OF, OutreachLineRow.closed_code.is_distinct_from("ledger_lost")
        )
        assert not set(session.scalars(same_day)) & set(persons.values())
    assert land_pending(crowd) == {}
    assert adopt(crowd, "once more, to be sure")["restored"] == dict.fromkeys(done["restored"], 0)


def test_without_what_files_know_an_opt_out_would_be_lost(crowd: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """The canary: an empty ledger accepted as it is draws who said never again on the very same day."""
    lines, persons = worked(crowd)
    lose_ledger(crowd)
    monkeypatch.setattr("serving.home.decisions.restore", lambda *_: {})
    monkeypatch.setattr(belonging, "_refuse_older", lambda *_: None)
    adopt(crowd, WHY)
    draw_list(crowd, ListRequest(AS_OF, 60), key="same day")
    assert persons[lines[0]] in drawn(crowd).values()


def test_an_opt_out_that_had_not_landed_comes_with_its_workbook(crowd: Home) -> None:
    """A list filled in before the loss is imported again: who said never again on one of its lines is heard."""
    lines, persons = worked(crowd)
    late = lines[5]
    lose_ledger(crowd)
    adopt(crowd, WHY)
    result = import_outcomes(crowd, [Report(1, late, "never_again", attempted_at=TEN)])
    assert (result.imported, result.errors) == (1, [])
    draw_list(crowd, ListRequest(date(2026, 6, 4), 60), key="later")
    assert [line for line, person in drawn(crowd).items() if person == persons[late]] == [late]


def test_an_older_backup_is_refused(crowd: Home, tmp_path: Any) -> None:
    """A ledger restored from before the newest list does not know that list, and is refused until it is adopted."""
    open_database(crowd).dispose()
    shutil.copy(crowd.operations, tmp_path / "backup.db")
    worked(crowd)
    lose_ledger(crowd)
    shutil.copy(tmp_path / "backup.db", crowd.operations)
    with pytest.raises(HomeError, match=r"ledger at own file has 0 lists; it had 1|does not know .*L260601-01"):
        draw_list(crowd, ListRequest(JUNE_2, 30))
    adopt(crowd, WHY)
    draw_list(crowd, ListRequest(AS_OF, 60), key="again")
    assert len(set(drawn(crowd).values())) == len(drawn(crowd))


def test_a_ledger_that_lost_its_rows_is_refused(crowd: Home) -> None:
    """Sixty lines gone from a ledger that has its lists are noticed at the next opening."""
    for key in ("a", "b"):
        draw_list(crowd, ListRequest(AS_OF, 60), key=key)
    engine = open_database(crowd)
    with engine.begin() as connection:
        for table in ("outreach_attempts", "outreach_list_lines", "outreach_lines"):
            connection.exec_driver_sql(f"DELETE FROM {table}")
    engine.dispose()
    with pytest.raises(HomeError, match="has 0 lines; it had"):
        open_database(crowd)


def test_a_full_disk_costs_the_counts_alone(crowd: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where `home.json` cannot be written, a known ledger opens all the same; its counts are kept at the next opening."""
    draw_list(crowd, ListRequest(AS_OF, 30))
    with monkeypatch.context() as patch:
        patch.setattr("features.kit.homes.identity.write_json", full_disk)
        open_database(crowd).dispose()
    before = read_identity(crowd)
    open_database(crowd).dispose()
    after = read_identity(crowd)
    assert before is not None
    assert after is not None
    assert (before.backends["ledger"].counts["lists"], after.backends["ledger"].counts["lists"]) == (0, 1)


def full_disk(*_: Any, **__: Any) -> None:
    """Writes nothing."""
    raise OSError(28, "No space left on device")


def test_a_ledger_of_another_home_is_refused(crowd: Home, crowd_home: Home, tmp_path: Any) -> None:
    """A file put in the place of the home's own carries another home's id."""
    other = Home(tmp_path / "other")
    shutil.copytree(crowd_home.root, other.root)
    move(other, "a copy for the tests", new_id=True)
    open_database(other).dispose()
    open_database(crowd).dispose()
    shutil.copy(other.operations, crowd.operations)
    owner = read_identity(other)
    assert owner is not None
    with pytest.raises(HomeError, match=f"belongs to home {owner.home_id}"):
        open_database(crowd)
    before = read_identity(crowd)
    adopt(crowd, "it is the right file all the same")
    open_database(crowd).dispose()
    after = read_identity(crowd)
    assert before is not None
    assert after is not None
    assert after.home_id == before.home_id


def test_an_older_home_goes_on(crowd: Home) -> None:
    """A home of the former release, without `home.json` and without a mark, adopts its ledger and goes on."""
    _, persons = worked(crowd)
    engine = open_database(crowd)
    with engine.begin() as connection:
        for statement in former_release("sqlite"):
            connection.exec_driver_sql(statement)
    engine.dispose()
    (crowd.root / "home.json").unlink()
    second = draw_list(crowd, ListRequest(AS_OF, 30), key="next")
    assert second.lines > 0
    assert len(set(drawn(crowd).values())) == len(drawn(crowd)) > len(persons)
    identity = read_identity(crowd)
    assert identity is not None
    assert identity.backends["ledger"].place == "own file"


def test_a_lost_identity_is_taken_from_the_own_ledger(crowd: Home) -> None:
    """Without `home.json` the ledger inside the home still says who it is."""
    open_database(crowd).dispose()
    before = read_identity(crowd)
    (crowd.root / "home.json").unlink()
    open_database(crowd).dispose()
    after = read_identity(crowd)
    assert before is not None
    assert after is not None
    assert after.home_id == before.home_id


def test_a_moved_home_goes_on_and_a_copy_keeps_to_itself(crowd: Home, tmp_path: Any) -> None:
    """Nothing inside a home names its folder: moved, it draws on; a copy draws from its own ledger."""
    worked(crowd)
    copy, moved = Home(tmp_path / "copy"), Home(tmp_path / "moved")
    shutil.copytree(crowd.root, copy.root)
    before = drawn(crowd)
    draw_list(copy, ListRequest(AS_OF, 60), key="copy")
    assert len(drawn(copy)) > len(drawn(crowd)) == len(before)
    crowd.root.rename(moved.root)
    assert draw_list(moved, ListRequest(AS_OF, 60), key="moved").lines > 0


def test_a_lost_manifest_is_refused_and_its_files_stay(crowd: Home) -> None:
    """`manifest.json` gone while feeds lie there: no landing removes them as leftovers; adopting sets them aside."""
    worked(crowd)
    files = sorted(crowd.feeds.rglob("*.parquet"))
    manifest_path(crowd).unlink()
    for deed in (read_manifest, lambda home: draw_list(home, ListRequest(JUNE_2, 30))):
        with pytest.raises(HomeError, match=r"feeds went missing: .*manifest\.json is not there.*insight home adopt"):
            deed(crowd)
    assert sorted(crowd.feeds.rglob("*.parquet")) == files
    done = adopt(crowd, "the manifest was deleted by mistake")
    assert read_manifest(crowd) is None
    assert len(list((crowd.root / done["set_aside"]).rglob("*.parquet"))) == len(files)
    with opened(crowd) as engine, reading(engine) as session:
        assert set(session.scalars(select(AttemptRow.landed_at))) == {None}  # they land again with the feeds
    remove_leftovers([crowd.personal])


def test_an_older_home_without_its_manifest_is_refused(crowd: Home) -> None:
    """Without `home.json`, portraits say that a landing was complete; without them it may have been killed."""
    manifest_path(crowd).unlink()
    (crowd.root / "home.json").unlink()
    with pytest.raises(HomeError, match=r"holds files and .*portraits"):
        read_manifest(crowd)
    shutil.rmtree(crowd.portraits)
    assert read_manifest(crowd) is None


def test_ledger_and_manifest_both_lost_are_not_adopted(crowd: Home) -> None:
    """Then nothing knows who opted out; the remedy is a backup or another home."""
    worked(crowd)
    manifest_path(crowd).unlink()
    lose_ledger(crowd)
    with pytest.raises(HomeError, match="both gone"):
        adopt(crowd, WHY)
    assert not crowd.operations.exists()


def test_a_landed_report_is_told_from_the_operators_own(crowd: Home) -> None:
    """Only contacts and outcomes of this system's own lists speak of a ledger: two contacts and three outcomes."""
    assert belonging.landed_reports(crowd) == 0
    worked(crowd)
    assert belonging.landed_reports(crowd) == 5
