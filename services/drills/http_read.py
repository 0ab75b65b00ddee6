"""Reading drills over HTTP: the list, and one drill whole, as the control room and a past one's page show it."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
from fastapi import FastAPI, Request, Response
from pydantic import TypeAdapter

from schemas.base import Text, Time
from schemas.drill import InjectRule
from services.drills.http_models import (
    ClockView,
    ControlView,
    DepartmentView,
    DrillLine,
    DrillPage,
    DrillState,
    DrillView,
    Expected,
    IncidentLine,
    InjectState,
    InjectView,
    ObjectiveView,
    PauseView,
)
from services.drills.http_shared import READ, Backstage, Cursor, DrillId, Limit, Reader, unknown
from services.drills.ratings import Rated, latest
from services.drills.record import DrillRow, read_drill, sql
from services.drills.starting import STARTS_WITHIN
from services.drills.titles import read_titles
from services.platform.cursor import bad_cursor, read_cursor, write_cursor
from services.platform.etag import with_etag
from services.platform.postgres import Connection, Pool
from services.platform.precedence import real_incidents_during

_MOMENT: TypeAdapter[datetime] = TypeAdapter(Time)
_GOES_ON = frozenset({DrillState.HELD, DrillState.RUNNING, DrillState.PAUSED})
_UNCHANGED: dict[int | str, dict[str, Any]] = {304: {"description": "It is what the caller has."}}


def add_listing(app: FastAPI, backstage: Backstage) -> None:
    """Add the list of drills."""

    @app.get("/v1/drills", operation_id="list_drills", responses=READ)
    async def drills(caller: Reader, limit: Limit = 50, cursor: Cursor = None) -> DrillPage:
        """List the drills on record and those that are being started, the latest first."""
        del caller
        at, id_ = _place(cursor)
        rows = await backstage.pool.fetch(sql("drills_page"), at, id_, None, limit + 1, STARTS_WITHIN)
        items = [DrillLine(**line_of(row)) for row in rows[:limit]]
        more = len(rows) > limit
        return DrillPage(
            items=items, next=write_cursor(items[-1].started_at.isoformat(), str(items[-1].id)) if more else None
        )


def add_reading(app: FastAPI, backstage: Backstage) -> None:
    """Add one drill; after all the paths that its id could be mistaken for."""

    @app.get("/v1/drills/{drill_id}", operation_id="show_drill", response_model=DrillView, responses=READ | _UNCHANGED)
    async def drill(request: Request, drill_id: DrillId, caller: Reader) -> Response:
        """Show a drill: its clock, injects and what came of them, how its departments stand, pauses, what was asked."""
        del caller
        found = await backstage.pool.fetchrow(sql("drills_page"), None, None, drill_id, 1, STARTS_WITHIN)
        if found is None:
            raise unknown(drill_id)
        line = line_of(found)
        view = await show(backstage.pool, line) if found["begun"] else DrillView(**line)
        return with_etag(request, view)


def _place(cursor: str | None) -> tuple[datetime | None, UUID | None]:
    if cursor is None:
        return None, None
    at, id_ = read_cursor(cursor, 2)
    try:
        return _MOMENT.validate_python(at), UUID(id_)
    except ValueError:
        raise bad_cursor() from None


def line_of(row: asyncpg.Record) -> dict[str, Any]:
    """Read what a list says of a drill from a row of ``drills_page``."""
    names = set(DrillLine.model_fields) - {"title", "state"}
    return {name: row[name] for name in names} | {"title": json.loads(row["title"]), "state": state_of(row)}


def state_of(row: asyncpg.Record) -> DrillState:
    """Say where a drill stands."""
    if not row["begun"]:
        return DrillState.STARTING if row["alive"] else DrillState.NOT_STARTED
    if row["ended_at"] is not None:
        return DrillState.OVER
    if not row["alive"]:
        return DrillState.BROKEN
    if row["still"]:
        return DrillState.PAUSED if row["let_go"] else DrillState.HELD
    return DrillState.RUNNING


async def show(pool: Pool, line: Mapping[str, Any]) -> DrillView:
    """Read everything about a drill that has begun, on one snapshot."""
    drill = await read_drill(pool, line["id"])
    state, ids, until = line["state"], list(drill.incident_ids), drill.ended_at or drill.clock.now()
    real = drill.real_incidents
    if state in _GOES_ON:
        real = (await real_incidents_during(pool, drill.clock_start, datetime.now(UTC))).count
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        injects = {row["inject"]: dict(row) for row in await connection.fetch(sql("drill_injects"), drill.id)}
        rated = latest(dict(row) for row in await connection.fetch(sql("drill_ratings"), drill.id))
        document = drill.document
        return DrillView(
            **line,
            purpose=document.purpose,
            kind=document.kind,
            announced=document.announced,
            duty_officer=document.duty_officer,
            plans=list(document.plans),
            clock=_clock(drill, until),
            seats=dict(drill.seats),
            objectives=[_objective(rule.id, rule.title, rated.get(rule.id)) for rule in document.objectives],
            injects=[_inject(rule, injects, drill, state) for rule in document.injects],
            departments=await _departments(connection, drill, ids, until),
            opened=[
                IncidentLine(**{**row, "plans": json.loads(row["plans"])})
                for row in await connection.fetch(sql("drill_incidents"), ids, drill.id)
            ],
            pauses=[PauseView(**row) for row in await connection.fetch(sql("drill_pauses"), drill.id)],
            controls=[ControlView(**row) for row in await connection.fetch(sql("drill_controls"), drill.id)],
            real_incidents=real,
        )


def _clock(drill: DrillRow, until: datetime) -> ClockView:
    return ClockView(
        start=drill.clock_start,
        now=None if drill.ended_at else until,
        elapsed=max(0.0, (until - drill.started_at).total_seconds()),
        duration=drill.document.duration.total_seconds(),
        speed=drill.speed,
        paused=drill.clock.is_paused and drill.ended_at is None,
    )


def _objective(id_: str, title: Text, rated: Rated | None) -> ObjectiveView:
    if rated is None:
        return ObjectiveView(id=id_, title=title)
    return ObjectiveView(id=id_, title=title, rating=rated.rating, notes=rated.notes, by=rated.by)


async def _departments(
    connection: Connection, drill: DrillRow, ids: list[UUID], until: datetime
) -> list[DepartmentView]:
    titles = await read_titles(connection, drill.id, {})
    rows = await connection.fetch(sql("drill_departments"), ids, until)
    return [
        DepartmentView(
            id=row["department"],
            title=titles.department(row["department"]),
            seat=drill.seats.get(row["department"]),
            **{name: value for name, value in row.items() if name != "department"},
        )
        for row in rows
    ]


def _inject(
    rule: InjectRule, played: Mapping[str, Mapping[str, Any]], drill: DrillRow, state: DrillState
) -> InjectView:
    row = played.get(rule.id)
    is_open = rule.of is None or rule.of in played
    seen = {
        "id": rule.id,
        "kind": rule.kind,
        "title": rule.title,
        "expectation": rule.expectation,
        "at": rule.at.total_seconds(),
        "within": rule.within.total_seconds() if rule.within is not None else None,
        "of": rule.of,
        "expected": _expected(rule, row, state),
    }
    if row is None:
        at = _waits(rule, state, is_open=is_open)
        return InjectView(**seen, state=at, can_be_played=is_open and state is DrillState.RUNNING)
    return InjectView(
        **seen,
        state=InjectState.PLAYED,
        can_be_played=False,
        played_at=row["played_at"],
        played_after=(row["played_at"] - drill.started_at).total_seconds(),
        released_by=row["released_by"],
        outcome=row["outcome"],
        because=row["rated_because"],
        detail=json.loads(row["detail"]),
    )


def _waits(rule: InjectRule, state: DrillState, *, is_open: bool) -> InjectState:
    if state not in _GOES_ON:
        return InjectState.NOT_PLAYED
    if not is_open:
        return InjectState.HELD_UP
    if rule.manual:
        return InjectState.WAITS_FOR_PERSON
    return InjectState.WAITS_FOR_CONDITION if rule.when is not None else InjectState.TO_COME


def _expected(rule: InjectRule, row: Mapping[str, Any] | None, state: DrillState) -> Expected:
    if row is not None and row["rating"] is not None:
        return Expected(row["rating"])
    if rule.met_when is None:
        return Expected.EVALUATOR
    if row is None:
        return Expected.TO_COME if state in _GOES_ON else Expected.NOT_OBSERVED
    return Expected.OPEN if state in _GOES_ON else Expected.NOT_OBSERVED
