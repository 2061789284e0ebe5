"""Feast's own layout of the online stores, byte by byte, without importing Feast.

The service reads portraits with this module and therefore starts without Feast; publishing writes with it and is
therefore fast. A test compares every function with Feast's own serialisers, so the layout cannot drift silently.
Source: feast 0.67, `infra/key_encoding_utils.py` (entity key version 3), `infra/online_stores/{sqlite,redis}.py`,
`protos/feast/types/Value.proto`.
"""

from __future__ import annotations

import struct

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

_KEY_PREFIX = struct.pack("<III", 1, _STRING_TYPE, len(ENTITY)) + ENTITY.encode() + struct.pack("<I", _STRING_TYPE)


def entity_key(customer_id: str) -> bytes:
    """Returns Feast's serialised entity key of one customer."""
    encoded = customer_id.encode()
    return _KEY_PREFIX + struct.pack("<I", len(encoded)) + encoded


def key_prefix() -> bytes:
    """Returns the bytes with which the key of every customer begins."""
    return _KEY_PREFIX


def customer_of(key: bytes) -> str:
    """Returns the customer of a serialised entity key; a Redis key's project suffix is left out."""
    start = len(_KEY_PREFIX)
    (length,) = struct.unpack_from("<I", key, start)
    return key[start + 4 : start + 4 + length].decode()


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
    start = _start(value, _FLOATS_TAG, 0)
    if start < len(value):
        start = _start(value, _PACKED_TAG, start)
    return np.frombuffer(value, dtype="<f4", offset=start) if start < len(value) else np.empty(0, dtype="<f4")


def encode_text(text: str) -> bytes:
    """Returns a text as a serialised `Value`."""
    encoded = text.encode()
    return _STRING_TAG + varint(len(encoded)) + encoded


def decode_text(value: bytes) -> str:
    """Returns the text of a serialised `Value`. Raises ValueError if it holds anything else."""
    return value[_start(value, _STRING_TAG, 0) :].decode()


def encode_time(epoch_seconds: int) -> bytes:
    """Returns an instant (whole seconds) as a serialised protobuf `Timestamp`."""
    return _SECONDS_TAG + varint(epoch_seconds)


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


def _start(value: bytes, tag: bytes, position: int) -> int:
    """Returns where the one length-delimited field at `position` begins, which must end where the value ends."""
    if not value.startswith(tag, position):
        raise ValueError("not a value of the expected type")
    length, start = _read_varint(value, position + len(tag))
    if start + length != len(value):
        raise ValueError(f"a value of {len(value) - start} bytes where {length} are declared")
    return start


def _read_varint(value: bytes, position: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = value[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, position
        shift += 7
