"""What of an incident waits for its duty officer, told from the state on record."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from schemas.base import Text
from schemas.vocabulary import ActivationState, EscalationStep
from services.console.board_models import AttentionItem, Need
from services.domain.incident import Activation, Assignment, Incident, Phase
from services.domain.plan import Plan
from services.domain.playbook import Playbook


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A level that a later report asks for while a person's choice stands."""

    level: str
    reason: str | None
    since: datetime


def attention_of(incident: Incident, playbook: Playbook, suggestions: Mapping[UUID, Suggestion]) -> list[AttentionItem]:
    """List what must be looked at, oldest first."""
    live = [each for each in incident.activations.values() if each.state is not ActivationState.STOOD_DOWN]
    items = [item for each in live for item in _of_plan(each, playbook.frozen[each.digest], suggestions.get(each.id))]
    if not incident.activations and incident.phase is Phase.OPEN:
        items.append(AttentionItem(need=Need.NO_PLAN, since=incident.reported_at))
    if incident.cancelled and any(activation.in_force for activation in live):
        items.append(AttentionItem(need=Need.CANCEL_ASKED, since=incident.report.reported_at))
    items += _obstacles(incident, playbook)
    items += _silences(incident, playbook)
    return sorted(items, key=lambda item: (item.since, item.need))


def title_of(department: str, playbook: Playbook) -> Text:
    """Name a department; one that has left the directory by its id."""
    known = playbook.directory.departments.get(department)
    return known.title if known else Text(en=department, zh=department)


def _of_plan(activation: Activation, plan: Plan, told: Suggestion | None) -> Iterator[AttentionItem]:
    if activation.state is ActivationState.MONITORING:
        yield AttentionItem(
            need=Need.CONFIRM, since=activation.matched_at, plan=plan.title, activation_id=activation.id
        )
    titles = {task.id: task.title for task in plan.tasks.values()}
    titles |= {task.id: task.title for task in activation.added}
    for task in activation.unfilled:
        yield AttentionItem(
            need=Need.UNFILLED,
            since=activation.activated_at or activation.matched_at,
            plan=plan.title,
            task=titles.get(task, Text(en=task, zh=task)),
            activation_id=activation.id,
        )
    if told is not None and told.level != activation.level:
        yield AttentionItem(
            need=Need.LEVEL_SUGGESTED,
            since=told.since,
            plan=plan.title,
            level=told.level,
            text=told.reason,
            activation_id=activation.id,
        )


def _obstacles(incident: Incident, playbook: Playbook) -> Iterator[AttentionItem]:
    for obstacle in incident.obstacles.values():
        if obstacle.resolved_at is None:
            yield AttentionItem(
                need=Need.OBSTACLE,
                since=obstacle.reported_at,
                text=obstacle.description,
                department=title_of(obstacle.department, playbook),
                owner=obstacle.owner if obstacle.taken_at else None,
                assignment_id=obstacle.assignment_id,
                obstacle_id=obstacle.id,
            )


def _silences(incident: Incident, playbook: Playbook) -> Iterator[AttentionItem]:
    for order in incident.assignments.values():
        if order.state.is_open and _reached_officer(order, incident, playbook):
            yield AttentionItem(
                need=Need.ESCALATED,
                since=order.rung_at or order.issued_at,
                department=title_of(order.department, playbook),
                assignment_id=order.id,
            )


def _reached_officer(order: Assignment, incident: Incident, playbook: Playbook) -> bool:
    """Say whether an order's silence has been taken to the duty officer."""
    task = playbook.frozen[incident.activations[order.activation_id].digest].tasks.get(order.task)
    climbed = task.ladder[: order.rung] if task is not None and order.ladder is not None else ()
    return any(rung.step is EscalationStep.DUTY_OFFICER for rung in climbed)
