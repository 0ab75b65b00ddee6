"""The way in over HTTP: reports, CAP alerts and duty officers' decisions, and a minimal read of what became of them.

Sources: RFC 9110 (status codes), RFC 9457 (problem documents), draft-ietf-httpapi-idempotency-key-header-07. That
draft answers a key used for another body with 422; here it is 409, as 422 means a body that can't be taken.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal
from uuid import UUID

import asyncpg
from fastapi import FastAPI, Query, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, Counter, generate_latest
from pydantic import BaseModel, ValidationError

from schemas.base import Id, Time
from schemas.envelope import explain
from schemas.vocabulary import Role
from services.intake.accept import Intake
from services.intake.cap import parse_cap
from services.intake.cap_error import CapError
from services.intake.commands_in import read_command
from services.intake.letters import keep
from services.intake.openapi import cap_body, command_body, describe, feed_body, report_body
from services.intake.view import IncidentList, IncidentView, find_status, list_incidents, show_incident
from services.platform import acceptance
from services.platform.acceptance import Accepted, ConflictError, InvalidError
from services.platform.access.asking import Access
from services.platform.access.feeds import Call, Feeds, signed
from services.platform.access.guard import allow, everyone
from services.platform.access.involvement import may_see
from services.platform.access.principal import STAFF, Principal
from services.platform.backlog import Backlog
from services.platform.body import JSON, XML, read_body, read_key
from services.platform.postgres import TRANSIENT
from services.platform.problem import ProblemError, documented
from services.platform.problem_answers import add_problems
from services.platform.report_in import ReportIn
from services.platform.strict_json import MalformedError, read_object

DATABASE_WITHIN = 2.0
"""Seconds within which the database must answer for intake to be ready."""
REPORTS = Counter(
    "muster_intake_requests_total", "Reports and commands that came in over HTTP.", ["namespace", "origin", "outcome"]
)
COMMANDED = "http:/v1/incidents/commands"
"""The way in of decisions, as it is counted: without the incident's id."""
FED = "http:/v1/feeds"
"""The way in of feeds, as it is counted."""
Reporter = Annotated[Principal, allow(Role.DUTY_OFFICER, reporting=True)]

_S = HTTPStatus
_TAKEN: dict[int | str, dict[str, Any]] = documented(
    _S.BAD_REQUEST,
    _S.UNAUTHORIZED,
    _S.FORBIDDEN,
    _S.CONFLICT,
    _S.REQUEST_ENTITY_TOO_LARGE,
    _S.UNSUPPORTED_MEDIA_TYPE,
    _S.UNPROCESSABLE_ENTITY,
    _S.TOO_MANY_REQUESTS,
)


class Answer(BaseModel):
    """What a report or command came to: ``repeated`` tells that it was accepted before."""

    incident_id: UUID
    event_id: UUID
    repeated: bool


class Health(BaseModel):
    """Whether the process lives, or is ready; ``checks`` names what readiness hangs on."""

    ok: bool
    checks: dict[str, bool] = {}


def make_app(
    intake: Intake,
    pool: "asyncpg.Pool[asyncpg.Record]",
    readiness: Callable[[], Mapping[str, bool]],
    access: Access,
    *,
    feeds: Feeds | None = None,
    backlog: Backlog | None = None,
    version: str = "0.1.0",
) -> FastAPI:
    """Make the application. ``readiness`` names the process's own conditions; the database is asked besides.

    ``access`` says who asks and puts on the audit what was accepted; ``feeds`` are those that sign what they push.
    While too much waits by ``backlog``, reports are turned away.

    When it stops it waits for what is being published, so stop it before the broker and the pool.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await intake.drain()

    app = FastAPI(
        lifespan=lifespan,
        title="Muster intake",
        version=version,
        description=f"Reports, alerts and decisions of the {intake.namespace.value} namespace.",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        separate_input_output_schemas=False,
    )
    app.state.access = access
    app.state.namespace = intake.namespace
    app.state.feeds = feeds or Feeds()
    add_problems(app)
    _add_intake(app, intake, pool, access, backlog)
    _add_reading(app, intake, pool)
    _add_health(app, pool, readiness)
    describe(app)
    return app


def _add_intake(
    app: FastAPI, intake: Intake, pool: "asyncpg.Pool[asyncpg.Record]", access: Access, backlog: Backlog | None
) -> None:
    repeated = {"model": Answer, "description": "It was accepted before; this is the answer given then."}
    responses: dict[int | str, dict[str, Any]] = {200: repeated, **_TAKEN}

    async def report(told: acceptance.Request, read: Callable[[Intake, bytes], ReportIn]) -> Accepted:
        return await _report(intake, pool, told, read, backlog)

    async def noted(request: Request, caller: Principal, accepted: Accepted, action: str, **detail: str) -> None:
        incident = str(accepted.incident_id)
        outcome = "repeated" if accepted.repeated else "done"
        world = intake.namespace.value
        await access.note(caller, action, incident, outcome=outcome, request=request, world=world, **detail)

    @app.post("/v1/incidents", status_code=202, response_model=Answer, responses=responses,
              openapi_extra=report_body(), operation_id="report_incident")  # fmt: skip
    async def report_incident(request: Request, caller: Reporter) -> Response:
        """Report an incident, an update or a cancellation, as JSON."""
        accepted = await report(await _read(request, JSON), _from_json)
        await noted(request, caller, accepted, "incident.report", form="json")
        return _taken(intake, f"http:{request.url.path}", accepted)

    @app.post("/v1/cap", status_code=202, response_model=Answer, responses=responses,
              openapi_extra=cap_body(), operation_id="report_cap")  # fmt: skip
    async def report_cap(request: Request, caller: Reporter) -> Response:
        """Report an incident, an update or a cancellation, as a CAP alert."""
        told = await _read(request, XML)
        if told.idempotency_key is None:
            told = replace(told, idempotency_key=hashlib.sha256(told.body).hexdigest())
        accepted = await report(told, _from_cap)
        await noted(request, caller, accepted, "incident.report", form="cap")
        return _taken(intake, f"http:{request.url.path}", accepted)

    @app.post("/v1/feeds/{feed}", status_code=202, response_model=Answer, responses=responses,
              openapi_extra=feed_body(), operation_id="report_by_feed")  # fmt: skip
    async def report_by_feed(request: Request, call: Annotated[Call, signed()]) -> Response:
        """Report as a feed does that signs its calls (Standard Webhooks 1.0.0), as JSON or as a CAP alert."""
        told = acceptance.Request(f"http:{request.url.path}", call.key, call.content_type, call.body)
        is_json = call.content_type.partition(";")[0].strip().lower() in JSON
        accepted = await report(told, _from_json if is_json else _from_cap)
        await noted(request, call.caller, accepted, "incident.report", form="json" if is_json else "cap")
        return _taken(intake, FED, accepted)

    @app.post("/v1/incidents/{incident_id}/commands", status_code=202, response_model=Answer,
              responses=responses | documented(_S.NOT_FOUND), openapi_extra=command_body(),
              operation_id="command_incident")  # fmt: skip
    async def command_incident(
        incident_id: Id, request: Request, caller: Annotated[Principal, allow(Role.DUTY_OFFICER)]
    ) -> Response:
        """Decide something about an incident, as its duty officer; ``by`` is who asks, whatever the body says."""
        accepted, command = await _command(intake, pool, request, incident_id, caller.name)
        await noted(request, caller, accepted, "incident.command", command=command)
        return _taken(intake, COMMANDED, accepted)


def _add_reading(app: FastAPI, intake: Intake, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
    @app.get("/v1/incidents", responses=documented(_S.UNAUTHORIZED, _S.FORBIDDEN, _S.UNPROCESSABLE_ENTITY),
             operation_id="list_incidents", dependencies=[allow(*STAFF)])  # fmt: skip
    async def incidents(
        state: Literal["all", "open", "closed"] = "all",
        q: Annotated[str | None, Query(max_length=200, pattern=r"^[^\x00]*$")] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
        cursor: Annotated[str | None, Query(max_length=500)] = None,
    ) -> IncidentList:
        """List incidents, latest report first; ``q`` is a text in what was reported or in a plan's name."""
        return await list_incidents(pool, intake.namespace, state=state, text=q, limit=limit, cursor=cursor)

    @app.get("/v1/incidents/{incident_id}", operation_id="show_incident",
             responses=documented(_S.UNAUTHORIZED, _S.FORBIDDEN, _S.NOT_FOUND, _S.UNPROCESSABLE_ENTITY))  # fmt: skip
    async def incident(
        incident_id: Id, caller: Annotated[Principal, allow(*Role)], as_of: Time | None = None
    ) -> IncidentView:
        """Show one incident: its report, activations, assignments with their times, obstacles and timeline.

        A department's member sees those that its department has an order in.
        ``as_of``: as it was known then. The time carries its offset (``2026-06-01T08:05:00Z``; ``+`` is ``%2B``).
        """
        found = await show_incident(pool, intake.namespace, incident_id, as_of=as_of)
        if found is None or not await may_see(pool, caller, incident_id):
            raise _unknown(incident_id, intake, as_of)
        return found


def _add_health(
    app: FastAPI, pool: "asyncpg.Pool[asyncpg.Record]", readiness: Callable[[], Mapping[str, bool]]
) -> None:
    @app.get("/health/live", operation_id="live", dependencies=[everyone()])
    async def live() -> Health:
        """Say that the process runs."""
        return Health(ok=True)

    @app.get("/health/ready", operation_id="ready", response_model=Health, dependencies=[everyone()],
             responses={503: {"model": Health, "description": "Not ready; the checks say why."}})  # fmt: skip
    async def ready() -> Response:
        """Say whether reports can be taken in now."""
        checks = {**readiness(), "database": await _answers(pool)}
        health = Health(ok=all(checks.values()), checks=checks)
        return JSONResponse(health.model_dump(), 200 if health.ok else 503)

    @app.get("/metrics", operation_id="metrics", response_class=Response, dependencies=[everyone()],
             responses={200: {"content": {"text/plain": {}}, "description": "Prometheus text format."}})  # fmt: skip
    async def metrics() -> Response:
        """Give the process's counters to Prometheus."""
        return Response(generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})


async def _answers(pool: "asyncpg.Pool[asyncpg.Record]") -> bool:
    try:
        async with asyncio.timeout(DATABASE_WITHIN):
            await pool.fetchval("SELECT 1")
    except (asyncpg.PostgresError, *TRANSIENT):
        return False
    return True


async def _read(request: Request, media_types: tuple[str, ...]) -> acceptance.Request:
    key = read_key(request)
    content_type, body = await read_body(request, media_types)
    return acceptance.Request(f"http:{request.url.path}", key, content_type, body)


async def _report(
    intake: Intake,
    pool: "asyncpg.Pool[asyncpg.Record]",
    told: acceptance.Request,
    read: Callable[[Intake, bytes], ReportIn],
    backlog: Backlog | None,
) -> Accepted:
    try:
        found = read(intake, told.body)
        if backlog is not None:
            backlog.check(found.severity, found.message_type)
        return await intake.accept(
            found,
            origin=told.origin,
            idempotency_key=told.idempotency_key,
            content_type=told.content_type,
            body=told.body,
        )
    except ConflictError as error:
        raise _refused(intake, told.origin, _S.CONFLICT, error) from None
    except (CapError, MalformedError, InvalidError) as error:
        key = told.idempotency_key
        headers = {"content-type": told.content_type} | ({"idempotency-key": key} if key else {})
        letter = await keep(
            pool, intake.namespace, origin=told.origin, body=told.body, headers=headers, reason=str(error)
        )
        raise _refused(intake, told.origin, _status_of(error), error, letter) from None


def _from_json(intake: Intake, body: bytes) -> ReportIn:
    del intake
    try:
        return ReportIn.model_validate(read_object(body))
    except ValidationError as error:
        raise InvalidError(explain(error)) from None


def _from_cap(intake: Intake, body: bytes) -> ReportIn:
    return parse_cap(body, reported_at=intake.clock.now())


async def _command(
    intake: Intake, pool: "asyncpg.Pool[asyncpg.Record]", request: Request, incident_id: UUID, by: str
) -> tuple[Accepted, str]:
    origin = COMMANDED
    key = read_key(request)
    content_type, body = await read_body(request, JSON)
    try:
        command = read_command(read_object(body), incident_id, by, intake.clock.now())
        known = await find_status(pool, intake.namespace, incident_id)
        if known is None:
            raise _unknown(incident_id, intake)
        if known is not command.status:
            raise InvalidError(f"status: the incident's is {known.value}, the command says {command.status.value}")
        accepted = await intake.command(
            command,
            origin=f"http:/v1/incidents/{incident_id}/commands",
            idempotency_key=key,
            content_type=content_type,
            body=body,
        )
    except (ConflictError, MalformedError, InvalidError) as error:
        raise _refused(intake, origin, _status_of(error), error) from None
    return accepted, command.action


def _status_of(error: Exception) -> HTTPStatus:
    if isinstance(error, ConflictError):
        return _S.CONFLICT
    if isinstance(error, MalformedError) or (isinstance(error, CapError) and error.malformed):
        return _S.BAD_REQUEST
    return _S.UNPROCESSABLE_ENTITY


_KINDS = {_S.CONFLICT: "conflict", _S.BAD_REQUEST: "malformed", _S.UNPROCESSABLE_ENTITY: "invalid"}


def _refused(
    intake: Intake, origin: str, status: HTTPStatus, error: Exception, letter: UUID | None = None
) -> ProblemError:
    REPORTS.labels(intake.namespace.value, origin, _KINDS[status]).inc()
    return ProblemError(status, str(error), kind=_KINDS[status], dead_letter=letter)


def _unknown(incident_id: UUID, intake: Intake, as_of: datetime | None = None) -> ProblemError:
    none = "there is none" if as_of is None else f"nothing was known of it at {as_of.isoformat()}"
    detail = f"incident {incident_id}: {none} in the {intake.namespace.value} namespace; see GET /v1/incidents"
    return ProblemError(_S.NOT_FOUND, detail, kind="unknown-incident")


def _taken(intake: Intake, origin: str, accepted: Accepted) -> Response:
    REPORTS.labels(intake.namespace.value, origin, "repeated" if accepted.repeated else "accepted").inc()
    answer = Answer(incident_id=accepted.incident_id, event_id=accepted.event_id, repeated=accepted.repeated)
    location = {"Location": f"/v1/incidents/{accepted.incident_id}"}
    return JSONResponse(answer.model_dump(mode="json"), 200 if accepted.repeated else 202, location)
