"""Filling: who is called, in which order, how many must agree, and what happens when nobody is left."""

from datetime import timedelta

from schemas.command import ChangeLevel, Reassign
from schemas.timeline import Entry
from schemas.vocabulary import Answer, AssignmentState, Notice
from services.domain.decision import Outcome
from tests.domain.builders import MINUTE, START, TWO_LEVELS, Desk, make_plan, make_role, make_task, measured, reported

QUOTA = make_role("cordon", "police", "traffic", "fire", "ambulance", needed=2, wait=3 * MINUTE)
QUOTA_PLAN = make_plan(roles=(QUOTA,))


def called(desk: Desk) -> list[str]:
    return [assignment.department for assignment in desk.assignments()]


def states(desk: Desk) -> dict[str, AssignmentState]:
    return {assignment.department: assignment.state for assignment in desk.assignments()}


def test_the_first_candidate_is_called_and_the_deputies_are_left_alone() -> None:
    assert called(reported(make_plan())) == ["police"]


def test_a_no_calls_the_next_candidate_at_once() -> None:
    for answer in (Answer.DECLINE, Answer.FAIL):
        desk = reported(make_plan())
        decision = desk.answer(desk.of("police"), answer)
        assert called(desk) == ["police", "traffic"]
        assert [order.to for order in decision.orders] == ["traffic"]


def test_a_failure_after_a_start_calls_the_next_candidate_and_the_officer_sees_it() -> None:
    desk = reported(make_plan())
    desk.answer(desk.of("police"), Answer.START)
    desk.answer(desk.of("police"), Answer.FAIL)
    assert called(desk) == ["police", "traffic"]
    [failed] = desk.told(Entry.FAILED)
    assert failed.attention


def test_when_all_have_said_no_the_officer_is_told_exactly_once_that_nobody_is_left() -> None:
    desk = reported(make_plan())
    for department in ("police", "traffic"):
        desk.answer(desk.of(department), Answer.DECLINE)
    [unfilled] = desk.told(Entry.UNFILLED)
    assert unfilled.attention
    assert unfilled.activation_id == desk.activation().id
    assert unfilled.detail == {"task": "close-roads", "role": "cordon", "plan": "flood", "missing": 1}
    assert desk.activation().unfilled == ("close-roads",)
    desk.run(60 * MINUTE)
    desk.update(headline="still raining")
    assert len(desk.told(Entry.UNFILLED)) == 1


def test_a_silent_department_may_still_answer_and_so_leaves_the_task_filled() -> None:
    desk = reported(make_plan())
    desk.run(12 * MINUTE)
    desk.answer(desk.of("traffic"), Answer.DECLINE)
    assert desk.activation().unfilled == ()
    desk.answer(desk.of("police"), Answer.DECLINE)
    assert desk.activation().unfilled == ("close-roads",)


def test_an_officer_can_place_an_unfilled_task_with_a_department_the_plan_did_not_name() -> None:
    desk = reported(make_plan())
    for department in ("police", "traffic"):
        desk.answer(desk.of(department), Answer.DECLINE)
    decision = desk.command(Reassign, assignment_id=desk.of("police").id, department="fire")
    assert decision.outcome is Outcome.APPLIED
    assert [(order.to, order.message.notice) for order in decision.orders] == [("fire", Notice.ISSUED)]
    assert desk.of("fire").parent_id == desk.of("police").id
    assert desk.of("police").state is AssignmentState.DECLINED
    assert desk.activation().unfilled == ()
    desk.answer(desk.of("fire"), Answer.DECLINE)
    assert len(desk.told(Entry.UNFILLED)) == 2, "a task that is unfilled anew is told anew"


def test_a_quota_calls_as_many_as_it_needs() -> None:
    assert called(reported(QUOTA_PLAN)) == ["police", "traffic"]


def test_a_quota_that_asks_for_more_than_there_are_is_told_at_once() -> None:
    desk = reported(make_plan(roles=(make_role("cordon", "police", needed=3, wait=MINUTE),)))
    [unfilled] = desk.told(Entry.UNFILLED)
    assert unfilled.detail["missing"] == 2


def test_a_no_in_a_quota_calls_one_more_and_a_yes_calls_nobody() -> None:
    desk = reported(QUOTA_PLAN)
    desk.answer(desk.of("police"), Answer.COMMIT)
    assert called(desk) == ["police", "traffic"]
    desk.answer(desk.of("traffic"), Answer.DECLINE)
    assert called(desk) == ["police", "traffic", "fire"]


def test_silence_calls_the_next_after_the_wait_and_leaves_the_silent_one_open() -> None:
    desk = reported(QUOTA_PLAN)
    desk.answer(desk.of("police"), Answer.COMMIT)
    desk.wait(3 * MINUTE - timedelta(seconds=1))
    assert called(desk) == ["police", "traffic"]
    desk.wait(timedelta(seconds=1))
    assert called(desk) == ["police", "traffic", "fire"]
    silent = desk.of("traffic")
    assert silent.silent
    assert silent.state is AssignmentState.ISSUED
    [escalated] = desk.told(Entry.ESCALATED)
    assert escalated.assignment_id == silent.id


def test_the_wait_of_a_quota_falls_due_once_and_not_for_those_who_answered() -> None:
    desk = reported(QUOTA_PLAN)
    desk.answer(desk.of("police"), Answer.COMMIT)
    assert desk.of("police").next_due_at is None
    assert desk.next_due() == START + 3 * MINUTE
    desk.wait(3 * MINUTE)
    assert desk.of("traffic").next_due_at == START + 10 * MINUTE


def test_the_first_commitments_win_and_the_unanswered_rest_is_superseded_and_told() -> None:
    desk = reported(QUOTA_PLAN)
    desk.wait(3 * MINUTE)
    assert called(desk) == ["police", "traffic", "fire", "ambulance"]
    desk.answer(desk.of("ambulance"), Answer.COMMIT)
    desk.answer(desk.of("police"), Answer.START)
    assert states(desk) == {
        "police": AssignmentState.STARTED,
        "traffic": AssignmentState.SUPERSEDED,
        "fire": AssignmentState.SUPERSEDED,
        "ambulance": AssignmentState.COMMITTED,
    }
    assert not desk.of("police").silent, "who answers is not silent any more"
    last = [order.message for order in desk.orders if order.to == "fire"][-1]
    assert (last.notice, last.reason) == (Notice.SUPERSEDED, "others have taken it on")


def test_a_superseded_department_that_answers_later_is_refused_and_hears_why() -> None:
    desk = reported(make_plan())
    desk.run(12 * MINUTE)
    desk.answer(desk.of("traffic"), Answer.COMMIT)
    decision = desk.answer(desk.of("police"), Answer.COMMIT)
    assert decision.outcome is Outcome.REFUSED
    [order] = decision.orders
    assert (order.to, order.message.notice) == ("police", Notice.REFUSED)
    assert order.message.reason == "commit refused: the assignment is superseded already"
    assert desk.of("police").state is AssignmentState.SUPERSEDED


def test_the_next_is_called_again_when_a_commitment_that_won_falls_away() -> None:
    desk = reported(make_plan())
    desk.run(12 * MINUTE)
    desk.answer(desk.of("traffic"), Answer.COMMIT)
    desk.answer(desk.of("traffic"), Answer.FAIL)
    assert called(desk) == ["police", "traffic", "police"]
    assert desk.of("police").state is AssignmentState.ISSUED


def test_a_person_who_has_seen_the_order_has_not_agreed_and_the_wait_runs_on() -> None:
    desk = reported(QUOTA_PLAN)
    desk.answer(desk.of("police"), Answer.ACKNOWLEDGE)
    desk.wait(3 * MINUTE)
    assert called(desk) == ["police", "traffic", "fire", "ambulance"]
    desk.answer(desk.of("police"), Answer.ACKNOWLEDGE)
    assert desk.of("police").silent


def test_a_completed_assignment_counts_towards_the_quota() -> None:
    desk = reported(QUOTA_PLAN)
    desk.answer(desk.of("police"), Answer.COMPLETE)
    desk.answer(desk.of("traffic"), Answer.DECLINE)
    assert called(desk) == ["police", "traffic", "fire"]
    desk.answer(desk.of("fire"), Answer.COMPLETE)
    desk.run(30 * MINUTE)
    assert called(desk) == ["police", "traffic", "fire"]


def test_a_task_guard_that_does_not_hold_keeps_the_task_back_until_it_does() -> None:
    desk = reported(make_plan(make_task("pump", when=measured("depth", 2))), parameters={"depth": 1.0})
    assert called(desk) == []
    desk.update(parameters={"depth": 2.5})
    assert called(desk) == ["police"]
    desk.update(parameters={"depth": 0.5})
    assert desk.of("police").state is AssignmentState.SUPERSEDED


def test_a_task_guard_that_cannot_be_decided_does_not_hold_an_order_back() -> None:
    assert called(reported(make_plan(make_task("pump", when=measured("depth", 2))))) == ["police"]


def test_a_department_that_declined_is_not_asked_the_same_again_when_the_level_returns() -> None:
    plan = make_plan(make_task("close-roads", levels=frozenset({"II"})), levels=TWO_LEVELS)
    desk = reported(plan)
    desk.answer(desk.of("police"), Answer.DECLINE)
    for level in ("I", "II"):
        desk.command(ChangeLevel, level=level)
    assert called(desk) == ["police", "traffic", "traffic"]


def test_an_unfilled_task_that_is_not_asked_for_any_more_is_not_reported_as_unfilled() -> None:
    plan = make_plan(
        make_task("close-roads", levels=frozenset({"II"})), levels=TWO_LEVELS, roles=(make_role("cordon", "police"),)
    )
    desk = reported(plan)
    desk.answer(desk.of("police"), Answer.DECLINE)
    assert desk.activation().unfilled == ("close-roads",)
    desk.command(ChangeLevel, level="I")
    assert desk.activation().unfilled == ()


def test_an_incident_lists_the_hands_a_task_went_through_oldest_first() -> None:
    desk = reported(make_plan(make_task("close-roads"), make_task("search")))
    desk.answer(desk.of("police", "close-roads"), Answer.DECLINE)
    found = desk.state.of_task(desk.activation().id, "close-roads")
    assert [(a.department, a.task) for a in found] == [("police", "close-roads"), ("traffic", "close-roads")]
