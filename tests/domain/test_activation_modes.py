"""Activation modes: orders at once, a person's decision, or preparation only."""

from datetime import timedelta

from schemas.command import Activate
from schemas.timeline import Entry
from schemas.vocabulary import ActivationMode, ActivationState, AssignmentState, Category, Notice
from services.domain.deadlines import CONFIRM_WITHIN
from services.domain.decision import Outcome
from services.domain.incident import Phase
from services.domain.plan import Match
from tests.domain.builders import (
    MINUTE,
    START,
    TWO_LEVELS,
    Desk,
    make_plan,
    make_playbook,
    make_role,
    make_task,
    measured,
    reported,
)

UNSURE = Match(frozenset({Category.MET}), when=measured("depth", 2))
PREPARE = make_task("prepare", "care", levels=frozenset({"standby", "I"}))
STANDBY_ONLY = make_task("listen", "care", levels=frozenset({"standby"}))
CARE = (make_role("care", "hospital", "ambulance"),)
STANDBY_PLAN = make_plan(
    make_task("close-roads"),
    PREPARE,
    STANDBY_ONLY,
    mode=ActivationMode.STANDBY,
    roles=(make_role("cordon", "police"), *CARE),
)


def test_an_automatic_plan_issues_its_orders_at_once() -> None:
    desk = reported(make_plan())
    assert desk.last.outcome is Outcome.ACTIVATED
    assert desk.activation().state is ActivationState.ACTIVATED
    assert [(order.to, order.message.notice) for order in desk.orders] == [("police", Notice.ISSUED)]
    entries = [entry.entry for entry in desk.entries]
    assert entries == [Entry.REPORTED, Entry.PLAN_MATCHED, Entry.ACTIVATED, Entry.ISSUED]
    assert not any(entry.attention for entry in desk.entries)
    issued = desk.entries[-1]
    assert (issued.assignment_id, issued.department) == (desk.of("police").id, "police")
    assert issued.detail == {"task": "close-roads", "role": "cordon", "plan": "flood", "level": "I"}


def test_a_plan_to_confirm_waits_for_a_person_and_orders_nothing() -> None:
    desk = reported(make_plan(mode=ActivationMode.CONFIRM))
    assert desk.last.outcome is Outcome.AWAITING
    assert desk.activation().state is ActivationState.MONITORING
    assert desk.activation().level is None
    assert desk.orders == []
    [matched] = desk.told(Entry.PLAN_MATCHED)
    assert matched.attention


def test_not_even_standby_tasks_are_issued_while_a_confirmation_is_awaited() -> None:
    assert reported(make_plan(STANDBY_ONLY, PREPARE, mode=ActivationMode.CONFIRM, roles=CARE)).orders == []


def test_a_confirmation_that_does_not_come_alarms_the_duty_officer_again_and_again() -> None:
    desk = reported(make_plan(mode=ActivationMode.CONFIRM, confirm_within=2 * MINUTE))
    desk.wait(2 * MINUTE - timedelta(seconds=1))
    assert desk.told(Entry.CONFIRMATION_OVERDUE) == []
    desk.run(3 * MINUTE)
    overdue = desk.told(Entry.CONFIRMATION_OVERDUE)
    assert [entry.recorded_at - START for entry in overdue] == [2 * MINUTE, 4 * MINUTE]
    assert all(entry.attention for entry in overdue)


def test_a_plan_without_a_time_of_its_own_gets_the_usual_time_to_confirm() -> None:
    desk = reported(make_plan(mode=ActivationMode.CONFIRM))
    assert desk.activation().next_due_at == START + CONFIRM_WITHIN == START + 5 * MINUTE


def test_confirming_activates_the_waiting_plan_and_ends_the_alarms() -> None:
    desk = reported(make_plan(mode=ActivationMode.CONFIRM, levels=TWO_LEVELS))
    waiting = desk.activation()
    decision = desk.command(Activate, plan="flood")
    assert (decision.outcome, decision.reason) == (Outcome.ACTIVATED, "flood at level II")
    assert desk.activation().id == waiting.id
    assert desk.activation().next_due_at is None
    assert desk.sent("police") == [Notice.ISSUED]
    [activated] = desk.told(Entry.ACTIVATED)
    assert activated.by == "Officer Wang"


def test_the_waiting_plan_obeys_the_wording_it_was_matched_with_not_the_one_published_since() -> None:
    old = make_plan(make_task("old-task"), mode=ActivationMode.CONFIRM, digest="old")
    new = make_plan(make_task("new-task"), version=2, digest="new")
    desk = Desk(make_playbook(old))
    desk.report()
    desk.playbook = make_playbook(new, frozen=(old,))
    desk.command(Activate, plan="flood")
    assert [assignment.task for assignment in desk.assignments()] == ["old-task"]


def test_a_standby_plan_issues_only_its_standby_tasks() -> None:
    desk = reported(STANDBY_PLAN)
    assert desk.last.outcome is Outcome.STANDBY
    assert desk.activation().state is ActivationState.WARNING
    assert [assignment.task for assignment in desk.assignments()] == ["prepare", "listen"]
    assert desk.told(Entry.STANDBY)


def test_raising_a_standby_plan_keeps_common_tasks_drops_standby_ones_and_issues_the_rest() -> None:
    desk = reported(STANDBY_PLAN)
    desk.command(Activate, plan="flood")
    states = {assignment.task: assignment.state for assignment in desk.assignments()}
    assert states == {
        "prepare": AssignmentState.ISSUED,
        "listen": AssignmentState.SUPERSEDED,
        "close-roads": AssignmentState.ISSUED,
    }


def test_a_guard_that_cannot_be_decided_brings_even_an_automatic_plan_before_a_person() -> None:
    desk = reported(make_plan(match=UNSURE))
    assert desk.last.outcome is Outcome.AWAITING
    assert desk.activation().state is ActivationState.MONITORING
    assert "can't be decided" in (desk.told(Entry.PLAN_MATCHED)[0].reason or "")


def test_nothing_that_answers_is_told_with_attention_and_the_incident_stays_open() -> None:
    desk = reported(make_plan(), categories=(Category.HEALTH,))
    assert desk.last.outcome is Outcome.NO_PLAN
    [told] = desk.told(Entry.NO_PLAN)
    assert told.attention
    assert desk.state.phase is Phase.OPEN


def test_the_strongest_outcome_speaks_for_several_plans_and_all_reasons_are_kept() -> None:
    plans = [
        make_plan(name="confirm", mode=ActivationMode.CONFIRM, match=Match(frozenset({Category.MET}), priority=90)),
        make_plan(name="standby", mode=ActivationMode.STANDBY),
        make_plan(name="automatic"),
    ]
    desk = reported(*plans)
    assert desk.last.outcome is Outcome.ACTIVATED
    assert desk.last.reason == "confirm: category Met; automatic: category Met; standby: category Met"


def test_an_officer_can_put_a_plan_into_force_that_no_report_matched() -> None:
    fire = make_plan(name="fire", match=Match(frozenset({Category.FIRE})))
    desk = reported(fire)
    assert desk.command(Activate, plan="fire").outcome is Outcome.ACTIVATED
    assert desk.sent("police") == [Notice.ISSUED]
