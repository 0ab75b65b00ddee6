"""Reads a drill's report back: everything from Postgres on one snapshot, reckoned by `services.domain.segments`.

Postgres gathers the orders into columns and goes through the timeline; no entry becomes a value but those that are
shown. What was corrected afterwards is reckoned with its corrected times; the recorded ones stay beside them.
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from schemas.base import Text
from schemas.drill import Criterion, InjectRule, Measure, ObjectiveRule, Segment
from schemas.timeline import Entry
from schemas.vocabulary import AssignmentState
from services.domain.incident import Deadline
from services.domain.segments import Alarm, Observations, Quantile, observe, summarize
from services.drills.corrections import amend
from services.drills.evaluation import Evaluator
from services.drills.improvements import from_rows
from services.drills.ledger import TOLD, Ledger, silent
from services.drills.moments import Narrator, Timeline, open_timeline
from services.drills.ratings import latest
from services.drills.record import DrillRow, read_drill, sql
from services.drills.report import (
    LISTED,
    Bar,
    DepartmentRow,
    InjectRow,
    Listed,
    Numbers,
    ObjectiveRow,
    ObstacleRow,
    Report,
    Response,
    SegmentRow,
    Verdict,
)
from services.drills.titles import Documents, Titles, read_documents, read_titles
from services.platform.postgres import Connection, Pool

PARTLY = 0.5
"""The share within the time from which an objective that isn't met is partly met."""
SORTED_IN = "64MB"
ESCALATIONS = (Entry.OVERDUE, Entry.REMINDED, Entry.ESCALATED, Entry.UNFILLED)
DECIDING = (
    Entry.REPORTED,
    Entry.NO_PLAN,
    Entry.CONFIRMATION_OVERDUE,
    Entry.ACTIVATED,
    Entry.STANDBY,
    Entry.LEVEL_CHANGED,
    Entry.LEVEL_SUGGESTED,
    Entry.BLOCKED,
    Entry.UNFILLED,
    Entry.TASK_ADDED,
)
"""What an evaluation looks at beside orders: some entries of each incident."""
PROVING = (*(entry for entry in TOLD if entry is not Entry.ACKNOWLEDGED), Entry.OVERDUE)
"""What shows how an order went."""

Rows = list[dict[str, Any]]


@asynccontextmanager
async def snapshot(pool: Pool) -> AsyncIterator[Connection]:
    """Hold the record still while it is read."""
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        # What a report sorts is a few columns of each order: it is to stay in memory.
        await connection.execute(f"SET LOCAL work_mem = '{SORTED_IN}'")
        yield connection


async def read_report(pool: Pool, drill_id: UUID) -> Report:
    """Read one drill back; raises `DrillError` when there is none of this id."""
    drill = await read_drill(pool, drill_id)
    async with snapshot(pool) as connection:
        record = await read_record(connection, drill)
        return await report_on(record)


async def read_numbers(pool: Pool, drill_id: UUID) -> Numbers:
    """Read what is reckoned of one drill, and no entries; raises `DrillError` when there is none of this id."""
    drill = await read_drill(pool, drill_id)
    async with snapshot(pool) as connection:
        return await asyncio.to_thread(reckon, await read_record(connection, drill))


@dataclass(frozen=True, slots=True)
class Record:
    """What one snapshot holds about a drill, its timeline still to be read from. ``amended`` are corrected orders."""

    timeline: Timeline
    ledger: Ledger
    alarms: Rows
    obstacles: Rows
    injects: Rows
    activations: Rows
    deciding: Rows
    corrected: Rows
    amended: Mapping[UUID, Mapping[str, Any]]
    entries: int
    escalations: int
    documents: Documents
    titles: Titles

    @property
    def drill(self) -> DrillRow:
        """The drill itself."""
        return self.timeline.drill

    @property
    def narrator(self) -> Narrator:
        """What gives its entries words."""
        return Narrator(self.titles, self.timeline.corrections)


async def read_record(connection: Connection, drill: DrillRow) -> Record:
    """Read everything but entries that only a list would show."""
    timeline = await open_timeline(connection, drill)
    ids, until = timeline.incidents, timeline.until

    async def rows(name: str, *given: object) -> Rows:
        return [dict(row) for row in await connection.fetch(sql(name), *given)]

    activations = await rows("drill_activations", ids)
    named = [row["id"] for row in activations]
    documents = await read_documents(connection, {row["digest"] for row in activations})
    (columns,) = await rows("drill_orders", ids, until, drill.started_at, named)
    (survey,) = await rows("drill_survey", ids, drill.started_at, until, ESCALATIONS, DECIDING, Entry.REPORTED)
    ledger = Ledger(drill.started_at, columns, ids, named)
    later = zip(survey["later_about"] or (), survey["later_entries"] or (), strict=True)
    ledger.tell(Counter(later))
    told = await timeline.of(survey["deciding"] or ())
    corrected = await timeline.of(timeline.corrections)
    injects = await rows("drill_injects", drill.id)
    alarms = list(_alarms(await rows("drill_reports", survey["reports"] or []), injects, drill.opening))
    obstacles = await rows("drill_obstacles", ids)
    about = {row["assignment_id"] for row in corrected} & set(ledger.ids) if corrected else set()
    amended = {row["id"]: row for row in await rows("drill_orders_of", list(about))} if about else {}
    parsed = [{**row, "detail": json.loads(row["detail"])} for row in corrected]
    amend(parsed, timeline.corrections, assignments=amended.values(), obstacles=obstacles, alarms=alarms)
    for row in amended.values():
        ledger.amend(row, until)
    titles = await read_titles(connection, drill.id, documents)
    return Record(
        timeline=timeline,
        ledger=ledger,
        alarms=alarms,
        obstacles=obstacles,
        injects=injects,
        activations=activations,
        deciding=told,
        corrected=corrected,
        amended=amended,
        entries=survey["entries"],
        escalations=survey["escalations"],
        documents=documents,
        titles=replace(titles, added=dict(_added(told))),
    )


async def read_words(timeline: Timeline) -> Titles:
    """Read what departments and tasks are called, where nothing else is read."""
    activations = await timeline.connection.fetch(sql("drill_activations"), timeline.incidents)
    documents = await read_documents(timeline.connection, {row["digest"] for row in activations})
    titles = await read_titles(timeline.connection, timeline.drill.id, documents)
    return replace(titles, added=dict(_added(await timeline.page(None, entries=[Entry.TASK_ADDED]))))


def reckon(record: Record) -> Numbers:
    """Reckon all numbers of a drill."""
    drill, ledger = record.drill, record.ledger
    observed = observe([_alarm(row) for row in record.alarms], ledger.orders())
    return Numbers(
        drill=drill,
        ended_at=record.timeline.until,
        titles=record.titles,
        documents=record.documents,
        ledger=ledger,
        observed=observed,
        responses=tuple(Response(**row) for row in record.activations),
        objectives=tuple(judge(rule, observed) for rule in drill.document.objectives),
        segments=tuple(_segment(drill, segment, observed) for segment in Segment),
        departments=_departments(drill, ledger, observed, record.titles),
    )


async def report_on(record: Record) -> Report:
    """Say all there is to say about a drill; reads the entries and assignments that it lists."""
    timeline, ledger = record.timeline, record.ledger
    ratings = latest([dict(row) for row in await timeline.connection.fetch(sql("drill_ratings"), record.drill.id)])
    improvements = await timeline.connection.fetch(sql("read_improvements"), record.drill.id)
    # A drill may have a hundred thousand orders: the process that reads them goes on serving meanwhile.
    numbers = await asyncio.to_thread(reckon, record)
    narrator = record.narrator
    deciding = [narrator.moment(row) for row in record.deciding]
    evaluator = await asyncio.to_thread(Evaluator, numbers, deciding, ratings, narrator)
    proofs = await timeline.about(evaluator.wanted(), PROVING)
    first = await timeline.page(LISTED)
    escalations = await timeline.page(LISTED, entries=ESCALATIONS) if record.escalations else []
    never = list(silent(numbers.observed))
    places = dict.fromkeys((*range(min(LISTED, len(ledger))), *never[:LISTED]))
    bars = await _bars(record, places, set(never))

    def finish() -> Report:
        evaluation = evaluator.evaluate(proofs)
        pointed = {moment.id for moment in evaluation.moments()} - {row["entry_id"] for row in first}
        more = [row for row in (*proofs, *record.deciding) if row["entry_id"] in pointed]
        listed = {row["entry_id"]: row for row in (*first, *more)}
        return Report(
            drill=numbers.drill,
            ended_at=numbers.ended_at,
            titles=numbers.titles,
            documents=numbers.documents,
            ledger=ledger,
            observed=numbers.observed,
            responses=numbers.responses,
            objectives=numbers.objectives,
            segments=numbers.segments,
            departments=numbers.departments,
            evaluation=evaluation,
            bars=Listed(tuple(bars[place] for place in range(min(LISTED, len(ledger)))), len(ledger)),
            never=Listed(tuple(bars[place] for place in never[:LISTED]), len(never)),
            obstacles=tuple(_obstacle(row, record.titles) for row in record.obstacles),
            injects=_injects(record),
            timeline=Listed(narrator.in_order(listed.values()), record.entries),
            escalations=Listed(narrator.in_order(escalations), record.escalations),
            corrected=narrator.in_order(record.corrected),
            improvements=tuple(from_rows([dict(row) for row in improvements])),
            ratings=ratings,
        )

    return await asyncio.to_thread(finish)


async def _bars(record: Record, places: Iterable[int], never: set[int]) -> dict[int, Bar]:
    by_id = {record.ledger.ids[place]: place for place in places}
    rows = await record.timeline.connection.fetch(sql("drill_orders_of"), list(by_id))
    bars = {}
    for row in rows:
        place = by_id[row["id"]]
        bars[place] = bar_of(
            record.amended.get(row["id"]) or dict(row), record.titles, record.timeline.until, never=place in never
        )
    return bars


def _alarms(reports: Rows, injects: Rows, opening: Sequence[str]) -> Iterable[dict[str, Any]]:
    opened = {row["incident_id"]: row["first_order_at"] for row in injects if row["inject"] in opening}
    return ({**told, "published_at": opened[told["incident_id"]]} for told in reports if told["incident_id"] in opened)


def judge(rule: ObjectiveRule, observed: Observations) -> ObjectiveRow:
    """Decide an objective by its criterion."""
    criterion: Criterion = rule.criterion
    summary = observed.summary(criterion.segment, criterion.within, tasks=criterion.tasks)
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


def _added(entries: Rows) -> Iterable[tuple[tuple[UUID, str], Text]]:
    for row in entries:
        if row["entry"] == Entry.TASK_ADDED:
            detail = json.loads(row["detail"])
            yield (row["activation_id"], detail["task"]), Text.model_validate(detail["title"])


def bar_of(row: Mapping[str, Any], titles: Titles, until: datetime, *, never: bool) -> Bar:
    """Give an assignment's row with the words for what it is about."""
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
        ended_at=min(row["ended_at"] or until, until),
        deadlines={deadline: by for deadline, by in times.items() if by is not None},
        missed=tuple(Deadline(name) for name in row["missed"]),
        never_answered=never,
        reason=row["reason"],
    )


def _segment(drill: DrillRow, segment: Segment, observed: Observations) -> SegmentRow:
    target = getattr(drill.document.targets, segment.value)
    return SegmentRow(segment, target, observed.summary(segment, target), observed.impossible.get(segment, 0))


def _departments(drill: DrillRow, ledger: Ledger, observed: Observations, titles: Titles) -> tuple[DepartmentRow, ...]:
    at, never, missed = ledger.at, set(silent(observed)), ledger.missed
    answered = ledger.first("committed_at", "started_at", "declined_at")
    places: dict[str, list[int]] = {}
    for place, department in enumerate(ledger.department):
        places.setdefault(department, []).append(place)
    turnout = observed.by_department(Segment.TURNOUT, drill.document.targets.turnout)
    rows = []
    for department, own in places.items():
        said, silence = sum(answered[place] is not None for place in own), sum(place in never for place in own)
        rows.append(
            DepartmentRow(
                id=department,
                title=titles.department(department),
                orders=len(own),
                answered=said,
                declined=sum(at["declined_at"][place] is not None for place in own),
                never=silence,
                cut_short=len(own) - said - silence,
                completed=sum(at["completed_at"][place] is not None for place in own),
                late=sum(bool(missed[place]) for place in own),
                turnout=turnout.get(department) or summarize((), 0, drill.document.targets.turnout),
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


def _injects(record: Record) -> tuple[InjectRow, ...]:
    played = {row["inject"]: row for row in record.injects}
    return tuple(_inject(rule, played) for rule in record.drill.document.injects)


def _inject(rule: InjectRule, played: Mapping[str, Mapping[str, Any]]) -> InjectRow:
    row = played.get(rule.id)
    if row is None:
        return InjectRow(rule)
    return InjectRow(rule, row["played_at"], row["outcome"], row["rating"], row["rated_because"])
