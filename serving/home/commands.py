"""The commands of this room: `insight home show | move | adopt`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from features.kit.cli import HomeOption, JsonOption, open_home, print_json

_Reason = Annotated[str, typer.Option(help="Why, at least 5 characters; kept in home.json.")]


def register(app: typer.Typer) -> None:
    """Adds this room's commands to `insight`."""
    group = typer.Typer(no_args_is_help=True, help="Which home this is, and which backends are its own.")
    group.command("show")(show)
    group.command("move")(move)
    group.command("adopt")(adopt)
    app.add_typer(group, name="home")


def show(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Show the home's id, its backends, what is wrong with them, and what was decided about it."""
    from serving.home.decisions import show as show_home

    _print(show_home(open_home(home)), as_json=as_json)


def move(
    reason: _Reason,
    new_id: Annotated[bool, typer.Option("--new-id", help="This home is a copy: give it an id of its own.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Accept the present places of ledger and online store, after they or the home were moved on purpose.

    The ledger at the new place must be this home's: copy all its tables there first. A copied home whose original goes
    on takes `--new-id` and backends of its own.
    """
    from features.kit.runs import run_lock
    from serving.home.decisions import move as move_home

    place = open_home(home)
    with run_lock(place, "home"):
        content = move_home(place, reason, new_id=new_id)
    _print(content, as_json=as_json)


def adopt(reason: _Reason, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Make the present backends this home's, after a restore or when one is lost for good.

    What landed in feeds, lies in lists or was erased is put into a ledger that lacks it: contacts, opt-outs and claims
    go on to bind. Feeds without their manifest are set aside and landed again by `insight ingest`.
    """
    from features.kit.runs import run_lock
    from serving.home.decisions import adopt as adopt_backends

    place = open_home(home)
    with run_lock(place, "home"):
        content = adopt_backends(place, reason)
    _print(content, as_json=as_json)


def _print(content: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(content)
        return
    print(f"home {content['home']}: {content['home_id'] or 'not used yet'}")
    for kind, one in content["backends"].items():
        rows = ", ".join(f"{count:,} {name}" for name, count in one["counts"].items() if count)
        print(f"  {kind}: {one['place']}" + (f" ({rows})" if rows else ""))
    for kind, problem in content["problems"].items():
        print(f"  {kind} REFUSED: {problem}")
    for one in content.get("decisions", ()):
        print(f"  {one['at']}  {one['command']}: {one['reason']}")
    added = ", ".join(f"{count:,} {name}" for name, count in (content.get("restored") or {}).items() if count)
    if added:
        print(f"put into the ledger from feeds, lists and erasures: {added}")
        print(
            "lines of those lists are withdrawn, since reports on them may be lost: import the sheets that agents hold;"
        )
        print("their persons are drawn again once the claim of their line has lapsed (`claim.days`)")
    if content.get("set_aside"):
        print(f"feeds set aside in {content['set_aside']}; land them again with `insight ingest`")
