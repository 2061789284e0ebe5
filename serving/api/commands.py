"""The command of this room: `insight serve`."""

from __future__ import annotations

from typing import Annotated

import typer

from features.kit.cli import HomeOption, open_home
from features.kit.errors import NotReadyError


def register(app: typer.Typer) -> None:
    """Adds this room's commands to `insight`."""
    app.command("serve")(serve)


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 picks a free one.")] = 8000,
    home: HomeOption = None,
) -> None:
    """Serve scores, lists and portraits over HTTP; the documentation is at /docs."""
    from serving.api.server.process import serve_in_child

    state = open_home(home)
    if not state.root.is_dir():
        raise NotReadyError(f"{state.root}: no home here", remedy="run insight demo or insight run, or check --home")
    raise typer.Exit(serve_in_child(state, host, port))
