"""The serving process: spawned by `insight serve`, it loads the models after it has started."""

from __future__ import annotations

from pathlib import Path

KEEP_ALIVE_SECONDS = 30


def run(home: str, host: str, port: int) -> None:
    """Serves a home until it is told to stop (SIGTERM or SIGINT); answers under way are finished first."""
    import uvicorn

    from features.kit.home import Home
    from features.kit.log import configure_logging
    from serving.api.app import create_app

    configure_logging()
    uvicorn.run(
        create_app(Home.at(Path(home))),
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=10,
    )
