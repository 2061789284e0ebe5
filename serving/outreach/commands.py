"""The commands of this room: `insight outreach [handover | lists]`, `insight outcomes import | held | mend | drop`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from features.kit.cli import HomeOption, JsonOption, check_workbook, open_home, parse_date, print_json
from features.kit.errors import ConfigurationError, DataError
from features.kit.language import parse_locale
from features.kit.values.identifiers import given


def register(app: typer.Typer) -> None:
    """Adds this room's commands to `insight`."""
    outreach = typer.Typer(name="outreach", invoke_without_command=True, help="Today's list for the care team.")
    outreach.callback()(draw)
    outreach.command("handover")(handover)
    outreach.command("lists")(show_lists)
    app.add_typer(outreach)
    outcomes = typer.Typer(name="outcomes", help="What came of the contacts.", no_args_is_help=True)
    outcomes.callback()(lambda: None)
    outcomes.command("import")(import_file)
    outcomes.command("held")(show_held)
    outcomes.command("mend")(mend)
    outcomes.command("drop")(drop)
    app.add_typer(outcomes)


def draw(
    context: typer.Context,
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="Day of the list; the newest portraits if not given.")
    ] = None,
    capacity: Annotated[
        int | None, typer.Option(min=1, help="Attempts to share among the teams of people; messages have their own.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Where to write LIST.xlsx; LIST.csv is written beside it.")] = None,
    key: Annotated[str | None, typer.Option(help="Idempotency key; a new one draws a further list.")] = None,
    locale: Annotated[str | None, typer.Option(help="Language of the list, zh or en [the operator's].")] = None,
    province: Annotated[str | None, typer.Option(help="Only customers of this province.")] = None,
    city: Annotated[str | None, typer.Option(help="Only customers of this city.")] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Draw the day's list: who, why, what to say, by which channel. The same command gives the same list again."""
    if context.invoked_subcommand is not None:
        return
    from features.feeds.landed.reading import Feeds
    from features.journey.day import copy_list
    from features.kit.terminal.progress import Progress
    from features.portraits.reading import Portraits
    from serving.outreach.lists.request import ListRequest
    from serving.outreach.step import list_summary, run

    asked = parse_locale(locale, flag="--locale")
    check_workbook(out, flag="--out")
    place = open_home(home)
    day = parse_date(as_of, flag="--as-of")
    if day is None:
        day = max(Portraits.open(place).as_of_dates(), default=None)
    if day is None:
        raise ConfigurationError("--as-of: no portrait is built", remedy="run `insight build` first")
    language = asked or Feeds.open(place).operator.language_of_lists
    request = ListRequest(day, capacity, language, province, city)
    released = run(place, request, key=key, progress=Progress(quiet=as_json))
    summary = list_summary(place, released)
    _print_held_note(summary["set_aside"])
    if out is not None:
        summary |= copy_list(summary, out)
    if as_json:
        print_json(summary)
        return
    _print_summary(summary)


def _print_summary(summary: dict[str, Any]) -> None:
    """Prints a list's summary for a person."""
    if summary.get("not_evaluable"):
        print(f"NOT CHECKED, their feeds have not landed: {', '.join(summary['not_evaluable'])}")
    print(f"{summary['list_id']}: {summary['lines']} lines ({summary['new']} new, {summary['carried']} carried over)")
    if summary["drawn_before"]:
        print("This list had been drawn before; use --key NAME for a further one.")
    held = ", ".join(f"{code} {count:,}" for code, count in summary["suppressed"].items())
    print(f"held back: {held or 'nobody'}; effects of actions: assumed")
    if not summary["lines"]:
        print(f"no line: {_why_empty(summary)}")
    for note in summary["notes"]:
        print(note)
    for line in summary["first_lines"]:
        print(f"  {line}")
    print(summary["xlsx"])


def _why_empty(summary: dict[str, Any]) -> str:
    if summary["over_capacity"]:
        return f"the day's capacity is used up; {summary['over_capacity']:,} more would be worth a contact"
    if summary["without_value"]:
        return f"no contact is worth its cost for {summary['without_value']:,} customers, and nobody is owed an answer"
    if summary["suppressed"]:
        return "whoever has a raised score or is owed an answer is held back"
    if summary["notes"]:
        return "nobody is owed an answer, and a model is scored that no action answers"
    return "nobody is owed an answer, and no score is raised"


def handover(
    list_id: Annotated[str, typer.Argument(help="The list whose open lines to hand over.")],
    reason: Annotated[str, typer.Option(help="What the numbers are for, at least 5 characters; kept in the audit.")],
    hours: Annotated[int, typer.Option(help="Hours until the file is removed, at most 24.")] = 12,
    out: Annotated[Path | None, typer.Option(help="Where to write the file; inside the home if not given.")] = None,
    on: Annotated[
        str | None, typer.Option("--on", help="Day of the contacts; the feeds' newest day if not given.")
    ] = None,
    channel: Annotated[
        Literal["call", "message", "app"], typer.Option(help="Which lines; those of a gateway with their text.")
    ] = "call",
    api_key: Annotated[
        str,
        typer.Option("--api-key", envvar="INSIGHT_API_KEY", help="Key with the scope `handover`.", show_default=False),
    ] = "",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write `line_id, number` for the dialler, with the text for a gateway: own scope, audited, expiring.

    What a gateway reports comes back with `insight outcomes import`: a CSV with line_id, disposition (sent, delivered
    or failed) and attempted_at.
    """
    from serving.database.keys import find_key
    from serving.database.session import open_database
    from serving.outreach.lists.handover import hand_over

    place = open_home(home)
    engine = open_database(place)
    day = parse_date(on, flag="--on")
    done = hand_over(
        place, engine, list_id, find_key(engine, api_key), reason=reason, hours=hours, out=out, on=day, channel=channel
    )
    if as_json:
        print_json({**done.__dict__, "expires_at": done.expires_at.isoformat()})
        return
    print(f"{done.path}: {done.lines} lines, removed after {done.expires_at:%Y-%m-%d %H:%M} UTC")
    if done.without_number:
        print(f"{done.without_number} lines carry the operator's own id: no full number is delivered")


def show_lists(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List every list that was drawn: day, lines now, state."""
    import orjson
    from sqlalchemy import select

    from serving.database.session import open_database, reading
    from serving.database.tables_outreach import OPEN, OutreachListRow
    from serving.outreach.lists.ledger import lines_of

    with reading(open_database(open_home(home))) as session:
        found = [
            {
                "list_id": row.list_id,
                "as_of": row.as_of.isoformat(),
                "lines": len(lines := lines_of(session, row.list_id)),
                "open": sum(line.status == OPEN for _, line in lines),
                "status": row.status,
                "summary": orjson.loads(row.summary),
            }
            for row in session.scalars(select(OutreachListRow).order_by(OutreachListRow.as_of, OutreachListRow.list_id))
        ]
    if as_json:
        print_json(found)
        return
    for row in found:
        print(f"{row['list_id']}  {row['as_of']}  {row['lines']} lines, {row['open']} open  {row['status']}")


def import_file(
    file: Annotated[Path, typer.Argument(help="The filled-in list, XLSX or CSV.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Import what agents filled in; good rows bind at once, each bad row is named."""
    from features.feeds.landed.reading import Feeds
    from serving.database.session import opened
    from serving.outreach.feedback.held import held_summary
    from serving.outreach.feedback.landing import import_outcomes
    from serving.outreach.feedback.returns import read_reports

    place = open_home(home)
    returned = read_reports(file, Feeds.open(place).operator.time_zone)
    result = import_outcomes(place, returned.reports)
    errors = sorted([*returned.errors, *result.errors], key=lambda error: (error.sheet, error.row))
    with opened(place) as engine:
        held = held_summary(engine)
    _print_held_note(held)
    if as_json:
        counts = {"imported": result.imported, "repeated": result.repeated, "withdrawn": result.withdrawn}
        shown = {"errors": [vars(error) for error in errors], "notes": [vars(note) for note in returned.notes]}
        print_json({**counts, **shown, "set_aside": held})
    else:
        print(f"{result.imported} imported, {result.repeated} known already, {result.withdrawn} other lines withdrawn")
    for is_kept, found in ((True, errors), (False, returned.notes)):
        for one in found:
            print(f"{file}: {one.sentence(is_kept=is_kept)}", file=sys.stderr)
    if errors:
        raise DataError(
            f"{file}: {len(errors)} rows were not imported", remedy="correct them and import the file again"
        )


def _print_held_note(held: dict[str, Any]) -> None:
    from serving.outreach.feedback.held import held_note

    note = held_note(held)
    if note:
        print(note, file=sys.stderr)


def show_held(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List the reports that were set aside because the feeds refuse them, each with its reason."""
    from serving.database.session import open_database
    from serving.outreach.feedback.held import held_reports

    found = held_reports(open_database(open_home(home)))
    if as_json:
        times = ("at", "reported_at")
        print_json([{**one.__dict__, **{name: getattr(one, name).isoformat() for name in times}} for one in found])
        return
    for one in found:
        print(f"{one.held_id}  {one.kind} '{one.report_id}'  {one.what}  {one.at:%Y-%m-%d %H:%M} UTC  {one.reason}")
    if not found:
        print("nothing is set aside")


HeldId = Annotated[str, typer.Argument(help="The id that `insight outcomes held` shows.")]


def mend(
    held_id: HeldId,
    at: Annotated[
        str | None, typer.Option("--at", help="When it happened, as 2026-06-01T14:30, in the operator's time.")
    ] = None,
    contact_id: Annotated[
        str | None, typer.Option("--contact-id", parser=given, help="The right id of the contact.")
    ] = None,
    customer: Annotated[str | None, typer.Option("--customer", parser=given, help="Who was really contacted.")] = None,
    action: Annotated[str | None, typer.Option("--action", help="The action it really was.")] = None,
    home: HomeOption = None,
) -> None:
    """Correct a report that was set aside and land it; audited."""
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from features.feeds.landed.reading import Feeds
    from serving.database.session import open_database
    from serving.outreach.feedback.held import held_summary, mend_report
    from serving.outreach.feedback.landing import try_landing

    place = open_home(home)
    engine = open_database(place)
    try:
        moment = None if at is None else datetime.fromisoformat(at)
    except ValueError:
        raise ConfigurationError(f"--at: '{at}' is not a time", remedy="write it as 2026-06-01T14:30") from None
    if moment is not None and moment.tzinfo is None:
        moment = moment.replace(tzinfo=ZoneInfo(Feeds.open(place).operator.time_zone))
    mend_report(place, engine, held_id, at=moment, contact_id=contact_id, customer_id=customer, action=action)
    try_landing(place, engine)
    print(f"{held_id} is mended")
    _print_held_note(held_summary(engine))


def drop(
    held_id: HeldId,
    why: Annotated[str, typer.Option("--why", help="Why it shall never land, at least 5 characters; audited.")],
    home: HomeOption = None,
) -> None:
    """Keep a report that was set aside out of the feeds for good; what it forbids stays forbidden."""
    from serving.database.session import open_database
    from serving.outreach.feedback.held import drop_report

    drop_report(open_database(open_home(home)), held_id, why)
    print(f"{held_id} is dropped; the ledger keeps it")
