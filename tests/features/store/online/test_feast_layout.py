"""Our bytes are Feast's bytes."""

from datetime import UTC, datetime

import numpy as np
import pytest

from features.store.loading import load_feast
from features.store.online import feast_layout as layout

load_feast()

IDS = ["1", "c10", "460001234567890123", "客户-7", "a" * 300, " "]


@pytest.mark.parametrize("customer_id", IDS)
def test_entity_key_is_feasts(customer_id):
    """A customer's key is what Feast's own serialiser writes; that of another project is told from it."""
    from feast.infra.key_encoding_utils import serialize_entity_key
    from feast.protos.feast.types.EntityKey_pb2 import EntityKey
    from feast.protos.feast.types.Value_pb2 import Value

    proto = EntityKey(join_keys=["customer_id"], entity_values=[Value(string_val=customer_id)])
    assert serialize_entity_key(proto, 3) == layout.entity_key(customer_id)
    assert layout.is_redis_key(b"project", layout.redis_key("project", customer_id))
    assert not layout.is_redis_key(b"project", layout.redis_key("other_project", customer_id))


@pytest.mark.parametrize("length", [0, 1, 31, 32, 90, 5_000])
def test_vector_is_feasts(length):
    """A vector is Feast's `Value` bit for bit, NaN payloads, -0.0 and infinities included."""
    from feast.protos.feast.types.Value_pb2 import FloatList, Value

    vector = np.random.default_rng(0).normal(size=length).astype(np.float32)
    vector[: length // 2 : 3] = [np.nan, -0.0, np.inf, -np.inf][length % 4]
    expected = Value(float_list_val=FloatList(val=vector)).SerializeToString()
    if length:
        assert expected == layout.vector_header(len(vector)) + vector.astype("<f4").tobytes()
    assert vector.tobytes() == layout.decode_vector(expected).tobytes()


def test_many_vectors_are_decoded_as_each_is():
    """Alike ones at once, unlike ones one by one; what is no vector is None and spoils nobody else's."""
    alike = [layout.vector_header(3) + np.array([k, np.nan, -0.0], "<f4").tobytes() for k in range(4)]
    shorter = layout.vector_header(1) + bytes(4)
    assert layout.decode_vectors([]) == []
    for values in (alike, [*alike, shorter], [*alike, b"\x12\x01a", alike[0][:-1]]):
        decoded = layout.decode_vectors(values)
        expected = [layout.decode_vector(value).tobytes() if value in [*alike, shorter] else None for value in values]
        assert [None if found is None else found.tobytes() for found in decoded] == expected
    assert not layout.decode_vectors(alike)[0].flags.writeable


@pytest.mark.parametrize("text", ["", "x", "畅享套餐" * 50, '{"a":1}' * 3_000])
def test_text_is_feasts(text):
    """A text is Feast's `Value`."""
    from feast.protos.feast.types.Value_pb2 import Value

    assert Value(string_val=text).SerializeToString() == layout.encode_text(text)
    assert text == layout.decode_text(layout.encode_text(text))


def test_time_is_protobufs():
    """An event time is a protobuf Timestamp; fractions of a second do not disturb reading."""
    from google.protobuf.timestamp_pb2 import Timestamp

    stamp = Timestamp()
    stamp.FromDatetime(datetime(2026, 5, 31, 16, tzinfo=UTC))
    assert stamp.SerializeToString() == layout.encode_time(1780243200)
    stamp.nanos = 5
    assert layout.decode_time(stamp.SerializeToString()) == 1780243200


@pytest.mark.parametrize("name", ["values", "facts", "feature_list", "a", "abcdefghijklmnop", "特征"])
def test_redis_field_is_feasts(name):
    """A field's name is Feast's four bytes of murmur3."""
    from feast.infra.online_stores.helpers import _mmh3, _redis_key
    from feast.protos.feast.types.EntityKey_pb2 import EntityKey
    from feast.protos.feast.types.Value_pb2 import Value

    assert _mmh3(f"portrait_a:{name}") == layout.redis_field("portrait_a", name)
    proto = EntityKey(join_keys=["customer_id"], entity_values=[Value(string_val=name)])
    assert _redis_key("shop", proto) == layout.redis_key("shop", name)


@pytest.mark.parametrize("broken", [b"", b"\x12", b"\x12\x05abc", b"\x0a\x01a", b"\x12\x01ab"])
def test_truncated_values_are_refused(broken):
    """A value that is cut, too long or of another type is never decoded."""
    with pytest.raises((ValueError, IndexError)):
        layout.decode_text(broken)
    with pytest.raises((ValueError, IndexError)):
        layout.decode_vector(broken)
