"""An honest fake broker in memory, for testing a department's handlers without Kafka.

It keeps bytes, not objects: what is read back goes through the same reader as on Kafka. It delivers at least once
from committed offsets, can be away, and can lose everything. One partition for each topic; the members of a group
take turns.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from time import time
from typing import TypeAlias

from aiokafka import ConsumerRecord
from aiokafka.errors import KafkaConnectionError

from schemas.assignment import Assignment
from schemas.envelope import ACKNOWLEDGEMENT, ASSIGNMENT, Envelope, write_value
from schemas.topics import ACKNOWLEDGEMENTS, ASSIGNMENTS, group_name, topic_name
from schemas.vocabulary import Namespace
from services.departments.transport import Connection, Handle, Outgoing
from services.platform.errors import UnreachableError
from services.platform.kafka import Record, read_record

BATCH = 200

Stored: TypeAlias = "ConsumerRecord[bytes, bytes]"


class MemoryBroker:
    """Topics as lists of records, and how far each group has come."""

    def __init__(self) -> None:
        self.up = True
        self.topics: dict[str, list[Stored]] = defaultdict(list)
        self.committed: dict[tuple[str, str], int] = defaultdict(int)
        self.turns: dict[tuple[str, str], asyncio.Lock] = defaultdict(asyncio.Lock)
        self._changed = asyncio.Event()

    def publish(self, topic: str, key: bytes, value: bytes, headers: Sequence[tuple[str, bytes]]) -> None:
        """Append one record; raises aiokafka's `KafkaConnectionError` while the broker is away."""
        if not self.up:
            raise KafkaConnectionError("the broker is away")
        records = self.topics[topic]
        now = int(time() * 1000)
        records.append(
            ConsumerRecord(topic, 0, len(records), now, 0, key, value, None, len(key), len(value), tuple(headers))
        )
        self.notify()

    def order(self, namespace: Namespace, to: str, envelope: Envelope, message: Assignment) -> None:
        """Publish an order as Muster does."""
        topic = topic_name(ASSIGNMENTS, namespace, to)
        self.publish(topic, str(message.incident_id).encode(), write_value(message), envelope.headers())

    def answers(self, namespace: Namespace, department: str) -> list[Record]:
        """Read every answer of a department."""
        return [
            read_record(r, ACKNOWLEDGEMENT) for r in self.topics[topic_name(ACKNOWLEDGEMENTS, namespace, department)]
        ]

    def go_away(self) -> None:
        """Drop every connection and refuse new ones."""
        self.up = False
        self.notify()

    def come_back(self) -> None:
        """Accept connections again."""
        self.up = True
        self.notify()

    def lose_everything(self) -> None:
        """Begin another life: no records, no offsets."""
        self.topics.clear()
        self.committed.clear()
        self.notify()

    def rewind(self) -> None:
        """Forget every committed offset: all records are delivered again."""
        self.committed.clear()
        self.notify()

    def notify(self) -> None:
        """Wake everybody who waits for a change."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def change(self) -> None:
        """Wait for the next change."""
        await self._changed.wait()


class MemoryTransport:
    """Reaches one department's topics on a `MemoryBroker`."""

    def __init__(self, broker: MemoryBroker, namespace: Namespace, department: str) -> None:
        self._broker = broker
        self._orders = topic_name(ASSIGNMENTS, namespace, department)
        self._answers = topic_name(ACKNOWLEDGEMENTS, namespace, department)
        self._group = group_name(namespace, "department", department)

    @asynccontextmanager
    async def connect(self, handle: Handle) -> AsyncIterator[Connection]:
        """Read as a member of the group; raises `UnreachableError` while the broker is away."""
        self._check()
        reading = asyncio.create_task(self._read(handle))
        try:
            yield MemoryConnection(self._broker, self._answers, reading)
        finally:
            await _end(reading)

    @asynccontextmanager
    async def visit(self, handle: Handle) -> AsyncIterator[Connection]:
        """Read what there is, once; raises `UnreachableError` while the broker is away."""
        self._check()
        await handle([read_record(record, ASSIGNMENT) for record in self._broker.topics[self._orders]])
        yield MemoryConnection(self._broker, self._answers, None)

    def _check(self) -> None:
        if not self._broker.up:
            raise UnreachableError("the broker is away")

    async def _read(self, handle: Handle) -> None:
        broker, place = self._broker, (self._group, self._orders)
        async with broker.turns[place]:
            while True:
                start = broker.committed[place]
                records = broker.topics[self._orders][start : start + BATCH]
                if not records or not broker.up:
                    await broker.change()
                    continue
                await handle([read_record(record, ASSIGNMENT) for record in records])
                if broker.topics[self._orders][start : start + 1] == records[:1] and broker.committed[place] == start:
                    broker.committed[place] = start + len(records)


class MemoryConnection:
    """One connection to a `MemoryBroker`."""

    def __init__(self, broker: MemoryBroker, topic: str, reading: "asyncio.Task[None] | None") -> None:
        self._broker = broker
        self._topic = topic
        self._reading = reading

    async def send(self, answers: Sequence[Outgoing]) -> list[BaseException | None]:
        """Append answers; each fails while the broker is away."""
        results: list[BaseException | None] = []
        for each in answers:
            try:
                self._broker.publish(self._topic, str(each.incident_id).encode(), each.value, each.envelope.headers())
                results.append(None)
            except KafkaConnectionError as error:
                results.append(error)
        return results

    async def stop_reading(self) -> None:
        """Take no more orders."""
        if self._reading is not None:
            await _end(self._reading)

    async def lost(self) -> None:
        """Return when the broker goes away."""
        while self._broker.up:
            await self._broker.change()


async def _end(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
