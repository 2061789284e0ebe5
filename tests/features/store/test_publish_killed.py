"""A publish killed anywhere leaves the old view serving, and the next one completes."""

import signal
from datetime import date

import pytest

from features.kit.home import Home
from features.store.online.online import OnlinePortraits
from features.store.publish import publish

OLD, NEW = date(2026, 3, 8), date(2026, 3, 9)
POINTS = ["publish.after_clear", "publish.after_fill", "publish.before_pointer", "publish.after_pointer"]


@pytest.mark.parametrize("point", POINTS)
def test_kill_leaves_one_whole_view(point, home, any_store, fresh_processes, tmp_path):
    """After SIGKILL at each point every customer is served from one whole date; the re-run ends on the new one."""
    import store_children

    publish(home, OLD, settings=any_store)
    log = tmp_path / "hits"
    victim = fresh_processes.Process(
        target=store_children.publish_and_die, args=(Home.at(home.root), NEW, any_store, f"{point}:1:kill", str(log))
    )
    victim.start()
    victim.join(60)
    assert victim.exitcode == -signal.SIGKILL
    assert f"fired:{point}" in log.read_text().split()

    online = OnlinePortraits.open(home, any_store)
    expected = NEW if point == "publish.after_pointer" else OLD
    ids = ["c1", "c2", "c10"]
    assert [(one, expected) for one in ids] == [(one.customer_id, one.as_of) for one in online.read(ids)]

    report = publish(home, NEW, settings=any_store)
    assert (report.as_of, report.rows) == (NEW, 3)
    assert [one.as_of for one in online.read(ids)] == [NEW] * 3
    online.close()


def test_every_failpoint_is_killed_above(home, settings, monkeypatch, tmp_path):
    """A failpoint that the code gains must be added to this test."""
    log = tmp_path / "hits"
    monkeypatch.setenv("INSIGHT_FAILPOINT_LOG", str(log))
    publish(home, OLD, settings=settings)
    assert ["publish.after_registry", *POINTS] == log.read_text().split()
