"""Small honest values for the engine's tests, and a driver that applies `decide` under a virtual clock."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from schemas.acknowledgement import NEEDS_REASON, Acknowledgement
from schemas.base import Text
from schemas.command import Command
from schemas.incident import AlertIdentity, Area, IncidentReport
from schemas.timeline import Entry, TimelineEntry
from schemas.vocabulary import (
    ActivationMode,
    Answer,
    Category,
    EscalationStep,
    MessageType,
    Notice,
    PlanKind,
    Severity,
    Status,
)
from services.domain.decision import (
    Answered,
    Commanded,
    Decision,
    Event,
    Opening,
    Order,
    Reported,
    TimePassed,
)
from services.domain.directory import Department, Directory, Post
from services.domain.engine import decide
from services.domain.filling import reach
from services.domain.groups import groups_at_stake
from services.domain.identity import derive_id
from services.domain.incident import Activation, Assignment, Incident, Phase
from services.domain.matching import PlanIndex
from services.domain.plan import Call, Condition, ConditionError, Level, Match, Plan, Role, Rung, Task
from services.domain.playbook import Playbook

START = datetime(2026, 6, 1, 8, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)

DUTY_OFFICER = "emergency-management"
DEPARTMENTS = ("police", "traffic", "fire", "ambulance", "hospital", "utility", DUTY_OFFICER)

LADDER = (
    Rung(EscalationStep.REMIND, 1 * MINUTE),
    Rung(EscalationStep.DEPUTY, 1 * MINUTE),
    Rung(EscalationStep.SUPERIOR, 2 * MINUTE),
    Rung(EscalationStep.DUTY_OFFICER, 3 * MINUTE),
)
"""The ladder tests use unless they bring their own: rungs 1, 2, 4 and 7 minutes after the missed deadline."""


def make_id(number: int) -> UUID:
    """Make the number-th UUIDv7 of the tests' world."""
    return derive_id(START, UUID(int=0), number)


def text(words: str) -> Text:
    return Text(en=words, zh=words)


def measured(name: str, at_least: float) -> Condition:
    """Make a condition on a parameter, which can't be decided while the parameter isn't reported."""

    def holds(report: IncidentReport, level: str | None) -> bool:
        del level
        if name not in report.parameters:
            raise ConditionError(f"parameters.{name} was not reported")
        return float(report.parameters[name]) >= at_least

    return Condition(f"parameters.{name} >= {at_least}", holds)


def at_level(*wanted: str) -> Condition:
    return Condition(f"level in {wanted}", lambda _, level: level in wanted)


def severity_is(*wanted: Severity) -> Condition:
    return Condition(f"severity in {wanted}", lambda report, _: report.severity in wanted)


def make_role(name: str, *candidates: str, needed: int = 1, wait: timedelta | None = None) -> Role:
    return Role(name, text(name), candidates, needed, wait)


def make_task(name: str, role: str = "cordon", **changes: Any) -> Task:
    """Make a task of ten minutes to answer and the ladder `LADDER`, with whatever a test changes."""
    task = Task(name, role, text(name), text(f"{name} is done"), acknowledge=10 * MINUTE, ladder=LADDER)
    return replace(task, **changes)


def make_plan(
    *tasks: Task,
    name: str = "flood",
    roles: tuple[Role, ...] = (),
    levels: tuple[Level, ...] = (),
    calls: tuple[Call, ...] = (),
    match: Match | None = None,
    **changes: Any,
) -> Plan:
    """Make an automatic plan for floods with one level and one role, ``cordon``: police, then traffic."""
    plan = Plan(
        id=name,
        version=1,
        digest=f"digest-of-{name}",
        title=text(name),
        kind=PlanKind.SPECIAL,
        owner=DUTY_OFFICER,
        match=match or Match(frozenset({Category.MET})),
        mode=ActivationMode.AUTOMATIC,
        levels=levels or (Level("I", text("one")),),
        roles={role.id: role for role in (roles or (make_role("cordon", "police", "traffic"),))},
        tasks={task.id: task for task in (tasks or (make_task("close-roads"),))},
        review_by=date(2027, 6, 1),
        calls=calls,
    )
    return replace(plan, **changes)


TWO_LEVELS = (Level("I", text("one"), severity_is(Severity.EXTREME)), Level("II", text("two")))


def make_directory(superiors: Mapping[str, str] | None = None) -> Directory:
    """Every department of the tests; ``superiors`` names those whose superior sits in another department."""

    def make(name: str) -> Department:
        above = (superiors or {}).get(name)
        liaison, deputy = (Post(text(f"{post} of {name}"), "110") for post in ("liaison", "deputy"))
        superior = Post(text(f"superior of {name}"), "110", above)
        return Department(name, text(name), liaison, deputy, superior, "110")

    return Directory(DUTY_OFFICER, {name: make(name) for name in DEPARTMENTS})


def make_playbook(*plans: Plan, directory: Directory | None = None, frozen: tuple[Plan, ...] = ()) -> Playbook:
    """Make a playbook that publishes ``plans`` and remembers the wordings in ``frozen`` too."""
    wordings = {plan.digest: plan for plan in (*frozen, *plans)}
    return Playbook(PlanIndex(plans), wordings, directory or make_directory())


def make_report(now: datetime = START, **changes: Any) -> IncidentReport:
    """Make an Actual first alert of a flood, reported as it is sent."""
    told: dict[str, Any] = {
        "incident_id": make_id(1),
        "status": Status.ACTUAL,
        "message_type": MessageType.ALERT,
        "categories": (Category.MET,),
        "event": "Flood",
        "severity": Severity.MODERATE,
        "reported_at": now,
        "reported_by": "weather-office",
    }
    return IncidentReport(**told | changes)


def make_alert(sent: datetime, name: str = "alert-1") -> AlertIdentity:
    return AlertIdentity(sender="weather-office", identifier=name, sent=sent)


def make_area(description: str, *codes: str) -> Area:
    return Area(description=description, geocodes={"SAME": codes} if codes else {})


class Desk:
    """One incident under a virtual clock: it holds the state, applies `decide`, and keeps every decision.

    ``openings`` is what the dispatch service keeps between incidents; two desks may share it.
    """

    def __init__(
        self,
        playbook: Playbook,
        *,
        incident: int = 1,
        openings: dict[str, Opening] | None = None,
        now: datetime = START,
    ) -> None:
        self.playbook = playbook
        self.incident_id = make_id(incident)
        self.openings: dict[str, Opening] = {} if openings is None else openings
        self.now = now
        self.known: Incident | None = None
        self.events: list[Event] = []
        self.decisions: list[Decision] = []
        self._next_event = 1000 * incident

    @property
    def state(self) -> Incident:
        assert self.known is not None, "no report has been taken in yet"
        return self.known

    @property
    def last(self) -> Decision:
        return self.decisions[-1]

    @property
    def entries(self) -> list[TimelineEntry]:
        """The whole timeline, oldest first."""
        return [entry for decision in self.decisions for entry in decision.entries]

    @property
    def orders(self) -> list[Order]:
        """Every message sent to a department, oldest first."""
        return [order for decision in self.decisions for order in decision.orders]

    def apply(self, event: Event) -> Decision:
        decision = decide(self.known, event, self.now, self.playbook, self.openings)
        self._see_that_groups_are_named(event, decision)
        self._see_that_reach_is_enough(event, decision)
        self.known = decision.incident
        self.events.append(event)
        self.decisions.append(decision)
        for group in decision.released:
            if group in self.openings and self.openings[group].incident_id == self.incident_id:
                del self.openings[group]
        self.openings.update(decision.opened)
        return decision

    def _see_that_groups_are_named(self, event: Event, decision: Decision) -> None:
        """Decide with only the openings that the services look at: all must come out the same."""
        known = {} if self.known is None else {self.incident_id: self.known}
        named = set() if isinstance(event, TimePassed) else groups_at_stake([event], known, self.playbook)
        assert named.issuperset([*decision.opened, *decision.released])
        some = {group: opening for group, opening in self.openings.items() if group in named}
        assert decide(self.known, event, self.now, self.playbook, some) == decision

    def _see_that_reach_is_enough(self, event: Event, decision: Decision) -> None:
        """Decide an answer with only what the services read for it: all must come out the same."""
        before, after = self.known, decision.incident
        if not isinstance(event, Answered) or before is None or after is None or before.phase is Phase.CLOSING:
            return
        answered = before.assignments.get(event.acknowledgement.assignment_id)
        near: set[tuple[UUID, str]] = set()
        if answered is not None:
            plan = self.playbook.frozen[before.activations[answered.activation_id].digest]
            near = {(answered.activation_id, name) for name in reach(plan, answered.task)}
        some = {id_: each for id_, each in before.assignments.items() if (each.activation_id, each.task) in near}
        far = {id_: each for id_, each in before.assignments.items() if id_ not in some}
        found = decide(replace(before, assignments=some), event, self.now, self.playbook, self.openings)
        assert found.incident is not None
        assert {**far, **found.incident.assignments} == after.assignments
        assert replace(found, incident=replace(found.incident, assignments=after.assignments)) == decision

    def new_event_id(self) -> UUID:
        self._next_event += 1
        return make_id(self._next_event)

    def report(self, kind: MessageType = MessageType.ALERT, **changes: Any) -> Decision:
        told = {"incident_id": self.incident_id, "message_type": kind} | changes
        return self.apply(Reported(self.new_event_id(), make_report(self.now, **told)))

    def update(self, **changes: Any) -> Decision:
        return self.report(MessageType.UPDATE, **changes)

    def cancel(self, **changes: Any) -> Decision:
        return self.report(MessageType.CANCEL, **changes)

    def answer(self, assignment: Assignment, answer: Answer, **changes: Any) -> Decision:
        """Answer as the assignment's own department, now, with a reason where one is needed."""
        told: dict[str, Any] = {
            "assignment_id": assignment.id,
            "incident_id": self.incident_id,
            "status": Status.ACTUAL,
            "department": assignment.department,
            "answer": answer,
            "answered_at": self.now,
            "reason": "all crews are out" if answer in NEEDS_REASON else None,
        }
        broker_at = changes.pop("broker_at", None)
        return self.apply(Answered(self.new_event_id(), Acknowledgement(**told | changes), broker_at))

    def command(self, kind: Callable[..., Command], **changes: Any) -> Decision:
        told: dict[str, Any] = {
            "incident_id": self.incident_id,
            "status": Status.ACTUAL,
            "by": "Officer Wang",
            "reason": "as decided at the desk",
            "decided_at": self.now,
        }
        return self.apply(Commanded(self.new_event_id(), kind(**told | changes)))

    def wait(self, span: timedelta) -> Decision:
        """Let time pass in one leap, as in an outage, and look at the deadlines once at its end."""
        self.now += span
        return self.apply(TimePassed(self.new_event_id()))

    def run(self, span: timedelta) -> None:
        """Let time pass and look at every deadline the moment it falls due."""
        end = self.now + span
        while (due := self.next_due()) is not None and due <= end:
            self.wait(max(due - self.now, timedelta()))
        self.now = end

    def next_due(self) -> datetime | None:
        dues = [assignment.next_due_at for assignment in self.state.assignments.values()]
        dues += [activation.next_due_at for activation in self.state.activations.values()]
        return min((due for due in dues if due is not None), default=None)

    def activation(self, plan: str = "flood") -> Activation:
        """Give the plan's latest activation."""
        return [a for a in self.state.activations.values() if a.plan == plan][-1]

    def phase(self) -> Phase:
        """Give the incident's phase as it is now; a method, so that a type checker believes it can change."""
        return self.state.phase

    def assignments(self, task: str | None = None) -> list[Assignment]:
        return [a for a in self.state.assignments.values() if task is None or a.task == task]

    def of(self, department: str, task: str | None = None) -> Assignment:
        """Give the department's latest assignment."""
        return [a for a in self.assignments(task) if a.department == department][-1]

    def told(self, entry: Entry) -> list[TimelineEntry]:
        return [told for told in self.entries if told.entry is entry]

    def sent(self, department: str) -> list[Notice]:
        """List the notices of every message sent to a department, oldest first."""
        return [order.message.notice for order in self.orders if order.to == department]


def reported(*plans: Plan, directory: Directory | None = None, **changes: Any) -> Desk:
    """Open a desk at `START` whose first report has just been taken in."""
    desk = Desk(make_playbook(*plans, directory=directory))
    desk.report(**changes)
    return desk
