"""Levels: a level says which tasks are asked for; a duty officer's level holds against reports."""

import pytest

from schemas.command import Activate, ChangeLevel
from schemas.timeline import Entry
from schemas.vocabulary import ActivationMode, Answer, AssignmentState, Notice, Severity
from services.domain.decision import Outcome
from services.domain.plan import Level
from tests.domain.builders import MINUTE, TWO_LEVELS, Desk, make_plan, make_role, make_task, measured, reported, text

ROLES = (make_role("cordon", "police", "traffic"), make_role("rescue", "fire"), make_role("care", "hospital"))
PLAN = make_plan(
    make_task("close-roads"),
    make_task("evacuate", "rescue", levels=frozenset({"I"})),
    make_task("watch", "care", levels=frozenset({"II"})),
    roles=ROLES,
    levels=TWO_LEVELS,
)


def issued(desk: Desk) -> dict[str, AssignmentState]:
    return {assignment.task: assignment.state for assignment in desk.assignments()}


def test_only_the_tasks_of_the_level_are_issued() -> None:
    desk = reported(PLAN)
    assert desk.activation().level == "II"
    assert set(issued(desk)) == {"close-roads", "watch"}
    assert {order.message.level for order in desk.orders} == {"II"}


def test_a_worse_report_raises_the_level_issues_what_is_new_and_supersedes_what_is_void() -> None:
    desk = reported(PLAN)
    desk.now += MINUTE
    desk.update(severity=Severity.EXTREME)
    assert desk.activation().level == "I"
    assert desk.activation().level_changed_at == desk.now
    assert issued(desk) == {
        "close-roads": AssignmentState.ISSUED,
        "watch": AssignmentState.SUPERSEDED,
        "evacuate": AssignmentState.ISSUED,
    }
    assert desk.sent("hospital") == [Notice.ISSUED, Notice.SUPERSEDED]
    assert desk.sent("police") == [Notice.ISSUED, Notice.INFORMED]
    [changed] = desk.told(Entry.LEVEL_CHANGED)
    assert (changed.detail["before"], changed.detail["level"]) == ("II", "I")


def test_a_task_that_was_void_is_issued_anew_when_the_level_comes_back() -> None:
    desk = reported(PLAN)
    for severity in (Severity.EXTREME, Severity.MODERATE):
        desk.now += MINUTE
        desk.update(severity=severity)
    assert [a.state for a in desk.assignments("watch")] == [AssignmentState.SUPERSEDED, AssignmentState.ISSUED]
    assert desk.activation().unfilled == ()


def test_an_update_that_leaves_the_level_alone_says_nothing_of_it() -> None:
    desk = reported(PLAN)
    desk.update(severity=Severity.SEVERE)
    assert desk.told(Entry.LEVEL_CHANGED) == desk.told(Entry.LEVEL_SUGGESTED) == []


def test_an_officer_overrides_the_level_with_a_reason_and_reports_only_suggest_from_then_on() -> None:
    desk = reported(PLAN)
    assert desk.command(ChangeLevel, level="I", reason="dyke looks weak").outcome is Outcome.APPLIED
    [changed] = desk.told(Entry.LEVEL_CHANGED)
    assert (changed.by, changed.reason) == ("Officer Wang", "dyke looks weak")
    desk.now += MINUTE
    desk.update(severity=Severity.SEVERE)
    assert desk.activation().level == "I"
    [suggested] = desk.told(Entry.LEVEL_SUGGESTED)
    assert suggested.attention
    assert suggested.detail["level"] == "II"


def test_a_level_named_on_activation_holds_like_any_override() -> None:
    desk = reported(make_plan(levels=TWO_LEVELS, mode=ActivationMode.CONFIRM))
    desk.command(Activate, plan="flood", level="I")
    desk.update(severity=Severity.SEVERE)
    assert (desk.activation().level, desk.activation().overridden) == ("I", True)


def test_a_measurement_an_update_does_not_repeat_keeps_the_level_up() -> None:
    levels = (Level("I", text("one"), measured("depth", 2)), Level("II", text("two")))
    desk = reported(make_plan(levels=levels), parameters={"depth": 3.0})
    desk.update(parameters={"wind": 12.0})
    assert desk.activation().level == "I"
    desk.update(parameters={"depth": 1.0})
    assert desk.activation().level == "II"


@pytest.mark.parametrize(
    ("level", "reason"),
    [("III", "flood has no level 'III', only I, II"), ("II", "flood is at level II already")],
)
def test_a_level_that_does_not_exist_or_is_in_force_already_is_refused(level: str, reason: str) -> None:
    desk = reported(PLAN)
    decision = desk.command(ChangeLevel, level=level)
    assert (decision.outcome, decision.reason) == (Outcome.REFUSED, reason)
    [refused] = desk.told(Entry.COMMAND_REFUSED)
    assert refused.attention


def test_a_level_command_must_name_the_plan_where_several_are_activated() -> None:
    desk = reported(PLAN, make_plan(name="storm", levels=TWO_LEVELS))
    decision = desk.command(ChangeLevel, level="I")
    assert decision.reason == "name the plan whose level changes; activated: flood, storm"
    assert desk.command(ChangeLevel, level="I", plan="storm").outcome is Outcome.APPLIED
    assert [desk.activation(plan).level for plan in ("flood", "storm")] == ["II", "I"]


def test_a_level_command_where_nothing_is_activated_is_refused() -> None:
    desk = reported(make_plan(levels=TWO_LEVELS, mode=ActivationMode.CONFIRM))
    assert desk.command(ChangeLevel, level="I").reason == "name the plan whose level changes; activated: none"


def test_started_work_is_superseded_too_when_its_level_ends_and_its_department_is_told() -> None:
    desk = reported(PLAN)
    desk.answer(desk.of("hospital"), Answer.START)
    desk.command(ChangeLevel, level="I")
    assert desk.of("hospital").state is AssignmentState.SUPERSEDED
    last = [order.message for order in desk.orders if order.to == "hospital"][-1]
    assert (last.notice, last.reason) == (Notice.SUPERSEDED, "the task is not asked for any more")
