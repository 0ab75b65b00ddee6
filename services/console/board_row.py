"""An incident as its row on the board: pure, from the state on record and the wordings it obeys."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from uuid import UUID

from schemas.vocabulary import ActivationState, AssignmentState
from services.console.board_attention import Suggestion, attention_of, title_of
from services.console.board_models import BoardRow, DepartmentLine, Due, OrderCounts, PlanLine
from services.domain.deadlines import CONFIRM_WITHIN
from services.domain.incident import Activation, Assignment, Deadline, Incident, Obstacle, Phase
from services.domain.playbook import Playbook

_TAKEN_BACK = frozenset({AssignmentState.CANCELLED, AssignmentState.SUPERSEDED, AssignmentState.EXPIRED})
_BEHIND = {
    state: place
    for place, state in enumerate(
        (
            AssignmentState.ISSUED,
            AssignmentState.DELIVERED,
            AssignmentState.ACKNOWLEDGED,
            AssignmentState.COMMITTED,
            AssignmentState.STARTED,
            AssignmentState.FAILED,
            AssignmentState.DECLINED,
            AssignmentState.COMPLETED,
        )
    )
}
"""States from the furthest behind on; what was refused is with somebody else by now."""
_UNKNOWN_LEVEL = 0
"""Until somebody has decided about a level it ranks with the highest: what isn't known isn't ruled out."""
_STANDBY_LEVEL = 90
_CLOSING_LEVEL = 95


def row_of(incident: Incident, playbook: Playbook, *, joined: int, suggestions: Mapping[UUID, Suggestion]) -> BoardRow:
    """Make the row; its revision is for the board to give."""
    live = [each for each in incident.activations.values() if each.state is not ActivationState.STOOD_DOWN]
    orders = [each for each in incident.assignments.values() if each.state not in _TAKEN_BACK]
    obstacles = [each for each in incident.obstacles.values() if each.resolved_at is None]
    plans = [_plan(activation, playbook) for activation in live]
    departments = _departments(orders, obstacles, playbook)
    dues = [each.next for each in departments if each.next is not None]
    dues += [Due(at=each.confirm_by, what=None) for each in plans if each.confirm_by is not None]
    overdue = any(each.overdue for each in departments) or any(_late(each, playbook) for each in live)
    place, level = _level(incident, live, playbook)
    report = incident.report
    return BoardRow(
        id=incident.id,
        status=incident.status,
        event=report.event,
        headline=report.headline,
        areas=[area.description for area in report.areas],
        categories=list(report.categories),
        severity=report.severity,
        phase=incident.phase,
        since=incident.reported_at,
        level=level,
        plans=plans,
        departments=departments,
        counts=_counts(orders),
        attention=attention_of(incident, playbook, suggestions),
        next=min(dues, key=lambda due: due.at, default=None),
        overdue=overdue,
        blocked=bool(obstacles),
        joined=joined,
        rank=f"{0 if overdue else 1}{place:02d}{round(incident.reported_at.timestamp() * 1000):015d}{incident.id}",
    )


def _plan(activation: Activation, playbook: Playbook) -> PlanLine:
    plan = playbook.frozen[activation.digest]
    titles = {level.id: level.title for level in plan.levels}
    return PlanLine(
        activation_id=activation.id,
        plan=activation.plan,
        version=activation.version,
        title=plan.title,
        state=activation.state,
        level=activation.level,
        level_title=titles.get(activation.level or ""),
        since=activation.activated_at or activation.matched_at,
        confirm_by=activation.next_due_at if activation.state is ActivationState.MONITORING else None,
    )


def _late(activation: Activation, playbook: Playbook) -> bool:
    """Say whether a confirmation is overdue: its alarm has rung, and was set again for later."""
    if activation.state is not ActivationState.MONITORING or activation.next_due_at is None:
        return False
    within = playbook.frozen[activation.digest].confirm_within or CONFIRM_WITHIN
    return activation.next_due_at > activation.matched_at + within


def _level(incident: Incident, live: Iterable[Activation], playbook: Playbook) -> tuple[int, str | None]:
    """Give the incident's place among the levels, 0 being the highest, and the highest level that was decided on."""
    places: list[int] = []
    decided: list[tuple[int, str]] = []
    for activation in live:
        if activation.state is ActivationState.WARNING:
            places.append(_STANDBY_LEVEL)
        elif activation.level is None:
            places.append(_UNKNOWN_LEVEL)
        else:
            levels = playbook.frozen[activation.digest].level_ids()
            place = levels.index(activation.level) if activation.level in levels else _UNKNOWN_LEVEL
            places.append(place)
            decided.append((place, activation.level))
    if not places:
        return (_CLOSING_LEVEL if incident.phase is Phase.CLOSING else _UNKNOWN_LEVEL), None
    return min(places), min(decided)[1] if decided else None


def _departments(
    orders: Iterable[Assignment], obstacles: Iterable[Obstacle], playbook: Playbook
) -> list[DepartmentLine]:
    by_department: defaultdict[str, list[Assignment]] = defaultdict(list)
    for order in orders:
        by_department[order.department].append(order)
    blocked = {obstacle.department for obstacle in obstacles}
    lines = [_department(name, held, name in blocked, playbook) for name, held in by_department.items()]
    return sorted(lines, key=_urgency)


def _urgency(line: DepartmentLine) -> tuple[bool, bool, int, float, str]:
    at = line.next.at.timestamp() if line.next else 0.0
    return not line.overdue, not line.blocked, _BEHIND[line.state], at, line.id


def _department(name: str, held: list[Assignment], blocked: bool, playbook: Playbook) -> DepartmentLine:
    still_open = [order for order in held if order.state.is_open]
    worst = min(still_open or held, key=lambda order: _BEHIND[order.state])
    dues = [due for order in still_open for due in _dues(order)]
    return DepartmentLine(
        id=name,
        title=title_of(name, playbook),
        state=worst.state,
        received=all(order.received for order in still_open),
        next=min(dues, key=lambda due: due.at, default=None),
        overdue=any(order.overdue for order in still_open),
        escalated=any(_is_escalated(order) for order in still_open),
        blocked=blocked,
        orders=len(held),
        open=len(still_open),
    )


def _dues(order: Assignment) -> Iterable[Due]:
    for deadline, at in (
        (Deadline.ACKNOWLEDGE, order.acknowledge_by),
        (Deadline.START, order.start_by),
        (Deadline.COMPLETE, order.complete_by),
    ):
        if at is not None and order.unmet(deadline):
            yield Due(at=at, what=deadline)


def _is_escalated(order: Assignment) -> bool:
    return order.silent or (order.ladder is not None and order.rung > 0)


def _counts(orders: Iterable[Assignment]) -> OrderCounts:
    found: defaultdict[str, int] = defaultdict(int)
    for order in orders:
        found["orders"] += 1
        found["overdue"] += order.overdue
        if order.state.is_unanswered:
            found["not_answered" if order.received else "not_received"] += 1
        elif order.state in {AssignmentState.DECLINED, AssignmentState.FAILED}:
            found["refused"] += 1
        else:
            found[order.state.value] += 1
    return OrderCounts(**found)
