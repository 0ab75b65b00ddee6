"""Simulated departments behave the same for the same seed, keep to their chances, and never touch a real order."""

import asyncio
from statistics import median

import pytest

from schemas.acknowledgement import Acknowledgement
from schemas.vocabulary import Answer, Status
from services.departments import Department, Order
from services.drills.behaviour import Behaviour, draw_course, seed_in
from services.drills.participant import Behave, SimulatedDepartment
from services.platform.errors import RefusedError
from tests.services.test_departments_world import EXERCISE, MemoryWorld, give, heard, order, running, until, words

QUICK = Behaviour(answer_median=20, start_median=40, work_median=100, resolve_median=10)


def joined(world: MemoryWorld, name: str = "police") -> Department:
    return Department(name, namespace=EXERCISE, transport=world.transport(name), stop_within=0.1)


class Sleeps:
    """Time that passes at once, and is noted."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        await asyncio.sleep(0)


async def played(behaviour: Behaviour | Behave, *, speed: float = 1.0) -> tuple[list[str], list[float]]:
    """Give one order to a simulated department; return what it said and how long it waited."""
    world, sleeps = MemoryWorld(), Sleeps()
    department = joined(world)
    simulated = SimulatedDepartment(behaviour, seed=1, speed=speed, sleep=sleeps)
    done = asyncio.Event()

    @department.on_order
    async def handle(order: Order) -> None:
        await simulated.handle(order)
        done.set()

    async with running(department):
        await give(world, order("police"))
        await asyncio.wait_for(done.wait(), 10)
    return await words(world, "police"), sleeps.seconds


async def test_it_commits_starts_and_completes_after_its_own_times() -> None:
    said, seconds = await played(QUICK)
    course = draw_course(QUICK, 1, "police", "close-road")
    assert said == ["deliver", "commit", "start", "complete"]
    assert seconds == [course.answer_after, course.start_after, course.work_for]


async def test_speed_divides_every_delay() -> None:
    slow, fast = await played(QUICK), await played(QUICK, speed=60)
    assert slow[0] == fast[0]
    assert [seconds / 60 for seconds in slow[1]] == pytest.approx(fast[1])


async def test_the_silent_only_send_their_receipt() -> None:
    assert await played(Behaviour(silent=1)) == (["deliver"], [])


async def test_some_decline() -> None:
    said, seconds = await played(Behaviour(decline=1))
    assert (said, len(seconds)) == (["deliver", "decline"], 1)


async def test_an_obstacle_is_reported_resolved_and_adds_its_time_to_the_work() -> None:
    behaviour = Behaviour(block=1)
    said, seconds = await played(behaviour)
    course = draw_course(behaviour, 1, "police", "close-road")
    assert said == ["deliver", "commit", "start", "block", "progress", "complete"]
    assert sum(seconds[2:]) == pytest.approx(course.work_for + course.resolve_after)


async def said_by(simulated: SimulatedDepartment, *, answers: int, **given: bool) -> list[Acknowledgement]:
    world = MemoryWorld()
    department = joined(world)
    department.on_order(simulated.handle)
    async with running(department):
        await give(world, order("police", **given))
        await until(lambda: len(world.broker.answers(EXERCISE, "police")) == answers)
    return [answer for _, answer in await heard(world, "police")]


async def test_it_reads_back_where_the_order_asks_for_it() -> None:
    commit = (await said_by(SimulatedDepartment(QUICK, sleep=Sleeps()), answers=4, read_back=True))[1]
    assert (commit.answer, commit.read_back) == (
        Answer.COMMIT,
        "Close the ring road; done when: no car passes junction 4",
    )


async def test_it_declines_and_is_held_up_in_the_words_it_was_given() -> None:
    def worded(behaviour: Behaviour) -> SimulatedDepartment:
        return SimulatedDepartment(
            behaviour, sleep=Sleeps(), declines_because="the crew is away", obstacle="a tree lies there"
        )

    no = (await said_by(worded(Behaviour(decline=1)), answers=2))[1]
    assert (no.answer, no.reason) == (Answer.DECLINE, "the crew is away")
    blocked = (await said_by(worded(Behaviour(block=1)), answers=6))[3]
    assert (blocked.answer, blocked.reason) == (Answer.BLOCK, "a tree lies there")


async def test_it_may_behave_differently_in_each_task() -> None:
    def behave(task: str, _: int) -> Behaviour:
        return Behaviour(decline=float(task == "close-road"))

    assert (await played(behave))[0] == ["deliver", "decline"]


async def test_each_incident_is_a_scene_with_draws_of_its_own() -> None:
    waited = []
    for scene in ("", "second", "third"):
        world, sleeps = MemoryWorld(), Sleeps()
        department = joined(world)
        simulated = SimulatedDepartment(QUICK, seed=1, scene_of=lambda _, scene=scene: scene, sleep=sleeps)  # type: ignore[misc]
        done = asyncio.Event()

        @department.on_order
        async def handle(order: Order, simulated: SimulatedDepartment = simulated, done: asyncio.Event = done) -> None:
            await simulated.handle(order)
            done.set()

        async with running(department):
            await give(world, order("police"))
            await asyncio.wait_for(done.wait(), 10)
        waited.append(sleeps.seconds[0])
    assert waited == [
        draw_course(QUICK, seed_in(1, scene), "police", "close-road").answer_after for scene in ("", "second", "third")
    ]
    assert len(set(waited)) == 3


async def test_a_real_order_is_never_answered_by_a_simulation() -> None:
    world = MemoryWorld()
    async with running(joined(world)) as department:
        await give(world, order("police"))
        await until(lambda: len(department.orders()) == 1)
        real = department.orders()[0]
        real.assignment = real.assignment.model_copy(update={"status": Status.ACTUAL})
        with pytest.raises(RefusedError, match="only exercises"):
            await SimulatedDepartment(QUICK).handle(real)
    assert await words(world, "police") == ["deliver"]


@pytest.mark.parametrize("speed", [0, -1, float("inf"), float("nan")])
def test_a_speed_that_makes_no_sense_is_refused(speed: float) -> None:
    with pytest.raises(ValueError, match="speed"):
        SimulatedDepartment(QUICK, speed=speed)


def test_a_course_depends_on_seed_department_and_task_alone() -> None:
    """Pinned: another value here would change every drill that was ever recorded."""
    course = draw_course(QUICK, 7, "police", "cordon")
    assert course == draw_course(QUICK, 7, "police", "cordon")
    assert course.answer_after == pytest.approx(15.547271205650457)
    others = {draw_course(QUICK, *key) for key in ((8, "police", "cordon"), (7, "fire", "cordon"), (7, "police", "x"))}
    assert course not in others
    assert len(others) == 3


def test_one_chance_changed_changes_nothing_else() -> None:
    calm = draw_course(QUICK, 3, "police", "cordon")
    blocked = draw_course(
        Behaviour(answer_median=20, start_median=40, work_median=100, resolve_median=10, block=1), 3, "police", "cordon"
    )
    assert blocked.blocked_after is not None
    assert (calm.answer_after, calm.work_for) == (blocked.answer_after, blocked.work_for)


def test_chances_and_medians_hold_over_many_tasks() -> None:
    behaviour = Behaviour(answer_median=60, answer_sigma=0.8, decline=0.2, silent=0.1, block=0.3)
    courses = [draw_course(behaviour, 1, "police", f"task-{number}") for number in range(4_000)]
    assert median(course.answer_after for course in courses) == pytest.approx(60, rel=0.1)
    for share, wanted in (
        (sum(course.declines for course in courses), 0.2),
        (sum(course.is_silent for course in courses), 0.1),
        (sum(course.blocked_after is not None for course in courses), 0.3),
    ):
        assert share / len(courses) == pytest.approx(wanted, abs=0.03)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"decline": 1.5}, "decline"),
        ({"answer_sigma": -1}, "answer_sigma"),
        ({"work_median": float("inf")}, "work_median"),
    ],
)
def test_a_behaviour_that_makes_no_sense_is_refused(wrong: dict[str, float], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Behaviour(**wrong)
