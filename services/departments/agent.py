"""Departments that answer by themselves, in exercises only: an agent that always does its duty, and seeded people.

A simulated department behaves the same for the same seed, department and task, whenever and in whatever order its
orders arrive: all it will do is drawn beforehand, as a `Course`.
"""

import asyncio
import math
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from schemas.vocabulary import Namespace
from services.departments.client import Department
from services.departments.order import Order
from services.platform.errors import RefusedError

Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How a department answers. Times are seconds; chances lie between 0 and 1.

    A delay is lognormal: half of them are shorter than the median, and ``sigma`` is the standard deviation of its
    logarithm (0: always the median). ``resolve`` is the median of how long an obstacle lasts.
    """

    answer_median: float = 60.0
    answer_sigma: float = 0.5
    start_median: float = 300.0
    start_sigma: float = 0.5
    work_median: float = 1_800.0
    work_sigma: float = 0.5
    resolve_median: float = 600.0
    resolve_sigma: float = 0.5
    decline: float = 0.0
    silent: float = 0.0
    block: float = 0.0

    def __post_init__(self) -> None:
        for name in ("decline", "silent", "block"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}: must lie between 0 and 1")
        for name in ("answer", "start", "work", "resolve"):
            for part in ("median", "sigma"):
                value = getattr(self, f"{name}_{part}")
                if not (math.isfinite(value) and value >= 0):
                    raise ValueError(f"{name}_{part}: must be a finite number, 0 or more")


DUTIFUL = Behaviour(answer_median=5, answer_sigma=0, start_median=10, start_sigma=0, work_median=30, work_sigma=0)
"""The agent of ``muster department listen NAME --auto``: no chance in it."""


@dataclass(frozen=True, slots=True)
class Course:
    """What a simulated department will do about one order. Seconds from step to step: order, answer, start, done.

    ``blocked_after`` lies within the work and is None without an obstacle.
    """

    is_silent: bool
    declines: bool
    answer_after: float
    start_after: float
    work_for: float
    blocked_after: float | None
    resolve_after: float


def draw_course(behaviour: Behaviour, seed: int, department: str, task: str) -> Course:
    """Draw what happens; a pure function of its arguments, on every machine."""
    chance = random.Random(f"{seed}:{department}:{task}")  # noqa: S311 (a simulation, no secret)
    # Every number is drawn whether it is needed or not, so that changing one chance changes nothing else.
    is_silent, declines, blocks, blocked_at = (chance.random() for _ in range(4))
    answer_after, start_after, work_for, resolve_after = (
        median * math.exp(sigma * chance.gauss(0.0, 1.0))
        for median, sigma in (
            (behaviour.answer_median, behaviour.answer_sigma),
            (behaviour.start_median, behaviour.start_sigma),
            (behaviour.work_median, behaviour.work_sigma),
            (behaviour.resolve_median, behaviour.resolve_sigma),
        )
    )
    return Course(
        is_silent=is_silent < behaviour.silent,
        declines=declines < behaviour.decline,
        answer_after=answer_after,
        start_after=start_after,
        work_for=work_for,
        blocked_after=blocked_at * work_for if blocks < behaviour.block else None,
        resolve_after=resolve_after,
    )


class SimulatedDepartment:
    """Plays a department in an exercise; give ``handle`` to a `Department`, or use `play`.

    ``speed`` divides every delay. ``answered_at`` goes by the `Department`'s own clock, which should run as fast.
    Raises `RefusedError` for an order that is not an exercise.
    """

    def __init__(
        self,
        behaviour: Behaviour,
        *,
        seed: int = 0,
        speed: float = 1.0,
        sleep: Sleep = asyncio.sleep,
        by: str = "simulated",
    ) -> None:
        if not (math.isfinite(speed) and speed > 0):
            raise ValueError("speed: must be a number above 0")
        self._behaviour = behaviour
        self._seed = seed
        self._speed = speed
        self._sleep = sleep
        self._by = by

    def play(self, department: Department) -> None:
        """Answer the orders of a department; raises `RefusedError` in the actual namespace."""
        if department.namespace is Namespace.ACTUAL:
            raise RefusedError(
                f"department {department.name}: nobody does the work of a simulated answer; exercises only"
            )
        department.on_order(self.handle)

    async def handle(self, order: Order) -> None:
        """Answer one order the way the course was drawn; an order that ends meanwhile is left alone."""
        if not order.is_exercise:
            raise RefusedError(
                f"order {order.id}: is {order.status.value}; only exercises are answered by a simulation"
            )
        course = draw_course(self._behaviour, self._seed, order.department, order.task)
        if course.is_silent:
            return
        await self._wait(course.answer_after)
        if course.declines:
            await order.decline("simulated: no crew is free", by=self._by)
            return
        await order.commit(read_back=echo(order), by=self._by)
        await self._wait(course.start_after)
        await order.start(by=self._by)
        if course.blocked_after is None:
            await self._wait(course.work_for)
        else:
            await self._wait(course.blocked_after)
            await order.block("simulated: the way is obstructed", by=self._by)
            await self._wait(course.resolve_after)
            await order.progress("simulated: the way is clear again", by=self._by)
            await self._wait(course.work_for - course.blocked_after)
        await order.complete(by=self._by)

    async def _wait(self, seconds: float) -> None:
        await self._sleep(seconds / self._speed)


def echo(order: Order) -> str | None:
    """Repeat an order where it asks for that: the task, and what counts as done."""
    return f"{order.title.en}; done when: {order.done_when.en}"[:4_000] if order.read_back else None
