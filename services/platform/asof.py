"""An incident as it was known at a moment: the timeline's entries up to then, folded into the state they tell.

What is fixed when an activation begins or an order goes out (a wording, a deadline) is read from its row; all that
changes later is told by an entry, and by nothing that was recorded after the moment. Two things are told by the
events themselves: the report, which each one adds to, and that an officer closed the incident. When something next
falls due is machinery and is left out.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from schemas.command import Close
from schemas.incident import IncidentReport
from schemas.timeline import Entry, TimelineEntry
from schemas.vocabulary import ActivationState, AssignmentState, EscalationStep
from services.domain.deadlines import settle_ladder
from services.domain.decision import Commanded, Outcome, Reported
from services.domain.incident import Activation, Assignment, Deadline, Incident, Obstacle, Phase
from services.domain.reports import merge
from services.platform.entries import entry_of
from services.platform.inputs import Input, read_inputs
from services.platform.postgres import Connection
from services.platform.records import load

CHOSEN = "chosen by the duty officer"
"""Why a level was chosen, in the entry of an activation whose level a person named."""
_UNMERGED = frozenset({Outcome.REPEATED, Outcome.LATE, Outcome.INVALID})
_FORWARD = tuple(AssignmentState(state) for state in ("issued", "delivered", "acknowledged", "committed", "started"))
_STEPS = {
    Entry.ACKNOWLEDGED: (AssignmentState.ACKNOWLEDGED, "acknowledged_at"),
    Entry.COMMITTED: (AssignmentState.COMMITTED, "committed_at"),
    Entry.STARTED: (AssignmentState.STARTED, "started_at"),
    Entry.COMPLETED: (AssignmentState.COMPLETED, "completed_at"),
}
_REFUSALS = {
    Entry.DECLINED: (AssignmentState.DECLINED, "declined_at"),
    Entry.FAILED: (AssignmentState.FAILED, "failed_at"),
}
_ENDS = {
    Entry.CANCELLED: AssignmentState.CANCELLED,
    Entry.SUPERSEDED: AssignmentState.SUPERSEDED,
    Entry.EXPIRED: AssignmentState.EXPIRED,
}
_FIXED = {
    Assignment: "id activation_id task role department issued_at parent_id acknowledge_by start_by complete_by",
    Activation: "id plan version digest matched_at parent_id group_key",
}


@dataclass(frozen=True, slots=True)
class Known:
    """An incident as it was known at a moment, and the entries that told of it, oldest first."""

    incident: Incident
    timeline: tuple[TimelineEntry, ...]


async def load_as_of(connection: Connection, incident_id: UUID, at: datetime) -> Known | None:
    """Read an incident as it was known at ``at``, by the clock its services went by; None when it wasn't known yet.

    Run it in a repeatable-read transaction. Raises ValueError for a naive time.
    """
    if at.tzinfo is None:
        raise ValueError("at must carry its offset")
    now = (await load(connection, [incident_id])).get(incident_id)
    found = await connection.fetch(
        "SELECT * FROM timeline WHERE incident_id = $1 AND recorded_at <= $2 ORDER BY seq",
        incident_id,
        at,
    )
    if now is None or not found:
        return None
    entries = [entry_of(row) for row in found]
    return Known(fold(now, entries, await read_inputs(connection, incident_id, at)), tuple(entries))


def fold(now: Incident, entries: Sequence[TimelineEntry], inputs: Sequence[Input]) -> Incident:
    """Tell the state after these entries and inputs, both in order; ``now`` is the incident as it is today."""
    folding = _Folding(now)
    waiting = list(inputs)
    for entry in entries:
        while waiting and waiting[0].decided_at <= entry.recorded_at:
            folding.hear(waiting.pop(0))
        folding.take(entry)
    for said in waiting:
        folding.hear(said)
    return folding.result()


@dataclass(slots=True)
class _Folding:
    now: Incident
    incident: Incident = field(init=False)
    report: IncidentReport | None = None
    activations: dict[UUID, Activation] = field(default_factory=dict)
    assignments: dict[UUID, Assignment] = field(default_factory=dict)
    obstacles: dict[UUID, Obstacle] = field(default_factory=dict)
    needed: dict[tuple[UUID, str], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        nothing: Mapping[UUID, Any] = {}
        self.incident = replace(
            self.now,
            phase=Phase.OPEN,
            cancelled=False,
            joined_to=None,
            closed_at=None,
            activations=nothing,
            assignments=nothing,
            obstacles=nothing,
        )

    def result(self) -> Incident:
        return replace(
            self.incident,
            report=self.report or self.now.report,
            activations=self.activations,
            assignments=self.assignments,
            obstacles=self.obstacles,
        )

    def hear(self, said: Input) -> None:
        """Take what an event tells that no entry does."""
        if isinstance(said.said, Reported) and said.outcome not in _UNMERGED:
            news = said.said.report
            self.report = news if self.report is None else merge(self.report, news)
            return
        closes = isinstance(said.said, Commanded) and isinstance(said.said.command, Close)
        if closes and said.outcome is Outcome.APPLIED:
            self.incident = replace(self.incident, phase=Phase.CLOSING)

    def take(self, entry: TimelineEntry) -> None:
        """Take one entry."""
        kind = entry.entry
        if kind is Entry.INFORMED:
            for id_ in map(UUID, entry.detail["assignments"]):
                told = self.assignments[id_]
                self.assignments[id_] = replace(told, revision=told.revision + 1)
        elif entry.assignment_id is not None:
            if kind is Entry.ISSUED:
                self._keep(_fixed(Assignment, self.now.assignments[entry.assignment_id], revision=1))
            elif entry.assignment_id in self.assignments:
                self._keep(self._moved(self.assignments[entry.assignment_id], entry))
            self._obstacle(entry)
        elif entry.activation_id is not None:
            self._activation(entry.activation_id, entry)
        elif kind in _PHASES:
            self.incident = _PHASES[kind](self.incident, entry, self._lives())

    def _lives(self) -> bool:
        return any(activation.state is not ActivationState.STOOD_DOWN for activation in self.activations.values())

    def _keep(self, assignment: Assignment) -> None:
        self.assignments[assignment.id] = assignment
        key = (assignment.activation_id, assignment.task)
        activation = self.activations[assignment.activation_id]
        if assignment.task in activation.unfilled and self._held(*key) >= self.needed[key]:
            left = tuple(task for task in activation.unfilled if task != assignment.task)
            self.activations[activation.id] = replace(activation, unfilled=left)

    def _held(self, activation_id: UUID, task: str) -> int:
        return sum(
            a.state.is_open or a.state is AssignmentState.COMPLETED
            for a in self.assignments.values()
            if a.activation_id == activation_id and a.task == task
        )

    def _moved(self, assignment: Assignment, entry: TimelineEntry) -> Assignment:
        kind = entry.entry
        if kind is Entry.DELIVERED:
            first = assignment.state is AssignmentState.ISSUED
            state = AssignmentState.DELIVERED if first else assignment.state
            return replace(assignment, state=state, delivered_at=entry.occurred_at)
        if kind is Entry.ARRIVED:
            return replace(assignment, arrived_at=entry.occurred_at)
        if kind in _STEPS:
            return _stepped(assignment, entry)
        if kind in _REFUSALS:
            return _refused(assignment, entry)
        if kind in _ENDS:
            ended = replace(assignment, state=_ENDS[kind], ended_at=entry.recorded_at, ladder=None, reason=entry.reason)
            return replace(ended, revision=ended.revision + 1)
        if kind is Entry.OVERDUE:
            missed = replace(assignment, missed=(*assignment.missed, Deadline(entry.detail["deadline"])))
            return settle_ladder(missed, entry.recorded_at)
        if kind in {Entry.REMINDED, Entry.ESCALATED}:
            return _chased(assignment, entry)
        if kind is Entry.ANSWER_REFUSED:
            return replace(assignment, revision=assignment.revision + 1)
        return assignment

    def _activation(self, id_: UUID, entry: TimelineEntry) -> None:
        kind, at = entry.entry, entry.recorded_at
        if kind is Entry.PLAN_MATCHED:
            self.activations[id_] = _fixed(Activation, self.now.activations[id_], state=ActivationState.MONITORING)
        known = self.activations.get(id_)
        if known is None:
            return
        if kind in {Entry.PLAN_MATCHED, Entry.ACTIVATED}:
            self.incident = replace(self.incident, phase=Phase.OPEN, closed_at=None)
        level = entry.detail.get("level")
        changes: dict[Entry, dict[str, Any]] = {
            Entry.STANDBY: {"state": ActivationState.WARNING},
            Entry.ACTIVATED: {
                "state": ActivationState.ACTIVATED,
                "level": level,
                "overridden": entry.detail.get("why") == CHOSEN,
                "activated_at": at,
            },
            Entry.LEVEL_CHANGED: {"level": level, "overridden": entry.by is not None, "level_changed_at": at},
            Entry.STOOD_DOWN: {"state": ActivationState.STOOD_DOWN, "stood_down_at": at, "unfilled": ()},
        }
        if kind is Entry.TASK_ADDED:
            row = self.now.activations[id_]
            given = [task for task in row.added if task.id == entry.detail["task"]]
            changes[kind] = {"added": (*known.added, *given)}
        if kind is Entry.UNFILLED:
            task = entry.detail["task"]
            self.needed[(id_, task)] = entry.detail["missing"] + self._held(id_, task)
            changes[kind] = {"unfilled": (*known.unfilled, task)}
        self.activations[id_] = replace(known, **changes.get(kind, {}))

    def _obstacle(self, entry: TimelineEntry) -> None:
        if "obstacle_id" not in entry.detail:
            return
        id_ = UUID(entry.detail["obstacle_id"])
        if entry.entry is Entry.BLOCKED and entry.assignment_id is not None:
            self.obstacles[id_] = Obstacle(
                id=id_,
                assignment_id=entry.assignment_id,
                department=entry.department or "",
                description=entry.reason or "",
                owner=entry.detail["owner"],
                reported_at=entry.occurred_at,
            )
        elif entry.entry is Entry.OBSTACLE_TAKEN and id_ in self.obstacles:
            taken = replace(self.obstacles[id_], owner=entry.by or "", taken_at=entry.recorded_at)
            self.obstacles[id_] = taken
        elif entry.entry is Entry.OBSTACLE_RESOLVED and id_ in self.obstacles:
            self.obstacles[id_] = replace(self.obstacles[id_], resolved_at=entry.recorded_at)


def _fixed(kind: type[Any], row: Any, **begun: Any) -> Any:
    """Give an entity as it began: what its row fixed, and the defaults for all that changes."""
    return kind(**{name: getattr(row, name) for name in _FIXED[kind].split()}, **begun)


def _stepped(assignment: Assignment, entry: TimelineEntry) -> Assignment:
    state, name = _STEPS[entry.entry]
    at: dict[str, Any] = {name: entry.occurred_at}
    done = state is AssignmentState.COMPLETED
    ahead = done or _FORWARD.index(state) > _FORWARD.index(assignment.state)
    moved = replace(
        assignment,
        **at,
        state=state if ahead else assignment.state,
        read_back=(entry.detail.get("read_back") or "").strip() or assignment.read_back,
        answered_by=entry.by or assignment.answered_by,
        silent=assignment.silent and entry.entry is Entry.ACKNOWLEDGED,
        ended_at=entry.recorded_at if done else assignment.ended_at,
    )
    return settle_ladder(moved, entry.recorded_at)


def _refused(assignment: Assignment, entry: TimelineEntry) -> Assignment:
    state, name = _REFUSALS[entry.entry]
    at: dict[str, Any] = {name: entry.occurred_at, "ended_at": entry.recorded_at}
    return replace(assignment, **at, state=state, ladder=None, reason=entry.reason, answered_by=entry.by)


def _chased(assignment: Assignment, entry: TimelineEntry) -> Assignment:
    """Take a reminder or an escalation: a rung of the ladder, a person's reminder, or the end of a quota's wait."""
    step = entry.detail.get("step")
    if entry.entry is Entry.ESCALATED and "received" not in entry.detail:
        return replace(assignment, silent=True)
    revision = assignment.revision + (step != EscalationStep.DUTY_OFFICER)
    if entry.entry is Entry.REMINDED and entry.by is not None:
        return replace(assignment, revision=revision)
    silent = assignment.state.is_unanswered if step == EscalationStep.DEPUTY else assignment.silent
    climbed = {"rung": assignment.rung + 1, "rung_at": entry.recorded_at}
    return replace(assignment, **climbed, silent=silent, revision=revision)  # type: ignore[arg-type]


def _cancelled(incident: Incident, entry: TimelineEntry, lives: bool) -> Incident:
    del lives
    if "joined_by" in entry.detail:
        return incident  # another incident's, that was joined to this one
    ends = not entry.detail.get("asked") and incident.phase in {Phase.OPEN, Phase.JOINED}
    return replace(incident, cancelled=True, phase=Phase.CLOSING if ends else incident.phase)


def _joined(incident: Incident, entry: TimelineEntry, lives: bool) -> Incident:
    if "joined_to" not in entry.detail:
        return incident
    alone = incident.phase is Phase.OPEN and not lives
    to = UUID(entry.detail["joined_to"])
    return replace(incident, joined_to=to, phase=Phase.JOINED if alone else incident.phase)


_PHASES: dict[Entry, Callable[[Incident, TimelineEntry, bool], Incident]] = {
    Entry.UPDATED: lambda incident, *_: replace(incident, cancelled=False),
    Entry.CANCEL_RECEIVED: _cancelled,
    Entry.JOINED: _joined,
    Entry.CLOSED: lambda incident, entry, _: replace(incident, phase=Phase.CLOSED, closed_at=entry.recorded_at),
}
