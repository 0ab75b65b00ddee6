"""Calls: a plan puts other plans into force beside itself."""

from typing import Any

from schemas.command import Activate, ChangeLevel, StandDown
from schemas.timeline import Entry
from schemas.vocabulary import ActivationMode, ActivationState, Category, Notice
from services.domain.plan import Call, Match, Plan
from tests.domain.builders import (
    MINUTE,
    TWO_LEVELS,
    Desk,
    at_level,
    make_plan,
    make_role,
    make_task,
    measured,
    reported,
)

NEVER = Match(frozenset({Category.OTHER}))
CALLED = make_plan(make_task("shelter"), name="shelter", match=NEVER, roles=(make_role("cordon", "hospital"),))


def caller(*calls: Call, **changes: Any) -> Plan:
    return make_plan(calls=calls or (Call("shelter"),), levels=TWO_LEVELS, **changes)


def state_of(desk: Desk, plan: str = "shelter") -> list[ActivationState]:
    return [activation.state for activation in desk.state.activations.values() if activation.plan == plan]


def test_a_called_plan_is_put_into_force_at_once_whatever_its_own_mode() -> None:
    for mode in ActivationMode:
        called = make_plan(make_task("shelter"), name="shelter", match=NEVER, mode=mode)
        desk = reported(caller(), called)
        assert state_of(desk) == [ActivationState.ACTIVATED]
        assert desk.activation("shelter").parent_id == desk.activation("flood").id
        assert desk.told(Entry.ACTIVATED)[-1].reason == "called by flood"
        assert desk.sent("police") == [Notice.ISSUED, Notice.ISSUED]


def test_nothing_is_called_before_the_caller_is_activated() -> None:
    desk = reported(caller(mode=ActivationMode.CONFIRM), CALLED)
    assert state_of(desk) == []
    desk.command(Activate, plan="flood")
    assert state_of(desk) == [ActivationState.ACTIVATED]


def test_a_call_has_a_condition_and_one_that_cannot_be_decided_calls() -> None:
    guarded = caller(Call("shelter", measured("depth", 2)))
    assert state_of(reported(guarded, CALLED, parameters={"depth": 1.0})) == []
    assert state_of(reported(guarded, CALLED, parameters={"depth": 2.0})) == [ActivationState.ACTIVATED]
    assert state_of(reported(guarded, CALLED)) == [ActivationState.ACTIVATED]


def test_a_call_whose_condition_comes_to_hold_with_an_update_is_made_then() -> None:
    desk = reported(caller(Call("shelter", measured("depth", 2))), CALLED, parameters={"depth": 1.0})
    desk.update(parameters={"depth": 2.0})
    assert state_of(desk) == [ActivationState.ACTIVATED]
    assert desk.sent("hospital") == [Notice.ISSUED]


def test_a_plan_that_is_called_at_a_level_only_is_called_when_the_level_is_reached() -> None:
    desk = reported(caller(Call("shelter", at_level("I"))), CALLED)
    assert state_of(desk) == []
    desk.command(ChangeLevel, level="I")
    assert state_of(desk) == [ActivationState.ACTIVATED]


def test_a_plan_is_called_once_by_one_activation() -> None:
    desk = reported(caller(), CALLED)
    desk.command(StandDown, plan="shelter")
    for severity in ("Extreme", "Moderate"):
        desk.now += MINUTE
        desk.update(severity=severity)
    assert state_of(desk) == [ActivationState.STOOD_DOWN]


def test_a_called_plan_that_only_waits_or_stands_by_is_raised() -> None:
    for mode, before in (
        (ActivationMode.CONFIRM, ActivationState.MONITORING),
        (ActivationMode.STANDBY, ActivationState.WARNING),
    ):
        own = Match(frozenset({Category.MET}), priority=90)
        called = make_plan(make_task("shelter"), name="shelter", match=own, mode=mode)
        desk = reported(caller(mode=ActivationMode.CONFIRM), called)
        assert state_of(desk) == [before]
        desk.command(Activate, plan="flood")
        assert state_of(desk) == [ActivationState.ACTIVATED]


def test_a_called_plan_that_is_activated_already_is_left_alone() -> None:
    own = make_plan(name="shelter", match=Match(frozenset({Category.MET}), priority=90))
    desk = reported(caller(), own)
    assert state_of(desk) == [ActivationState.ACTIVATED]
    assert len(desk.told(Entry.ACTIVATED)) == 2


def test_a_called_plan_that_a_person_stood_down_before_waits_for_a_person() -> None:
    desk = reported(caller(mode=ActivationMode.CONFIRM), CALLED)
    desk.command(Activate, plan="shelter")
    desk.command(StandDown, plan="shelter")
    desk.command(Activate, plan="flood")
    assert state_of(desk) == [ActivationState.STOOD_DOWN, ActivationState.MONITORING]
    assert desk.told(Entry.PLAN_MATCHED)[-1].attention


def test_a_called_plan_that_is_not_published_is_told_with_attention() -> None:
    desk = reported(caller())
    [told] = desk.told(Entry.NO_PLAN)
    assert (told.attention, told.reason) == (True, "called by flood, but not published")
    assert told.detail["called"] == "shelter"


def test_plans_that_call_each_other_are_each_put_into_force_once() -> None:
    back = make_plan(make_task("shelter"), name="shelter", match=NEVER, calls=(Call("flood"),))
    desk = reported(caller(), back)
    assert len(desk.state.activations) == 2
