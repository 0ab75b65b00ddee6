"""Running drills over HTTP: starting one, and what a controller asks of the one under way."""

import secrets
from typing import Annotated

from fastapi import FastAPI, Request, Response
from pydantic import Field, model_validator

from schemas.base import Slug
from schemas.drill import MAX_SPEED
from services.drills.control import Action, ask
from services.drills.http_models import Controlled, Started
from services.drills.http_scenarios import find_scenario, killed
from services.drills.http_shared import (
    WRITE,
    Backstage,
    DrillId,
    In,
    Line,
    Planner,
    S,
    known,
    once,
    read_said,
    refusals,
)
from services.drills.starting import start
from services.platform.described import json_body
from services.platform.problem import ProblemError

_SEEDS = 1_000_000


class StartIn(In):
    """Which drill to start and how. Without ``speed`` as the scenario says; without ``seed`` by chance.

    ``announced``: whether the players know of it; else as the scenario says. ``hold``: the clock stands still at
    STARTEX until somebody starts it.
    """

    scenario: Slug
    speed: Annotated[float, Field(ge=1, le=MAX_SPEED)] | None = None
    seed: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None
    announced: bool | None = None
    hold: bool = False


class ControlIn(In):
    """What to do. ``inject`` names the one to play and goes with nothing else; stopping and pausing need a reason."""

    action: Action
    inject: Slug | None = None
    reason: Line | None = None

    @model_validator(mode="after")
    def _fits(self) -> "ControlIn":
        if (self.action is Action.INJECT) != (self.inject is not None):
            raise ValueError("inject: names the one to play; give it with the action `inject`, and only there")
        if self.action in {Action.STOP, Action.PAUSE} and self.reason is None:
            raise ValueError(f"reason: say why the drill shall {self.action.value}")
        return self


def add_control(app: FastAPI, backstage: Backstage) -> None:
    """Add starting and controlling."""

    @app.post("/v1/drills", status_code=202, operation_id="start_drill", response_model=Started, responses=WRITE,
              openapi_extra=json_body(StartIn, key=True))  # fmt: skip
    async def start_drill(request: Request, caller: Planner) -> Response:
        """Start a drill in a process of its own, on the services that run here; they take on its clock."""
        said = await read_said(request, StartIn)

        async def act() -> Started:
            launcher = backstage.launcher
            if launcher is None:
                raise ProblemError(
                    S.CONFLICT, "drills can't be started from here; use `muster drill run`", kind="refused"
                )
            file, scenario = await find_scenario(backstage, said.scenario)
            if kills := killed(scenario):
                raise ProblemError(
                    S.CONFLICT,
                    f"scenario {said.scenario}: kills {', '.join(kills)}, and others use it here; run it on servers of"
                    f" its own with `muster drill run {file.name}`",
                    kind="refused",
                )
            with refusals():
                drill_id = await start(
                    backstage.pool,
                    launcher,
                    file,
                    scenario.document,
                    seed=said.seed if said.seed is not None else 1 + secrets.randbelow(_SEEDS),
                    speed=said.speed if said.speed is not None else float(scenario.document.speed),
                    announced=said.announced,
                    hold=said.hold,
                    by=caller.name,
                )
            return Started(id=drill_id)

        return await once(backstage, request, caller, said, act, S.ACCEPTED)

    @app.post("/v1/drills/{drill_id}/controls", operation_id="control_drill", response_model=Controlled,
              responses=WRITE, openapi_extra=json_body(ControlIn, key=True))  # fmt: skip
    async def control(request: Request, drill_id: DrillId, caller: Planner) -> Response:
        """Start a drill that is held, pause it, let it go on, end it, or play one of its injects."""
        said = await read_said(request, ControlIn)
        drill = await known(backstage.pool, drill_id)

        async def act() -> Controlled:
            if drill.ended_at is not None:
                raise ProblemError(S.CONFLICT, f"drill {drill_id}: it is over", kind="refused")
            with refusals():
                await ask(backstage.pool, drill, said.action, by=caller.name, reason=said.reason, inject=said.inject)
            return Controlled(action=said.action, inject=said.inject, by=caller.name)

        return await once(backstage, request, caller, said, act)
