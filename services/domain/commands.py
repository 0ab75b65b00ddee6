"""What a duty officer's decision does; each is carried out or refused with a reason that is kept."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from schemas import command as order
from schemas.timeline import Entry
from schemas.vocabulary import ActivationMode, ActivationState, Notice
from services.domain.activating import activate, live_activation, open_activation, set_level, stand_down
from services.domain.adding import next_name
from services.domain.answers import hand_over, why_not_hand_over
from services.domain.changing import replace
from services.domain.decision import Outcome
from services.domain.draft import Draft
from services.domain.filling import take_back
from services.domain.incident import Activation, AddedTask, Assignment, Obstacle, Phase
from services.domain.informing import inform

Result = tuple[Outcome, str]


def take_command(draft: Draft, command: order.Command) -> Result:
    """Carry out one command, or refuse it and put the refusal on the record."""
    outcome, reason = _CARRY_OUT[type(command)](draft, command)
    if outcome is Outcome.REFUSED:
        draft.note(
            Entry.COMMAND_REFUSED,
            by=command.by,
            reason=reason,
            occurred_at=command.decided_at,
            attention=True,
            action=command.action,
        )
    return outcome, reason


def _refuse(reason: str) -> Result:
    return Outcome.REFUSED, reason


def _activate(draft: Draft, command: order.Activate) -> Result:
    live = live_activation(draft, command.plan)
    plan = draft.plan(live) if live else draft.playbook.published.by_id.get(command.plan)
    if plan is None:
        return _refuse(f"there is no published plan {command.plan!r}")
    if command.level is not None and command.level not in plan.level_ids():
        return _refuse(f"{plan.id} has no level {command.level!r}, only {', '.join(plan.level_ids())}")
    if live is not None and live.state is ActivationState.ACTIVATED:
        return _refuse(f"{plan.id} is already activated at level {live.level}")
    if live is None:
        live = open_activation(draft, plan, ActivationMode.CONFIRM, f"chosen by {command.by}")
    activate(draft, live, reason=command.reason, level=command.level, by=command.by, occurred_at=command.decided_at)
    draft.incident = replace(draft.incident, phase=Phase.OPEN, closed_at=None)
    return Outcome.ACTIVATED, f"{plan.id} at level {draft.activations[live.id].level}"


def _change_level(draft: Draft, command: order.ChangeLevel) -> Result:
    active = [
        activation
        for activation in draft.activations.values()
        if activation.state is ActivationState.ACTIVATED and command.plan in {None, activation.plan}
    ]
    if len(active) != 1:
        found = ", ".join(activation.plan for activation in active) or "none"
        return _refuse(f"name the plan whose level changes; activated: {found}")
    plan = draft.plan(active[0])
    if command.level not in plan.level_ids():
        return _refuse(f"{plan.id} has no level {command.level!r}, only {', '.join(plan.level_ids())}")
    if command.level == active[0].level:
        return _refuse(f"{plan.id} is at level {command.level} already")
    set_level(draft, active[0], command.level, reason=command.reason, by=command.by, occurred_at=command.decided_at)
    return Outcome.APPLIED, f"{plan.id} is at level {command.level}"


def _stand_down(draft: Draft, command: order.StandDown) -> Result:
    live = [
        activation.id
        for activation in draft.activations.values()
        if activation.state is not ActivationState.STOOD_DOWN and command.plan in {None, activation.plan}
    ]
    if not live:
        return _refuse("no such plan is in force")
    for activation_id in live:
        stand_down(draft, activation_id, reason=command.reason, by=command.by, occurred_at=command.decided_at)
    return Outcome.APPLIED, f"{len(live)} stood down"


def _close(draft: Draft, command: order.Close) -> Result:
    if draft.incident.phase is Phase.CLOSED:
        return _refuse("the incident is closed already")
    if draft.incident.phase is Phase.CLOSING:
        return _close_at_once(draft, command)
    for activation in list(draft.activations.values()):
        if activation.state is not ActivationState.STOOD_DOWN:
            stand_down(draft, activation.id, reason=command.reason, by=command.by, occurred_at=command.decided_at)
    draft.incident = replace(draft.incident, phase=Phase.CLOSING)
    return Outcome.APPLIED, "the incident closes when its stand-down tasks are done"


def _close_at_once(draft: Draft, command: order.Close) -> Result:
    for assignment in list(draft.assignments.values()):
        if assignment.state.is_open:
            take_back(draft, assignment, f"the incident was closed: {command.reason}")
    draft.incident = replace(draft.incident, phase=Phase.CLOSED, closed_at=draft.now)
    draft.note(Entry.CLOSED, by=command.by, reason=command.reason, occurred_at=command.decided_at)
    return Outcome.APPLIED, "the incident is closed with its stand-down tasks called off"


def _reassign(draft: Draft, command: order.Reassign) -> Result:
    assignment = draft.assignments.get(command.assignment_id)
    if assignment is None or not (assignment.state.is_open or _is_unfilled(draft, assignment)):
        return _refuse("there is no such open assignment")
    refusal = why_not_hand_over(draft, assignment, command.department)
    if refusal is not None:
        return _refuse(refusal)
    hand_over(
        draft,
        assignment,
        command.department,
        by=command.by,
        reason=command.reason,
        occurred_at=command.decided_at,
    )
    return Outcome.APPLIED, f"handed over to {command.department}"


def _is_unfilled(draft: Draft, assignment: Assignment) -> bool:
    """Say whether nobody is left to call for an ended assignment's task, so that only a person can place it."""
    in_force = draft.incident.phase is not Phase.CLOSED
    return in_force and assignment.task in draft.activations[assignment.activation_id].unfilled


def _remind(draft: Draft, command: order.Remind) -> Result:
    assignment = draft.assignments.get(command.assignment_id)
    if assignment is None or not assignment.state.is_open:
        return _refuse("there is no such open assignment")
    draft.note(
        Entry.REMINDED,
        assignment=assignment,
        by=command.by,
        reason=command.reason,
        occurred_at=command.decided_at,
    )
    draft.send(assignment, Notice.REMINDED, reason=command.reason)
    return Outcome.APPLIED, f"{assignment.department} is reminded"


def _obstacle(draft: Draft, obstacle_id: UUID) -> Obstacle | None:
    obstacle = draft.obstacles.get(obstacle_id)
    return obstacle if obstacle is not None and obstacle.resolved_at is None else None


def _take_obstacle(draft: Draft, command: order.TakeObstacle) -> Result:
    obstacle = _obstacle(draft, command.obstacle_id)
    if obstacle is None:
        return _refuse("there is no such open obstacle")
    draft.obstacles[obstacle.id] = replace(obstacle, owner=command.by, taken_at=draft.now)
    _note_obstacle(draft, obstacle, command, Entry.OBSTACLE_TAKEN)
    return Outcome.APPLIED, f"the obstacle is with {command.by}"


def _resolve_obstacle(draft: Draft, command: order.ResolveObstacle) -> Result:
    obstacle = _obstacle(draft, command.obstacle_id)
    if obstacle is None:
        return _refuse("there is no such open obstacle")
    draft.obstacles[obstacle.id] = replace(obstacle, resolved_at=draft.now)
    _note_obstacle(draft, obstacle, command, Entry.OBSTACLE_RESOLVED)
    return Outcome.APPLIED, "the obstacle is resolved"


def _note_obstacle(draft: Draft, obstacle: Obstacle, command: order.CommandBase, entry: Entry) -> None:
    draft.note(
        entry,
        assignment=draft.assignments[obstacle.assignment_id],
        by=command.by,
        reason=command.reason,
        occurred_at=command.decided_at,
        obstacle_id=str(obstacle.id),
    )


def _add_task(draft: Draft, command: order.AddTask) -> Result:
    in_force = [
        activation
        for activation in draft.activations.values()
        if activation.in_force and command.plan in {None, activation.plan}
    ]
    if len(in_force) != 1:
        found = ", ".join(activation.plan for activation in in_force) or "none"
        return _refuse(f"name the plan that the task is added to; in force: {found}")
    unknown = [name for name in command.departments if name not in draft.playbook.directory.departments]
    if unknown:
        return _refuse(f"there is no department {unknown[0]!r} in the directory")
    added = _added(draft, in_force[0], command)
    draft.activations[in_force[0].id] = activation = replace(in_force[0], added=(*in_force[0].added, added))
    draft.note(
        Entry.TASK_ADDED,
        activation=activation,
        by=command.by,
        reason=command.reason,
        occurred_at=command.decided_at,
        task=added.id,
        title=added.title.model_dump(),
        departments=list(added.departments),
    )
    return Outcome.APPLIED, f"{added.id} is with {', '.join(added.departments)}"


def _added(draft: Draft, activation: Activation, command: order.AddTask) -> AddedTask:
    return AddedTask(
        id=next_name(draft.plan(activation)),
        departments=tuple(dict.fromkeys(command.departments)),
        title=command.title,
        done_when=command.done_when,
        acknowledge=command.acknowledge,
        instructions=command.instructions,
        start=command.start,
        complete=command.complete,
        read_back=command.read_back,
    )


def _inform(draft: Draft, command: order.Inform) -> Result:
    first: dict[str, Assignment] = {}
    for assignment in draft.assignments.values():
        if assignment.state.is_open:
            first.setdefault(assignment.department, assignment)
    if not first:
        return _refuse("no department has an open order")
    inform(draft, list(first.values()), command.reason, by=command.by, occurred_at=command.decided_at)
    return Outcome.APPLIED, f"{len(first)} departments are told"


_CARRY_OUT: dict[type[order.CommandBase], Callable[[Draft, Any], Result]] = {
    order.Activate: _activate,
    order.ChangeLevel: _change_level,
    order.StandDown: _stand_down,
    order.Close: _close,
    order.Reassign: _reassign,
    order.Remind: _remind,
    order.TakeObstacle: _take_obstacle,
    order.ResolveObstacle: _resolve_obstacle,
    order.AddTask: _add_task,
    order.Inform: _inform,
}
