"""What is on record of one incident, as it is told over the API: its timeline, its reports, and what was decided."""

import csv
import io
import json
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import datetime
from typing import Any, Literal, TypeVar
from uuid import UUID

import asyncpg
from pydantic import BaseModel

from schemas.base import Duration, Text
from schemas.timeline import Entry, TimelineEntry
from schemas.vocabulary import ActivationState, MessageType, Namespace
from services.console.world import statement
from services.domain.adding import widen
from services.domain.decision import Outcome
from services.domain.incident import Activation
from services.domain.plan import Plan, Task
from services.platform.cursor import bad_cursor, read_cursor, write_cursor
from services.platform.decider import statuses
from services.platform.entries import entry_of
from services.platform.postgres import Pool

BATCH = 1_000
"""Entries read at once for an export."""
Place = TypeVar("Place", int, UUID)
_FORMULA = frozenset("=+-@\t\r")


class TimelinePage(BaseModel):
    """Entries of a timeline, newest first; ``next`` is the cursor of the page after this one."""

    items: list[TimelineEntry]
    next: str | None


class ReportLine(BaseModel):
    """One report about an incident. ``format``: a CAP alert, JSON, or a message that a feeder put on the broker.

    ``outcome`` and ``reason`` say what was decided about it; they are null while it waits. ``size`` is in bytes.
    """

    event_id: UUID
    received_at: datetime
    reported_by: str
    message_type: MessageType
    format: Literal["cap", "json", "message"]
    size: int
    outcome: Outcome | None
    reason: str | None
    decided_at: datetime | None


class ReportPage(BaseModel):
    """Reports in the order they came in; ``next`` is the cursor of the page after this one."""

    items: list[ReportLine]
    next: str | None


class ReportView(ReportLine):
    """One report with its text as it came in; bytes that are no UTF-8 are shown as replacement characters."""

    text: str


class DecisionView(BaseModel):
    """What was decided about a report, a command or an answer."""

    event_id: UUID
    outcome: Outcome
    reason: str
    decided_at: datetime


class LevelName(BaseModel):
    """A level of a plan."""

    id: str
    title: Text


class TaskView(BaseModel):
    """One task as the activation obeys it. ``added``: a duty officer gave it beside the plan's own."""

    id: str
    title: Text
    done_when: Text
    instructions: Text | None
    role: str
    role_title: Text
    candidates: list[str]
    needed: int
    levels: list[str] | None
    after: list[str]
    acknowledge: Duration
    start: Duration | None
    complete: Duration | None
    read_back: bool
    stand_down: bool
    statutory: bool
    added: bool


class PlanInForce(BaseModel):
    """One activation with the wording that it froze."""

    activation_id: UUID
    plan: str
    version: int
    title: Text
    state: ActivationState
    level: str | None
    levels: list[LevelName]
    tasks: list[TaskView]


class PlansInForce(BaseModel):
    """Every activation of an incident, first matched first."""

    items: list[PlanInForce]
    next: None = None


class Wanted(BaseModel):
    """Which entries of a timeline are asked for."""

    kinds: tuple[Entry, ...] = ()
    department: str | None = None
    attention: bool = False
    text: str | None = None
    until: datetime | None = None


async def read_timeline(
    pool: Pool, namespace: Namespace, incident_id: UUID, wanted: Wanted, *, limit: int, cursor: str | None
) -> TimelinePage:
    """Read one page."""
    seq = None if cursor is None else _number(read_cursor(cursor, 1)[0])
    rows = await pool.fetch(
        statement("timeline_page"),
        incident_id,
        statuses(namespace),
        [kind.value for kind in wanted.kinds],
        wanted.department,
        wanted.attention,
        wanted.text or None,
        wanted.until,
        seq,
        limit + 1,
    )
    last = rows[limit - 1] if len(rows) > limit else None
    following = None if last is None else write_cursor(str(last["seq"]))
    return TimelinePage(items=[entry_of(row) for row in rows[:limit]], next=following)


async def read_whole_timeline(
    pool: Pool, namespace: Namespace, incident_id: UUID, wanted: Wanted
) -> AsyncIterator[list[TimelineEntry]]:
    """Read all of it in batches, newest first."""
    cursor: str | None = None
    while True:
        page = await read_timeline(pool, namespace, incident_id, wanted, limit=BATCH, cursor=cursor)
        yield page.items
        if (cursor := page.next) is None:
            return


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) >= 1 << 63:
        raise bad_cursor()
    return int(text)


def _place(cursor: str | None, kind: Callable[[str], Place]) -> tuple[datetime | None, Place | None]:
    if cursor is None:
        return None, None
    at, id_ = read_cursor(cursor, 2)
    try:
        moment, place = datetime.fromisoformat(at), kind(id_)
    except ValueError:
        raise bad_cursor() from None
    if moment.tzinfo is None:
        raise bad_cursor()
    return moment, place


COLUMNS = (
    "recorded_at",
    "occurred_at",
    "broker_at",
    "entry",
    "department",
    "by",
    "reason",
    "attention",
    "task",
    "plan",
    "level",
    "detail",
    "entry_id",
    "activation_id",
    "assignment_id",
)
"""Columns of a timeline as a table."""


def csv_rows(entries: Iterable[TimelineEntry]) -> str:
    """Write entries as rows of a table (RFC 4180); what a spreadsheet would run is quoted."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    for entry in entries:
        told = {**{name: entry.detail.get(name) for name in ("task", "plan", "level")}, **dict(entry)}
        told["detail"] = json.dumps(entry.detail, ensure_ascii=False)
        writer.writerow([_cell(told[name]) for name in COLUMNS])
    return out.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = value.isoformat() if isinstance(value, datetime) else str(value)
    return f"'{text}" if text[:1] in _FORMULA else text


async def read_reports(
    pool: Pool, namespace: Namespace, incident_id: UUID, *, limit: int, cursor: str | None
) -> ReportPage:
    """Read one page of what was reported."""
    at, event_id = _place(cursor, UUID)
    rows = await pool.fetch(
        statement("incident_reports"), incident_id, statuses(namespace), None, at, event_id, limit + 1
    )
    items = [ReportLine(**_report(row)) for row in rows[:limit]]
    last = items[-1] if len(rows) > limit else None
    following = None if last is None else write_cursor(last.received_at.isoformat(), str(last.event_id))
    return ReportPage(items=items, next=following)


async def read_report(
    pool: Pool, namespace: Namespace, incident_id: UUID, event_id: UUID
) -> tuple[ReportView, bytes, str] | None:
    """Read one report with its bytes as they came in and their media type."""
    row = await pool.fetchrow(statement("incident_reports"), incident_id, statuses(namespace), event_id, None, None, 1)
    if row is None:
        return None
    body: bytes = row["message"].encode() if row["body"] is None else row["body"]
    view = ReportView(**_report(row), text=body.decode("utf-8-sig", errors="replace"))
    return view, body, row["content_type"] or "application/json"


def _report(row: asyncpg.Record) -> dict[str, Any]:
    message = json.loads(row["message"] or "{}")
    content_type = row["content_type"]
    known = "message" if content_type is None else "cap" if "xml" in content_type else "json"
    return {
        **{name: row[name] for name in ("event_id", "received_at", "size", "outcome", "reason", "decided_at")},
        "reported_by": message.get("reported_by", ""),
        "message_type": message.get("message_type", MessageType.ALERT),
        "format": known,
    }


async def read_decision(pool: Pool, namespace: Namespace, incident_id: UUID, event_id: UUID) -> DecisionView | None:
    """Read what was decided about one event; None while it waits, or was never sent."""
    row = await pool.fetchrow(
        "SELECT event_id, outcome, reason, decided_at FROM inbox"
        " WHERE event_id = $1 AND incident_id = $2 AND status = ANY ($3)",
        event_id,
        incident_id,
        statuses(namespace),
    )
    return None if row is None else DecisionView(**row)


def plan_in_force(activation: Activation, frozen: Plan) -> PlanInForce:
    """Tell an activation's wording, the tasks that were added to it among the others."""
    plan = widen(frozen, activation.added)
    return PlanInForce(
        activation_id=activation.id,
        plan=plan.id,
        version=plan.version,
        title=plan.title,
        state=activation.state,
        level=activation.level,
        levels=[LevelName(id=level.id, title=level.title) for level in plan.levels],
        tasks=[_task(plan, task, added=task.id not in frozen.tasks) for task in plan.tasks.values()],
    )


def _task(plan: Plan, task: Task, *, added: bool) -> TaskView:
    role = plan.roles[task.role]
    return TaskView(
        id=task.id,
        title=task.title,
        done_when=task.done_when,
        instructions=task.instructions,
        role=role.id,
        role_title=role.title,
        candidates=list(role.candidates),
        needed=role.needed,
        levels=None if task.levels is None or added else sorted(task.levels),
        after=list(task.after),
        acknowledge=task.acknowledge,
        start=task.start,
        complete=task.complete,
        read_back=task.read_back,
        stand_down=task.stand_down,
        statutory=task.citation is not None,
        added=added,
    )
