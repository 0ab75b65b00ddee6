"""The worlds a department is tested in: the fake broker in memory, the embedded one, and Apache Kafka."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from uuid_utils.compat import uuid7

from schemas.acknowledgement import Acknowledgement
from schemas.assignment import Assignment, Deadlines, IncidentSummary
from schemas.base import Text
from schemas.envelope import ACKNOWLEDGEMENT, ASSIGNMENT, Envelope, write_value
from schemas.topics import ACKNOWLEDGEMENTS, ASSIGNMENTS, topic_name
from schemas.vocabulary import AssignmentState, Namespace, Notice, Severity, Status
from services.departments import Department, Order
from services.departments.kafka import KafkaTransport
from services.departments.memory import MemoryBroker, MemoryTransport
from services.departments.transport import Transport
from services.platform.embedded.apache import ApacheKafka
from services.platform.embedded.broker import EmbeddedBroker
from services.platform.errors import UnreachableError
from services.platform.kafka import BRISK, STEADY, Received, Record, read_record
from services.platform.topics import create_topics

EXERCISE = Namespace.EXERCISE
_numbers = count(1)
Headers = list[tuple[str, bytes]]


def order(department: str, **given: Any) -> Assignment:
    """An open order of an exercise, as Muster writes it."""
    values: dict[str, Any] = {
        "assignment_id": uuid7(),
        "activation_id": uuid7(),
        "incident_id": uuid7(),
        "status": Status.EXERCISE,
        "department": department,
        "notice": Notice.ISSUED,
        "revision": 1,
        "state": AssignmentState.ISSUED,
        "plan": "chemical-release",
        "plan_version": 3,
        "plan_title": Text(en="Chemical release", zh="危险化学品泄漏"),
        "level": "II",
        "role": "cordon",
        "role_title": Text(en="Cordon", zh="警戒"),
        "task": "close-road",
        "title": Text(en="Close the ring road", zh="封闭环路"),
        "done_when": Text(en="no car passes junction 4", zh="4号路口无车通过"),
        "deadlines": Deadlines(),
        "incident": IncidentSummary(severity=Severity.SEVERE, headline="Chlorine leak"),
        "issued_at": datetime.now(UTC),
    }
    return Assignment(**(values | given))


def again(message: Assignment, notice: Notice, **given: Any) -> Assignment:
    """A later word about the same order."""
    return message.model_copy(update={"notice": notice, "revision": message.revision + 1, **given})


def envelope_of(message: Assignment) -> Envelope:
    return Envelope(uuid7(), ASSIGNMENT, "test", str(message.incident_id), datetime.now(UTC), message.status)


class World(Protocol):
    """What a test may do to a broker."""

    async def department(self) -> str:
        """Give a department of its own, with its topics."""

    def transport(self, department: str) -> Transport:
        """Give a way to that department's topics."""

    async def publish(self, department: str, value: bytes, headers: Headers, key: bytes = b"key") -> None:
        """Write onto the department's topic of orders."""

    async def records(self, department: str) -> list[Record]:
        """Read the department's answers from the first on."""

    async def lose_everything(self, department: str) -> None:
        """Crash the broker; it comes back with the department's topics and nothing in them."""


class MemoryWorld:
    def __init__(self) -> None:
        self.broker = MemoryBroker()

    async def department(self) -> str:
        return f"police-{next(_numbers)}"

    def transport(self, department: str) -> Transport:
        return MemoryTransport(self.broker, EXERCISE, department)

    async def publish(self, department: str, value: bytes, headers: Headers, key: bytes = b"key") -> None:
        self.broker.publish(topic_name(ASSIGNMENTS, EXERCISE, department), key, value, headers)

    async def records(self, department: str) -> list[Record]:
        return self.broker.answers(EXERCISE, department)

    async def lose_everything(self, department: str) -> None:  # noqa: ARG002 (the other world needs it)
        self.broker.go_away()
        await asyncio.sleep(0)
        self.broker.lose_everything()
        self.broker.come_back()


class KafkaWorld:
    def __init__(self, server: EmbeddedBroker, bootstrap: str) -> None:
        self.server = server
        self.bootstrap = bootstrap
        self.pace = BRISK

    async def department(self) -> str:
        name = f"police-{next(_numbers)}"
        await self.make_topics(name)
        return name

    async def make_topics(self, department: str) -> None:
        await create_topics(self.bootstrap, EXERCISE, [department], replication=1)

    def transport(self, department: str) -> Transport:
        return KafkaTransport(self.bootstrap, EXERCISE, department, self.pace)

    async def publish(self, department: str, value: bytes, headers: Headers, key: bytes = b"key") -> None:
        producer = AIOKafkaProducer(bootstrap_servers=self.bootstrap, acks="all")
        await producer.start()
        try:
            await producer.send_and_wait(topic_name(ASSIGNMENTS, EXERCISE, department), value, key=key, headers=headers)
        finally:
            await producer.stop()

    async def records(self, department: str) -> list[Record]:
        topic = topic_name(ACKNOWLEDGEMENTS, EXERCISE, department)
        consumer = AIOKafkaConsumer(
            topic, bootstrap_servers=self.bootstrap, auto_offset_reset="earliest", enable_auto_commit=False
        )
        await consumer.start()
        try:
            ends = await consumer.end_offsets(list(consumer.assignment()))
            found: list[Record] = []
            while len(found) < sum(ends.values()):
                for records in (await consumer.getmany(timeout_ms=100)).values():
                    found += [read_record(record, ACKNOWLEDGEMENT) for record in records]
            return found
        finally:
            await consumer.stop()

    async def lose_everything(self, department: str) -> None:
        self.server.kill()
        assert await self.server.start() == self.bootstrap
        await self.make_topics(department)


class ApacheWorld(KafkaWorld):
    def __init__(self, cluster: ApacheKafka) -> None:
        self.cluster = cluster
        self.bootstrap = cluster.bootstrap
        self.pace = STEADY

    async def lose_everything(self, department: str) -> None:
        self.cluster.kill(1)
        await self.cluster.stop()
        self.cluster.wipe()
        assert await self.cluster.start() == self.bootstrap
        await self.make_topics(department)


@asynccontextmanager
async def apache_world(folder: Path) -> AsyncIterator[ApacheWorld]:
    cluster = ApacheKafka(folder, brokers=1)
    try:
        await cluster.start()
        yield ApacheWorld(cluster)
    finally:
        await cluster.stop()


@asynccontextmanager
async def kafka_world(folder: Path) -> AsyncIterator[KafkaWorld]:
    server = EmbeddedBroker(folder)
    try:
        yield KafkaWorld(server, await server.start())
    finally:
        await server.stop()


async def give(world: World, message: Assignment, to: str | None = None) -> None:
    """Publish an order for its department, or a copy to another."""
    key = str(message.incident_id).encode()
    await world.publish(to or message.department, write_value(message), envelope_of(message).headers(), key)


async def heard(world: World, department: str) -> list[tuple[UUID, Acknowledgement]]:
    """Read what the department has answered, with the event ids; each must be readable."""
    found = []
    for record in await world.records(department):
        assert isinstance(record, Received), record
        assert isinstance(record.message, Acknowledgement)
        found.append((record.envelope.id, record.message))
    return found


async def words(world: World, department: str) -> list[str]:
    """Read only what kind of answers there are."""
    return [message.answer.value for _, message in await heard(world, department)]


async def until(look: Callable[[], Awaitable[bool] | bool], seconds: float = 20) -> None:
    """Look again until it holds."""
    async with asyncio.timeout(seconds):
        while True:
            found = look()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(0.01)


@asynccontextmanager
async def running(department: Department) -> AsyncIterator[Department]:
    """Run a department for the block, then stop it the way a service manager does."""
    task = asyncio.create_task(department.run())
    try:
        yield department
    finally:
        department.stop()
        await asyncio.wait_for(task, 30)


class Log:
    """Notes what a department's code was called with, and answers nothing."""

    def __init__(self, department: Department) -> None:
        self.orders: list[Order] = []
        self.changes: list[Order] = []
        department.on_order(self._order)
        department.on_change(self._change)

    async def _order(self, order: Order) -> None:
        self.orders.append(order)

    async def _change(self, order: Order) -> None:
        self.changes.append(order)

    @property
    def notices(self) -> list[Notice]:
        return [change.notice for change in self.changes]


async def test_the_fake_broker_delivers_again_what_was_not_committed() -> None:
    world = MemoryWorld()
    await give(world, order("police"))
    seen: list[int] = []

    async def take(records: Any) -> None:
        seen.append(len(records))
        if len(seen) == 1:
            await asyncio.sleep(60)

    for _ in range(2):
        async with world.transport("police").connect(take):
            await asyncio.sleep(0.01)
    assert seen == [1, 1]


async def test_the_fake_broker_refuses_while_it_is_away() -> None:
    world = MemoryWorld()
    world.broker.go_away()
    with pytest.raises(UnreachableError, match="away"):
        async with world.transport("police").connect(lambda _: asyncio.sleep(0)):
            pass
