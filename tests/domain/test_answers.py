"""Answers: what a department can say, what it changes, and what is refused."""

from datetime import timedelta

import pytest

from schemas.command import Close
from schemas.timeline import Entry
from schemas.vocabulary import Answer, AssignmentState, Notice, Status
from services.domain.decision import Answered, Outcome
from services.domain.engine import decide
from services.domain.incident import Assignment
from tests.domain.builders import MINUTE, START, Desk, make_id, make_plan, make_playbook, make_role, make_task, reported

FORWARD = (
    (Answer.DELIVER, AssignmentState.DELIVERED, Entry.DELIVERED, "delivered_at"),
    (Answer.ACKNOWLEDGE, AssignmentState.ACKNOWLEDGED, Entry.ACKNOWLEDGED, "acknowledged_at"),
    (Answer.COMMIT, AssignmentState.COMMITTED, Entry.COMMITTED, "committed_at"),
    (Answer.START, AssignmentState.STARTED, Entry.STARTED, "started_at"),
    (Answer.COMPLETE, AssignmentState.COMPLETED, Entry.COMPLETED, "completed_at"),
)


def one() -> tuple[Desk, Assignment]:
    desk = reported(make_plan(roles=(make_role("cordon", "police"),)))
    return desk, desk.of("police")


def test_a_department_goes_through_every_step_and_each_has_its_own_time() -> None:
    desk, assignment = one()
    for answer, state, entry, field in FORWARD:
        desk.now += MINUTE
        assert desk.answer(assignment, answer, by="Sergeant Li", note="on it").outcome is Outcome.APPLIED
        assignment = desk.of("police")
        assert assignment.state is state
        assert getattr(assignment, field) == desk.now
        [told] = desk.told(entry)
        assert (told.department, told.occurred_at) == ("police", desk.now)
    assert assignment.ended_at == desk.now
    assert assignment.next_due_at is None
    assert assignment.answered_by == "Sergeant Li"


@pytest.mark.parametrize("answer", [Answer.COMMIT, Answer.START, Answer.COMPLETE])
def test_steps_may_be_skipped(answer: Answer) -> None:
    desk, assignment = one()
    assert desk.answer(assignment, answer).outcome is Outcome.APPLIED
    assert desk.of("police").committed_at == (desk.now if answer is Answer.COMMIT else None)


def test_an_earlier_step_that_arrives_late_adds_its_time_and_never_goes_back() -> None:
    desk, assignment = one()
    desk.now += 5 * MINUTE
    desk.answer(assignment, Answer.START)
    desk.now += MINUTE
    decision = desk.answer(assignment, Answer.COMMIT, answered_at=START + 3 * MINUTE)
    assert (decision.outcome, decision.reason) == (Outcome.APPLIED, "the assignment is started")
    assert desk.of("police").state is AssignmentState.STARTED
    assert desk.of("police").committed_at == START + 3 * MINUTE


@pytest.mark.parametrize("answer", [step[0] for step in FORWARD] + [Answer.DECLINE, Answer.FAIL, Answer.ARRIVE])
def test_the_same_answer_again_changes_nothing(answer: Answer) -> None:
    desk, assignment = one()
    desk.answer(assignment, answer)
    before = desk.state
    desk.now += MINUTE
    decision = desk.answer(assignment, answer, by="somebody else")
    assert decision.outcome is Outcome.REPEATED
    assert (decision.incident, decision.entries, decision.orders) == (before, (), ())


def test_a_repeated_delegation_is_not_refused_for_having_been_carried_out() -> None:
    desk, assignment = one()
    desk.answer(assignment, Answer.DELEGATE, delegate_to="fire")
    decision = desk.answer(assignment, Answer.DELEGATE, delegate_to="fire")
    assert (decision.outcome, decision.orders) == (Outcome.REPEATED, ())
    assert desk.answer(assignment, Answer.DELEGATE, delegate_to="traffic").outcome is Outcome.REFUSED


@pytest.mark.parametrize("answer", [a for a in Answer if a not in {Answer.DELIVER, Answer.COMPLETE, Answer.DELEGATE}])
def test_an_answer_after_the_end_is_refused_and_the_department_hears_why(answer: Answer) -> None:
    desk, assignment = one()
    desk.answer(assignment, Answer.COMPLETE)
    done = desk.of("police")
    decision = desk.answer(assignment, answer, reason="too late")
    assert decision.outcome is Outcome.REFUSED
    [order] = decision.orders
    assert (order.to, order.message.notice, order.message.state) == (
        "police",
        Notice.REFUSED,
        AssignmentState.COMPLETED,
    )
    assert order.message.reason == f"{answer.value} refused: the assignment is completed already"
    [refused] = desk.told(Entry.ANSWER_REFUSED)
    assert (refused.detail["answer"], refused.detail["said"]) == (answer.value, "too late")
    assert (desk.of("police").state, desk.of("police").ended_at) == (done.state, done.ended_at)


def test_a_receipt_is_kept_even_after_the_end() -> None:
    desk, assignment = one()
    desk.command(Close)
    assert desk.of("police").state is AssignmentState.EXPIRED
    desk.now += MINUTE
    decision = desk.answer(assignment, Answer.DELIVER)
    assert (decision.outcome, decision.orders) == (Outcome.APPLIED, ())
    assert desk.of("police").delivered_at == desk.now
    assert desk.of("police").state is AssignmentState.EXPIRED
    assert desk.told(Entry.DELIVERED)


@pytest.mark.parametrize("answer", [Answer.ACKNOWLEDGE, Answer.COMMIT, Answer.START, Answer.ARRIVE, Answer.PROGRESS])
def test_what_was_said_before_the_completion_is_kept_when_it_is_heard_after(answer: Answer) -> None:
    """As when a broker has lost it, and the department says everything again."""
    desk, assignment = one()
    said_at = desk.now
    desk.now += MINUTE
    desk.answer(assignment, Answer.COMPLETE)
    done = desk.of("police")
    desk.now += MINUTE
    decision = desk.answer(assignment, answer, answered_at=said_at)
    assert (decision.outcome, decision.orders) == (Outcome.APPLIED, ())
    assert (desk.of("police").state, desk.of("police").ended_at) == (done.state, done.ended_at)
    assert decision.entries[-1].occurred_at == said_at


def test_a_receipt_that_comes_after_the_answer_adds_only_its_time() -> None:
    desk, assignment = one()
    desk.answer(assignment, Answer.COMMIT)
    desk.answer(assignment, Answer.DELIVER)
    assert desk.of("police").state is AssignmentState.COMMITTED
    assert desk.of("police").delivered_at is not None


def test_a_department_cannot_answer_for_another() -> None:
    desk, assignment = one()
    decision = desk.answer(assignment, Answer.COMMIT, department="fire")
    assert (decision.outcome, decision.reason) == (Outcome.INVALID, "the assignment is police's, not fire's")
    assert decision.orders == (), "a stranger is told nothing of an order that isn't its own"
    assert desk.of("police") == assignment
    [refused] = desk.told(Entry.ANSWER_REFUSED)
    assert refused.detail["from_department"] == "fire"
    assert refused.assignment_id is None


def test_an_answer_about_an_assignment_that_does_not_exist_is_refused_on_the_record() -> None:
    desk, assignment = one()
    decision = desk.answer(assignment, Answer.COMMIT, assignment_id=make_id(99))
    assert (decision.outcome, decision.reason) == (Outcome.INVALID, "there is no such assignment in this incident")
    assert desk.told(Entry.ANSWER_REFUSED)


def test_an_answer_about_an_incident_nobody_knows_is_refused() -> None:
    desk, assignment = one()
    desk.answer(assignment, Answer.COMMIT)
    event = desk.events[-1]
    assert isinstance(event, Answered)
    decision = decide(None, event, desk.now, desk.playbook)
    assert (decision.outcome, decision.incident) == (Outcome.INVALID, None)


@pytest.mark.parametrize("status", [Status.EXERCISE, Status.TEST])
def test_an_exercise_answer_cannot_touch_a_real_incident(status: Status) -> None:
    desk, assignment = one()
    before = desk.state
    decision = desk.answer(assignment, Answer.COMMIT, status=status)
    assert decision.outcome is Outcome.INVALID
    assert (decision.incident, decision.entries, decision.orders) == (before, (), ())


@pytest.mark.parametrize("claimed", [START - 60 * MINUTE, START + 60 * MINUTE])
def test_a_department_with_a_wrong_clock_looks_no_quicker_than_the_broker_saw_it(claimed: object) -> None:
    for broker_at, expected in ((START + 7 * MINUTE, 7), (None, 9), (START - MINUTE, 9), (START + 10 * MINUTE, 9)):
        desk, assignment = one()
        desk.now += 9 * MINUTE
        desk.answer(assignment, Answer.COMMIT, answered_at=claimed, broker_at=broker_at)
        assert desk.of("police").committed_at == START + expected * MINUTE


def test_a_department_is_believed_about_what_it_did_before_the_line_came_back() -> None:
    desk, assignment = one()
    desk.now += 9 * MINUTE
    desk.answer(assignment, Answer.COMMIT, answered_at=START + MINUTE, broker_at=START + 8 * MINUTE)
    assert desk.of("police").committed_at == START + MINUTE
    [committed] = desk.told(Entry.COMMITTED)
    assert (committed.occurred_at, committed.broker_at) == (START + MINUTE, START + 8 * MINUTE)
    assert committed.recorded_at == START + 9 * MINUTE


def test_arriving_and_progress_are_noted_and_leave_the_state_alone() -> None:
    desk, assignment = one()
    desk.answer(assignment, Answer.START)
    desk.now += timedelta(minutes=4)
    desk.answer(assignment, Answer.ARRIVE, by="Sergeant Li")
    desk.answer(assignment, Answer.PROGRESS, note="north lane closed")
    desk.answer(assignment, Answer.PROGRESS, note="south lane closed")
    assert desk.of("police").arrived_at == desk.now
    assert desk.of("police").state is AssignmentState.STARTED
    assert [entry.detail["note"] for entry in desk.told(Entry.PROGRESSED)] == ["north lane closed", "south lane closed"]
    assert desk.told(Entry.ARRIVED)[0].by == "Sergeant Li"


def test_any_answer_shows_that_the_order_was_received() -> None:
    desk, assignment = one()
    assert not assignment.received
    for answer in (Answer.DELIVER, Answer.ACKNOWLEDGE, Answer.COMMIT, Answer.ARRIVE, Answer.DECLINE):
        desk, assignment = one()
        desk.answer(assignment, answer)
        assert desk.of("police").received


def test_an_order_says_all_that_a_department_must_know() -> None:
    task = make_task("close-roads", start=15 * MINUTE, complete=60 * MINUTE)
    desk = Desk(make_playbook(make_plan(task)))
    desk.report(headline="River rising", occurred_at=START - MINUTE)
    [order] = desk.orders
    message = order.message
    assert (message.assignment_id, message.department) == (desk.of("police").id, "police")
    assert (message.title.en, message.done_when.en) == ("close-roads", "close-roads is done")
    assert message.deadlines.acknowledge_by == START + 10 * MINUTE
    assert message.deadlines.start_by == START + 15 * MINUTE
    assert message.deadlines.complete_by == START + 60 * MINUTE
    assert (message.incident.headline, message.incident.occurred_at) == ("River rising", START - MINUTE)
    assert (message.status, message.revision, message.plan_version) == (Status.ACTUAL, 1, 1)
