"""The serving process: spawned by `insight serve`, it loads the models after it has started."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from features.kit.home import Home

KEEP_ALIVE_SECONDS = 30
GRACEFUL_SECONDS = 10
SWITCH_SECONDS = 0.001
"""How long a thread computes before another may: the loop that refuses and answers waits for each of them in turn."""
SERVE, SERVING = "serve", "serving"
"""The order that a process waits for, and its answer once it has opened the home."""


def run(home: str, host: str, port: int, orders: Connection | None = None) -> None:
    """Serves a home until SIGTERM or SIGINT; answers under way are finished first.

    With `orders` it stands by until it is told to serve: everything is imported and the champions are checked by then,
    so that it takes over from a killed process at once. Exits with 2 and one line on stderr if the home cannot be
    served.
    """
    if orders is not None:  # Ctrl-C reaches this process too; its parent ends it, whatever it is about
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    import uvicorn

    from features.kit.errors import InsightError
    from features.kit.home import Home
    from features.kit.log import configure_logging
    from serving.api.app import create_app
    from serving.api.context import Context
    from serving.api.server.protocol import BoundedProtocol
    from serving.api.traffic import Figures

    configure_logging()
    sys.setswitchinterval(SWITCH_SECONDS)
    _end_with_parent()
    place, figures = Home.at(Path(home)), Figures()
    if orders is not None and not _told_to_serve(place, orders):
        return
    try:
        context = Context.open(place, figures)
    except InsightError as error:
        print("error: " + " ".join(str(error).split()), file=sys.stderr)
        sys.exit(2)
    if orders is not None:
        orders.send(SERVING)
    print(f"serving on http://{host}:{port}  (documentation: /docs, stop: Ctrl-C)", file=sys.stderr, flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        app = create_app(place, figures=figures, context=context)
        uvicorn.run(
            app,
            host=host,
            port=port,
            http=cast("Any", partial(BoundedProtocol, app.state.places)),
            ws="none",
            log_config=None,  # the handler of `configure_logging`
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=GRACEFUL_SECONDS,
        )


def _told_to_serve(home: Home, orders: Connection) -> bool:
    """Waits for the order; meanwhile opens the home once and closes it, which loads all that serving loads.

    A child process has checked the champions by then, so that the same bytes are not checked again.
    """
    from serving.api.context import Context
    from serving.api.health import ready
    from serving.api.traffic import Figures

    try:
        if not orders.poll():
            # A home that cannot be opened, a model, store or feed that is damaged or not ready: whoever serves says it.
            with contextlib.suppress(Exception):
                context = Context.open(home, Figures())
                with contextlib.closing(context):
                    ready(context)
        return bool(orders.recv() == SERVE)
    except EOFError:
        return False


def _end_with_parent() -> None:
    """Stops this process when its parent is gone, however that ended."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def wait() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="parent", daemon=True).start()
