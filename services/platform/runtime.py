"""What every service process is made of, put together once: connections, background work, a clean stop."""

import asyncio
import gc
import os
import signal
import threading
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from types import TracebackType
from typing import Self

import stamina
from aiokafka.errors import KafkaError
from faststream.kafka import KafkaBroker

from schemas.envelope import ASSIGNMENT, INCIDENT
from schemas.topics import ASSIGNMENTS, group_name, topic_name, written_by
from schemas.vocabulary import Namespace
from services.platform.clock import Clock
from services.platform.decider import Decider
from services.platform.epoch import BrokerWatch
from services.platform.errors import MusterError
from services.platform.kafka import BRISK, STEADY, Consumer, Record, consume, make_broker
from services.platform.kafka_publishing import learn_topics
from services.platform.logs import get_logger
from services.platform.metrics import READY
from services.platform.migrations import PARTITIONS_AHEAD
from services.platform.outbox import Outbox
from services.platform.postgres import TRANSIENT, Pool, connect
from services.platform.precedence import Precedence
from services.platform.published import CompileDirectory, CompilePlan, PublishedPlaybook, published_departments
from services.platform.rights import role_name
from services.platform.settings import STOP_WITHIN, Settings
from services.platform.worker import Admit, Worker

MEND_EVERY = 1.0
"""Seconds between looks at whether a consumer has dropped out of its group by an error."""
PARTITIONS_EVERY = timedelta(hours=12)
"""How often a process that runs for months sees to it that there are partitions for those to come."""
COLLECT_AFTER = 100_000
"""Objects made and not yet freed after which the garbage collector looks at the youngest."""

_log = get_logger(__name__)


class Runtime:
    """One process in one namespace. Attach services to it, then `start` it; leaving its context stops it cleanly.

    ``publishes`` are the types of messages that it may publish; None means all.
    """

    def __init__(
        self, settings: Settings, pool: Pool, playbook: PublishedPlaybook, publishes: frozenset[str] | None = None
    ) -> None:
        self.settings = settings
        self.brokers = settings.brokers()
        self.namespace = settings.namespace
        self.pool = pool
        self.playbook = playbook
        self.clock: Clock = settings.clock()
        self.broker: KafkaBroker = make_broker(
            self.brokers,
            client_id="muster",
            stop_within=STOP_WITHIN.total_seconds() - 8,
        )
        self.outbox = Outbox(pool, self.broker, self.namespace, publishes)
        self._publishes = publishes
        self.watch = BrokerWatch(
            pool, self.brokers, self.namespace, replication=settings.replication, on_loss=self._rewind
        )
        self.precedence = Precedence()
        self._consumers: list[Consumer] = []
        self._background: list[Callable[[], Awaitable[None]]] = [
            playbook.follow,
            self.outbox.sweep_for_ever,
            self.watch.watch,
            self._mend,
            self._keep_partitions,
        ]
        if self.namespace is Namespace.EXERCISE:
            self._background.append(lambda: self.precedence.watch(pool))
        self._tasks: list[asyncio.Task[None]] = []
        self._started = False

    @classmethod
    async def open(
        cls,
        settings: Settings,
        name: str,
        compile_plan: CompilePlan,
        compile_directory: CompileDirectory,
        *,
        alone: str | None = None,
    ) -> Self:
        """Connect to the database; raises `UnreachableError`, or `ConfigurationError` for settings that can't be.

        A process that is one service ``alone`` takes on this service's role and publishes what it may write; else it
        may do whatever its namespace may.
        """
        settings.brokers()  # before anything is opened
        name = f"muster-{name}-{settings.namespace}"
        pool = await connect(settings.postgres(), name=name, role=role_name(settings.namespace, alone))
        playbook = PublishedPlaybook(pool, compile_plan, compile_directory)
        return cls(settings, pool, playbook, None if alone is None else written_by(alone))

    def decider(self, service: str) -> Decider:
        """Make a decider that signs as one service."""
        return Decider(self.pool, self.playbook, self.clock, self.namespace, f"muster/{service}")

    def take(
        self,
        service: str,
        admit: Admit,
        *,
        expected: str,
        topics: Sequence[str] = (),
        pattern: str | None = None,
    ) -> None:
        """Let a service take the records of some topics, as a member of its group."""
        worker = Worker(self.pool, self.decider(service), self.outbox, self.namespace, admit)
        self.consume(service, worker.handle, expected=expected, topics=topics, pattern=pattern)

    def consume(
        self,
        service: str,
        handle: Callable[[Sequence[Record]], Awaitable[None]],
        *,
        expected: str,
        topics: Sequence[str] = (),
        pattern: str | None = None,
    ) -> None:
        """Subscribe a handler of a service's own."""
        group = group_name(self.namespace, service)
        batch = self.settings.batch
        self._consumers.append(
            consume(
                self.broker,
                self._in_turn(handle, incidents=expected == INCIDENT),
                expected=expected,
                group=group,
                topics=topics,
                pattern=pattern,
                batch=batch,
                pace=BRISK if self.settings.embedded_broker else STEADY,
            )
        )

    def _in_turn(
        self, handle: Callable[[Sequence[Record]], Awaitable[None]], *, incidents: bool
    ) -> Callable[[Sequence[Record]], Awaitable[None]]:
        async def real(records: Sequence[Record]) -> None:
            with self.precedence.serving(incidents=incidents):
                await handle(records)

        async def exercise(records: Sequence[Record]) -> None:
            await self.precedence.give_way()
            await handle(records)

        return real if self.namespace is Namespace.ACTUAL else exercise

    def every(self, work: Callable[[], Awaitable[None]]) -> None:
        """Let work run in the background from start to stop; it ends by being cancelled."""
        self._background.append(work)

    async def start(self) -> None:
        """Make topics, join the groups, begin the background work; waits for a broker that is away."""
        async for attempt in stamina.retry_context(
            on=(MusterError, KafkaError, *TRANSIENT), attempts=None, timeout=None, wait_initial=0.2, wait_max=5
        ):
            with attempt:
                await self.watch.prepare()
        await self.broker.start()
        if self._publishes is None or ASSIGNMENT in self._publishes:
            await learn_topics(self.broker, await self._assignment_topics())
        self._tasks = [asyncio.create_task(_keep(work)) for work in self._background]
        self._started = True
        READY.labels(self.namespace.value).set(1)

    async def _assignment_topics(self) -> list[str]:
        return [topic_name(ASSIGNMENTS, self.namespace, name) for name in await published_departments(self.pool)]

    async def stop(self) -> None:
        """Finish the batch in hand, give back the rest, and close; within `STOP_WITHIN`."""
        self._started = False
        READY.labels(self.namespace.value).set(0)
        with suppress(TimeoutError):
            # A producer that still holds messages waits for a broker that may be away; they are in the outbox.
            await asyncio.wait_for(self._finish(), timeout=STOP_WITHIN.total_seconds() - 6)
        await end_tasks(self._tasks, again_after=1)
        with suppress(TimeoutError):
            await asyncio.wait_for(self.pool.close(), timeout=2)

    async def _keep_partitions(self) -> None:
        while True:
            await asyncio.sleep(PARTITIONS_EVERY.total_seconds())
            with suppress(*TRANSIENT):
                await self.pool.execute("SELECT make_partitions($1)", PARTITIONS_AHEAD)

    async def _finish(self) -> None:
        await asyncio.gather(*(consumer.stop() for consumer in self._consumers))
        await self.outbox.drain()
        await self.broker.stop()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def _rewind(self) -> None:
        for consumer in self._consumers:
            await consumer.rewind()

    async def _mend(self) -> None:
        while True:
            await asyncio.sleep(MEND_EVERY)
            for consumer in self._consumers:
                await consumer.mend()

    def is_alive(self) -> bool:
        """Say whether every consumer is in its group and has polled lately."""
        return all(consumer.is_alive() for consumer in self._consumers)

    def is_ready(self) -> dict[str, bool]:
        """Say what of the process itself is ready."""
        return {"started": self._started, "consumers": self.is_alive()}

    async def readiness(self) -> dict[str, bool]:
        """Say what is ready: the process itself, its consumers, the database, the published plans."""
        database = playbook = False
        with suppress(MusterError, *TRANSIENT):
            database = await self.pool.fetchval("SELECT true", timeout=2) is True
            await self.playbook.current()
            playbook = True
        return {**self.is_ready(), "database": database, "playbook": playbook}


async def _keep(work: Callable[[], Awaitable[None]]) -> None:
    """Run background work for good: what it did not foresee is logged, and it begins again."""
    while True:
        try:
            await work()
        except Exception:  # noqa: BLE001 - background work must outlive whatever it meets
            _log.exception("background work failed; it begins again")
        await asyncio.sleep(1)


async def end_tasks(tasks: Iterable["asyncio.Task[None]"], *, again_after: float) -> None:
    """Cancel tasks until every one has ended, again after so many seconds.

    Once is not enough: aiokafka, while it closes, takes a cancellation of ours for that of its own inner tasks.
    """
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=again_after)


async def until_stopped() -> None:
    """Wait for SIGTERM or SIGINT."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    await stopped.wait()


def _spare_the_collector() -> None:
    """Keep what is here for good out of Python's garbage collector, and let it look less often at what comes and goes.

    A batch makes some hundred thousand objects that end with it and hold no cycles; looking at them took half the time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, 20, 50)


def _end_for_sure() -> None:
    """End the process when stopping takes longer than it may: all that matters is in Postgres."""

    def end() -> None:
        _log.error("did not stop in time and is ended; what was in hand comes again")
        os._exit(1)

    watchdog = threading.Timer(STOP_WITHIN.total_seconds() - 1, end)
    watchdog.daemon = True
    watchdog.start()


async def run_all(
    runtimes: Sequence[Runtime],
    *,
    extra: Sequence[Callable[[], Awaitable[None]]] = (),
    ready: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Run processes' worth of services until told to stop, then stop them all; ``ready`` is called once they run."""
    async with AsyncExitStack() as stack:
        for runtime in runtimes:
            await stack.enter_async_context(runtime)
        tasks = [asyncio.create_task(_keep(work)) for work in extra]
        _spare_the_collector()
        if ready is not None:
            await ready()
        await until_stopped()
        _end_for_sure()
        await end_tasks(tasks, again_after=6)
