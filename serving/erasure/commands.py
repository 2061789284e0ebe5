"""The command of this room: `insight erase`."""

from __future__ import annotations

from typing import Annotated

import typer

from features.kit.cli import HomeOption, JsonOption, open_home, print_json
from features.kit.values.identifiers import given


def register(app: typer.Typer) -> None:
    """Adds this room's command to `insight`."""
    app.command("erase")(erase)


def erase(
    person: Annotated[
        str, typer.Option("--person", parser=given, help="Person id; a subscription's id where no person is known.")
    ],
    reason: Annotated[str, typer.Option(help="Why, for the receipt; no personal data.")] = "",
    by: Annotated[str | None, typer.Option(help="Who does it; the user of this machine if not given.")] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Erase a person everywhere in this home, and write a receipt that names nobody.

    Feeds, quarantine, portraits, online store, scores, product fit, lists, ledger and audit lose every row and every
    identifier of all the person's subscriptions; databases are rewritten without free pages; then every file is
    searched. Later deliveries of the person's rows are refused, and nobody is called again: both by salted hashes.

    It cannot be undone. Interrupted, the same command completes it. Files outside the home, such as the operator's
    own deliveries, copies of lists and backups, are their holder's to clean.
    """
    import getpass

    from features.kit.runs import exclusive_run
    from features.kit.terminal.progress import Progress
    from serving.erasure.erase import erase as erase_person

    place = open_home(home)
    with exclusive_run(place, "erase"):
        receipt, was_erased = erase_person(
            place, person, by=by or getpass.getuser(), reason=reason, progress=Progress(quiet=False)
        )
    if as_json:
        print_json({"erased_before": was_erased, **receipt})
        return
    when = f"already erased on {receipt['ended_at']}" if was_erased else "erased"
    print(f"{when}: {receipt['subscriptions']} subscriptions; receipt {place.erasures / receipt['receipt_id']}.json")
    for room, removed in receipt["removed"].items():
        print(f"  {room}: {_told(removed) or 'nothing to remove'}")
    print(f"  searched {receipt['searched_files']} files: {len(receipt['still_named_in'])} name the person")
    if receipt["handed_over_outside"]:
        print(
            f"  {receipt['handed_over_outside']} handed-over files lie outside this home; their holders must clean them"
        )


def _told(removed: dict[str, object]) -> str:
    parts = [
        f"{name} ({_told(value)})" if isinstance(value, dict) else f"{name} {value:,}"
        for name, value in removed.items()
        if value
    ]
    return ", ".join(parts)
