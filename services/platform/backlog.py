"""How much was taken in and is still undecided, and when the way in must be narrowed so that it doesn't grow for ever.

Postgres holds what waits, so that no process's memory grows with it; but an order that comes an hour late is lost too.
Every process at the way in looks for itself, so that any number of them keep to one limit.
"""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from math import ceil

from prometheus_client import Gauge

from schemas.vocabulary import MessageType, Namespace, Severity
from services.platform.postgres import TRANSIENT, Pool
from services.platform.problem import ProblemError
from services.platform.queries import query

LOOK_EVERY = 0.5
"""Seconds between looks; so long what comes in may pass the limit."""
RESERVE = 2
"""So many times the limit may wait of what is urgent: Extreme and Severe, and what is known of an incident already."""
LOOK_BACK = timedelta(hours=1)
"""How long ago something may have been published and still be waited for; what is older is the invariants' business."""
_OVERLAP = timedelta(seconds=5)
"""How long a transaction may take that marks messages as published, before a look misses them."""
LONGEST = 60
"""Seconds, the longest time after which somebody is asked to come again."""
TOO_MUCH = "too-much"
"""The kind of problem that a sender is told of while too much waits."""
_URGENT = frozenset({Severity.EXTREME, Severity.SEVERE})

WAITING = Gauge("muster_backlog", "Messages taken in that wait for a decision.", ["namespace"])


class Backlog:
    """One namespace's. ``limit`` messages may wait; decisions and answers of people are taken in whatever waits."""

    def __init__(self, pool: Pool, namespace: Namespace, limit: int) -> None:
        self._pool = pool
        self._namespace = namespace
        self._limit = limit
        self._since: datetime | None = None
        self.waiting = 0
        """How many messages waited at the last look, counted to `RESERVE` times the limit."""
        self._age = 0.0

    async def watch(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            # While the database is away nothing is taken in, and what was seen last is as good as anything.
            with suppress(*TRANSIENT):
                await self.look()
            await asyncio.sleep(LOOK_EVERY)

    async def look(self) -> None:
        """Count what waits."""
        now = datetime.now(UTC)
        since = max(self._since or now - LOOK_BACK, now - LOOK_BACK)
        row = await self._pool.fetchrow(query("backlog"), self._namespace.value, since, self._limit * RESERVE + 1)
        assert row is not None  # noqa: S101 - an aggregate always gives a row
        self.waiting = row["waiting"]
        oldest: datetime | None = row["oldest"]
        self._age = 0.0 if oldest is None else max((now - oldest).total_seconds(), 0.0)
        if self.waiting <= self._limit * RESERVE:
            # All that waits was seen: the next look needs to go no further back.
            self._since = max(since, (oldest or now) - _OVERLAP)
        WAITING.labels(self._namespace.value).set(self.waiting)

    def check(self, severity: Severity, message_type: MessageType) -> None:
        """Refuse a report while too much waits; raises `ProblemError` with the time that the oldest has waited."""
        urgent = severity in _URGENT or message_type is not MessageType.ALERT
        if self.waiting < self._limit * (RESERVE if urgent else 1):
            return
        again = min(max(ceil(self._age), 1), LONGEST)
        raise ProblemError(
            HTTPStatus.TOO_MANY_REQUESTS,
            f"{self.waiting} reports wait for a decision; nothing was stored, send it again after Retry-After",
            kind=TOO_MUCH,
            headers={"Retry-After": str(again)},
        )
