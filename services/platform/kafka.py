"""The one place where a Kafka client is made, and the guarded way in: a record becomes a message or a reason.

FastStream's defaults would lose messages here (it commits before handling, reads from the end, acks=1), so
brokers and subscribers are only made by `make_broker` and `consume`.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from time import monotonic, time
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.kafka.message import KafkaMessage

from schemas.base import Message
from schemas.envelope import ContractError, Envelope, read_message
from services.platform.kafka_batches import UnreadBatch
from services.platform.kafka_commits import NOBODY, commit, member_of
from services.platform.kafka_faststream import faststream_security
from services.platform.kafka_partition import Partitioner
from services.platform.kafka_records import guard_reading
from services.platform.kafka_security import Brokers, brokers_at
from services.platform.logs import get_logger

LOOK_MS = 1_000
"""How long a consumer waits for a first record before it looks again; what comes is taken at once."""
POLL_WITHIN = 60.0
"""Seconds within which every consumer must have polled for its process to count as alive."""
REWIND_FOR = 60.0
"""Seconds after a loss of the broker's data in which new shares are read from their beginning."""
BATCH = 200
"""Records of a subscription's first batch."""
SHORT, LONG = 0.5, 2.0
"""Seconds: a batch that took less is followed by a larger one, one that took more by a smaller one.

So what is asked for grows while much waits, and a slow database doesn't keep a process from polling.
"""
LANES = 2
"""Parts of a batch that are handled beside each other: one is decided while the database writes down the other."""
SHARES = 16
"""Partitions at most among which a batch is shared out while all of them have records waiting."""
RETRY_AFTER = 1.0
"""Seconds before records are handed again to a handler that failed in a way nobody foresaw."""
MAX_POLL_INTERVAL_MS = 300_000
FETCH_BYTES = 4 * 1024 * 1024
_LATEST_MS = 7_289_654_400_000
"""The first moment of 2201 in milliseconds since 1970: no message may speak of a later one."""

_log = get_logger(__name__)
guard_reading()


class Origin(NamedTuple):
    """Where a record came from; ``broker_at`` is when the broker took it."""

    topic: str
    partition: int
    offset: int
    broker_at: datetime | None


RawHeaders = tuple[tuple[str, bytes | None], ...]
"""Headers as they came: bytes of a name that aren't UTF-8 are escaped as half surrogates; a value may be absent."""


class Raw(NamedTuple):
    """A record's bytes as they came."""

    key: bytes | None
    headers: RawHeaders
    value: bytes | None


class Received(NamedTuple):
    """A record that could be read."""

    origin: Origin
    raw: Raw
    envelope: Envelope
    message: Message


class Unreadable(NamedTuple):
    """A record that could not be read, and why."""

    origin: Origin
    raw: Raw
    reason: str


Record = Received | Unreadable


@dataclass(frozen=True, slots=True)
class Pace:
    """A group member's timings, in milliseconds: how soon it counts as gone, how long a fetch waits for news.

    ``leaves`` says whether it takes its leave when it stops, or waits to be missed.
    """

    session_ms: int
    heartbeat_ms: int
    rebalance_ms: int
    fetch_wait_ms: int
    leaves: bool = True


STEADY = Pace(session_ms=10_000, heartbeat_ms=3_000, rebalance_ms=20_000, fetch_wait_ms=250)
BRISK = Pace(session_ms=2_000, heartbeat_ms=300, rebalance_ms=4_000, fetch_wait_ms=20, leaves=False)
"""For the embedded broker: joining takes half a session there, and a waiting fetch isn't woken by news.

Where others leave a group before its leader does, it has the next who join wait for that leader for minutes.
"""


def make_broker(kafka: str | Brokers, *, client_id: str, stop_within: float = 12.0) -> KafkaBroker:
    """Make the process's connection to Kafka: ``acks=all``, no topics made by accident, no injected arguments.

    Not idempotent by Kafka's means: event ids make a repeat harmless, and each partition has one batch on its way at a
    time, which keeps the order. A broker that has lost its data gives the numbers of living producers to new ones, and
    then takes what either sends for repeats: it confirms them and keeps nothing, and aiokafka calls that a success.
    """
    brokers = brokers_at(kafka)
    return KafkaBroker(
        brokers.bootstrap.split(","),
        security=faststream_security(brokers),
        client_id=client_id,
        acks="all",
        max_request_size=FETCH_BYTES,
        max_batch_size=64 * 1024,
        metadata_max_age_ms=10_000,
        request_timeout_ms=20_000,
        partitioner=Partitioner(),
        allow_auto_create_topics=False,
        ack_policy=AckPolicy.MANUAL,
        graceful_timeout=stop_within,
        apply_types=False,
        logger=logging.getLogger("faststream"),
        log_level=logging.DEBUG,
    )


def read_record(record: "ConsumerRecord[Any, Any]", expected: str) -> Record:
    """Read one record of one type; whatever is wrong with it becomes a reason, never an exception."""
    origin = Origin(record.topic, record.partition, record.offset, _stamped(record.timestamp))
    raw = Raw(record.key, tuple(record.headers), record.value)
    if isinstance(raw.value, UnreadBatch):
        return Unreadable(origin, raw, raw.value.reason)
    try:
        envelope, message = read_message(raw.headers, raw.value, expected)
    except ContractError as error:
        return Unreadable(origin, raw, str(error))
    return Received(origin, raw, envelope, message)


def _stamped(milliseconds: int) -> datetime | None:
    """Read a record's time; None where its producer gave none, or one that no calendar has."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC) if 0 < milliseconds < _LATEST_MS else None


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka has no types
    """Starts a group member's new share from its beginning while that is asked for."""

    def __init__(self) -> None:
        self.rewind_until = 0.0
        self.consumer_of: Any = None

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Do nothing: what is in hand is finished, and what can't be committed comes again."""

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Rewind a share that comes soon after a loss."""
        partitions = list(assigned)
        if partitions and time() < self.rewind_until:
            await self.consumer_of.consumer.seek_to_beginning(*partitions)


class Consumer:
    """One subscription of a process: takes records in batches, and commits only what its handler is done with."""

    def __init__(
        self,
        subscriber: Any,
        listener: "_Listener",
        handle: Callable[[Sequence[Record]], Awaitable[None]],
        expected: str,
        batch: int,
        *,
        leaves: bool,
    ) -> None:
        self._subscriber = subscriber
        self._leaves = leaves
        self._most = batch
        self._batch = min(BATCH, batch)
        self._listener = listener
        listener.consumer_of = subscriber
        self._handle = handle
        self._expected = expected
        self._read_as = NOBODY
        self._is_mending = False
        self._is_stopped = False
        subscriber(self._take, parser=self._parse, decoder=self._decode)
        subscriber.get_msg = self._next

    async def _next(self, consumer: AIOKafkaConsumer) -> "tuple[ConsumerRecord[Any, Any], ...]":
        # FastStream's own sleeps after every look that found nothing, and what comes meanwhile waits.
        # aiokafka would hand out all that it has of one partition before it begins with the next, however old that is.
        fetched = consumer._fetcher._records  # noqa: SLF001 - it has no other way to be told whose turn it is
        records: list[ConsumerRecord[Any, Any]] = []
        wait = LOOK_MS
        for turn in range(SHARES):
            share = -(-(self._batch - len(records)) // max(1, min(len(fetched), SHARES - turn)))
            try:
                found = await consumer.getmany(timeout_ms=wait, max_records=share)
            except Exception as error:
                if not records:
                    raise
                # What was read before it has to be handled all the same, or the next batch's commit would pass it by.
                _log.warning("not all partitions could be read", error=repr(error))
                break
            if not records:
                self._read_as = member_of(consumer)
            for partition in found:
                if partition in fetched:
                    fetched.move_to_end(partition)
            records += chain.from_iterable(found.values())
            if not found or not fetched or len(records) >= self._batch:
                break
            wait = 0
        return tuple(records)

    async def _parse(self, records: "tuple[ConsumerRecord[Any, Any], ...]") -> KafkaMessage:
        # FastStream's own parser decodes headers and would fail on a whole batch for one bad record.
        return KafkaMessage(body=b"", raw_message=records, consumer=self._subscriber.consumer)

    async def _decode(self, message: KafkaMessage) -> "list[ConsumerRecord[Any, Any]]":
        raw = message.raw_message
        return list(raw) if isinstance(raw, tuple) else [raw]

    async def _take(self, records: "list[ConsumerRecord[Any, Any]]") -> None:
        consumer, begun = self._subscriber.consumer, monotonic()
        await asyncio.gather(*(self._handle_for_sure(lane) for lane in _lanes(records)))
        self._fit(len(records), monotonic() - begun)
        done: dict[TopicPartition, int] = {}
        for record in records:
            done[TopicPartition(record.topic, record.partition)] = record.offset + 1
        try:
            await commit(consumer, done, self._read_as)
        except KafkaError as error:
            # Not ours any more, or not reachable: the records come again to whoever reads on, and the inbox knows them.
            _log.info("offsets not committed", error=repr(error), topics=sorted({r.topic for r in records}))

    def _fit(self, count: int, took: float) -> None:
        """Ask for as much next time as can be done within a moment."""
        if took > LONG:
            self._batch = max(self._batch // 2, 1)
        elif took < SHORT and count >= self._batch:
            self._batch = min(self._batch * 2, self._most)

    async def _handle_for_sure(self, lane: "Sequence[ConsumerRecord[Any, Any]]") -> None:
        """Have the records handled; one that raises gets them again, or the next batch's commit would pass them by."""
        while True:
            try:
                return await self._handle([read_record(record, self._expected) for record in lane])
            except Exception:  # noqa: BLE001 - whatever it is, what was not handled must not be committed
                _log.exception("records not taken; trying again", records=len(lane))
                await asyncio.sleep(RETRY_AFTER)

    async def mend(self) -> None:
        """Join the group anew where aiokafka has given up: an error it didn't foresee ends its work there for good.

        Raises `KafkaError` when the broker can't be reached; call again.
        """
        if not self._is_stopped and (self._is_left() or self._is_mending):
            self._is_mending = True
            _log.warning("left the group by an error; joining again", group=self._subscriber.group_id)
            await self._subscriber.stop()
            await self._subscriber.start()
            self._is_mending = False

    def _is_left(self) -> bool:
        coordination = getattr(getattr(self._subscriber.consumer, "_coordinator", None), "_coordination_task", None)
        return coordination is not None and coordination.done()

    async def rewind(self) -> None:
        """Read everything the broker has from its beginning: it has lost its data, and old positions mislead.

        Shares that the group hands out in the next minute are read from their beginning too: what was committed before
        misleads whoever gets them.
        """
        self._listener.rewind_until = time() + REWIND_FOR
        consumer = self._subscriber.consumer
        if consumer is not None and consumer.assignment():
            await consumer.seek_to_beginning(*consumer.assignment())

    async def stop(self) -> None:
        """Finish the batch in hand and take no more."""
        self._is_stopped = True  # or having left the group would be taken for an error
        coordinator = getattr(self._subscriber.consumer, "_coordinator", None)
        if coordinator is not None and not self._leaves:
            coordinator._maybe_leave_group = _stay  # noqa: SLF001 - aiokafka has no setting for it, as Java's client has
        await self._subscriber.stop()

    def is_alive(self) -> bool:
        """Say whether this process is in its group, and has polled each partition that it reads lately."""
        consumer = self._subscriber.consumer
        if consumer is None or self._is_left():
            return False
        polled = [consumer.last_poll_timestamp(partition) for partition in consumer.assignment()]
        return all(at is None or at < 0 or time() - at / 1000 < POLL_WITHIN for at in polled)

    def is_assigned(self) -> bool:
        """Say whether the group has given this process its share, which may be nothing."""
        consumer = self._subscriber.consumer
        return consumer is not None and bool(consumer.assignment())


def _lanes(records: "list[ConsumerRecord[Any, Any]]") -> "list[list[ConsumerRecord[Any, Any]]]":
    """Part records by their keys: what speaks of one incident stays together, in its order."""
    lanes: list[list[ConsumerRecord[Any, Any]]] = [[] for _ in range(LANES)]
    for record in records:
        lanes[hash(record.key) % LANES].append(record)
    return [lane for lane in lanes if lane]


def consume(
    broker: KafkaBroker,
    handle: Callable[[Sequence[Record]], Awaitable[None]],
    *,
    expected: str,
    group: str,
    topics: Sequence[str] = (),
    pattern: str | None = None,
    batch: int = BATCH,
    pace: "Pace | None" = None,
) -> Consumer:
    """Subscribe a handler to topics, or to every topic that a pattern finds, as a member of a group.

    The handler gets records in batches and must not raise: what can't succeed is its own to set aside, what may
    succeed later its own to retry.
    """
    pace = pace or STEADY
    listener = _Listener()
    subscriber = broker.subscriber(
        *topics,
        pattern=pattern,
        listener=listener,
        group_id=group,
        batch=True,
        max_records=batch,
        auto_offset_reset="earliest",
        ack_policy=AckPolicy.MANUAL,
        max_poll_interval_ms=MAX_POLL_INTERVAL_MS,
        fetch_max_wait_ms=pace.fetch_wait_ms,
        session_timeout_ms=pace.session_ms,
        heartbeat_interval_ms=pace.heartbeat_ms,
        rebalance_timeout_ms=pace.rebalance_ms,
        max_partition_fetch_bytes=FETCH_BYTES,
    )
    return Consumer(subscriber, listener, handle, expected, batch, leaves=pace.leaves)


async def _stay() -> None:
    """Do nothing about leaving a group."""
