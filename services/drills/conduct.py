"""What a scenario does to a simulated department while the drill runs: it falls silent, declines, meets an obstacle.

The department's course stays as it was drawn; this stands between the course and the order, and speaks or keeps quiet.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from services.drills.participant import Order
from services.platform.clock import ScaledClock

PAUSED_LOOK = 0.1
"""Wall seconds between looks at whether the drill goes on."""
CLEAR_AGAIN = "simulated: the way is clear again"
BY = "simulated"


@dataclass(frozen=True, slots=True)
class _Spell:
    """Something that holds for some tasks (none named: all) until a moment, or to ENDEX (None)."""

    tasks: tuple[str, ...]
    until: datetime | None
    because: str = ""

    def covers(self, task: str, now: datetime) -> bool:
        return (not self.tasks or task in self.tasks) and (self.until is None or now < self.until)


@dataclass(slots=True)
class _Obstacle:
    says: str
    lasts: timedelta
    met_at: datetime | None = None


class Conduct:
    """How one simulated department behaves beyond its course. Times are the scenario's."""

    def __init__(self, clock: ScaledClock) -> None:
        self._clock = clock
        self._silences: list[_Spell] = []
        self._refusals: list[_Spell] = []
        self._obstacles: dict[str, _Obstacle] = {}
        self._at_work: dict[str, Order] = {}
        self._done: set[str] = set()

    def fall_silent(self, tasks: tuple[str, ...], until: datetime | None) -> None:
        """Let it say nothing more about some tasks; what it has to say meanwhile is said afterwards."""
        self._silences.append(_Spell(tasks, until))

    def decline(self, tasks: tuple[str, ...], until: datetime | None, because: str) -> None:
        """Let it turn down what it has not taken on yet."""
        self._refusals.append(_Spell(tasks, until, because))

    async def obstruct(self, task: str, says: str, lasts: timedelta) -> str:
        """Let it meet an obstacle in a task, now or as soon as it works there; tell which."""
        if task in self._done:
            return "too late: the task is done"
        self._obstacles[task] = _Obstacle(says, lasts)
        if (order := self._at_work.get(task)) is None:
            return "when the work begins"
        await self._meet(order)
        return "at once"

    def resolved_after(self, task: str) -> timedelta | None:
        """Tell how long the obstacle of a task takes to remove; None when no inject has put one there."""
        obstacle = self._obstacles.get(task)
        return obstacle.lasts if obstacle else None

    def play(self, order: Any) -> Order:
        """Give an order to be answered by a course, within what the scenario allows."""
        return cast("Order", _Played(order, self))

    async def sleep(self, wall_seconds: float) -> None:
        """Sleep for so long by the drill's clock, which may stand still meanwhile."""
        await self.wait_until(self._clock.now() + timedelta(seconds=wall_seconds * self._clock.speed))

    async def wait_until(self, moment: datetime) -> None:
        """Return at a moment of the scenario."""
        while True:
            left = self._clock.seconds_until(moment)
            if left <= 0 and not self._clock.is_paused:
                return
            await asyncio.sleep(PAUSED_LOOK if self._clock.is_paused else max(left, 0))

    async def speak(self, task: str) -> None:
        """Return once nothing keeps it from speaking about a task, which may be never."""
        while spells := [spell for spell in self._silences if spell.covers(task, self._clock.now())]:
            if any(spell.until is None for spell in spells):
                await asyncio.Event().wait()
            await self.wait_until(max(spell.until for spell in spells if spell.until is not None))

    def refusal(self, task: str) -> str | None:
        """Tell why it turns a task down at this moment, if it does."""
        now = self._clock.now()
        return next((spell.because for spell in self._refusals if spell.covers(task, now)), None)

    async def begun(self, order: Order) -> None:
        """Note that it works on an order, and let it meet what waits for it there."""
        self._at_work[order.task] = order
        if (obstacle := self._obstacles.get(order.task)) is not None and obstacle.met_at is None:
            await self._meet(order)

    async def over(self, order: Order) -> None:
        """Return once nothing is in the way of an order's end."""
        obstacle = self._obstacles.get(order.task)
        if obstacle is not None and obstacle.met_at is not None:
            await self.wait_until(obstacle.met_at + obstacle.lasts)
            await order.progress(CLEAR_AGAIN, by=BY)
        self._at_work.pop(order.task, None)
        self._done.add(order.task)

    async def _meet(self, order: Order) -> None:
        obstacle = self._obstacles[order.task]
        obstacle.met_at = self._clock.now()
        await self.speak(order.task)
        await order.block(obstacle.says, by=BY)


class _Played:
    """An order as a course sees it."""

    def __init__(self, order: Order, conduct: Conduct) -> None:
        self._order = order
        self._conduct = conduct

    def __getattr__(self, name: str) -> Any:
        return getattr(self._order, name)

    async def commit(self, *, read_back: str | None = None, by: str | None = None) -> bool:
        await self._conduct.speak(self._order.task)
        because = self._conduct.refusal(self._order.task)
        if because is not None:
            # What the course does next meets an order that is over, and ends it.
            return await self._order.decline(because, by=by)
        return await self._order.commit(read_back=read_back, by=by)

    async def decline(self, reason: str, *, by: str | None = None) -> bool:
        await self._conduct.speak(self._order.task)
        return await self._order.decline(reason, by=by)

    async def start(self, *, by: str | None = None) -> bool:
        await self._conduct.speak(self._order.task)
        is_new = await self._order.start(by=by)
        await self._conduct.begun(self._order)
        return is_new

    async def progress(self, note: str, *, by: str | None = None) -> bool:
        await self._conduct.speak(self._order.task)
        return await self._order.progress(note, by=by)

    async def block(self, reason: str, *, by: str | None = None) -> bool:
        await self._conduct.speak(self._order.task)
        return await self._order.block(reason, by=by)

    async def complete(self, *, by: str | None = None) -> bool:
        await self._conduct.speak(self._order.task)
        await self._conduct.over(self._order)
        return await self._order.complete(by=by)
