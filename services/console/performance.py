"""How departments and roles have performed: orders on record to honest numbers, by `services.domain.segments`.

Who never responds counts in every percentile, as longer than any number; there is no mean, and a percentile that too
few observations would have to carry is not told. The targets are the orders' own deadlines.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from schemas.drill import Segment
from services.domain.segments import Observation, Order, Summary, segments_of, summarize


@dataclass(frozen=True, slots=True)
class Done:
    """One order with all that happened to it. ``closed_at``: when it ended, or until when it was watched.

    ``simulated``: a program answered it in a drill, in place of the department.
    """

    id: UUID
    incident_id: UUID
    department: str
    role: str
    task: str
    issued_at: datetime
    closed_at: datetime
    acknowledge_by: datetime | None
    complete_by: datetime | None
    delivered_at: datetime | None
    committed_at: datetime | None
    declined_at: datetime | None
    started_at: datetime | None
    arrived_at: datetime | None
    completed_at: datetime | None
    failed_at: datetime | None
    simulated: bool

    @property
    def answered_at(self) -> datetime | None:
        """When a person first said yes or no."""
        said = (self.committed_at, self.declined_at, self.started_at, self.completed_at, self.failed_at)
        return min((at for at in said if at is not None), default=None)

    @property
    def answer_was_due(self) -> bool:
        """Whether its time to answer was over while it was watched."""
        return self.acknowledge_by is not None and self.acknowledge_by <= self.closed_at

    @property
    def kept_answer(self) -> bool | None:
        """Whether it was answered in time; None where that can't be said."""
        if self.acknowledge_by is None or (self.answered_at is None and not self.answer_was_due):
            return None
        return self.answered_at is not None and self.answered_at <= self.acknowledge_by

    @property
    def end_was_due(self) -> bool:
        """Whether its time to be done was over while it was watched."""
        return self.complete_by is not None and self.complete_by <= self.closed_at


@dataclass(frozen=True, slots=True)
class Kept:
    """How many of those whose deadline can be judged kept it."""

    kept: int
    n: int

    @property
    def share(self) -> float | None:
        """Give the share, or None where there is nothing to judge."""
        return self.kept / self.n if self.n else None


@dataclass(frozen=True, slots=True)
class Figure:
    """One span in numbers, and how many kept the deadline for it; None where no deadline belongs to it."""

    summary: Summary
    within: Kept | None


@dataclass(frozen=True, slots=True)
class Month:
    """One month's turnout, by the month in which the orders were issued; ``month`` is like 2026-03."""

    month: str
    orders: int
    turnout: Figure


@dataclass(frozen=True, slots=True)
class Card:
    """The numbers of one department, one role, or one role of a department.

    ``unanswered`` are those whose time to answer was over and who said nothing; ``cut_short`` were taken back before
    that and count neither way. ``simulated`` says how many a program answered.
    """

    orders: int
    incidents: int
    answered: int
    declined: int
    unanswered: int
    cut_short: int
    completed: int
    simulated: int
    received: Figure
    turnout: Figure
    completion: Figure
    months: tuple[Month, ...]


def card_of(orders: Sequence[Done]) -> Card:
    """Reckon one card."""
    answered = [order for order in orders if order.answered_at is not None]
    unanswered = sum(order.answered_at is None and order.answer_was_due for order in orders)
    return Card(
        orders=len(orders),
        incidents=len({order.incident_id for order in orders}),
        answered=len(answered),
        declined=sum(order.declined_at is not None for order in orders),
        unanswered=unanswered,
        cut_short=len(orders) - len(answered) - unanswered,
        completed=sum(order.completed_at is not None for order in orders),
        simulated=sum(order.simulated for order in orders),
        received=_figure(map(_received, orders), None),
        turnout=_turnout(orders),
        completion=_figure(map(_completion, orders), _completed_in_time(orders)),
        months=tuple(
            Month(month, len(own), _turnout(own)) for month, own in sorted(grouped(orders, _month_of).items())
        ),
    )


def grouped(orders: Iterable[Done], key: Callable[[Done], str]) -> dict[str, list[Done]]:
    """Sort orders into groups, each in the order in which they came."""
    found: dict[str, list[Done]] = {}
    for order in orders:
        found.setdefault(key(order), []).append(order)
    return found


def turnouts(orders: Iterable[Done]) -> dict[UUID, timedelta | None]:
    """Give each order's turnout, None for who never answered; those that tell nothing about it are left out."""
    return {each.assignment_id: each.took for each in _observed(orders) if each.assignment_id is not None}


def _observed(orders: Iterable[Done]) -> list[Observation]:
    observed = segments_of((), (_order(each) for each in orders))
    return [each for each in observed.found if each.segment is Segment.TURNOUT]


def _order(done: Done) -> Order:
    return Order(
        assignment_id=done.id,
        incident_id=done.incident_id,
        department=done.department,
        task=done.task,
        issued_at=done.issued_at,
        closed_at=done.closed_at,
        acknowledge_by=done.acknowledge_by,
        delivered_at=done.delivered_at,
        committed_at=done.committed_at,
        started_at=done.started_at,
        arrived_at=done.arrived_at,
        refused=done.declined_at is not None or done.failed_at is not None,
    )


def _turnout(orders: Sequence[Done]) -> Figure:
    took = [each.took for each in _observed(orders)]
    values = [each for each in took if each is not None]
    judged = [order.kept_answer for order in orders if order.kept_answer is not None]
    return Figure(summarize(values, len(took) - len(values)), Kept(sum(judged), len(judged)))


class _NotCounted:
    """Says nothing about the department."""


_NOT_COUNTED = _NotCounted()
_Took = timedelta | None | _NotCounted


def _received(order: Done) -> _Took:
    """From the order to its receipt. An answer without a receipt was received by then at the latest."""
    at = order.delivered_at or order.answered_at
    if at is not None:
        return at - order.issued_at
    return None if order.answer_was_due else _NOT_COUNTED


def _completion(order: Done) -> _Took:
    """From the order to its end as done. A no is nothing to complete; a failure never is."""
    if order.completed_at is not None:
        return order.completed_at - order.issued_at
    if order.declined_at is not None:
        return _NOT_COUNTED
    return None if order.failed_at is not None or order.end_was_due else _NOT_COUNTED


def _completed_in_time(orders: Sequence[Done]) -> Kept:
    judged = [
        order for order in orders if order.complete_by is not None and not isinstance(_completion(order), _NotCounted)
    ]
    kept = [
        order
        for order in judged
        if order.completed_at and order.complete_by and order.completed_at <= order.complete_by
    ]
    return Kept(len(kept), len(judged))


def _figure(took: Iterable[_Took], within: Kept | None) -> Figure:
    # A negative time is the mistake of a clock, and says nothing.
    counted = [each for each in took if not isinstance(each, _NotCounted) and (each is None or each >= timedelta(0))]
    values = [each for each in counted if each is not None]
    return Figure(summarize(values, len(counted) - len(values)), within)


def _month_of(order: Done) -> str:
    return f"{order.issued_at:%Y-%m}"


def read_done(row: Mapping[str, Any]) -> Done:
    """Read an order from its row."""
    return Done(**row)
