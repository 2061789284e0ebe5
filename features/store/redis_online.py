"""The online store on a Redis server: Feast's hash layout, read in one round trip and written in bulk.

A customer's hash holds the fields of both views. A script reads the pointer and the live view's fields in one instant
and packs them into one reply, because parsing many small replies costs more than fetching them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from features.kit.errors import ConfigurationError, NotReadyError
from features.store.layout import (
    FACTS,
    FEATURE_LIST,
    FIELDS,
    VALUES,
    VIEWS,
    customer_of,
    decode_time,
    encode_time,
    key_prefix,
    redis_field,
    redis_key,
    redis_time_field,
)
from features.store.pointer import Pointer
from features.store.rows import Block, StoredRow
from features.store.settings import RedisOnline

_TRIES = 5
_KEYS_PER_READ = 1_000
_KEYS_PER_SCRIPT = 1_000
_SCAN_COUNT = 5_000
_BULK_PATIENCE = 20

_READ = """
local pointer = redis.call('GET', KEYS[1])
if not pointer then return false end
local first = cjson.decode(pointer).view == ARGV[1] and 2 or 6
local parts = {}
for place = 2, #KEYS do
  local values = redis.call('HMGET', KEYS[place], unpack(ARGV, first, first + 3))
  for _, value in ipairs(values) do
    parts[#parts + 1] = value and struct.pack('<I4', #value) or '\\255\\255\\255\\255'
    if value then parts[#parts + 1] = value end
  end
end
return {pointer, table.concat(parts)}
"""
_ABSENT = 0xFFFFFFFF
_CLEAR = """
local removed = 0
for _, key in ipairs(KEYS) do removed = removed + redis.call('HDEL', key, unpack(ARGV)) end
return removed
"""
_COUNT = """
local whole, any = 0, 0
for _, key in ipairs(KEYS) do
  local at = redis.call('HGET', key, ARGV[1])
  if at then
    any = any + 1
    if at == ARGV[2] then
      local n = 0
      for place = 3, #ARGV do n = n + redis.call('HEXISTS', key, ARGV[place]) end
      if n == #ARGV - 2 then whole = whole + 1 end
    end
  end
end
return {whole, any}
"""


class RedisStore:
    """Reads and writes one project's portraits; one instance may serve many threads."""

    def __init__(self, settings: RedisOnline, project: str) -> None:
        """Connects and checks the server.

        Raises:
            ConfigurationError: If the driver is not installed, the password is refused, or the server evicts keys.
            NotReadyError: If the server does not answer.
        """
        try:
            import redis
        except ImportError:
            raise ConfigurationError(
                "feature_store.yaml: online.kind is redis, but its driver is not installed",
                remedy='pip install "customer-insight[redis]"',
            ) from None
        self._redis = redis
        self._settings = settings
        self._project = project
        self._pointer_key = f"{project}:portrait_pointer".encode()
        self._reader = self._client(settings.deadline_ms)
        self._writer = self._client(settings.deadline_ms * _BULK_PATIENCE)
        self._read_script = self._reader.register_script(_READ)
        self._read_arguments = [VIEWS[0].encode(), *_fields(VIEWS[0]), *_fields(VIEWS[1])]
        self._refuse_eviction()

    def pointer(self) -> Pointer | None:
        """Returns what is live, or None before the first publish. Raises NotReadyError past the deadline."""
        with self._told():
            content = self._reader.get(self._pointer_key)
        return Pointer.from_json(content) if content else None

    def read(self, ids: Sequence[str]) -> tuple[Pointer | None, list[StoredRow | None]]:
        """Returns the pointer and the live view's rows in the order of `ids`, all of one publish.

        Raises:
            NotReadyError: If the server does not answer within its deadline.
        """
        with self._told():
            for _ in range(_TRIES):
                pointers: set[bytes | None] = set()
                rows: list[StoredRow | None] = []
                for start in range(0, max(1, len(ids)), _KEYS_PER_READ):
                    part = ids[start : start + _KEYS_PER_READ]
                    pointer, packed = self._packed(part)
                    pointers.add(pointer)
                    rows += _unpack(packed, len(part))
                if len(pointers) == 1:
                    (pointer,) = pointers
                    return (Pointer.from_json(pointer), rows) if pointer else (None, [])
        raise NotReadyError(f"{self._where}: the pointer moved during each of {_TRIES} reads")

    def read_view(self, view: str, ids: Sequence[str]) -> list[StoredRow | None]:
        """Returns a view's rows, live or not, in the order of `ids`."""
        with self._told(), self._writer.pipeline(transaction=False) as pipe:
            for customer_id in ids:
                pipe.hmget(redis_key(self._project, customer_id), _fields(view))
            return [_row(values) for values in pipe.execute()]

    def clear(self, view: str) -> None:
        """Removes a view's fields from every customer; a hash without fields vanishes."""
        with self._told():
            script = self._writer.register_script(_CLEAR)
            for keys in self._customers():
                script(keys=keys, args=_fields(view))

    def fill(self, view: str, block: Block) -> None:
        """Adds a block of customers to a view; an existing field is overwritten."""
        commands = self._hset_commands(view, block)
        with self._told(), self._connection() as connection:
            connection.send_packed_command(commands)
            for _ in block.ids:
                reply = connection.read_response()
                if isinstance(reply, Exception):
                    raise reply

    def count(self, view: str, event_epoch: int) -> int:
        """Returns how many customers of a view are whole and of that event time."""
        return self._count(view, event_epoch)[0]

    def total(self, view: str) -> int:
        """Returns how many customers a view holds, of whatever event time."""
        return self._count(view, 0)[1]

    def switch(self, pointer: Pointer) -> None:
        """Makes a view live: one key, one write."""
        with self._told():
            self._writer.set(self._pointer_key, pointer.to_json())

    def close(self) -> None:
        """Closes every connection."""
        self._reader.close()
        self._writer.close()

    @property
    def _where(self) -> str:
        return f"redis {self._settings.host}:{self._settings.port}"

    def _packed(self, ids: Sequence[str]) -> tuple[bytes | None, bytes]:
        """Returns the pointer and the live view's packed fields of some customers, both of one instant."""
        keys = [self._pointer_key, *(redis_key(self._project, one) for one in ids)]
        reply = self._read_script(keys=keys, args=self._read_arguments)
        return (reply[0], reply[1]) if reply else (None, b"")

    def _hset_commands(self, view: str, block: Block) -> list[bytes]:
        """Returns one packed HSET per customer, with what does not change packed once."""
        names = {name: _bulk(redis_field(view, name)) for name in FIELDS}
        head = b"*10\r\n" + _bulk(b"HSET")
        tail = (
            names[FEATURE_LIST]
            + _bulk(block.identity_value())
            + _bulk(redis_time_field(view))
            + _bulk(encode_time(block.event_epoch))
        )
        values, facts = names[VALUES], names[FACTS]
        return [
            b"".join((head, _bulk(redis_key(self._project, one)), values, _bulk(vector), facts, _bulk(text), tail))
            for one, vector, text in zip(block.ids, block.vector_values(), block.facts_values(), strict=True)
        ]

    def _count(self, view: str, event_epoch: int) -> tuple[int, int]:
        time_field, *fields = _fields(view)
        arguments = [time_field, encode_time(event_epoch), *fields]
        whole = total = 0
        with self._told():
            script = self._writer.register_script(_COUNT)
            for keys in self._customers():
                part = script(keys=keys, args=arguments)
                whole, total = whole + part[0], total + part[1]
        return whole, total

    def _customers(self) -> Iterator[list[bytes]]:
        """Yields the keys of this project's customers in parts, each key once."""
        pattern = key_prefix() + b"*" + self._project.encode()
        seen: set[bytes] = set()
        part: list[bytes] = []
        for key in self._writer.scan_iter(match=pattern, count=_SCAN_COUNT):
            if key in seen or key != redis_key(self._project, customer_of(key)):
                continue
            seen.add(key)
            part.append(key)
            if len(part) == _KEYS_PER_SCRIPT:
                yield part
                part = []
        if part:
            yield part

    def _client(self, deadline_ms: int) -> Any:
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        online = self._settings
        return self._redis.Redis(
            host=online.host,
            port=online.port,
            db=online.database,
            username=online.username,
            password=online.password(),
            ssl=online.tls,
            socket_timeout=deadline_ms / 1000,
            socket_connect_timeout=online.connect_deadline_ms / 1000,
            retry=Retry(NoBackoff(), 1, supported_errors=(self._redis.ConnectionError,)),
        )

    def _refuse_eviction(self) -> None:
        """Raises ConfigurationError unless the server keeps every key it was given."""
        with self._told():
            policy = self._reader.info("memory").get("maxmemory_policy", "unknown")
        if policy != "noeviction":
            raise ConfigurationError(
                f"{self._where}: maxmemory-policy is '{policy}'; portraits would vanish silently",
                remedy="set maxmemory-policy noeviction on the server",
            )

    @contextmanager
    def _connection(self) -> Iterator[Any]:
        connection = self._writer.connection_pool.get_connection()
        try:
            yield connection
        except BaseException:
            connection.disconnect()
            raise
        finally:
            self._writer.connection_pool.release(connection)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turns what the driver raises into one line."""
        from redis.exceptions import NoPermissionError

        try:
            yield
        except (self._redis.AuthenticationError, NoPermissionError) as error:
            raise ConfigurationError(
                f"{self._where}: {error}", remedy="check online.username and online.password_variable"
            ) from None
        except self._redis.ResponseError as error:
            raise NotReadyError(f"{self._where}: {error}", remedy="check the server's memory limit") from None
        except (self._redis.RedisError, OSError) as error:
            raise NotReadyError(f"{self._where}: no answer in time ({error})") from None


def _bulk(content: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(content), content)


def _fields(view: str) -> list[bytes]:
    """Returns the fields of a view in a customer's hash, its event time first."""
    return [redis_time_field(view), *(redis_field(view, name) for name in FIELDS)]


def _unpack(packed: bytes, count: int) -> list[StoredRow | None]:
    """Returns the rows of a script's reply: per customer four fields, each after its length."""
    if not packed:
        return [None] * count
    rows: list[StoredRow | None] = []
    position = 0
    length_at = struct.Struct("<I").unpack_from
    for _ in range(count):
        values: list[bytes | None] = []
        for _ in range(1 + len(FIELDS)):
            (length,) = length_at(packed, position)
            position += 4
            if length == _ABSENT:
                values.append(None)
            else:
                values.append(packed[position : position + length])
                position += length
        rows.append(_row(values))
    return rows


def _row(values: Sequence[bytes | None]) -> StoredRow | None:
    at, facts, feature_list, vector = values
    return None if at is None else StoredRow(decode_time(at), facts, feature_list, vector)
