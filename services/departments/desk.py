"""Runs a department's own code: the handler once for each order, the hook for every change, many at a time."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any
from uuid import UUID

from services.departments.answering import OrderEndedError
from services.departments.journal import Journal
from services.departments.order import Order
from services.platform.logs import get_logger

CANCEL_WITHIN = 2.0
"""Seconds that a cancelled handler gets to tidy up."""

Handler = Callable[[Order], Awaitable[None]]

_log = get_logger(__name__)


class Desk:
    """Keeps handlers apart: a slow or broken one stops no other. ``at_once`` bounds the handlers at work."""

    def __init__(self, journal: Journal, at_once: int) -> None:
        self.handler: Handler | None = None
        self.hook: Handler | None = None
        self.failures = 0
        self._journal = journal
        self._places = asyncio.Semaphore(at_once)
        self._called: set[UUID] = set()
        self._last_change: dict[UUID, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = True

    def call(self, order: Order) -> None:
        """Have the handler called, unless it has been called for this order since the process started."""
        if self.handler is None or self._closing or order.id in self._called:
            return
        self._called.add(order.id)
        self._spawn(self._handle(self.handler, order))

    def tell(self, order: Order) -> None:
        """Have the hook called, after the hook's earlier calls for the same order."""
        if self.hook is None or self._closing:
            return
        task = self._spawn(self._change(self.hook, order, self._last_change.get(order.id)))
        self._last_change[order.id] = task
        task.add_done_callback(lambda done: self._forget(order.id, done))

    async def close(self, within: float) -> None:
        """Begin nothing new, give what runs so many seconds to end, and cancel the rest."""
        self._closing = True
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=within)
            for task in late:
                task.cancel()
            if late:
                _log.warning("handlers were stopped and will be called again", handlers=len(late))
                await asyncio.wait(late, timeout=CANCEL_WITHIN)

    def open(self) -> None:
        """Begin: whatever was not finished may be called again."""
        self._closing = False
        self._called.clear()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _forget(self, order_id: UUID, task: "asyncio.Task[None]") -> None:
        if self._last_change.get(order_id) is task:
            del self._last_change[order_id]

    async def _handle(self, handler: Handler, order: Order) -> None:
        async with self._places:
            if self._closing:
                return
            try:
                # It may have ended while it waited for a place.
                if not order.is_open or await self._guarded(handler, order):
                    self._journal.finish(order.id)
                    self._called.discard(order.id)
            except sqlite3.Error:
                _log.exception("journal can't be used; the handler is called again after a restart")

    async def _change(self, hook: Handler, order: Order, before: "asyncio.Task[None] | None") -> None:
        if before is not None:
            await asyncio.wait([before])
        await self._guarded(hook, order)

    async def _guarded(self, code: Handler, order: Order) -> bool:
        try:
            await code(order)
        except OrderEndedError as error:
            _log.info("order ended while it was worked on", assignment_id=str(order.id), reason=str(error))
        except Exception:  # noqa: BLE001 - the department's own code: whatever it raises must not stop other orders
            self.failures += 1
            _log.exception("handler failed", assignment_id=str(order.id), notice=order.notice.value)
            return False
        return True
