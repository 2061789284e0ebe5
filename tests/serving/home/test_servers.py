"""A ledger on a server: a scheduler without the variable, a foreign home and a copied home are refused; a move is not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import make_url, select

from features.kit.errors import ConfigurationError, HomeError
from features.kit.home import Home
from features.kit.homes.identity import read_identity
from serving.database.belonging import place_of
from serving.database.session import open_database, opened, reading
from serving.database.tables_outreach import OutreachLineRow, OutreachListRow
from serving.home.decisions import adopt, move, show
from serving.outreach.lists.draw import draw_list
from serving.outreach.lists.request import ListRequest
from tests.serving.home.former import former_release
from tests.world import AS_OF

pytestmark = pytest.mark.xdist_group("postgresql")
VARIABLE = "INSIGHT_DATABASE_URL"


def fresh_database(postgresql: str) -> str:
    """Returns the address of a new database on the server, with a password that must not be shown."""
    import psycopg

    name = f"home_{time.monotonic_ns()}"
    with psycopg.connect(postgresql, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return make_url(postgresql).set(database=name, password="s3cret").render_as_string(hide_password=False)


@pytest.fixture
def ledger(postgresql: str, crowd: Home, monkeypatch: pytest.MonkeyPatch) -> str:
    """The crowd with a list drawn from a ledger on a server; returns its address."""
    address = fresh_database(postgresql)
    monkeypatch.setenv(VARIABLE, address)
    assert draw_list(crowd, ListRequest(AS_OF, 30)).lines > 0
    return address


def insight(*arguments: str, **environment: str) -> Any:
    """Runs the command line without the tests' own address."""
    clean = {name: value for name, value in os.environ.items() if name != VARIABLE}
    command = [str(Path(sys.executable).with_name("insight")), *arguments]
    return subprocess.run(command, env=clean | environment, capture_output=True, text=True, check=False)


def test_a_scheduler_without_the_variable_draws_from_no_other_ledger(crowd: Home, ledger: str) -> None:
    """Exit code 2 and one line that names the home and both places, without the password; no ledger is made."""
    place = place_of(make_url(ledger))
    for command in (("outreach", "--as-of", "2026-06-01", "--capacity", "5"), ("keys", "list"), ("outreach", "lists")):
        done = insight(*command, "--home", str(crowd.root))
        assert (done.returncode, done.stdout) == (2, "")
        told = [line for line in done.stderr.splitlines() if line.startswith("error:")]
        assert len(told) == 1
        for part in (str(crowd.root), place, "own file", VARIABLE, "insight home move"):
            assert part in told[0]
        assert "s3cret" not in done.stderr
    assert not crowd.operations.exists()
    assert "s3cret" not in (crowd.root / "home.json").read_text()
    with_it = insight("outreach", "lists", "--home", str(crowd.root), INSIGHT_DATABASE_URL=ledger)
    assert (with_it.returncode, with_it.stdout.count("L260601-01")) == (0, 1)


def test_a_foreign_home_and_a_copy_are_refused(crowd: Home, ledger: str, tmp_path: Path) -> None:
    """Another home, and a copy of this one, take nothing from its ledger; after a move the home goes on."""
    assert ledger
    other, copy = Home(tmp_path / "other"), Home(tmp_path / "copy")
    with pytest.raises(HomeError, match=r"ledger at postgresql://.* belongs to home"):
        open_database(other)
    shutil.copytree(crowd.root, copy.root)
    with pytest.raises(HomeError, match=r"is a copy of .*move --new-id"):
        draw_list(copy, ListRequest(AS_OF, 30), key="copy")
    shutil.rmtree(copy.root)
    crowd.root.rename(copy.root)
    assert draw_list(copy, ListRequest(AS_OF, 30), key="moved").lines > 0


def test_an_unmarked_ledger_of_another_home_is_refused(
    crowd: Home, crowd_home: Home, ledger: str, tmp_path: Path
) -> None:
    """A ledger of the former release belongs to the home in which its lists lie; that one adopts it at first use."""
    import psycopg

    with psycopg.connect(ledger, autocommit=True) as connection:
        for statement in former_release("postgresql"):
            connection.execute(statement)
    (crowd.root / "home.json").unlink()
    other = Home(tmp_path / "other")
    shutil.copytree(crowd_home.root, other.root)
    with pytest.raises(HomeError, match="holds lists that lie in another home, such as L260601-01"):
        draw_list(other, ListRequest(AS_OF, 30))
    assert draw_list(crowd, ListRequest(AS_OF, 30), key="next").lines > 0
    with opened(crowd) as engine, reading(engine) as session:
        assert len(session.scalars(select(OutreachListRow.list_id)).all()) == 2


def test_an_empty_ledger_at_a_new_place_is_no_move(
    crowd: Home, ledger: str, postgresql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A move to an empty database is refused and forgotten; adopting it fills it from the lists; both reasons stay."""
    empty = fresh_database(postgresql)
    monkeypatch.setenv(VARIABLE, empty)
    with pytest.raises(ConfigurationError, match="its ledger is postgresql://"):
        open_database(crowd)
    with pytest.raises(HomeError, match="carries no mark"):
        move(crowd, "the new server is ready")
    monkeypatch.setenv(VARIABLE, ledger)
    assert show(crowd)["problems"] == {}
    monkeypatch.setenv(VARIABLE, empty)
    done = adopt(crowd, "the old server burned")
    assert (done["problems"], done["restored"]["lists"], [one["command"] for one in done["decisions"]]) == (
        {}, 1, ["adopt"],
    )  # fmt: skip
    draw_list(crowd, ListRequest(AS_OF, 60), key="again")
    with opened(crowd) as engine, reading(engine) as session:
        persons = session.scalars(select(OutreachLineRow.person_id)).all()
    assert len(set(persons)) == len(persons)


def test_a_ledger_that_moved_is_accepted_by_its_mark(
    crowd: Home, ledger: str, postgresql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same database under another name is taken over by `insight home move`, with its reason on record."""
    import psycopg

    name = f"moved_{time.monotonic_ns()}"
    with psycopg.connect(postgresql, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {make_url(ledger).database} RENAME TO {name}")
    there = make_url(ledger).set(database=name).render_as_string(hide_password=False)
    monkeypatch.setenv(VARIABLE, there)
    done = insight(
        "home", "move", "--reason", "renamed", "--json", "--home", str(crowd.root), INSIGHT_DATABASE_URL=there
    )
    assert done.returncode == 0, done.stderr
    told = orjson.loads(done.stdout)
    assert told["backends"]["ledger"]["place"].endswith(name)
    assert (told["problems"], told["decisions"][-1]["reason"]) == ({}, "renamed")
    assert draw_list(crowd, ListRequest(AS_OF, 30), key="there").lines > 0


def test_a_copy_becomes_a_home_of_its_own(
    crowd: Home, ledger: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `--new-id` and backends of its own a copy draws from a ledger of its own, and never from the original's."""
    copy = Home(tmp_path / "copy")
    shutil.copytree(crowd.root, copy.root)
    monkeypatch.delenv(VARIABLE)
    done = insight("home", "move", "--new-id", "--reason", "a trial", "--home", str(copy.root))
    assert done.returncode == 0, done.stderr
    first, second = read_identity(crowd), read_identity(copy)
    assert first is not None
    assert second is not None
    assert first.home_id != second.home_id
    with pytest.raises(HomeError, match="was drawn from it"):  # its lists speak of a ledger that it does not have
        draw_list(copy, ListRequest(AS_OF, 30), key="copy")
    adopt(copy, "begins with the lists of the original")
    assert draw_list(copy, ListRequest(AS_OF, 60), key="copy").lines > 0
    monkeypatch.setenv(VARIABLE, ledger)
    with pytest.raises(ConfigurationError, match="its ledger is own file"):
        open_database(copy)


def test_the_commands_say_what_is_wrong(crowd: Home) -> None:
    """`insight home show` names the id, every backend and each problem; a reason that is too short is refused."""
    draw_list(crowd, ListRequest(AS_OF, 30))
    whole = insight("home", "show", "--home", str(crowd.root))
    identity = read_identity(crowd)
    assert identity is not None
    assert whole.returncode == 0
    assert (identity.home_id in whole.stdout, "ledger: own file" in whole.stdout) == (True, True)
    assert "REFUSED" not in whole.stdout
    for name in ("operations.db", "operations.db-wal", "operations.db-shm"):
        (crowd.root / name).unlink(missing_ok=True)
    lost = insight("home", "show", "--home", str(crowd.root))
    assert (lost.returncode, "ledger REFUSED" in lost.stdout) == (0, True)
    short = insight("home", "adopt", "--reason", "so", "--home", str(crowd.root))
    assert (short.returncode, "shorter than 5 characters" in short.stderr) == (2, True)
    done = insight("home", "adopt", "--reason", "the disk is lost", "--home", str(crowd.root))
    assert (done.returncode, "1 lists" in done.stdout) == (0, True), done.stderr
