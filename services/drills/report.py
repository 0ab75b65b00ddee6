"""A drill's report: everything read back from Postgres on one snapshot, and reckoned by `services.domain.segments`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

import asyncpg

from schemas.base import Text
from schemas.drill import Criterion, InjectRule, Measure, ObjectiveRule, Segment
from schemas.timeline import Entry
from schemas.vocabulary import AssignmentState
from services.domain.incident import Deadline
from services.domain.segments import (
    NEVER,
    Alarm,
    Observations,
    Order,
    Quantile,
    Summary,
    segments_of,
    summarize,
)
from services.drills.record import DrillRow, Pool, read_drill, sql
from services.drills.titles import Titles, read_titles


class Verdict(StrEnum):
    """Whether an objective was met. ``not_observed``: too little happened to tell."""

    MET = "met"
    NOT_MET = "not_met"
    NOT_OBSERVED = "not_observed"


@dataclass(frozen=True, slots=True)
class ObjectiveRow:
    """An objective with the number that decides it: a time or a share, of ``n`` observations."""

    rule: ObjectiveRule
    verdict: Verdict
    value: Quantile | float
    n: int


@dataclass(frozen=True, slots=True)
class SegmentRow:
    """One time segment over all departments."""

    segment: Segment
    target: timedelta | None
    summary: Summary
    impossible: int


@dataclass(frozen=True, slots=True)
class Bar:
    """One assignment's life. ``deadlines`` are those it had; ``missed`` the ones that passed unmet."""

    id: UUID
    department: str
    task: str
    title: Text
    state: AssignmentState
    issued_at: datetime
    delivered_at: datetime | None
    committed_at: datetime | None
    declined_at: datetime | None
    started_at: datetime | None
    completed_at: datetime | None
    ended_at: datetime
    deadlines: Mapping[Deadline, datetime]
    missed: tuple[Deadline, ...]
    never_answered: bool
    reason: str | None


@dataclass(frozen=True, slots=True)
class DepartmentRow:
    """One department in numbers. ``orders`` are all it was given; ``cut_short`` those taken back before their time."""

    id: str
    title: Text
    orders: int
    answered: int
    declined: int
    never: int
    cut_short: int
    completed: int
    late: int
    turnout: Summary


@dataclass(frozen=True, slots=True)
class Moment:
    """One entry of the timeline with the words for what it speaks of."""

    at: datetime
    entry: Entry
    department: str | None
    task: Text | None
    attention: bool
    by: str | None
    reason: str | None
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ObstacleRow:
    """One obstacle, its owner, and when it was out of the way."""

    department: str
    task: Text
    description: str
    owner: str
    reported_at: datetime
    taken_at: datetime | None
    resolved_at: datetime | None


@dataclass(frozen=True, slots=True)
class InjectRow:
    """One row of the MSEL, when it was played, and what was decided about it; None where it was not played."""

    rule: InjectRule
    played_at: datetime | None
    outcome: str | None


@dataclass(frozen=True, slots=True)
class Report:
    """All there is to say about one drill. Times are the scenario's."""

    drill: DrillRow
    ended_at: datetime
    titles: Titles
    objectives: tuple[ObjectiveRow, ...]
    segments: tuple[SegmentRow, ...]
    departments: tuple[DepartmentRow, ...]
    bars: tuple[Bar, ...]
    obstacles: tuple[ObstacleRow, ...]
    injects: tuple[InjectRow, ...]
    timeline: tuple[Moment, ...]
    cut_short: int

    @property
    def duration(self) -> timedelta:
        """From STARTEX to ENDEX, in the scenario's time."""
        return self.ended_at - self.drill.started_at

    @property
    def never(self) -> tuple[Bar, ...]:
        """The assignments that were never answered though their time to answer was over."""
        return tuple(bar for bar in self.bars if bar.never_answered)

    @property
    def escalations(self) -> tuple[Moment, ...]:
        """Missed deadlines and what followed."""
        wanted = {Entry.OVERDUE, Entry.REMINDED, Entry.ESCALATED, Entry.UNFILLED}
        return tuple(moment for moment in self.timeline if moment.entry in wanted)


async def read_report(pool: "Pool[asyncpg.Record]", drill_id: UUID) -> Report:
    """Read one drill back; raises `DrillError` when there is none of this id."""
    drill = await read_drill(pool, drill_id)
    ids = list(drill.incident_ids)
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        alarms = await connection.fetch(sql("drill_alarms"), drill.id, drill.opening)
        until = drill.ended_at or drill.clock.now()
        assignments = await connection.fetch(sql("drill_assignments"), ids, until)
        obstacles = await connection.fetch(sql("drill_obstacles"), ids)
        injects = await connection.fetch(sql("drill_injects"), drill.id)
        entries = await connection.fetch(sql("drill_entries"), ids, drill.started_at)
        titles = await read_titles(connection, {row["digest"] for row in assignments})
    orders = [_order(row, until) for row in assignments]
    observed = segments_of([_alarm(row) for row in alarms], orders)
    bars = tuple(_bar(row, order, observed, titles) for row, order in zip(assignments, orders, strict=True))
    played = {row["inject"]: row for row in injects}
    return Report(
        drill=drill,
        ended_at=until,
        titles=titles,
        objectives=tuple(judge(rule, observed) for rule in drill.document.objectives),
        segments=tuple(_segment(drill, segment, observed) for segment in Segment),
        departments=_departments(drill, bars, observed, titles),
        bars=bars,
        obstacles=tuple(_obstacle(row, titles) for row in obstacles),
        injects=tuple(_inject(rule, played) for rule in drill.document.injects),
        timeline=tuple(_moment(row, titles) for row in entries if row["recorded_at"] <= until),
        cut_short=observed.cut_short,
    )


def judge(rule: ObjectiveRule, observed: Observations) -> ObjectiveRow:
    """Decide an objective by its criterion."""
    criterion: Criterion = rule.criterion
    values, censored = observed.of(criterion.segment, tasks=criterion.tasks)
    summary = summarize(values, censored, criterion.within)
    if criterion.measure is Measure.SHARE:
        value = summary.within_target
        if value is None:
            return ObjectiveRow(rule, Verdict.NOT_OBSERVED, None, summary.n)
        met = value * 100 >= (criterion.at_least or 0)
        return ObjectiveRow(rule, Verdict.MET if met else Verdict.NOT_MET, value, summary.n)
    quantile: Quantile = getattr(summary, criterion.measure.value)
    if quantile is None:
        return ObjectiveRow(rule, Verdict.NOT_OBSERVED, None, summary.n)
    met = quantile is not NEVER and quantile <= criterion.within
    return ObjectiveRow(rule, Verdict.MET if met else Verdict.NOT_MET, quantile, summary.n)


def _alarm(row: asyncpg.Record) -> Alarm:
    return Alarm(row["incident_id"], row["sent_at"], row["broker_at"], row["accepted_at"], row["published_at"])


def _order(row: asyncpg.Record, until: datetime) -> Order:
    return Order(
        assignment_id=row["id"],
        incident_id=row["incident_id"],
        department=row["department"],
        task=row["task"],
        issued_at=row["issued_at"],
        closed_at=min(row["ended_at"] or until, until),
        acknowledge_by=row["acknowledge_by"],
        delivered_at=row["delivered_at"],
        committed_at=row["committed_at"],
        started_at=row["started_at"],
        arrived_at=row["arrived_at"],
        refused=row["declined_at"] is not None or row["failed_at"] is not None,
    )


def _bar(row: asyncpg.Record, order: Order, observed: Observations, titles: Titles) -> Bar:
    times = {each: row[f"{each.value}_by"] for each in Deadline}
    never = any(each.took is None and each.assignment_id == order.assignment_id for each in observed.found)
    return Bar(
        id=row["id"],
        department=row["department"],
        task=row["task"],
        title=titles.task(row["digest"], row["task"]),
        state=AssignmentState(row["state"]),
        issued_at=row["issued_at"],
        delivered_at=row["delivered_at"],
        committed_at=row["committed_at"],
        declined_at=row["declined_at"],
        started_at=row["started_at"],
        completed_at=row["completed_at"],
        ended_at=order.closed_at,
        deadlines={deadline: by for deadline, by in times.items() if by is not None},
        missed=tuple(Deadline(name) for name in row["missed"]),
        never_answered=never,
        reason=row["reason"],
    )


def _segment(drill: DrillRow, segment: Segment, observed: Observations) -> SegmentRow:
    target = getattr(drill.document.targets, segment.value)
    values, censored = observed.of(segment)
    return SegmentRow(segment, target, summarize(values, censored, target), observed.impossible.get(segment, 0))


def _departments(
    drill: DrillRow, bars: Sequence[Bar], observed: Observations, titles: Titles
) -> tuple[DepartmentRow, ...]:
    rows = []
    for department in dict.fromkeys(bar.department for bar in bars):
        own = [bar for bar in bars if bar.department == department]
        values, censored = observed.of(Segment.TURNOUT, department=department)
        declined = sum(bar.declined_at is not None for bar in own)
        answered = sum(bool(bar.committed_at or bar.started_at or bar.declined_at) for bar in own)
        rows.append(
            DepartmentRow(
                id=department,
                title=titles.department(department),
                orders=len(own),
                answered=answered,
                declined=declined,
                never=sum(bar.never_answered for bar in own),
                cut_short=len(own) - answered - sum(bar.never_answered for bar in own),
                completed=sum(bar.completed_at is not None for bar in own),
                late=sum(bool(bar.missed) for bar in own),
                turnout=summarize(values, censored, drill.document.targets.turnout),
            )
        )
    return tuple(rows)


def _obstacle(row: asyncpg.Record, titles: Titles) -> ObstacleRow:
    return ObstacleRow(
        department=row["department"],
        task=titles.any_task(row["task"]),
        description=row["description"],
        owner=row["owner"],
        reported_at=row["reported_at"],
        taken_at=row["taken_at"],
        resolved_at=row["resolved_at"],
    )


def _inject(rule: InjectRule, played: Mapping[str, asyncpg.Record]) -> InjectRow:
    row = played.get(rule.id)
    return InjectRow(rule, row["played_at"] if row else None, row["outcome"] if row else None)


def _moment(row: asyncpg.Record, titles: Titles) -> Moment:
    detail = json.loads(row["detail"])
    task = detail.get("task")
    return Moment(
        at=row["occurred_at"],
        entry=Entry(row["entry"]),
        department=row["department"],
        task=titles.any_task(task) if task else None,
        attention=row["attention"],
        by=row["by"],
        reason=row["reason"],
        detail=detail,
    )
