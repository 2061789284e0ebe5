"""The serving process: spawned by `insight serve`, it loads the models after it has started."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
from pathlib import Path

KEEP_ALIVE_SECONDS = 30
GRACEFUL_SECONDS = 10


def run(home: str, host: str, port: int) -> None:
    """Serves a home until SIGTERM or SIGINT; answers under way are finished first.

    Exits with 2 and one line on stderr if the home cannot be served.
    """
    import uvicorn

    from features.kit.errors import InsightError
    from features.kit.home import Home
    from features.kit.log import configure_logging
    from serving.api.app import create_app
    from serving.api.context import Context
    from serving.api.traffic import Figures

    configure_logging()
    _end_with_parent()
    place, figures = Home.at(Path(home)), Figures()
    try:
        context = Context.open(place, figures)
    except InsightError as error:
        print("error: " + " ".join(str(error).split()), file=sys.stderr)
        sys.exit(2)
    print(f"serving on http://{host}:{port}  (documentation: /docs, stop: Ctrl-C)", file=sys.stderr, flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.run(
            create_app(place, figures=figures, context=context),
            host=host,
            port=port,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=GRACEFUL_SECONDS,
        )


def _end_with_parent() -> None:
    """Stops this process when its parent is gone, however that ended."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def wait() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="parent", daemon=True).start()
