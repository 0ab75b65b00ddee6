"""The automatic agent of a department commits, starts and completes, and never touches a real order."""

import asyncio

import pytest

from schemas.vocabulary import Answer, Status
from services.departments import Department
from services.departments.agent import COMMITS_AFTER, STARTS_AFTER, WORKS_FOR, AutomaticAgent
from services.platform.errors import RefusedError
from tests.services.test_departments_world import EXERCISE, MemoryWorld, give, heard, order, running, until, words


class Sleeps:
    """Time that passes at once, and is noted."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        await asyncio.sleep(0)


def joined(world: MemoryWorld) -> Department:
    return Department("police", namespace=EXERCISE, transport=world.transport("police"), stop_within=0.1)


async def test_it_commits_with_a_read_back_starts_and_completes() -> None:
    world, sleeps = MemoryWorld(), Sleeps()
    department = joined(world)
    department.on_order(AutomaticAgent(sleep=sleeps).handle)
    async with running(department):
        await give(world, order("police", read_back=True))
        await until(lambda: len(world.broker.answers(EXERCISE, "police")) == 4)
    said = [answer for _, answer in await heard(world, "police")]
    assert [each.answer for each in said] == [Answer.DELIVER, Answer.COMMIT, Answer.START, Answer.COMPLETE]
    assert said[1].read_back == "Close the ring road; done when: no car passes junction 4"
    assert {each.by for each in said[1:]} == {"automatic agent"}
    assert sleeps.seconds == [COMMITS_AFTER, STARTS_AFTER, WORKS_FOR]


async def test_a_real_order_is_never_answered_by_an_agent() -> None:
    world = MemoryWorld()
    async with running(joined(world)) as department:
        await give(world, order("police"))
        await until(lambda: len(department.orders()) == 1)
        real = department.orders()[0]
        real.assignment = real.assignment.model_copy(update={"status": Status.ACTUAL})
        with pytest.raises(RefusedError, match="only answers exercises"):
            await AutomaticAgent().handle(real)
    assert await words(world, "police") == ["deliver"]
