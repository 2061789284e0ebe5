"""What goes over the wire to a Redis server: a block of customers as one request, and replies read as they arrive.

The driver packs and parses value by value, which costs several times what the server needs for the work itself.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from features.store.online.feast_layout import (
    FACTS,
    FEATURE_LIST,
    VALUES,
    encode_time,
    key_prefix,
    redis_field,
    redis_time_field,
    text_header,
)
from features.store.online.rows import Block

if TYPE_CHECKING:
    import pyarrow as pa

_AT_A_TIME = 1 << 18
_ARRAY, _BULK, _NUMBER, _ERROR = b"*$:-"


class Stream(Protocol):
    """A connected socket."""

    def recv(self, size: int, /) -> bytes:
        """Returns what has come; empty once the other end has closed."""


class RefusedError(Exception):
    """The server answered a command with an error."""


def bulk(content: bytes) -> bytes:
    """Returns one argument of a command."""
    return b"$%d\r\n%b\r\n" % (len(content), content)


def command(*arguments: bytes) -> bytes:
    """Returns a packed command."""
    return b"*%d\r\n" % len(arguments) + b"".join(map(bulk, arguments))


def fill_request(project: str, view: str, block: Block) -> memoryview:
    """Returns an HSET for each customer of a block, all of them joined column by column."""
    import pyarrow as pa
    import pyarrow.compute as pc

    def always(content: bytes) -> Any:
        return pa.scalar(content, pa.binary())

    own, prefix = project.encode(), key_prefix()
    ids, facts = (pa.array(texts, pa.string()).cast(pa.binary()) for texts in (block.ids, block.facts))
    names = {name: bulk(redis_field(view, name)) for name in (VALUES, FACTS, FEATURE_LIST)}
    vectors = block.vector_values()
    size = len(vectors) // max(1, len(block.ids))
    ends = np.arange(0, len(vectors) + 1, max(1, size), dtype=np.int32)
    joined = pc.binary_join_element_wise(
        always(b"*10\r\n" + bulk(b"HSET")),
        _by_length(ids, lambda n: b"$%d\r\n" % (len(prefix) + 4 + n + len(own)) + prefix + struct.pack("<I", n)),
        ids,
        always(own + b"\r\n" + names[VALUES] + b"$%d\r\n" % size),
        pa.Array.from_buffers(pa.binary(), len(ids), [None, pa.py_buffer(ends), pa.py_buffer(vectors)]),
        always(b"\r\n" + names[FACTS]),
        _by_length(facts, lambda n: b"$%d\r\n" % (len(text_header(n)) + n) + text_header(n)),
        facts,
        always(
            b"\r\n"
            + names[FEATURE_LIST]
            + bulk(block.identity_value())
            + bulk(redis_time_field(view))
            + bulk(encode_time(block.event_epoch))
        ),
        always(b""),
    )
    start, end = (joined.offset, joined.offset + len(joined))
    bounds = np.frombuffer(joined.buffers()[1], dtype=np.int32)
    return memoryview(joined.buffers()[2])[bounds[start] : bounds[end]]


def _by_length(values: pa.Array, of: Callable[[int], bytes]) -> pa.Array:
    """Returns for each value what goes before it, which depends on its length alone."""
    import pyarrow as pa
    import pyarrow.compute as pc

    lengths = pc.binary_length(values).dictionary_encode()
    return pa.array([of(n) for n in lengths.dictionary.to_pylist()], pa.binary()).take(lengths.indices)


def replies(stream: Stream, count: int) -> list[Any]:
    """Returns so many replies: numbers, texts as bytes, None, lists of texts.

    Raises:
        RefusedError: With the server's words, if a reply is an error; the connection cannot be used any more.
        ConnectionError: If the server hung up.
    """
    found: list[Any] = []
    held, at = b"", 0
    while len(found) < count:
        value, after = _reply(held, at)
        if after > 0:
            found.append(value)
            at = after
            continue
        part = stream.recv(_AT_A_TIME)
        if not part:
            raise ConnectionError("the server hung up")
        held, at = held[at:] + part, 0
    return found


def _reply(held: bytes, at: int) -> tuple[Any, int]:
    """Returns the reply at a place and the place after it, which is 0 if the reply has not come whole."""
    end = held.find(b"\r\n", at)
    if end < 0:
        return None, 0
    kind, number, at = held[at], held[at + 1 : end], end + 2
    if kind == _BULK:
        end = at + int(number)
        if end < at:
            return None, at
        return held[at:end], (end + 2 if end + 2 <= len(held) else 0)
    if kind == _ARRAY:
        return _texts(held, at, int(number))
    if kind == _ERROR:
        raise RefusedError(number.decode(errors="replace"))
    return (int(number) if kind == _NUMBER else number), at


def _texts(held: bytes, at: int, count: int) -> tuple[list[bytes | None] | None, int]:
    """Returns a list of texts as `_reply` does: most of what is ever read, and so without a call for each."""
    values: list[bytes | None] = []
    for _ in range(count):
        end = held.find(b"\r\n", at)
        if end < 0:
            return None, 0
        size = int(held[at + 1 : end])
        at = end + 2
        if size < 0:
            values.append(None)
            continue
        values.append(held[at : at + size])
        at += size + 2
    return values, (at if at <= len(held) else 0)


def hmget_request(keys: Sequence[bytes], fields: Sequence[bytes]) -> bytes:
    """Returns one HMGET for each key."""
    head, tail = b"*%d\r\n" % (len(fields) + 2) + bulk(b"HMGET"), b"".join(map(bulk, fields))
    return b"".join([b"%b$%d\r\n%b\r\n%b" % (head, len(key), key, tail) for key in keys])
