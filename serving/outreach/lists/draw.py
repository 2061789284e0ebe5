"""One list, stage by stage; each stage hands on one value and has a room of its own.

    request --key--> known? then the same list again
    policy -> candidates -> decision                                  (outside any transaction)
    claim: carry over what is unfinished; claim persons; add lines    one writing transaction
    release: check again; write the files; mark released              one writing transaction

A run killed between the two leaves a claimed list; the same request completes it. Nobody is lost, nobody is doubled.
"""

from __future__ import annotations

from features.kit.home import Home
from features.kit.runs import hit
from features.kit.terminal.progress import SILENT, Progress
from serving.database.session import opened, reading
from serving.outreach.decision.actions import decide
from serving.outreach.decision.candidates import newest_basis, read_candidates
from serving.outreach.export.content import content_writer
from serving.outreach.lists.claim import Claim, about, claim_list, find_list
from serving.outreach.lists.ledger import check_no_later_list, finished_since, unfinished_lines
from serving.outreach.lists.release import Released, release
from serving.outreach.lists.request import ListRequest
from serving.outreach.policy.read import read_policy
from serving.outreach.settings import load_settings
from serving.scoring.reasons.book import load_book


def draw_list(
    home: Home,
    request: ListRequest,
    *,
    key: str | None = None,
    owner: str = "cli",
    progress: Progress = SILENT,
    threads: int = 1,
    may_be_older: bool = False,
) -> Released:
    """Returns the list of a request: claimed now, completed after a kill, or the same again for the same key.

    Without an idempotency `key` there is one per request, so that a repeated command repeats its list. `may_be_older`
    lets portraits and scores of an earlier day do.

    Raises:
        ConflictError: If the key was used with another request, or with `may_be_older` a list of a later day exists.
        NotFoundError: If nobody lives in the place asked for.
        NotReadyError: If feeds, portraits or scores of the date are missing.
    """
    claim = Claim(request, owner, key or f"request:{request.digest()[:16]}")
    settings, book = load_settings(), load_book()
    with opened(home) as engine:
        list_id = find_list(engine, claim)
        if list_id is not None:
            return release(home, engine, list_id, book, is_replay=True, locale=request.locale)
        with progress.step("outreach: policy and candidates"):
            policy = read_policy(home, engine, request.as_of, settings, threads=threads)
            policy.check_place(province=request.province, city=request.city)
            basis = newest_basis(home, request.as_of) if may_be_older else request.as_of
            with reading(engine) as session:
                if may_be_older:
                    check_no_later_list(session, request.as_of)
                lines = unfinished_lines(session, request.as_of, policy.operator.time_zone)
                started = {about(line) for line in lines}
                finished = finished_since(session, basis, policy.operator.time_zone)
            candidates = read_candidates(home, basis, settings, also={one for one, *_ in started})
            decision = decide(candidates.in_place(request.province, request.city), policy, book, started, finished)
            content = content_writer(home, policy, book)
        hit("outreach.before_claims")
        with progress.step("outreach: claims"):
            list_id = claim_list(engine, claim, settings, policy, decision, content)
        hit("outreach.after_claims")
        with progress.step("outreach: files"):
            return release(home, engine, list_id, book, is_replay=False, locale=request.locale)
