"""Delegation and reassignment: an order changes hands, and both hands are told."""

from schemas.command import Close, Reassign
from schemas.timeline import Entry
from schemas.vocabulary import Answer, AssignmentState, Notice
from services.domain.decision import Outcome
from tests.domain.builders import MINUTE, make_id, make_plan, make_role, make_task, reported


def test_delegating_makes_a_child_for_the_other_department_and_releases_the_first() -> None:
    desk = reported(make_plan())
    desk.now += MINUTE
    decision = desk.answer(desk.of("police"), Answer.DELEGATE, delegate_to="fire", reason="closer to it")
    assert (decision.outcome, decision.reason) == (Outcome.APPLIED, "delegated to fire")
    parent, child = desk.of("police"), desk.of("fire")
    assert (parent.state, parent.reason) == (AssignmentState.SUPERSEDED, "handed over to fire: closer to it")
    assert (child.parent_id, child.state, child.issued_at) == (parent.id, AssignmentState.ISSUED, desk.now)
    assert [(order.to, order.message.notice) for order in decision.orders] == [
        ("police", Notice.SUPERSEDED),
        ("fire", Notice.ISSUED),
    ]
    assert decision.orders[1].message.parent_id == parent.id
    [delegated] = desk.told(Entry.DELEGATED)
    assert (delegated.detail["to"], delegated.reason) == ("fire", "closer to it")


def test_when_the_heir_declines_the_next_candidate_is_called_and_not_who_handed_over() -> None:
    desk = reported(make_plan())
    desk.answer(desk.of("police"), Answer.DELEGATE, delegate_to="fire")
    desk.answer(desk.of("fire"), Answer.DECLINE)
    assert [assignment.department for assignment in desk.assignments()] == ["police", "fire", "traffic"]
    desk.answer(desk.of("traffic"), Answer.DECLINE)
    assert desk.activation().unfilled == ("close-roads",)


def test_nobody_can_delegate_to_a_department_that_does_not_exist() -> None:
    desk = reported(make_plan())
    decision = desk.answer(desk.of("police"), Answer.DELEGATE, delegate_to="coast-guard")
    assert decision.reason == "there is no department 'coast-guard' in the directory"
    assert [order.message.notice for order in decision.orders] == [Notice.REFUSED]
    assert desk.of("police").state is AssignmentState.ISSUED


def test_nobody_can_delegate_to_a_department_that_has_the_task_already() -> None:
    desk = reported(make_plan(roles=(make_role("cordon", "police", "traffic", needed=2),)))
    assert (
        desk.answer(desk.of("police"), Answer.DELEGATE, delegate_to="traffic").reason == "traffic has this task already"
    )
    assert (
        desk.answer(desk.of("police"), Answer.DELEGATE, delegate_to="police").reason == "police has this task already"
    )
    desk.answer(desk.of("traffic"), Answer.COMPLETE)
    assert desk.answer(desk.of("police"), Answer.DELEGATE, delegate_to="traffic").outcome is Outcome.REFUSED


def test_an_officer_can_hand_an_order_to_another_department() -> None:
    desk = reported(make_plan())
    decision = desk.command(Reassign, assignment_id=desk.of("police").id, department="fire", reason="road is cut")
    assert (decision.outcome, decision.reason) == (Outcome.APPLIED, "handed over to fire")
    assert desk.of("police").state is AssignmentState.SUPERSEDED
    assert desk.sent("fire") == [Notice.ISSUED]
    [delegated] = desk.told(Entry.DELEGATED)
    assert (delegated.by, delegated.reason) == ("Officer Wang", "road is cut")


def test_an_officer_cannot_hand_over_what_does_not_exist_is_over_or_has_no_taker() -> None:
    desk = reported(make_plan())
    missing = desk.command(Reassign, assignment_id=make_id(99), department="fire")
    nowhere = desk.command(Reassign, assignment_id=desk.of("police").id, department="coast-guard")
    assert missing.reason == "there is no such open assignment"
    assert nowhere.reason == "there is no department 'coast-guard' in the directory"
    desk.answer(desk.of("police"), Answer.COMPLETE)
    over = desk.command(Reassign, assignment_id=desk.of("police").id, department="fire")
    assert over.outcome is Outcome.REFUSED
    assert len(desk.told(Entry.COMMAND_REFUSED)) == 3


def test_an_unfilled_task_of_a_closed_incident_cannot_be_placed_any_more() -> None:
    tidy = make_task("tidy", stand_down=True)
    desk = reported(make_plan(make_task("close-roads"), tidy, roles=(make_role("cordon", "police"),)))
    desk.command(Close)
    desk.answer(desk.of("police", "tidy"), Answer.DECLINE)
    assert desk.activation().unfilled == ("tidy",)
    desk.command(Close)
    decision = desk.command(Reassign, assignment_id=desk.of("police", "tidy").id, department="fire")
    assert (decision.outcome, decision.orders) == (Outcome.REFUSED, ())
