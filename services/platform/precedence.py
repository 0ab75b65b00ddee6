"""The real comes first: an exercise takes no batch while a real one is in hand, or came in a moment ago.

Within one process the real side tells at once. Across processes the exercise side asks the record, which tells its
role when real incidents came and nothing else about them.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from time import monotonic

import asyncpg
from prometheus_client import Counter

from services.platform.postgres import TRANSIENT, Pool

QUIET = 0.5
"""Seconds for which an exercise holds back after a real incident came in."""
AT_MOST = 2.0
"""Seconds that a batch of an exercise waits at most: beside a flood of real ones it is slowed down, not stopped."""
LOOK_EVERY = 0.25
"""Seconds between looks at the record for real incidents that other processes serve."""
_NAP = 0.02

GAVE_WAY = Counter("muster_exercise_gave_way_total", "Batches of an exercise that waited for the real.")
WAITED = Counter("muster_exercise_gave_way_seconds_total", "How long batches of an exercise waited for the real.")

_LATELY = "SELECT EXISTS (SELECT FROM real_incidents(clock_timestamp() - make_interval(secs => $1), 'infinity'))"


@dataclass(frozen=True, slots=True)
class RealIncidents:
    """The real incidents that came in during a span, by the wall's clock; which ones they were is not told."""

    times: tuple[datetime, ...]

    @property
    def count(self) -> int:
        """Say how many there were."""
        return len(self.times)


class Precedence:
    """Shared by the real and the exercise side of one process."""

    def __init__(self, quiet: float = QUIET, at_most: float = AT_MOST) -> None:
        self._quiet = quiet
        self._at_most = at_most
        self._in_hand = 0
        self._until = 0.0

    @contextmanager
    def serving(self, *, incidents: bool) -> Iterator[None]:
        """Have something real in hand; after ``incidents`` the quiet time begins."""
        self._in_hand += 1
        try:
            yield
        finally:
            self._in_hand -= 1
            if incidents:
                self.arrived()

    def arrived(self) -> None:
        """Note that a real incident came in just now."""
        self._until = monotonic() + self._quiet

    async def give_way(self) -> float:
        """Wait for the real to be served; return how many seconds that took, 0 when nothing was in the way."""
        if not self._is_busy():
            return 0.0
        begun = monotonic()
        waited = 0.0
        while waited < self._at_most:
            await asyncio.sleep(_NAP)
            waited = monotonic() - begun
            if not self._is_busy():
                break
        GAVE_WAY.inc()
        WAITED.inc(waited)
        return waited

    def _is_busy(self) -> bool:
        return self._in_hand > 0 or monotonic() < self._until

    async def watch(self, pool: Pool) -> None:
        """Look on the record for real incidents that other processes serve, until cancelled."""
        while True:
            with suppress(asyncpg.PostgresError, *TRANSIENT):
                if await pool.fetchval(_LATELY, LOOK_EVERY * 2):
                    self.arrived()
            await asyncio.sleep(LOOK_EVERY)


async def real_incidents_during(pool: Pool, start: datetime, end: datetime) -> RealIncidents:
    """Say when real incidents came in between two moments of the wall's clock; the exercise's role may ask this."""
    rows = await pool.fetch("SELECT arrived_at FROM real_incidents($1, $2)", start, end)
    return RealIncidents(tuple(row["arrived_at"] for row in rows))
