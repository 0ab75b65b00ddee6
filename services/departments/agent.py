"""The agent of ``muster department listen NAME --auto``: answers every order by itself, in exercises only."""

import asyncio
from collections.abc import Awaitable, Callable

from services.departments.order import Order
from services.platform.errors import RefusedError

Sleep = Callable[[float], Awaitable[None]]

COMMITS_AFTER = 5.0
"""Seconds from the order to its commitment; there is no chance in what the agent does."""
STARTS_AFTER = 10.0
"""Seconds from there to the start."""
WORKS_FOR = 30.0
"""Seconds from there to the end."""


class AutomaticAgent:
    """Always does its duty: commits, starts and completes; give ``handle`` to a `Department`."""

    def __init__(self, *, by: str = "automatic agent", sleep: Sleep = asyncio.sleep) -> None:
        self._by = by
        self._sleep = sleep

    async def handle(self, order: Order) -> None:
        """Answer one order; `RefusedError` for a real one, as nobody would do the work that is reported."""
        if not order.is_exercise:
            raise RefusedError(f"order {order.id}: is {order.status.value}; the agent only answers exercises")
        await self._sleep(COMMITS_AFTER)
        await order.commit(read_back=_echo(order), by=self._by)
        await self._sleep(STARTS_AFTER)
        await order.start(by=self._by)
        await self._sleep(WORKS_FOR)
        await order.complete(by=self._by)


def _echo(order: Order) -> str | None:
    return f"{order.title.en}; done when: {order.done_when.en}"[:4_000] if order.read_back else None
