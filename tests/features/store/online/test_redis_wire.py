"""Replies are read whole however they are cut; an error or a server that hangs up is never taken for a row."""

import numpy as np
import pytest

from features.kit.errors import NotReadyError
from features.store.online.feast_layout import encode_text, redis_key
from features.store.online.online import connect
from features.store.online.redis_wire import RefusedError, fill_request, replies
from features.store.online.rows import Block
from features.store.settings import RedisOnline, StoreSettings

CONTENT = b"*3\r\n$2\r\n\r\n\r\n$-1\r\n$0\r\n\r\n:12\r\n+OK\r\n$-1\r\n*0\r\n$3\r\na\r\n\r\n"
EXPECTED = [[b"\r\n", None, b""], 12, b"OK", None, [], b"a\r\n"]


class Parts:
    """A stream that gives a content in parts of one size and then hangs up."""

    def __init__(self, content, size):
        self.parts = [content[at : at + size] for at in range(0, len(content), size)]

    def recv(self, _):
        """The next part."""
        return self.parts.pop(0) if self.parts else b""


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 13, 1000])
def test_replies_are_the_same_however_they_are_cut(size):
    """Line ends inside a text, nothing, and empty ones are what they are at any size of parts."""
    assert replies(Parts(CONTENT, size), len(EXPECTED)) == EXPECTED


@pytest.mark.parametrize("stop", range(len(CONTENT)))
def test_half_a_reply_is_no_reply(stop):
    """A server that hangs up in the middle is an error at whatever byte it does."""
    with pytest.raises(ConnectionError):
        replies(Parts(CONTENT[:stop], 7), len(EXPECTED))


def test_an_error_among_replies_is_raised():
    """One refused row of a block is not passed over."""
    with pytest.raises(RefusedError, match="OOM"):
        replies(Parts(b":4\r\n-OOM too much\r\n:4\r\n", 4), 3)


def test_a_block_is_written_as_the_driver_would():
    """The joined request is, byte by byte, what the driver packs for each customer: long, empty and Chinese texts."""
    from redis.connection import Connection

    ids, facts = ["1", "c" * 300, "客户"], ["", "x" * 20_000, '{"a":"畅享"}']
    block = Block(ids, np.array([[1, np.nan], [-0.0, 2], [3, 4]], "float32"), facts, "list-1", 1780243200)
    packed = b""
    for place, one in enumerate(ids):
        packed += b"".join(Connection().pack_command("HSET", redis_key("shop", one), *fields(block, place)))
    assert packed == bytes(fill_request("shop", "portrait_a", block))


def fields(block, place):
    """The fields of one customer and their values, one after the other."""
    from features.store.online import feast_layout as layout

    vector = layout.vector_header(block.matrix.shape[1]) + block.matrix[place].astype("<f4").tobytes()
    return (
        layout.redis_field("portrait_a", "values"), vector,
        layout.redis_field("portrait_a", "facts"), encode_text(block.facts[place]),
        layout.redis_field("portrait_a", "feature_list"), encode_text(block.identity),
        layout.redis_time_field("portrait_a"), layout.encode_time(block.event_epoch),
    )  # fmt: skip


def test_a_server_that_refuses_a_row_refuses_the_block(redis_port):
    """Where a key of ours is no hash the fill ends with one line, and the connection is not used again."""
    import redis

    store = connect(None, StoreSettings(project="refused", online=RedisOnline(kind="redis", port=redis_port)))
    block = Block(["1", "2"], np.ones((2, 3), "float32"), ["{}", "{}"], "list-1", 1780243200)
    other = redis.Redis(port=redis_port)
    other.set(redis_key("refused", "1"), b"no hash")
    with pytest.raises(NotReadyError, match="WRONGTYPE"):
        store.fill("portrait_a", block)
    other.delete(redis_key("refused", "1"))
    store.fill("portrait_a", block)
    assert [row.facts for row in store.read_view("portrait_a", ["1", "2"])] == [encode_text("{}")] * 2
    store.close()
    other.close()
