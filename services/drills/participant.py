"""A department that is played in an exercise: it follows the course that was drawn for each of its orders."""

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Protocol
from uuid import UUID

from schemas.base import Text
from schemas.vocabulary import Status
from services.drills.behaviour import Behaviour, draw_course, seed_in
from services.platform.errors import RefusedError

Sleep = Callable[[float], Awaitable[None]]
Behave = Callable[[str, int], Behaviour]
"""How a department treats a task, by the task's id and the scene's seed."""

NO_CREW = "simulated: no crew is free"
OBSTRUCTED = "simulated: the way is obstructed"


class Order(Protocol):
    """What is asked of a department, and the ways to answer that a simulation uses.

    `services.departments.Order` is one. An answer returns whether it said something new; see there for its errors.
    """

    @property
    def id(self) -> UUID:
        """The assignment's id."""

    @property
    def incident_id(self) -> UUID:
        """The incident it belongs to."""

    @property
    def status(self) -> Status:
        """Whether it is for real."""

    @property
    def department(self) -> str:
        """Whose order it is."""

    @property
    def task(self) -> str:
        """The task's id in its plan."""

    @property
    def title(self) -> Text:
        """What is to be done."""

    @property
    def done_when(self) -> Text:
        """What counts as done."""

    @property
    def read_back(self) -> bool:
        """True when whoever takes it on must repeat it."""

    async def commit(self, *, read_back: str | None = None, by: str | None = None) -> bool:
        """Agree to do it."""

    async def decline(self, reason: str, *, by: str | None = None) -> bool:
        """Turn it down."""

    async def start(self, *, by: str | None = None) -> bool:
        """Say that work has begun."""

    async def progress(self, note: str, *, by: str | None = None) -> bool:
        """Report how it goes."""

    async def block(self, reason: str, *, by: str | None = None) -> bool:
        """Report an obstacle."""

    async def complete(self, *, by: str | None = None) -> bool:
        """Say that it is done."""


class SimulatedDepartment:
    """Plays a department in an exercise; give ``handle`` to whatever receives its orders.

    ``behave`` is one behaviour for all tasks, or a function from a task to its own. ``scene_of`` names the scene that
    an incident is, whose draws are its own (see `services.drills.behaviour`). ``speed`` divides every delay;
    the clock that ``answered_at`` goes by should run as fast. ``declines_because`` and ``obstacle`` are what it says
    when it declines and when it is held up. Raises ValueError for a speed that is not above 0.
    """

    def __init__(
        self,
        behave: Behaviour | Behave,
        *,
        seed: int = 0,
        scene_of: Callable[[UUID], str] = lambda _: "",
        speed: float = 1.0,
        sleep: Sleep = asyncio.sleep,
        by: str = "simulated",
        declines_because: str = NO_CREW,
        obstacle: str = OBSTRUCTED,
    ) -> None:
        if not (math.isfinite(speed) and speed > 0):
            raise ValueError("speed: must be a number above 0")
        self._behave = behave
        self._seed = seed
        self._scene_of = scene_of
        self._speed = speed
        self._sleep = sleep
        self._by = by
        self._declines_because = declines_because
        self._obstacle = obstacle

    async def handle(self, order: Order) -> None:
        """Answer one order the way its course was drawn; `RefusedError` for an order that is not an exercise's.

        An answer to an order that has ended meanwhile raises what the order raises, and the rest is left undone.
        """
        if order.status is Status.ACTUAL:
            raise RefusedError(
                f"order {order.id}: is {order.status.value}; only exercises are answered by a simulation"
            )
        seed = seed_in(self._seed, self._scene_of(order.incident_id))
        behaviour = self._behave if isinstance(self._behave, Behaviour) else self._behave(order.task, seed)
        course = draw_course(behaviour, seed, order.department, order.task)
        if course.is_silent:
            return
        await self._wait(course.answer_after)
        if course.declines:
            await order.decline(self._declines_because, by=self._by)
            return
        await order.commit(read_back=echo(order), by=self._by)
        await self._wait(course.start_after)
        await order.start(by=self._by)
        if course.blocked_after is None:
            await self._wait(course.work_for)
        else:
            await self._wait(course.blocked_after)
            await order.block(self._obstacle, by=self._by)
            await self._wait(course.resolve_after)
            await order.progress("simulated: the way is clear again", by=self._by)
            await self._wait(course.work_for - course.blocked_after)
        await order.complete(by=self._by)

    async def _wait(self, seconds: float) -> None:
        await self._sleep(seconds / self._speed)


def echo(order: Order) -> str | None:
    """Repeat an order where it asks for that: the task, and what counts as done."""
    return f"{order.title.en}; done when: {order.done_when.en}"[:4_000] if order.read_back else None
