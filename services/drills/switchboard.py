"""The switchboard of a drill: the lines of all simulated departments over one connection to the broker.

Thirty departments with a connection each would make a laptop's drill a test of its processor. Orders and answers
still go over each department's own topics, and a line hears and says nothing but its department's.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Protocol
from uuid import UUID

from schemas.assignment import Assignment
from schemas.envelope import ASSIGNMENT, Envelope
from schemas.topics import ACKNOWLEDGEMENTS, ASSIGNMENTS, DRILL_DEPARTMENTS, department_of, topic_name
from services.platform.kafka import Received, Record
from services.platform.kafka_publishing import publish_all
from services.platform.runtime import Runtime

Handle = Callable[[Sequence[Record]], Awaitable[None]]


class Answer(Protocol):
    """What a department hands over to be sent."""

    @property
    def incident_id(self) -> UUID:
        """The key, so that the order of an incident is kept."""

    @property
    def envelope(self) -> Envelope:
        """Its envelope."""

    @property
    def value(self) -> bytes:
        """Its bytes."""


class Switchboard:
    """Gives each simulated department a line; make it before the runtime starts.

    ``departments`` maps each to the tasks it is simulated in; None means all of them.
    """

    def __init__(self, runtime: Runtime, departments: Mapping[str, frozenset[str] | None]) -> None:
        self._lines = {name: Line(runtime, name, tasks) for name, tasks in departments.items()}
        topics = [topic_name(ASSIGNMENTS, runtime.namespace, name) for name in self._lines]
        if topics:
            runtime.consume(DRILL_DEPARTMENTS, self._hand_over, expected=ASSIGNMENT, topics=topics)
        self.is_ours: Callable[[UUID], bool] = lambda _: False
        """Says whether an incident is the drill's; none is before STARTEX. A broker that begins anew gets the last
        hour's orders again, and beside a drill there may be other exercises: nobody here answers for those."""
        self.scene_of: Callable[[UUID], str] = lambda _: ""
        """Names the inject that opened an incident; empty for the drill's first."""

    async def mend(self) -> None:
        """End every outage."""
        await asyncio.gather(*(line.mend() for line in self._lines.values()))

    def line(self, department: str) -> "Line":
        """Give a department's line, the transport of its client."""
        return self._lines[department]

    async def _hand_over(self, records: Sequence[Record]) -> None:
        sorted_out: dict[str, list[Record]] = {}
        for record in records:
            if not self._is_foreign(record):
                sorted_out.setdefault(department_of(record.origin.topic), []).append(record)
        await asyncio.gather(*(self._lines[name].hear(heard) for name, heard in sorted_out.items()))

    def _is_foreign(self, record: Record) -> bool:
        message = record.message if isinstance(record, Received) else None
        return isinstance(message, Assignment) and not self.is_ours(message.incident_id)


class Line:
    """One department's way to its two topics; fits `services.departments.transport.Transport`."""

    def __init__(self, runtime: Runtime, department: str, tasks: frozenset[str] | None = None) -> None:
        self._runtime = runtime
        self._topic = topic_name(ACKNOWLEDGEMENTS, runtime.namespace, department)
        self._tasks = tasks
        self._handle: Handle | None = None
        self._picked_up = asyncio.Event()
        self._whole = asyncio.Event()
        self._whole.set()
        self._held: list[Record] = []

    @property
    def is_cut(self) -> bool:
        """Whether the department's consumer is out."""
        return not self._whole.is_set()

    def cut(self) -> None:
        """Stop the department's consumer: orders wait, unreceived, and no answer goes out."""
        self._whole.clear()

    async def mend(self) -> None:
        """Start it again: what has waited comes in the order it was sent."""
        held, self._held = self._held, []
        self._whole.set()
        if held:
            await self.hear(held)

    async def hear(self, records: Sequence[Record]) -> None:
        """Pass orders on; they wait for a department that isn't there yet, and end with one that has left."""
        await self._picked_up.wait()
        if self.is_cut:
            self._held += records
        elif self._handle is not None and (own := [record for record in records if self._is_for_us(record)]):
            await self._handle(own)

    def _is_for_us(self, record: Record) -> bool:
        """Leave the other tasks of a mixed department, receipts included, to its own people."""
        if self._tasks is None or not isinstance(record, Received) or not isinstance(record.message, Assignment):
            return self._tasks is None
        return record.message.task in self._tasks

    @asynccontextmanager
    async def connect(self, handle: Handle) -> "AsyncIterator[Line]":
        """Take the department's orders from now on."""
        self._handle = handle
        self._picked_up.set()
        try:
            yield self
        finally:
            await self.stop_reading()

    @asynccontextmanager
    async def visit(self, handle: Handle) -> "AsyncIterator[Line]":
        """Be there to send only: a drill's departments stay from its start to its end."""
        del handle
        yield self

    async def send(self, answers: Sequence[Answer]) -> list[BaseException | None]:
        """Publish answers and wait for the broker to have them."""
        await self._whole.wait()
        return await publish_all(
            self._runtime.broker,
            [(self._topic, str(each.incident_id).encode(), each.value, each.envelope.headers()) for each in answers],
        )

    async def stop_reading(self) -> None:
        """Take no more orders."""
        self._handle = None

    async def lost(self) -> None:
        """Never return: the runtime mends its own connection."""
        await asyncio.Event().wait()
