"""Drills that start by themselves, over HTTP."""

from datetime import UTC, datetime, time
from typing import Annotated

from fastapi import FastAPI, Request, Response
from pydantic import Field

from schemas.base import Slug
from services.drills.http_models import Gone, ScheduleList, ScheduleView
from services.drills.http_scenarios import find_scenario
from services.drills.http_shared import (
    READ,
    WRITE,
    Backstage,
    In,
    Line,
    Planner,
    Reader,
    S,
    once,
    read_said,
    refusals,
)
from services.drills.schedule import Schedule, add_schedule, list_schedules, next_time, remove_schedule
from services.platform.described import json_body
from services.platform.problem import ProblemError


class ScheduleIn(In):
    """When a drill shall start by itself: every so many days at a local time, in real time.

    ``seed``: always this one; else another each time. ``name`` is the scenario's unless it is given.
    """

    scenario: Slug
    every_days: Annotated[int, Field(ge=1, le=3660)]
    at: Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$", description="Local time, like 02:40.")]
    timezone: Line = "UTC"
    name: Slug | None = None
    seed: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None


def add_schedules(app: FastAPI, backstage: Backstage) -> None:
    """Add schedules; before the paths with a drill's id."""
    pool = backstage.pool

    @app.get("/v1/drills/schedules", operation_id="list_drill_schedules", responses=READ)
    async def schedules(caller: Reader) -> ScheduleList:
        """List the schedules in force, the next first."""
        del caller
        return ScheduleList(items=[view_of(each) for each in await list_schedules(pool)])

    @app.post("/v1/drills/schedules", status_code=201, operation_id="schedule_drill", response_model=ScheduleView,
              responses=WRITE, openapi_extra=json_body(ScheduleIn, key=True))  # fmt: skip
    async def schedule(request: Request, caller: Planner) -> Response:
        """Have a drill start by itself, from the next time the clocks there show the time on."""
        said = await read_said(request, ScheduleIn)

        async def act() -> ScheduleView:
            file, _ = await find_scenario(backstage, said.scenario)
            at = time.fromisoformat(said.at)
            with refusals(S.UNPROCESSABLE_ENTITY):
                next_at = next_time(datetime.now(UTC), at, said.timezone)
            made = Schedule(
                said.name or said.scenario, said.scenario, file, said.every_days, at, said.timezone, next_at, said.seed
            )
            with refusals():
                await add_schedule(pool, made, caller.name)
            return view_of(made)

        return await once(backstage, request, caller, said, act, S.CREATED)

    @app.delete("/v1/drills/schedules/{name}", operation_id="remove_drill_schedule", response_model=Gone,
                responses=WRITE)  # fmt: skip
    async def remove(request: Request, name: Slug, caller: Planner) -> Response:
        """Take a schedule out of force."""
        gone = Gone(name=name)

        async def act() -> Gone:
            if name not in {each.name for each in await list_schedules(pool)}:
                detail = f"schedule {name}: there is none; see GET /v1/drills/schedules"
                raise ProblemError(S.NOT_FOUND, detail, kind="unknown")
            with refusals():
                await remove_schedule(pool, name)
            return gone

        return await once(backstage, request, caller, gone, act)


def view_of(schedule: Schedule) -> ScheduleView:
    """Tell a schedule without where its file lies."""
    return ScheduleView(
        name=schedule.name,
        drill=schedule.drill,
        every_days=schedule.every_days,
        at=f"{schedule.at:%H:%M}",
        timezone=schedule.timezone,
        seed=schedule.seed,
        next_at=schedule.next_at,
        last_at=schedule.last_at,
        last_outcome=schedule.last_outcome,
    )
