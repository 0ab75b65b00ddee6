"""Connections that wait for nobody: a request's head must come in time, and only so many are open at once.

uvicorn ends a connection that is idle after a request, and waits for ever for the first one's head ("slow loris").
"""

import asyncio
from functools import partial
from typing import Any

import h11
from prometheus_client import Counter
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_WITHIN = 10.0
"""Seconds in which a request's line and headers must have come."""

CLOSED = Counter(
    "muster_http_closed_total", "Connections that were closed by us before their request was whole.", ["why"]
)


class _Bounded(H11Protocol):
    """One connection. ``waiting`` holds those of its server that have a head to send, longest waiting first."""

    def __init__(self, at_most: int, waiting: "dict[_Bounded, asyncio.TimerHandle]", **given: Any) -> None:
        super().__init__(**given)
        self._at_most = at_most
        self._waiting = waiting

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in uvicorn
        if len(self.connections) >= self._at_most:
            # Whoever sends nothing gives way; where all are at work, the one that comes now does.
            idle = next(iter(self._waiting), None)
            if idle is None:
                CLOSED.labels("full").inc()
                transport.abort()
                return
            idle.end("full")
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._no_longer()
        elif self not in self._waiting:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.transport is not None:  # one that was turned away was never taken in
            self._no_longer()
            super().connection_lost(exc)

    def end(self, why: str) -> None:
        """Close it: its request's head did not come."""
        CLOSED.labels(why).inc()
        self._no_longer()
        self.connections.discard(self)
        self.transport.abort()

    def _wait(self) -> None:
        self._waiting[self] = self.loop.call_later(HEAD_WITHIN, self.end, "slow")

    def _no_longer(self) -> None:
        timer = self._waiting.pop(self, None)
        if timer is not None:
            timer.cancel()


def bounded(at_most: int) -> Any:
    """Give the protocol of one server's connections, of which so many are open at most."""
    waiting: dict[_Bounded, asyncio.TimerHandle] = {}
    return partial(_Bounded, at_most, waiting)
