"""Deadlines and escalation ladders: silence is followed up, one rung at a time, until somebody answers."""

from datetime import timedelta
from typing import Any

import pytest

from schemas.timeline import Entry
from schemas.vocabulary import Answer, AssignmentState, Clock, EscalationStep, Notice
from services.domain.incident import Deadline
from services.domain.plan import Rung
from tests.domain.builders import (
    HOUR,
    LADDER,
    MINUTE,
    START,
    Desk,
    make_directory,
    make_plan,
    make_role,
    make_task,
    reported,
)

ALONE = (make_role("cordon", "police"),)
SECOND = timedelta(seconds=1)


def alone(**task: Any) -> Desk:
    return reported(make_plan(make_task("close-roads", **task), roles=ALONE))


def steps(desk: Desk) -> list[tuple[int, str]]:
    """List what was done about silence, with the minutes since the start."""
    wanted = {Entry.OVERDUE: "deadline", Entry.REMINDED: "remind", Entry.ESCALATED: "step"}
    found = []
    for entry in desk.entries:
        if entry.entry in wanted:
            minutes = (entry.recorded_at - START) // MINUTE
            found.append((minutes, str(entry.detail.get(wanted[entry.entry], "remind"))))
    return found


def test_nothing_is_overdue_before_its_time() -> None:
    desk = alone()
    desk.wait(10 * MINUTE - SECOND)
    assert (desk.last.entries, desk.last.orders) == ((), ())
    assert not desk.of("police").overdue


def test_a_missed_deadline_is_told_and_then_each_rung_is_taken_after_its_own_wait() -> None:
    desk = alone()
    desk.run(60 * MINUTE)
    assert steps(desk) == [
        (10, "acknowledge"),
        (11, "remind"),
        (12, "deputy"),
        (14, "superior"),
        (17, "duty_officer"),
    ]
    assert desk.of("police").overdue
    assert desk.of("police").missed == (Deadline.ACKNOWLEDGE,)
    assert desk.of("police").next_due_at is None, "the ladder is exhausted"
    assert [entry.attention for entry in desk.told(Entry.ESCALATED)] == [False, False, True]
    assert [order.message.addressed_to for order in desk.orders] == [None, "liaison", "deputy", "superior"]


def test_after_an_outage_the_rungs_still_come_one_at_a_time_each_after_its_wait() -> None:
    desk = alone()
    desk.wait(120 * MINUTE)
    assert steps(desk) == [(120, "acknowledge")]
    [overdue] = desk.told(Entry.OVERDUE)
    assert overdue.occurred_at == START + 10 * MINUTE
    desk.wait(120 * MINUTE)
    assert steps(desk)[1:] == [(240, "remind")]
    desk.wait(30 * SECOND)
    assert len(steps(desk)) == 2
    desk.wait(30 * SECOND)
    assert steps(desk)[2:] == [(241, "deputy")]


def test_the_deputy_rung_calls_the_next_candidate_and_keeps_the_silent_one_open() -> None:
    desk = reported(make_plan())
    desk.run(12 * MINUTE)
    assert [(a.department, a.state, a.silent) for a in desk.assignments()] == [
        ("police", AssignmentState.ISSUED, True),
        ("traffic", AssignmentState.ISSUED, False),
    ]
    assert desk.sent("police") == [Notice.ISSUED, Notice.REMINDED, Notice.ESCALATED]
    desk.answer(desk.of("police"), Answer.COMMIT)
    assert desk.of("traffic").state is AssignmentState.SUPERSEDED


def test_the_deputy_rung_for_work_that_is_late_calls_nobody_else() -> None:
    desk = reported(make_plan(make_task("close-roads", start=15 * MINUTE)))
    desk.answer(desk.of("police"), Answer.COMMIT)
    desk.run(60 * MINUTE)
    assert [step for _, step in steps(desk)] == ["start", "remind", "deputy", "superior", "duty_officer"]
    assert [assignment.department for assignment in desk.assignments()] == ["police"]
    assert not desk.of("police").silent


@pytest.mark.parametrize("answer", [Answer.COMMIT, Answer.START, Answer.COMPLETE, Answer.DECLINE, Answer.FAIL])
def test_a_yes_or_a_no_stops_the_ladder(answer: Answer) -> None:
    desk = alone()
    desk.run(11 * MINUTE)
    desk.answer(desk.of("police"), answer)
    desk.run(60 * MINUTE)
    assert steps(desk) == [(10, "acknowledge"), (11, "remind")]
    assert desk.of("police").ladder is None
    assert not desk.of("police").overdue


@pytest.mark.parametrize("answer", [Answer.DELIVER, Answer.ACKNOWLEDGE, Answer.PROGRESS, Answer.BLOCK])
def test_receiving_and_seeing_an_order_is_neither_a_yes_nor_a_no(answer: Answer) -> None:
    desk = alone()
    desk.answer(desk.of("police"), answer)
    desk.run(60 * MINUTE)
    assert len(steps(desk)) == 5


def test_a_missed_deadline_tells_not_received_from_not_answered() -> None:
    for answer, received in ((None, False), (Answer.DELIVER, True), (Answer.ACKNOWLEDGE, True)):
        desk = alone()
        if answer is not None:
            desk.answer(desk.of("police"), answer)
        desk.run(17 * MINUTE)
        told = [*desk.told(Entry.OVERDUE), *desk.told(Entry.ESCALATED)]
        assert {entry.detail["received"] for entry in told} == {received}


def test_starting_late_is_told_with_attention_and_a_start_stops_it() -> None:
    desk = alone(start=15 * MINUTE, complete=60 * MINUTE)
    desk.answer(desk.of("police"), Answer.COMMIT)
    desk.run(15 * MINUTE)
    [overdue] = desk.told(Entry.OVERDUE)
    assert (overdue.attention, overdue.detail["deadline"]) == (True, "start")
    desk.answer(desk.of("police"), Answer.START)
    desk.run(40 * MINUTE)
    assert len(steps(desk)) == 1
    desk.run(6 * MINUTE)
    assert steps(desk)[1:] == [(60, "complete"), (61, "remind")]
    desk.answer(desk.of("police"), Answer.COMPLETE)
    desk.run(60 * MINUTE)
    assert len(steps(desk)) == 3


def test_agreeing_late_moves_the_ladder_to_the_next_deadline_still_missed_from_its_first_rung() -> None:
    desk = alone(start=11 * MINUTE)
    desk.run(12 * MINUTE)
    assert desk.of("police").rung == 2
    desk.answer(desk.of("police"), Answer.COMMIT)
    assert (desk.of("police").ladder, desk.of("police").rung) == (Deadline.START, 0)
    desk.run(2 * MINUTE)
    assert steps(desk)[-2:] == [(13, "remind"), (14, "deputy")]


def test_a_second_deadline_missed_on_the_way_does_not_restart_the_ladder() -> None:
    desk = alone(start=13 * MINUTE)
    desk.run(60 * MINUTE)
    assert steps(desk) == [
        (10, "acknowledge"),
        (11, "remind"),
        (12, "deputy"),
        (13, "start"),
        (14, "superior"),
        (17, "duty_officer"),
    ]


def test_a_superior_in_another_department_gets_the_copy_itself() -> None:
    plan = make_plan(roles=ALONE)
    desk = reported(plan, directory=make_directory({"police": "utility"}))
    desk.run(14 * MINUTE)
    [copy] = [order for order in desk.orders if order.to == "utility"]
    assert (copy.message.department, copy.message.addressed_to) == ("police", "superior")
    assert copy.message.notice is Notice.ESCALATED


def test_a_superior_without_a_department_is_reached_through_the_departments_own_line() -> None:
    plan = make_plan(roles=(make_role("cordon", "unlisted"),))
    for desk in (alone(), reported(plan)):
        desk.run(14 * MINUTE)
        assert (desk.orders[-1].to, desk.orders[-1].message.addressed_to) == (
            desk.assignments()[0].department,
            "superior",
        )


def test_a_statutory_report_counts_from_the_moment_the_incident_was_reported() -> None:
    law = make_task("report-up", complete=60 * MINUTE, clock=Clock.REPORTED)
    desk = reported(make_plan(law, roles=ALONE), reported_at=START - 20 * MINUTE)
    assert desk.of("police").complete_by == START + 40 * MINUTE
    assert desk.of("police").acknowledge_by == START + 10 * MINUTE


def test_other_work_counts_from_the_order_however_old_the_report_is() -> None:
    desk = reported(make_plan(make_task("close-roads", complete=HOUR), roles=ALONE), reported_at=START - HOUR)
    assert desk.of("police").complete_by == START + HOUR


def test_a_report_from_the_future_does_not_lengthen_the_laws_clock() -> None:
    law = make_task("report-up", complete=60 * MINUTE, clock=Clock.REPORTED)
    desk = reported(make_plan(law, roles=ALONE), reported_at=START + 20 * MINUTE)
    assert desk.of("police").complete_by == START + 60 * MINUTE


@pytest.mark.parametrize("ladder", [(), LADDER[:3]])
def test_silence_that_no_rung_takes_to_the_duty_officer_is_shown_to_him_at_once(ladder: tuple[Rung, ...]) -> None:
    desk = alone(ladder=ladder)
    desk.run(60 * MINUTE)
    [overdue] = desk.told(Entry.OVERDUE)
    assert overdue.attention
    desk = alone()
    desk.run(10 * MINUTE)
    [overdue] = desk.told(Entry.OVERDUE)
    assert not overdue.attention, "the ladder will get there"


def test_rungs_without_a_wait_are_taken_one_for_each_look_at_the_clock() -> None:
    rungs = (Rung(EscalationStep.REMIND, timedelta()), Rung(EscalationStep.DUTY_OFFICER, timedelta()))
    desk = alone(ladder=rungs)
    desk.wait(10 * MINUTE)
    assert steps(desk) == [(10, "acknowledge"), (10, "remind")]
    assert desk.next_due() == desk.now
    desk.wait(timedelta())
    assert steps(desk)[2:] == [(10, "duty_officer")]


def test_looking_at_the_clock_twice_does_nothing_twice() -> None:
    desk = alone()
    desk.run(11 * MINUTE)
    before = desk.state
    decision = desk.wait(timedelta())
    assert (decision.incident, decision.entries, decision.orders) == (before, (), ())
