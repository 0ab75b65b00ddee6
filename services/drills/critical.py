"""The critical path of one simulated response: the chain of orders and waits that decided when it was done.

It is walked backwards from the task that was done last: to the one that declined or stayed silent before the order
went on to the next, to the task whose completion released it, and so on to the activation.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import groupby
from uuid import UUID

from schemas.timeline import Entry
from schemas.vocabulary import EscalationStep
from services.drills.simulate import Noted, Run


class Why(StrEnum):
    """Why an order was given when it was."""

    ACTIVATED = "activated"
    AFTER = "after"
    DECLINED = "declined"
    SILENT = "silent"


@dataclass(frozen=True, slots=True)
class Link:
    """One order on the path. ``took`` is the time that the path spends on it, until the next order or the end.

    ``assignment_id`` names the order; ``why`` says what led to it.
    """

    assignment_id: UUID
    why: Why
    took: timedelta


@dataclass(frozen=True, slots=True)
class Cause:
    """What led to an order, and the order before it on the way; None where it was given at the activation."""

    why: Why
    before: UUID | None
    at: datetime


_CALLS_NEXT = {Entry.DECLINED: Why.DECLINED, Entry.FAILED: Why.DECLINED, Entry.ESCALATED: Why.SILENT}


def causes(run: Run, after: Mapping[tuple[UUID, str], tuple[str, ...]]) -> dict[UUID, Cause]:
    """Say for each order of a run what led to it; ``after`` gives the tasks that each activation's task waits for."""
    found: dict[UUID, Cause] = {}
    for _, group in groupby(run.log, key=lambda noted: noted.event):
        notes = list(group)
        for noted in notes:
            order = noted.assignment
            if noted.entry is not Entry.ISSUED or order is None:
                continue
            waits_for = after[order.activation_id, order.task]
            found[order.id] = next(_leads_to(noted, notes, waits_for), Cause(Why.ACTIVATED, None, noted.at))
    return found


def _leads_to(issued: Noted, notes: list[Noted], waits_for: tuple[str, ...]) -> Iterator[Cause]:
    order = issued.assignment
    for noted in notes:
        other = noted.assignment
        if order is None or other is None or other.activation_id != order.activation_id:
            continue
        if other.task == order.task and noted.entry in _CALLS_NEXT and noted.step in {None, EscalationStep.DEPUTY}:
            yield Cause(_CALLS_NEXT[noted.entry], other.id, issued.at)
        elif noted.entry is Entry.COMPLETED and other.task in waits_for:
            yield Cause(Why.AFTER, other.id, issued.at)


def path_to(last: UUID, at: datetime, known: Mapping[UUID, Cause]) -> tuple[Link, ...]:
    """Give the path that ended at ``at`` with the order ``last``, the first order first."""
    links: list[Link] = []
    order: UUID | None = last
    while order is not None:
        cause = known[order]
        links.append(Link(order, cause.why, at - cause.at))
        order, at = cause.before, cause.at
    return tuple(reversed(links))
