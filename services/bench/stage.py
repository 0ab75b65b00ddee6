"""What a run stands on: one broker and one database server for all contenders, who are processes of their own."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from schemas.topics import ACKNOWLEDGEMENTS, ASSIGNMENTS, COMMANDS, INCIDENTS, TIMELINES, topic_name
from schemas.vocabulary import Namespace
from services.bench.cost import cpu_seconds
from services.bench.material import Sent, department
from services.bench.templates import Message
from services.platform.embedded.apache import ApacheKafka
from services.platform.embedded.broker import EmbeddedBroker
from services.platform.embedded.errors import EmbeddedError
from services.platform.embedded.postgres import EmbeddedPostgres
from services.platform.embedded.process import ChildProcess
from services.platform.kafka import BRISK, FETCH_BYTES
from services.platform.migrations import migrate
from services.platform.outbox import LEASE
from services.platform.postgres import connect
from services.platform.published import publish
from services.playbooks.stored import Wordings

LOOK_EVERY, LOOK_AT_LEAST_EVERY = 0.01, 0.2
"""Seconds between looks at how far a contender has come: often near the end only, as each look costs the broker too."""
PATIENCE = 180.0
"""Seconds after which a contender that doesn't finish its work ends the run."""
STOP_WITHIN = 5.0
"""Seconds in which a client of the bench's own has taken its leave."""
QUIET = 2 * LEASE.total_seconds()
"""Seconds without a message after which what a contender was sending again is over."""
_TEMPLATE = "bench_template"
_HEAP = "1g"
"""Of the broker: ten thousand topics took 540 MB in all."""
_TOPICS_AT_ONCE = 500


class BenchError(Exception):
    """A measurement that can't be taken; one line that says why."""


class RepeatedError(BenchError):
    """More came than was due: Muster sends again what it could not send within its lease, or something else writes."""


@dataclass(frozen=True, slots=True)
class Spent:
    """Processor seconds by who spent them."""

    services: float
    broker: float
    database: float

    @property
    def all(self) -> float:
        """The sum."""
        return self.services + self.broker + self.database

    def since(self, before: "Spent") -> "Spent":
        """Give what was spent after an earlier reading."""
        return Spent(self.services - before.services, self.broker - before.broker, self.database - before.database)


@dataclass
class Stage:
    """The servers of a run, and how to reach them. Every contender gets a database and topics of its own on them."""

    kafka: str
    embedded: bool
    server: str
    folder: Path
    broker_pid: int
    database_pid: int
    producer: AIOKafkaProducer
    consumer: AIOKafkaConsumer
    stack: AsyncExitStack
    tell: Callable[[str], None]
    living: list[ChildProcess]
    read: dict[TopicPartition, int] = field(default_factory=dict)
    databases: int = 0
    processes: int = 0

    async def database(self, wordings: Wordings | None = None) -> str:
        """Make a database with Muster's tables, with these plans in force; give its address."""
        self.databases += 1
        name = f"bench_{self.databases}"
        admin = await asyncpg.connect(self.server)
        try:
            await admin.execute(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}")
        finally:
            await admin.close()
        dsn = named(self.server, name)
        if wordings is not None:
            await self.publish(dsn, wordings)
        return dsn

    async def publish(self, dsn: str, wordings: Wordings) -> None:
        """Put plans and a directory into force in a database."""
        pool = await connect(dsn, size=1)
        await publish(pool, wordings.plans, wordings.directory)
        await pool.close()

    async def topics(self, names: Mapping[str, int], configs: Mapping[str, str] | None = None) -> None:
        """Make topics with so many partitions each, and wait until the broker has them all."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.kafka, request_timeout_ms=120_000)
        await admin.start()
        try:
            wanted = [NewTopic(name, partitions, 1, topic_configs=configs) for name, partitions in names.items()]
            for begin in range(0, len(wanted), _TOPICS_AT_ONCE):
                some = wanted[begin : begin + _TOPICS_AT_ONCE]
                response = await admin.create_topics(some, timeout_ms=120_000)
                refused = [(name, code) for name, code, *_ in response.topic_errors if code not in {0, 36}]
                if refused:
                    raise BenchError(f"topic {refused[0][0]}: the broker refuses to make it, code {refused[0][1]}")
                if len(wanted) > _TOPICS_AT_ONCE:
                    self.tell(f"{begin + len(some):,} of {len(wanted):,} topics ...")
                if not self.embedded:
                    # Apache Kafka answers before it has made them: ten thousand take it half a minute.
                    asked_for = {topic.name for topic in some}
                    while True:
                        if asked_for <= set(await admin.list_topics()):
                            break
                        await asyncio.sleep(LOOK_AT_LEAST_EVERY)
                    await self.learn(asked_for)
                    made = [TopicPartition(topic.name, n) for topic in some for n in range(topic.num_partitions)]
                    await self.consumer.end_offsets(made)
        finally:
            await admin.close()

    async def start(
        self, name: str, argv: Sequence[str], env: Mapping[str, str] | None = None, program: str | None = None
    ) -> ChildProcess:
        """Start a Python program as a process of its own; it ends with the run."""
        self.processes += 1
        process = ChildProcess(
            name,
            [program or sys.executable, *argv],
            log_file=self.folder / f"{name.replace(' ', '-')}-{self.processes}.log",
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **(env or {})},
        )
        await process.start()
        self.stack.push_async_callback(process.stop)
        self.living.append(process)
        return process

    async def muster(self, service: str, dsn: str, **more: str) -> ChildProcess:
        """Start one of Muster's services the way an organisation does."""
        env = {
            "MUSTER_DATABASE": dsn,
            "MUSTER_KAFKA": self.kafka,
            "MUSTER_EMBEDDED_BROKER": str(self.embedded).lower(),
            **more,
        }
        argv = ["-m", "services.cli", "serve", service, "--namespace", "actual"]
        return await self.start(f"muster {service}", argv, env)

    async def program(self, name: str, module: str, given: Mapping[str, Any]) -> ChildProcess:
        """Start one of the contenders that live beside this module, with what it is given as JSON."""
        return await self.start(name, ["-m", module, json.dumps(given)])

    def spent(self, *processes: ChildProcess) -> Spent:
        """Read what the servers and some processes have spent until now."""
        mine = [process.pid for process in processes if process.pid is not None]
        return Spent(cpu_seconds(mine), cpu_seconds([self.broker_pid]), cpu_seconds([self.database_pid]))

    async def send(self, topic: str, records: Sequence[Sent]) -> None:
        """Send records as fast as the broker takes them."""
        await self.send_all([(topic, *record) for record in records])

    async def send_all(self, records: Iterable[tuple[str, bytes, bytes, list[tuple[str, bytes]]]]) -> None:
        """Send records to topics of their own as fast as the broker takes them."""
        waiting = []
        for topic, key, value, headers in records:
            waiting.append(await self.producer.send(topic, value, key=key, headers=headers))
        await asyncio.gather(*waiting)

    async def count(self, partitions: Sequence[TopicPartition]) -> int:
        """Say how many records partitions have."""
        if not self.embedded:
            return sum((await self.consumer.end_offsets(partitions)).values())
        # The embedded broker gives the last batch's first offset for the end: what was read is counted instead.
        new = set(partitions) - self.consumer.assignment()
        if new:
            self.consumer.assign([*self.consumer.assignment(), *new])
            await self.consumer.seek_to_beginning(*new)
        while found := await self.consumer.getmany(timeout_ms=20):
            for partition, records in found.items():
                self.read[partition] = self.read.get(partition, 0) + len(records)
        return sum(self.read.get(partition, 0) for partition in partitions)

    async def learn(self, topics: Iterable[str]) -> None:
        """Let the reader ask where all these topics are at once; it would ask for one after the other."""
        client = self.consumer._client  # noqa: SLF001 - it has no other way to be told
        asked = [client.add_topic(topic) for topic in topics]
        if asked:
            await asked[-1]

    async def messages(self, partitions: Sequence[TopicPartition], key: bytes) -> list[Message]:
        """Read all records of one key; for topics that hold little."""
        records = await self.records(dict.fromkeys(partitions, 0))
        return [(r.topic, r.key, r.value, list(r.headers)) for r in records if r.key == key]

    async def records(self, since: Mapping[TopicPartition, int]) -> "list[ConsumerRecord[Any, Any]]":
        """Read all that partitions hold from these positions on."""
        wanted = dict(since)
        if not self.embedded:
            ends = await self.positions(list(since))
            wanted = {at: ends[at] for at, begin in since.items() if ends[at] > begin}
        consumer = AIOKafkaConsumer(bootstrap_servers=self.kafka, enable_auto_commit=False)
        await consumer.start()
        try:
            consumer.assign(list(wanted))
            for partition in wanted:
                consumer.seek(partition, since[partition])
            found: list[ConsumerRecord[Any, Any]] = []
            while wanted:
                batch = await consumer.getmany(timeout_ms=1_000)
                if self.embedded and not batch:
                    break  # it doesn't say where partitions end
                for partition, records in batch.items():
                    found += records
                    if not self.embedded and records[-1].offset + 1 >= wanted.get(partition, 0):
                        wanted.pop(partition, None)
            return found
        finally:
            await consumer.stop()

    async def positions(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """Say where partitions end; not on the embedded broker, which doesn't know (`count`)."""
        found: dict[TopicPartition, int] = await self.consumer.end_offsets(partitions)
        return found

    async def until(self, partitions: Sequence[TopicPartition], count: int) -> None:
        """Wait until partitions hold so many records in all."""
        loop = asyncio.get_running_loop()
        begun, first = loop.time(), -1
        end = begun + PATIENCE
        while (found := await self.count(partitions)) < count:
            first = found if first < 0 else first
            if loop.time() > end:
                raise BenchError(f"only {found} of {count} messages came within {PATIENCE:.0f} s")
            left = (count - found) * (loop.time() - begun) / (found - first) if found > first else 0
            await asyncio.sleep(min(max(left / 2, LOOK_EVERY), LOOK_AT_LEAST_EVERY))
        if found > count:
            raise RepeatedError(f"{found} messages came where {count} were due")

    async def quiet(self, partitions: Sequence[TopicPartition]) -> None:
        """Wait until nothing has come to partitions for a while."""
        before = -1
        while (found := await self.count(partitions)) != before:
            before = found
            await asyncio.sleep(QUIET)


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one contender; Muster's own names, or the same below another prefix."""

    prefix: str
    departments: int

    @property
    def incidents(self) -> str:
        """Where reports come in."""
        return self._named(topic_name(INCIDENTS, Namespace.ACTUAL))

    @property
    def timeline(self) -> str:
        """Where entries go."""
        return self._named(topic_name(TIMELINES, Namespace.ACTUAL))

    def assignments(self, number: int) -> str:
        """Where a department's orders go."""
        return self._named(topic_name(ASSIGNMENTS, Namespace.ACTUAL, department(number)))

    def acknowledgements(self, number: int) -> str:
        """Where a department's answers come in."""
        return self._named(topic_name(ACKNOWLEDGEMENTS, Namespace.ACTUAL, department(number)))

    def all(self) -> dict[str, int]:
        """Name all of them with their partitions, as many as Muster's own have."""
        shared = {self.incidents: INCIDENTS.partitions, self.timeline: TIMELINES.partitions}
        if not self.prefix:
            shared[topic_name(COMMANDS, Namespace.ACTUAL)] = COMMANDS.partitions
        for number in range(self.departments):
            shared[self.assignments(number)] = ASSIGNMENTS.partitions
            shared[self.acknowledgements(number)] = ACKNOWLEDGEMENTS.partitions
        return shared

    def orders(self) -> list[TopicPartition]:
        """List the partitions that orders go to."""
        return [
            TopicPartition(self.assignments(number), partition)
            for number in range(self.departments)
            for partition in range(ASSIGNMENTS.partitions)
        ]

    def entries(self) -> list[TopicPartition]:
        """List the partitions that entries go to."""
        return [TopicPartition(self.timeline, partition) for partition in range(TIMELINES.partitions)]

    def _named(self, topic: str) -> str:
        return f"{self.prefix}.{topic}" if self.prefix else topic


def named(dsn: str, name: str) -> str:
    """Point an address at another database of the same server."""
    return f"{dsn.rsplit('/', 1)[0]}/{name}"


@asynccontextmanager
async def stage(folder: Path, *, apache: bool, tell: Callable[[str], None]) -> AsyncIterator[Stage]:
    """Start the servers, with data in a folder of the run's own; whatever is started here ends here."""
    async with AsyncExitStack() as stack:
        postgres = EmbeddedPostgres(folder / "postgres")
        server = await postgres.start()
        stack.push_async_callback(postgres.stop)
        if apache:
            broker: ApacheKafka | EmbeddedBroker = ApacheKafka(folder / "kafka", brokers=1, heap=_HEAP)
        else:
            broker = EmbeddedBroker(folder / "broker")
        kafka = await broker.start()
        stack.push_async_callback(broker.stop)
        servers = [*postgres.processes, *broker.processes]
        postgres_pid, broker_pid = (process.pid for process in servers)
        if broker_pid is None or postgres_pid is None:
            raise EmbeddedError("a server has ended")
        admin = await asyncpg.connect(server)
        await admin.execute(f"CREATE DATABASE {_TEMPLATE}")
        await admin.close()
        pool = await connect(named(server, _TEMPLATE), size=1)
        await migrate(pool)
        await pool.close()
        # Between the two, nothing but this: the same settings as Muster's own producer has.
        producer = AIOKafkaProducer(
            bootstrap_servers=kafka,
            acks="all",
            max_batch_size=64 * 1024,
            max_request_size=FETCH_BYTES,
        )
        await producer.start()
        stack.push_async_callback(_in_time, producer.stop)
        consumer = AIOKafkaConsumer(
            bootstrap_servers=kafka, enable_auto_commit=False, fetch_max_wait_ms=BRISK.fetch_wait_ms
        )
        await consumer.start()
        await asyncio.sleep(0)  # its own tasks begin: aiokafka can't stop one that never has
        stack.push_async_callback(_in_time, consumer.stop)
        async with AsyncExitStack() as contenders:
            yield Stage(
                kafka,
                not apache,
                server,
                folder,
                broker_pid,
                postgres_pid,
                producer,
                consumer,
                contenders,
                tell,
                servers,
            )


async def _in_time(stop: Callable[[], Awaitable[None]]) -> None:
    # A client whose broker is gone would wait for it.
    with suppress(TimeoutError):
        await asyncio.wait_for(stop(), STOP_WITHIN)
