"""Departments that hold an order hear what changes under it, once; and a superior hears of an answer after all."""

from typing import Any

import pytest

from schemas.command import Activate, ChangeLevel, Inform
from schemas.timeline import Entry
from schemas.vocabulary import ActivationMode, Answer, AssignmentState, MessageType, Notice, Severity
from services.domain.decision import Outcome
from services.domain.informing import LONGEST
from tests.domain.builders import (
    MINUTE,
    TWO_LEVELS,
    Desk,
    make_area,
    make_directory,
    make_plan,
    make_role,
    make_task,
    reported,
)

ROLES = (make_role("cordon", "police", "traffic"), make_role("rescue", "fire"))
PLAN = make_plan(
    make_task("close-roads"), make_task("pump", "rescue"), make_task("dive", "rescue"), roles=ROLES, levels=TWO_LEVELS
)


def informed(desk: Desk) -> list[tuple[str, str, str | None]]:
    """List who was informed by the last event: to whom, about which task, and why."""
    sent = [order for order in desk.last.orders if order.message.notice is Notice.INFORMED]
    return [(order.to, order.message.task, order.message.reason) for order in sent]


def test_a_word_to_all_reaches_every_department_with_an_open_order_once() -> None:
    desk = reported(PLAN)
    desk.answer(desk.of("police"), Answer.DECLINE)
    decision = desk.command(Inform, reason="The dyke holds; stay off the bridge")
    assert (decision.outcome, decision.reason) == (Outcome.APPLIED, "2 departments are told")
    assert informed(desk) == [
        ("fire", "pump", "The dyke holds; stay off the bridge"),
        ("traffic", "close-roads", "The dyke holds; stay off the bridge"),
    ]
    [told] = desk.told(Entry.INFORMED)
    assert (told.by, told.detail["departments"]) == ("Officer Wang", ["fire", "traffic"])
    assert told.detail["assignments"] == [str(desk.of("fire", "pump").id), str(desk.of("traffic").id)]
    assert desk.of("fire", "pump").revision == 2


def test_a_word_to_all_is_refused_where_nobody_holds_an_order() -> None:
    desk = reported(make_plan(mode=ActivationMode.CONFIRM))
    decision = desk.command(Inform)
    assert (decision.outcome, decision.reason) == (Outcome.REFUSED, "no department has an open order")


def test_another_level_is_told_to_those_who_go_on_and_not_to_those_who_begin_or_end() -> None:
    begins = make_task("evacuate", "rescue", levels=frozenset({"I"}))
    ends = make_task("patrol", levels=frozenset({"II"}))
    desk = reported(make_plan(make_task("close-roads"), begins, ends, roles=ROLES, levels=TWO_LEVELS))
    desk.command(ChangeLevel, level="I", reason="rain")
    assert informed(desk) == [("police", "close-roads", "level II → I")]
    assert {(order.message.task, order.message.notice) for order in desk.last.orders} == {
        ("close-roads", Notice.INFORMED),
        ("evacuate", Notice.ISSUED),
        ("patrol", Notice.SUPERSEDED),
    }
    [told] = desk.told(Entry.INFORMED)
    assert (told.by, told.detail["changed"], told.detail["plan"]) == (None, ["level"], "flood")


def test_those_on_standby_hear_that_the_plan_is_activated() -> None:
    task = make_task("close-roads", levels=frozenset({"standby", "I"}))
    desk = reported(make_plan(task, mode=ActivationMode.STANDBY))
    desk.command(Activate, plan="flood")
    assert informed(desk) == [("police", "close-roads", "level standby → I")]


@pytest.mark.parametrize(
    ("news", "reason"),
    [
        ({"severity": Severity.SEVERE}, "severity Moderate → Severe"),
        ({"event": "Dam failure"}, "event Flood → Dam failure"),
        ({"areas": (make_area("Riverside"), make_area("Old Town"))}, "areas – → Riverside, Old Town"),
        (
            {"severity": Severity.EXTREME, "event": "Dam failure"},
            "severity Moderate → Extreme; event Flood → Dam failure; level II → I",
        ),
    ],
)
def test_an_update_that_changes_the_picture_is_told_once_for_each_open_order(news: dict[str, Any], reason: str) -> None:
    desk = reported(PLAN)
    desk.update(**news)
    assert informed(desk) == [
        ("police", "close-roads", reason),
        ("fire", "pump", reason),
        ("fire", "dive", reason),
    ]
    assert len(desk.told(Entry.INFORMED)) == 1


def test_an_event_that_gets_its_name_later_is_told() -> None:
    desk = reported(PLAN, event=None)
    desk.update(event="Flood")
    assert informed(desk)[0][2] == "event – → Flood"


def test_a_flood_of_updates_that_change_nothing_told_is_no_flood_of_messages() -> None:
    desk = reported(PLAN, areas=(make_area("Riverside", "006037"),))
    for number in range(20):
        desk.update(
            headline=f"Bulletin {number}",
            parameters={"depth": number},
            areas=(make_area("Riverside", f"0060{number}"),),
            severity=Severity.UNKNOWN,
        )
        assert desk.last.orders == ()
    assert desk.told(Entry.INFORMED) == []


def test_nobody_is_told_of_news_about_what_they_have_done_or_turned_down() -> None:
    desk = reported(PLAN)
    desk.answer(desk.of("police"), Answer.COMPLETE)
    for task in ("pump", "dive"):
        desk.answer(desk.of("fire", task), Answer.FAIL)
    desk.update(severity=Severity.SEVERE)
    assert informed(desk) == []


def test_a_long_list_of_places_is_cut_short() -> None:
    desk = reported(PLAN)
    desk.update(areas=tuple(make_area(f"Street {number}") for number in range(200)))
    reason = informed(desk)[0][2] or ""
    assert (len(reason), reason[-1]) == (LONGEST, "…")


def test_a_cancelled_report_that_leaves_the_plan_in_force_tells_what_else_it_changed() -> None:
    desk = reported(PLAN)
    desk.report(MessageType.CANCEL, severity=Severity.MINOR)
    assert informed(desk)[0] == ("police", "close-roads", "severity Moderate → Minor")


# What a superior hears


SUPERIOR = make_directory({"police": "emergency-management"})
LONE = make_plan(roles=(make_role("cordon", "police"),))


def silent(minutes: float, directory: Any = SUPERIOR) -> Desk:
    """Let the first order go unanswered for so long after its ten minutes."""
    desk = reported(LONE, directory=directory)
    desk.run((10 + minutes) * MINUTE)
    return desk


@pytest.mark.parametrize(
    ("answer", "more", "reason"),
    [
        (Answer.COMMIT, {"by": "Sergeant Li"}, "answered after all: commit, by Sergeant Li"),
        (Answer.DECLINE, {}, "answered after all: decline"),
        (Answer.DELEGATE, {"delegate_to": "fire"}, "answered after all: delegate"),
    ],
)
def test_a_superior_who_got_a_copy_hears_once_that_it_was_answered(
    answer: Answer, more: dict[str, Any], reason: str
) -> None:
    desk = silent(5)
    desk.answer(desk.of("police"), answer, **more)
    [copy] = [order for order in desk.last.orders if order.message.notice is Notice.INFORMED]
    assert (copy.to, copy.message.department, copy.message.addressed_to) == (
        "emergency-management",
        "police",
        "superior",
    )
    assert copy.message.reason == reason
    [told] = desk.told(Entry.INFORMED)
    assert (told.department, told.detail["departments"]) == ("police", ["emergency-management"])
    if answer is Answer.COMMIT:
        desk.answer(desk.of("police"), Answer.START)
        desk.answer(desk.of("police"), Answer.COMPLETE)
        assert len(desk.told(Entry.INFORMED)) == 1


def test_a_superior_hears_nothing_of_words_that_settle_nothing_or_of_what_never_came_up() -> None:
    desk = silent(5)
    for answer in (Answer.ACKNOWLEDGE, Answer.ARRIVE, Answer.BLOCK):
        desk.answer(desk.of("police"), answer)
    assert desk.told(Entry.INFORMED) == []
    early = silent(2.5)
    early.answer(early.of("police"), Answer.COMMIT)
    assert early.told(Entry.INFORMED) == []
    assert early.of("police").state is AssignmentState.COMMITTED


def test_a_superior_in_the_same_department_reads_the_answer_there() -> None:
    desk = silent(5, make_directory())
    desk.answer(desk.of("police"), Answer.COMMIT)
    assert informed(desk) == []


def test_a_superior_of_a_department_that_has_left_the_directory_cannot_be_told() -> None:
    desk = silent(5)
    without = {name: each for name, each in SUPERIOR.departments.items() if name != "police"}
    desk.playbook = type(desk.playbook)(
        desk.playbook.published, desk.playbook.frozen, type(SUPERIOR)(SUPERIOR.duty_officer, without)
    )
    desk.answer(desk.of("police"), Answer.COMMIT)
    assert desk.told(Entry.INFORMED) == []
