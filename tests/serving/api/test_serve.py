"""`insight serve` as a real process on a real socket: what it loads, how it ends, how it comes back."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.running import INSIGHT, PATIENCE_SECONDS, children_of, free_port, serve, until_ready

pytestmark = pytest.mark.xdist_group("api")


def ask(port, path, headers=None, body=None):
    """Returns status and JSON of a request."""
    data = None if body is None else json.dumps(body).encode()
    request = Request(f"http://127.0.0.1:{port}{path}", data, {**(headers or {}), "Content-Type": "application/json"})
    try:
        with urlopen(request, timeout=30) as answer:
            return answer.status, json.loads(answer.read())
    except HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


@pytest.fixture(scope="module")
def serving(world, tmp_path_factory):
    """Returns the port and process of a running `insight serve`."""
    with serve(world.home.root, tmp_path_factory.mktemp("serving") / "log") as (port, process):
        yield port, process
    assert process.returncode == 0


def test_it_answers_over_a_real_socket(serving, world, everything):
    """The running process gives scores."""
    port, _ = serving
    status, answer = ask(port, "/v1/scores", everything, {"targets": ["churn"], "ids": world.ids[:3], "reasons": 1})
    assert (status, [item["status"] for item in answer["items"]]) == (200, ["ok"] * 3)


def test_a_taken_port_is_told_with_a_free_one(serving, world):
    """One line, exit code 2, and a port that works."""
    port, _ = serving
    command = [INSIGHT, "serve", "--port", str(port), "--home", str(world.home.root)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr
    assert re.search(r"insight serve (--home \S+ )?--host 127.0.0.1 --port \d+", done.stderr)


def test_a_killed_process_comes_back(serving, world, everything):
    """After SIGKILL the process that stood by serves, and another one stands by."""
    port, process = serving
    child, standing_by = until_children(process, 2)
    os.kill(child, signal.SIGKILL)
    while child in children_of(process.pid):
        time.sleep(0.05)
    until_ready(port, process)
    assert children_of(process.pid)[0] == standing_by
    assert ask(port, "/v1/models", everything)[0] == 200
    (next_one,) = set(until_children(process, 2)) - {standing_by}
    os.kill(next_one, signal.SIGKILL)  # one that stands by may be killed too
    os.kill(standing_by, signal.SIGKILL)
    while {standing_by, next_one} & set(children_of(process.pid)):
        time.sleep(0.05)
    until_ready(port, process)


def until_children(process, count):
    """Waits until a process has so many children, and returns them."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(children_of(process.pid)) != count:
        assert time.monotonic() < deadline, children_of(process.pid)
        time.sleep(0.05)
    return children_of(process.pid)


def test_a_home_that_cannot_be_served_is_one_line(tmp_path):
    """A damaged database stops the start with one line and exit code 2, and nothing is tried again."""
    (tmp_path / "operations.db").write_bytes(b"not a database" * 100)
    command = [INSIGHT, "serve", "--port", str(free_port()), "--home", str(tmp_path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2, done.stderr
    assert (done.stderr.count("\n"), done.stderr.startswith("error: ")) == (1, True)


def test_a_home_that_is_not_there_is_one_line_and_is_not_created(tmp_path):
    """A mistyped --home ends with the remedy and exit code 2 before anything is written."""
    command = [INSIGHT, "serve", "--port", str(free_port()), "--home", str(tmp_path / "nohome")]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert re.search(
        r"nohome: no home here  -> run (\S*/)?insight demo or (\S*/)?insight run, or check --home", done.stderr
    )
    assert list(tmp_path.iterdir()) == []


INTERRUPTED = """
import signal, sys

class Import:
    def find_spec(self, name, *_):
        if name == "uvicorn":
            signal.raise_signal(signal.SIGINT)
            sys.exit(7)

from serving.api.server.server import run
sys.meta_path.insert(0, Import())
run("home", "127.0.0.1", 1, object())
"""


def test_ctrl_c_while_a_process_starts_prints_no_traceback():
    """The terminal sends it to the processes that still import, too: they go on, and their parent ends them."""
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], check=False, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (7, "")


DRIVE = """
import json, os, signal, sys, threading, time
from urllib.request import Request, urlopen
from urllib.error import HTTPError

home, port, key, customer_id = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
headers = {"Authorization": key, "Content-Type": "application/json", "Idempotency-Key": "fresh"}

def ask(path, body=None):
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(f"http://127.0.0.1:{port}{path}", data, headers), timeout=60) as answer:
        return answer.read()

def drive():
    for _ in range(600):
        try:
            ask("/readyz")
            break
        except OSError:
            time.sleep(0.1)
    ask("/v1/scores", {"targets": ["churn"], "ids": [customer_id], "reasons": 3, "purpose": "service", "channel": "call"})
    for path in ("portrait", "product-fit"):
        ask(f"/v1/customers/{customer_id}/{path}")
    ask("/v1/audiences?target=churn&purpose=marketing&channel=call")
    ask("/v1/models"), ask("/docs"), ask("/openapi.json"), ask("/metrics"), ask("/v1/outreach/lists")
    try:
        ask("/v1/lookups", {"number": "19999999999"})
    except HTTPError:
        pass
    heavy = ("feast", "mlflow", "optuna", "shap", "sklearn", "pyspark")
    print(json.dumps([name for name in heavy if name in sys.modules]), flush=True)
    os.kill(os.getpid(), signal.SIGTERM)

from serving.api.server.server import run
threading.Thread(target=drive).start()
run(home, "127.0.0.1", port)
"""


def test_a_serving_process_never_loads_the_training_libraries(world, everything):
    """After a request to every reading route, none of feast, mlflow, optuna, shap is in `sys.modules`."""
    command = [
        sys.executable,
        "-c",
        DRIVE,
        str(world.home.root),
        str(free_port()),
        everything["Authorization"],
        world.ids[0],
    ]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert done.stdout.splitlines()[-1:] == ["[]"], done.stderr
