"""Whom a campaign may reach: the batch's scores, filtered, through the contact policy and conditions of the lists."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np

from features.kit.errors import NotFoundError, NotReadyError
from features.kit.terminal.spelling import close_names
from features.kit.values.tables import csv_text
from features.portraits.facts.classes import CLASS_NAMES
from serving.api.answers import FileAnswer, from_cursor, to_cursor
from serving.api.audiences.schemas import AudienceAnswer, AudienceMember, AudienceQuery
from serving.api.auth import is_row_scoped
from serving.api.context import Context
from serving.api.customer.contact import contact_moment
from serving.api.errors import InvalidRequestError
from serving.database.keys import ApiKey
from serving.outreach.policy.policy import PolicyBook

if TYPE_CHECKING:
    from serving.outreach.refusals import Channel
    from serving.outreach.settings import OutreachSettings, Purpose

MOST_NAMED = 5
COLUMNS = [field.alias or name for name, field in AudienceMember.model_fields.items()]


def audience(context: Context, key: ApiKey, query: AudienceQuery) -> AudienceAnswer:
    """Returns a page of an audience; without a page its `items` are empty.

    Raises:
        NotFoundError: If nothing has been scored on this target.
        NotReadyError: If there are no portraits of the scores' day.
        InvalidRequestError: For a cursor that is not ours, or of another model or day; for a class or place that nobody
            is in; for an action that nobody knows, or one of another purpose or channel.
    """
    found, head = _members(context, key, query)
    start = 0
    after = from_cursor(query.cursor, str, str, str, float, str)
    if after is not None:
        asked, version, day, margin, customer_id = after
        if asked != query.filters_hash():
            raise InvalidRequestError("cursor: of other filters", remedy="keep the filters of the page before")
        if (version, day) != (head["model_version"], str(head["as_of"])):
            raise InvalidRequestError("cursor: the scores have been renewed", remedy="start again without a cursor")
        order = found["margin"].to_numpy()
        start = int(np.searchsorted(-order, -margin, side="left"))
        ids = found["customer_id"]
        while start < found.num_rows and order[start] == margin and ids[start].as_py() <= customer_id:
            start += 1
    page = found.slice(start, 0 if query.view == "count" else query.limit)
    is_last = query.view == "count" or start + page.num_rows >= found.num_rows
    last = page.slice(page.num_rows - 1) if page.num_rows and not is_last else None
    cursor = last and to_cursor(
        query.filters_hash(),
        head["model_version"],
        str(head["as_of"]),
        last["margin"][0].as_py(),
        last["customer_id"][0].as_py(),
    )
    items = [AudienceMember(**row) for row in page.select(COLUMNS).to_pylist()]
    return AudienceAnswer(**head, count=found.num_rows, items=items, next_cursor=cursor)


def audience_csv(context: Context, key: ApiKey, query: AudienceQuery) -> FileAnswer:
    """Returns the whole audience as plain UTF-8 CSV, best score first, and the codes that nobody could check."""
    found, head = _members(context, key, query)
    rows = zip(*(found[name].to_pylist() for name in COLUMNS), strict=True)
    return FileAnswer(csv_text([COLUMNS, *rows]).encode(), list(head["not_evaluable"]))


def _members(context: Context, key: ApiKey, query: AudienceQuery) -> tuple[Any, dict[str, Any]]:
    """Returns every person who fits and may be contacted, once, highest raw score first, and the answer's head."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from serving.scoring.batch.stored import Scores

    scores = Scores.current(context.home, query.target)
    if scores is None:
        raise NotFoundError(f"nothing has been scored on '{query.target}'", remedy="run `insight score`")
    book = context.policy()
    purpose, channel = _way_of(query, book.settings)
    _check_classes(query)
    table = scores.read(["customer_id", "margin", "propensity", "percentile", "times_base", "band"])
    table = table.filter(pc.is_valid(table["percentile"]))
    table = _with_places(context, table, scores.as_of, book)
    if not is_row_scoped(key):  # others learn nothing about places that are not theirs
        _check_places(query, book)
    table = _asked_for(table, key, query)
    ids = table["customer_id"].to_pylist()
    places = book.row_of.find(ids)
    known = places >= 0
    rows, refused = places[known], ~known
    on, at = contact_moment(book, query.at)
    counts: dict[str, int] = {}
    for code, flags in book.refusals(purpose, channel, on, at=at, rows=rows).items():
        refused[known.nonzero()[0][flags]] = True
        if flags.any():
            counts[code] = int(flags.sum())
    table = table.filter(pa.array(~refused))
    if query.action is not None:
        table = _open_to(context, table, scores.as_of, query.action, book, counts)
    table = table.sort_by([("margin", "descending"), ("customer_id", "ascending")])
    table, repeated = _once_per_person(table, book)
    if repeated:
        counts["same_person"] = repeated
    head = {
        "target": query.target, "model_version": scores.version, "as_of": scores.as_of, "purpose": purpose,
        "channel": channel, "refused": counts, "not_evaluable": book.not_evaluable(purpose, channel),
    }  # fmt: skip
    return table, head


def _asked_for(table: Any, key: ApiKey, query: AudienceQuery) -> Any:
    """Returns the rows that a query and its key's scope ask for."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for name, wanted in (
        ("province", key.province),
        ("city", key.city),
        ("province", query.province),
        ("city", query.city),
        ("class", query.customer_class),
        ("band", query.band),
    ):
        if wanted is not None:
            table = table.filter(pc.equal(table[name], pa.scalar(wanted)))
    if query.exclude_class:
        out = set(query.exclude_class)
        classes = zip(table["class"].to_pylist(), table["also_classes"].to_pylist(), strict=True)
        table = table.filter(
            pa.array([out.isdisjoint([one, *(also or "").split("|")]) for one, also in classes], pa.bool_())
        )
    if query.min_percentile is not None:
        table = table.filter(pc.greater_equal(table["percentile"], query.min_percentile))
    return table


def _way_of(query: AudienceQuery, settings: OutreachSettings) -> tuple[Purpose, Channel]:
    """Returns purpose and channel: those asked for, or an action's own. Raises InvalidRequestError if they differ."""
    if query.action is None:
        if query.purpose is None or query.channel is None:
            missing = "purpose" if query.purpose is None else "channel"
            raise InvalidRequestError(f"{missing}: missing", remedy="name purpose and channel, or an action")
        return query.purpose, query.channel
    names = [name for name, known in settings.actions.items() if known.kind != "none"]
    if query.action not in names:
        near = close_names(query.action, names, most=3, cutoff=0.5) or names
        raise InvalidRequestError(f"action: no action '{query.action}'", remedy="actions: " + ", ".join(near))
    action = settings.actions[query.action]
    if query.purpose not in (None, action.purpose):
        raise InvalidRequestError(f"purpose: {query.action} is {action.purpose}", remedy="leave the purpose out")
    if query.channel is not None and query.channel not in action.channels:
        raise InvalidRequestError(
            f"channel: {query.action} does not go by {query.channel}", remedy="channels: " + ", ".join(action.channels)
        )
    return action.purpose, query.channel or action.channels[0]


def _open_to(context: Context, table: Any, as_of: date, action: str, book: PolicyBook, counts: dict[str, int]) -> Any:
    """Returns the customers whom the action's own conditions do not stop; `counts` gains those stopped, by code."""
    import pyarrow as pa

    from serving.outreach.decision.actions import Chooser
    from serving.outreach.decision.candidates import read_candidates

    ids = table["customer_id"].to_pylist()
    candidates = read_candidates(context.home, as_of, book.settings, {}, also=frozenset(ids))
    of_customer = {row.customer_id: row for row in candidates.rows}
    chooser = Chooser(book, context.book)
    stopped = [chooser.stops(of_customer[name], book.row_of[name], action) for name in ids]
    for code in sorted(set().union(*stopped)):
        counts[code] = counts.get(code, 0) + sum(code in codes for codes in stopped)
    return table.filter(pa.array([not codes for codes in stopped], pa.bool_()))


def _check_classes(query: AudienceQuery) -> None:
    """Raises InvalidRequestError for a class that nobody knows: misspelt is not empty."""
    for name, classes in (("class", (query.customer_class,)), ("exclude_class", query.exclude_class)):
        for wanted in classes:
            if wanted is not None and wanted not in CLASS_NAMES:
                raise InvalidRequestError(f"{name}: no class '{wanted}'", remedy="classes: " + ", ".join(CLASS_NAMES))


def _check_places(query: AudienceQuery, book: PolicyBook) -> None:
    """Raises InvalidRequestError for a place without any customer: misspelt is not empty."""
    for name, wanted in (("province", query.province), ("city", query.city)):
        known = {} if wanted is None else dict.fromkeys(book.table[name].unique().drop_null().to_pylist())
        if wanted is not None and wanted not in known:
            near = close_names(wanted, known, most=3, cutoff=0.5) or sorted(known)[:MOST_NAMED]
            remedy = f"as the feed `customers` writes it, such as {', '.join(near)}"
            raise InvalidRequestError(f"{name}: no customers in '{wanted}'", remedy=remedy)


def _once_per_person(table: Any, book: PolicyBook) -> tuple[Any, int]:
    """Returns the first row of each person, in the same order, and how many further rows of theirs were left out."""
    import pyarrow as pa

    is_first = book.people.first_rows(book.row_of.find(table["customer_id"].to_pylist()))
    return table.filter(pa.array(is_first)), int((~is_first).sum())


def _with_places(context: Context, table: Any, as_of: Any, book: PolicyBook) -> Any:
    """Returns the scores with the classes of their portrait, and province and city as the policy knows them."""
    import pyarrow.compute as pc

    from features.portraits.reading import Portraits

    classes = Portraits.open(context.home).read(as_of, ["customer_id", "primary_class", "also_classes"])
    rows = pc.index_in(table["customer_id"], value_set=classes["customer_id"].combine_chunks())
    if rows.null_count:
        raise NotReadyError("the portraits have been built again since", remedy="run `insight score`")
    places = pc.index_in(table["customer_id"], value_set=book.table["customer_id"].combine_chunks())
    for name, column in (("class", "primary_class"), ("also_classes", "also_classes")):
        table = table.append_column(name, classes[column].take(rows))
    for name in ("province", "city"):
        table = table.append_column(name, book.table[name].take(places))
    return table
