"""The state of one incident: its report, the plans put into force for it, and every assignment given.

An incident with all that hangs on it is one unit of consistency: events about it are decided one after another.
The values have no slots, so that `services.domain.changing.replace` can copy them at once.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from schemas.base import Text
from schemas.incident import IncidentReport
from schemas.vocabulary import ActivationState, AssignmentState, Status


class Phase(StrEnum):
    """Whether an incident still asks for anything.

    ``joined``: another incident's response answers it. ``closing``: only stand-down tasks are left.
    """

    OPEN = "open"
    JOINED = "joined"
    CLOSING = "closing"
    CLOSED = "closed"


class Deadline(StrEnum):
    """The deadlines a task can have; ``acknowledge`` asks for a yes or a no."""

    ACKNOWLEDGE = "acknowledge"
    START = "start"
    COMPLETE = "complete"


@dataclass(frozen=True)
class Assignment:
    """A task given to one department for one activation.

    ``silent``: the next candidate has been called because this department did not answer.
    ``missed``: deadlines that passed unmet. ``ladder`` names the one whose escalation ladder runs, ``rung`` the
    step it takes next, ``rung_at`` when it took the one before. Times are the department's own for what it
    did; one before the order or after its recording is a wrong clock's, and the broker's time stands in for it.
    """

    id: UUID
    activation_id: UUID
    task: str
    role: str
    department: str
    issued_at: datetime
    state: AssignmentState = AssignmentState.ISSUED
    revision: int = 0
    parent_id: UUID | None = None
    silent: bool = False
    acknowledge_by: datetime | None = None
    start_by: datetime | None = None
    complete_by: datetime | None = None
    missed: tuple[Deadline, ...] = ()
    ladder: Deadline | None = None
    rung: int = 0
    rung_at: datetime | None = None
    next_due_at: datetime | None = None
    delivered_at: datetime | None = None
    acknowledged_at: datetime | None = None
    committed_at: datetime | None = None
    declined_at: datetime | None = None
    started_at: datetime | None = None
    arrived_at: datetime | None = None
    completed_at: datetime | None = None
    failed_at: datetime | None = None
    ended_at: datetime | None = None
    reason: str | None = None
    read_back: str | None = None
    answered_by: str | None = None

    def unmet(self, deadline: Deadline) -> bool:
        """Say whether what a deadline asks for has still not happened."""
        if deadline is Deadline.ACKNOWLEDGE:
            return self.state.is_unanswered
        if deadline is Deadline.START:
            return self.state.is_open and self.state is not AssignmentState.STARTED
        return self.state.is_open

    @property
    def received(self) -> bool:
        """True once anything shows that the order reached the department: a receipt, or an answer to it."""
        return self.delivered_at is not None or self.arrived_at is not None or self.state is not AssignmentState.ISSUED

    @property
    def overdue(self) -> bool:
        """True while a missed deadline is still unmet."""
        return any(self.unmet(deadline) for deadline in self.missed)


@dataclass(frozen=True)
class AddedTask:
    """A task that a duty officer added to an activation: given to each of ``departments``, at every level."""

    id: str
    departments: tuple[str, ...]
    title: Text
    done_when: Text
    acknowledge: timedelta
    instructions: Text | None = None
    start: timedelta | None = None
    complete: timedelta | None = None
    read_back: bool = False


@dataclass(frozen=True)
class Activation:
    """A plan put into force for an incident; ``digest`` names the frozen wording it obeys for good.

    ``level`` is None on standby and while a confirmation is awaited. ``overridden``: a duty officer chose the
    level, and reports no longer move it. ``group_key`` is the key under which later reports join this activation.
    ``unfilled``: tasks for which nobody is left to call. ``added``: tasks that a duty officer gave beside the plan's.
    """

    id: UUID
    plan: str
    version: int
    digest: str
    state: ActivationState
    matched_at: datetime
    level: str | None = None
    overridden: bool = False
    parent_id: UUID | None = None
    group_key: str | None = None
    activated_at: datetime | None = None
    level_changed_at: datetime | None = None
    stood_down_at: datetime | None = None
    next_due_at: datetime | None = None
    unfilled: tuple[str, ...] = ()
    added: tuple[AddedTask, ...] = ()

    @property
    def in_force(self) -> bool:
        """True on standby and while activated."""
        return self.state in {ActivationState.WARNING, ActivationState.ACTIVATED}


@dataclass(frozen=True)
class Obstacle:
    """What keeps a department from going on; it has an owner until it is resolved."""

    id: UUID
    assignment_id: UUID
    department: str
    description: str
    owner: str
    reported_at: datetime
    taken_at: datetime | None = None
    resolved_at: datetime | None = None


@dataclass(frozen=True)
class Incident:
    """One incident with all that hangs on it; assignments are kept in the order they were issued.

    ``joined_to`` names the incident whose response this one's reports joined.
    """

    id: UUID
    status: Status
    report: IncidentReport
    reported_at: datetime
    phase: Phase = Phase.OPEN
    cancelled: bool = False
    joined_to: UUID | None = None
    closed_at: datetime | None = None
    activations: Mapping[UUID, Activation] = field(default_factory=dict)
    assignments: Mapping[UUID, Assignment] = field(default_factory=dict)
    obstacles: Mapping[UUID, Obstacle] = field(default_factory=dict)

    def of_task(self, activation_id: UUID, task: str) -> Iterator[Assignment]:
        """List the assignments of one task of one activation, oldest first."""
        return (
            assignment
            for assignment in self.assignments.values()
            if assignment.task == task and assignment.activation_id == activation_id
        )
