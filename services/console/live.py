"""One look at the record for everybody who watches: new entries are read once and handed to all in memory.

Postgres is asked a few times a second and never asked to notify: NOTIFY takes a lock that all commits would share.
"""

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime

from prometheus_client import Counter, Gauge

from schemas.vocabulary import Namespace
from services.console.board import Board
from services.console.stream_feed import Feed, Window
from services.console.stream_place import Place
from services.platform.clock import Clock, SystemClock
from services.platform.errors import UnpublishedError
from services.platform.logs import get_logger
from services.platform.postgres import TRANSIENT, Pool
from services.platform.published import PublishedPlaybook

LOOK_EVERY = 0.1
"""Seconds between two looks while something happens."""
LOOK_IDLY = 0.2
"""Seconds between two looks after `IDLE_AFTER` seconds without news."""
IDLE_AFTER = 5.0
ALIVE_EVERY = 2.0
"""Seconds between two signs of life; none is given while the record can't be read."""
HELD_AT_MOST = 2_000
"""Entries that may wait for one reader; a slower one is let go, and takes up where it stopped."""
TRY_AGAIN_AFTER = 0.5
"""Seconds until the database is asked again after it was away."""
STREAMS = Gauge("muster_streams", "Readers that follow the timeline.", ["namespace"])
LET_GO = Counter("muster_streams_let_go_total", "Readers that were too slow and were let go.", ["namespace"])

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class News:
    """What one look found. Without a ``window`` it is a sign of life: all that is known up to ``place`` was told."""

    place: Place
    now: datetime
    window: Window | None = None

    @property
    def weight(self) -> int:
        """How much it adds to what waits for a reader."""
        return 1 + (len(self.window.told) if self.window else 0)


class Listener:
    """One reader's own queue."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.closed = False
        self._news: deque[News] = deque()
        self._held = 0
        self._some = asyncio.Event()

    def put(self, news: News) -> bool:
        """Add news; False when the reader is too far behind and was let go."""
        if self._held and self._held + news.weight > HELD_AT_MOST:
            self.close()
            return False
        self._held += news.weight
        self._news.append(news)
        self._some.set()
        return True

    def close(self) -> None:
        """Let the reader go: it is told nothing more, and what waits is dropped."""
        self.closed = True
        self._news.clear()
        self._some.set()

    async def take(self) -> list[News]:
        """Wait for news and take all there is; nothing when the reader was let go."""
        await self._some.wait()
        if self.closed:
            return []
        taken = list(self._news)
        self._news.clear()
        self._held = 0
        self._some.clear()
        return taken


class Hub:
    """Follows one namespace's timeline for all who watch it in this process, and keeps the board."""

    def __init__(
        self, pool: Pool, namespace: Namespace, playbook: PublishedPlaybook, clock: Clock | None = None
    ) -> None:
        self.namespace = namespace
        self.clock = clock or SystemClock()
        self.feed = Feed(pool, namespace)
        self.board = Board(pool, namespace, playbook)
        self._place: Place | None = None
        self._begun = asyncio.Event()
        self._follows = False
        self._listeners: set[Listener] = set()

    @property
    def place(self) -> Place:
        """As far as everything has been handed out; raises RuntimeError before the first look."""
        if self._place is None:
            raise RuntimeError("the hub has not begun")
        return self._place

    @contextmanager
    def listening(self) -> Iterator[Listener]:
        """Hear all news from now on; nothing once following has ended. Raises RuntimeError before the first look."""
        listener = Listener(self.place)
        if not self._follows:
            listener.close()
        self._listeners.add(listener)
        STREAMS.labels(self.namespace.value).inc()
        try:
            yield listener
        finally:
            self._listeners.discard(listener)
            STREAMS.labels(self.namespace.value).dec()

    async def ready(self, within: float = 5.0) -> bool:
        """Wait until the record has been read for the first time; False when that takes longer."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._begun.wait(), within)
        return self._begun.is_set()

    async def follow(self) -> None:
        """Look for what is new until cancelled; then every reader is let go, so that none holds up a stop."""
        loop = asyncio.get_running_loop()
        heard = told = 0.0
        self._follows = True
        try:
            while True:
                try:
                    if await self._look():
                        heard = loop.time()
                        await asyncio.sleep(0)
                        continue
                except (*TRANSIENT, UnpublishedError) as error:
                    _log.warning("the record can't be read", namespace=self.namespace.value, error=repr(error))
                    await asyncio.sleep(TRY_AGAIN_AFTER)
                    continue
                if loop.time() - told >= ALIVE_EVERY:
                    told = loop.time()
                    self._hand_out()
                await asyncio.sleep(LOOK_EVERY if loop.time() - heard < IDLE_AFTER else LOOK_IDLY)
        finally:
            self._follows = False
            for listener in self._listeners:
                listener.close()

    async def _look(self) -> bool:
        """Read what there is and hand it out; True when there may be more at once."""
        if self._place is None:
            place = Place(await self.feed.now())
            await self.board.load()
            self._place = place
            self._begun.set()
        window = await self.feed.read(self._place)
        if window is None:
            return False
        if window.told:
            # Before the entries are told: whoever asks for the board because of one finds it there.
            await self.board.refresh([told.entry for told in window.told])
        self._place = window.place
        if window.told:
            self._hand_out(window)
        return window.place.upto is not None

    def _hand_out(self, window: Window | None = None) -> None:
        news = News(self.place, self.clock.now(), window)
        for listener in self._listeners:
            if not listener.closed and not listener.put(news):
                LET_GO.labels(self.namespace.value).inc()
