"""Added tasks: what a duty officer gives beside the plan lives as the plan's own tasks do."""

from datetime import timedelta
from typing import Any

import pytest

from schemas.base import Text
from schemas.command import Activate, AddTask, ChangeLevel, Close, Reassign, StandDown
from schemas.timeline import Entry
from schemas.vocabulary import ActivationMode, Answer, AssignmentState, EscalationStep, Notice
from services.domain.adding import LADDER, ROLE_TITLE
from services.domain.decision import Decision, Outcome
from services.domain.incident import Phase
from tests.domain.builders import MINUTE, TWO_LEVELS, Desk, make_plan, make_role, make_task, reported

PLAN = make_plan(levels=TWO_LEVELS)
WORDS = {"title": "Feed the evacuees", "done_when": "Everybody has eaten"}


def add(desk: Desk, *departments: str, **more: Any) -> Decision:
    return desk.command(AddTask, departments=departments, **WORDS | more)


def test_an_added_task_goes_to_each_named_department_with_its_own_deadlines() -> None:
    desk = reported(PLAN)
    decision = add(
        desk,
        "fire",
        "hospital",
        reason="300 people in the gym",
        acknowledge="2m",
        start="10m",
        complete="1h",
        instructions={"en": "Soup first", "zh": "先供热汤"},
        read_back=True,
    )
    assert (decision.outcome, decision.reason) == (Outcome.APPLIED, "added-1 is with fire, hospital")
    assert [(order.to, order.message.notice) for order in decision.orders] == [
        ("fire", Notice.ISSUED),
        ("hospital", Notice.ISSUED),
    ]
    message = decision.orders[0].message
    assert (message.task, message.role, message.role_title) == ("added-1", "added-1", ROLE_TITLE)
    assert message.title == Text(en="Feed the evacuees", zh="Feed the evacuees")
    assert (message.instructions, message.read_back) == (Text(en="Soup first", zh="先供热汤"), True)
    by = (message.deadlines.acknowledge_by, message.deadlines.start_by, message.deadlines.complete_by)
    assert by == tuple(desk.now + span * MINUTE for span in (2, 10, 60))
    [told] = desk.told(Entry.TASK_ADDED)
    assert (told.by, told.reason, told.activation_id) == (
        "Officer Wang",
        "300 people in the gym",
        desk.activation().id,
    )
    assert (told.detail["task"], told.detail["departments"]) == ("added-1", ["fire", "hospital"])


def test_silence_about_an_added_task_climbs_to_the_duty_officer() -> None:
    desk = reported(PLAN)
    add(desk, "hospital")
    desk.run(30 * MINUTE)
    steps = [each.detail["step"] for each in desk.told(Entry.ESCALATED) if each.department == "hospital"]
    assert steps == [EscalationStep.DEPUTY, EscalationStep.SUPERIOR, EscalationStep.DUTY_OFFICER]
    assert desk.sent("hospital")[:2] == [Notice.ISSUED, Notice.REMINDED]
    assert sum((rung.wait for rung in LADDER), timedelta()) < 30 * MINUTE


def test_a_department_that_declines_leaves_it_to_the_officer_who_can_hand_it_over() -> None:
    desk = reported(PLAN)
    add(desk, "fire", "hospital")
    desk.answer(desk.of("fire"), Answer.DECLINE)
    assert desk.activation().unfilled == ("added-1",)
    desk.command(Reassign, assignment_id=desk.of("fire").id, department="utility")
    assert desk.activation().unfilled == ()
    for department in ("hospital", "utility"):
        desk.answer(desk.of(department), Answer.COMPLETE)
    assert {a.state for a in desk.assignments("added-1")} == {AssignmentState.DECLINED, AssignmentState.COMPLETED}


def test_an_added_task_outlives_a_change_of_level_and_ends_with_the_response() -> None:
    desk = reported(PLAN)
    add(desk, "fire")
    desk.command(ChangeLevel, level="I")
    assert desk.of("fire").state.is_open
    desk.command(StandDown)
    assert desk.of("fire").state is AssignmentState.EXPIRED
    assert desk.command(Close).outcome is Outcome.APPLIED
    assert desk.phase() is Phase.CLOSED


def test_a_plan_on_standby_can_be_given_tasks_that_stay_when_it_is_activated() -> None:
    desk = reported(make_plan(mode=ActivationMode.STANDBY))
    add(desk, "fire")
    assert desk.of("fire").state is AssignmentState.ISSUED
    desk.command(Activate, plan="flood")
    assert desk.of("fire").state.is_open


def test_each_added_task_has_a_name_of_its_own_that_no_task_or_role_of_the_plan_has() -> None:
    plan = make_plan(make_task("added-1", "added-2"), roles=(make_role("added-2", "police"),))
    desk = reported(plan)
    names = [add(desk, department).reason for department in ("fire", "hospital")]
    assert names == ["added-3 is with fire", "added-4 is with hospital"]
    assert {a.task for a in desk.assignments()} == {"added-1", "added-3", "added-4"}


def test_a_department_named_twice_is_asked_once() -> None:
    desk = reported(PLAN)
    assert [order.to for order in add(desk, "fire", "fire").orders] == ["fire"]


@pytest.mark.parametrize(
    ("plans", "told", "reason"),
    [
        ((PLAN,), {"departments": ("fire", "nobody")}, "there is no department 'nobody' in the directory"),
        ((PLAN,), {"plan": "storm"}, "name the plan that the task is added to; in force: none"),
        (
            (PLAN, make_plan(name="storm")),
            {},
            "name the plan that the task is added to; in force: flood, storm",
        ),
        ((make_plan(mode=ActivationMode.CONFIRM),), {}, "name the plan that the task is added to; in force: none"),
    ],
)
def test_a_task_that_nobody_could_be_given_is_refused(plans: Any, told: dict[str, Any], reason: str) -> None:
    desk = reported(*plans)
    decision = desk.command(AddTask, **{"departments": ("fire",)} | WORDS | told)
    assert (decision.outcome, decision.reason, decision.orders) == (Outcome.REFUSED, reason, ())


def test_the_plan_is_named_where_several_are_in_force() -> None:
    desk = reported(PLAN, make_plan(name="storm"))
    assert add(desk, "fire", plan="storm").outcome is Outcome.APPLIED
    assert desk.of("fire").activation_id == desk.activation("storm").id
