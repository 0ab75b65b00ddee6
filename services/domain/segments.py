"""How fast a response was: rows of the record to observed and censored spans, and their honest summary.

Sources: the intervals follow NFPA 1225 (alarm transfer, answering, processing) and NFPA 1710 (turnout, travel), which
judge by the share within a time, never by a mean; what begins and ends each one here is Muster's. A department that
never answered is a right-censored observation (Klein and Moeschberger, Survival Analysis): its time is longer than
any, so it counts in every percentile. Upper bounds are the distribution-free ones of order statistics (David and
Nagaraja, Order Statistics); they need n >= 29 for p90, 59 for p95, 299 for p99.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from math import ceil, exp, floor, lgamma, log, sqrt
from uuid import UUID

from schemas.drill import Segment

CONFIDENCE = 0.95
NEEDS = {50: 1, 90: 10, 95: 20}
"""Fewest observations a percentile is told from: below them it is the largest value under another name."""
BOUND_NEEDS = {90: 29, 95: 59, 99: 299}
"""Fewest observations from which an upper 95 % bound of a percentile exists."""


class Never(Enum):
    """A percentile that falls on somebody who never answered: longer than any number."""

    NEVER = "never"


NEVER = Never.NEVER
Quantile = timedelta | Never | None
"""A time; `NEVER`; or None, which says that the data are insufficient."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """One incident's alarm: sent by its source, held by the broker, accepted, and its first order published."""

    incident_id: UUID
    sent_at: datetime
    broker_at: datetime | None
    accepted_at: datetime
    published_at: datetime | None


@dataclass(frozen=True, slots=True)
class Order:
    """One assignment's times. ``closed_at``: when it ended or, if it is open still, until when it was watched.

    ``refused``: answered with a no or handed on, so that no turnout is due from this department.
    """

    assignment_id: UUID
    incident_id: UUID
    department: str
    task: str
    issued_at: datetime
    closed_at: datetime
    acknowledge_by: datetime | None
    delivered_at: datetime | None = None
    committed_at: datetime | None = None
    started_at: datetime | None = None
    arrived_at: datetime | None = None
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Observation:
    """One span of one segment; ``took`` is None for one who never answered. Alarms have no department or task."""

    segment: Segment
    took: timedelta | None
    incident_id: UUID
    assignment_id: UUID | None = None
    department: str | None = None
    task: str | None = None


@dataclass(frozen=True, slots=True)
class Observations:
    """What was found, and what was not counted.

    ``impossible``: ended before it began, as by a wrong clock, and was set aside, by segment. ``cut_short``:
    assignments taken back before their time to answer was over, which say nothing about their department.
    """

    found: tuple[Observation, ...]
    impossible: Mapping[Segment, int] = field(default_factory=dict)
    cut_short: int = 0

    def of(
        self, segment: Segment, *, department: str | None = None, tasks: Sequence[str] = ()
    ) -> tuple[list[timedelta], int]:
        """Give one segment's times and the number of its censored ones, for all or for some."""
        chosen = [
            each.took
            for each in self.found
            if each.segment is segment
            and (department is None or each.department == department)
            and (not tasks or each.task in tasks)
        ]
        values = [took for took in chosen if took is not None]
        return values, len(chosen) - len(values)


@dataclass(frozen=True, slots=True)
class Summary:
    """A segment in numbers. There is no mean: a few who never answer have none, and hide behind one.

    ``n`` counts all, ``censored`` those who never answered; ``longest`` is the longest that ended. ``bounds`` has
    the upper 95 % confidence bound of p90, p95 and p99 by its percentage. Shares are None where n is 0.
    """

    n: int
    censored: int
    p50: Quantile
    p90: Quantile
    p95: Quantile
    longest: timedelta | None
    within_target: float | None
    never_responded: float | None
    bounds: Mapping[int, Quantile]


def segments_of(alarms: Iterable[Alarm], orders: Iterable[Order]) -> Observations:
    """Turn rows of the record into observations of every segment.

    Turnout starts at the receipt, or at the order itself where an answer came without one, which can only make it
    longer. Travel is known only of those who reported their arrival. An order that nobody answered is censored
    once its time to answer was over, and cut short if it was taken back before.
    """
    found: list[Observation] = []
    impossible: dict[Segment, int] = {}
    handling: dict[UUID, timedelta] = {}

    def keep(observation: Observation) -> bool:
        if observation.took is not None and observation.took < timedelta(0):
            impossible[observation.segment] = impossible.get(observation.segment, 0) + 1
            return False
        found.append(observation)
        return True

    for alarm in alarms:
        for observation in _alarm(alarm):
            if keep(observation) and observation.segment is Segment.ALARM_HANDLING and observation.took is not None:
                handling[alarm.incident_id] = observation.took
    cut_short = 0
    for order in orders:
        turnout = _turnout(order)
        if turnout is not None:
            counted = keep(turnout)
            if counted and order.incident_id in handling:
                keep(_mobilization(turnout, handling[order.incident_id]))
        elif not order.refused:
            cut_short += 1
        if order.started_at is not None and order.arrived_at is not None:
            keep(_of(order, Segment.TRAVEL, order.arrived_at - order.started_at))
    return Observations(tuple(found), impossible, cut_short)


def _alarm(alarm: Alarm) -> Iterator[Observation]:
    known = {
        Segment.ALARM_TRANSFER: (alarm.sent_at, alarm.broker_at),
        Segment.ALARM_ANSWERING: (alarm.broker_at, alarm.accepted_at),
        Segment.ALARM_PROCESSING: (alarm.accepted_at, alarm.published_at),
        Segment.ALARM_HANDLING: (alarm.sent_at, alarm.published_at),
    }
    for segment, (begin, end) in known.items():
        if begin is not None and end is not None:
            yield Observation(segment, end - begin, alarm.incident_id)


def _turnout(order: Order) -> Observation | None:
    answered = [at for at in (order.committed_at, order.started_at) if at is not None]
    if answered:
        return _of(order, Segment.TURNOUT, min(answered) - (order.delivered_at or order.issued_at))
    if order.refused or order.acknowledge_by is None or order.closed_at < order.acknowledge_by:
        return None
    return _of(order, Segment.TURNOUT, None)


def _mobilization(turnout: Observation, handling: timedelta) -> Observation:
    took = None if turnout.took is None else handling + turnout.took
    return Observation(
        Segment.MOBILIZATION, took, turnout.incident_id, turnout.assignment_id, turnout.department, turnout.task
    )


def _of(order: Order, segment: Segment, took: timedelta | None) -> Observation:
    return Observation(segment, took, order.incident_id, order.assignment_id, order.department, order.task)


def summarize(values: Iterable[timedelta], censored: int, target: timedelta | None = None) -> Summary:
    """Sum up a segment's times and its ``censored`` ones; ``target`` is inclusive.

    Percentiles are by nearest rank over all, the censored ones last. Raises ValueError for a negative count.
    """
    if censored < 0:
        raise ValueError("censored: a count can't be negative")
    ordered = sorted(values)
    n = len(ordered) + censored
    within = None if target is None or n == 0 else sum(value <= target for value in ordered) / n
    return Summary(
        n=n,
        censored=censored,
        p50=quantile(ordered, n, 50),
        p90=quantile(ordered, n, 90) if n >= NEEDS[90] else None,
        p95=quantile(ordered, n, 95) if n >= NEEDS[95] else None,
        longest=ordered[-1] if ordered else None,
        within_target=within,
        never_responded=censored / n if n else None,
        bounds={percent: upper_bound(ordered, n, percent) for percent in BOUND_NEEDS},
    )


def quantile(ordered: Sequence[timedelta], n: int, percent: int) -> Quantile:
    """Give the nearest-rank percentile of ``n`` observations, of which ``ordered`` ended; None when there are none."""
    return _at_rank(ordered, ceil(n * percent / 100)) if n else None


def upper_bound(ordered: Sequence[timedelta], n: int, percent: int) -> Quantile:
    """Give the upper 95 % confidence bound of a percentile: the first order statistic that is above it so often.

    The r-th of n is at least the p-quantile with probability P(Binomial(n, p) < r). None when even the last isn't.
    """
    p = percent / 100
    # What lies ten standard deviations below the expected rank adds nothing that a float could hold.
    first = max(0, floor(n * p - 10 * sqrt(n * p * (1 - p))))
    below = 0.0
    for successes in range(first, n):
        choices = lgamma(n + 1) - lgamma(successes + 1) - lgamma(n - successes + 1)
        below += exp(choices + successes * log(p) + (n - successes) * log(1 - p))
        if below >= CONFIDENCE:
            return _at_rank(ordered, successes + 1)
    return None


def _at_rank(ordered: Sequence[timedelta], rank: int) -> Quantile:
    return ordered[rank - 1] if rank <= len(ordered) else NEVER
