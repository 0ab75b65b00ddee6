"""A drill's report: everything read back from Postgres on one snapshot, and reckoned by `services.domain.segments`.

What was corrected afterwards is reckoned with its corrected times; the recorded ones stay beside them.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
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
    Alarm,
    Observations,
    Order,
    Quantile,
    Summary,
    segments_of,
    summarize,
)
from services.drills.corrections import Correction, amend, by_entry, from_row, true_time
from services.drills.improvements import Improvement, from_rows
from services.drills.record import DrillRow, read_drill, sql
from services.drills.titles import Documents, Titles, read_documents, read_titles
from services.platform.postgres import Pool

PARTLY = 0.5
"""The share within the time from which an objective that isn't met is partly met."""


class Verdict(StrEnum):
    """Whether an objective was met. ``partly_met``: at least half of it; ``not_observed``: too little happened."""

    MET = "met"
    PARTLY_MET = "partly_met"
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
    incident_id: UUID
    activation_id: UUID
    department: str
    task: str
    role: str
    title: Text
    state: AssignmentState
    issued_at: datetime
    delivered_at: datetime | None
    acknowledged_at: datetime | None
    committed_at: datetime | None
    declined_at: datetime | None
    started_at: datetime | None
    completed_at: datetime | None
    failed_at: datetime | None
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
    """One entry of the timeline with the words for what it speaks of.

    ``at`` is when it happened, by the last correction if there is one; ``recorded_as`` what the timeline itself says.
    """

    id: UUID
    incident_id: UUID
    activation_id: UUID | None
    assignment_id: UUID | None
    at: datetime
    recorded_as: datetime
    corrections: tuple[Correction, ...]
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
    """One row of the MSEL, when it was played, and what was decided about it; None where it was not played.

    ``rating``: whether what it expected was seen, and ``because`` why; None where only an evaluator can tell.
    """

    rule: InjectRule
    played_at: datetime | None = None
    outcome: str | None = None
    rating: str | None = None
    because: str | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """One plan that answered one of the drill's incidents, by the wording it obeyed."""

    id: UUID
    incident_id: UUID
    plan: str
    version: int
    digest: str


@dataclass(frozen=True, slots=True)
class Report:
    """All there is to say about one drill. Times are the scenario's."""

    drill: DrillRow
    ended_at: datetime
    titles: Titles
    documents: Documents
    observed: Observations
    responses: tuple[Response, ...]
    objectives: tuple[ObjectiveRow, ...]
    segments: tuple[SegmentRow, ...]
    departments: tuple[DepartmentRow, ...]
    bars: tuple[Bar, ...]
    obstacles: tuple[ObstacleRow, ...]
    injects: tuple[InjectRow, ...]
    timeline: tuple[Moment, ...]
    improvements: tuple[Improvement, ...]
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


async def read_report(pool: Pool, drill_id: UUID) -> Report:
    """Read one drill back; raises `DrillError` when there is none of this id."""
    drill = await read_drill(pool, drill_id)
    ids = list(drill.incident_ids)
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        alarms = _rows(await connection.fetch(sql("drill_alarms"), drill.id, drill.opening))
        until = drill.ended_at or drill.clock.now()
        assignments = _rows(await connection.fetch(sql("drill_assignments"), ids, until))
        obstacles = _rows(await connection.fetch(sql("drill_obstacles"), ids))
        injects = _rows(await connection.fetch(sql("drill_injects"), drill.id))
        entries = _rows(await connection.fetch(sql("drill_entries"), ids, drill.started_at))
        activations = _rows(await connection.fetch(sql("drill_activations"), ids))
        corrections = _rows(await connection.fetch(sql("drill_corrections"), drill.id))
        improvements = _rows(await connection.fetch(sql("read_improvements"), drill.id))
        documents = await read_documents(connection, {row["digest"] for row in activations})
        titles = await read_titles(connection, drill.id, documents)
    corrected = by_entry(from_row(row) for row in corrections)
    entries = [{**row, "detail": json.loads(row["detail"])} for row in entries if row["recorded_at"] <= until]
    amend(entries, corrected, assignments=assignments, obstacles=obstacles, alarms=alarms)
    orders = [_order(row, until) for row in assignments]
    observed = segments_of([_alarm(row) for row in alarms], orders)
    silent = {each.assignment_id for each in observed.found if each.took is None}
    bars = tuple(
        _bar(row, order, titles, never=order.assignment_id in silent)
        for row, order in zip(assignments, orders, strict=True)
    )
    played = {row["inject"]: row for row in injects}
    return Report(
        drill=drill,
        ended_at=until,
        titles=titles,
        documents=documents,
        observed=observed,
        responses=tuple(Response(**row) for row in activations),
        objectives=tuple(judge(rule, observed) for rule in drill.document.objectives),
        segments=tuple(_segment(drill, segment, observed) for segment in Segment),
        departments=_departments(drill, bars, observed, titles),
        bars=bars,
        obstacles=tuple(_obstacle(row, titles) for row in obstacles),
        injects=tuple(_inject(rule, played) for rule in drill.document.injects),
        # As it happened: what was recorded or corrected later stands where it belongs.
        timeline=tuple(
            sorted(
                (_moment(row, corrected.get(row["entry_id"], ()), titles) for row in entries),
                key=lambda moment: moment.at,
            )
        ),
        improvements=tuple(from_rows(improvements)),
        cut_short=observed.cut_short,
    )


def _rows(records: Iterable[asyncpg.Record]) -> list[dict[str, Any]]:
    return [dict(record) for record in records]


def judge(rule: ObjectiveRule, observed: Observations) -> ObjectiveRow:
    """Decide an objective by its criterion."""
    criterion: Criterion = rule.criterion
    values, censored = observed.of(criterion.segment, tasks=criterion.tasks)
    summary = summarize(values, censored, criterion.within)
    value: Quantile | float
    if criterion.measure is Measure.SHARE:
        value = summary.within_target
        met = value is not None and value * 100 >= (criterion.at_least or 0)
    else:
        value = getattr(summary, criterion.measure.value)
        met = isinstance(value, timedelta) and value <= criterion.within
    if value is None:
        return ObjectiveRow(rule, Verdict.NOT_OBSERVED, None, summary.n)
    short = Verdict.PARTLY_MET if (summary.within_target or 0) >= PARTLY else Verdict.NOT_MET
    return ObjectiveRow(rule, Verdict.MET if met else short, value, summary.n)


def _alarm(row: Mapping[str, Any]) -> Alarm:
    return Alarm(row["incident_id"], row["sent_at"], row["broker_at"], row["accepted_at"], row["published_at"])


def _order(row: Mapping[str, Any], until: datetime) -> Order:
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


def _bar(row: Mapping[str, Any], order: Order, titles: Titles, *, never: bool) -> Bar:
    times = {each: row[f"{each.value}_by"] for each in Deadline}
    return Bar(
        id=row["id"],
        incident_id=row["incident_id"],
        activation_id=row["activation_id"],
        department=row["department"],
        task=row["task"],
        role=row["role"],
        title=titles.task(row["digest"], row["task"]),
        state=AssignmentState(row["state"]),
        issued_at=row["issued_at"],
        delivered_at=row["delivered_at"],
        acknowledged_at=row["acknowledged_at"],
        committed_at=row["committed_at"],
        declined_at=row["declined_at"],
        started_at=row["started_at"],
        completed_at=row["completed_at"],
        failed_at=row["failed_at"],
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


def _obstacle(row: Mapping[str, Any], titles: Titles) -> ObstacleRow:
    return ObstacleRow(
        department=row["department"],
        task=titles.any_task(row["task"]),
        description=row["description"],
        owner=row["owner"],
        reported_at=row["reported_at"],
        taken_at=row["taken_at"],
        resolved_at=row["resolved_at"],
    )


def _inject(rule: InjectRule, played: Mapping[str, Mapping[str, Any]]) -> InjectRow:
    row = played.get(rule.id)
    if row is None:
        return InjectRow(rule)
    return InjectRow(rule, row["played_at"], row["outcome"], row["rating"], row["rated_because"])


def _moment(row: Mapping[str, Any], corrections: tuple[Correction, ...], titles: Titles) -> Moment:
    task = row["detail"].get("task")
    return Moment(
        id=row["entry_id"],
        incident_id=row["incident_id"],
        activation_id=row["activation_id"],
        assignment_id=row["assignment_id"],
        at=true_time(corrections) or row["occurred_at"],
        recorded_as=row["occurred_at"],
        corrections=corrections,
        entry=Entry(row["entry"]),
        department=row["department"],
        task=titles.any_task(task) if task else None,
        attention=row["attention"],
        by=row["by"],
        reason=row["reason"],
        detail=row["detail"],
    )
