"""The operational database opens once, migrates once, and keeps what was committed."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect, select, text
from sqlalchemy.exc import DBAPIError, OperationalError

from features.kit.errors import ConfigurationError, ConflictError, NotFoundError, NotReadyError
from features.kit.home import Home
from serving.database import session as database_session
from serving.database.audit import first_tampered, record
from serving.database.idempotency import Answer, remember, remembered
from serving.database.keys import create_key, find_key, list_keys, revoke_key
from serving.database.session import HEAD, engine_of, open_database, reading, writing
from serving.database.tables import all_tables
from serving.database.tables_access import ApiKeyRow


@pytest.fixture
def engine(tmp_path: Path):
    """Opens a fresh operational database."""
    engine = open_database(Home(tmp_path))
    yield engine
    engine.dispose()


def test_head_is_the_newest_migration():
    """The version that skips migrating is the newest one shipped."""
    config = Config()
    config.set_main_option("script_location", str(Path(database_session.__file__).parent / "migrations"))
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


def test_opening_makes_every_table_and_only_the_owner_may_read(engine, tmp_path):
    """A fresh home gets every table of every room, in WAL mode, with foreign keys on, in a file of mode 0600."""
    assert set(inspect(engine).get_table_names()) == {*all_tables().tables, "alembic_version"}
    with engine.connect() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 2
    assert (tmp_path / "operations.db").stat().st_mode & 0o777 == 0o600


def test_the_migrations_make_exactly_the_tables(engine):
    """What the migrations made is what the rooms' tables say: a changed table needs a migration."""
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, all_tables()) == []


def test_a_table_without_a_migration_is_found(engine):
    """The comparison is no rubber stamp: a column that no migration makes shows up."""
    with engine.connect() as connection:
        connection.execute(text("ALTER TABLE api_keys DROP COLUMN city"))
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert [difference[0] for difference in compare_metadata(context, all_tables())] == ["add_column"]


def test_eight_processes_open_a_fresh_database_at_once(tmp_path):
    """Parallel first openings all succeed: one migrates, the others wait."""
    program = (
        "import sys; from features.kit.home import Home; from serving.database.session import open_database; "
        "from serving.database.keys import create_key; "
        "create_key(open_database(Home.at(sys.argv[1])), 'one', frozenset({'scores:read'}), actor='cli')"
    )
    children = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path)]) for _ in range(8)]
    assert [child.wait() for child in children] == [0] * 8
    engine = open_database(Home(tmp_path))
    assert len(list_keys(engine)) == 8
    engine.dispose()


def test_a_failed_transaction_leaves_nothing(engine):
    """An error inside a writing transaction rolls all of it back."""

    def work():
        with writing(engine) as session:
            record(session, actor="cli:a", action="x", subject="1")
            raise NotFoundError("stop")

    with pytest.raises(NotFoundError):
        work()
    with writing(engine) as session:
        assert record(session, actor="cli:a", action="x", subject="1") == 1


def test_a_reader_that_turns_writer_would_fail_without_begin_immediate(engine):
    """Two transactions that read and then write both succeed, because the second waits at its start."""
    import threading

    def add(name: str) -> None:
        with writing(engine) as session:
            session.scalars(select(ApiKeyRow)).all()
            record(session, actor=name, action="x", subject="1")

    threads = [threading.Thread(target=add, args=(f"t{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert first_tampered(engine) is None
    with writing(engine) as session:
        assert record(session, actor="a", action="x", subject="1") == 9


def test_a_writer_that_waits_too_long_gives_up_at_its_start(tmp_path, monkeypatch):
    """While another holds the write lock a writer gives up at its start; readers are not disturbed."""
    monkeypatch.setattr(database_session, "BUSY_SECONDS", 0.05)
    engine = open_database(Home(tmp_path))
    with writing(engine) as holder:
        record(holder, actor="a", action="x", subject="1")
        with pytest.raises(OperationalError, match="database is locked"), writing(engine):
            pass
        assert list_keys(engine) == []
    engine.dispose()


def test_a_key_works_until_revoked_and_its_secret_is_stored_nowhere(engine, tmp_path):
    """The full text opens, a changed one does not, a revoked one does not, and no file holds the secret."""
    key, full = create_key(engine, "crm", frozenset({"scores:read", "care:read"}), province="Beijing", actor="cli")
    secret = full.split("_", 2)[2]
    assert find_key(engine, full) == key
    assert key.scopes == {"scores:read", "care:read"}
    assert key.province == "Beijing"
    for wrong in (
        full[:-1] + ("A" if full[-1] != "A" else "B"),
        f"ik_{key.key_id}_",
        "ik__",
        "",
        "x_y_z",
        f"ik_zz_{secret}",
    ):
        assert find_key(engine, wrong) is None
    contents = [file.read_bytes() for file in tmp_path.iterdir()]
    assert any(key.key_id.encode() in content for content in contents)
    assert not any(secret.encode() in content for content in contents)
    assert revoke_key(engine, key.key_id, actor="cli").revoked_at is not None
    assert find_key(engine, full) is None
    with pytest.raises(NotFoundError, match="no key 'zz'"):
        revoke_key(engine, "zz", actor="cli")


def test_an_expired_key_does_not_work(engine, monkeypatch):
    """A key of one day is refused two days later."""
    _, full = create_key(engine, "crm", frozenset({"scores:read"}), valid_days=1, actor="cli")
    assert find_key(engine, full) is not None
    monkeypatch.setattr("serving.database.keys.utc_now", lambda: datetime(2999, 1, 1, tzinfo=UTC))
    assert find_key(engine, full) is None


@pytest.mark.parametrize(
    ("scopes", "options", "message"),
    [
        ({"scores:reed"}, {}, "unknown scope 'scores:reed'"),
        (set(), {}, "at least one scope"),
        ({"scores:read"}, {"city": "Suzhou"}, "without its province"),
        ({"scores:read"}, {"valid_days": 0}, "validity of 0 days"),
    ],
)
def test_a_key_that_makes_no_sense_is_refused(engine, scopes, options, message):
    """Nothing is made for a misspelt scope, for no scope, or for a city alone."""
    with pytest.raises(ConfigurationError, match=message):
        create_key(engine, "crm", frozenset(scopes), **options, actor="cli")
    assert list_keys(engine) == []


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE audit SET detail = '{}' WHERE entry_id = 3",
        "UPDATE audit SET actor = 'nobody' WHERE entry_id = 3",
        "DELETE FROM audit WHERE entry_id = 3",
        "UPDATE audit SET entry_hash = previous_hash WHERE entry_id = 3",
    ],
)
def test_tampering_with_the_audit_trail_is_found(engine, tampering):
    """A changed or removed entry is named; an untouched trail is whole."""
    for number in range(5):
        with writing(engine) as session:
            record(session, actor="key1", action="outreach.handover", subject="L1", detail={"lines": number})
    assert first_tampered(engine) is None
    with engine.begin() as connection:
        connection.execute(text(tampering))
    assert first_tampered(engine) == 3


def test_the_same_key_gives_the_same_answer_and_another_request_is_refused(engine):
    """Replay is byte-equal per owner; the same key with another body is a conflict."""
    answer = Answer(201, b'{"list_id":"L1"}')
    with writing(engine) as session:
        assert remembered(session, "key1", "k", b"{}") is None
        remember(session, "key1", "k", b"{}", answer)
    with reading(engine) as session:
        assert remembered(session, "key1", "k", b"{}") == answer
        assert remembered(session, "key2", "k", b"{}") is None
        with pytest.raises(ConflictError, match="'k' was used with another request"):
            remembered(session, "key1", "k", b'{"capacity":1}')


def test_a_bad_address_is_one_clear_line(tmp_path, monkeypatch):
    """A wrong INSIGHT_DATABASE_URL is named; its password is not shown; a silent server is not_ready."""
    for bad, message in (("mysql://a:secret@b/c", "is not PostgreSQL"), ("nonsense", "not a database address")):
        monkeypatch.setenv("INSIGHT_DATABASE_URL", bad)
        with pytest.raises(ConfigurationError, match=message) as caught:
            open_database(Home(tmp_path))
        assert "secret" not in str(caught.value)
    monkeypatch.setenv("INSIGHT_DATABASE_URL", "postgresql://a:secret@127.0.0.1:9/c")
    with pytest.raises((NotReadyError, ConfigurationError)) as silent:
        open_database(Home(tmp_path))
    assert "secret" not in str(silent.value)
    assert not (tmp_path / "operations.db").exists()


def test_a_misspelt_variable_is_named(tmp_path, monkeypatch):
    """INSIGHT_DATABSE_URL is not silently ignored."""
    monkeypatch.setenv("INSIGHT_DATABSE_URL", "postgresql://a@b/c")
    with pytest.raises(ConfigurationError, match="INSIGHT_DATABSE_URL"):
        open_database(Home(tmp_path))
    monkeypatch.delenv("INSIGHT_DATABSE_URL")
    monkeypatch.setenv("INSIGHT_WATCH_SECONDS", "soon")
    with pytest.raises(ConfigurationError, match="INSIGHT_WATCH_SECONDS"):
        open_database(Home(tmp_path))


@pytest.mark.xdist_group("postgresql")
def test_postgresql_does_the_same(postgresql, tmp_path, monkeypatch):
    """On PostgreSQL four processes open a fresh database at once; keys, audit and idempotency work as on SQLite."""
    monkeypatch.setenv("INSIGHT_DATABASE_URL", postgresql)
    program = (
        "import sys; from features.kit.home import Home; from serving.database.session import open_database; "
        "from serving.database.keys import create_key; "
        "create_key(open_database(Home.at(sys.argv[1])), 'one', frozenset({'scores:read'}), actor='cli')"
    )
    children = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path)]) for _ in range(4)]
    assert [child.wait() for child in children] == [0] * 4
    engine = open_database(Home(tmp_path))
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), all_tables()) == []
    key, full = create_key(engine, "crm", frozenset({"scores:read"}), actor="cli")
    assert find_key(engine, full) == key
    assert len(list_keys(engine)) == 5
    assert first_tampered(engine) is None
    with writing(engine) as session:
        assert remembered(session, "key1", "k", b"{}") is None
        remember(session, "key1", "k", b"{}", Answer(201, b"x"))
    with reading(engine) as session:
        assert remembered(session, "key1", "k", b"{}") == Answer(201, b"x")
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM audit WHERE entry_id = 4"))
    assert first_tampered(engine) == 4
    assert not (tmp_path / "operations.db").exists()
    engine.dispose()


def test_the_command_line_makes_lists_and_revokes_a_key(tmp_path):
    """`insight keys` prints a key that works, lists it without its secret, and takes it back; all three are audited."""
    from typer.testing import CliRunner

    from features.kit.cli import create_app

    app, home = create_app(), ["--home", str(tmp_path)]
    run = CliRunner().invoke
    full = run(app, ["keys", "create", "crm", "--scope", "scores:read", *home]).stdout.strip()
    engine = open_database(Home(tmp_path))
    key = find_key(engine, full)
    assert key is not None
    listed = run(app, ["keys", "list", *home]).stdout
    assert listed == f"{key.key_id}  crm  scores:read  all rows  works\n"
    assert run(app, ["keys", "revoke", key.key_id, *home]).exit_code == 0
    assert find_key(engine, full) is None
    with engine.connect() as connection:
        actions = connection.execute(text("SELECT action, actor FROM audit ORDER BY entry_id")).all()
    assert [tuple(row) for row in actions] == [("keys.create", "cli"), ("keys.revoke", "cli")]
    engine.dispose()


def test_the_error_of_a_statement_shows_no_parameter(tmp_path):
    """A failed statement of the ledger names no value; without the setting (the canary) it does."""
    shown = {}
    for name, engine in (("ours", engine_of(Home(tmp_path))), ("plain", create_engine("sqlite://"))):
        with pytest.raises(DBAPIError) as failed, engine.connect() as connection:
            connection.execute(text("SELECT :number FROM nowhere"), {"number": "13800001234"})
        engine.dispose()
        shown[name] = "13800001234" in str(failed.value)
    assert shown == {"ours": False, "plain": True}
