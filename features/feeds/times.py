"""SQL of dates and instants: a text is read by what it says, and clocks are shifted as the operator's zone does.

A text says a day or a day and a time, and after a time how far its clock is ahead of UTC: `Z`, `UTC`, `GMT`, `+08`,
`+0800` or `+08:00`. Nothing else is a time: a zone by name, a two-digit year, AM and PM, a count of seconds or of days
become NULL, and landing refuses the row. What says no zone is the operator's local time.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from features.kit.clock import offset_changes
from features.kit.sql import literals

_TEXT = (
    r"^(\d{4}[-/]\d{1,2}[-/]\d{1,2})"
    r"(?:[ T] ?(\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?)(?: ?(Z|z|UTC|utc|GMT|gmt|[+-](?:0\d|1[0-4])(?::?[0-5]\d)?))?)?$"
)
_COMPACT = r"^(\d{4})(\d{2})(\d{2})(?:[ T]?(\d{2}):?(\d{2}):?(\d{2}))?"
_FEW_CHANGES = 4
_LONG_AGO = datetime(2000, 1, 1)  # noqa: DTZ001 - compared with local times
_IN_UTC = ("Z", "+00", "+00:00", " UTC", ".000Z")
"""The usual ends of a text in UTC, which need no regular expression."""


def to_utc(local: str, zone: str) -> str:
    """Returns SQL for the UTC instant of a local timestamp, which it repeats: name a long expression beforehand.

    A time that the clock skips or shows twice is read with the offset before the change, as `instant_of` does.
    Example: where 00:00 to 01:00 is skipped, 00:00 is the instant at which the day begins.
    """
    changes = offset_changes(zone)
    offsets = [changes[0][1], *(ahead for _, ahead in changes)]
    begins = [
        (since + timedelta(seconds=max(old, ahead)), ahead)
        for (since, ahead), old in zip(changes, offsets, strict=False)
    ]
    return f"(({local}) - to_seconds({_offset(local, begins)}))"


def to_local(instant: str, zone: str) -> str:
    """Returns SQL for the local timestamp of a UTC instant, which it repeats: name a long expression beforehand."""
    return f"(({instant}) + to_seconds({_offset(instant, list(offset_changes(zone)))}))"


def _offset(value: str, begins: list[tuple[datetime, int]]) -> str:
    """Returns SQL of the seconds ahead of UTC: a search by halves, newest first where few changes are left.

    Where the zone has long stopped to change, the years before are a list: one comparison decides nearly every row, and
    dozens of nested ones would cost each statement more to plan than to run.
    """
    if len(begins) == 1:
        return str(begins[0][1])
    newest, now = begins[-1]
    if len(begins) > _FEW_CHANGES and newest < _LONG_AGO:
        since = ", ".join(f"TIMESTAMP '{start}'" for start, _ in begins[1:])
        aheads = ", ".join(str(ahead) for _, ahead in begins)
        passed = f"len(list_filter([{since}], lambda start: start <= ({value})))"
        return f"CASE WHEN ({value}) >= TIMESTAMP '{newest}' THEN {now} ELSE [{aheads}][1 + {passed}] END"
    middle = len(begins) - 1 if len(begins) <= _FEW_CHANGES else len(begins) // 2
    later, earlier = _offset(value, begins[middle:]), _offset(value, begins[:middle])
    return f"CASE WHEN ({value}) >= TIMESTAMP '{begins[middle][0]}' THEN {later} ELSE {earlier} END"


def is_text(source_type: str) -> bool:
    """Tells whether times of a source column are read as texts; whole numbers such as 20240501 are."""
    return not source_type.startswith(("DATE", "TIMESTAMP"))


def written(value: str, *, months: bool) -> str:
    """Returns SQL of what a text says: a struct of its `clock` and the seconds it is `ahead` of UTC, NULL if unsaid.

    The clock is NULL if the text is no time, and `infinity` if it says so; with `months` 202405 and 2024-05 are the
    first day of the month. Others repeat the struct: name it first.
    """
    text = f"trim(CAST({value} AS VARCHAR))"
    is_day = f"length({text}) = 10 AND {text}[5] = '-' AND {text}[8] = '-' AND {_is_digit(f'{text}[10]')}"
    is_plain = f"{text}[14] = ':' AND {text}[17] = ':' AND {_is_digit(f'{text}[19]')}"
    compact = f"regexp_replace({text}, '{_COMPACT}', '\\1-\\2-\\3 \\4:\\5:\\6')"
    month = f"WHEN regexp_full_match({text}, '\\d{{4}}-?\\d{{2}}') THEN {text}[1:4] || '-' || {text}[-2:] || '-01' "
    iso = f"WHEN {_is_digit(f'{text}[5]')} THEN replace({compact}, ' ::', '') ELSE {text} END"
    found = f"regexp_extract(CASE {month if months else ''}{iso}, '{_TEXT}', ['day', 'clock', 'zone'])"
    minutes = "coalesce(TRY_CAST(replace(m.zone[4:], ':', '') AS BIGINT), 0)"
    ahead = f"if(m.zone[1] = '-', -1, 1) * (coalesce(TRY_CAST(m.zone[2:3] AS BIGINT), 0) * 3600 + {minutes} * 60)"
    clock = "TRY_CAST(concat_ws(' ', m.day, nullif(m.clock, '')) AS TIMESTAMP)"
    said = _struct(clock, f"if(m.zone <> '', {ahead}, NULL)")
    is_endless = f"regexp_full_match({text}, '(?i)[+-]?inf(inity)?')"
    endless = _struct(f"TRY_CAST(if({text}[1] = '-', '-infinity', 'infinity') AS TIMESTAMP)")
    return (
        f"CASE WHEN {is_day} OR ({is_plain} AND length({text}) = 19) THEN {_struct(f'TRY_CAST({text} AS TIMESTAMP)')} "
        f"WHEN {is_plain} AND {text}[20:] IN ({literals(_IN_UTC)}) "
        f"THEN {_struct(f'TRY_CAST({text}[1:19] AS TIMESTAMP)', '0')} "
        f"WHEN {is_endless} THEN {endless} ELSE list_transform([{found}], lambda m: {said})[1] END"
    )


def _is_digit(character: str) -> str:
    return f"{character} BETWEEN '0' AND '9'"


def _struct(clock: str, ahead: str = "NULL") -> str:
    return f"{{'clock': {clock}, 'ahead': CAST({ahead} AS BIGINT)}}"


def instant(value: str, source_type: str, zone: str) -> str:
    """Returns SQL of the UTC instant, whole seconds, of a typed value or of what `written` made of a text."""
    if is_text(source_type):
        local = f"{value}.clock"
        utc = f"if({value}.ahead IS NULL, {to_utc(local, zone)}, {local} - to_seconds({value}.ahead))"
    elif source_type == "TIMESTAMP WITH TIME ZONE":
        utc = f"{value} AT TIME ZONE 'UTC'"
    else:
        utc = to_utc(f"CAST({value} AS TIMESTAMP)", zone)
    return f"date_trunc('second', {utc})"


def local_time(value: str, source_type: str, zone: str) -> str:
    """Returns SQL of the operator's clock at a time, of a typed value or of what `written` made of a text."""
    if is_text(source_type):
        shifted = to_local(f"({value}.clock - to_seconds({value}.ahead))", zone)
        return f"if({value}.ahead IS NULL, {value}.clock, {shifted})"
    if source_type == "TIMESTAMP WITH TIME ZONE":
        return to_local(f"({value} AT TIME ZONE 'UTC')", zone)
    return f"CAST({value} AS TIMESTAMP)"


def civil_date(value: str, source_type: str, zone: str) -> str:
    """Returns SQL of the operator's date at a time: what names a zone is converted before it is cut."""
    return value if source_type == "DATE" else f"CAST({local_time(value, source_type, zone)} AS DATE)"
