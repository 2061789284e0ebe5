"""A home knows who it is: written once, whole or not at all, and what it remembers of its backends is held against them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import pytest

from features.kit.errors import ConfigurationError, DataError, HomeError, NotReadyError
from features.kit.files import read_json, write_json
from features.kit.home import Home
from features.kit.homes.identity import (
    LEDGER,
    Backend,
    change,
    decide,
    first_use,
    read_identity,
    refuse_copy,
    refuse_fall,
    refuse_foreign,
    refuse_other_place,
    remember,
    remembered,
)

KILLED = """
import os, signal, sys
from features.kit import files
from features.kit.home import Home
from features.kit.homes.identity import Backend, remember
fsync, calls = files._fsync, []
def dying(path):
    calls.append(path)
    if len(calls) == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
    fsync(path)
files._fsync = dying
for k in range(4):
    remember(Home.at(sys.argv[1]), "ledger", Backend(place=f"place {k}"))
"""


def test_the_first_use_decides_the_id_for_good(tmp_path: Path) -> None:
    """A home that was never used has no identity and no folder; later uses find the one of the first."""
    home = Home(tmp_path / "home")
    assert (read_identity(home), home.root.exists()) == (None, False)
    made = first_use(home)
    assert len(made.home_id) == 16
    assert first_use(home) == read_identity(home) == made


def test_eight_first_uses_at_once_agree(tmp_path: Path) -> None:
    """Processes that use a fresh home at the same time get one id."""
    program = (
        "import sys; from features.kit.home import Home; from features.kit.homes.identity import first_use; "
        "print(first_use(Home.at(sys.argv[1])).home_id)"
    )
    children = [
        subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "home")], stdout=subprocess.PIPE)
        for _ in range(8)
    ]
    assert len({child.communicate()[0] for child in children}) == 1


@pytest.mark.parametrize("count", range(1, 9))
def test_killed_between_writes_the_file_is_whole(tmp_path: Path, count: int) -> None:
    """Kill -9 before and after each rename: the file is the one of before or the next one, and the home goes on."""
    home = Home(tmp_path / "home")
    done = subprocess.run([sys.executable, "-c", KILLED, str(home.root), str(count)], check=False)
    assert done.returncode == -9
    written = (count - 1 + 1) // 2  # each write is synced twice: the file, then its folder after the rename
    found = remembered(home, "ledger")
    assert (found.place if found else None) == (f"place {written - 1}" if written else None)
    before = read_identity(home)
    after = remember(home, "ledger", Backend(place="at last"))
    assert before is None or before.home_id == after.home_id


def test_another_place_is_refused_with_both_named(tmp_path: Path) -> None:
    """A ledger elsewhere than remembered is refused in one line that names home, both places and the way on."""
    home = Home(tmp_path)
    refuse_other_place(home, LEDGER, "anywhere", decided_by="X")  # nothing is remembered yet
    remember(home, LEDGER, Backend(place="postgresql://db:5432/one"))
    refuse_other_place(home, LEDGER, "postgresql://db:5432/one", decided_by="X")
    with pytest.raises(ConfigurationError) as refused:
        refuse_other_place(home, LEDGER, "own file", decided_by="INSIGHT_DATABASE_URL")
    for part in (str(home.root), "postgresql://db:5432/one", "own file", "INSIGHT_DATABASE_URL", "insight home move"):
        assert part in str(refused.value)


def test_a_foreign_backend_is_refused(tmp_path: Path) -> None:
    """A backend with another home's id is refused, also by a home that has none yet."""
    home = Home(tmp_path)
    with pytest.raises(HomeError, match="belongs to home feed"):
        refuse_foreign(home, None, LEDGER, "p", "feed")
    mine = first_use(home)
    refuse_foreign(home, mine, LEDGER, "p", mine.home_id)
    with pytest.raises(HomeError, match="insight home adopt"):
        refuse_foreign(home, mine, LEDGER, "p", "feed")


def test_a_copy_is_told_from_a_home_that_moved(tmp_path: Path) -> None:
    """While the original lies where the server's mark says, the copy is refused; a moved home and a link are not."""
    home, copy = Home(tmp_path / "home"), Home(tmp_path / "copy")
    first_use(home)
    shutil.copytree(home.root, copy.root)
    (tmp_path / "link").symlink_to(home.root)
    refuse_copy(home, LEDGER, "p", str(home.root))
    refuse_copy(Home(tmp_path / "link"), LEDGER, "p", str(home.root))
    with pytest.raises(HomeError, match=r"is a copy of .*home.*--new-id"):
        refuse_copy(copy, LEDGER, "p", str(home.root))
    home.root.rename(tmp_path / "moved")
    refuse_copy(copy, LEDGER, "p", str(home.root))


@pytest.mark.parametrize(
    ("before", "now", "refused"),
    [
        ({"rows": 15_228}, {"rows": 602}, True),
        ({"rows": 15_228}, {"rows": 7_614}, False),
        ({"rows": 60}, {}, True),
        ({"rows": 20}, {}, False),  # a small fall, whatever its share
        ({"lists": 3}, {"lists": 2}, True),  # of lists none may go
        ({"lists": 3, "rows": 5}, {"lists": 4, "rows": 9}, False),
    ],
)
def test_a_large_fall_is_refused(tmp_path: Path, before: dict[str, int], now: dict[str, int], *, refused: bool) -> None:
    """Less than half of the rows, or one list fewer, needs a person's word; growth and small falls do not."""
    with pytest.raises(HomeError, match="insight home adopt") if refused else nullcontext():
        refuse_fall(Home(tmp_path), LEDGER, "p", before, now, never="lists")
    assert not list(tmp_path.iterdir())


def test_decisions_stay_on_record_and_damage_is_named(tmp_path: Path) -> None:
    """Each decision is added to those before; a damaged file and one of a later version are each one line."""
    home = Home(tmp_path)
    for reason in ("the first", "the second"):
        change(home, partial(decide, command="adopt", reason=reason, lost=3))
    found = read_identity(home)
    assert found is not None
    assert [(one.reason, one.detail) for one in found.decisions] == [
        ("the first", {"lost": 3}),
        ("the second", {"lost": 3}),
    ]
    path = tmp_path / "home.json"
    content = read_json(path)
    write_json(path, content | {"format_version": 2})
    with pytest.raises(NotReadyError, match="format 2, this version reads 1"):
        read_identity(home)
    for damaged in (b"[]", b"{}x", b'{"format_version": 1}'):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=r"home\.json"):
            read_identity(home)
