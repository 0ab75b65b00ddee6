"""The witness of an exercise: finds what of it has had an effect on the real side, in any of its ways.

It notes where everything stands before a round, and afterwards reads whatever was added to the real side since: rows
of the record, messages on the real topics, calls to the world outside. Its role sees both worlds and writes nothing.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from schemas.topics import PREFIX
from schemas.vocabulary import Namespace, Status
from services.drills.record import DrillError, sql
from services.platform.kafka_security import Brokers, Security, brokers_at

REAL = f"{PREFIX}.{Namespace.ACTUAL}."
READ_WITHIN = 60.0
"""Seconds that reading what was added to the real topics may take."""
_FETCH = 2_000
_POLL_MS = 300
_NOT_REAL = frozenset(status.value for status in Status if status is not Status.ACTUAL)


class Way(StrEnum):
    """How an exercise can reach the real side."""

    ROW = "row"
    MESSAGE = "message"
    OUTBOUND = "outbound"


@dataclass(frozen=True, slots=True)
class Leak:
    """One real effect; ``where`` is a table, a topic with partition and offset, or a target outside."""

    way: Way
    where: str
    what: str


@dataclass(frozen=True, slots=True)
class Mark:
    """Where everything stood at a moment."""

    at: datetime
    seq: int
    ends: dict[TopicPartition, int]


class Witness:
    """Watches one database and one broker.

    The ``embedded`` broker tells where its last batch begins, not where it ends, and gives nothing from the middle of
    one: there everything is read from the beginning, and what is older than the mark passed over.
    """

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]", kafka: str | Brokers, *, embedded: bool = False) -> None:
        self._pool = pool
        self._brokers = brokers_at(kafka)
        self._embedded = embedded

    async def mark(self) -> Mark:
        """Note where everything stands; raises `DrillError` when that can't be seen."""
        row = await self._pool.fetchrow(
            "SELECT clock_timestamp() AS at, coalesce((SELECT max(seq) FROM outbox), 0) AS seq"
        )
        if row is None:
            raise DrillError("database: tells nothing of itself")
        return Mark(row["at"], row["seq"], await self._ends())

    async def leaks(self, since: Mark, incident_ids: Sequence[UUID]) -> list[Leak]:
        """Find every real effect of these incidents, and every message on a real topic that isn't real.

        Raises `DrillError` when something can't be looked at.
        """
        try:
            found = await self._rows(since, incident_ids)
        except asyncpg.InsufficientPrivilegeError as error:
            raise DrillError(f"database: {error} to the canary; see `muster roles`") from error
        found += await self._outbound(incident_ids)
        return found + await self._messages(since, [str(id_).encode() for id_ in incident_ids])

    async def _rows(self, since: Mark, incident_ids: Sequence[UUID]) -> list[Leak]:
        found: list[Leak] = []
        ids, texts = list(incident_ids), [f"%{id_}%" for id_ in incident_ids]
        async with self._pool.acquire() as connection, connection.transaction(readonly=True):
            # Tables are found in the catalogue, so that one that is added later is looked at too.
            for table, columns in await connection.fetch(sql("real_tables")):
                names = " OR ".join(f"{column} = ANY ($1)" for column in columns)
                count = await connection.fetchval(
                    f"SELECT count(*) FROM {table} WHERE status = 'Actual' AND ({names})",  # noqa: S608 - quoted there
                    ids,
                )
                found += [Leak(Way.ROW, table, "a row of status Actual names the incident")] * count
            for row in await connection.fetch(sql("real_mentions"), texts, since.seq, _least_id(since.at)):
                found.append(Leak(Way.ROW, row["place"], row["what"]))
        return found

    async def _outbound(self, incident_ids: Sequence[UUID]) -> list[Leak]:
        rows = await self._pool.fetch(
            "SELECT target, status FROM outbound_calls WHERE incident_id = ANY ($1) AND outcome = 'sent'",
            list(incident_ids),
        )
        return [Leak(Way.OUTBOUND, row["target"], f"was told of it as {row['status']}") for row in rows]

    @asynccontextmanager
    async def _reading(self, partitions: Sequence[TopicPartition]) -> AsyncIterator[Any]:
        """Give a consumer of these partitions; each is assigned once only, as aiokafka may else not come to its end."""
        consumer = AIOKafkaConsumer(
            **self._brokers.options(),
            client_id="muster-witness",
            enable_auto_commit=False,
            request_timeout_ms=15_000,
            fetch_max_wait_ms=100,
        )
        try:
            await consumer.start()
            consumer.assign(partitions)
            yield consumer
        except (KafkaError, OSError, TimeoutError) as error:
            raise DrillError(f"broker {self._brokers}: the real topics can't be read: {error!r}") from error
        finally:
            await consumer.stop()

    async def _ends(self) -> dict[TopicPartition, int]:
        partitions = await self._partitions()
        if not partitions:
            return {}
        async with self._reading(partitions) as consumer:
            return dict(await consumer.end_offsets(partitions))

    async def _partitions(self) -> list[TopicPartition]:
        admin = AIOKafkaAdminClient(**self._brokers.options(), client_id="muster-witness")
        try:
            await admin.start()
            names = [name for name in await admin.list_topics() if name.startswith(REAL)]
            if not names and self._brokers.security is not Security.PLAINTEXT:
                # Where access is controlled, who sees nothing has not looked.
                raise DrillError(f"broker {self._brokers}: shows no real topics to {self._brokers.username or 'us'}")
            found = await admin.describe_topics(names) if names else []
        except (KafkaError, OSError) as error:
            raise DrillError(f"broker {self._brokers}: {error!r}; {self._brokers.advice()}") from error
        finally:
            await admin.close()
        return [TopicPartition(each["topic"], part["partition"]) for each in found for part in each["partitions"]]

    async def _messages(self, since: Mark, ids: Sequence[bytes]) -> list[Leak]:
        ends = await self._ends()
        if any(ends.get(partition, -1) < end for partition, end in since.ends.items()):
            raise DrillError("broker: has lost what it held during the round; nothing can be proved about it")
        # A topic that was made meanwhile is read from its beginning.
        begins = {partition: 0 if self._embedded else since.ends.get(partition, 0) for partition in ends}
        left = {partition: end for partition, end in ends.items() if end > begins[partition]}
        oldest = int(since.at.timestamp() * 1000) if self._embedded else 0
        found: list[Leak] = []
        if not left:
            return found
        async with self._reading(list(left)) as consumer, asyncio.timeout(READ_WITHIN):
            for partition in left:
                consumer.seek(partition, begins[partition])
            while left:
                batch = await consumer.getmany(timeout_ms=_POLL_MS, max_records=_FETCH)
                for records in batch.values():
                    found += _judged([record for record in records if record.timestamp >= oldest], ids)
                for partition in [] if self._embedded and batch else list(left):
                    if await consumer.position(partition) >= left[partition]:
                        del left[partition]
        return found


def _least_id(at: datetime) -> UUID:
    """Give the least UUIDv7 of a minute before a moment: ids made since then are found by their index."""
    return UUID(int=int((at.timestamp() - 60) * 1000) << 80)


def _judged(records: Iterable[Any], ids: Sequence[bytes]) -> list[Leak]:
    found: list[Leak] = []
    for record in records:
        what = _wrong(record, ids)
        if what is not None:
            found.append(Leak(Way.MESSAGE, f"{record.topic}[{record.partition}]@{record.offset}", what))
    return found


def _wrong(record: Any, ids: Sequence[bytes]) -> str | None:
    value = record.value or b""
    parts = (record.key or b"", value, *(text or b"" for _, text in record.headers))
    if any(id_ in part for id_ in ids for part in parts):
        return "a message on a real topic names the incident"
    said = [(text or b"").decode(errors="replace") for name, text in record.headers if name == "ce_status"]
    if not said and value[:1] == b"{":
        try:
            said = [str(json.loads(value).get("status"))]
        except (ValueError, RecursionError):
            return None
    return next((f"a message on a real topic has status {status}" for status in said if status in _NOT_REAL), None)
