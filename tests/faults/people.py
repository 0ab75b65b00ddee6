"""The people outside, who write down what they do and see: reporters, departments, a reader of the timeline."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from uuid import UUID

import asyncpg
import httpx
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from uuid_utils.compat import uuid7

from schemas.acknowledgement import Acknowledgement
from schemas.assignment import Assignment
from schemas.envelope import TIMELINE
from schemas.timeline import TimelineEntry
from schemas.topics import TIMELINES, topic_name
from schemas.vocabulary import Namespace, Notice
from services.departments import Department, Order
from services.departments.kafka import KafkaTransport
from services.departments.transport import Connection, Handle, Outgoing
from services.platform.kafka import Received, Record, read_record
from tests.faults.history import (
    AnswerSent,
    AnswerTaken,
    EntryRead,
    History,
    OrderRead,
    ReportRefused,
    ReportSent,
    ReportTaken,
)

REMINDED = "delta"
"""The department that answers only when it is reminded."""
DEPARTMENTS = ("alpha", "bravo", "charlie", REMINDED)
TRY_FOR = 5.0
"""Seconds that a reporter waits for one answer before trying the other intake."""


@dataclass(slots=True)
class Reporters:
    """People who report incidents at a steady rate and try again until they are heard."""

    history: History
    intakes: Sequence[str]
    token: str
    rate: float
    waiting: int = 0
    _number: int = 0

    @asynccontextmanager
    async def reporting(self) -> AsyncIterator[None]:
        """Report while the context lasts; what was begun goes on afterwards until it is heard."""
        limits = httpx.Limits(max_connections=100)
        async with httpx.AsyncClient(timeout=TRY_FOR, limits=limits) as client, asyncio.TaskGroup() as group:
            going = group.create_task(self._go_on(client, group))
            yield
            going.cancel()

    async def _go_on(self, client: httpx.AsyncClient, group: asyncio.TaskGroup) -> None:
        while True:
            group.create_task(self._report(client, self._number))
            self._number += 1
            await asyncio.sleep(1 / self.rate)

    async def _report(self, client: httpx.AsyncClient, turn: int) -> None:
        key = str(uuid7())
        body = {
            "status": "Actual",
            "message_type": "Alert",
            "categories": ["Other"],
            "event": "Fault trial",
            "areas": [{"description": key}],
            "reported_by": "fault suite",
        }
        headers = {"Idempotency-Key": f'"{key}"', "Authorization": f"Bearer {self.token}"}
        self.history.add(ReportSent(self.history.now(), key))
        self.waiting += 1
        while True:
            with suppress(httpx.HTTPError):
                url = f"{self.intakes[turn % len(self.intakes)]}/v1/incidents"
                answer = await client.post(url, json=body, headers=headers)
                if answer.is_success:
                    accepted = answer.json()
                    taken = ReportTaken(self.history.now(), key, accepted["event_id"], accepted["incident_id"])
                    self.history.add(taken)
                    self.waiting -= 1
                    return
                if answer.status_code not in {429, 503}:
                    self.history.add(ReportRefused(self.history.now(), key, answer.status_code))
            turn += 1
            await asyncio.sleep(0.2)


class Witnessed:
    """A department's transport, with everything that goes over it written down."""

    def __init__(self, transport: KafkaTransport, department: str, history: History) -> None:
        self._transport = transport
        self._department = department
        self._history = history

    @asynccontextmanager
    async def connect(self, handle: Handle) -> AsyncIterator[Connection]:
        """Join the department's group."""
        async with self._transport.connect(self._reading(handle)) as connection:
            yield _WitnessedConnection(connection, self._department, self._history)

    @asynccontextmanager
    async def visit(self, handle: Handle) -> AsyncIterator[Connection]:
        """Read the topic once."""
        async with self._transport.visit(self._reading(handle)) as connection:
            yield _WitnessedConnection(connection, self._department, self._history)

    def _reading(self, handle: Handle) -> Handle:
        async def witness(records: Sequence[Record]) -> None:
            for record in records:
                if isinstance(record, Received) and isinstance(record.message, Assignment):
                    self._note(record.envelope.id, record.message)
            await handle(records)

        return witness

    def _note(self, event: UUID, order: Assignment) -> None:
        if order.department != self._department:
            return  # a copy for a superior to read
        self._history.add(
            OrderRead(
                self._history.now(),
                self._department,
                str(event),
                str(order.assignment_id),
                str(order.incident_id),
                order.task,
                order.notice.value,
                order.revision,
            )
        )


@dataclass(slots=True)
class _WitnessedConnection:
    connection: Connection
    department: str
    history: History

    async def send(self, answers: Sequence[Outgoing]) -> list[BaseException | None]:
        for each in answers:
            answer = Acknowledgement.model_validate_json(each.value)
            self.history.add(
                AnswerSent(
                    self.history.now(),
                    self.department,
                    str(each.envelope.id),
                    str(answer.assignment_id),
                    str(answer.incident_id),
                    answer.answer.value,
                )
            )
        results = await self.connection.send(answers)
        for each, error in zip(answers, results, strict=True):
            if error is None:
                self.history.add(AnswerTaken(self.history.now(), str(each.envelope.id)))
        return results

    async def stop_reading(self) -> None:
        await self.connection.stop_reading()

    async def lost(self) -> None:
        await self.connection.lost()


@dataclass(slots=True)
class Departments:
    """The four departments, each with the client library; ``patience``: seconds to wait to be reminded."""

    history: History
    kafka: str
    patience: float
    _reminded: dict[UUID, asyncio.Event] = field(default_factory=dict)

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Take orders and answer them while the context lasts."""
        departments = [self._department(name) for name in DEPARTMENTS]
        tasks = [asyncio.create_task(department.run()) for department in departments]
        try:
            yield
        finally:
            for department in departments:
                department.stop()
            await asyncio.gather(*tasks)

    def _department(self, name: str) -> Department:
        transport = Witnessed(KafkaTransport(self.kafka, Namespace.ACTUAL, name), name, self.history)
        department = Department(name, namespace=Namespace.ACTUAL, transport=transport, stop_within=1)

        async def handle(order: Order) -> None:
            if name == REMINDED and order.notice is not Notice.REMINDED:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._reminder(order.id).wait(), self.patience)
            await order.commit()
            await order.progress("on the way")
            await order.complete()

        async def change(order: Order) -> None:
            if order.notice is Notice.REMINDED:
                self._reminder(order.id).set()

        department.on_order(handle)
        department.on_change(change)
        return department

    def _reminder(self, order: UUID) -> asyncio.Event:
        return self._reminded.setdefault(order, asyncio.Event())


class Reader:
    """Reads the timeline's topic from its beginning, with no group and no position that could be lost."""

    def __init__(self, history: History, kafka: str) -> None:
        self._history = history
        self._kafka = kafka
        self._again = asyncio.Event()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[None]:
        """Read while the context lasts."""
        task = asyncio.create_task(self._read_for_ever())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def begin_again(self) -> None:
        """Read from the beginning: the brokers have lost what they had."""
        self._again.set()

    def turn_to_record(self, entries: Iterable[asyncpg.Record], at: float) -> None:
        """Note as read, at a moment of the monotonic clock, what was told before the brokers lost it."""
        for each in entries:
            about = None if each["assignment_id"] is None else str(each["assignment_id"])
            op = EntryRead(
                at - self._history.begun, str(each["entry_id"]), str(each["incident_id"]), each["entry"], about
            )
            self._history.put(op)

    async def _read_for_ever(self) -> None:
        while True:
            with suppress(KafkaError, OSError):
                await self._read()
            await asyncio.sleep(0.5)

    async def _read(self) -> None:
        self._again.clear()
        consumer = AIOKafkaConsumer(
            topic_name(TIMELINES, Namespace.ACTUAL),
            bootstrap_servers=self._kafka.split(","),
            auto_offset_reset="earliest",
            metadata_max_age_ms=5_000,
            request_timeout_ms=10_000,
            fetch_max_wait_ms=100,
        )
        await consumer.start()
        try:
            while not self._again.is_set():
                found = await consumer.getmany(timeout_ms=500)
                for records in found.values():
                    for record in records:
                        self._note(read_record(record, TIMELINE))
        finally:
            await consumer.stop()

    def _note(self, record: Record) -> None:
        if isinstance(record, Received) and isinstance(record.message, TimelineEntry):
            entry = record.message
            about = None if entry.assignment_id is None else str(entry.assignment_id)
            self._history.add(
                EntryRead(self._history.now(), str(entry.entry_id), str(entry.incident_id), entry.entry.value, about)
            )
