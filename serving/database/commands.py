"""The commands of this room: `insight keys create | list | revoke`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from features.kit.cli import HomeOption, JsonOption, open_home, print_json


def register(app: typer.Typer) -> None:
    """Adds this room's commands to `insight`."""
    keys = typer.Typer(name="keys", help="API keys: made once, shown once, stored as a hash.", no_args_is_help=True)
    keys.command("create")(create)
    keys.command("list")(show)
    keys.command("revoke")(revoke)
    app.add_typer(keys)


def create(
    name: Annotated[str, typer.Argument(help="Whose key it is, e.g. crm.")],
    scope: Annotated[list[str], typer.Option("--scope", help="What it may do; repeat for several.")],
    province: Annotated[str | None, typer.Option(help="Only customers of this province.")] = None,
    city: Annotated[str | None, typer.Option(help="Only customers of this city (with --province).")] = None,
    valid_days: Annotated[int | None, typer.Option(help="Days until it stops working; unlimited if not given.")] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key and print it; it is never shown again."""
    from serving.database.keys import create_key
    from serving.database.session import open_database

    engine = open_database(open_home(home))
    key, full = create_key(
        engine, name, frozenset(scope), province=province, city=city, valid_days=valid_days, actor="cli"
    )
    if as_json:
        print_json({"key": full, **asdict(key), "scopes": sorted(key.scopes)})
    else:
        print(full)


def show(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List every key: id, name, scopes, rows it may see, and whether it still works."""
    from features.kit.clock import utc_now
    from serving.database.keys import list_keys
    from serving.database.session import open_database

    keys = list_keys(open_database(open_home(home)))
    now = utc_now()
    if as_json:
        print_json([{**asdict(key), "scopes": sorted(key.scopes), "works": key.works_at(now)} for key in keys])
        return
    for key in keys:
        rows = "/".join(part for part in (key.province, key.city) if part) or "all rows"
        state = "works" if key.works_at(now) else "revoked" if key.revoked_at else "expired"
        print(f"{key.key_id}  {key.name}  {' '.join(sorted(key.scopes))}  {rows}  {state}")


def revoke(
    key_id: Annotated[str, typer.Argument(help="The id that `insight keys list` shows.")], home: HomeOption = None
) -> None:
    """Take a key back; it stops working at once."""
    from serving.database.keys import revoke_key
    from serving.database.session import open_database

    key = revoke_key(open_database(open_home(home)), key_id, actor="cli")
    print(f"{key.key_id} ({key.name}) is revoked")
