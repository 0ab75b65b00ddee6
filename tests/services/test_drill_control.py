"""A drill's clock stands still and goes on, injects wait for time, state or a person, and expectations are judged."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.drill import InjectKind, InjectRule
from schemas.vocabulary import ActivationState, AssignmentState
from services.domain.plan import ConditionError
from services.drills.conditions import Expectations, state_of
from services.drills.conduct import Conduct
from services.drills.msel import Msel
from services.drills.record import DrillError, Rating, Seat
from services.drills.scenario import Scenario
from services.drills.seats import simulated_tasks, take_seats
from services.platform.clock import ScaledClock
from services.playbooks.cel_source import SourceError
from services.playbooks.drill_conditions import Known, compile_drill_condition
from tests.domain.builders import MINUTE, START
from tests.services.test_drill_scenario import DRILL, parse

SECOND = timedelta(seconds=1)
KNOWN = Known(("police", "fire"), ("close-road", "watch"), ("river-flood",), ("first", "second"))


def test_a_clock_that_stands_still_does_not_move_and_goes_on_where_it_was() -> None:
    clock = ScaledClock(START, 60)
    clock.pause(START + 10 * SECOND)
    clock.pause(START + 15 * SECOND)
    assert clock.at(START + 10 * SECOND) == clock.at(START + 99 * SECOND) == START + 10 * MINUTE
    assert clock.is_paused is True
    clock.resume(START + 100 * SECOND)
    clock.resume(START + 200 * SECOND)
    assert [until for _, until in clock.pauses] == [START + 100 * SECOND]
    assert clock.at(START + 101 * SECOND) == START + 11 * MINUTE
    assert clock.at(START + 5 * SECOND) == START + 5 * MINUTE, "the past stays as it was"


@given(
    speed=st.integers(1, 1_000),
    steps=st.lists(st.tuples(st.booleans(), st.integers(0, 1_000)), max_size=8),
    looks=st.lists(st.integers(0, 9_000), min_size=2, max_size=6),
)
def test_time_never_runs_backwards_however_often_it_is_paused(
    speed: int, steps: list[tuple[bool, int]], looks: list[int]
) -> None:
    clock, wall = ScaledClock(START, speed), START
    for stops, seconds in steps:
        wall += seconds * SECOND
        clock.pause(wall) if stops else clock.resume(wall)
    told = [clock.at(START + look * SECOND) for look in sorted(looks)]
    assert told == sorted(told)
    assert told[-1] <= START + max(looks) * SECOND * speed


def test_another_process_with_the_same_pauses_tells_the_same_time() -> None:
    clock = ScaledClock(START, 25)
    clock.pause(START + 3 * SECOND)
    clock.resume(START + 8 * SECOND)
    assert ScaledClock(START, 25, clock.pauses).at(START + MINUTE) == clock.at(START + MINUTE)


def row(department: str, task: str, state: AssignmentState, **facts: Any) -> dict[str, Any]:
    blank = dict.fromkeys(("committed_at", "started_at", "declined_at", "completed_at", "failed_at"), None)
    return {
        "id": UUID(int=len(task)),
        "department": department,
        "task": task,
        "state": state.value,
        "missed": [],
        "rung": 0,
        **blank,
        **facts,
    }


def a_state(**changes: Any) -> Any:
    given_ = {
        "elapsed": 5 * MINUTE,
        "assignments": [
            row("police", "close-road", AssignmentState.DELIVERED, missed=["acknowledge"], rung=2),
            row("fire", "watch", AssignmentState.STARTED, committed_at=START, started_at=START),
        ],
        "blocked": {UUID(int=len("watch"))},
        "plans": [{"plan": "river-flood", "level": "II", "state": ActivationState.ACTIVATED.value}],
        "played": {"first": timedelta(0)},
    }
    return state_of(KNOWN, **{**given_, **changes})


@pytest.mark.parametrize(
    "source",
    [
        "orders == 2 && unanswered == 1 && committed == 1 && started == 1 && completed == 0",
        'departments["police"].escalated == 1 && departments["police"].overdue == 1',
        'tasks["watch"].blocked == 1 && tasks["close-road"].unanswered == 1',
        'levels["river-flood"] == "II" && "river-flood" in activated',
        '"first" in played && !("second" in played)',
        'since["first"] == 300 && since["second"] == -1 && elapsed == 300',
        "departments.exists(d, departments[d].unanswered > 0)",
    ],
)
def test_a_condition_reads_the_drill_so_far(source: str) -> None:
    assert compile_drill_condition(source, KNOWN).holds(a_state())
    assert not compile_drill_condition(f"!({source})", KNOWN).holds(a_state())


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("elapsed >", "can't be read"),
        ('levels["urban-flood"] == "I"', 'unknown plan "urban-flood"'),
        ('departments["polise"].orders > 0', 'unknown department "polise"'),
        ('"third" in played', 'unknown inject "third"'),
        ('since["third"] > 1', 'unknown inject "third"'),
        ("now() > 3", 'unknown function "now"'),
        ("((((((((((((((((((((((((((((((((elapsed > 1))))))))))))))))))))))))))))))))", "nested more than"),
        ('elapsed > 9 && tasks["watch"].comitted > 0', 'nothing is counted as "comitted"'),
    ],
)
def test_what_could_never_be_decided_is_refused_beforehand(source: str, said: str) -> None:
    with pytest.raises(SourceError) as raised:
        compile_drill_condition(source, KNOWN)
    assert said in raised.value.message


def test_a_condition_that_fails_in_the_middle_says_why() -> None:
    condition = compile_drill_condition("elapsed == 0 || 1 / (elapsed - 300) > 5", KNOWN)
    with pytest.raises(ConditionError, match="divides by zero"):
        condition.holds(a_state())


def inject(name: str, **parts: Any) -> InjectRule:
    words = {"en": name, "zh": name}
    return InjectRule.model_validate(
        {"id": name, "kind": InjectKind.MESSAGE, "title": words, "expectation": words, "says": words, **parts}
    )


def test_injects_wait_for_their_time_their_condition_or_a_person() -> None:
    injects = (
        inject("first", kind=InjectKind.INCIDENT),
        inject("second", of="first", when="committed >= 1", at=2 * MINUTE),
        inject("third", of="first", manual=True, at=MINUTE),
    )
    msel = Msel(injects, {"second": compile_drill_condition("committed >= 1", KNOWN)})
    assert [each.id for each in msel.on_time(MINUTE)] == ["first"]
    assert msel.on_state(a_state(), 5 * MINUTE) == [], "the incident it is of is not open"
    msel.note(injects[0], timedelta(0))
    assert msel.on_state(a_state(), MINUTE) == [], "not before its time"
    assert [each.id for each in msel.on_state(a_state(), 5 * MINUTE)] == ["second"]
    assert msel.on_state(a_state(assignments=[]), 5 * MINUTE) == []
    msel.note(injects[1], 5 * MINUTE)
    assert msel.on_state(a_state(), 6 * MINUTE) == [], "once"
    assert (msel.on_time(9 * MINUTE), msel.next_at(), [each.id for each in msel.waiting]) == ([], None, ["third"])


def expecting(within: timedelta | None, source: str = "committed >= 1") -> Expectations:
    watched = Expectations({"first": compile_drill_condition(source, KNOWN)}, START)
    watched.expect(inject("first", within=within, met_when=source), MINUTE)
    watched.expect(inject("second"), MINUTE)
    return watched


def test_an_expectation_is_met_when_it_is_seen_in_time() -> None:
    watched = expecting(4 * MINUTE)
    assert watched.judge(a_state(assignments=[]), 2 * MINUTE) == []
    (judged,) = watched.judge(a_state(), 3 * MINUTE)
    assert (judged.inject, judged.rating, judged.at) == ("first", Rating.MET, START + 3 * MINUTE)
    assert judged.because == "2m after it was played"
    assert not watched.are_open, "what has no condition is the evaluator's"


def test_an_expectation_is_not_met_when_its_time_is_over() -> None:
    (judged,) = expecting(4 * MINUTE).judge(a_state(), 6 * MINUTE)
    assert (judged.rating, judged.because) == (Rating.NOT_MET, "not seen within 4m")


@pytest.mark.parametrize(
    ("within", "in_full", "rating"),
    [
        (None, True, Rating.NOT_MET),
        (4 * MINUTE, True, Rating.NOT_OBSERVED),
        (MINUTE, True, Rating.NOT_MET),
        (None, False, Rating.NOT_OBSERVED),
    ],
)
def test_at_endex_what_nobody_could_see_is_not_held_against_the_players(
    within: timedelta | None, in_full: bool, rating: Rating
) -> None:
    (judged,) = expecting(within).end(3 * MINUTE, in_full=in_full)
    assert judged.rating is rating


class Told:
    """An order that remembers what was said about it."""

    def __init__(self, task: str = "watch") -> None:
        self.task = task
        self.said: list[str] = []

    async def commit(self, **_: object) -> bool:
        self.said.append("commit")
        return True

    async def decline(self, reason: str, **_: object) -> bool:
        self.said.append(f"decline: {reason}")
        return True

    async def start(self, **_: object) -> bool:
        self.said.append("start")
        return True

    async def progress(self, note: str, **_: object) -> bool:
        self.said.append(note)
        return True

    async def block(self, reason: str, **_: object) -> bool:
        self.said.append(f"block: {reason}")
        return True

    async def complete(self, **_: object) -> bool:
        self.said.append("complete")
        return True


def running_clock(speed: float = 1_000) -> ScaledClock:
    return ScaledClock(datetime.now(UTC), speed)


async def test_a_silent_department_says_what_it_has_to_say_afterwards() -> None:
    clock, order = running_clock(), Told()
    conduct = Conduct(clock)
    conduct.fall_silent(("watch",), clock.now() + 100 * SECOND)
    speaking = asyncio.create_task(conduct.play(order).commit())
    await asyncio.sleep(0.02)
    assert order.said == []
    other = Told("close-road")
    await conduct.play(other).commit()
    assert other.said == ["commit"], "about other tasks it speaks"
    await speaking
    assert order.said == ["commit"]
    conduct.fall_silent((), None)
    for_ever = asyncio.create_task(conduct.play(order).start())
    await asyncio.sleep(0.05)
    assert order.said == ["commit"]
    for_ever.cancel()


async def test_a_department_declines_what_it_has_not_taken_on() -> None:
    clock, order = running_clock(), Told()
    conduct = Conduct(clock)
    conduct.decline(("watch",), clock.now() + MINUTE, "no crew")
    await conduct.play(order).commit()
    assert order.said == ["decline: no crew"]
    await conduct.sleep(0.07)
    await conduct.play(later := Told()).commit()
    assert later.said == ["commit"], "its trouble is over"


async def test_an_obstacle_is_met_at_work_and_holds_the_end_up() -> None:
    clock, order = running_clock(), Told()
    conduct = Conduct(clock)
    assert await conduct.obstruct("watch", "a tree", 60 * SECOND) == "when the work begins"
    played = conduct.play(order)
    await played.start()
    assert order.said == ["start", "block: a tree"]
    before = clock.now()
    await played.complete()
    assert clock.now() - before >= 59 * SECOND
    assert order.said[-1] == "complete"
    assert await conduct.obstruct("watch", "a tree", MINUTE) == "too late: the task is done"


async def test_work_rests_while_the_drill_stands_still() -> None:
    clock = running_clock(10)
    asleep = asyncio.create_task(Conduct(clock).sleep(0.05))
    clock.pause(datetime.now(UTC))
    await asyncio.sleep(0.2)
    assert not asleep.done()
    clock.resume(datetime.now(UTC))
    await asyncio.wait_for(asleep, 5)


def cast_of(mode: str) -> Scenario:
    return parse(DRILL.replace("injects:\n", f"  - department: water\n    {mode}\ninjects:\n"))


def test_a_department_that_should_play_and_does_not_listen_keeps_the_drill_from_starting() -> None:
    with pytest.raises(DrillError, match="department water: nobody listens; let it run `muster department listen"):
        take_seats(cast_of("mode: real"), ())
    assert take_seats(cast_of("mode: real"), {"water"})["water"] is Seat.REAL
    assert take_seats(cast_of("mode: real\n    stand_in: true"), ())["water"] is Seat.STAND_IN


def test_a_simulation_answers_only_for_those_who_are_not_there() -> None:
    mixed = cast_of("mode: mixed\n    simulates: [watch]")
    assert simulated_tasks(mixed, take_seats(mixed, {"water"})) == {
        "fire": None,
        "police": None,
        "traffic": None,
        "water": frozenset({"watch"}),
    }
    real = cast_of("mode: real")
    assert "water" not in simulated_tasks(real, take_seats(real, {"water"}))
