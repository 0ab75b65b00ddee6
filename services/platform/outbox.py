"""Messages leave through here: written with the state they announce, published right after, swept if need be.

The order of one incident's messages of a type is kept: what is committed behind messages still in flight waits for
them, and is published by whoever confirms those. What the timeline says stays there: its messages leave the outbox once
the broker has them, the others stay as what is told again after a loss.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import asyncpg
from faststream.kafka import KafkaBroker

from schemas.envelope import TIMELINE, Envelope
from schemas.vocabulary import Namespace, Status
from services.platform.kafka_publishing import Outbound as Record
from services.platform.kafka_publishing import publish_all
from services.platform.logs import get_logger
from services.platform.metrics import PUBLISHED, SWEPT
from services.platform.postgres import TRANSIENT, Pool
from services.platform.queries import query

LEASE = timedelta(seconds=5)
"""How long one worker may take to publish what it has claimed, before another does it too.

So long an order waits whose worker died between its commit and the broker; a repeat does no harm.
"""
LEASE_EACH = timedelta(milliseconds=1)
"""How long it may take for each message where that is more: the orders of one incident may be ten thousand."""
SWEEP_EVERY = 0.5
"""Seconds between sweeps."""
SWEEP_AT_MOST = 1_000
SOON = 2
"""Batches whose messages are published at once; who has another waits."""
_TURNS = 50

_log = get_logger(__name__)


class Outgoing(NamedTuple):
    """A message on its way out; ``seq`` is its row in the outbox."""

    seq: int
    topic: str
    incident_id: UUID
    envelope: Envelope
    value: bytes


class Outbox:
    """Publishes a namespace's messages: those of some types, which the broker lets this process write; None is all.

    What a process has left behind is therefore published by one of the same kind, or by itself after its restart.
    """

    def __init__(
        self, pool: Pool, broker: KafkaBroker, namespace: Namespace, types: frozenset[str] | None = None
    ) -> None:
        self._pool = pool
        self._broker = broker
        self._namespace = namespace
        self._types = None if types is None else sorted(types)
        self._soon: set[asyncio.Task[None]] = set()

    async def publish(self, messages: Sequence[Outgoing], incidents: Iterable[UUID]) -> None:
        """Publish what this worker has just committed, then what others have committed behind it meanwhile.

        Never raises for a broker or a database that is away: the sweeper goes on from what is on record.
        """
        ids = list(incidents)
        try:
            for _ in range(_TURNS):
                if messages and not await self._send(messages):
                    return
                found = await self._pool.fetch(query("claim_messages"), ids, LEASE, self._types)
                messages = _read(found)
                if not messages:
                    return
        except TRANSIENT as error:
            _log.warning("publishing is left to the sweeper", error=repr(error))

    async def publish_soon(self, messages: Sequence[Outgoing], incidents: Iterable[UUID]) -> None:
        """Publish while the caller goes on: a worker decides about its next batch; waits while `SOON` are under way.

        What such a worker leaves behind when it dies is published by the sweepers, as what it dies in the midst of is.
        """
        while len(self._soon) >= SOON:
            await asyncio.wait(self._soon, return_when=asyncio.FIRST_COMPLETED)
        task = asyncio.create_task(self._publish_quietly(messages, incidents))
        self._soon.add(task)
        task.add_done_callback(self._soon.discard)

    async def _publish_quietly(self, messages: Sequence[Outgoing], incidents: Iterable[UUID]) -> None:
        try:
            await self.publish(messages, incidents)
        except Exception:  # noqa: BLE001 - it is on record, and nobody waits for how this ends
            _log.exception("publishing is left to the sweeper")

    async def drain(self) -> None:
        """Wait until everything is out that was to be published soon."""
        while self._soon:
            await asyncio.wait(self._soon)

    async def announce(self, records: Sequence[Record]) -> None:
        """Publish records that are on file elsewhere; one that the broker doesn't take is only logged."""
        failures = [error for error in await publish_all(self._broker, records) if error is not None]
        if failures:
            _log.warning("not announced", failed=len(failures), error=repr(failures[0]))

    async def sweep(self) -> int:
        """Publish what was committed and never published; return how many messages that were."""
        found = await self._pool.fetch(
            query("sweep_messages"), self._namespace.value, LEASE, SWEEP_AT_MOST, self._types
        )
        messages = _read(found)
        if messages and await self._send(messages):
            SWEPT.labels(self._namespace.value).inc(len(messages))
            _log.info("published late", messages=len(messages))
        return len(messages)

    async def sweep_for_ever(self) -> None:
        """Sweep again and again, until cancelled."""
        while True:
            swept = 0
            with suppress(*TRANSIENT):
                swept = await self.sweep()
            if swept < SWEEP_AT_MOST:
                await asyncio.sleep(SWEEP_EVERY)

    async def _send(self, messages: Sequence[Outgoing]) -> bool:
        results = await publish_all(
            self._broker,
            [(m.topic, m.envelope.subject.encode(), m.value, m.envelope.headers()) for m in messages],
        )
        done = [message for message, error in zip(messages, results, strict=True) if error is None]
        if kept := [message.seq for message in done if message.envelope.type != TIMELINE]:
            await self._pool.execute(query("mark_published"), kept)
        if told := [message.seq for message in done if message.envelope.type == TIMELINE]:
            await self._pool.execute(query("forget_published"), told)
        for kind, count in Counter(message.envelope.type for message in done).items():
            PUBLISHED.labels(self._namespace.value, kind).inc(count)
        failures = [error for error in results if error is not None]
        if failures:
            _log.warning("messages not published yet", failed=len(failures), error=repr(failures[0]))
            await self._pool.execute(query("release_messages"), [message.seq for message in messages])
        return not failures


def _read(found: list[asyncpg.Record]) -> list[Outgoing]:
    return [read_row(row) for row in sorted(found, key=lambda row: int(row["seq"]))]


def read_row(row: asyncpg.Record) -> Outgoing:
    """Read a row of the outbox as the message it is."""
    envelope = Envelope(
        id=row["event_id"],
        type=row["type"],
        source=row["source"],
        subject=str(row["incident_id"]),
        time=row["time"],
        status=Status(row["status"]),
    )
    return Outgoing(row["seq"], row["topic"], row["incident_id"], envelope, row["value"].encode())


class Draft(NamedTuple):
    """A message before it has its row. ``assignment_id`` is set for orders."""

    topic: str
    incident_id: UUID
    envelope: Envelope
    value: bytes
    namespace: Namespace
    assignment_id: UUID | None = None

    def row(self) -> tuple[object, ...]:
        """Give the columns to insert, as ``new_message`` has them."""
        told = self.envelope
        return (
            *(told.id, self.incident_id, told.status, self.namespace, self.topic, told.type, self.assignment_id),
            *(told.time, told.source, self.value.decode()),
        )

    def with_seq(self, seq: int) -> Outgoing:
        """Become the message that is published."""
        return Outgoing(seq, self.topic, self.incident_id, self.envelope, self.value)


def envelope_of(id_: UUID, kind: str, source: str, subject: UUID, time: datetime, status: Status) -> Envelope:
    """Make the envelope of a message of ours."""
    return Envelope(id=id_, type=kind, source=source, subject=str(subject), time=time, status=status)
