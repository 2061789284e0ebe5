"""The online store on a Redis server: Feast's hash layout, read in one round trip and written in bulk.

A customer's hash holds the fields of both views. A read asks for the fields of the view that it last saw live and, as
its last command, for the pointer: if that is still the one it started from, the view was live throughout, because
clearing a view begins only after the pointer has left it. Otherwise it asks again with the new one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any

from features.kit.errors import ConfigurationError, NotReadyError
from features.store.online.deadline import TimedSocket, seconds_left, within
from features.store.online.feast_layout import (
    FIELDS,
    decode_time,
    encode_time,
    is_redis_key,
    key_prefix,
    redis_field,
    redis_key,
    redis_time_field,
)
from features.store.online.pointer import Pointer
from features.store.online.redis_wire import RefusedError, command, fill_request, hmget_request, replies
from features.store.online.rows import Block, Owner, StoredRow
from features.store.settings import RedisOnline

_TRIES = 5
_KEYS_PER_SCRIPT = 1_000
_SCAN_COUNT = 5_000
_BULK_PATIENCE = 20
_REWRITE_SECONDS = 600
_POLL_SECONDS = 0.05

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

    is_local = False

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
        self._owner_key = f"{project}:home".encode()
        self._reader = self._client(settings.deadline_ms)
        self._writer = self._client(settings.deadline_ms * _BULK_PATIENCE)
        for pool in (self._reader.connection_pool, self._writer.connection_pool):
            pool.connection_class = _timed(pool.connection_class, settings.connect_deadline_ms / 1000)
        self._seen: bytes | None = None
        self._refuse_eviction()

    def pointer(self) -> Pointer | None:
        """Returns what is live, or None before the first publish. Raises NotReadyError past the deadline."""
        with self._told(), self._in_time():
            content = self._reader.get(self._pointer_key)
        return Pointer.from_json(content) if content else None

    def read(self, ids: Sequence[str]) -> tuple[Pointer | None, list[StoredRow | None]]:
        """Returns the pointer and the live view's rows in the order of `ids`, all of one publish.

        Raises:
            NotReadyError: If the server does not answer within its deadline.
        """
        with self._told(), self._in_time():
            pointer = self._seen or self._reader.get(self._pointer_key)
            for _ in range(_TRIES):
                if pointer is None:
                    return None, []
                told = Pointer.from_json(pointer)
                request = self._hmget(told.view, ids) + command(b"GET", self._pointer_key)
                *rows, now = self._exchange(self._reader, request, len(ids) + 1)
                if now == pointer:
                    self._seen = pointer
                    return told, [_row(values) for values in rows]
                pointer = now
        raise NotReadyError(f"{self._where}: the pointer moved during each of {_TRIES} reads")

    def read_view(self, view: str, ids: Sequence[str]) -> list[StoredRow | None]:
        """Returns a view's rows, live or not, in the order of `ids`."""
        with self._told():
            return [_row(values) for values in self._exchange(self._writer, self._hmget(view, ids), len(ids))]

    def clear(self, view: str) -> None:
        """Removes a view's fields from every customer; a hash without fields vanishes."""
        with self._told():
            script = self._writer.register_script(_CLEAR)
            for keys in self._customers():
                script(keys=keys, args=_fields(view))

    def fill(self, view: str, block: Block) -> None:
        """Adds a block of customers to a view; an existing field is overwritten."""
        with self._told():
            if block.ids:
                self._exchange(self._writer, fill_request(self._project, view, block), len(block.ids))

    def count(self, view: str, event_epoch: int) -> tuple[int, int]:
        """Returns how many customers of a view are whole and of that event time, and how many it holds at all."""
        time_field, *fields = _fields(view)
        arguments = [time_field, encode_time(event_epoch), *fields]
        whole = total = 0
        with self._told():
            script = self._writer.register_script(_COUNT)
            for keys in self._customers():
                part = script(keys=keys, args=arguments)
                whole, total = whole + part[0], total + part[1]
        return whole, total

    def switch(self, pointer: Pointer) -> None:
        """Makes a view live: one key, one write."""
        with self._told():
            self._writer.set(self._pointer_key, pointer.to_json())

    def owner(self) -> Owner | None:
        """Returns the home that the store belongs to, or None before its first publish."""
        with self._told(), self._in_time():
            content = self._reader.get(self._owner_key)
        return Owner(*content.decode().split("\n", 1)) if content else None

    def take(self, owner: Owner, *, over: bool) -> None:
        """Gives the store to a home; one that has an owner keeps it unless `over`."""
        with self._told():
            self._writer.set(self._owner_key, "\n".join(owner), nx=not over)

    def forget(self, ids: Sequence[str]) -> int:
        """Removes customers with both their views; returns how many were live."""
        if not ids:
            return 0
        pointer = self.pointer()
        with self._told():
            live = 0
            if pointer is not None:
                field = redis_time_field(pointer.view)
                live = sum(bool(self._writer.hexists(redis_key(self._project, one), field)) for one in ids)
            self._writer.delete(*(redis_key(self._project, one) for one in ids))
        if pointer is not None and live:
            self.switch(replace(pointer, rows=pointer.rows - live))
        return live

    def rewrite(self) -> bool:
        """Makes the server write its append-only file and its dump anew, where it keeps them.

        Returns:
            False if the server lets nobody ask it, as managed servers do.

        Raises:
            NotReadyError: If the server could not write them, or not within its patience.
        """
        with self._told():
            try:
                if self._persistence()["aof_enabled"]:
                    self._write_anew(self._writer.bgrewriteaof, "aof_last_bgrewrite_status")
                if self._writer.config_get("save").get("save"):
                    self._write_anew(self._writer.bgsave, "rdb_last_bgsave_status")
            except self._redis.ResponseError:
                return False
        return True

    def _write_anew(self, ask: Callable[[], Any], status: str) -> None:
        """Asks the server for one background write that begins now, and waits for its end."""
        ends = time.monotonic() + _REWRITE_SECONDS
        self._wait_for_writes(ends)
        try:
            ask()
        except self._redis.ResponseError as error:
            if "in progress" not in str(error) or time.monotonic() > ends:
                raise
            return self._write_anew(ask, status)  # one of the server's own began in between; it may be too old
        self._wait_for_writes(ends)
        if self._persistence()[status] != "ok":
            raise NotReadyError(f"{self._where}: it could not write its files anew", remedy="check its disk and log")
        return None

    def _wait_for_writes(self, ends: float) -> None:
        busy = ("aof_rewrite_in_progress", "aof_rewrite_scheduled", "rdb_bgsave_in_progress")
        while any(map(self._persistence().get, busy)):
            if time.monotonic() > ends:
                raise NotReadyError(f"{self._where}: still writing its files", remedy="run the same command again")
            time.sleep(_POLL_SECONDS)

    def _persistence(self) -> dict[str, Any]:
        found: dict[str, Any] = self._writer.info("persistence")
        return found

    def close(self) -> None:
        """Closes every connection."""
        self._reader.close()
        self._writer.close()

    @property
    def _where(self) -> str:
        return f"redis {self._settings.host}:{self._settings.port}"

    def _exchange(self, client: Any, request: bytes | memoryview, count: int) -> list[Any]:
        """Sends packed commands and returns their replies, in one round trip; the pool hands out no dead connection."""
        connection = client.connection_pool.get_connection()
        try:
            connection.stream.sendall(request)
            return replies(connection.stream, count)
        except RefusedError as error:
            connection.disconnect()
            is_forbidden = str(error).startswith(("NOPERM", "NOAUTH"))
            raise (self._redis.AuthenticationError if is_forbidden else self._redis.ResponseError)(str(error)) from None
        except BaseException:
            connection.disconnect()
            raise
        finally:
            client.connection_pool.release(connection)

    def _hmget(self, view: str, ids: Sequence[str]) -> bytes:
        return hmget_request([redis_key(self._project, one) for one in ids], _fields(view))

    def _customers(self) -> Iterator[list[bytes]]:
        """Yields the keys of this project's customers in parts, each key once."""
        own = self._project.encode()
        pattern = key_prefix() + b"*" + own
        seen: set[bytes] = set()
        part: list[bytes] = []
        for key in self._writer.scan_iter(match=pattern, count=_SCAN_COUNT):
            if key in seen or not is_redis_key(own, key):
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
        with self._told(), self._in_time():
            policy = self._reader.info("memory").get("maxmemory_policy", "unknown")
        if policy != "noeviction":
            raise ConfigurationError(
                f"{self._where}: maxmemory-policy is '{policy}'; portraits would vanish silently",
                remedy="set maxmemory-policy noeviction on the server",
            )

    def _in_time(self) -> AbstractContextManager[float]:
        return within(self._settings.deadline_ms / 1000)

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
            raise NotReadyError(
                f"{self._where}: no answer in time ({error})",
                remedy="check that it runs, and online.host and online.port",
            ) from None


def _timed(kind: type, seconds: float) -> type:
    """Returns a kind of connection whose connecting and reading end with the read under way."""

    class Timed(kind):  # type: ignore[misc]
        def _connect(self) -> TimedSocket:
            self.socket_connect_timeout = min(seconds, seconds_left())
            self.stream = TimedSocket(super()._connect())
            return self.stream

    return Timed


def _fields(view: str) -> list[bytes]:
    """Returns the fields of a view in a customer's hash, its event time first."""
    return [redis_time_field(view), *(redis_field(view, name) for name in FIELDS)]


def _row(values: Sequence[bytes | None]) -> StoredRow | None:
    at, facts, feature_list, vector = values
    try:
        return None if at is None else StoredRow(decode_time(at), facts, feature_list, vector)
    except (ValueError, IndexError):
        return None
