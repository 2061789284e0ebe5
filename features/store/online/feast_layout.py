"""Feast's own layout of the online stores, byte by byte, without importing Feast.

The service reads portraits with this module and therefore starts without Feast; publishing writes with it and is
therefore fast. A test compares every function with Feast's own serialisers, so the layout cannot drift silently.
Source: feast 0.67, `infra/key_encoding_utils.py` (entity key version 3), `infra/online_stores/{sqlite,redis}.py`,
`protos/feast/types/Value.proto`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from functools import lru_cache

import mmh3
import numpy as np

ENTITY = "customer_id"
VIEWS = ("portrait_a", "portrait_b")
VALUES, FACTS, FEATURE_LIST = "values", "facts", "feature_list"
FIELDS = (FACTS, FEATURE_LIST, VALUES)
"""The fields of a customer in a view, in the order in which `rows.StoredRow` holds them."""

_STRING_TYPE = 2  # feast.types.ValueType.STRING
_STRING_TAG = b"\x12"  # Value.string_val = field 2, length-delimited
_FLOATS_TAG = b"\x82\x01"  # Value.float_list_val = field 16, length-delimited
_PACKED_TAG = b"\x0a"  # FloatList.val = field 1, packed
_SECONDS_TAG = b"\x08"  # google.protobuf.Timestamp.seconds = field 1, varint

_MOST_HEADER = 24
"""Nothing before the content of a value is as long."""

_KEY_PREFIX = struct.pack("<III", 1, _STRING_TYPE, len(ENTITY)) + ENTITY.encode() + struct.pack("<I", _STRING_TYPE)


def entity_key(customer_id: str) -> bytes:
    """Returns Feast's serialised entity key of one customer."""
    encoded = customer_id.encode()
    return _KEY_PREFIX + struct.pack("<I", len(encoded)) + encoded


def key_prefix() -> bytes:
    """Returns the bytes with which the key of every customer begins."""
    return _KEY_PREFIX


def is_redis_key(project: bytes, key: bytes) -> bool:
    """Returns whether a key that begins as every customer's does, and ends with a project, is that project's."""
    (length,) = struct.unpack_from("<I", key, len(_KEY_PREFIX))
    return len(key) == len(_KEY_PREFIX) + 4 + int(length) + len(project)


def sqlite_table(project: str, view: str) -> str:
    """Returns the name of a view's table in Feast's SQLite store."""
    return f"{project}_{view}"


def redis_key(project: str, customer_id: str) -> bytes:
    """Returns the key of a customer's hash in Feast's Redis store."""
    return entity_key(customer_id) + project.encode()


def redis_field(view: str, feature: str) -> bytes:
    """Returns the field of a feature inside a customer's hash: four bytes of murmur3."""
    return struct.pack("<I", mmh3.hash(f"{view}:{feature}", signed=False))


def redis_time_field(view: str) -> bytes:
    """Returns the field with a view's event time inside a customer's hash."""
    return b"_ts:" + view.encode()


def vector_header(length: int) -> bytes:
    """Returns the bytes before the little-endian float32 values of a vector of `length` values."""
    packed = _PACKED_TAG + varint(4 * length)
    return _FLOATS_TAG + varint(len(packed) + 4 * length) + packed


def decode_vector(value: bytes) -> np.ndarray:
    """Returns the float32 vector of a serialised `Value`, read-only. Raises ValueError if it holds anything else."""
    header = _header_of(len(value), _vector_header)
    if header is None or not value.startswith(header):
        raise ValueError(f"{len(value)} bytes are no vector")
    return np.frombuffer(value, dtype="<f4", offset=len(header)) if len(header) < len(value) else np.empty(0, "<f4")


def decode_vectors(values: Sequence[bytes]) -> list[np.ndarray | None]:
    """Returns the vectors of serialised `Value`s as `decode_vector`, at once where all are alike; None is no vector."""
    header = _header_of(len(values[0]), _vector_header) if values else None
    size = len(values[0]) if values else 0
    if not header or not all(len(value) == size and value.startswith(header) for value in values):
        return [_vector_or_none(value) for value in values]
    packed = np.frombuffer(b"".join(values), dtype=np.uint8).reshape(len(values), size)[:, len(header) :]
    vectors = np.ascontiguousarray(packed).view("<f4")
    vectors.flags.writeable = False
    return list(vectors)


def _vector_or_none(value: bytes) -> np.ndarray | None:
    try:
        return decode_vector(value)
    except ValueError:
        return None


def _vector_header(content: int) -> bytes:
    if content % 4:
        return b""
    return vector_header(content // 4) if content else _FLOATS_TAG + varint(0)


@lru_cache(maxsize=1 << 14)  # a batch holds values of few lengths
def _header_of(size: int, header: Callable[[int], bytes]) -> bytes | None:
    """Returns what stands before the content of a value of so many bytes, which says how many they are."""
    return next(
        (one for n in range(size - 1, max(-1, size - _MOST_HEADER), -1) if len(one := header(n)) == size - n), None
    )


def text_header(length: int) -> bytes:
    """Returns the bytes before a text of `length` bytes in UTF-8."""
    return _STRING_TAG + varint(length)


def encode_text(text: str) -> bytes:
    """Returns a text as a serialised `Value`."""
    encoded = text.encode()
    return text_header(len(encoded)) + encoded


def decode_text(value: bytes) -> str:
    """Returns the text of a serialised `Value`. Raises ValueError if it holds anything else."""
    header = _header_of(len(value), text_header)
    if header is None or not value.startswith(header):
        raise ValueError(f"{len(value)} bytes are no text")
    return value[len(header) :].decode()


def encode_time(epoch_seconds: int) -> bytes:
    """Returns an instant (whole seconds) as a serialised protobuf `Timestamp`."""
    return _SECONDS_TAG + varint(epoch_seconds)


@lru_cache  # that of a publish is one
def decode_time(value: bytes) -> int:
    """Returns the epoch seconds of a serialised protobuf `Timestamp`; fractions of a second are dropped."""
    if value[:1] != _SECONDS_TAG:
        raise ValueError("not a protobuf Timestamp with seconds")
    return _read_varint(value, 1)[0]


def varint(number: int) -> bytes:
    """Returns a non-negative integer as a protobuf varint. Example: 300 gives AC 02."""
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    parts.append(number)
    return bytes(parts)


def _read_varint(value: bytes, position: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = value[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, position
        shift += 7
