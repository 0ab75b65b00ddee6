"""How fast a response was: rows of the record to observed and censored spans, and their honest summary.

Sources: the intervals follow NFPA 1225 (alarm transfer, answering, processing) and NFPA 1710 (turnout, travel), which
judge by the share within a time, never by a mean; what begins and ends each one here is Muster's. A department that
never answered is a right-censored observation (Klein and Moeschberger, Survival Analysis): its time is longer than
any, so it counts in every percentile. Upper bounds are the distribution-free ones of order statistics (David and
Nagaraja, Order Statistics); they need n >= 29 for p90, 59 for p95, 299 for p99.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from enum import Enum
from math import ceil, exp, floor, lgamma, log, sqrt
from typing import Any, Protocol
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
class Orders:
    """Orders as columns, for records of a hundred thousand: the same place in each column is the same order.

    Times are microseconds since any one moment, the same for all; None where it never was. What they mean is `Order`'s.
    """

    assignment_id: Sequence[UUID]
    incident_id: Sequence[UUID]
    department: Sequence[str]
    task: Sequence[str]
    issued_at: Sequence[int]
    closed_at: Sequence[int]
    acknowledge_by: Sequence[int | None]
    delivered_at: Sequence[int | None]
    committed_at: Sequence[int | None]
    started_at: Sequence[int | None]
    arrived_at: Sequence[int | None]
    refused: Sequence[bool]

    @classmethod
    def of(cls, orders: Iterable[Order]) -> "Orders":
        """Turn single orders into columns."""
        rows = list(orders)
        columns: Any = {each.name: [getattr(row, each.name) for row in rows] for each in fields(cls)}
        for name in _TIMES:
            columns[name] = [_micros(at) for at in columns[name]]
        return cls(**columns)


_TIMES = frozenset(each.name for each in fields(Orders) if each.name.endswith(("_at", "_by")))
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICRO = timedelta(microseconds=1)


def _micros(at: datetime | None) -> int | None:
    return None if at is None else (at - _EPOCH) // _MICRO


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
class Spans:
    """What was observed of one segment: microseconds, None for who never answered, and whose place in the columns."""

    took: list[int | None] = field(default_factory=list)
    place: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Observations:
    """What was found, and what was not counted.

    ``spans`` have the places of ``alarms`` (incidents) for the alarm segments, and of ``orders`` for the others.
    ``impossible``: ended before it began, as by a wrong clock, and was set aside, by segment. ``cut_short``:
    assignments taken back before their time to answer was over, which say nothing about their department.
    """

    alarms: Sequence[UUID]
    orders: Orders
    spans: Mapping[Segment, Spans]
    impossible: Mapping[Segment, int] = field(default_factory=dict)
    cut_short: int = 0

    @property
    def found(self) -> Iterator[Observation]:
        """Give them one by one, segment after segment."""
        orders = self.orders
        for segment, spans in self.spans.items():
            for took, place in zip(spans.took, spans.place, strict=True):
                span = None if took is None else took * _MICRO
                if segment in ALARMS:
                    yield Observation(segment, span, self.alarms[place])
                else:
                    whose = orders.incident_id[place], orders.assignment_id[place]
                    yield Observation(segment, span, *whose, orders.department[place], orders.task[place])

    def of(
        self, segment: Segment, *, department: str | None = None, tasks: Sequence[str] = ()
    ) -> tuple[list[timedelta], int]:
        """Give one segment's times and the number of its censored ones, for all or for some."""
        values, censored = self._chosen(segment, department, tasks)
        return [value * _MICRO for value in values], censored

    def summary(
        self,
        segment: Segment,
        target: timedelta | None = None,
        *,
        department: str | None = None,
        tasks: Sequence[str] = (),
    ) -> "Summary":
        """Sum up one segment, for all or for some."""
        values, censored = self._chosen(segment, department, tasks)
        return _sum_up(_Ordered(sorted(values)), censored, target)

    def by_department(self, segment: Segment, target: timedelta | None = None) -> dict[str, "Summary"]:
        """Sum up one segment for each department in it, in one pass over all."""
        took: dict[str, list[int | None]] = {}
        department = self.orders.department
        for value, place in zip(self.spans[segment].took, self.spans[segment].place, strict=True):
            took.setdefault(department[place], []).append(value)
        found = {}
        for name, values in took.items():
            ended = sorted(value for value in values if value is not None)
            found[name] = _sum_up(_Ordered(ended), len(values) - len(ended), target)
        return found

    def places(self, segment: Segment, tasks: Sequence[str] = ()) -> Iterator[tuple[int | None, int]]:
        """Give what each took, in microseconds, with its place, for all or for some tasks."""
        spans, task = self.spans[segment], self.orders.task
        both = zip(spans.took, spans.place, strict=True)
        if not tasks:
            return both
        # No task is chosen of an alarm: it comes before any.
        return ((took, place) for took, place in both if segment not in ALARMS and task[place] in tasks)

    def _chosen(self, segment: Segment, department: str | None, tasks: Sequence[str]) -> tuple[list[int], int]:
        chosen = [
            took
            for took, place in self.places(segment, tasks)
            if department is None or (segment not in ALARMS and self.orders.department[place] == department)
        ]
        values = [took for took in chosen if took is not None]
        return values, len(chosen) - len(values)


ALARMS = frozenset({Segment.ALARM_TRANSFER, Segment.ALARM_ANSWERING, Segment.ALARM_PROCESSING, Segment.ALARM_HANDLING})
"""The segments that are observed once for each incident, before anybody has an order."""


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
    """Turn rows of the record into observations of every segment; see `observe`."""
    return observe(alarms, Orders.of(orders))


def observe(alarms: Iterable[Alarm], orders: Orders) -> Observations:
    """Turn the record's columns into observations of every segment.

    Turnout starts at the receipt, or at the order itself where an answer came without one, which can only make it
    longer. Travel is known only of those who reported their arrival. An order that nobody answered is censored
    once its time to answer was over, and cut short if it was taken back before.
    """
    spans = {segment: Spans() for segment in Segment}
    impossible: dict[Segment, int] = {}
    handling: dict[UUID, int] = {}

    def keep(segment: Segment, took: int | None, place: int) -> bool:
        if took is not None and took < 0:
            impossible[segment] = impossible.get(segment, 0) + 1
            return False
        spans[segment].took.append(took)
        spans[segment].place.append(place)
        return True

    incidents: list[UUID] = []
    for place, alarm in enumerate(alarms):
        incidents.append(alarm.incident_id)
        for segment, span in _alarm(alarm):
            if keep(segment, span, place) and segment is Segment.ALARM_HANDLING:
                handling[alarm.incident_id] = span
    cut_short = 0
    times = zip(
        orders.incident_id,
        orders.issued_at,
        orders.closed_at,
        orders.acknowledge_by,
        orders.delivered_at,
        orders.committed_at,
        orders.started_at,
        orders.arrived_at,
        orders.refused,
        strict=True,
    )
    for place, (incident_id, issued, closed, due, delivered, committed, started, arrived, refused) in enumerate(times):
        answered = committed if started is None or (committed is not None and committed < started) else started
        took = None if answered is None else answered - (issued if delivered is None else delivered)
        seen = took is not None or (not refused and due is not None and closed >= due)
        cut_short += not (seen or refused)
        if seen and keep(Segment.TURNOUT, took, place) and incident_id in handling:
            keep(Segment.MOBILIZATION, None if took is None else handling[incident_id] + took, place)
        if started is not None and arrived is not None:
            keep(Segment.TRAVEL, arrived - started, place)
    return Observations(incidents, orders, spans, impossible, cut_short)


def _alarm(alarm: Alarm) -> Iterator[tuple[Segment, int]]:
    known = {
        Segment.ALARM_TRANSFER: (alarm.sent_at, alarm.broker_at),
        Segment.ALARM_ANSWERING: (alarm.broker_at, alarm.accepted_at),
        Segment.ALARM_PROCESSING: (alarm.accepted_at, alarm.published_at),
        Segment.ALARM_HANDLING: (alarm.sent_at, alarm.published_at),
    }
    for segment, (begin, end) in known.items():
        if begin is not None and end is not None:
            yield segment, (end - begin) // _MICRO


def summarize(values: Iterable[timedelta], censored: int, target: timedelta | None = None) -> Summary:
    """Sum up a segment's times and its ``censored`` ones; ``target`` is inclusive.

    Percentiles are by nearest rank over all, the censored ones last. Raises ValueError for a negative count.
    """
    if censored < 0:
        raise ValueError("censored: a count can't be negative")
    return _sum_up(sorted(values), censored, target)


class _Times(Protocol):
    """Times in ascending order."""

    def __len__(self) -> int: ...
    def __getitem__(self, place: int, /) -> timedelta: ...


class _Ordered:
    """Microseconds in ascending order, read as times: only those that are asked for are made."""

    def __init__(self, micros: list[int]) -> None:
        self._micros = micros

    def __len__(self) -> int:
        return len(self._micros)

    def __getitem__(self, place: int, /) -> timedelta:
        return self._micros[place] * _MICRO


def _sum_up(ordered: _Times, censored: int, target: timedelta | None) -> Summary:
    n = len(ordered) + censored
    within = None if target is None or n == 0 else bisect_right(ordered, target) / n
    return Summary(
        n=n,
        censored=censored,
        p50=quantile(ordered, n, 50),
        p90=quantile(ordered, n, 90) if n >= NEEDS[90] else None,
        p95=quantile(ordered, n, 95) if n >= NEEDS[95] else None,
        longest=ordered[len(ordered) - 1] if len(ordered) else None,
        within_target=within,
        never_responded=censored / n if n else None,
        bounds={percent: upper_bound(ordered, n, percent) for percent in BOUND_NEEDS},
    )


def quantile(ordered: _Times, n: int, percent: int) -> Quantile:
    """Give the nearest-rank percentile of ``n`` observations, of which ``ordered`` ended; None when there are none."""
    return _at_rank(ordered, ceil(n * percent / 100)) if n else None


def upper_bound(ordered: _Times, n: int, percent: int) -> Quantile:
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


def _at_rank(ordered: _Times, rank: int) -> Quantile:
    return ordered[rank - 1] if rank <= len(ordered) else NEVER
