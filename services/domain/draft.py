"""A decision while it is being made: a working copy of the incident, and the effects gathered so far."""

from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from schemas import assignment as wire
from schemas.incident import IncidentReport
from schemas.timeline import Entry, TimelineEntry
from schemas.vocabulary import AssignmentState, Notice
from services.domain.adding import widen
from services.domain.changing import replace
from services.domain.deadlines import next_due
from services.domain.decision import Decision, Opening, Order, Outcome
from services.domain.identity import derive_id
from services.domain.incident import Activation, Assignment, Incident, Obstacle
from services.domain.plan import Plan, Role, Task
from services.domain.playbook import Playbook


class Draft:
    """The one mutable thing in the engine; it lives for one event and ends in a frozen `Decision`."""

    def __init__(
        self, incident: Incident, *, event_id: UUID, now: datetime, broker_at: datetime | None, playbook: Playbook
    ) -> None:
        self.incident = incident
        self.before = incident
        self._touched: dict[UUID, set[str]] = {}
        self._of_task: dict[tuple[UUID, str], list[UUID]] = {}
        for assignment in incident.assignments.values():
            self._of_task.setdefault((assignment.activation_id, assignment.task), []).append(assignment.id)
        self.activations: dict[UUID, Activation] = dict(incident.activations)
        self.assignments: dict[UUID, Assignment] = dict(incident.assignments)
        self.obstacles: dict[UUID, Obstacle] = dict(incident.obstacles)
        self.now = now
        self.playbook = playbook
        self.opened: dict[str, Opening] = {}
        self.released: list[str] = []
        self._event_id = event_id
        self.broker_at = broker_at
        self._given = 0
        self._widened: dict[UUID, Plan] = {}
        self._summed_up: tuple[IncidentReport, wire.IncidentSummary] | None = None
        self._entries: list[TimelineEntry] = []
        self._orders: list[Order] = []

    def new_id(self) -> UUID:
        """Give the next id of this event."""
        self._given += 1
        return derive_id(self.now, self._event_id, self._given)

    def plan(self, activation: Activation) -> Plan:
        """Look up the wording an activation froze, with the tasks that were added to it."""
        frozen = self.playbook.frozen[activation.digest]
        if not activation.added:
            return frozen
        plan = self._widened.get(activation.id)
        if plan is None or activation.added[-1].id not in plan.tasks:
            self._widened[activation.id] = plan = widen(frozen, activation.added)
        return plan

    def task(self, assignment: Assignment) -> Task:
        """Look up the task behind an assignment."""
        return self.plan(self.activations[assignment.activation_id]).tasks[assignment.task]

    def role(self, activation: Activation, task: Task) -> Role:
        """Look up the role that owns a task."""
        return self.plan(activation).roles[task.role]

    def of_task(self, activation_id: UUID, task: str) -> list[Assignment]:
        """List the assignments of one task of one activation as they now stand, oldest first."""
        return [self.assignments[id_] for id_ in self._of_task.get((activation_id, task), ())]

    def put(self, assignment: Assignment) -> Assignment:
        """Keep an assignment's new state and work out when it next falls due."""
        due = None
        if assignment.state.is_open:
            activation = self.activations[assignment.activation_id]
            task = self.plan(activation).tasks[assignment.task]
            due = next_due(assignment, task, self.role(activation, task))
        kept = assignment if due == assignment.next_due_at else replace(assignment, next_due_at=due)
        before = self.assignments.get(kept.id)
        self.assignments[kept.id] = kept
        if before is None:
            self._of_task.setdefault((kept.activation_id, kept.task), []).append(kept.id)
        if before is None or before.state is not kept.state or before.silent is not kept.silent:
            self._touched.setdefault(kept.activation_id, set()).add(kept.task)
        return kept

    def touched(self, activation_id: UUID) -> set[str] | None:
        """Name the tasks that were given, taken on, left or finished; None when what is asked for may have changed too.

        Deadlines missed and people reminded change nothing about who has a task.
        """
        before = self.before
        if self.incident is not before or self.activations[activation_id] is not before.activations.get(activation_id):
            return None
        return self._touched.get(activation_id, set())

    def note(
        self,
        entry: Entry,
        *,
        activation: Activation | None = None,
        assignment: Assignment | None = None,
        attention: bool = False,
        by: str | None = None,
        reason: str | None = None,
        occurred_at: datetime | None = None,
        incident_id: UUID | None = None,
        **detail: Any,
    ) -> None:
        """Write one timeline entry; ``incident_id`` when it belongs to another incident than this one."""
        if assignment is not None:
            detail.setdefault("task", assignment.task)
            detail.setdefault("role", assignment.role)
            activation = self.activations[assignment.activation_id]
        if activation is not None:
            detail.setdefault("plan", activation.plan)
        self._entries.append(
            TimelineEntry.of_checked(
                entry_id=self.new_id(),
                incident_id=incident_id or self.incident.id,
                status=self.incident.status,
                entry=entry,
                activation_id=activation.id if activation else None,
                assignment_id=assignment.id if assignment else None,
                department=assignment.department if assignment else None,
                attention=attention,
                by=by,
                reason=reason,
                detail=detail,
                occurred_at=occurred_at or self.now,
                broker_at=self.broker_at,
                recorded_at=self.now,
            )
        )

    def send(
        self,
        assignment: Assignment,
        notice: Notice,
        *,
        reason: str | None = None,
        to: str | None = None,
        addressed_to: str | None = None,
    ) -> Assignment:
        """Send word of an assignment to its department, or a copy to another; every message raises the revision."""
        sent = self.put(replace(assignment, revision=assignment.revision + 1))
        self.word(sent, notice, reason=reason, to=to, addressed_to=addressed_to)
        return sent

    def word(
        self, sent: Assignment, notice: Notice, *, reason: str | None, to: str | None, addressed_to: str | None
    ) -> None:
        """Write the message itself; nothing that is decided depends on it."""
        activation = self.activations[sent.activation_id]
        plan = self.plan(activation)
        task = plan.tasks[sent.task]
        message = wire.Assignment.of_checked(
            assignment_id=sent.id,
            activation_id=activation.id,
            incident_id=self.incident.id,
            status=self.incident.status,
            department=sent.department,
            notice=notice,
            revision=sent.revision,
            state=sent.state,
            plan=plan.id,
            plan_version=plan.version,
            plan_title=plan.title,
            level=activation.level,
            role=task.role,
            role_title=plan.roles[task.role].title,
            task=task.id,
            title=task.title,
            done_when=task.done_when,
            instructions=task.instructions,
            read_back=task.read_back,
            deadlines=wire.Deadlines.of_checked(
                acknowledge_by=sent.acknowledge_by, start_by=sent.start_by, complete_by=sent.complete_by
            ),
            incident=self._summary,
            issued_at=sent.issued_at,
            addressed_to=addressed_to,
            reason=reason,
            parent_id=sent.parent_id,
        )
        self._orders.append(Order(self.new_id(), to or sent.department, message))

    @property
    def _summary(self) -> wire.IncidentSummary:
        report = self.incident.report
        if self._summed_up is None or self._summed_up[0] is not report:
            summary = wire.IncidentSummary.of_checked(
                event=report.event,
                headline=report.headline,
                description=report.description,
                severity=report.severity,
                areas=tuple(area.description for area in report.areas),
                occurred_at=report.occurred_at,
            )
            self._summed_up = (report, summary)
        return self._summed_up[1]

    def end(self, assignment: Assignment, state: AssignmentState, entry: Entry, notice: Notice, reason: str) -> None:
        """End an open assignment from our side, tell its department why, and close its obstacles."""
        ended = self.put(replace(assignment, state=state, ended_at=self.now, ladder=None, reason=reason))
        self.note(entry, assignment=ended, reason=reason)
        self.send(ended, notice, reason=reason)
        self.close_obstacles(ended, reason)

    def close_obstacles(self, assignment: Assignment, reason: str) -> None:
        """Close the open obstacles of an assignment that has ended: nothing is left for them to keep back."""
        for obstacle in self.obstacles.values():
            if obstacle.assignment_id == assignment.id and obstacle.resolved_at is None:
                self.obstacles[obstacle.id] = replace(obstacle, resolved_at=self.now)
                self.note(Entry.OBSTACLE_RESOLVED, assignment=assignment, reason=reason, obstacle_id=str(obstacle.id))

    def decide(self, outcome: Outcome, reason: str) -> Decision:
        """Freeze everything into the decision."""
        incident = replace(
            self.incident, activations=self.activations, assignments=self.assignments, obstacles=self.obstacles
        )
        return Decision(
            outcome=outcome,
            reason=reason,
            incident=incident,
            entries=tuple(self._entries),
            orders=tuple(self._orders),
            opened=self.opened,
            released=tuple(self.released),
        )


class Drafting(Protocol):
    """How a draft is begun: `Draft` itself, or one that writes its effects down in another form."""

    def __call__(
        self, incident: Incident, *, event_id: UUID, now: datetime, broker_at: datetime | None, playbook: Playbook
    ) -> Draft:
        """Begin the draft of one event."""
