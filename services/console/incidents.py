"""One incident over HTTP, beyond what intake tells: its reports as they came, timeline, curves, plans and decisions."""

from collections.abc import AsyncIterator
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import FastAPI, Query, Request, Response
from fastapi.responses import StreamingResponse

from schemas.base import Id, Slug, Time
from schemas.timeline import Entry
from services.console.curves import Curves, curves_of
from services.console.incident_record import (
    COLUMNS,
    DecisionView,
    PlansInForce,
    ReportPage,
    ReportView,
    TimelinePage,
    Wanted,
    csv_rows,
    plan_in_force,
    read_decision,
    read_report,
    read_reports,
    read_timeline,
    read_whole_timeline,
)
from services.console.world import World
from services.domain.incident import Incident
from services.platform.access.guard import allow
from services.platform.access.involvement import may_see
from services.platform.access.principal import Principal
from services.platform.asof import load_as_of
from services.platform.decider import statuses
from services.platform.etag import with_etag
from services.platform.problem import ProblemError, documented
from services.platform.records import load

_S = HTTPStatus
_GUARDED = (_S.UNAUTHORIZED, _S.FORBIDDEN, _S.NOT_FOUND, _S.UNPROCESSABLE_ENTITY)
_SAME: dict[int | str, dict[str, Any]] = {304: {"description": "It is what the caller has."}}
_TABLE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/csv": {}}, "description": "RFC 4180, in UTF-8 with a mark."}
}
_BYTES: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/octet-stream": {}}, "description": "Byte for byte."}
}
_HARMLESS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Cache-Control": "private, no-store",
}
"""Headers of bytes that somebody sent us: a browser must never run them as ours."""

Caller = Annotated[Principal, allow()]
Cursor = Annotated[str | None, Query(max_length=500)]
Kinds = Annotated[list[Entry] | None, Query(description="Only these entries; may be given more than once.")]
Words = Annotated[
    str | None, Query(max_length=200, pattern=r"^[^\x00]*$", description="Only entries that hold this text.")
]


def add_incidents_api(app: FastAPI, world: World) -> None:
    """Add the routes to a namespace's app.

    Staff read every incident; a department's member reads those in which the department was given an order.
    """
    readers = _Readers(world)
    _add_timeline(app, readers)
    _add_reports(app, readers)
    _add_state(app, readers)


class _Readers:
    """Looks incidents up for those who may read them."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def check(self, caller: Principal, incident_id: UUID) -> None:
        """Raise `ProblemError` (404) where there is no such incident, or none that the caller may see."""
        known = await self.world.pool.fetchval(
            "SELECT EXISTS (SELECT FROM incidents WHERE id = $1 AND status = ANY ($2)) OR"
            " EXISTS (SELECT FROM reports WHERE incident_id = $1 AND status = ANY ($2))",
            incident_id,
            statuses(self.world.namespace),
        )
        if not known or not await may_see(self.world.pool, caller, incident_id):
            raise self.unknown(incident_id)

    async def incident(self, caller: Principal, incident_id: UUID, as_of: datetime | None) -> Incident:
        """Read an incident that has been decided about, now or as it was known then."""
        await self.check(caller, incident_id)
        async with (
            self.world.pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            if as_of is None:
                found = (await load(connection, [incident_id])).get(incident_id)
            else:
                known = await load_as_of(connection, incident_id, as_of)
                found = known.incident if known else None
        if found is None:
            raise self.unknown(incident_id, "nothing was known of it then" if as_of else "it is not decided about yet")
        return found

    def unknown(self, incident_id: UUID, why: str = "there is none") -> ProblemError:
        """Say that there is nothing to read."""
        detail = f"incident {incident_id}: {why} in the {self.world.namespace.value} namespace; see GET /v1/incidents"
        return ProblemError(_S.NOT_FOUND, detail, kind="unknown-incident")


def _add_timeline(app: FastAPI, readers: _Readers) -> None:
    pool, namespace = readers.world.pool, readers.world.namespace

    @app.get("/v1/incidents/{incident_id}/timeline", operation_id="list_timeline", responses=documented(*_GUARDED))
    async def timeline(
        incident_id: Id,
        caller: Caller,
        entry: Kinds = None,
        department: Slug | None = None,
        attention: bool = False,
        q: Words = None,
        as_of: Time | None = None,
        limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
        cursor: Cursor = None,
    ) -> TimelinePage:
        """List the timeline, newest first, narrowed to kinds, a department, a text, or what needs attention."""
        await readers.check(caller, incident_id)
        wanted = Wanted(kinds=tuple(entry or ()), department=department, attention=attention, text=q, until=as_of)
        return await read_timeline(pool, namespace, incident_id, wanted, limit=limit, cursor=cursor)

    @app.get("/v1/incidents/{incident_id}/timeline.csv", operation_id="export_timeline", response_class=Response,
             responses=_TABLE | documented(*_GUARDED))  # fmt: skip
    async def export(
        incident_id: Id,
        caller: Caller,
        entry: Kinds = None,
        department: Slug | None = None,
        attention: bool = False,
        q: Words = None,
        as_of: Time | None = None,
    ) -> StreamingResponse:
        """Give the whole timeline as a table for a spreadsheet, newest first, narrowed as the list is."""
        await readers.check(caller, incident_id)
        wanted = Wanted(kinds=tuple(entry or ()), department=department, attention=attention, text=q, until=as_of)

        async def table() -> AsyncIterator[str]:
            yield "\ufeff" + ",".join(COLUMNS) + "\r\n"
            async for batch in read_whole_timeline(pool, namespace, incident_id, wanted):
                yield csv_rows(batch)

        name = {"Content-Disposition": f'attachment; filename="timeline-{incident_id}.csv"'}
        return StreamingResponse(table(), media_type="text/csv; charset=utf-8", headers=name | _HARMLESS)


def _add_reports(app: FastAPI, readers: _Readers) -> None:
    pool, namespace = readers.world.pool, readers.world.namespace

    async def found(caller: Principal, incident_id: UUID, event_id: UUID) -> tuple[ReportView, bytes, str]:
        await readers.check(caller, incident_id)
        report = await read_report(pool, namespace, incident_id, event_id)
        if report is None:
            raise ProblemError(_S.NOT_FOUND, f"incident {incident_id}: has no report {event_id}", kind="unknown-report")
        return report

    @app.get("/v1/incidents/{incident_id}/reports", operation_id="list_reports", responses=documented(*_GUARDED))
    async def reports(
        incident_id: Id, caller: Caller, limit: Annotated[int, Query(ge=1, le=200)] = 50, cursor: Cursor = None
    ) -> ReportPage:
        """List what was reported about the incident, in the order it came in, and what was decided about each."""
        await readers.check(caller, incident_id)
        return await read_reports(pool, namespace, incident_id, limit=limit, cursor=cursor)

    @app.get("/v1/incidents/{incident_id}/reports/{event_id}", operation_id="show_report",
             response_model=ReportView, responses=documented(*_GUARDED) | _SAME)  # fmt: skip
    async def report(incident_id: Id, event_id: Id, request: Request, caller: Caller) -> Response:
        """Show one report with its text as it came in."""
        return with_etag(request, (await found(caller, incident_id, event_id))[0])

    @app.get("/v1/incidents/{incident_id}/reports/{event_id}/original", operation_id="download_report",
             response_class=Response,
             responses=_BYTES | documented(*_GUARDED))  # fmt: skip
    async def original(incident_id: Id, event_id: Id, caller: Caller) -> Response:
        """Give one report's bytes exactly as they came in, as a file."""
        view, body, content_type = await found(caller, incident_id, event_id)
        suffix = "xml" if view.format == "cap" else "json"
        name = {"Content-Disposition": f'attachment; filename="report-{event_id}.{suffix}"'}
        return Response(body, media_type=content_type, headers=name | _HARMLESS)


def _add_state(app: FastAPI, readers: _Readers) -> None:
    world = readers.world

    @app.get("/v1/incidents/{incident_id}/curves", operation_id="show_curves", responses=documented(*_GUARDED))
    async def curves(incident_id: Id, caller: Caller, as_of: Time | None = None) -> Curves:
        """Give the response curves: how many orders had been received, seen, taken on, started, completed when."""
        incident = await readers.incident(caller, incident_id, as_of)
        return curves_of(incident.assignments.values(), as_of or incident.closed_at or world.clock.now())

    @app.get("/v1/incidents/{incident_id}/plans", operation_id="show_incident_plans", response_model=PlansInForce,
             responses=documented(*_GUARDED) | _SAME)  # fmt: skip
    async def plans(incident_id: Id, request: Request, caller: Caller, as_of: Time | None = None) -> Response:
        """Show the wording that each activation obeys, with the tasks that were added to it."""
        incident = await readers.incident(caller, incident_id, as_of)
        activations = incident.activations.values()
        playbook = await world.playbook.current({activation.digest for activation in activations})
        told = [plan_in_force(activation, playbook.frozen[activation.digest]) for activation in activations]
        return with_etag(request, PlansInForce(items=told))

    @app.get("/v1/incidents/{incident_id}/decisions/{event_id}", operation_id="show_decision",
             responses=documented(*_GUARDED))  # fmt: skip
    async def decision(incident_id: Id, event_id: Id, caller: Caller) -> DecisionView:
        """Say what was decided about one report, command or answer; 404 while it waits."""
        await readers.check(caller, incident_id)
        found = await read_decision(world.pool, world.namespace, incident_id, event_id)
        if found is None:
            raise ProblemError(
                _S.NOT_FOUND, f"event {event_id}: nothing is decided about it yet; ask again", kind="not-decided"
            )
        return found
