"""One world in two dialects: what lands is the same, and what is spoilt is named before anything is published."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import duckdb
import pytest

from features.feeds.landed.reading import Feeds
from features.feeds.landing.landing import land
from features.feeds.mapping.sources import load_source
from features.kit.config import config_path
from features.kit.errors import ConfigurationError
from features.kit.home import Home
from features.simulator.dialect.bss_cn import EXTRACTS
from features.simulator.dialect.write import ENCODING, check_dialect, write_dialect
from features.simulator.step import simulate_to
from tests.deliveries import MUTATIONS, Mutation, Spoilt, outcome

pytestmark = pytest.mark.xdist_group("dialect")

CUSTOMERS, MONTHS, FIRST, LAST = 448, 3, date(2026, 3, 1), date(2026, 6, 1)
END = "TIMESTAMP '2026-05-31 16:00:00'"  # the data end, 2026-06-01 local time
SOURCE = load_source(config_path("sources/bss_cn.yaml"))
BY_NAME = {extract.name: extract for extract in EXTRACTS}


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    """Returns the clean files of one small world."""
    out = tmp_path_factory.mktemp("clean")
    simulate_to(out, customers=CUSTOMERS, months=MONTHS, seed=3)
    return out / "files"


@pytest.fixture(scope="module")
def homes(clean, tmp_path_factory):
    """Returns two homes: the world landed from its clean files, and from the dialect's."""
    root = tmp_path_factory.mktemp("homes")
    write_dialect(clean, root / "bss_cn", first=FIRST, end=LAST)
    found = {}
    for name, data in (("simulator", clean), ("bss_cn", root / "bss_cn")):
        found[name] = Home(root / f"home-{name}")
        report = land(load_source(config_path(f"sources/{name}.yaml")), data, found[name])
        assert {feed: one.quarantined for feed, one in report.feeds.items() if one.quarantined} == {}
    return found


def test_both_dialects_land_the_same_rows(homes):
    """Each feed has the same rows with the same event and knowledge times, but for the states the mapping says it lacks."""
    opened = [Feeds.open(home) for home in homes.values()]
    clean, dialect = (one.connect(personal=True) for one in opened)
    lacking = set()
    since = dict(dialect.execute("SELECT customer_id, min(known_at) FROM customers GROUP BY customer_id").fetchall())
    for feed in opened[0].manifest.feeds:
        described = clean.execute(f"DESCRIBE {feed}").fetchall()
        names = [row[0] for row in described if row[0] not in ("arrived_at", "superseded_at")]
        query = f"SELECT DISTINCT {', '.join(names)} FROM {feed} WHERE known_at < {END}"
        rows, found = (set(connection.execute(query).fetchall()) for connection in (clean, dialect))
        at = names.index(
            "known_at"
        )  # a row is known no sooner than its customer, whose first state the dialect may lack
        wanted = {(*row[:at], max(row[at], since.get(row[0], row[at])), *row[at + 1 :]) for row in rows}
        assert found <= wanted, feed
        if found != wanted:
            lacking.add(feed)
    assert lacking <= set(SOURCE.lacks)
    assert "bills" in lacking


def test_both_dialects_give_the_same_portraits(homes):
    """Every feature, class and fact of every customer is the same; only the time of building differs."""
    from features.portraits.build.build import build_portraits

    paths = []
    for home in homes.values():
        build_portraits(home, Feeds.open(home), [LAST])
        paths.append(next(home.portraits.glob(f"portrait_v1-*/as_of={LAST}/portrait.parquet")))
    tables = [f"SELECT * EXCLUDE (built_at) FROM '{path}'" for path in paths]
    assert duckdb.sql(f"SELECT count(*) FROM '{paths[0]}'").fetchone()[0] > 300
    differing = f"({tables[0]} EXCEPT ALL {tables[1]}) UNION ALL ({tables[1]} EXCEPT ALL {tables[0]})"
    assert duckdb.sql(differing).fetchall() == []


def test_the_files_are_what_the_dialect_promises(homes):
    """GB18030, one folder a month, full-width brackets round the units, 18 digits with leading zeros, counted rows."""
    import gzip

    data = homes["bss_cn"].root.parent / "bss_cn"
    assert sorted(path.name for path in data.iterdir()) == ["202603", "202604", "202605"]
    text = gzip.decompress((data / "202605" / "acct_bill_202605.dat.gz").read_bytes()).decode(ENCODING)
    header, first = (line.split("|") for line in text.splitlines()[:2])
    assert {"套餐月费（厘）", "流量包费（分）", "应收合计（元）"} <= set(header)
    row = dict(zip(header, first, strict=True))
    assert re.fullmatch(r"00\d{16}", row["用户标识"])
    assert re.fullmatch(r"2026\d\d", row["账期"])
    assert re.fullmatch(r"202605\d{8}", row["入库时间"])
    assert float(row["套餐月费（厘）"]) % 1000 == 0
    counts = (data / "202605" / "check_202605.txt").read_bytes().decode(ENCODING).splitlines()
    assert f"acct_bill_202605.dat.gz|{len(text.splitlines()) - 1}" in counts
    assert len(counts) == 1 + len(EXTRACTS)


def test_every_header_of_the_dialect_is_declared():
    """The mapping's headers are the dialect's, in order, and every word has its meaning."""
    assert set(SOURCE.files) == set(BY_NAME)
    for name, file in SOURCE.files.items():
        assert file.header == tuple(header for header, _, _ in BY_NAME[name].columns)
        for header, _, form in BY_NAME[name].columns:
            ours = {theirs: word for word, theirs in form.words}
            assert file.words.get(header, ours) == ours or set(ours) <= {"是", "否", "1", "0"}


def test_an_unknown_dialect_is_named():
    """The known ones are the remedy."""
    with pytest.raises(ConfigurationError, match=r"there is no 'bss_xx'.*clean, bss_cn"):
        check_dialect("bss_xx")


def spoilt(data: Path, name: str) -> Spoilt:
    """Returns one file of the newest month."""
    return Spoilt(data, BY_NAME[name], tuple(SOURCE.files[name].typical))


@pytest.mark.parametrize("place", range(len(MUTATIONS)), ids=[mutation.name for mutation in MUTATIONS])
def test_a_spoilt_file_is_named_and_nothing_is_published(homes, place):
    """Each mutation once, on the next extract to which it applies; all mutations of all extracts are in `make soak`."""
    home = homes["bss_cn"]
    data = home.root.parent / "bss_cn"
    for step in range(len(EXTRACTS)):
        found = outcome(SOURCE, home, spoilt(data, EXTRACTS[(place + step) % len(EXTRACTS)].name), MUTATIONS[place])
        if found is not None:
            break
    assert found == ""


def test_a_date_of_six_digits_in_a_catalogue_is_no_month(homes):
    """20200101 cut to 200101 reads as January 2001; a catalogue, whose dates all are alike, says so."""
    data = homes["bss_cn"].root.parent / "bss_cn"
    mutation = next(one for one in MUTATIONS if one.name == "years of two digits")
    assert outcome(SOURCE, homes["bss_cn"], spoilt(data, "pack_dict"), mutation) == ""


def test_canary_an_untouched_file_lands(homes):
    """The harness sees a landing that goes through: the mutations above are what stops it."""
    home = homes["bss_cn"]
    data = home.root.parent / "bss_cn"
    assert outcome(SOURCE, home, spoilt(data, "acct_bill"), Mutation("nothing", lambda _: True, "")) == "landed"
