"""What can be exercised and what must be: the scenarios in the folder, and the plans that are due."""

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from fastapi import FastAPI

from schemas.base import format_duration
from schemas.drill import InjectKind
from schemas.plan import PlanDocument
from services.domain.playbook import Playbook
from services.drills.http_models import DueList, DueView, ScenarioList, ScenarioView
from services.drills.http_shared import READ, Backstage, Reader, S
from services.drills.record import sql
from services.drills.scenario import Scenario, load_scenario
from services.drills.schedule import list_due
from services.platform.errors import UnpublishedError
from services.platform.problem import ProblemError
from services.playbooks.problem import PlaybookError

FOLDER = "drills"
"""The folder of a playbook that holds its drills."""


def add_scenarios(app: FastAPI, backstage: Backstage) -> None:
    """Add what can be exercised."""

    @app.get("/v1/drills/scenarios", operation_id="list_drill_scenarios", responses=READ)
    async def scenarios(caller: Reader) -> ScenarioList:
        """List the scenarios that are there to be played, each held against the plans in force."""
        del caller
        playbook = await in_force(backstage)
        items = await asyncio.to_thread(_read_all, backstage.playbooks / FOLDER, playbook)
        return ScenarioList(items=items, can_start=backstage.launcher is not None)

    @app.get("/v1/drills/due", operation_id="list_due_drills", responses=READ)
    async def due(caller: Reader) -> DueList:
        """List every plan in force with when it was last exercised to the end, and when it must be again."""
        del caller
        rows = await backstage.pool.fetch(sql("plans_in_force"))
        plans = [PlanDocument.model_validate(json.loads(row["document"])) for row in rows]
        return DueList(items=await _due(backstage, plans))


async def in_force(backstage: Backstage) -> Playbook:
    """Give the plans in force; raises `ProblemError` (503) when none are published."""
    try:
        return await backstage.playbook.current()
    except UnpublishedError as error:
        raise ProblemError(S.SERVICE_UNAVAILABLE, str(error), kind="unpublished") from None


async def find_scenario(backstage: Backstage, name: str) -> tuple[Path, Scenario]:
    """Find a scenario by its id and check it; raises `ProblemError` when there is none, or it can't be run."""
    playbook = await in_force(backstage)
    found, problems = await asyncio.to_thread(_find, backstage.playbooks / FOLDER, name, playbook)
    if problems:
        raise ProblemError(S.UNPROCESSABLE_ENTITY, f"scenario {name}: {problems[0]}", kind="invalid")
    if found is None:
        detail = f"scenario {name}: there is none; see GET /v1/drills/scenarios"
        raise ProblemError(S.UNPROCESSABLE_ENTITY, detail, kind="invalid")
    return found


async def _due(backstage: Backstage, plans: Sequence[PlanDocument]) -> list[DueView]:
    titles = {plan.id: plan.title for plan in plans}
    now = datetime.now(UTC)
    return [
        DueView(
            plan=each.plan,
            title=titles[each.plan],
            every=format_duration(each.every),
            last_at=each.last_at,
            due_at=each.due_at,
            overdue=each.is_overdue(now),
        )
        for each in await list_due(backstage.pool, plans)
    ]


def _load(file: Path, playbook: Playbook) -> Scenario | PlaybookError:
    try:
        return load_scenario(file, list(playbook.published.by_id.values()), playbook.directory)
    except PlaybookError as error:
        return error


def _find(folder: Path, name: str, playbook: Playbook) -> tuple[tuple[Path, Scenario] | None, list[str]]:
    broken: dict[str, list[str]] = {}
    for file in sorted(folder.glob("*.yaml")):
        loaded = _load(file, playbook)
        if isinstance(loaded, Scenario):
            if loaded.document.id == name:
                return (file.absolute(), loaded), []
        else:
            broken[file.stem] = [str(problem) for problem in loaded.problems]
    return None, broken.get(name, [])


def _read_all(folder: Path, playbook: Playbook) -> list[ScenarioView]:
    loaded = {file: _load(file, playbook) for file in folder.glob("*.yaml")}
    views = [
        _view(each)
        if isinstance(each, Scenario)
        else ScenarioView(id=file.stem, problems=list(map(str, each.problems)))
        for file, each in loaded.items()
    ]
    return sorted(views, key=lambda view: view.id)


def _view(scenario: Scenario) -> ScenarioView:
    document = scenario.document
    return ScenarioView(
        id=document.id,
        version=document.version,
        title=document.title,
        purpose=document.purpose,
        kind=document.kind,
        announced=document.announced,
        duty_officer=document.duty_officer,
        plans=list(document.plans),
        speed=document.speed,
        duration=document.duration.total_seconds(),
        objectives=[rule.title for rule in document.objectives],
        injects=len(document.injects),
        manual_injects=sum(inject.manual for inject in document.injects),
        real_departments=list(scenario.awaited),
        kills=killed(scenario),
    )


def killed(scenario: Scenario) -> list[str]:
    """List the services of Muster that a scenario kills."""
    injects = scenario.document.injects
    return sorted({each.service.value for each in injects if each.kind is InjectKind.SERVICE_LOSS and each.service})
