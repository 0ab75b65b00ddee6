"""Commands: what a duty officer decides is carried out, or refused with a reason that is kept."""

from datetime import timedelta
from typing import Any

import pytest

from schemas.command import (
    Activate,
    AddTask,
    ChangeLevel,
    Close,
    Inform,
    Reassign,
    Remind,
    ResolveObstacle,
    StandDown,
    TakeObstacle,
)
from schemas.timeline import Entry
from schemas.vocabulary import ActivationMode, Answer, Notice, Status
from services.domain.decision import Commanded, Outcome
from services.domain.engine import decide
from tests.domain.builders import MINUTE, TWO_LEVELS, make_id, make_plan, reported

EVERY_KIND: dict[Any, dict[str, Any]] = {
    Activate: {"plan": "flood"},
    ChangeLevel: {"level": "I"},
    StandDown: {},
    Close: {},
    Reassign: {"assignment_id": make_id(9), "department": "fire"},
    Remind: {"assignment_id": make_id(9)},
    TakeObstacle: {"obstacle_id": make_id(9)},
    ResolveObstacle: {"obstacle_id": make_id(9)},
    AddTask: {"departments": ("fire",), "title": "Pump", "done_when": "It is dry"},
    Inform: {},
}
PLAN = make_plan(levels=TWO_LEVELS)


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_a_command_about_an_incident_nobody_knows_is_refused(kind: Any) -> None:
    desk = reported(PLAN)
    desk.command(kind, **EVERY_KIND[kind])
    event = desk.events[-1]
    assert isinstance(event, Commanded)
    decision = decide(None, event, desk.now, desk.playbook)
    assert (decision.outcome, decision.reason, decision.incident) == (
        Outcome.INVALID,
        "there is no such incident",
        None,
    )


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_an_exercise_command_cannot_touch_a_real_incident(kind: Any) -> None:
    desk = reported(PLAN)
    before = desk.state
    decision = desk.command(kind, status=Status.EXERCISE, **EVERY_KIND[kind])
    assert decision.outcome is Outcome.INVALID
    assert (decision.incident, decision.entries, decision.orders) == (before, (), ())


def test_a_refused_command_is_kept_with_its_reason_and_changes_nothing_else() -> None:
    desk = reported(PLAN)
    before = desk.state
    decision = desk.command(Activate, plan="volcano", decided_at=desk.now - timedelta(seconds=9))
    assert (decision.outcome, decision.reason) == (Outcome.REFUSED, "there is no published plan 'volcano'")
    [refused] = decision.entries
    assert (refused.entry, refused.attention, refused.by) == (Entry.COMMAND_REFUSED, True, "Officer Wang")
    assert (refused.reason, refused.detail["action"]) == (decision.reason, "activate")
    assert refused.occurred_at == desk.now - timedelta(seconds=9)
    assert (decision.incident, decision.orders) == (before, ())


def test_a_plan_cannot_be_activated_twice_or_at_a_level_it_does_not_have() -> None:
    desk = reported(PLAN)
    assert desk.command(Activate, plan="flood").reason == "flood is already activated at level II"
    assert desk.command(Activate, plan="flood", level="V").reason == "flood has no level 'V', only I, II"


def test_an_activation_names_who_decided_why_and_when() -> None:
    desk = reported(make_plan(mode=ActivationMode.CONFIRM, levels=TWO_LEVELS))
    decided_at, desk.now = desk.now + MINUTE, desk.now + 2 * MINUTE
    desk.command(Activate, plan="flood", level="I", reason="water at the dyke", decided_at=decided_at)
    [activated] = desk.told(Entry.ACTIVATED)
    assert (activated.by, activated.reason, activated.occurred_at) == ("Officer Wang", "water at the dyke", decided_at)
    assert activated.detail["level"] == "I"


def test_a_reminder_sends_the_open_order_again_to_its_own_department() -> None:
    desk = reported(PLAN)
    decision = desk.command(Remind, assignment_id=desk.of("police").id, reason="we need you now")
    assert decision.outcome is Outcome.APPLIED
    [order] = decision.orders
    assert (order.to, order.message.notice, order.message.reason) == ("police", Notice.REMINDED, "we need you now")
    assert order.message.revision == 2
    assert desk.told(Entry.REMINDED)[0].by == "Officer Wang"


def test_nobody_is_reminded_of_what_is_over_or_never_was() -> None:
    desk = reported(PLAN)
    desk.answer(desk.of("police"), Answer.COMPLETE)
    for assignment_id in (desk.of("police").id, make_id(99)):
        decision = desk.command(Remind, assignment_id=assignment_id)
        assert (decision.outcome, decision.orders) == (Outcome.REFUSED, ())


def test_standing_down_names_one_plan_or_all_of_them() -> None:
    desk = reported(PLAN, make_plan(name="storm"), make_plan(name="landslide"))
    assert desk.command(StandDown, plan="storm").reason == "1 stood down"
    assert [desk.activation(plan).stood_down_at is None for plan in ("flood", "storm", "landslide")] == [
        True,
        False,
        True,
    ]
    assert desk.command(StandDown).reason == "2 stood down"
    assert desk.command(StandDown).reason == "no such plan is in force"
    assert desk.command(StandDown, plan="volcano").outcome is Outcome.REFUSED
