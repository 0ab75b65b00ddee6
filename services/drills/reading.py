"""Reads a drill's report back: everything from Postgres on one snapshot, reckoned by `services.domain.segments`.

What was corrected afterwards is reckoned with its corrected times; the recorded ones stay beside them.
"""

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from schemas.base import Text
from schemas.drill import Criterion, InjectRule, Measure, ObjectiveRule, Segment
from schemas.timeline import Entry
from schemas.vocabulary import AssignmentState
from services.domain.incident import Deadline
from services.domain.segments import Alarm, Observations, Order, Quantile, segments_of, summarize
from services.drills.corrections import Correction, amend, by_entry, from_row, true_time
from services.drills.improvements import from_rows
from services.drills.ratings import latest
from services.drills.record import DrillRow, read_drill, sql
from services.drills.report import (
    Bar,
    DepartmentRow,
    InjectRow,
    Moment,
    ObjectiveRow,
    ObstacleRow,
    Report,
    Response,
    SegmentRow,
    Verdict,
)
from services.drills.titles import Documents, Titles, read_documents, read_titles
from services.platform.postgres import Pool

PARTLY = 0.5
"""The share within the time from which an objective that isn't met is partly met."""

Rows = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class _Record:
    """What one snapshot holds about a drill."""

    drill: DrillRow
    until: datetime
    alarms: Rows
    assignments: Rows
    obstacles: Rows
    injects: Rows
    entries: Rows
    activations: Rows
    corrections: Rows
    improvements: Rows
    ratings: Rows
    documents: Documents
    titles: Titles


async def read_report(pool: Pool, drill_id: UUID) -> Report:
    """Read one drill back; raises `DrillError` when there is none of this id."""
    drill = await read_drill(pool, drill_id)
    ids = list(drill.incident_ids)
    until = drill.ended_at or drill.clock.now()
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):

        async def rows(name: str, *given: object) -> Rows:
            return [dict(row) for row in await connection.fetch(sql(name), *given)]

        activations = await rows("drill_activations", ids)
        documents = await read_documents(connection, {row["digest"] for row in activations})
        record = _Record(
            drill=drill,
            until=until,
            alarms=await rows("drill_alarms", drill.id, drill.opening),
            assignments=await rows("drill_assignments", ids, until),
            obstacles=await rows("drill_obstacles", ids),
            injects=await rows("drill_injects", drill.id),
            entries=await rows("drill_entries", ids, drill.started_at),
            activations=activations,
            corrections=await rows("drill_corrections", drill.id),
            improvements=await rows("read_improvements", drill.id),
            ratings=await rows("drill_ratings", drill.id),
            documents=documents,
            titles=await read_titles(connection, drill.id, documents),
        )
    # A drill may have a million entries: the process that reads them goes on serving meanwhile.
    return await asyncio.to_thread(_make, record)


def _make(record: _Record) -> Report:
    drill, until = record.drill, record.until
    corrected = by_entry(from_row(row) for row in record.corrections)
    entries = [{**row, "detail": json.loads(row["detail"])} for row in record.entries if row["recorded_at"] <= until]
    titles = replace(record.titles, added=dict(_added(entries)))
    amend(entries, corrected, assignments=record.assignments, obstacles=record.obstacles, alarms=record.alarms)
    orders = [_order(row, until) for row in record.assignments]
    observed = segments_of([_alarm(row) for row in record.alarms], orders)
    silent = {each.assignment_id for each in observed.found if each.took is None}
    bars = tuple(
        _bar(row, order, titles, never=order.assignment_id in silent)
        for row, order in zip(record.assignments, orders, strict=True)
    )
    played = {row["inject"]: row for row in record.injects}
    return Report(
        drill=drill,
        ended_at=until,
        titles=titles,
        documents=record.documents,
        observed=observed,
        responses=tuple(Response(**row) for row in record.activations),
        objectives=tuple(judge(rule, observed) for rule in drill.document.objectives),
        segments=tuple(_segment(drill, segment, observed) for segment in Segment),
        departments=_departments(drill, bars, observed, titles),
        bars=bars,
        obstacles=tuple(_obstacle(row, titles) for row in record.obstacles),
        injects=tuple(_inject(rule, played) for rule in drill.document.injects),
        # As it happened: what was recorded or corrected later stands where it belongs.
        timeline=tuple(
            sorted(
                (_moment(row, corrected.get(row["entry_id"], ()), titles) for row in entries),
                key=lambda moment: moment.at,
            )
        ),
        improvements=tuple(from_rows(record.improvements)),
        cut_short=observed.cut_short,
        ratings=latest(record.ratings),
    )


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


def _added(entries: Rows) -> Iterator[tuple[tuple[UUID, str], Text]]:
    for row in entries:
        if row["entry"] == Entry.TASK_ADDED:
            yield (row["activation_id"], row["detail"]["task"]), Text.model_validate(row["detail"]["title"])


def _bar(row: Mapping[str, Any], order: Order, titles: Titles, *, never: bool) -> Bar:
    times = {each: row[f"{each.value}_by"] for each in Deadline}
    return Bar(
        id=row["id"],
        incident_id=row["incident_id"],
        activation_id=row["activation_id"],
        department=row["department"],
        task=row["task"],
        role=row["role"],
        title=titles.task(row["task"], row["activation_id"], row["digest"]),
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
        task=titles.task(row["task"], row["activation_id"]),
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
        task=titles.task(task, row["activation_id"]) if task else None,
        attention=row["attention"],
        by=row["by"],
        reason=row["reason"],
        detail=row["detail"],
    )
