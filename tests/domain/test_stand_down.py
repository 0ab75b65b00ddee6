"""Stand-down and close: everybody is told, stand-down tasks are done, and then it is over."""

from schemas.command import Activate, Close, StandDown
from schemas.timeline import Entry
from schemas.vocabulary import ActivationMode, ActivationState, Answer, AssignmentState, Notice
from services.domain.decision import Outcome
from services.domain.incident import Phase
from tests.domain.builders import HOUR, MINUTE, Desk, make_plan, make_playbook, make_role, make_task, measured, reported

ROLES = (make_role("cordon", "police", "traffic"), make_role("rescue", "fire", "utility", needed=2))
TIDY = make_task("open-roads", stand_down=True)
PLAN = make_plan(make_task("close-roads"), make_task("search", "rescue"), TIDY, roles=ROLES)


def states(desk: Desk) -> dict[str, AssignmentState]:
    return {f"{a.department}: {a.task}": a.state for a in desk.assignments()}


def test_stand_down_tasks_are_not_issued_before_the_stand_down() -> None:
    assert {assignment.task for assignment in reported(PLAN).assignments()} == {"close-roads", "search"}


def test_standing_down_expires_the_unanswered_cancels_the_rest_and_issues_the_stand_down_tasks() -> None:
    desk = reported(PLAN)
    desk.answer(desk.of("police"), Answer.COMPLETE)
    desk.answer(desk.of("fire"), Answer.COMMIT)
    desk.answer(desk.of("utility"), Answer.ACKNOWLEDGE)
    desk.command(StandDown)
    assert states(desk) == {
        "police: close-roads": AssignmentState.COMPLETED,
        "fire: search": AssignmentState.CANCELLED,
        "utility: search": AssignmentState.EXPIRED,
        "police: open-roads": AssignmentState.ISSUED,
    }
    assert desk.sent("fire") == desk.sent("utility") == [Notice.ISSUED, Notice.CANCELLED]
    assert desk.orders[-1].message.reason is None
    assert [a.reason for a in desk.assignments("search")] == ["the plan was stood down"] * 2
    assert desk.phase() is Phase.OPEN, "only a close closes"


def test_an_incident_closes_by_itself_once_its_stand_down_tasks_are_done() -> None:
    desk = reported(PLAN)
    decision = desk.command(Close, reason="water is down")
    assert decision.reason == "the incident closes when its stand-down tasks are done"
    assert desk.phase() is Phase.CLOSING
    assert desk.told(Entry.STOOD_DOWN)[0].reason == "water is down"
    desk.now += HOUR
    desk.answer(desk.of("police", "open-roads"), Answer.COMPLETE)
    assert (desk.phase(), desk.state.closed_at) == (Phase.CLOSED, desk.now)
    assert len(desk.told(Entry.CLOSED)) == 1


def test_an_incident_without_stand_down_tasks_closes_at_once() -> None:
    desk = reported(make_plan())
    desk.command(Close)
    assert desk.phase() is Phase.CLOSED


def test_silence_and_refusals_are_followed_up_while_the_incident_is_closing() -> None:
    desk = reported(PLAN)
    desk.command(Close)
    desk.run(12 * MINUTE)
    assert [a.department for a in desk.assignments("open-roads")] == ["police", "traffic"]
    for department in ("police", "traffic"):
        desk.answer(desk.of(department, "open-roads"), Answer.DECLINE)
    assert desk.phase() is Phase.CLOSING, "a stand-down task that nobody does keeps the incident from closing"
    assert desk.told(Entry.UNFILLED)[-1].attention


def test_a_second_close_forces_it_and_tells_those_who_were_still_at_it() -> None:
    desk = reported(PLAN)
    desk.command(Close)
    decision = desk.command(Close, reason="contractor does it")
    assert decision.reason == "the incident is closed with its stand-down tasks called off"
    assert (desk.phase(), desk.state.closed_at) == (Phase.CLOSED, desk.now)
    assert states(desk)["police: open-roads"] is AssignmentState.EXPIRED
    assert [order.message.notice for order in decision.orders] == [Notice.CANCELLED]
    assert desk.of("police", "open-roads").reason == "the incident was closed: contractor does it"
    [closed] = desk.told(Entry.CLOSED)
    assert (closed.by, closed.reason) == ("Officer Wang", "contractor does it")


def test_what_was_answered_is_cancelled_and_not_expired_by_a_forced_close() -> None:
    desk = reported(PLAN)
    desk.command(Close)
    desk.answer(desk.of("police", "open-roads"), Answer.START)
    desk.command(Close)
    assert states(desk)["police: open-roads"] is AssignmentState.CANCELLED


def test_a_closed_incident_issues_nothing_any_more() -> None:
    desk = reported(PLAN)
    desk.command(Close)
    desk.command(Close)
    sent = len(desk.orders)
    assert desk.command(Close).reason == "the incident is closed already"
    assert desk.command(StandDown).outcome is Outcome.REFUSED
    desk.run(HOUR)
    desk.wait(HOUR)
    desk.answer(desk.assignments()[0], Answer.DELIVER)
    assert len(desk.orders) == sent


def test_a_report_that_no_plan_answers_issues_nothing_in_a_closed_incident() -> None:
    pump_out = make_task("pump-out", stand_down=True, when=measured("depth", 1))
    plan = make_plan(make_task("close-roads"), pump_out)
    desk = reported(plan, parameters={"depth": 0.5})
    desk.command(Close)
    desk.playbook = make_playbook(frozen=(plan,))
    assert desk.update(parameters={"depth": 2.0}).orders == ()
    assert desk.phase() is Phase.CLOSED


def test_a_refused_answer_after_the_close_still_goes_back_to_the_department() -> None:
    desk = reported(PLAN)
    desk.command(Close)
    desk.command(Close)
    desk.answer(desk.of("fire"), Answer.COMMIT)
    assert desk.sent("fire") == [Notice.ISSUED, Notice.CANCELLED, Notice.REFUSED]


def test_an_incident_that_opens_again_does_not_bring_back_stand_down_tasks_that_were_called_off() -> None:
    desk = reported(PLAN)
    desk.command(Close)
    desk.command(Close)
    desk.now += MINUTE
    desk.update(headline="rising again")
    assert desk.phase() is Phase.OPEN
    assert len(desk.assignments("open-roads")) == 1
    desk.command(Activate, plan="flood")
    assert len(desk.assignments("close-roads")) == 2
    desk.command(Close)
    assert len(desk.assignments("open-roads")) == 2, "the new activation has a stand-down of its own"


def test_a_plan_that_was_never_activated_has_nothing_to_tidy_up() -> None:
    for mode in (ActivationMode.CONFIRM, ActivationMode.STANDBY):
        desk = reported(make_plan(make_task("close-roads"), TIDY, mode=mode))
        desk.command(Close)
        assert desk.assignments() == []
        assert desk.phase() is Phase.CLOSED


def test_a_stand_down_tasks_guard_is_asked_and_a_task_it_calls_off_is_superseded() -> None:
    pump_out = make_task("pump-out", stand_down=True, when=measured("depth", 1))
    plan = make_plan(make_task("close-roads"), pump_out)
    assert reported(plan, parameters={"depth": 2.0}).command(Close).incident is not None
    desk = reported(plan, parameters={"depth": 0.5})
    desk.command(StandDown)
    assert desk.assignments("pump-out") == []
    desk = reported(plan, parameters={"depth": 2.0})
    desk.command(StandDown)
    desk.update(parameters={"depth": 0.5})
    assert [a.state for a in desk.assignments("pump-out")] == [AssignmentState.SUPERSEDED]
    desk.update(parameters={"depth": 2.0})
    assert [a.state for a in desk.assignments("pump-out")] == [AssignmentState.SUPERSEDED, AssignmentState.ISSUED]


def test_stand_down_tasks_keep_their_order() -> None:
    second = make_task("report-done", stand_down=True, after=("open-roads", "close-roads"))
    desk = reported(make_plan(make_task("close-roads"), TIDY, second))
    desk.command(Close)
    assert desk.assignments("report-done") == []
    desk.answer(desk.of("police", "open-roads"), Answer.COMPLETE)
    assert desk.phase() is Phase.CLOSING
    desk.answer(desk.of("police", "report-done"), Answer.COMPLETE)
    assert desk.phase() is Phase.CLOSED


def test_activating_while_closing_opens_the_incident_again() -> None:
    desk = reported(PLAN)
    desk.command(Close)
    desk.command(Activate, plan="flood")
    assert desk.phase() is Phase.OPEN
    assert desk.activation().state is ActivationState.ACTIVATED
    desk.answer(desk.of("police", "open-roads"), Answer.COMPLETE)
    assert desk.phase() is Phase.OPEN
