"""Simulating a plan over HTTP: asked for, followed while it runs, and its result read."""

import json
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import FastAPI, Path, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, ValidationError

from schemas.base import DEPARTMENT_PATTERN, Duration
from schemas.envelope import explain
from schemas.incident import IncidentReport
from schemas.plan import DirectoryDocument, PlanDocument
from schemas.vocabulary import Role, Status
from services.drills.http_shared import READ, WRITE, In, Reader, S, read_said
from services.drills.simulate import CONFIRM_AFTER
from services.drills.simulate_assumed import REPORTED_AT
from services.drills.simulate_worker import Job
from services.drills.simulations import BusyError, Simulation, Simulations, State
from services.platform.access.guard import allow
from services.platform.access.principal import Principal
from services.platform.described import json_body
from services.platform.postgres import Pool
from services.platform.problem import ProblemError, documented
from services.platform.report_in import ReportIn

RUNS_AT_MOST = 1_000
TRIED = UUID("00000000-0000-7000-8000-000000000000")
"""The id of an incident that is only tried; a fixed one, so that the same question has the same answer."""
_AGAIN_AFTER = 5
"""Seconds after which it may be tried again while another simulation runs."""

PlanId = Annotated[str, Path(pattern=DEPARTMENT_PATTERN, max_length=60)]
SimulationId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")]
Simulating = Annotated[Principal, allow(Role.PLANNER, Role.EVALUATOR, Role.DUTY_OFFICER)]


class SimulateIn(In):
    """What to simulate: a first report as for `POST /v1/incidents`, how many runs of the response, and from which seed.

    Of the report ``status``, ``message_type`` and ``reported_by`` may be left out; without ``reported_at`` it is taken
    in at a fixed time. ``confirm_after``: when a plan that doesn't activate itself is activated.
    """

    report: dict[str, Any]
    runs: Annotated[int, Field(ge=1, le=RUNS_AT_MOST)] = RUNS_AT_MOST
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 7
    confirm_after: Duration = CONFIRM_AFTER


class SimulationView(BaseModel):
    """How far a simulation is; ``result`` is what ``muster plan simulate --json`` gives, with ``curves`` besides.

    ``curves`` has for 1, 2, ... 100 % the seconds within which so many ended; null where these never did.
    """

    id: str
    plan: str
    version: int
    runs: int
    seed: int
    confirm_after: Duration
    report: IncidentReport
    asked_by: str
    asked_at: datetime
    state: State
    done: int
    reason: str | None
    result: dict[str, Any] | None


_ENDED: dict[int | str, dict[str, Any]] = {
    200: {"model": SimulationView, "description": "The same was asked before, and it has ended."}
}


def add_simulate(app: FastAPI, pool: Pool) -> Simulations:
    """Add the routes to the app of the plans; drain what is given back when the process stops."""
    simulations = Simulations()

    @app.post("/v1/plans/{plan}/simulate", operation_id="simulate_plan", status_code=202, response_model=SimulationView,
              openapi_extra=json_body(SimulateIn),
              responses=WRITE | documented(S.TOO_MANY_REQUESTS) | _ENDED)  # fmt: skip
    async def simulate(caller: Simulating, request: Request, plan: PlanId) -> Response:
        """Play the response to a report many times on a virtual clock; nothing is sent and nothing is stored.

        One simulation runs at a time in a process; the same question gives the same simulation, and the same bytes.
        It is forgotten when the process ends, and after many others.
        """
        said = await read_said(request, SimulateIn)
        job = await _job(pool, plan, said)
        try:
            asked = simulations.ask(job, caller.name)
        except BusyError:
            raise ProblemError(
                S.TOO_MANY_REQUESTS,
                "another simulation runs here; wait for its end, or stop it",
                kind="busy",
                headers={"Retry-After": str(_AGAIN_AFTER)},
            ) from None
        location = {"Location": f"/v1/plans/{plan}/simulations/{asked.id}"}
        return _answer(asked, S.ACCEPTED if asked.state is State.RUNNING else S.OK, location)

    @app.get("/v1/plans/{plan}/simulations/{simulation}", operation_id="show_simulation",
             response_model=SimulationView, responses=READ)  # fmt: skip
    async def show(_: Reader, plan: PlanId, simulation: SimulationId) -> Response:
        """Tell how far a simulation is, and its result when it has ended."""
        return _answer(_known(simulations, plan, simulation))

    @app.delete("/v1/plans/{plan}/simulations/{simulation}", operation_id="stop_simulation",
                response_model=SimulationView, responses=READ)  # fmt: skip
    async def stop(_: Simulating, plan: PlanId, simulation: SimulationId) -> Response:
        """Stop a simulation; one that has ended stays as it is."""
        found = _known(simulations, plan, simulation)
        await simulations.stop(found)
        return _answer(found)

    return simulations


def _known(simulations: Simulations, plan: str, simulation: str) -> Simulation:
    found = simulations.find(simulation)
    if found is None or found.job.plan != plan:
        raise ProblemError(
            S.NOT_FOUND, f"simulation {simulation}: is not remembered here; ask for it again", kind="unknown"
        )
    return found


async def _job(pool: Pool, plan: str, said: SimulateIn) -> Job:
    latest = await pool.fetchrow("SELECT plans, directory FROM publication ORDER BY id DESC LIMIT 1")
    if latest is None:
        raise ProblemError(S.NOT_FOUND, "no plans are published; run `muster plan publish`", kind="unpublished")
    rows = await pool.fetch("SELECT plan, document FROM plans WHERE digest = ANY ($1) ORDER BY plan", latest["plans"])
    if plan not in {row["plan"] for row in rows}:
        raise ProblemError(S.NOT_FOUND, f"plan {plan}: there is none; see GET /v1/plans", kind="unknown-plan")
    directory = await pool.fetchval("SELECT document FROM directories WHERE digest = $1", latest["directory"])
    return Job(
        plan=plan,
        plans=tuple(PlanDocument.model_validate_json(row["document"]) for row in rows),
        directory=DirectoryDocument.model_validate_json(directory),
        report=_report(said.report),
        runs=said.runs,
        seed=said.seed,
        confirm_after=said.confirm_after,
    )


def _report(fields: dict[str, Any]) -> IncidentReport:
    filled_in = {"status": Status.EXERCISE.value, "reported_by": "simulation"}
    try:
        said = ReportIn.model_validate({**filled_in, **fields, "message_type": "Alert", "incident_id": None})
        return said.report(TRIED, said.reported_at or REPORTED_AT)
    except ValidationError as error:
        raise ProblemError(S.UNPROCESSABLE_ENTITY, f"report: {explain(error)}", kind="invalid") from None


def _answer(simulation: Simulation, status: S = S.OK, headers: dict[str, str] | None = None) -> Response:
    job = simulation.job
    view = SimulationView(
        id=simulation.id,
        plan=job.plan,
        version=next(plan.version for plan in job.plans if plan.id == job.plan),
        runs=job.runs,
        seed=job.seed,
        confirm_after=job.confirm_after,
        report=job.report,
        asked_by=simulation.asked_by,
        asked_at=simulation.asked_at,
        state=simulation.state,
        done=simulation.done,
        reason=simulation.reason,
        result=simulation.result,
    )
    return JSONResponse(json.loads(view.model_dump_json()), status, {"Cache-Control": "no-store", **(headers or {})})
