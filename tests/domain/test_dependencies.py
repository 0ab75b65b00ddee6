"""Dependencies: a task waits for the tasks it comes after, and for nothing that isn't asked for."""

from schemas.command import ChangeLevel
from schemas.timeline import Entry
from schemas.vocabulary import Answer, AssignmentState
from tests.domain.builders import TWO_LEVELS, Desk, make_plan, make_role, make_task, measured, reported

ROLES = (make_role("cordon", "police"), make_role("rescue", "fire", "utility", needed=2), make_role("care", "hospital"))


def tasks(desk: Desk) -> list[str]:
    return [f"{assignment.department}: {assignment.task}" for assignment in desk.assignments()]


def test_a_task_is_issued_once_all_it_comes_after_is_complete_in_all_hands() -> None:
    first, second = make_task("close-roads"), make_task("search", "rescue")
    third = make_task("treat", "care", after=("close-roads", "search"))
    desk = reported(make_plan(first, second, third, roles=ROLES))
    assert tasks(desk) == ["police: close-roads", "fire: search", "utility: search"]
    for department, answer in (
        ("police", Answer.COMPLETE),
        ("fire", Answer.COMPLETE),
        ("utility", Answer.COMMIT),
        ("utility", Answer.START),
    ):
        desk.answer(desk.of(department), answer)
        assert len(tasks(desk)) == 3
    decision = desk.answer(desk.of("utility"), Answer.COMPLETE)
    assert [order.to for order in decision.orders] == ["hospital"]


def test_a_chain_is_issued_link_by_link() -> None:
    chain = [make_task("a"), make_task("b", after=("a",)), make_task("c", after=("b",))]
    desk = reported(make_plan(*reversed(chain)))
    for name in ("a", "b", "c"):
        assert desk.assignments()[-1].task == name
        desk.answer(desk.assignments()[-1], Answer.COMPLETE)


def test_a_task_does_not_wait_for_one_that_is_not_asked_for_at_this_level() -> None:
    first = make_task("close-roads", levels=frozenset({"I"}))
    desk = reported(make_plan(first, make_task("treat", after=("close-roads",)), levels=TWO_LEVELS))
    assert tasks(desk) == ["police: treat"]


def test_a_task_does_not_wait_for_one_whose_guard_does_not_hold() -> None:
    first = make_task("pump", when=measured("depth", 2))
    plan = make_plan(first, make_task("treat", after=("pump",)))
    assert tasks(reported(plan, parameters={"depth": 1.0})) == ["police: treat"]
    assert tasks(reported(plan, parameters={"depth": 2.0})) == ["police: pump"]


def test_a_task_that_is_in_hand_is_not_held_back_by_one_that_is_asked_for_later() -> None:
    first = make_task("pump", when=measured("depth", 2))
    second = make_task("treat", "rescue", after=("pump",))
    desk = reported(
        make_plan(first, second, roles=(*ROLES[:1], make_role("rescue", "fire", "utility"))), parameters={"depth": 1.0}
    )
    desk.update(parameters={"depth": 2.0})
    desk.answer(desk.of("fire"), Answer.DECLINE)
    assert tasks(desk) == ["fire: treat", "police: pump", "utility: treat"]


def test_a_level_change_that_voids_what_a_task_waits_for_releases_the_task() -> None:
    first = make_task("close-roads", levels=frozenset({"II"}))
    desk = reported(make_plan(first, make_task("treat", after=("close-roads",)), levels=TWO_LEVELS))
    assert tasks(desk) == ["police: close-roads"]
    desk.command(ChangeLevel, level="I")
    assert [assignment.state for assignment in desk.assignments()] == [
        AssignmentState.SUPERSEDED,
        AssignmentState.ISSUED,
    ]


def test_a_task_that_waits_for_an_unfilled_one_is_held_back_while_the_officer_knows_of_the_cause() -> None:
    desk = reported(make_plan(make_task("a"), make_task("b", after=("a",))))
    for department in ("police", "traffic"):
        desk.answer(desk.of(department), Answer.FAIL)
    assert {assignment.task for assignment in desk.assignments()} == {"a"}
    assert desk.activation().unfilled == ("a",)
    assert desk.told(Entry.UNFILLED)[0].attention
