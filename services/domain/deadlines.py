"""When an assignment next falls due, and what happens when it does not get its answer in time."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from schemas.timeline import Entry
from schemas.vocabulary import Clock, EscalationStep, Notice
from services.domain.changing import replace
from services.domain.incident import Assignment, Deadline
from services.domain.plan import Role, Task

CONFIRM_WITHIN = timedelta(minutes=5)
"""How long a duty officer has to decide on a plan that names no time of its own, before being alarmed."""

_DEADLINES = tuple(Deadline)

if TYPE_CHECKING:
    from services.domain.draft import Draft


def set_deadlines(assignment: Assignment, task: Task, reported_at: datetime) -> Assignment:
    """Turn a task's spans into instants: from the order, or from the report where the law's clock runs."""
    base = reported_at if task.clock is Clock.REPORTED else assignment.issued_at
    return replace(
        assignment,
        acknowledge_by=assignment.issued_at + task.acknowledge,
        start_by=_plus(assignment.issued_at, task.start),
        complete_by=_plus(base, task.complete),
    )


def _plus(base: datetime, span: timedelta | None) -> datetime | None:
    return None if span is None else base + span


def _by(assignment: Assignment, deadline: Deadline) -> datetime | None:
    if deadline is Deadline.ACKNOWLEDGE:
        return assignment.acknowledge_by
    return assignment.start_by if deadline is Deadline.START else assignment.complete_by


def _dues(assignment: Assignment, task: Task, role: Role) -> Iterator[datetime]:
    if role.wait is not None and assignment.state.is_unanswered and not assignment.silent:
        yield assignment.issued_at + role.wait
    for deadline in _DEADLINES:
        by = _by(assignment, deadline)
        if by is not None and deadline not in assignment.missed and assignment.unmet(deadline):
            yield by
    if assignment.ladder is not None and assignment.rung_at is not None and assignment.rung < len(task.ladder):
        yield assignment.rung_at + task.ladder[assignment.rung].wait


def next_due(assignment: Assignment, task: Task, role: Role) -> datetime | None:
    """Say when an open assignment next falls due: a deadline, a rung of its ladder, or a quota's wait."""
    return min(_dues(assignment, task, role), default=None)


def settle_ladder(assignment: Assignment, now: datetime) -> Assignment:
    """Stop a ladder whose deadline has been met since; start one for another deadline that is still missed."""
    unmet = [deadline for deadline in assignment.missed if assignment.unmet(deadline)]
    if assignment.ladder in unmet:
        return assignment
    if not unmet:
        at_rest = assignment.ladder is None and assignment.rung == 0 and assignment.rung_at is None
        return assignment if at_rest else replace(assignment, ladder=None, rung=0, rung_at=None)
    return replace(assignment, ladder=unmet[0], rung=0, rung_at=now)


def pass_time(draft: "Draft") -> None:
    """Do everything that has fallen due by now. Rungs keep their waits, also after an outage: one rung at a time."""
    for activation in list(draft.activations.values()):
        if activation.next_due_at is not None and activation.next_due_at <= draft.now:
            draft.note(Entry.CONFIRMATION_OVERDUE, activation=activation, attention=True)
            again = draft.now + (draft.plan(activation).confirm_within or CONFIRM_WITHIN)
            draft.activations[activation.id] = replace(activation, next_due_at=again)
    for known in list(draft.assignments.values()):
        assignment = known
        if assignment.next_due_at is None or assignment.next_due_at > draft.now:
            continue
        activation = draft.activations[assignment.activation_id]
        task = draft.task(assignment)
        role = draft.role(activation, task)
        if _wait_is_over(assignment, role, draft.now):
            assignment = _call_next(draft, assignment, "did not answer within the quota's wait")
        assignment = _miss_deadlines(draft, assignment, task)
        assignment = _climb(draft, assignment, task)
        draft.put(assignment)


def _wait_is_over(assignment: Assignment, role: Role, now: datetime) -> bool:
    return (
        role.wait is not None
        and assignment.state.is_unanswered
        and not assignment.silent
        and assignment.issued_at + role.wait <= now
    )


def _call_next(draft: "Draft", assignment: Assignment, reason: str) -> Assignment:
    silent = replace(assignment, silent=True)
    draft.note(Entry.ESCALATED, assignment=silent, reason=reason, step=EscalationStep.DEPUTY.value)
    return silent


def _miss_deadlines(draft: "Draft", assignment: Assignment, task: Task) -> Assignment:
    reaches_officer = any(rung.step is EscalationStep.DUTY_OFFICER for rung in task.ladder)
    for deadline in _DEADLINES:
        by = _by(assignment, deadline)
        if by is None or by > draft.now or deadline in assignment.missed or not assignment.unmet(deadline):
            continue
        assignment = replace(assignment, missed=(*assignment.missed, deadline))
        draft.note(
            Entry.OVERDUE,
            assignment=assignment,
            occurred_at=by,
            attention=deadline is not Deadline.ACKNOWLEDGE or not reaches_officer,
            deadline=deadline.value,
            received=assignment.received,
        )
    return settle_ladder(assignment, draft.now)


def _climb(draft: "Draft", assignment: Assignment, task: Task) -> Assignment:
    if assignment.ladder is None or assignment.rung_at is None or assignment.rung >= len(task.ladder):
        return assignment
    rung = task.ladder[assignment.rung]
    if assignment.rung_at + rung.wait > draft.now:
        return assignment
    climbed = replace(assignment, rung=assignment.rung + 1, rung_at=draft.now)
    reason = f"{assignment.ladder.value} deadline missed"
    if rung.step is EscalationStep.REMIND:
        draft.note(Entry.REMINDED, assignment=climbed, reason=reason)
        return draft.send(climbed, Notice.REMINDED, reason=reason, addressed_to="liaison")
    department = draft.playbook.directory.departments.get(assignment.department)
    to = department.superior.department if department and rung.step is EscalationStep.SUPERIOR else None
    told: dict[str, Any] = {} if to is None else {"departments": [to]}
    draft.note(
        Entry.ESCALATED,
        assignment=climbed,
        reason=reason,
        step=rung.step.value,
        attention=rung.step is EscalationStep.DUTY_OFFICER,
        received=climbed.received,
        **told,
    )
    if rung.step is EscalationStep.DEPUTY:
        silent = replace(climbed, silent=climbed.state.is_unanswered)
        return draft.send(silent, Notice.ESCALATED, reason=reason, addressed_to="deputy")
    if rung.step is EscalationStep.SUPERIOR:
        return draft.send(climbed, Notice.ESCALATED, reason=reason, to=to, addressed_to="superior")
    return climbed
