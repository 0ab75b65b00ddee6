"""The assignment life cycle as a state machine: whatever happens, in whatever order, no order is lost in silence."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from schemas.assignment import Assignment as WireAssignment
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
from schemas.envelope import write_value
from schemas.timeline import Entry, TimelineEntry
from schemas.vocabulary import (
    ActivationMode,
    ActivationState,
    Answer,
    AssignmentState,
    Category,
    Clock,
    EscalationStep,
    MessageType,
    Notice,
    Severity,
    Status,
)
from services.domain.adding import widen
from services.domain.decision import Answered, Decision, Event, Opening, Outcome
from services.domain.incident import Activation, Assignment, Incident, Phase
from services.domain.matching import group_key
from services.domain.plan import Call, Condition, ConditionError, Level, Match, Once, Plan, Role, Rung, Task
from tests.domain.builders import (
    HOUR,
    MINUTE,
    START,
    TWO_LEVELS,
    Desk,
    at_level,
    make_alert,
    make_directory,
    make_id,
    make_plan,
    make_playbook,
    make_report,
    make_role,
    make_task,
    measured,
    severity_is,
    text,
)

# What may follow on what, in one decision. A state without a row is the end.

_NO = {AssignmentState.DECLINED, AssignmentState.FAILED}
_TAKEN_ON = {AssignmentState.COMMITTED, AssignmentState.STARTED, AssignmentState.COMPLETED}
_UNANSWERED_ENDS = {AssignmentState.SUPERSEDED, AssignmentState.EXPIRED}
_ANSWERED_ENDS = {AssignmentState.SUPERSEDED, AssignmentState.CANCELLED}

LATE = ("delivered_at", "acknowledged_at", "committed_at", "started_at", "arrived_at", "read_back", "answered_by")
"""What an answer from before a completion adds to it."""
ALLOWED: dict[AssignmentState, set[AssignmentState]] = {
    AssignmentState.ISSUED: {AssignmentState.DELIVERED, AssignmentState.ACKNOWLEDGED}
    | _TAKEN_ON
    | _NO
    | _UNANSWERED_ENDS,
    AssignmentState.DELIVERED: {AssignmentState.ACKNOWLEDGED} | _TAKEN_ON | _NO | _UNANSWERED_ENDS,
    AssignmentState.ACKNOWLEDGED: _TAKEN_ON | _NO | _UNANSWERED_ENDS,
    AssignmentState.COMMITTED: {AssignmentState.STARTED, AssignmentState.COMPLETED} | _NO | _ANSWERED_ENDS,
    AssignmentState.STARTED: {AssignmentState.COMPLETED} | _NO | _ANSWERED_ENDS,
}
NOTICE_OF = {
    AssignmentState.SUPERSEDED: Notice.SUPERSEDED,
    AssignmentState.CANCELLED: Notice.CANCELLED,
    AssignmentState.EXPIRED: Notice.CANCELLED,
}
GONE = {AssignmentState.DECLINED, AssignmentState.FAILED, AssignmentState.COMPLETED}

# Random plans

PEOPLE = ("police", "traffic", "fire", "hospital")
SPANS = st.sampled_from([timedelta(), MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE])
GUARDS = st.sampled_from([None, None, measured("depth", 2), severity_is(Severity.EXTREME), at_level("I")])
RUNGS = st.lists(st.builds(Rung, st.sampled_from(EscalationStep), SPANS), max_size=4).map(tuple)


@st.composite
def roles(draw: st.DrawFn, name: str) -> Role:
    candidates = draw(st.lists(st.sampled_from(PEOPLE), min_size=1, max_size=3, unique=True))
    needed = draw(st.integers(1, 2))
    return make_role(name, *candidates, needed=needed, wait=draw(st.none() | st.sampled_from([MINUTE, 4 * MINUTE])))


@st.composite
def tasks(draw: st.DrawFn, name: str, before: list[Task], *, stand_down: bool) -> Task:
    levels = [None, None, frozenset({"I"}), frozenset({"II"}), frozenset({"standby", "I"})]
    return make_task(
        name,
        draw(st.sampled_from(["lead", "help"])),
        acknowledge=draw(st.sampled_from([MINUTE, 3 * MINUTE, 10 * MINUTE])),
        start=draw(st.none() | SPANS),
        complete=draw(st.none() | SPANS),
        clock=draw(st.sampled_from(Clock)),
        levels=None if stand_down or not before else draw(st.sampled_from(levels)),
        after=tuple(draw(st.lists(st.sampled_from([task.id for task in before]), max_size=2))) if before else (),
        when=draw(GUARDS) if before else None,
        read_back=draw(st.booleans()),
        ladder=draw(RUNGS),
        stand_down=stand_down,
    )


@st.composite
def plans(draw: st.DrawFn, name: str, category: Category, calls: tuple[Call, ...] = ()) -> Plan:
    written: list[Task] = []
    for number in range(draw(st.integers(1, 3))):
        written.append(draw(tasks(f"task-{number}", written, stand_down=False)))
    for number in range(draw(st.integers(0, 2))):
        written.append(draw(tasks(f"tidy-{number}", written, stand_down=True)))
    levels = draw(st.sampled_from([TWO_LEVELS, (Level("I", text("one"), measured("depth", 1)), TWO_LEVELS[1])]))
    once = draw(st.sampled_from([None, Once(HOUR, ("category",))]))
    return make_plan(
        *written,
        name=name,
        roles=(draw(roles("lead")), draw(roles("help"))),
        levels=levels,
        calls=calls,
        match=Match(frozenset({category}), when=draw(st.sampled_from([None] * 4 + [measured("depth", 1)])), once=once),
        mode=draw(st.sampled_from([ActivationMode.AUTOMATIC] * 4 + [*ActivationMode])),
        confirm_within=draw(st.sampled_from([None, MINUTE])),
        stand_down_on_cancel=draw(st.booleans()),
    )


SECOND_PLAN = plans("fire", Category.FIRE)
FIRST_PLAN = GUARDS.flatmap(
    lambda guard: plans("flood", Category.MET, (Call("fire", guard), Call("unpublished", guard)))
)


# What must hold, worked out anew from the plan and the incident


def holds(condition: Condition | None, incident: Incident, activation: Activation) -> bool:
    if condition is None:
        return True
    try:
        return condition.holds(incident.report, activation.level)
    except ConditionError:
        return True


def is_wanted(incident: Incident, activation: Activation, task: Task) -> bool:
    if not holds(task.when, incident, activation):
        return False
    if task.stand_down:
        return activation.state is ActivationState.STOOD_DOWN and activation.activated_at is not None
    if activation.state is ActivationState.ACTIVATED:
        return task.levels is None or activation.level in task.levels
    return activation.state is ActivationState.WARNING and task.levels is not None and "standby" in task.levels


class Follower:
    """Follows a desk and checks after each decision all that must hold whatever happened."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.before: Incident | None = None
        self.revisions: dict[UUID, int] = {}
        self.entry_ids: set[UUID] = set()

    def follow(self, decision: Decision) -> None:
        after = decision.incident
        self.records_are_complete_and_belong_here(decision)
        if after is not None:
            self.assignments_only_go_forward(decision, after)
            self.orders_reach_departments(decision, after)
            self.departments_know_how_it_ended(decision, after)
            self.unfilled_is_told_exactly_once(decision, after)
            self.nothing_is_lost(after)
            self.silence_is_followed_up(after)
            self.an_end_is_an_end(decision, after)
        self.before = after

    def records_are_complete_and_belong_here(self, decision: Decision) -> None:
        after = decision.incident
        for entry in decision.entries:
            assert after is not None
            elsewhere = {Entry.JOINED, Entry.CANCEL_RECEIVED}
            assert entry.incident_id == after.id or (entry.entry in elsewhere and entry.incident_id == after.joined_to)
            assert entry.recorded_at == self.desk.now
            assert entry.entry_id not in self.entry_ids
            self.entry_ids.add(entry.entry_id)
            assert TimelineEntry.model_validate_json(entry.model_dump_json()).entry is entry.entry
        for order in decision.orders:
            assert WireAssignment.model_validate_json(order.message.model_dump_json()) == order.message
            assert WireAssignment.model_validate_json(write_value(order.message)) == order.message
        if decision.outcome in {Outcome.REPEATED, Outcome.INVALID}:
            assert decision.orders == ()
        if decision.outcome in {Outcome.REPEATED, Outcome.INVALID, Outcome.LATE}:
            assert decision.incident == self.before

    def assignments_only_go_forward(self, decision: Decision, after: Incident) -> None:
        known = {} if self.before is None else self.before.assignments
        assert list(after.assignments)[: len(known)] == list(known), "an assignment disappeared or changed its place"
        for number, assignment in after.assignments.items():
            assert assignment.id == number
            old = known.get(number)
            if old is None:
                assert assignment.state is AssignmentState.ISSUED
                continue
            if assignment.state is not old.state:
                assert assignment.state in ALLOWED.get(old.state, set()), (old.state, assignment.state)
            if old.state not in ALLOWED:
                late = LATE if old.state is AssignmentState.COMPLETED else ("delivered_at",)
                kept = replace(assignment, revision=old.revision, **{name: getattr(old, name) for name in late})
                assert kept == old, "what has ended doesn't change, but for what is heard late of the way there"
            assert (assignment.ended_at is None) == assignment.state.is_open
        assert not set(after.assignments) & set(after.activations)
        assert decision.outcome is not Outcome.NO_PLAN or not decision.orders

    def orders_reach_departments(self, decision: Decision, after: Incident) -> None:
        for order in decision.orders:
            message = order.message
            assert message.revision > self.revisions.get(message.assignment_id, 0)
            self.revisions[message.assignment_id] = message.revision
            assert order.to == message.department or message.addressed_to == "superior"
        for assignment in after.assignments.values():
            assert self.revisions[assignment.id] == assignment.revision >= 1

    def departments_know_how_it_ended(self, decision: Decision, after: Incident) -> None:
        told = {(order.to, order.message.assignment_id, order.message.notice) for order in decision.orders}
        for assignment in after.assignments.values():
            old = self.before.assignments.get(assignment.id) if self.before else None
            notice = NOTICE_OF.get(assignment.state)
            if notice is not None and (old is None or old.state is not assignment.state):
                assert (assignment.department, assignment.id, notice) in told
        if decision.outcome is Outcome.REFUSED and isinstance(self.desk.events[-1], Answered):
            answer = self.desk.events[-1].acknowledgement
            assert (answer.department, answer.assignment_id, Notice.REFUSED) in told

    def unfilled_is_told_exactly_once(self, decision: Decision, after: Incident) -> None:
        def unfilled(incident: Incident | None) -> set[tuple[UUID, str]]:
            known = incident.activations.values() if incident else ()
            return {(activation.id, task) for activation in known for task in activation.unfilled}

        told = [entry for entry in decision.entries if entry.entry is Entry.UNFILLED]
        assert all(entry.attention for entry in told)
        places = [(entry.activation_id, entry.detail["task"]) for entry in told]
        assert sorted(map(str, places)) == sorted(map(str, unfilled(after) - unfilled(self.before)))

    def plan(self, activation: Activation) -> Plan:
        return widen(self.desk.playbook.frozen[activation.digest], activation.added)

    def nothing_is_lost(self, after: Incident) -> None:
        if after.phase is Phase.CLOSED:
            return
        for activation in after.activations.values():
            plan = self.plan(activation)
            for task in plan.tasks.values():
                given = [a for a in after.assignments.values() if (a.activation_id, a.task) == (activation.id, task.id)]
                if is_wanted(after, activation, task):
                    self.is_in_somebodys_hands(after, activation, plan, task, given)
                else:
                    assert not any(a.state.is_open for a in given), "an order that nobody wants is still open"
                    assert task.id not in activation.unfilled

    def is_in_somebodys_hands(
        self, after: Incident, activation: Activation, plan: Plan, task: Task, given: list[Assignment]
    ) -> None:
        role = plan.roles[task.role]
        called_off = {AssignmentState.CANCELLED, AssignmentState.EXPIRED}
        if task.stand_down and any(a.state in called_off for a in given):
            return
        if not given and not all(self.is_done(after, activation, plan, plan.tasks[name]) for name in task.after):
            return
        agreed = [a for a in given if a.state in _TAKEN_ON]
        waiting = [a for a in given if a.state.is_unanswered]
        if len(agreed) >= role.needed:
            assert not waiting, "those who aren't needed any more were not told"
            return
        assert len(agreed) + len(waiting) >= role.needed or task.id in activation.unfilled
        if len(agreed) + sum(not a.silent for a in waiting) < role.needed:
            heirs_of = {a.parent_id for a in given}
            out = {a.department for a in given if a.state.is_open or a.state in GONE or a.id in heirs_of}
            assert set(role.candidates) <= out, "somebody could still be called"

    def is_done(self, after: Incident, activation: Activation, plan: Plan, task: Task) -> bool:
        given = [a for a in after.assignments.values() if (a.activation_id, a.task) == (activation.id, task.id)]
        completed = sum(a.state is AssignmentState.COMPLETED for a in given)
        return not is_wanted(after, activation, task) or completed >= plan.roles[task.role].needed

    def silence_is_followed_up(self, after: Incident) -> None:
        for assignment in after.assignments.values():
            if not assignment.state.is_unanswered:
                continue
            activation = after.activations[assignment.activation_id]
            ladder = self.plan(activation).tasks[assignment.task].ladder
            exhausted = assignment.ladder is not None and assignment.rung >= len(ladder)
            assert assignment.next_due_at is not None or exhausted
        for activation in after.activations.values():
            waits = activation.state is ActivationState.MONITORING
            assert (activation.next_due_at is not None) == waits
        for obstacle in after.obstacles.values():
            assert obstacle.owner
            assert obstacle.resolved_at is not None or after.assignments[obstacle.assignment_id].state.is_open

    def an_end_is_an_end(self, decision: Decision, after: Incident) -> None:
        assert (after.phase is Phase.CLOSED) == (after.closed_at is not None)
        if after.phase is not Phase.CLOSED:
            return
        assert not any(a.state.is_open for a in after.assignments.values())
        assert all(a.state is ActivationState.STOOD_DOWN for a in after.activations.values())
        if self.before is not None and self.before.phase is Phase.CLOSED:
            assert {order.message.notice for order in decision.orders} <= {Notice.REFUSED}


# What can happen

NUMBERS = st.integers(0, 50)
RARELY = st.integers(0, 30).map(lambda number: number == 23)
LATELY = st.sampled_from([None, None, timedelta(), MINUTE, HOUR, -MINUTE])
DEPTHS = st.sampled_from([{}, {}, {"depth": 0.5}, {"depth": 1.5}, {"depth": 2.5}])
KINDS = st.sampled_from([MessageType.UPDATE] * 6 + [MessageType.ALERT, MessageType.CANCEL])
CATEGORIES = st.sampled_from([(Category.MET,), (Category.MET, Category.FIRE), (Category.FIRE,), (Category.HEALTH,)])
MISTAKES: list[dict[str, Any]] = [
    {"department": "utility"},
    {"assignment_id": make_id(77)},
    {"status": Status.TEST},
]
COMMANDS: list[Any] = [
    Activate,
    Activate,
    ChangeLevel,
    ChangeLevel,
    Reassign,
    Reassign,
    Remind,
    TakeObstacle,
    ResolveObstacle,
    AddTask,
    Inform,
    StandDown,
    Close,
]
ANSWERS = st.sampled_from([*Answer, Answer.COMMIT, Answer.START, Answer.COMPLETE, Answer.DECLINE])


class LifeCycle(RuleBasedStateMachine):
    """One incident, two random plans, and everything that can be said about them."""

    @initialize(
        first=FIRST_PLAN,
        second=SECOND_PLAN,
        published=st.booleans(),
        superior=st.booleans(),
        severity=st.sampled_from([Severity.EXTREME, Severity.MODERATE]),
        depths=DEPTHS,
        cancelled=RARELY,
        joins=RARELY,
    )
    def open(
        self,
        first: Plan,
        second: Plan,
        published: bool,
        superior: bool,
        severity: Severity,
        depths: dict[str, float],
        cancelled: bool,
        joins: bool,
    ) -> None:
        directory = make_directory({"police": "utility"} if superior else None)
        published_plans = (first, second) if published else (first,)
        self.desk = Desk(make_playbook(*published_plans, directory=directory, frozen=(second,)))
        self.follower = Follower(self.desk)
        if joins:
            self.open_elsewhere(20)
        kind = MessageType.CANCEL if cancelled else MessageType.ALERT
        self.apply(lambda: self.desk.report(kind, severity=severity, parameters=depths))

    def apply(self, happen: Callable[[], Decision]) -> None:
        self.follower.follow(happen())

    @rule(
        kind=KINDS,
        severity=st.sampled_from(Severity),
        depths=DEPTHS,
        categories=CATEGORIES,
        late=LATELY,
        wrongly=RARELY,
    )
    def report(
        self,
        kind: MessageType,
        severity: Severity,
        depths: dict[str, float],
        categories: tuple[Category, ...],
        late: timedelta | None,
        wrongly: bool,
    ) -> None:
        told: dict[str, Any] = {"severity": severity, "parameters": depths, "categories": categories}
        if late is not None:
            told["alert"] = make_alert(self.desk.now - late, f"alert-{severity}")
        if wrongly:
            told["status"] = Status.EXERCISE
        self.apply(lambda: self.desk.report(kind, **told))

    def open_elsewhere(self, minutes: int) -> None:
        """Give every group an opening of another incident, as dispatch would find it."""
        told = make_report()
        for plan in self.desk.playbook.published.by_id.values():
            for categories in [(Category.MET,), (Category.FIRE,), (Category.MET, Category.FIRE)]:
                key = group_key(plan, told.model_copy(update={"categories": categories}))
                if key is not None:
                    until = self.desk.now + minutes * MINUTE
                    self.desk.openings[key] = Opening(make_id(9_000_000), make_id(9_000_001), until)

    @rule(minutes=NUMBERS, rarely=RARELY)
    def another_incident_is_answered_first(self, minutes: int, rarely: bool) -> None:
        if rarely:
            self.open_elsewhere(minutes)

    def pick(self, number: int) -> Assignment:
        known = list(self.desk.state.assignments.values())
        return known[number % len(known)]

    def open_ones(self) -> list[Assignment]:
        return [a for a in self.desk.state.assignments.values() if a.state.is_open]

    def has_assignments(self) -> bool:
        return bool(self.desk.state.assignments)

    def has_open_ones(self) -> bool:
        return bool(self.open_ones())

    @precondition(has_open_ones)
    @rule(number=NUMBERS, answer=st.sampled_from([Answer.COMMIT, Answer.START, Answer.COMPLETE, Answer.DECLINE]))
    def a_department_says_yes_or_no(self, number: int, answer: Answer) -> None:
        known = self.open_ones()
        self.apply(lambda: self.desk.answer(known[number % len(known)], answer, read_back="as ordered"))

    @precondition(has_open_ones)
    @rule(number=NUMBERS, answer=st.sampled_from(Answer), to=st.sampled_from(PEOPLE))
    def a_department_says_anything(self, number: int, answer: Answer, to: str) -> None:
        known = self.open_ones()
        heir = to if answer is Answer.DELEGATE else None
        self.apply(lambda: self.desk.answer(known[number % len(known)], answer, delegate_to=heir))

    @precondition(has_assignments)
    @rule(number=NUMBERS, answer=ANSWERS, to=st.sampled_from([*PEOPLE, "nobody"]), late=LATELY, wrongly=RARELY)
    def an_answer_comes_late_or_wrong(
        self, number: int, answer: Answer, to: str, late: timedelta | None, wrongly: bool
    ) -> None:
        told: dict[str, Any] = {"answered_at": self.desk.now - (late or timedelta())}
        if answer is Answer.DELEGATE:
            told["delegate_to"] = to
        if number % 2:
            told |= {"read_back": "as ordered", "broker_at": self.desk.now}
        if wrongly:
            told |= MISTAKES[number % len(MISTAKES)]
        self.apply(lambda: self.desk.answer(self.pick(number), answer, **told))

    @rule(
        kind=st.sampled_from(COMMANDS),
        number=NUMBERS,
        plan=st.sampled_from(["flood", "fire", None, "unpublished"]),
        level=st.sampled_from(["I", "II", "V"]),
        to=st.sampled_from([*PEOPLE, "nobody"]),
        wrongly=RARELY,
    )
    def the_officer_decides(self, kind: Any, number: int, plan: str | None, level: str, to: str, wrongly: bool) -> None:
        assignment_id = self.pick(number).id if self.has_assignments() else make_id(87)
        obstacles = [make_id(88), *self.desk.state.obstacles]
        obstacle = {"obstacle_id": obstacles[-1 - number % len(obstacles)]}
        told: dict[Any, dict[str, Any]] = {
            Activate: {"plan": plan or "flood", "level": None if level == "II" else level},
            ChangeLevel: {"plan": plan, "level": level},
            StandDown: {"plan": plan},
            Reassign: {"assignment_id": assignment_id, "department": to},
            Remind: {"assignment_id": assignment_id},
            TakeObstacle: obstacle,
            ResolveObstacle: obstacle,
            AddTask: {
                "plan": plan,
                "departments": (to, PEOPLE[number % len(PEOPLE)]),
                "title": "as the officer says",
                "done_when": "it is done",
                "complete": MINUTE,
                "read_back": bool(number % 2),
            },
        }
        status = {"status": Status.EXERCISE} if wrongly else {}
        self.apply(lambda: self.desk.command(kind, **told.get(kind, {}), **status))

    @rule(span=st.sampled_from([timedelta(), timedelta(seconds=20), MINUTE, 3 * MINUTE, 7 * MINUTE, HOUR]))
    def time_passes(self, span: timedelta) -> None:
        self.apply(lambda: self.desk.wait(span))

    @rule()
    def the_next_deadline_falls_due(self) -> None:
        due = self.desk.next_due()
        if due is not None:
            self.apply(lambda: self.desk.wait(max(due - self.desk.now, timedelta())))

    @rule(number=NUMBERS)
    def something_is_said_again(self, number: int) -> None:
        event = self.desk.events[number % len(self.desk.events)]
        self.apply(lambda: self.desk.apply(again(event, self.desk)))

    def teardown(self) -> None:
        events = self.desk.events
        for order in (events[::-1], events[::2] + events[1::2] + events[:5], [e for e in events for _ in range(2)]):
            desk = Desk(self.desk.playbook, openings=dict(self.desk.openings), now=START)
            follower = Follower(desk)
            for event in order:
                desk.now += timedelta(seconds=40)
                follower.follow(desk.apply(again(event, desk)))


def again(event: Event, desk: Desk) -> Event:
    """Say the same once more in a message of its own; a repeat of the very message never gets past the inbox."""
    return replace(event, id=desk.new_event_id())


TestLifeCycle = LifeCycle.TestCase
TestLifeCycle.settings = settings(max_examples=200, stateful_step_count=30, deadline=None)
