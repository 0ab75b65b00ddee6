"""Read-back: where the order asks for it, nobody takes it on without repeating it."""

import pytest

from schemas.vocabulary import Answer, AssignmentState, Notice
from services.domain.decision import Outcome
from services.domain.incident import Assignment
from tests.domain.builders import LADDER, MINUTE, Desk, make_plan, make_task, reported


def one() -> tuple[Desk, Assignment]:
    desk = reported(make_plan(make_task("close-roads", read_back=True)))
    assert desk.orders[0].message.read_back
    return desk, desk.of("police")


@pytest.mark.parametrize("answer", [Answer.COMMIT, Answer.START, Answer.COMPLETE])
@pytest.mark.parametrize("read_back", [None, "", "  "])
def test_taking_an_order_on_without_reading_it_back_is_refused(answer: Answer, read_back: str | None) -> None:
    desk, assignment = one()
    decision = desk.answer(assignment, answer, read_back=read_back)
    assert decision.outcome is Outcome.REFUSED
    [order] = decision.orders
    assert (order.to, order.message.notice) == ("police", Notice.REFUSED)
    assert "read-back" in (order.message.reason or "")
    assert desk.of("police").state is AssignmentState.ISSUED


def test_an_order_that_was_read_back_is_taken_on_and_the_words_are_kept() -> None:
    desk, assignment = one()
    assert desk.answer(assignment, Answer.COMMIT, read_back=" both lanes by nine ").outcome is Outcome.APPLIED
    assert desk.of("police").read_back == "both lanes by nine"


def test_one_read_back_is_enough_for_all_later_steps() -> None:
    desk, assignment = one()
    desk.answer(assignment, Answer.ACKNOWLEDGE, read_back="both lanes by nine")
    for answer in (Answer.COMMIT, Answer.START, Answer.COMPLETE):
        assert desk.answer(assignment, answer).outcome is Outcome.APPLIED
    assert desk.of("police").read_back == "both lanes by nine"


def test_an_empty_read_back_with_a_seen_does_not_open_the_way_for_a_commitment() -> None:
    desk, assignment = one()
    assert desk.answer(assignment, Answer.ACKNOWLEDGE, read_back="   ").outcome is Outcome.APPLIED
    assert desk.answer(assignment, Answer.COMMIT).outcome is Outcome.REFUSED


@pytest.mark.parametrize("answer", [Answer.DELIVER, Answer.ACKNOWLEDGE, Answer.DECLINE])
def test_receiving_seeing_and_declining_need_no_read_back(answer: Answer) -> None:
    desk, assignment = one()
    assert desk.answer(assignment, answer).outcome is Outcome.APPLIED


def test_a_refused_commitment_stops_no_clock() -> None:
    desk, assignment = one()
    desk.answer(assignment, Answer.COMMIT)
    desk.run(10 * MINUTE + LADDER[0].wait)
    assert desk.sent("police") == [Notice.ISSUED, Notice.REFUSED, Notice.REMINDED]
