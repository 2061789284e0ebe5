"""A real PostgreSQL server for the tests, started from the machine's own binaries."""

from __future__ import annotations

import gc
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import psycopg
import pytest

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
"""Two tests share the cores: a thread of LightGBM that waits must not spin on the other's."""
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
"""The workers and the hundreds of commands that tests start would each compile every module that they import."""


def pytest_collection_finish() -> None:
    """Lets the garbage collector pass by what has been imported: walking through it took 6 % of the tests' CPU."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


@pytest.fixture
def postgresql(postgresql_server: str) -> str:
    """Returns the address of a database of the test's own: a ledger belongs to one home."""
    name = f"ledger_{secrets.token_hex(6)}"
    with psycopg.connect(postgresql_server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    return postgresql_server.removesuffix("postgres") + name


@pytest.fixture(scope="session")
def postgresql_server():
    """Starts a server on a free port and returns its address; skips where no PostgreSQL is installed."""
    found = shutil.which("initdb") or next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))), None)
    if found is None:
        pytest.skip("install postgresql (Debian: postgresql-15): there is no initdb")
    binaries = (
        Path(found).resolve().parent if (Path(found).resolve().parent / "pg_ctl").exists() else Path(found).parent
    )
    root = os.geteuid() == 0
    who: dict[str, Any] = (
        {"user": "nobody", "group": pwd.getpwnam("nobody").pw_gid} if root else {}
    )  # the server refuses to run as root
    folder = Path(tempfile.mkdtemp(prefix="insight-pg-"))
    if root:
        shutil.chown(folder, "nobody")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    data = folder / "data"
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"

    def run(*command: str) -> None:
        done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False, **who)
        assert done.returncode == 0, done.stdout + done.stderr

    try:
        run(str(binaries / "initdb"), "-D", str(data), "-U", "insight", "--auth=trust", "-E", "UTF8", "--no-sync")
        run(str(binaries / "pg_ctl"), "-D", str(data), "-w", "-l", str(folder / "log"), "-o", options, "start")
        yield f"postgresql://insight@127.0.0.1:{port}/postgres"
        run(str(binaries / "pg_ctl"), "-D", str(data), "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
