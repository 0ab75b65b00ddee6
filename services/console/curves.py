"""Response curves: of the orders given so far, how many had been received, seen, taken on, started and completed when.

An order counts from when it was given. It leaves the count when it was turned down, or taken back since others had it
or it wasn't asked for any more: somebody else's order stands for the work then. One that failed, or expired without an
answer, stays: nobody did it.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from pydantic import BaseModel

from schemas.vocabulary import AssignmentState
from services.domain.incident import Assignment

POINTS_AT_MOST = 400
"""Most points of a curve; a longer one is thinned out, its first and last points kept."""
_LEAVES = frozenset({AssignmentState.DECLINED, AssignmentState.SUPERSEDED, AssignmentState.CANCELLED})
_STEPS = ("issued", "received", "acknowledged", "committed", "started", "completed")
_FROM = {
    "received": ("delivered_at", "acknowledged_at", "committed_at", "started_at", "arrived_at", "completed_at"),
    "acknowledged": ("acknowledged_at", "committed_at", "started_at", "completed_at"),
    "committed": ("committed_at", "started_at", "completed_at"),
    "started": ("started_at", "completed_at"),
    "completed": ("completed_at",),
}
"""What shows that an order had come so far: a later step shows the earlier ones too."""


class Point(BaseModel):
    """How many orders had come how far at a moment; ``issued`` counts those that were asked for then."""

    at: datetime
    issued: int
    received: int
    acknowledged: int
    committed: int
    started: int
    completed: int


class Curves(BaseModel):
    """The points at which something changed, oldest first; the last one is the moment they were asked for."""

    points: list[Point]


def curves_of(assignments: Iterable[Assignment], until: datetime) -> Curves:
    """Reckon the curves up to ``until``; what a department's clock puts later counts at that moment."""
    changes: list[tuple[datetime, int, int]] = []
    for assignment in assignments:
        reached = [min(at, until) for at in _reached(assignment)]
        changes += [(at, step, 1) for step, at in enumerate(reached)]
        if assignment.state in _LEAVES and assignment.ended_at is not None:
            left = max([min(assignment.ended_at, until), *reached])
            changes += [(left, step, -1) for step in range(len(reached))]
    counts = [0] * len(_STEPS)
    points: list[Point] = []
    for at, step, by in sorted(changes):
        counts[step] += by
        point = Point(at=at, **dict(zip(_STEPS, counts, strict=True)))
        if points and points[-1].at == at:
            points[-1] = point
        else:
            points.append(point)
    if points and points[-1].at < until:
        points.append(points[-1].model_copy(update={"at": until}))
    return Curves(points=_thinned(points))


def _reached(assignment: Assignment) -> list[datetime]:
    """Give when an order reached each step, in their order, as far as it came."""
    reached = [assignment.issued_at]
    for step in _STEPS[1:]:
        times = [at for name in _FROM[step] if (at := getattr(assignment, name)) is not None]
        if not times:
            break
        reached.append(max(min(times), reached[-1]))
    return reached


def _thinned(points: Sequence[Point]) -> list[Point]:
    if len(points) <= POINTS_AT_MOST:
        return list(points)
    last = len(points) - 1
    return [points[round(number * last / (POINTS_AT_MOST - 1))] for number in range(POINTS_AT_MOST)]
