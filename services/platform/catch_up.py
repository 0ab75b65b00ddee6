"""Decides again, from what the broker still has, what a record lost when it was put back to an earlier moment.

Every input since then is on the broker, and so is the timeline that was made of it. An entry's id is derived from the
event that it came from, which tells when each input was decided; what is left over came of time passing. Decided at
those very moments, the pure engine gives the same orders with the same ids, so that answers to them find them again.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Any
from uuid import UUID

from aiokafka import AIOKafkaConsumer, ConsumerRecord
from aiokafka.errors import KafkaError

from schemas.envelope import ACKNOWLEDGEMENT, COMMAND, INCIDENT, TIMELINE
from schemas.timeline import TimelineEntry
from schemas.topics import TOPICS, all_topics
from schemas.vocabulary import Namespace
from services.domain.identity import derive_id
from services.platform.chain import new_salt
from services.platform.clock import Clock
from services.platform.decider import Decider
from services.platform.errors import UnreachableError
from services.platform.kafka import FETCH_BYTES, Received, Record, Unreadable, read_record
from services.platform.kafka_security import Brokers
from services.platform.postgres import Pool
from services.platform.postgres_programs import Progress
from services.platform.published import CompileDirectory, CompilePlan, PublishedPlaybook, published_departments
from services.platform.topics import list_partitions
from services.platform.worker import Admit, Worker

INPUTS = (INCIDENT, COMMAND, ACKNOWLEDGEMENT)
AT_ONCE = 200
"""Inputs decided in one transaction."""
_TRIED = 64
"""Ids of an event among which its first entry's is looked for."""
_HASHED = (1 << 80) - 1
"""What of a derived id doesn't come from the moment."""
_FIRST = datetime(1970, 1, 1, tzinfo=UTC)
_POLL_MS = 1_000
_SILENT_AT_MOST = 60
"""Looks in a row that find nothing while there should be more."""
_READ_AT_ONCE = 1_000


@dataclass(slots=True)
class CaughtUp:
    """What was done: ``decided`` inputs that the record didn't have, ``passed`` times at which something fell due."""

    read: int = 0
    decided: int = 0
    passed: int = 0


@dataclass(frozen=True, slots=True)
class _Step:
    """One thing to decide again: an input, or time passing for one incident. ``order`` settles equal moments."""

    at: datetime
    order: tuple[int, int, int]
    incident: UUID | None = None
    record: Received | None = None
    exact: bool = True


async def catch_up(
    pool: Pool,
    brokers: Brokers,
    namespace: Namespace,
    clock: Clock,
    admits: Mapping[str, Admit],
    compile_plan: CompilePlan,
    compile_directory: CompileDirectory,
    progress: Progress,
) -> CaughtUp:
    """Bring the record of a namespace up to what its broker has; harmless to repeat. No service may be at work on it.

    ``admits`` says for each type of input how it becomes an event. What the record lacks is held in memory until it is
    decided. Raises `UnreachableError` for a broker that can't be read.
    """
    done = CaughtUp()
    kinds = {
        name: topic.type
        for name, topic in all_topics(namespace, await published_departments(pool))
        if topic.type in (*INPUTS, TIMELINE)
    }
    inputs: list[Received] = []
    unreadable: list[Record] = []
    lost: dict[UUID, TimelineEntry] = {}
    async for topic, records in _records(brokers, kinds):
        done.read += len(records)
        progress(f"reading {namespace}, {done.read} records")
        found = [read_record(record, kinds[topic]) for record in records]
        readable = [each for each in found if isinstance(each, Received)]
        if kinds[topic] == TIMELINE:
            lost |= {entry.entry_id: entry for entry in await _unknown_entries(pool, readable)}
        else:
            inputs += await _undecided(pool, readable)
            unreadable += [each for each in found if isinstance(each, Unreadable)]
    steps = _steps(inputs, lost.values(), clock)
    when = {id(step.record): step.at if step.exact else None for step in steps}
    playbook = PublishedPlaybook(pool, compile_plan, compile_directory)

    def salt(entry_id: UUID) -> bytes:
        # The same salt gives the same hash: the heads that others hold stay true.
        told = lost.get(entry_id)
        return new_salt(entry_id) if told is None or told.salt is None else bytes.fromhex(told.salt)

    deciders = {kind: Decider(pool, playbook, clock, namespace, f"muster/{who}", salt) for kind, who in _SIGNS.items()}
    workers = {
        kind: Worker(pool, deciders[kind], None, namespace, admits[kind], lambda record: when[id(record)])
        for kind in INPUTS
    }
    for type_, group in groupby(steps, key=_type):
        alike = list(group)
        for start in range(0, len(alike), AT_ONCE):
            together = alike[start : start + AT_ONCE]
            progress(f"deciding again, {done.decided} of {len(inputs)}")
            if type_ is None:
                for step in together:
                    await deciders[TIMELINE].pass_time(1, only=step.incident, again_at=step.at)
                done.passed += len(together)
            else:
                await workers[type_].handle([step.record for step in together if step.record is not None])
                done.decided += len(together)
    # Last, and by whichever worker: what can't be read is only kept, and kept once.
    await workers[INCIDENT].handle(unreadable)
    return done


_SIGNS = {
    **{topic.type: topic.consumers[0] for topic in TOPICS if topic.type in INPUTS},
    TIMELINE: "escalation",
}
"""Who decides about each type of input, and signs what follows; about the passing of time it is escalation."""


def _type(step: _Step) -> str | None:
    return None if step.record is None else step.record.envelope.type


def _steps(inputs: Sequence[Received], lost: Collection[TimelineEntry], clock: Clock) -> list[_Step]:
    """Put all that happened in the order in which it was decided.

    A partition is decided from its beginning on. An input that left no entry was decided when it came, at the latest
    with the next one that left some; behind the last of these it was never decided: its time is now, after all that is
    known. A moment of an incident that no input accounts for is one at which something had fallen due.
    """
    hashed = {entry.entry_id.int & _HASHED: entry for entry in lost}
    steps: list[_Step] = []
    accounted: set[tuple[datetime, UUID]] = set()
    following: dict[tuple[str, int], datetime] = {}
    for record in sorted(inputs, key=lambda record: record.origin.offset, reverse=True):
        origin = record.origin
        log = (origin.topic, origin.partition)
        at = clock.at(origin.broker_at or record.envelope.time)
        if (entry := _first_entry(record.envelope.id, hashed)) is not None:
            accounted.add((entry.recorded_at, entry.incident_id))
            following[log] = at = entry.recorded_at
        elif log in following:
            following[log] = at = min(at, following[log])
        place = (INPUTS.index(record.envelope.type), origin.partition, origin.offset)
        steps.append(_Step(at, place, record=record, exact=log in following))
    left = {(entry.recorded_at, entry.incident_id) for entry in lost} - accounted
    steps += [_Step(at, (len(INPUTS), 0, 0), incident=incident) for at, incident in left]
    return sorted(steps, key=lambda step: (not step.exact, step.at, step.order))


def _first_entry(event_id: UUID, hashed: Mapping[int, TimelineEntry]) -> TimelineEntry | None:
    # An event is decided once; a timer that fires again gives entries whose ids differ in the moment only.
    keys = (derive_id(_FIRST, event_id, number).int & _HASHED for number in range(1, _TRIED))
    return next((hashed[key] for key in keys if key in hashed), None)


async def _undecided(pool: Pool, records: Sequence[Received]) -> list[Received]:
    ids = [record.envelope.id for record in records]
    known = await pool.fetch("SELECT event_id FROM inbox WHERE event_id = ANY ($1::uuid[])", ids)
    seen = {row["event_id"] for row in known}
    found: list[Received] = []
    for record in records:
        if record.envelope.id not in seen:
            seen.add(record.envelope.id)
            found.append(record)
    return found


async def _unknown_entries(pool: Pool, records: Sequence[Received]) -> list[TimelineEntry]:
    entries = [record.message for record in records if isinstance(record.message, TimelineEntry)]
    ids = [entry.entry_id for entry in entries]
    known = await pool.fetch("SELECT entry_id FROM timeline WHERE entry_id = ANY ($1::uuid[])", ids)
    seen = {row["entry_id"] for row in known}
    return [entry for entry in entries if entry.entry_id not in seen]


async def _records(
    brokers: Brokers, topics: Collection[str]
) -> AsyncIterator[tuple[str, list["ConsumerRecord[Any, Any]"]]]:
    """Read topics from their beginnings to where they end now; one that isn't there is passed over."""
    if not (partitions := await list_partitions(brokers, topics)):
        return
    consumer: Any = AIOKafkaConsumer(
        **brokers.options(),
        client_id="muster-catch-up",
        enable_auto_commit=False,
        max_partition_fetch_bytes=FETCH_BYTES,
        request_timeout_ms=20_000,
    )
    try:
        await consumer.start()
        # Assigned, not subscribed to: a subscription is made anew with the metadata, and forgets where it was to begin.
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        starts = await consumer.beginning_offsets(partitions)
        left = {partition for partition in partitions if starts[partition] < ends[partition]}
        for partition in partitions:
            consumer.seek(partition, starts[partition])
        # The embedded broker gives an end too low for what was written in batches: there is more until nothing comes.
        silent = 0
        while (found := await consumer.getmany(timeout_ms=_POLL_MS, max_records=_READ_AT_ONCE)) or left:
            silent = 0 if found else silent + 1
            if silent > _SILENT_AT_MOST:
                topic, partition = min(left)
                raise UnreachableError(f"broker {brokers}: gives no more of {topic}/{partition}; {brokers.advice()}")
            for partition, records in found.items():
                yield partition.topic, records
                if records[-1].offset + 1 >= ends[partition]:
                    left.discard(partition)
            if not found:
                left = {each for each in left if await consumer.position(each) < ends[each]}
    except KafkaError as error:
        raise UnreachableError(f"broker {brokers}: {error!r}; {brokers.advice()}") from error
    finally:
        await consumer.stop()
