"""Orders as their department was told of them, and as they stand: read from the messages sent and from the record."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
from pydantic import BaseModel, Field

from schemas.assignment import Assignment
from schemas.timeline import Entry
from schemas.topics import ASSIGNMENTS, department_of, topic_name
from schemas.vocabulary import AssignmentState, Namespace, Notice
from services.console.world import statement
from services.domain import incident as domain
from services.domain.incident import Deadline
from services.platform.cursor import bad_cursor, read_cursor, write_cursor
from services.platform.decider import statuses
from services.platform.postgres import Pool


class Times(BaseModel):
    """When what happened to an order; what has not happened is null."""

    issued_at: datetime
    delivered_at: datetime | None
    acknowledged_at: datetime | None
    committed_at: datetime | None
    declined_at: datetime | None
    started_at: datetime | None
    arrived_at: datetime | None
    completed_at: datetime | None
    failed_at: datetime | None
    ended_at: datetime | None


class OrderLine(BaseModel):
    """One order: ``told`` is the last message about it that the department was sent, the rest is how it stands now.

    ``due_at`` is the next deadline it has to meet and ``due`` says which; ``overdue`` lists those missed and not met
    since.
    ``is_copy``: another department's order, escalated to this one to read and to follow up, not to answer.
    """

    id: UUID
    incident_id: UUID
    department: str
    is_copy: bool
    state: AssignmentState
    level: str | None
    due_at: datetime | None
    due: Deadline | None
    overdue: list[Deadline]
    blocked: bool
    reason: str | None
    read_back: str | None
    answered_by: str | None
    times: Times
    told: Assignment


class OrderPage(BaseModel):
    """Orders, most urgent first; ``next`` is the cursor of the page after this one."""

    items: list[OrderLine]
    next: str | None


class NoticeView(BaseModel):
    """One message about an order: ``to`` is the department it was sent to."""

    at: datetime
    to: str
    notice: Notice
    revision: int
    state: AssignmentState
    level: str | None
    addressed_to: str | None
    reason: str | None


class SaidView(BaseModel):
    """What the department said about an order, or what became of it: ``at`` is when it happened."""

    at: datetime
    recorded_at: datetime
    entry: Entry
    by: str | None
    reason: str | None
    note: str | None = None
    read_back: str | None = None
    to: str | None = None
    answer: str | None = None


class ObstacleView(BaseModel):
    """What keeps a department from going on, and who has it in hand."""

    id: UUID
    description: str
    owner: str
    reported_at: datetime
    taken_at: datetime | None
    resolved_at: datetime | None


class OrderView(OrderLine):
    """One order whole: what it says, how it stands, every notice about it and what the department said."""

    obstacles: list[ObstacleView] = Field(default_factory=list)
    notices: list[NoticeView] = Field(default_factory=list)
    said: list[SaidView] = Field(default_factory=list)


async def list_orders(
    pool: Pool,
    namespace: Namespace,
    department: str,
    subordinates: Sequence[str],
    *,
    ended: bool,
    limit: int,
    cursor: str | None,
) -> OrderPage:
    """List a department's orders, and copies of open ones of the departments whose superior it is."""
    rows = await pool.fetch(
        statement("inbox"),
        department,
        [name for name in subordinates if name != department],
        topic_name(ASSIGNMENTS, namespace, department),
        statuses(namespace),
        ended,
        *_place(cursor),
        limit + 1,
    )
    items = [OrderLine(**_line(row, row["told"], row["blocked"], department)) for row in rows[:limit]]
    last = rows[limit - 1] if len(rows) > limit else None
    following = None if last is None else write_cursor(str(int(last["ended"])), repr(last["rank"]), str(last["id"]))
    return OrderPage(items=items, next=following)


def _place(cursor: str | None) -> tuple[bool | None, float | None, UUID | None]:
    if cursor is None:
        return None, None, None
    ended, rank, id_ = read_cursor(cursor, 3)
    try:
        return bool(int(ended)), float(rank), UUID(id_)
    except ValueError:
        raise bad_cursor() from None


async def find_order(
    pool: Pool, namespace: Namespace, assignment_id: UUID
) -> tuple[asyncpg.Record, list[asyncpg.Record]] | None:
    """Give an assignment's row and the messages about it; None where there is none, or none that was told here."""
    row = await pool.fetchrow(statement("order"), assignment_id, statuses(namespace))
    if row is None:
        return None
    messages = await pool.fetch(statement("order_messages"), assignment_id)
    return (row, messages) if messages else None


async def show_order(
    pool: Pool, row: asyncpg.Record, messages: Sequence[asyncpg.Record], readers: Sequence[str] | None
) -> OrderView:
    """Make the view of one order; ``readers`` are the departments whose messages may be read, None for all."""
    obstacles = await pool.fetch(
        "SELECT * FROM obstacles WHERE incident_id = $1 AND assignment_id = $2 ORDER BY reported_at, id",
        row["incident_id"],
        row["id"],
    )
    said = await pool.fetch(statement("order_words"), row["incident_id"], row["id"])
    sent = [(department_of(message["topic"]), message) for message in messages]
    visible = [(to, message) for to, message in sent if readers is None or to in readers]
    own = [message for to, message in visible if to == row["department"]]
    told = (own or [message for _, message in visible])[-1]
    reader = row["department"] if own else visible[-1][0]
    blocked = any(obstacle["resolved_at"] is None for obstacle in obstacles)
    return OrderView(
        **_line(row, told["value"], blocked, reader),
        obstacles=[ObstacleView(**{name: each[name] for name in ObstacleView.model_fields}) for each in obstacles],
        notices=[_notice(to, message) for to, message in visible],
        said=[_said(each) for each in said],
    )


def told_to(messages: Sequence[asyncpg.Record]) -> set[str]:
    """Name the departments that were sent a message about an order."""
    return {department_of(message["topic"]) for message in messages}


def _line(row: asyncpg.Record, told: str, blocked: bool, reader: str) -> dict[str, Any]:
    state = AssignmentState(row["state"])
    missed = tuple(Deadline(name) for name in row["missed"])
    held = domain.Assignment(
        row["id"], row["activation_id"], row["task"], row["role"], row["department"], row["issued_at"], state=state
    )
    return {
        "id": row["id"],
        "incident_id": row["incident_id"],
        "department": row["department"],
        "is_copy": row["department"] != reader,
        "state": state,
        "level": row["level_now"],
        "due_at": row["due_at"],
        "due": next((each for each in Deadline if row["due_at"] and row[f"{each.value}_by"] == row["due_at"]), None),
        "overdue": [deadline for deadline in missed if held.unmet(deadline)],
        "blocked": blocked,
        "reason": row["reason"],
        "read_back": row["read_back"],
        "answered_by": row["answered_by"],
        "times": Times(**{name: row[name] for name in Times.model_fields}),
        "told": Assignment.model_validate_json(told),
    }


def _notice(to: str, message: asyncpg.Record) -> NoticeView:
    told = Assignment.model_validate_json(message["value"])
    return NoticeView(
        at=message["time"],
        to=to,
        notice=told.notice,
        revision=told.revision,
        state=told.state,
        level=told.level,
        addressed_to=told.addressed_to,
        reason=told.reason,
    )


def _said(row: asyncpg.Record) -> SaidView:
    detail: dict[str, Any] = json.loads(row["detail"])
    words = {name: detail.get(name) for name in ("note", "read_back", "to", "answer")}
    return SaidView(
        at=row["occurred_at"],
        recorded_at=row["recorded_at"],
        entry=row["entry"],
        by=row["by"],
        reason=row["reason"],
        **{name: value if isinstance(value, str) else None for name, value in words.items()},
    )
