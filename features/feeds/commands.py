"""The commands of this room: `insight ingest` lands a source, `insight check` tries a mapping without landing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from features.kit.cli import HomeOption, JsonOption, as_typed, open_home, print_json
from features.kit.terminal.console import make_table, open_console

if TYPE_CHECKING:
    from features.feeds.landing.reports import FeedReport
    from features.feeds.mapping.sources import Source

SourceOption = Annotated[Path, typer.Option("--source", help="The source mapping, a YAML file.")]
DataOption = Annotated[Path, typer.Option("--data", help="The folder with the operator's files.")]
MaybeDataOption = Annotated[
    Path | None,
    typer.Option("--data", help="The folder with the operator's files; not needed for tables of a database."),
]


_MAP_HELP = """Propose a source mapping for a folder of unknown files.

Looks at every file: encoding (decoded strictly), delimiter, header, forms of dates, units, keys, and which feed it
looks like. Writes a YAML that a person edits: what the files prove stands there as it is, guesses carry a
`# TODO` comment, and where the files cannot say it (time zone, when a snapshot was taken) the value is `TODO`.
Then: `insight check --source FILE --data DIR`. Samples in comments never show a phone number, an id card or a name.
"""


_CHECK_HELP = """Try a mapping on files without landing anything, and tell what each missing feed costs.

Every check of `insight ingest` runs; an error names the file and row, the column, or the key of the YAML. Then a table
says which dimensions, features, classes, targets, reasons and actions fall away for want of which feed, and which
targets will get no model for want of history or events.
"""


def register(app: typer.Typer) -> None:
    """Adds this room's commands to `insight`."""
    app.command("ingest", help="Land an operator's files: map, check, version; bad rows go to quarantine.")(_ingest)
    app.command("map", help=_MAP_HELP)(_map)
    app.command("check", help=_CHECK_HELP)(_check)


def _ingest(
    source: SourceOption,
    data: MaybeDataOption = None,
    home: HomeOption = None,
    arrived_at: Annotated[
        str | None, typer.Option(help="When the delivery arrived, UTC, as 2026-06-01T06:00:00 [default: now].")
    ] = None,
    threads: Annotated[int, typer.Option(help="DuckDB threads.")] = 1,
    *,
    as_json: JsonOption = False,
) -> None:
    from features.feeds.landing.landing import land
    from features.feeds.mapping.sources import load_source
    from features.kit.runs import exclusive_run
    from features.kit.terminal.progress import Progress

    place = open_home(home)
    mapping = load_source(source)
    arrival = _parse_instant(arrived_at)
    with exclusive_run(place, "ingest"), _folder(data, mapping) as files:
        report = land(mapping, files, place, Progress(quiet=as_json), threads=threads, arrived_at=arrival)
    summary = report.as_dict()
    if as_json:
        print_json(summary)
        return
    _print_table(report.feeds)
    print(f"feeds cover {summary['first_day']} up to {summary['as_of']}; missing: {', '.join(summary['missing'])}")
    _print_lacks(mapping)


def _map(
    data: DataOption,
    out: Annotated[Path, typer.Option("--out", help="The YAML file to write.")],
    only: Annotated[str, typer.Option(help="Look at files of this glob only, as 'voice*'.")] = "",
    force: Annotated[bool, typer.Option("--force", help="Replace the file that is there.")] = False,
    *,
    as_json: JsonOption = False,
) -> None:
    from shlex import quote

    from features.feeds.mapping.sources import undecided
    from features.feeds.proposal.propose import propose
    from features.feeds.proposal.text import yaml_text
    from features.kit.config import load_yaml
    from features.kit.errors import ConflictError
    from features.kit.files import write_bytes
    from features.kit.terminal.progress import Progress

    if out.exists() and not force:
        raise ConflictError(f"{out} is there already", remedy="choose another --out, or replace it with --force")
    proposal = propose(data, only=only, progress=Progress(quiet=as_json))
    write_bytes(out, yaml_text(proposal).encode())
    open_points = undecided(load_yaml(out))
    if as_json:
        print_json(proposal.as_dict() | {"out": str(out), "undecided": open_points})
        return
    _print_proposal(proposal.as_dict())
    for note in proposal.notes:
        print(f"TODO {note}")
    print(f"{out}: {len(proposal.plans)} feeds proposed; to decide: {', '.join(open_points) or 'nothing'}")
    check_it = f"insight check --source {quote(str(out))} --data {quote(str(data))}"
    print(as_typed(f"next: edit it, then  {check_it}"))


def _print_proposal(summary: dict[str, Any]) -> None:
    rows: list[tuple[str, ...]] = []
    for file in summary["files"]:
        dates = ", ".join(dict.fromkeys(file["dates"].values()))
        guess = ", ".join(f"{feed} {confidence:.2f}" for feed, confidence in list(file["feeds"].items())[:2])
        between = repr(file["delimiter"])[1:-1] if file["delimiter"] else "Parquet"
        key = ", ".join(file["key"]) or "-"
        rows.append((file["path"], f"{file['rows']:,}", file["encoding"], between, dates, key, guess))
    rows += [(name, "", f"not mapped: {problem}") for name, problem in summary["unreadable"].items()]
    headings = ("file", "rows", "encoding", "between", "dates", "a row is known by", "looks like")
    open_console().print(make_table(headings, rows, right=("rows",)))


def _check(source: SourceOption, data: MaybeDataOption = None, *, as_json: JsonOption = False) -> None:
    import tempfile

    from features.feeds.costs import board, costs_of, foreseen, totals
    from features.feeds.landing.landing import check
    from features.feeds.mapping.sources import load_source
    from features.kit.home import Home
    from features.kit.terminal.progress import Progress

    mapping = load_source(source)
    with tempfile.TemporaryDirectory() as scratch, _folder(data, mapping) as files:
        landed = Home(Path(scratch))
        reports = check(mapping, files, landed, Progress(quiet=as_json))
        refusals = foreseen(landed) if "customers" in reports else {}
    present = frozenset(name for name, report in reports.items() if report.accepted)
    items = board()
    costs, stand = costs_of(present, items), totals(present, items)
    by_month = [item.name for item in items.values() if item.is_from_months(present)]
    if as_json:
        feeds = {name: report.as_dict() for name, report in reports.items()}
        content = {"feeds": feeds, "missing": costs, "stand": stand, "lacks": mapping.lacks, "from_months": by_month}
        print_json(content | {"foreseen": refusals})
        return
    _print_table(reports)
    _print_lacks(mapping)
    _print_costs(costs, stand)
    if by_month:
        only_days = ", ".join(one["name"] for one in costs["usage_daily"].get("feature", []))
        print(f"made from usage_monthly, since no day is delivered: {', '.join(by_month)}")
        print(f"only usage_daily can tell, so these stay empty: {only_days}\n")
    for target, why in refusals.items():
        print(f"{target}: training will make no model: {why}")
    print("the mapping fits the files; nothing was landed")


@contextmanager
def _folder(data: Path | None, mapping: Source) -> Iterator[Path]:
    """Yields the data folder; an empty one for a mapping that reads tables only."""
    import tempfile

    from features.kit.errors import ConfigurationError

    if data is not None:
        yield data
    elif mapping.files:
        raise ConfigurationError("--data is missing: the mapping reads files", remedy="name their folder")
    else:
        with tempfile.TemporaryDirectory() as empty:
            yield Path(empty)


def _print_costs(costs: dict[str, Any], stand: dict[str, dict[str, int]]) -> None:
    def named(found: list[dict[str, Any]]) -> str:
        return ", ".join(problem["name"] + ("*" if problem["also_needs"] else "") for problem in found)

    print("\nwhat is missing costs (features by number; * needs other missing feeds too):")
    rows = []
    for feed, lost in costs.items():
        cells = [named(lost.get(kind, [])) for kind in ("dimension", "class", "target", "reason", "action")]
        rows.append((feed, str(len(lost.get("feature", [])) or ""), *cells))
    headings = ("missing feed", "features", "dimensions", "classes", "targets", "reasons", "actions")
    open_console().print(make_table(headings, rows, right=("features",)))
    print(
        "what stands: "
        + ", ".join(
            f"{standing['stand']} of {standing['of']} {'classes' if kind == 'class' else f'{kind}s'}"
            for kind, standing in stand.items()
        )
        + "\n"
    )


def _print_lacks(mapping: Source) -> None:
    for feed, detail in mapping.lacks.items():
        print(f"not in these files: {feed}: {detail}")
    if mapping.operator.country and not mapping.operator.has_holidays:
        print(f"country {mapping.operator.country}: its public holidays are not known; only `holidays.also` counts")


def _parse_instant(text: str | None) -> Any:
    from datetime import UTC, datetime

    from features.kit.errors import ConfigurationError

    if text is None:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(f"--arrived-at: '{text}' is not a time", remedy="write 2026-06-01T06:00:00") from None
    return instant.astimezone(UTC) if instant.tzinfo else instant


def _print_table(feeds: dict[str, FeedReport]) -> None:
    numeric = ("accepted", "known already", "quarantined")
    rows = []
    for name, report in feeds.items():
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in report.reasons.items())
        if report.unchanged:
            reasons = "unchanged files, nothing to do" + (f"; before: {reasons}" if reasons else "")
        if report.rewritten and not report.unchanged:
            reasons += ", " * bool(reasons) + f"{report.rewritten:,} rows: identifiers brought into their one form"
        numbers = (f"{count:,}" for count in (report.accepted, report.repeated, report.quarantined))
        rows.append((name, *numbers, reasons))
    open_console().print(make_table(("feed", *numeric, "why"), rows, right=numeric))
    for name, report in feeds.items():
        for warning in report.warnings:
            print(f"look at {name}.{warning}")
