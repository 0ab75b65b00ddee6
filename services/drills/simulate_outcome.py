"""What one simulated response came to, in numbers: the times, the path that decided them, and who had to be called."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from schemas.drill import Segment
from schemas.timeline import Entry
from schemas.vocabulary import ActivationState, AssignmentState
from services.domain.draft import Draft
from services.domain.filling import wanted
from services.domain.incident import Activation, Assignment
from services.domain.plan import Task
from services.domain.segments import Alarm, Order, segments_of
from services.drills.critical import Why, causes, path_to
from services.drills.simulate import Run, Setting

_NO_EVENT = UUID(int=0)


@dataclass(frozen=True, slots=True, order=True)
class Work:
    """One task of one plan, with the role that owns it."""

    plan: str
    role: str
    task: str


@dataclass(frozen=True, slots=True, order=True)
class Stage:
    """One stage of a critical path: an order to a department, why it was given, and how long the path stays there."""

    work: Work
    department: str
    why: Why
    took: timedelta


@dataclass(frozen=True, slots=True)
class Outcome:
    """One run. Times count from the report; None stands for never.

    ``first_orders``: until every task that was ordered when the plan was activated, or before, had as many
    departments committed as it needs; ``last_taken_on`` is the one that was last. ``completion``: until every task
    that the plans ask for at their level was complete, without standing down; ``path`` is the critical path to it, or
    to the task that never was. ``mobilization`` holds for each order whose turnout is known (as in a drill's report)
    the alarm handling and the turnout. ``unfilled``: tasks that too few had taken on in the end, as nobody was left to
    call, or as silence did not lead to a deputy. ``called``: every (plan, role, department) that was given an order.
    """

    seed: int
    level: str | None
    first_orders: timedelta | None
    last_taken_on: Work
    completion: timedelta | None
    path: tuple[Stage, ...]
    mobilization: tuple[tuple[Work, timedelta | None], ...]
    unfilled: tuple[Work, ...]
    reminders: int
    escalations: tuple[tuple[str, int], ...]
    called: frozenset[tuple[str, str, str]]


@dataclass(frozen=True, slots=True)
class _Piece:
    """A task that a plan asks for: its orders, and when enough had agreed and completed.

    ``left_open``: it was to be given, and in the end too few have taken it on.
    """

    work: Work
    left_open: bool
    orders: tuple[Assignment, ...]
    agreed_at: datetime | None
    done_by: Assignment | None


def outcome_of(setting: Setting, run: Run) -> Outcome:
    """Reckon up one run. Raises ValueError when its plan has no orders to give."""
    pieces = list(_pieces(setting, run))
    start, end = setting.report.reported_at, setting.report.reported_at + setting.horizon
    activated = next(a for a in run.incident.activations.values() if a.plan == setting.plan.id)
    by = activated.activated_at or end
    first = [piece for piece in pieces if (piece.orders[0].issued_at <= by if piece.orders else piece.left_open)]
    if not first:
        raise ValueError(f"{setting.plan.id} gives no orders for this report")
    slowest = max(first, key=lambda piece: piece.agreed_at or end)
    undone = [piece for piece in pieces if piece.done_by is None]
    completed_at, path = _critical(setting, run, pieces, undone)
    return Outcome(
        seed=run.seed,
        level=activated.level,
        first_orders=None if slowest.agreed_at is None else slowest.agreed_at - start,
        last_taken_on=slowest.work,
        completion=None if completed_at is None else completed_at - start,
        path=path,
        mobilization=tuple(_mobilization(setting, run, pieces, end)),
        unfilled=tuple(sorted(piece.work for piece in pieces if piece.left_open)),
        reminders=sum(noted.entry is Entry.REMINDED for noted in run.log),
        escalations=tuple(sorted(Counter(n.step or "" for n in run.log if n.entry is Entry.ESCALATED).items())),
        called=frozenset((p.work.plan, p.work.role, order.department) for p in pieces for order in p.orders),
    )


def asked(setting: Setting, run: Run) -> Iterator[tuple[Activation, Task]]:
    """List the tasks that the plans in force ask for at their level."""
    now, playbook = setting.report.reported_at, setting.playbook
    draft = Draft(run.incident, event_id=_NO_EVENT, now=now, broker_at=None, playbook=playbook)
    for activation in run.incident.activations.values():
        if activation.state is ActivationState.ACTIVATED:
            for task in setting.playbook.frozen[activation.digest].tasks.values():
                if wanted(draft, activation, task):
                    yield activation, task


def work_of(activation: Activation, task: Task) -> Work:
    """Name a task of a plan in force."""
    return Work(activation.plan, task.role, task.id)


def _pieces(setting: Setting, run: Run) -> Iterator[_Piece]:
    orders: dict[tuple[UUID, str], list[Assignment]] = {}
    for order in run.incident.assignments.values():
        orders.setdefault((order.activation_id, order.task), []).append(order)
    for activation, task in asked(setting, run):
        given = orders.get((activation.id, task.id), [])
        needed = setting.playbook.frozen[activation.digest].roles[task.role].needed
        agreed = sorted(each.committed_at for each in given if each.committed_at is not None)
        done = [each for each in given if each.state is AssignmentState.COMPLETED]
        done.sort(key=lambda each: each.completed_at or run.log[-1].at)
        yield _Piece(
            work_of(activation, task),
            task.id in activation.unfilled or (bool(given) and len(agreed) < needed),
            tuple(given),
            agreed[needed - 1] if len(agreed) >= needed else None,
            done[needed - 1] if len(done) >= needed else None,
        )


def _critical(
    setting: Setting, run: Run, pieces: list[_Piece], undone: list[_Piece]
) -> tuple[datetime | None, tuple[Stage, ...]]:
    """Give the moment when all was done, None for never, and the path to it or to the first task left undone."""
    at: datetime | None = None
    if undone:
        stuck = next((piece for piece in undone if piece.orders), None)  # the others wait for it or for one like it
        if stuck is None:
            return None, ()
        last, until = stuck.orders[-1], run.log[-1].at
    else:
        ends = [piece.done_by for piece in pieces if piece.done_by is not None]
        last = max(ends, key=lambda order: order.completed_at or order.issued_at)
        at = until = last.completed_at or last.issued_at
    after = {
        (activation.id, task.id): task.after
        for activation in run.incident.activations.values()
        for task in setting.playbook.frozen[activation.digest].tasks.values()
    }
    works = {order.id: (piece.work, order.department) for piece in pieces for order in piece.orders}
    links = path_to(last.id, until, causes(run, after))
    return at, tuple(Stage(*works[link.assignment_id], link.why, link.took) for link in links)


def _mobilization(
    setting: Setting, run: Run, pieces: list[_Piece], end: datetime
) -> Iterator[tuple[Work, timedelta | None]]:
    report, incident = setting.report, run.incident
    works = {order.id: piece.work for piece in pieces for order in piece.orders}
    published = next((noted.at for noted in run.log if noted.entry is Entry.ISSUED), None)
    alarm = Alarm(incident.id, report.reported_at, report.reported_at, report.reported_at, published)
    orders = [_row(incident.id, order, end) for piece in pieces for order in piece.orders]
    for each in segments_of([alarm], orders).found:
        if each.segment is Segment.MOBILIZATION and each.assignment_id is not None:
            yield works[each.assignment_id], each.took


def _row(incident_id: UUID, order: Assignment, end: datetime) -> Order:
    return Order(
        assignment_id=order.id,
        incident_id=incident_id,
        department=order.department,
        task=order.task,
        issued_at=order.issued_at,
        closed_at=order.ended_at or end,
        acknowledge_by=order.acknowledge_by,
        committed_at=order.committed_at,
        started_at=order.started_at,
        refused=order.declined_at is not None or order.failed_at is not None,
    )
