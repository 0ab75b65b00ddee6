"""Notices that the broker has lost its data, and publishes again from Postgres what somebody still waits for.

The first process to meet an empty broker leaves a record on the ``epoch`` topic that names this broker's life, and
notes the same name in Postgres. A broker that does not have that record any more has begun another life.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from uuid import UUID

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError
from uuid_utils.compat import uuid7

from schemas.topics import EPOCH, topic_name
from schemas.vocabulary import Namespace
from services.platform.errors import MusterError
from services.platform.kafka_security import Brokers, brokers_at
from services.platform.logs import get_logger
from services.platform.metrics import BROKER_LOSSES
from services.platform.outbox import LEASE
from services.platform.postgres import TRANSIENT, Connection, Pool
from services.platform.published import published_departments
from services.platform.queries import query
from services.platform.topics import ensure_topics

LOOK_EVERY = 1.0
"""Seconds between looks at the broker."""
ASK_WITHIN_MS = 2_000
"""How long the broker may take to say how its log begins, before all of it is looked at."""
SETTLE_AFTER = timedelta(seconds=30)
"""When nothing can still be confirmed that was handed to the broker's former life; over a producer's time-out."""
STUCK_AFTER = timedelta(seconds=60)
LOOK_BACK = timedelta(minutes=10)
"""How long after being published a report or command counts as gone astray, and how far back is looked for one."""
LAST_WORDS_FOR = timedelta(hours=1)
"""How far back the last word about an ended assignment is told again: a department may not have read it yet."""

_log = get_logger(__name__)


class BrokerWatch:
    """Watches one namespace's broker; any number of processes may watch at once."""

    def __init__(
        self,
        pool: Pool,
        kafka: str | Brokers,
        namespace: Namespace,
        *,
        replication: int,
        on_loss: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._pool = pool
        self._brokers = brokers_at(kafka)
        self._namespace = namespace
        self._replication = replication
        self._on_loss = on_loss
        self._seen: UUID | None = None
        self._consumer: AIOKafkaConsumer | None = None
        self._begins: tuple[int, int] | None = None
        self._marker: UUID | None = None
        self._partition = TopicPartition(topic_name(EPOCH, namespace), 0)

    async def prepare(self) -> int:
        """Make the topics and the epoch's record where they are missing; return how many messages go out again."""
        await ensure_topics(
            self._brokers,
            self._namespace,
            await published_departments(self._pool),
            replication=self._replication,
        )
        again = await self._compare()
        if self._seen is None:
            self._seen = await self._known_epoch()
        return again

    async def watch(self) -> None:
        """Look again and again, until cancelled."""
        try:
            while True:
                try:
                    await self._look()
                except (KafkaError, MusterError, *TRANSIENT) as error:
                    _log.debug("broker not looked at", error=repr(error))
                await asyncio.sleep(LOOK_EVERY)
        finally:
            await self._hang_up()

    async def _look(self) -> None:
        known = await self._known_epoch()
        if await self._current_marker() != known:
            self._begins = None  # or the marker that was read before would be held against the other for good
            await self.prepare()
            known = await self._known_epoch()
        if known != self._seen:
            if self._on_loss is not None:
                await self._on_loss()
            self._seen = known  # only now: what was not told is told at the next look
        await self._settle()
        if stuck := await self._pool.fetch(query("unstick_messages"), self._namespace.value, STUCK_AFTER, LOOK_BACK):
            _log.warning("published again what was never decided", messages=len(stuck))

    async def _settle(self) -> None:
        """Recover once more when all leases of the former life are over: one may have been confirmed by it late."""
        async with self._pool.acquire() as connection, connection.transaction():
            begun_at = await connection.fetchval(
                "UPDATE epochs SET settled = true WHERE namespace = $1 AND NOT settled"
                " AND begun_at + $2::interval < clock_timestamp() RETURNING begun_at",
                self._namespace.value,
                SETTLE_AFTER,
            )
            if begun_at is not None:
                await self._recover(connection, begun_at)

    async def _recover(self, connection: Connection, begun_at: datetime) -> int:
        again = await connection.fetch(
            query("recover_messages"), self._namespace.value, LAST_WORDS_FOR, LEASE, begun_at
        )
        return len(again)

    async def _known_epoch(self) -> UUID | None:
        epoch: UUID | None = await self._pool.fetchval(
            "SELECT epoch FROM epochs WHERE namespace = $1", self._namespace.value
        )
        return epoch

    async def _compare(self) -> int:
        async with self._pool.acquire() as connection, connection.transaction():
            # One process at a time: the second finds that the first has mended it.
            await connection.execute(
                "SELECT pg_advisory_xact_lock(hashtext('muster.epoch'), hashtext($1))", self._namespace.value
            )
            known = await self._known_epoch()
            if known is not None and await self._read_marker() == known:
                return 0
            epoch = uuid7()
            begun_at = await connection.fetchval(
                "INSERT INTO epochs (namespace, epoch) VALUES ($1, $2) ON CONFLICT (namespace) DO UPDATE"
                " SET epoch = excluded.epoch, begun_at = clock_timestamp(), settled = false RETURNING begun_at",
                self._namespace.value,
                epoch,
            )
            again = await self._recover(connection, begun_at)
            await self._write_marker(epoch)
        if known is not None:
            BROKER_LOSSES.labels(self._namespace.value).inc()
            _log.warning("the broker has lost its data; publishing again", messages=again)
        return again

    async def _current_marker(self) -> UUID | None:
        """Read the marker, or remember it: a log that begins with the record it began with is the same life's.

        Asking how it begins is one question over a connection that stays, every second and from every process.
        """
        begins = await self._how_it_begins()
        if begins is None or begins != self._begins:
            self._marker = await self._read_marker()
            self._begins = begins
        return self._marker

    async def _how_it_begins(self) -> tuple[int, int] | None:
        """Give offset and time of the log's first record; None where it has none, or the broker doesn't say."""
        try:
            if self._consumer is None:
                self._consumer = AIOKafkaConsumer(
                    **self._brokers.options(),
                    client_id="muster-epoch",
                    enable_auto_commit=False,
                    request_timeout_ms=ASK_WITHIN_MS,
                )
                await self._consumer.start()
            first = (await self._consumer.offsets_for_times({self._partition: 0}))[self._partition]
        except (KafkaError, *TRANSIENT):
            await self._hang_up()
            return None
        return None if first is None else (first.offset, first.timestamp)

    async def _hang_up(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await consumer.stop()

    async def _read_marker(self) -> UUID | None:
        consumer = AIOKafkaConsumer(
            **self._brokers.options(),
            client_id="muster-epoch",
            enable_auto_commit=False,
            request_timeout_ms=5_000,
        )
        try:
            await consumer.start()
            consumer.assign([self._partition])
            try:
                end = (await consumer.end_offsets([self._partition]))[self._partition]
            except KafkaError:
                if self._partition.topic in await consumer.topics():
                    raise
                end = 0  # not even its topic is there
            if end == 0:
                return None
            consumer.seek(self._partition, end - 1)
            record = await asyncio.wait_for(consumer.getone(self._partition), timeout=5)
            return UUID(bytes=record.value)
        finally:
            await consumer.stop()

    async def _write_marker(self, epoch: UUID) -> None:
        producer = AIOKafkaProducer(**self._brokers.options(), client_id="muster-epoch", acks="all")
        await producer.start()
        try:
            await producer.send_and_wait(self._partition.topic, epoch.bytes, partition=0)
        finally:
            await producer.stop()
