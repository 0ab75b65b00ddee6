"""An incident as its page shows it: orders by task and by department, plans with why they are in force, obstacles."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter

from schemas.incident import IncidentReport
from schemas.plan import STANDBY
from schemas.timeline import Entry, TimelineEntry
from schemas.vocabulary import ActivationState, AssignmentState
from services.console.incident_record import PlanInForce, TaskView
from services.console.page import Page
from services.console.pages.incident_graph import Graph, draw
from services.domain.incident import Activation, Assignment, Deadline, Obstacle

_TAKEN_ON = frozenset({AssignmentState.COMMITTED, AssignmentState.STARTED, AssignmentState.COMPLETED})
_ACTIVATIONS = TypeAdapter(list[Activation])
_ASSIGNMENTS = TypeAdapter(list[Assignment])
_OBSTACLES = TypeAdapter(list[Obstacle])
_TIMELINE = TypeAdapter(list[TimelineEntry])
_PLANS = TypeAdapter(list[PlanInForce])

_BY = {Deadline.ACKNOWLEDGE: "acknowledge_by", Deadline.START: "start_by", Deadline.COMPLETE: "complete_by"}


@dataclass(frozen=True, slots=True)
class Order:
    """One assignment, with what its row shows."""

    assignment: Assignment
    department: str
    task: str
    blocked: bool
    escalated: bool

    @property
    def is_open(self) -> bool:
        """True while the department has something to do or to answer."""
        return self.assignment.state.is_open

    @property
    def overdue(self) -> list[str]:
        """The deadlines that were missed and are still to be met."""
        return [deadline.value for deadline in self.assignment.missed if self.assignment.unmet(deadline)]

    @property
    def due(self) -> tuple[str, datetime] | None:
        """The next deadline that is to be met, missed or not: its name and when."""
        waiting = [
            (at, deadline.value)
            for deadline, name in _BY.items()
            if (at := getattr(self.assignment, name)) is not None and self.assignment.unmet(deadline)
        ]
        return min(waiting)[::-1] if waiting else None

    @property
    def rank(self) -> tuple[int, datetime]:
        """Where it stands among its department's orders: overdue first, then by deadline, ended ones last."""
        due = self.due
        if not self.is_open or due is None:
            return (2, self.assignment.issued_at)
        return (0 if self.overdue else 1, due[1])


@dataclass(frozen=True, slots=True)
class Task:
    """One task with the orders given about it. ``state`` sums them up in one word, as the drawing shows it."""

    view: TaskView
    title: str
    orders: tuple[Order, ...]
    wanted: bool
    unfilled: bool
    waits_for: tuple[str, ...]

    @property
    def id(self) -> str:
        """The task's id."""
        return self.view.id

    @property
    def after(self) -> Sequence[str]:
        """The tasks that must be complete first."""
        return self.view.after

    @property
    def agreed(self) -> int:
        """How many departments have taken it on."""
        return sum(order.assignment.state in _TAKEN_ON for order in self.orders)

    @property
    def done(self) -> int:
        """How many departments have completed it."""
        return sum(order.assignment.state is AssignmentState.COMPLETED for order in self.orders)

    @property
    def state(self) -> str:
        """``waiting``, ``open``, ``agreed``, ``done``, ``trouble``, or ``over`` when nobody is asked any more."""
        if self.done >= self.view.needed:
            return "done"
        if self.unfilled or any(order.overdue or order.blocked for order in self.orders if order.is_open):
            return "trouble"
        if self.agreed >= self.view.needed:
            return "agreed"
        if any(order.is_open for order in self.orders):
            return "open"
        return "over" if self.orders else "waiting"


@dataclass(frozen=True, slots=True)
class Plan:
    """An activation with its tasks, and why it is in force at its level."""

    view: PlanInForce
    activation: Activation
    title: str
    matched: str
    level_why: str
    level_by: str
    suggested: TimelineEntry | None
    called_by: str
    tasks: tuple[Task, ...]
    graph: Graph | None

    @property
    def is_live(self) -> bool:
        """True until it is stood down."""
        return self.activation.state is not ActivationState.STOOD_DOWN

    @property
    def tasks_in_order(self) -> tuple[Task, ...]:
        """The tasks as the plan has them; once it is stood down, those that are still open before the others."""
        if self.is_live:
            return self.tasks
        return tuple(sorted(self.tasks, key=lambda task: not any(order.is_open for order in task.orders)))


@dataclass(frozen=True, slots=True)
class Trouble:
    """One obstacle with the order it holds up."""

    obstacle: Obstacle
    department: str
    task: str


@dataclass(frozen=True, slots=True)
class Incident:
    """Everything the page shows but the timeline and the curves."""

    id: str
    status: str
    phase: str
    report: IncidentReport | None
    reported_at: datetime
    closed_at: datetime | None
    cancelled: bool
    joined_to: str | None
    plans: tuple[Plan, ...]
    obstacles: tuple[Trouble, ...]
    names: "Names"
    joined: tuple[str, ...] = ()
    orders: tuple[Order, ...] = field(default=())

    @property
    def live(self) -> tuple[Plan, ...]:
        """The plans that have not been stood down."""
        return tuple(plan for plan in self.plans if plan.is_live)

    @property
    def in_force(self) -> tuple[Plan, ...]:
        """The plans that give orders, on standby or activated."""
        return tuple(plan for plan in self.plans if plan.activation.in_force)

    @property
    def activated(self) -> tuple[Plan, ...]:
        """The plans that have a level."""
        return tuple(plan for plan in self.plans if plan.activation.state is ActivationState.ACTIVATED)

    @property
    def open_orders(self) -> int:
        """How many orders are open."""
        return sum(order.is_open for order in self.orders)

    def holders(self, order: Order) -> frozenset[str]:
        """Name the departments that have an order's task already: it can't be handed to them."""
        return frozenset(
            other.assignment.department
            for other in self.orders
            if (other.assignment.activation_id, other.assignment.task)
            == (order.assignment.activation_id, order.assignment.task)
            and (other.is_open or other.assignment.state is AssignmentState.COMPLETED)
        )

    @property
    def by_department(self) -> list[tuple[str, str, list[Order]]]:
        """Orders by department, id and title first: the most urgent department first."""
        found: dict[str, list[Order]] = {}
        for order in sorted(self.orders, key=lambda order: order.rank):
            found.setdefault(order.assignment.department, []).append(order)
        return [(name, self.names.department(name), orders) for name, orders in found.items()]


class Names:
    """What departments, tasks and plans are called in the reader's language, as the incident's own plans word it."""

    def __init__(self, page: Page, plans: Sequence[Any], departments: Sequence[Mapping[str, Any]]) -> None:
        self.departments = {each["id"]: page.text(each["title"]) for each in departments}
        self.plans = {each["plan"]: page.text(each["title"]) for each in plans}
        self._tasks = {
            (UUID(each["activation_id"]), task["id"]): page.text(task["title"])
            for each in plans
            for task in each["tasks"]
        }

    def department(self, id_: str) -> str:
        """Name a department."""
        return self.departments.get(id_, id_)

    def plan(self, id_: str) -> str:
        """Name a plan."""
        return self.plans.get(id_, id_)

    def task(self, activation_id: UUID | None, id_: str) -> str:
        """Name a task of an activation."""
        return self._tasks.get((activation_id, id_), id_) if activation_id else id_

    def about(self, entry: Mapping[str, Any]) -> str:
        """Name the task that an entry of the timeline is about; nothing where it is about none."""
        task, activation_id = entry["detail"].get("task"), entry["activation_id"]
        return self.task(UUID(activation_id) if activation_id else None, task) if task else ""


def make_incident(view: Mapping[str, Any], plans: Sequence[Any], names: Names) -> Incident:
    """Put the page's facts together from what the API told."""
    timeline = _TIMELINE.validate_python(view["timeline"])
    obstacles = _OBSTACLES.validate_python(view["obstacles"])
    blocked = {each.assignment_id for each in obstacles if each.resolved_at is None}
    wordings = {each.activation_id: each for each in _PLANS.validate_python(plans)}
    assignments = _ASSIGNMENTS.validate_python(view["assignments"])
    orders = {
        each.id: Order(
            assignment=each,
            department=names.department(each.department),
            task=names.task(each.activation_id, each.task),
            blocked=each.id in blocked,
            escalated=each.silent or (each.ladder is not None and each.rung > 1),
        )
        for each in assignments
    }
    activations = _ACTIVATIONS.validate_python(view["activations"])
    by_id = {each.id: each for each in activations}
    made = [
        _plan(
            names,
            wordings[each.id],
            each,
            by_id,
            [o for o in orders.values() if o.assignment.activation_id == each.id],
            timeline,
        )
        for each in activations
        if each.id in wordings
    ]
    return Incident(
        id=str(view["id"]),
        status=view["status"],
        phase=view["phase"],
        report=IncidentReport.model_validate(view["report"]) if view["report"] else None,
        reported_at=datetime.fromisoformat(view["reported_at"]),
        closed_at=datetime.fromisoformat(view["closed_at"]) if view["closed_at"] else None,
        cancelled=view["cancelled"],
        joined_to=view["joined_to"],
        plans=tuple(sorted(made, key=lambda plan: not plan.is_live)),
        obstacles=tuple(
            Trouble(each, names.department(each.department), orders[each.assignment_id].task)
            for each in sorted(obstacles, key=lambda each: (each.resolved_at is not None, each.reported_at))
        ),
        names=names,
        joined=tuple(
            dict.fromkeys(
                entry.detail["joined_by"]
                for entry in timeline
                if entry.entry is Entry.JOINED and "joined_by" in entry.detail
            )
        ),
        orders=tuple(orders.values()),
    )


def _plan(
    names: Names,
    wording: PlanInForce,
    activation: Activation,
    activations: Mapping[Any, Activation],
    orders: Sequence[Order],
    timeline: Sequence[TimelineEntry],
) -> Plan:
    told = [entry for entry in timeline if entry.activation_id == activation.id]
    chosen = _last(told, Entry.ACTIVATED, Entry.LEVEL_CHANGED)
    suggested = _last(told, Entry.ACTIVATED, Entry.LEVEL_CHANGED, Entry.LEVEL_SUGGESTED)
    matched = _last(told, Entry.PLAN_MATCHED)
    caller = activations.get(activation.parent_id) if activation.parent_id else None
    given = {order.assignment.task for order in orders}
    views = [task for task in wording.tasks if task.id in given or _wanted(task, activation)]
    done = {task.id for task in views if _completed(task, orders)}
    titles = {task.id: names.task(activation.id, task.id) for task in wording.tasks}
    tasks = tuple(
        Task(
            view=task,
            title=titles[task.id],
            orders=tuple(order for order in orders if order.assignment.task == task.id),
            wanted=_wanted(task, activation),
            unfilled=task.id in activation.unfilled,
            waits_for=tuple(
                titles[name] for name in task.after if name not in done and any(each.id == name for each in views)
            ),
        )
        for task in views
    )
    return Plan(
        view=wording,
        activation=activation,
        title=names.plan(wording.plan),
        matched=(matched.reason or "") if matched else "",
        level_why=_why(chosen),
        level_by=(chosen.by or "") if chosen else "",
        suggested=suggested if suggested and suggested.entry is Entry.LEVEL_SUGGESTED else None,
        called_by=names.plan(caller.plan) if caller else "",
        tasks=tasks,
        graph=draw(tasks, titles),
    )


def _last(entries: Iterable[TimelineEntry], *kinds: Entry) -> TimelineEntry | None:
    return next((entry for entry in reversed(list(entries)) if entry.entry in kinds), None)


def _why(chosen: TimelineEntry | None) -> str:
    if chosen is None:
        return ""
    why = chosen.detail.get("why") if chosen.entry is Entry.ACTIVATED and chosen.by is None else None
    return str(why or chosen.reason or "")


def _wanted(task: TaskView, activation: Activation) -> bool:
    """Say whether the plan asks for a task where the activation stands, its guard aside."""
    if activation.state is ActivationState.STOOD_DOWN:
        return task.stand_down and activation.activated_at is not None
    if not activation.in_force or task.stand_down:
        return False
    if activation.level is None:
        return task.added or (task.levels is not None and STANDBY in task.levels)
    return task.levels is None or activation.level in task.levels


def _completed(task: TaskView, orders: Iterable[Order]) -> bool:
    done = sum(
        order.assignment.task == task.id and order.assignment.state is AssignmentState.COMPLETED for order in orders
    )
    return done >= task.needed
