"""An online store belongs to one home: others neither read it nor publish into it, and a large fall needs a word."""

from __future__ import annotations

import gc
import shutil
import time
from datetime import date

import pytest
import redis

from features.kit.errors import ConfigurationError, HomeError
from features.kit.home import Home
from features.kit.homes.identity import read_identity
from features.store.online.online import OnlinePortraits
from features.store.publish import publish
from features.store.settings import RedisOnline, StoreSettings

DAY, NEXT = date(2026, 3, 8), date(2026, 3, 9)


@pytest.fixture
def redis_settings(request):
    """A fresh project on a real Redis."""
    port = request.getfixturevalue("redis_port")
    online = RedisOnline(kind="redis", port=port, deadline_ms=5_000)
    return StoreSettings(project=f"test_{time.monotonic_ns()}", online=online)


def crowd(place, portraits, days, *, first=0, count=400):
    """A home with `count` customers on some days."""
    home = Home(place)
    ids = [f"c{first + k:05d}" for k in range(count)]
    portraits.write(home, {day: portraits.rows(day, ids) for day in days})
    return home


def forget_marks(home, settings):
    """Makes home and store look as an older release left them."""
    (home.root / "home.json").unlink()
    client = redis.Redis(port=settings.online.port)
    client.delete(f"{settings.project}:home")
    client.close()


def test_a_foreign_home_neither_reads_nor_publishes(tmp_path, redis_settings, portraits):
    """60 portraits of another home never replace 400; nobody is scored from other people's rows; the owner goes on."""
    home = crowd(tmp_path / "home", portraits, [DAY, NEXT])
    other = crowd(tmp_path / "other", portraits, [DAY, NEXT], first=300, count=60)
    publish(home, DAY, settings=redis_settings)
    mine = read_identity(home).home_id
    for deed in (publish_next, OnlinePortraits.open):
        with pytest.raises(HomeError, match=f"redis://localhost.*belongs to home {mine}.*insight home adopt"):
            deed(other, redis_settings)
    online = OnlinePortraits.open(home, redis_settings)
    assert (online.pointer().rows, online.pointer().as_of, online.read(["c00000"])[0].as_of) == (400, DAY, DAY)
    assert publish(home, NEXT, settings=redis_settings).rows == 400
    online.close()


def publish_next(home, settings):
    """Publishes the second day."""
    publish(home, NEXT, settings=settings)


@pytest.mark.parametrize("is_new", [True, False])
def test_rows_of_an_older_release_are_kept_for_their_home(tmp_path, redis_settings, portraits, is_new):
    """Unmarked rows are adopted by the home whose portraits they are; a home of other people is refused first."""
    home = crowd(tmp_path / "home", portraits, [DAY, NEXT])
    count = 60 if is_new else 400
    other = crowd(tmp_path / "other", portraits, [DAY, NEXT], first=0 if is_new else 5_000, count=count)
    publish(home, DAY, settings=redis_settings)
    forget_marks(home, redis_settings)
    for deed in (publish_next, OnlinePortraits.open):
        with pytest.raises(HomeError, match="400 portraits that are not this home's"):
            deed(other, redis_settings)
    online = OnlinePortraits.open(home, redis_settings)
    assert online.read(["c00000"])[0].as_of == DAY
    online.close()
    assert publish(home, NEXT, settings=redis_settings).rows == 400


def test_a_copy_is_refused_and_a_moved_home_goes_on(tmp_path, redis_settings, portraits):
    """A copy may not publish into its original's Redis while that is there; after a move the home publishes on."""
    home = crowd(tmp_path / "home", portraits, [DAY, NEXT])
    publish(home, DAY, settings=redis_settings)
    copy = Home(tmp_path / "copy")
    shutil.copytree(home.root, copy.root)
    for deed in (publish_next, OnlinePortraits.open):
        with pytest.raises(HomeError, match="is a copy of"):
            deed(copy, redis_settings)
    shutil.rmtree(copy.root)
    home.root.rename(tmp_path / "moved")
    assert publish(Home(tmp_path / "moved"), NEXT, settings=redis_settings).rows == 400
    OnlinePortraits.open(Home(tmp_path / "moved"), redis_settings).close()


def test_another_store_than_yesterdays_is_refused(home, settings, redis_settings):
    """A home that published into its own file does not read or publish elsewhere because a variable is missing."""
    publish(home, DAY, settings=settings)
    for deed in (publish_next, OnlinePortraits.open):
        with pytest.raises(ConfigurationError, match=r"its online store is own file, but .* says redis://"):
            deed(home, redis_settings)


def test_a_large_fall_of_portraits_is_refused(tmp_path, any_store, portraits):
    """60 portraits over this home's own 400 need a person's word; the live ones stay."""
    home = crowd(tmp_path / "home", portraits, [DAY])
    portraits.write(home, {NEXT: portraits.rows(NEXT, [f"c{k:05d}" for k in range(60)])})
    publish(home, DAY, settings=any_store)
    with pytest.raises(HomeError, match="has 60 portraits; it had 400"):
        publish(home, NEXT, settings=any_store)
    online = OnlinePortraits.open(home, any_store)
    assert (online.pointer().as_of, online.pointer().rows) == (DAY, 400)
    online.close()


def test_a_lost_identity_is_taken_from_the_homes_own_file(home, settings):
    """Without `home.json` the store inside the home still says who it is; a file of another home is refused."""
    publish(home, DAY, settings=settings)
    mine = read_identity(home).home_id
    (home.root / "home.json").unlink()
    OnlinePortraits.open(home, settings).close()
    assert read_identity(home).home_id == mine
    other = Home(home.root.parent / "other")
    shutil.copytree(home.root, other.root)
    (other.root / "home.json").write_text((other.root / "home.json").read_text().replace(mine, "f" * 16))
    with pytest.raises(HomeError, match=f"belongs to home {mine}"):
        OnlinePortraits.open(other, settings)


def test_feasts_file_and_registry_follow_a_copied_home(home, settings):
    """In a copy Feast's own file and registry name the copy's folder, and the original's tree stays as it was."""
    from features.store.registry import open_registry

    publish(home, DAY, settings=settings)
    gc.collect()  # Feast's connection to the original goes with its object, and empties the log then
    copy = Home(home.root.parent / "elsewhere")
    shutil.copytree(home.root, copy.root)
    before = tree(home.root)
    publish(copy, NEXT, settings=settings)
    assert str(home.root) not in (copy.store / "feature_store.yaml").read_text()
    paths = {one.path for one in open_registry(copy, settings).list_data_sources()}
    assert all(path.startswith(str(copy.root)) for path in paths)
    assert tree(home.root) == before
    (copy.store / "registry.db").unlink()
    assert open_registry(copy, settings).list_entities() != []


def tree(root):
    """Returns every file with its bytes."""
    return {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}
