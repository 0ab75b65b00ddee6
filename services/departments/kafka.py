"""A department's connection to Kafka. It needs to read one topic and one group, and to write one topic; no more."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError
from faststream.kafka import KafkaBroker

from schemas.envelope import ASSIGNMENT
from schemas.topics import ACKNOWLEDGEMENTS, ASSIGNMENTS, group_name, topic_name
from schemas.vocabulary import Namespace
from services.departments.transport import Connection, Handle, Outgoing
from services.platform.errors import UnreachableError
from services.platform.kafka import FETCH_BYTES, STEADY, Consumer, Pace, consume, make_broker, read_record
from services.platform.kafka_publishing import publish_all
from services.platform.kafka_security import Brokers, brokers_at

LOOK_EVERY = 1.0
"""Seconds between looks at whether the consumer still polls."""
VISIT_WITHIN = 15.0
"""Seconds that reading a whole topic once may take."""
STOP_WITHIN = 5.0


class KafkaTransport:
    """Reaches the topics of one department in one namespace; several copies share them as one group."""

    def __init__(self, kafka: str | Brokers, namespace: Namespace, department: str, pace: Pace = STEADY) -> None:
        self._pace = pace
        self._brokers = brokers_at(kafka)
        self._group = group_name(namespace, "department", department)
        self._orders = topic_name(ASSIGNMENTS, namespace, department)
        self._answers = topic_name(ACKNOWLEDGEMENTS, namespace, department)

    @asynccontextmanager
    async def connect(self, handle: Handle) -> AsyncIterator[Connection]:
        """Join the department's group; raises `UnreachableError`."""
        broker = self._broker()
        consumer = consume(
            broker, handle, expected=ASSIGNMENT, group=self._group, topics=(self._orders,), pace=self._pace
        )
        try:
            await self._start(broker)
            yield KafkaConnection(broker, consumer, self._answers)
        finally:
            await broker.stop()

    @asynccontextmanager
    async def visit(self, handle: Handle) -> AsyncIterator[Connection]:
        """Read the orders' topic once to its present end; raises `UnreachableError`."""
        broker = self._broker()
        try:
            await self._start(broker)
            try:
                await asyncio.wait_for(self._read_all(handle), VISIT_WITHIN)
            except (KafkaError, OSError, TimeoutError) as error:
                raise UnreachableError(
                    f"topic {self._orders}: not read on {self._brokers}: {error!r};"
                    " check that the topic exists and may be read"
                ) from error
            yield KafkaConnection(broker, None, self._answers)
        finally:
            await broker.stop()

    def _broker(self) -> KafkaBroker:
        return make_broker(self._brokers, client_id=self._group, stop_within=STOP_WITHIN)

    async def _start(self, broker: KafkaBroker) -> None:
        # Looked for first: a producer that fails in its own start is never closed.
        client = AIOKafkaClient(**self._brokers.options(), client_id=self._group)
        try:
            await client.bootstrap()
            await broker.start()
        except (KafkaError, OSError) as error:
            raise UnreachableError(f"broker {self._brokers}: {error!r}; {self._brokers.advice()}") from error
        finally:
            await client.close()

    async def _read_all(self, handle: Handle) -> None:
        consumer = AIOKafkaConsumer(
            self._orders,
            **self._brokers.options(),
            client_id=self._group,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            max_partition_fetch_bytes=FETCH_BYTES,
        )
        try:
            await consumer.start()
            ends = await consumer.end_offsets(list(consumer.assignment()))
            while any([await consumer.position(partition) < end for partition, end in ends.items()]):
                got = await consumer.getmany(timeout_ms=200)
                await handle([read_record(record, ASSIGNMENT) for records in got.values() for record in records])
        finally:
            await consumer.stop()


class KafkaConnection:
    """One connection; aiokafka mends what it can by itself."""

    def __init__(self, broker: KafkaBroker, consumer: Consumer | None, topic: str) -> None:
        self._broker = broker
        self._consumer = consumer
        self._topic = topic

    async def send(self, answers: Sequence[Outgoing]) -> list[BaseException | None]:
        """Publish answers and wait for ``acks=all``."""
        return await publish_all(
            self._broker,
            [(self._topic, str(each.incident_id).encode(), each.value, each.envelope.headers()) for each in answers],
        )

    async def stop_reading(self) -> None:
        """Leave the group, so that other copies take over at once."""
        self._consumer = None
        for subscriber in self._broker.subscribers:
            await subscriber.stop()

    async def lost(self) -> None:
        """Return when a partition that is ours has not been polled for a minute."""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            if self._consumer is not None and not self._consumer.is_alive():
                return
