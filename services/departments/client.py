"""A department's side of Muster: subscribe to orders, answer them, survive crashes. It talks Kafka only.

    department = Department("police", namespace=Namespace.ACTUAL, kafka="kafka:9092", journal=Path("police.journal"))

    @department.on_order
    async def handle(order: Order) -> None:
        await order.commit(read_back="Close the ring road at junction 4")
        ...
        await order.complete()

    await department.run()

What is promised. A receipt is sent for every order before its handler is called. The handler is called once for each
``order.id``, however often the order is delivered, and again only if the process died or the handler raised before it
was done, after a restart: answers it gives a second time are said once, progress and obstacles excepted. Without a
journal file that memory ends with the process. Copies of a department on several machines share its orders, each
with a journal of its own.
"""

import asyncio
import sqlite3
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

from schemas.assignment import Assignment
from schemas.vocabulary import Answer, Namespace, Notice
from services.departments.answering import Answering
from services.departments.backoff import pause
from services.departments.desk import Desk, Handler
from services.departments.journal import Journal
from services.departments.kafka import KafkaTransport
from services.departments.order import Order
from services.departments.sender import Sender
from services.departments.standing import News, refused_answer, weigh
from services.departments.transport import Connection, Transport
from services.platform.clock import Clock, SystemClock
from services.platform.errors import UnreachableError
from services.platform.kafka import STEADY, Pace, Received, Record, Unreadable
from services.platform.kafka_security import Brokers
from services.platform.logs import get_logger

AT_ONCE = 100
"""Handlers at work at a time; further orders are received and wait."""
STOP_WITHIN = 10.0
"""Seconds that handlers get to end when the department stops."""
SETTLE_WITHIN = 5.0
"""Seconds to send the last answers when the department stops."""
PRUNE_EVERY = 24 * 3600.0

T = TypeVar("T")

_log = get_logger(__name__)


@dataclass(slots=True)
class Counts:
    """What came in since the start: orders seen first, messages that could not be read, and of another status."""

    orders: int = 0
    unreadable: int = 0
    wrong_status: int = 0


class Department:
    """One department in one namespace. Raises `ConfigurationError` from `run` when its journal can't be used.

    ``kafka`` is the broker's address, or `Brokers` with TLS and the department's user (``Settings().brokers()`` has
    them from the environment), or ``transport`` another way, such as `memory.MemoryTransport`.
    ``pace`` is how quickly the group notices a member that has gone. ``clock`` is what ``answered_at`` goes by.
    """

    def __init__(
        self,
        name: str,
        *,
        namespace: Namespace,
        kafka: str | Brokers = "127.0.0.1:9092",
        pace: Pace = STEADY,
        journal: Path | None = None,
        transport: Transport | None = None,
        clock: Clock | None = None,
        at_once: int = AT_ONCE,
        stop_within: float = STOP_WITHIN,
    ) -> None:
        self.name = name
        self.namespace = namespace
        self.counts = Counts()
        self._clock = clock or SystemClock()
        self._transport = transport or KafkaTransport(kafka, namespace, name, pace)
        self._journal = Journal(journal, name, namespace)
        self._answering = Answering(name, self._journal, self._clock, lambda: self._sender.wake())
        self._sender = Sender(self._answering)
        self._desk = Desk(self._journal, at_once)
        self._stop_within = stop_within
        self._stopping = asyncio.Event()
        self._connection: Connection | None = None

    def on_order(self, handler: Handler) -> Handler:
        """Have each new order of this department handled; use as a decorator."""
        self._desk.handler = handler
        return handler

    def on_change(self, hook: Handler) -> Handler:
        """Hear of every later word: reminded, escalated, cancelled, superseded, refused. Copies come here too.

        ``order.notice`` says which. The hook is told while the handler is at work, in the order of the messages.
        """
        self._desk.hook = hook
        return hook

    @property
    def handler_failures(self) -> int:
        """How often a handler or a hook raised."""
        return self._desk.failures

    def orders(self) -> list[Order]:
        """List every order on record, oldest first, with copies and ended ones."""
        self._journal.open()
        return [Order(known.message, self._answering) for known in self._journal.orders()]

    def order(self, order_id: UUID) -> Order | None:
        """Look up one order."""
        self._journal.open()
        known = self._journal.order(order_id)
        return Order(known.message, self._answering) if known else None

    def stop(self) -> None:
        """Ask `run` to end."""
        self._stopping.set()

    def close(self) -> None:
        """Close the journal; `run` does it by itself."""
        self._journal.close()

    async def run(self) -> None:
        """Receive and answer until `stop` or cancelled; connects again for ever when the broker is away.

        Ends gracefully: takes no more orders, gives handlers ``stop_within`` seconds, sends what is left to send.
        """
        self._journal.open()
        try:
            with self._journal.held():
                self._stopping.clear()
                self._desk.open()
                self._journal.prune(self._clock.now())
                for known in self._journal.unhandled():
                    self._desk.call(Order(known.message, self._answering))
                await self._work_until_stopped()
        finally:
            self._journal.close()

    async def catch_up(self, *, within: float = SETTLE_WITHIN) -> bool:
        """Read all there is on the broker once, without sharing in the group, and send receipts and answers.

        Handlers and hooks are not called: new orders are left to `run`, later words are only kept.

        Returns whether everything was sent in so many seconds. Raises `UnreachableError`.
        """
        self._journal.open()
        async with self._transport.visit(self._take) as connection:
            return await self._send_over(connection, self._sender.settle(within))

    async def _work_until_stopped(self) -> None:
        jobs = [asyncio.create_task(self._stay_connected()), asyncio.create_task(self._prune_daily())]
        stop = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait([*jobs, stop], return_when=asyncio.FIRST_COMPLETED)
        finally:
            await self._wind_down()
            for task in [*jobs, stop]:
                task.cancel()
            results = await asyncio.gather(*jobs, stop, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result

    async def _wind_down(self) -> None:
        self._stopping.set()
        if self._connection is not None:
            await self._connection.stop_reading()
        await self._desk.close(self._stop_within)
        if self._connection is not None and not await self._sender.settle(SETTLE_WITHIN):
            _log.warning("answers are left in the journal, to be sent after the next start")

    async def _stay_connected(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            reason = "the connection was lost"
            try:
                async with self._transport.connect(self._take) as connection:
                    failures, self._connection = 0, connection
                    _log.info("department connected", department=self.name, namespace=self.namespace.value)
                    try:
                        await self._send_over(connection, connection.lost())
                    finally:
                        self._connection = None
            except UnreachableError as error:
                reason = str(error)
            failures += 1
            _log.warning("broker away; connecting again", department=self.name, reason=reason)
            await asyncio.sleep(pause(failures))

    async def _send_over(self, connection: Connection, until: Coroutine[Any, Any, T]) -> T:
        sending = asyncio.create_task(self._sender.run(connection))
        try:
            return await until
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)

    async def _prune_daily(self) -> None:
        while True:
            await asyncio.sleep(PRUNE_EVERY)
            with suppress(sqlite3.Error):
                self._journal.prune(self._clock.now())

    async def _take(self, records: Sequence[Record]) -> None:
        orders = [order for order in map(self._admit, records) if order is not None]
        failures = 0
        while True:
            try:
                with self._journal.transaction():
                    todo = [(order, self._note(order)) for order in orders]
                break
            except sqlite3.Error as error:
                failures += 1
                _log.error("journal can't be written; orders wait", error=repr(error))
                await asyncio.sleep(pause(failures))
        self._sender.wake()
        for order, news in todo:
            self.counts.orders += news.receipt
            if news.tell:
                self._desk.tell(order)
            if news.call:
                self._desk.call(order)

    def _admit(self, record: Record) -> Order | None:
        if isinstance(record, Unreadable):
            self.counts.unreadable += 1
            _log.error(
                "message can't be read and is skipped",
                topic=record.origin.topic,
                partition=record.origin.partition,
                offset=record.origin.offset,
                reason=record.reason,
            )
            return None
        if Namespace.of(record.envelope.status) is not self.namespace:
            self.counts.wrong_status += 1
            _log.critical(
                "REFUSED: a message of another world; nothing is done about it",
                status=record.envelope.status.value,
                namespace=self.namespace.value,
                topic=record.origin.topic,
                event_id=str(record.envelope.id),
            )
            return None
        return Order(_assignment(record), self._answering)

    def _note(self, order: Order) -> News:
        message = order.assignment
        known = self._journal.order(order.id)
        news = weigh(known.message if known else None, message, self.name, handled=known is not None and known.handled)
        if news.keep and known is not None and message.notice is Notice.REFUSED:
            self._note_refusal(message)
        if news.keep:
            self._journal.put(message, self._clock.now())
        if news.receipt:
            self._answering.record(message, Answer.DELIVER)
        if news.answer_again:
            self._journal.say_again(order.id)
        return news

    def _note_refusal(self, message: Assignment) -> None:
        refused = refused_answer(message)
        for said in self._journal.said(message.assignment_id):
            if said.message.answer is refused and not said.refused:
                self._journal.refuse(said.event_id)
                return


def _assignment(record: Received) -> Assignment:
    if not isinstance(record.message, Assignment):
        raise TypeError(f"{record.origin.topic} was read as {type(record.message).__name__}")
    return record.message
