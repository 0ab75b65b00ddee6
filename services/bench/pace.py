"""Latency: from the moment a report is due to leave until each of its orders is in a department's hands."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from aiokafka import AIOKafkaConsumer

from services.bench.contenders import Contender
from services.bench.material import TASKS, sent_report
from services.bench.stage import PATIENCE, BenchError, Stage
from services.platform.kafka import BRISK, STEADY


@dataclass
class Departments:
    """All departments of one contender, listening in this process with a bare consumer."""

    contender: Contender
    sent: dict[bytes, float] = field(default_factory=dict)
    waits: dict[bytes, list[float]] = field(default_factory=dict)
    missing: int = 0
    all_here: asyncio.Event = field(default_factory=asyncio.Event)

    def expect(self, key: bytes, at: float) -> None:
        """Note that an incident's report is about to leave."""
        self.sent[key] = at
        self.waits[key] = []
        self.missing += TASKS
        self.all_here.clear()

    def got(self, key: bytes, at: float) -> None:
        """Note an order that arrived."""
        if key in self.sent:
            self.waits[key].append(at - self.sent[key])
            self.missing -= 1
            if self.missing == 0:
                self.all_here.set()

    def take(self) -> list[float]:
        """Give the seconds that each order took, and begin anew."""
        found = [wait for waits in self.waits.values() for wait in waits]
        self.sent, self.waits, self.missing = {}, {}, 0
        return found


@asynccontextmanager
async def departments(stage: Stage, contender: Contender) -> AsyncIterator[Departments]:
    """Listen to every department's orders, from now on."""
    partitions = contender.topics.orders()
    consumer = AIOKafkaConsumer(
        bootstrap_servers=stage.kafka,
        fetch_max_wait_ms=(BRISK if stage.embedded else STEADY).fetch_wait_ms,
        enable_auto_commit=False,
    )
    await consumer.start()
    consumer.assign(partitions)
    await consumer.seek_to_end(*partitions)
    await asyncio.gather(*(consumer.position(each) for each in partitions))
    here = Departments(contender)
    loop = asyncio.get_running_loop()

    async def listen() -> None:
        while True:
            found = await consumer.getmany(timeout_ms=1_000)
            at = loop.time()
            for records in found.values():
                for record in records:
                    here.got(record.key, at)

    listening = asyncio.create_task(listen())
    try:
        yield here
    finally:
        listening.cancel()
        with suppress(asyncio.CancelledError):
            await listening
        await consumer.stop()


async def paced(stage: Stage, here: Departments, rate: float, count: int) -> list[float]:
    """Send so many reports, evenly, so many a second, and give the seconds that each order took."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    waiting = []
    topic = here.contender.topics.incidents
    for number in range(count):
        key, value, headers = sent_report()
        delay = begun + number / rate - loop.time()
        if delay > 0:
            await asyncio.sleep(delay)
        # By the schedule, not by when it got its turn: a sender that is held up must not flatter who holds it up.
        here.expect(key, begun + number / rate)
        waiting.append(await stage.producer.send(topic, value, key=key, headers=headers))
    await asyncio.gather(*waiting)
    try:
        await asyncio.wait_for(here.all_here.wait(), PATIENCE)
    except TimeoutError:
        raise BenchError(f"{here.contender.name}: {here.missing} orders did not come") from None
    return here.take()
