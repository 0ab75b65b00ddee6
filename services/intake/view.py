"""What has become of incidents, read from the record: the minimum a sender or a script asks for."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

import asyncpg
from pydantic import BaseModel, Field

from schemas.base import Text
from schemas.envelope import COMMAND
from schemas.incident import IncidentReport
from schemas.timeline import TimelineEntry
from schemas.vocabulary import ActivationState, Namespace, Status
from services.domain.incident import Activation, Assignment, Incident, Obstacle
from services.platform.asof import load_as_of
from services.platform.cursor import bad_cursor, read_cursor, write_cursor
from services.platform.decider import statuses
from services.platform.entries import entry_of
from services.platform.queries import query
from services.platform.records import load

TIMELINE_AT_MOST = 1_000
"""Most timeline entries given with one incident: the newest ones."""
ACCEPTED = "accepted"
"""The phase of an incident whose report is kept and not decided yet."""

_WAITING = (
    "SELECT reports.status, received_at, value FROM reports LEFT JOIN outbox ON outbox.event_id = reports.event_id"
    " AND type IN ('muster.incident', 'muster.command', 'muster.acknowledgement')"
    " WHERE reports.incident_id = $1 AND reports.status = ANY ($2) AND type IS DISTINCT FROM $3"
    " ORDER BY received_at LIMIT 1"
)
_TIMELINE = (
    "SELECT * FROM (SELECT * FROM timeline WHERE incident_id = $1 ORDER BY seq DESC LIMIT $2) AS newest ORDER BY seq"
)


class Answering(BaseModel):
    """A plan that answers an incident: its title, and where it stands at which level."""

    plan: str
    title: Text
    state: ActivationState
    level: str | None


class IncidentLine(BaseModel):
    """One incident in a list; ``plans`` names its activations' plans, first matched first."""

    id: UUID
    status: Status
    phase: str
    reported_at: datetime
    cancelled: bool
    closed_at: datetime | None
    event: str | None
    headline: str | None
    severity: str | None
    plans: list[str]
    activations: list[Answering]


class IncidentList(BaseModel):
    """Incidents, latest report first; ``next`` is the cursor of the page after this one."""

    items: list[IncidentLine]
    next: str | None


class IncidentView(BaseModel):
    """One incident with all that hangs on it; ``timeline`` holds its newest entries, oldest first.

    While its first report waits for a decision the phase is ``accepted``, and nothing hangs on it yet. With
    ``as_of`` it is told as it was known then; when something next falls due is left out.
    """

    id: UUID
    status: Status
    phase: str
    reported_at: datetime
    cancelled: bool = False
    joined_to: UUID | None = None
    closed_at: datetime | None = None
    report: IncidentReport | None = None
    activations: list[Activation] = Field(default_factory=list)
    assignments: list[Assignment] = Field(default_factory=list)
    obstacles: list[Obstacle] = Field(default_factory=list)
    timeline: list[TimelineEntry] = Field(default_factory=list)
    as_of: datetime | None = None


async def list_incidents(
    pool: "asyncpg.Pool[asyncpg.Record]",
    namespace: Namespace,
    *,
    state: Literal["all", "open", "closed"] = "all",
    text: str | None = None,
    limit: int,
    cursor: str | None = None,
) -> IncidentList:
    """List a namespace's incidents; ``text`` is looked for in what was reported, and in the plans that answer."""
    at, incident_id = _place(cursor)
    rows = await pool.fetch(
        query("list_incidents"), statuses(namespace), state, text or None, at, incident_id, limit + 1
    )
    items = [IncidentLine(**{**row, "activations": json.loads(row["activations"])}) for row in rows[:limit]]
    last = items[-1] if len(rows) > limit else None
    following = None if last is None else write_cursor(last.reported_at.isoformat(), str(last.id))
    return IncidentList(items=items, next=following)


def _place(cursor: str | None) -> tuple[datetime | None, UUID | None]:
    if cursor is None:
        return None, None
    at, id_ = read_cursor(cursor, 2)
    try:
        moment, place = datetime.fromisoformat(at), UUID(id_)
    except ValueError:
        raise bad_cursor() from None
    if moment.tzinfo is None:
        raise bad_cursor()
    return moment, place


async def find_status(pool: "asyncpg.Pool[asyncpg.Record]", namespace: Namespace, incident_id: UUID) -> Status | None:
    """Say which status an incident has, decided or not yet; None when this namespace knows of none."""
    wanted = statuses(namespace)
    found = await pool.fetchval("SELECT status FROM incidents WHERE id = $1 AND status = ANY ($2)", incident_id, wanted)
    if found is None:
        row = await pool.fetchrow(_WAITING, incident_id, wanted, COMMAND)
        found = row["status"] if row else None
    return None if found is None else Status(found)


async def show_incident(
    pool: "asyncpg.Pool[asyncpg.Record]", namespace: Namespace, incident_id: UUID, *, as_of: datetime | None = None
) -> IncidentView | None:
    """Read one incident whole, now or as it was known then; None when this namespace knows, or knew, of none."""
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        if as_of is not None:
            known = await load_as_of(connection, incident_id, as_of)
            if known is None or Namespace.of(known.incident.status) is not namespace:
                return None
            return _view(known.incident, known.timeline[-TIMELINE_AT_MOST:], as_of)
        incident = (await load(connection, [incident_id])).get(incident_id)
        if incident is None:
            row = await connection.fetchrow(_WAITING, incident_id, statuses(namespace), COMMAND)
            return None if row is None else _waiting(incident_id, row)
        if Namespace.of(incident.status) is not namespace:
            return None
        newest = await connection.fetch(_TIMELINE, incident_id, TIMELINE_AT_MOST)
        return _view(incident, [entry_of(row) for row in newest])


def _waiting(incident_id: UUID, row: asyncpg.Record) -> IncidentView:
    report = None if row["value"] is None else IncidentReport.model_validate_json(row["value"])
    return IncidentView(
        id=incident_id,
        status=row["status"],
        phase=ACCEPTED,
        reported_at=row["received_at"] if report is None else report.reported_at,
        report=report,
    )


def _view(incident: Incident, timeline: Sequence[TimelineEntry], as_of: datetime | None = None) -> IncidentView:
    return IncidentView(
        id=incident.id,
        status=incident.status,
        phase=incident.phase,
        reported_at=incident.reported_at,
        cancelled=incident.cancelled,
        joined_to=incident.joined_to,
        closed_at=incident.closed_at,
        report=incident.report,
        activations=list(incident.activations.values()),
        assignments=list(incident.assignments.values()),
        obstacles=list(incident.obstacles.values()),
        timeline=list(timeline),
        as_of=as_of,
    )
