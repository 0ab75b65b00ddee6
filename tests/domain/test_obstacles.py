"""Obstacles: each has an owner from the first moment, and is closed in the record."""

import pytest

from schemas.command import Close, ResolveObstacle, TakeObstacle
from schemas.timeline import Entry
from schemas.vocabulary import Answer, AssignmentState
from services.domain.decision import Outcome
from services.domain.incident import Obstacle
from tests.domain.builders import DUTY_OFFICER, MINUTE, Desk, make_id, make_plan, reported


def blocked() -> tuple[Desk, Obstacle]:
    desk = reported(make_plan())
    desk.answer(desk.of("police"), Answer.COMMIT)
    desk.answer(desk.of("police"), Answer.BLOCK, reason="the bridge is under water", by="Sergeant Li")
    [obstacle] = desk.state.obstacles.values()
    return desk, obstacle


def test_an_obstacle_reaches_the_duty_officer_and_is_his_until_somebody_takes_it() -> None:
    desk, obstacle = blocked()
    assert (obstacle.owner, obstacle.description) == (DUTY_OFFICER, "the bridge is under water")
    [told] = desk.told(Entry.BLOCKED)
    assert told.attention
    assert told.detail["obstacle_id"] == str(obstacle.id)
    assert desk.of("police").state is AssignmentState.COMMITTED


def test_who_takes_an_obstacle_is_its_owner() -> None:
    desk, obstacle = blocked()
    desk.now += MINUTE
    assert desk.command(TakeObstacle, obstacle_id=obstacle.id, by="Engineer Zhao").outcome is Outcome.APPLIED
    taken = desk.state.obstacles[obstacle.id]
    assert (taken.owner, taken.taken_at) == ("Engineer Zhao", desk.now)
    assert desk.told(Entry.OBSTACLE_TAKEN)[0].by == "Engineer Zhao"


def test_a_resolved_obstacle_stays_on_the_record_and_cannot_be_taken_or_resolved_again() -> None:
    desk, obstacle = blocked()
    desk.now += MINUTE
    assert desk.command(ResolveObstacle, obstacle_id=obstacle.id, reason="detour found").outcome is Outcome.APPLIED
    assert desk.state.obstacles[obstacle.id].resolved_at == desk.now
    assert desk.told(Entry.OBSTACLE_RESOLVED)[0].reason == "detour found"
    for kind in (TakeObstacle, ResolveObstacle):
        assert desk.command(kind, obstacle_id=obstacle.id).reason == "there is no such open obstacle"


@pytest.mark.parametrize("kind", [TakeObstacle, ResolveObstacle])
def test_an_obstacle_that_does_not_exist_cannot_be_taken_or_resolved(kind: type) -> None:
    desk, _ = blocked()
    assert desk.command(kind, obstacle_id=make_id(99)).outcome is Outcome.REFUSED


@pytest.mark.parametrize("answer", [Answer.COMPLETE, Answer.FAIL, Answer.DECLINE, Answer.DELEGATE])
def test_obstacles_end_with_the_assignment_they_kept_back(answer: Answer) -> None:
    desk, obstacle = blocked()
    desk.now += MINUTE
    desk.answer(desk.of("police"), answer, delegate_to="fire" if answer is Answer.DELEGATE else None)
    assert desk.state.obstacles[obstacle.id].resolved_at == desk.now
    [resolved] = desk.told(Entry.OBSTACLE_RESOLVED)
    assert resolved.detail["obstacle_id"] == str(obstacle.id)


def test_ending_one_assignment_leaves_the_obstacles_of_others_and_resolved_ones_alone() -> None:
    desk, obstacle = blocked()
    desk.command(ResolveObstacle, obstacle_id=obstacle.id)
    resolved_at = desk.now
    desk.now += MINUTE
    desk.answer(desk.of("police"), Answer.DECLINE)
    assert desk.state.obstacles[obstacle.id].resolved_at == resolved_at
    desk.answer(desk.of("traffic"), Answer.BLOCK)
    desk.update(headline="still raining")
    assert [o.resolved_at is None for o in desk.state.obstacles.values()] == [False, True]


def test_closing_the_incident_closes_its_obstacles() -> None:
    desk, obstacle = blocked()
    desk.command(Close)
    assert desk.state.obstacles[obstacle.id].resolved_at is not None
