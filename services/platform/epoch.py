"""Notices that the broker has lost its data, and publishes again from Postgres what somebody still waits for.

The first process to meet an empty broker leaves a record on the ``epoch`` topic that names this broker's life, and
notes the same name in Postgres. A broker that does not have that record any more has begun another life.
"""

import asyncio
from datetime import timedelta
from uuid import UUID

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError
from uuid_utils.compat import uuid7

from schemas.topics import EPOCH, topic_name
from schemas.vocabulary import Namespace
from services.platform.errors import MusterError
from services.platform.logs import get_logger
from services.platform.metrics import BROKER_LOSSES
from services.platform.postgres import TRANSIENT, Pool
from services.platform.published import published_departments
from services.platform.queries import query
from services.platform.topics import create_topics

LOOK_EVERY = 1.0
"""Seconds between looks at the broker."""
LAST_WORDS_FOR = timedelta(hours=1)
"""How far back the last word about an ended assignment is told again: a department may not have read it yet."""

_log = get_logger(__name__)


class BrokerWatch:
    """Watches one namespace's broker; any number of processes may watch at once."""

    def __init__(self, pool: Pool, bootstrap: str, namespace: Namespace, *, replication: int) -> None:
        self._pool = pool
        self._bootstrap = bootstrap
        self._namespace = namespace
        self._replication = replication
        self._partition = TopicPartition(topic_name(EPOCH, namespace), 0)

    async def prepare(self) -> int:
        """Make the topics and the epoch's record where they are missing; return how many messages go out again."""
        await create_topics(
            self._bootstrap,
            self._namespace,
            await published_departments(self._pool),
            replication=self._replication,
        )
        return await self._compare()

    async def watch(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            try:
                if await self._read_marker() != await self._known_epoch():
                    await self.prepare()
            except (KafkaError, MusterError, *TRANSIENT) as error:
                _log.debug("broker not looked at", error=repr(error))
            await asyncio.sleep(LOOK_EVERY)

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
            again = await connection.fetch(query("recover_messages"), self._namespace.value, LAST_WORDS_FOR)
            epoch = uuid7()
            await connection.execute(
                "INSERT INTO epochs (namespace, epoch) VALUES ($1, $2)"
                " ON CONFLICT (namespace) DO UPDATE SET epoch = excluded.epoch, begun_at = now()",
                self._namespace.value,
                epoch,
            )
            await self._write_marker(epoch)
        if known is not None:
            BROKER_LOSSES.labels(self._namespace.value).inc()
            _log.warning("the broker has lost its data; publishing again", messages=len(again))
        return len(again)

    async def _read_marker(self) -> UUID | None:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap.split(","),
            client_id="muster-epoch",
            enable_auto_commit=False,
            request_timeout_ms=5_000,
        )
        try:
            await consumer.start()
            consumer.assign([self._partition])
            end = (await consumer.end_offsets([self._partition]))[self._partition]
            if end == 0:
                return None
            consumer.seek(self._partition, end - 1)
            record = await asyncio.wait_for(consumer.getone(self._partition), timeout=5)
            return UUID(bytes=record.value)
        finally:
            await consumer.stop()

    async def _write_marker(self, epoch: UUID) -> None:
        producer = AIOKafkaProducer(bootstrap_servers=self._bootstrap.split(","), client_id="muster-epoch", acks="all")
        await producer.start()
        try:
            await producer.send_and_wait(self._partition.topic, epoch.bytes, partition=0)
        finally:
            await producer.stop()
