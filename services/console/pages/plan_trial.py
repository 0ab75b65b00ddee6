"""Trying a plan before it matters: who would be told what for an incident, and how fast it would go, simulated."""

import json
from functools import partial
from typing import Annotated, Any

from fastapi import FastAPI, Path
from fastapi.responses import HTMLResponse

from schemas.base import DEPARTMENT_PATTERN
from schemas.vocabulary import Category, Certainty, Namespace, Role, Severity, Status, Urgency
from services.console.page import STAFF_PAGE, Page, page_for
from services.console.pages.plan_charts import Curve, curve, worths
from services.console.pages.plan_condition_reader import title_of
from services.console.pages.plan_words import WHY, span
from services.console.pages.sending import send
from services.platform.body import JSON, read_body
from services.platform.strict_json import read_object
from services.playbooks.cel_source import parameter_names, tokens

CONFIRM_AFTER = ("1m", "2m", "5m", "10m")
RUNS = (100, 300, 1_000)
PATHS_SHOWN = 5
PlanId = Annotated[str, Path(pattern=DEPARTMENT_PATTERN, max_length=60)]
SimulationId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")]
Staff = Annotated[Page, page_for(*STAFF_PAGE)]
Trying = Annotated[Page, page_for(Role.DUTY_OFFICER, Role.PLANNER)]


def add_trial(site: FastAPI) -> None:
    """Add the pages."""

    @site.get("/plans/{plan}/try", include_in_schema=False)
    async def trial(page: Trying, plan: PlanId) -> HTMLResponse:
        told = await page.get(f"/v1/plans/{plan}")
        return page.render(
            "plan_try.html.j2",
            plan=told,
            document=told["document"],
            measures={name: title_of(name) for name in _asked_for(told["document"])},
            categories=list(Category),
            severities=list(Severity),
            urgencies=list(Urgency),
            certainties=list(Certainty),
            runs=RUNS,
            confirm_after=CONFIRM_AFTER,
            span=partial(span, language=page.language),
        )

    @site.post("/plans/{plan}/try", include_in_schema=False)
    async def preview(page: Trying, plan: PlanId) -> HTMLResponse:
        _, body = await read_body(page.request, JSON)
        status = Status.EXERCISE if page.world is Namespace.EXERCISE else Status.ACTUAL
        report = read_object(body) | {"status": status.value, "message_type": "Alert", "reported_by": "trial"}
        answer = await send(page, "/v1/incidents/preview", json.dumps(report).encode(), JSON[0])
        told = answer.json()
        return page.render(
            "plan_preview.html.j2",
            problem=None if answer.is_success else told,
            preview=told if answer.is_success else None,
            asked=plan,
            span=partial(span, language=page.language),
        )

    @site.get("/plans/{plan}/simulations/{simulation}", include_in_schema=False)
    async def simulation(page: Staff, plan: PlanId, simulation: SimulationId) -> HTMLResponse:
        return page.render("plan_simulation.html.j2", **await _simulated(page, plan, simulation))

    @site.get("/plans/{plan}/simulations/{simulation}/now", include_in_schema=False)
    async def simulation_now(page: Staff, plan: PlanId, simulation: SimulationId) -> HTMLResponse:
        return page.render("plan_simulated.html.j2", **await _simulated(page, plan, simulation))


def _asked_for(document: dict[str, Any]) -> list[str]:
    """List the parameters that a plan's conditions ask for."""
    guarded = [document["match"], *(item for name in ("levels", "tasks", "calls") for item in document[name])]
    found = (name for item in guarded if item.get("when") for name in parameter_names(tokens(item["when"])))
    return list(dict.fromkeys(found))


async def _simulated(page: Page, plan: str, simulation: str) -> dict[str, Any]:
    told = await page.get(f"/v1/plans/{plan}/simulations/{simulation}")
    titles, departments, roles = await _names(page, plan, told)
    result = told["result"]
    return {
        "plan": await page.get(f"/v1/plans/{plan}"),
        "simulation": told,
        "result": result,
        "curves": _curves(result) if result else {},
        "worths": worths(result["candidates"]) if result else [],
        "paths": result["critical_paths"][:PATHS_SHOWN] if result else [],
        "span": partial(span, language=page.language),
        "titles": titles,
        "roles_of": roles,
        "departments": departments,
        "why": WHY,
        "measures": {name: title_of(name) for name in told["report"]["parameters"]},
    }


def _curves(result: dict[str, Any]) -> dict[str, Curve | None]:
    return {name: curve(values, result["times"][name]["never"]) for name, values in result["curves"].items()}


async def _names(
    page: Page, plan: str, told: dict[str, Any]
) -> tuple[dict[tuple[str, str], str], dict[str, str], dict[tuple[str, str], str]]:
    """Give what the tasks, departments and roles of the plans that took part are called."""
    took_part = {plan, *(task["plan"] for task in (told["result"] or {"tasks": ()})["tasks"])}
    titles: dict[tuple[str, str], str] = {}
    departments: dict[str, str] = {}
    roles: dict[tuple[str, str], str] = {}
    for name in sorted(took_part):
        view = await page.get(f"/v1/plans/{name}")
        titles |= {(name, task["id"]): page.text(task["title"]) for task in view["tasks"]}
        roles |= {(name, role["id"]): page.text(role["title"]) for role in view["document"]["roles"]}
        departments |= {department: page.text(title) for department, title in view["departments"].items()}
    return titles, departments, roles
