"""What one simulated response came to, in numbers: the times, the path that decided them, and who had to be called."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from schemas.drill import Segment
from schemas.timeline import Entry
from schemas.vocabulary import ActivationState, AssignmentState
from services.domain.draft import Draft
from services.domain.filling import wanted
from services.domain.incident import Activation, Assignment
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
class Brief:
    """What a run came to, in short. Times as in `Outcome`; ``unfilled``: whether it has any."""

    first_orders: timedelta | None
    completion: timedelta | None
    unfilled: bool


class Asked(NamedTuple):
    """A task that the plans in force ask for at their level, and how many must take it on."""

    work: Work
    needed: int


class Piece(NamedTuple):
    """A task that a plan asks for: its orders, and when enough had agreed and completed.

    ``left_open``: it was to be given, and in the end too few have taken it on. ``run`` is the one that tells of it.
    """

    work: Work
    left_open: bool
    orders: tuple[Assignment, ...]
    agreed_at: datetime | None
    done_by: Assignment | None
    run: Run


def outcome_of(setting: Setting, run: Run) -> Outcome:
    """Reckon up one run. Raises ValueError when its plan has no orders to give."""
    return reckon(setting, activation_of(setting, run), pieces_of(asked(setting, run), run), (run,))


def activation_of(setting: Setting, run: Run) -> Activation:
    """Find the simulated plan's activation."""
    return next(a for a in run.incident.activations.values() if a.plan == setting.plan.id)


def reckon(setting: Setting, activation: Activation, pieces: Sequence[Piece], runs: Sequence[Run]) -> Outcome:
    """Reckon up one response that was played in one run, or in runs that have nothing to do with one another.

    ``activation`` is the simulated plan's, ``pieces`` are the tasks in the order in which the plans ask for them.
    Raises as `outcome_of`.
    """
    slowest = _slowest(setting, activation, pieces)
    completed_at = _completed_at(pieces)
    noted = [noted for run in runs for noted in run.log]
    start = setting.report.reported_at
    return Outcome(
        seed=runs[0].seed,
        level=activation.level,
        first_orders=None if slowest.agreed_at is None else slowest.agreed_at - start,
        last_taken_on=slowest.work,
        completion=None if completed_at is None else completed_at - start,
        path=_critical(setting, pieces, max(run.log[-1].at for run in runs)),
        mobilization=tuple(_mobilization(setting, runs, pieces)),
        unfilled=tuple(sorted(piece.work for piece in pieces if piece.left_open)),
        reminders=sum(each.entry is Entry.REMINDED for each in noted),
        escalations=tuple(sorted(Counter(n.step or "" for n in noted if n.entry is Entry.ESCALATED).items())),
        called=frozenset((p.work.plan, p.work.role, order.department) for p in pieces for order in p.orders),
    )


def brief_of(setting: Setting, activation: Activation, pieces: Sequence[Piece]) -> Brief:
    """Reckon up one response in short; arguments as of `reckon`."""
    slowest = _slowest(setting, activation, pieces)
    completed_at, start = _completed_at(pieces), setting.report.reported_at
    return Brief(
        first_orders=None if slowest.agreed_at is None else slowest.agreed_at - start,
        completion=None if completed_at is None else completed_at - start,
        unfilled=any(piece.left_open for piece in pieces),
    )


def asked(setting: Setting, run: Run) -> Iterator[Asked]:
    """List the tasks that the plans in force ask for at their level; they are the same in every run."""
    now, playbook = setting.report.reported_at, setting.playbook
    draft = Draft(run.incident, event_id=_NO_EVENT, now=now, broker_at=None, playbook=playbook)
    for activation in run.incident.activations.values():
        if activation.state is ActivationState.ACTIVATED:
            plan = setting.playbook.frozen[activation.digest]
            for task in plan.tasks.values():
                if wanted(draft, activation, task):
                    yield Asked(Work(plan.id, task.role, task.id), plan.roles[task.role].needed)


def pieces_of(wanted: Iterable[Asked], run: Run) -> list[Piece]:
    """Say of the tasks that are asked for what became of them in a run."""
    activations = {activation.plan: activation for activation in run.incident.activations.values()}
    orders: dict[tuple[UUID, str], list[Assignment]] = {}
    for order in run.incident.assignments.values():
        orders.setdefault((order.activation_id, order.task), []).append(order)
    return [_piece(each, activations[each.work.plan], orders, run) for each in wanted]


def _piece(
    each: Asked, activation: Activation, orders: Mapping[tuple[UUID, str], Sequence[Assignment]], run: Run
) -> Piece:
    needed, given = each.needed, orders.get((activation.id, each.work.task), ())
    agreed = sorted(order.committed_at for order in given if order.committed_at is not None)
    done = [order for order in given if order.state is AssignmentState.COMPLETED]
    done.sort(key=lambda order: order.completed_at or run.log[-1].at)
    return Piece(
        each.work,
        each.work.task in activation.unfilled or (bool(given) and len(agreed) < needed),
        tuple(given),
        agreed[needed - 1] if len(agreed) >= needed else None,
        done[needed - 1] if len(done) >= needed else None,
        run,
    )


def _slowest(setting: Setting, activation: Activation, pieces: Sequence[Piece]) -> Piece:
    """Give the one of the first orders' tasks that was taken on last."""
    end = setting.report.reported_at + setting.horizon
    by = activation.activated_at or end
    first = [piece for piece in pieces if (piece.orders[0].issued_at <= by if piece.orders else piece.left_open)]
    if not first:
        raise ValueError(f"{setting.plan.id} gives no orders for this report")
    return max(first, key=lambda piece: piece.agreed_at or end)


def _completed_at(pieces: Sequence[Piece]) -> datetime | None:
    """Give the moment when all was done, None for never."""
    ends = [piece.done_by.completed_at or piece.done_by.issued_at for piece in pieces if piece.done_by is not None]
    return max(ends) if len(ends) == len(pieces) else None


def _critical(setting: Setting, pieces: Sequence[Piece], ended_at: datetime) -> tuple[Stage, ...]:
    """Give the path to the task that was done last, or to the first one left undone."""
    undone = [piece for piece in pieces if piece.done_by is None]
    if undone:
        stuck = next((piece for piece in undone if piece.orders), None)  # the others wait for it or for one like it
        if stuck is None:
            return ()
        run, last, until = stuck.run, stuck.orders[-1], ended_at
    else:
        ends = [(piece.run, piece.done_by) for piece in pieces if piece.done_by is not None]
        run, last = max(ends, key=lambda end: end[1].completed_at or end[1].issued_at)
        until = last.completed_at or last.issued_at
    after = {
        (activation.id, task.id): task.after
        for activation in run.incident.activations.values()
        for task in setting.playbook.frozen[activation.digest].tasks.values()
    }
    works = {order.id: (piece.work, order.department) for piece in pieces if piece.run is run for order in piece.orders}
    links = path_to(last.id, until, causes(run, after))
    return tuple(Stage(*works[link.assignment_id], link.why, link.took) for link in links)


def _mobilization(
    setting: Setting, runs: Sequence[Run], pieces: Sequence[Piece]
) -> Iterator[tuple[Work, timedelta | None]]:
    report, incident, end = setting.report, runs[0].incident, setting.report.reported_at + setting.horizon
    told = [(piece.work, order) for piece in pieces for order in piece.orders]
    issued = (next((noted.at for noted in run.log if noted.entry is Entry.ISSUED), None) for run in runs)
    published = min((at for at in issued if at is not None), default=None)
    alarm = Alarm(incident.id, report.reported_at, report.reported_at, report.reported_at, published)
    # The orders of several runs are told apart by their place.
    places = [UUID(int=place) for place in range(len(told))]
    orders = [_row(incident.id, place, order, end) for place, (_, order) in zip(places, told, strict=True)]
    for each in segments_of([alarm], orders).found:
        if each.segment is Segment.MOBILIZATION and each.assignment_id is not None:
            yield told[each.assignment_id.int][0], each.took


def _row(incident_id: UUID, place: UUID, order: Assignment, end: datetime) -> Order:
    return Order(
        assignment_id=place,
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
