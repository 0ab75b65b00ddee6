"""The engine: the same event at the same moment gives the same bytes, and the clock must say where it stands."""

from collections.abc import Callable

import pytest

from schemas.command import ChangeLevel, Close
from schemas.vocabulary import Answer, MessageType, Severity
from services.domain.decision import Decision, Event, Outcome, Reported, TimePassed
from services.domain.engine import decide
from tests.domain.builders import (
    MINUTE,
    START,
    TWO_LEVELS,
    Desk,
    make_id,
    make_plan,
    make_playbook,
    make_report,
    make_role,
    make_task,
)

QUOTA = make_role("cordon", "police", "traffic", "fire", needed=2, wait=3 * MINUTE)
PLAN = make_plan(
    make_task("close-roads"),
    make_task("evacuate", levels=frozenset({"I"})),
    make_task("tidy", stand_down=True),
    roles=(QUOTA,),
    levels=TWO_LEVELS,
)


def written(decision: Decision) -> bytes:
    """Write all of a decision as the bytes that would go out and be kept."""
    messages = [entry.model_dump_json() for entry in decision.entries]
    messages += [f"{order.id} {order.to} {order.message.model_dump_json()}" for order in decision.orders]
    rest = (decision.outcome, decision.reason, decision.incident, decision.opened, decision.released)
    return "\n".join([*messages, repr(rest)]).encode()


STEPS: list[Callable[[Desk], Decision]] = [
    lambda desk: desk.report(),
    lambda desk: desk.wait(11 * MINUTE),
    lambda desk: desk.answer(desk.of("traffic"), Answer.DECLINE),
    lambda desk: desk.update(severity=Severity.EXTREME),
    lambda desk: desk.command(ChangeLevel, level="II"),
    lambda desk: desk.answer(desk.of("police"), Answer.BLOCK),
    lambda desk: desk.answer(desk.of("police"), Answer.COMPLETE),
    lambda desk: desk.command(Close),
    lambda desk: desk.report(MessageType.CANCEL),
]


def test_the_same_event_on_the_same_state_at_the_same_moment_gives_the_same_bytes() -> None:
    desk = Desk(make_playbook(PLAN))
    for step in STEPS:
        before = desk.known
        decision = step(desk)
        again = decide(before, desk.events[-1], desk.now, desk.playbook)
        assert again == decision
        assert written(again) == written(decision)


def test_a_decision_leaves_the_state_it_was_made_from_as_it_was() -> None:
    desk = Desk(make_playbook(PLAN))
    for step in STEPS:
        before = repr(desk.known)
        known = desk.known
        step(desk)
        assert repr(known) == before


def test_the_same_story_told_twice_gives_the_same_bytes() -> None:
    one, two = Desk(make_playbook(PLAN)), Desk(make_playbook(PLAN))
    for step in STEPS:
        assert written(step(one)) == written(step(two))


@pytest.mark.parametrize(
    "event",
    [
        Reported(make_id(5), make_report()),
        TimePassed(make_id(5)),
    ],
)
def test_a_moment_without_its_offset_is_refused(event: Event) -> None:
    with pytest.raises(ValueError, match="offset"):
        decide(None, event, START.replace(tzinfo=None), make_playbook(PLAN))


def test_time_that_passes_for_nobody_is_turned_down() -> None:
    assert decide(None, TimePassed(make_id(5)), START, make_playbook(PLAN)).outcome is Outcome.INVALID


def test_every_entry_carries_when_the_broker_had_the_message_and_when_it_was_recorded() -> None:
    desk = Desk(make_playbook(PLAN))
    desk.now += MINUTE
    decision = desk.apply(Reported(make_id(5), make_report(), broker_at=START))
    assert {(entry.broker_at, entry.recorded_at) for entry in decision.entries} == {(START, desk.now)}
    desk.answer(desk.of("police"), Answer.COMMIT, broker_at=desk.now)
    assert desk.entries[-1].broker_at == desk.now
    assert desk.wait(9 * MINUTE).entries[0].broker_at is None
