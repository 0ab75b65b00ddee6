"""Keep every task that is wanted in somebody's hands: the rule that no assignment is ever lost.

`fill` compares what the plan wants with what has been given, and gives or takes back the difference. It may be
called after any event and does nothing where nothing changed. Most events change a single assignment: what a task
needs depends on its activation, the report, its own assignments and those of the tasks it comes after, so that only
the tasks touched by the event and those that wait for them are looked at while the first two stay as they were.
"""

from uuid import UUID

from schemas.timeline import Entry
from schemas.vocabulary import ActivationState, AssignmentState, Notice
from services.domain.changing import replace
from services.domain.deadlines import set_deadlines
from services.domain.draft import Draft
from services.domain.incident import Activation, Assignment, Phase
from services.domain.plan import Condition, ConditionError, Plan, Task

_CALLED_OFF = frozenset({AssignmentState.CANCELLED, AssignmentState.EXPIRED})
_NOT_AGAIN = frozenset({AssignmentState.DECLINED, AssignmentState.FAILED, AssignmentState.COMPLETED})


def fill(draft: Draft) -> None:
    """Bring the assignments of every activation in line with its plan, then see whether the incident is over."""
    if draft.incident.phase is Phase.CLOSED:
        return
    for activation_id in list(draft.activations):
        for task in _concerned(draft, activation_id):
            activation = draft.activations[activation_id]
            if wanted(draft, activation, task):
                _fill_task(draft, activation, task)
            else:
                _withdraw(draft, activation, task)
    close_if_done(draft)


def _concerned(draft: Draft, activation_id: UUID) -> list[Task]:
    plan = draft.plan(draft.activations[activation_id])
    tasks = plan.tasks.values()
    touched = draft.touched(activation_id)
    if touched is None:
        return list(tasks)
    names = touched.union(*(plan.followers.get(name, ()) for name in touched))
    return [task for task in tasks if task.id in names] if names else []


def reach(plan: Plan, task: str) -> set[str]:
    """Name all the tasks that an answer about an order of one task may lead to look at, as `fill` does.

    Its own, those that come after it, and what those come after besides. An incident that is closing looks at all.
    """
    later = plan.followers.get(task, ())
    return {task, *later, *(name for each in later for name in plan.tasks[each].after)}


def wanted(draft: Draft, activation: Activation, task: Task) -> bool:
    """Say whether a task is asked for in the activation's state and level, its guard included.

    A guard that can't be decided doesn't hold a task back: an order too many does less harm than one too few.
    """
    if activation.state is ActivationState.STOOD_DOWN:
        return task.stand_down and activation.activated_at is not None and _guard_holds(draft, activation, task)
    if not activation.in_force or task.stand_down or not task.at(activation.level):
        return False
    return _guard_holds(draft, activation, task)


def _guard_holds(draft: Draft, activation: Activation, task: Task) -> bool:
    return task.when is None or undecided_or_holds(task.when, draft, activation)


def undecided_or_holds(condition: Condition, draft: Draft, activation: Activation) -> bool:
    """Decide a condition, taking what can't be decided for true."""
    try:
        return condition.holds(draft.incident.report, activation.level)
    except ConditionError:
        return True


def _done(draft: Draft, activation: Activation, task: Task) -> bool:
    completed = sum(
        assignment.state is AssignmentState.COMPLETED for assignment in draft.of_task(activation.id, task.id)
    )
    return completed >= draft.role(activation, task).needed


def _released(draft: Draft, activation: Activation, task: Task) -> bool:
    tasks = draft.plan(activation).tasks
    before = (tasks[name] for name in task.after)
    return all(_done(draft, activation, other) for other in before if wanted(draft, activation, other))


def _fill_task(draft: Draft, activation: Activation, task: Task) -> None:
    role = draft.role(activation, task)
    given = draft.of_task(activation.id, task.id)
    if any(a.state in _CALLED_OFF for a in given):
        return  # a stand-down task that a forced close called off, for good, also should the incident open again
    agreed = [
        a for a in given if a.state is AssignmentState.COMPLETED or (a.state.is_open and not a.state.is_unanswered)
    ]
    waiting = [a for a in given if a.state.is_unanswered]
    if len(agreed) >= role.needed:
        for assignment in waiting:
            reason = "others have taken it on"
            draft.end(assignment, AssignmentState.SUPERSEDED, Entry.SUPERSEDED, Notice.SUPERSEDED, reason)
        _mark_unfilled(draft, activation, task, missing=0)
        return
    if not given and not _released(draft, activation, task):
        return
    handed_over = {a.parent_id for a in given}
    busy = {a.department for a in given if a.state.is_open or a.state in _NOT_AGAIN or a.id in handed_over}
    lacking = role.needed - len(agreed) - sum(not a.silent for a in waiting)
    for department in [name for name in role.candidates if name not in busy][: max(lacking, 0)]:
        issue(draft, activation, task, department)
        lacking -= 1
    _mark_unfilled(draft, activation, task, missing=lacking - sum(a.silent for a in waiting))


def issue(
    draft: Draft, activation: Activation, task: Task, department: str, *, parent: Assignment | None = None
) -> Assignment:
    """Give a task to a department, with its deadlines, and send the order."""
    assignment = Assignment(
        id=draft.new_id(),
        activation_id=activation.id,
        task=task.id,
        role=task.role,
        department=department,
        issued_at=draft.now,
        parent_id=parent.id if parent else None,
    )
    assignment = set_deadlines(assignment, task, draft.incident.reported_at)
    issued = draft.send(assignment, Notice.ISSUED)
    draft.note(Entry.ISSUED, assignment=issued, level=activation.level)
    return issued


def _mark_unfilled(draft: Draft, activation: Activation, task: Task, *, missing: int) -> None:
    known = task.id in activation.unfilled
    if missing > 0 and not known:
        draft.activations[activation.id] = replace(activation, unfilled=(*activation.unfilled, task.id))
        draft.note(Entry.UNFILLED, activation=activation, attention=True, task=task.id, role=task.role, missing=missing)
    elif missing <= 0 and known:
        left = tuple(name for name in activation.unfilled if name != task.id)
        draft.activations[activation.id] = replace(activation, unfilled=left)


def _withdraw(draft: Draft, activation: Activation, task: Task) -> None:
    for assignment in draft.of_task(activation.id, task.id):
        if not assignment.state.is_open:
            continue
        if activation.state is ActivationState.STOOD_DOWN and not task.stand_down:
            take_back(draft, assignment, "the plan was stood down")
        else:
            reason = "the task is not asked for any more"
            draft.end(assignment, AssignmentState.SUPERSEDED, Entry.SUPERSEDED, Notice.SUPERSEDED, reason)
    _mark_unfilled(draft, draft.activations[activation.id], task, missing=0)


def close_if_done(draft: Draft) -> None:
    """Close an incident that is closing once nothing of it is open or waits for somebody to take it."""
    if draft.incident.phase is not Phase.CLOSING:
        return
    is_open = any(assignment.state.is_open for assignment in draft.assignments.values())
    if not is_open and not any(activation.unfilled for activation in draft.activations.values()):
        draft.incident = replace(draft.incident, phase=Phase.CLOSED, closed_at=draft.now)
        draft.note(Entry.CLOSED)


def take_back(draft: Draft, assignment: Assignment, reason: str) -> None:
    """Call off an open assignment; one that was never answered expires, so that it counts as never responded."""
    if assignment.state.is_unanswered:
        draft.end(assignment, AssignmentState.EXPIRED, Entry.EXPIRED, Notice.CANCELLED, reason)
    else:
        draft.end(assignment, AssignmentState.CANCELLED, Entry.CANCELLED, Notice.CANCELLED, reason)
