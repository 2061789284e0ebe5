"""The states as they were last read, kept in the home: a process that starts maps them instead of reading the feeds.

They are a copy of what the feeds say and named by everything that they came from: what the operator delivered, what of
our own reports was known on the day, portraits, settings and rules. What does not match is read from the feeds again.
A report of today lands at once and is known from today on: the states of today stay what they are.
"""

from __future__ import annotations

import hashlib
import shutil
from contextlib import suppress
from datetime import date
from pathlib import Path

import duckdb
import orjson

from features.feeds import contracts, times
from features.feeds.contracts import LINKS
from features.feeds.landed import reading
from features.feeds.landed.manifest import Part, version_of
from features.feeds.landed.reading import Feeds, known_versions
from features.feeds.landing.suppression import Suppression
from features.kit.errors import DataError
from features.kit.files import atomic_path, read_json, sha256_of, write_json
from features.kit.home import Home
from features.kit.sql import parquet
from serving import no_sale
from serving.outreach import dispositions, refusals
from serving.outreach.policy import control, states
from serving.outreach.policy.states import FeedStates, read_states, unchecked_codes
from serving.outreach.settings import OutreachSettings

_TABLES = ("states", "contacts", "declines")
_CONTENTS = "contents.json"
_KEPT = 2
"""States of so many days are kept: a list of today is drawn while yesterday's is still asked for."""
REPORTED = frozenset({"contacts", "outcomes", "tickets"})
"""The feeds in which our own reports land."""
_RULES = (states, control, no_sale, dispositions, refusals, contracts, reading, times)
"""Whatever these modules say decides what is read: of whom, and what was known on the day."""


def kept_states(feeds: Feeds, as_of: date, settings: OutreachSettings, *, threads: int = 1) -> tuple[str, FeedStates]:
    """Returns `read_states` from a copy, which is made where there is none, and the name of what it came from."""
    name = origin(feeds, as_of, settings)
    folder = _folder(feeds.home) / name
    found = states_in(folder, feeds, settings)
    if found is not None:
        return name, found
    read = read_states(feeds, as_of, settings, threads=threads)
    with suppress(OSError):  # a full disk, or a home that may only be read: the next process reads the feeds, too
        write_states(folder, read)
        _remove_older(folder)
    return name, read


def delivery(feeds: Feeds) -> str:
    """Returns what changes with everything that lands but our own reports, which the ledger knows already."""
    landed = feeds.manifest
    apart = {
        name: one.model_copy(update={"parts": (), "columns": (), "form": 0}) if name in REPORTED else one
        for name, one in landed.feeds.items()
        if name not in REPORTED or one.files
    }
    return version_of(landed.model_copy(update={"feeds": apart, "derived": _links(feeds)}))


def forget_states(home: Home) -> None:
    """Removes every copy: somebody in it was erased."""
    shutil.rmtree(_folder(home), ignore_errors=True)


def _folder(home: Home) -> Path:
    return home.personal / "policy"


def origin(feeds: Feeds, as_of: date, settings: OutreachSettings) -> str:
    """Returns the name of everything that the states of a day come from."""
    portrait = no_sale.newest_portrait(feeds, as_of)
    written = Path(portrait).stat() if portrait else None
    sources = [hashlib.sha256(Path(str(module.__file__)).read_bytes()).hexdigest() for module in _RULES]
    parts = (
        delivery(feeds), _known_reports(feeds, as_of), as_of.isoformat(),
        portrait and Path(portrait).relative_to(feeds.home.root).as_posix(),
        written and (written.st_size, written.st_mtime_ns), settings.content_hash(),
        no_sale.load_no_sale().content_hash(), sources,
    )  # fmt: skip
    return hashlib.sha256(orjson.dumps(parts)).hexdigest()[:32]


def _links(feeds: Feeds) -> dict[str, Part]:
    return {name: part for name, part in feeds.manifest.derived.items() if name in LINKS}


def _known_reports(feeds: Feeds, as_of: date) -> list[str]:
    """Returns a sum over the rows of each feed of reports that were known on a day, in whatever order and files."""
    found = []
    with duckdb.connect() as connection:
        connection.execute("SET threads=1")
        for name in sorted(REPORTED & feeds.names):
            rows = known_versions(parquet(feeds.paths(name), "union_by_name=true"), as_of, feeds.operator.time_zone)
            asked = f"SELECT count(*), sum(hash(f)) FROM (SELECT * EXCLUDE (superseded_at) FROM ({rows})) f"
            found.append(f"{name} {connection.execute(asked).fetchone()}")
    return found


def states_in(folder: Path, feeds: Feeds, settings: OutreachSettings) -> FeedStates | None:
    """Returns the states of a copy, mapped and not read; None where there is none or it is damaged."""
    import pyarrow as pa

    try:
        content = read_json(folder / _CONTENTS)
        if any(sha256_of(folder / f"{name}.arrow") != content[name] for name in _TABLES):
            return None
        known, contacts, declines = (
            pa.ipc.open_file(pa.memory_map(str(folder / f"{name}.arrow"))).read_all() for name in _TABLES
        )
    except (OSError, DataError, pa.ArrowException):
        return None
    erased, salt = Suppression.load(feeds.home) or None, settings.control.salt
    return FeedStates(known, contacts, declines, feeds.operator, erased, unchecked_codes(feeds), salt)


def write_states(folder: Path, read: FeedStates) -> None:
    """Writes a copy; its contents last, so that it is whole or none."""
    import pyarrow as pa

    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    content = {}
    for name in _TABLES:
        table = getattr(read, name).combine_chunks()
        with atomic_path(folder / f"{name}.arrow") as temporary:
            temporary.touch(mode=0o600)
            with pa.ipc.new_file(str(temporary), table.schema) as file:
                file.write_table(table)
            content[name] = sha256_of(temporary)
    write_json(folder / _CONTENTS, content)


def _remove_older(folder: Path) -> None:
    others = sorted((one for one in folder.parent.iterdir() if one != folder), key=lambda one: one.stat().st_mtime_ns)
    for old in others[: max(0, len(others) - _KEPT + 1)]:
        shutil.rmtree(old, ignore_errors=True)
