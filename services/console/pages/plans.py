"""The planner's pages: the catalogue, a plan drawn and told in words, what changed, and checking a text."""

from functools import partial
from typing import Annotated, Any

from fastapi import FastAPI, Query
from fastapi.responses import HTMLResponse

from schemas.vocabulary import Category, PlanKind
from schemas.words import STEPS
from services.console.page import STAFF_PAGE, Page, page_for
from services.console.pages.plan_conditions import flat, in_words
from services.console.pages.plan_graph import Graph, draw
from services.console.pages.plan_trial import PlanId, add_trial
from services.console.pages.plan_words import CONCERNS, path_in_words, span, value_in_words
from services.console.pages.sending import send
from services.platform.body import read_body

_TEXT = ("text/plain",)
Staff = Annotated[Page, page_for(*STAFF_PAGE)]


def add_plans(site: FastAPI) -> None:
    """Add the pages."""
    _add_catalogue(site)
    _add_checking(site)
    add_trial(site)
    _add_plan(site)


def _add_catalogue(site: FastAPI) -> None:
    @site.get("/plans", include_in_schema=False)
    async def plans(page: Staff, category: str = "", kind: str = "", late: bool = False) -> HTMLResponse:
        told = await page.get("/v1/plans", limit=500, category=category or None, kind=kind or None)
        lines = [line for line in told["items"] if not late or line["review_overdue"]]
        return page.render(
            "plans.html.j2",
            plans=sorted(lines, key=lambda line: (line["kind"] != "comprehensive", page.text(line["title"]))),
            total=len(told["items"]),
            overdue=sum(line["review_overdue"] for line in told["items"]),
            categories=list(Category),
            kinds=list(PlanKind),
            chosen={"category": category, "kind": kind, "late": late},
        )


def _add_plan(site: FastAPI) -> None:
    @site.get("/plans/{plan}", include_in_schema=False)
    async def plan(
        page: Staff, plan: PlanId, level: str = "", version: Annotated[int | None, Query(ge=1)] = None
    ) -> HTMLResponse:
        told = await page.get(f"/v1/plans/{plan}", version=version)
        versions = (await page.get(f"/v1/plans/{plan}/versions"))["items"]
        lines = (await page.get("/v1/plans", limit=500))["items"]
        document, tasks = told["document"], told["tasks"]
        chosen = [task for task in tasks if _at(task, level)] if level else tasks
        return page.render(
            "plan.html.j2",
            plan=told,
            document=document,
            line=next((line for line in lines if line["id"] == plan), None),
            findings=await page.get(f"/v1/plans/{plan}/findings") if told["in_force"] else None,
            versions=versions,
            level=level,
            graph=_graph(page, told, [task for task in chosen if task["kind"] != "stand_down"]),
            ending=_graph(page, told, [task for task in chosen if task["kind"] == "stand_down"]),
            shown=chosen,
            words=in_words,
            steps=STEPS,
            flat=lambda source: flat(in_words(source), page.language),
            span=partial(span, language=page.language),
            name=partial(_name, page, told["departments"]),
            titles={task["id"]: page.text(task["title"]) for task in tasks},
            roles_by_id={role["id"]: role for role in document["roles"]},
            called={line["id"]: page.text(line["title"]) for line in lines},
            calling=[line for line in lines if plan in line["calls"]],
        )

    @site.get("/plans/{plan}/changes", include_in_schema=False)
    async def changes(
        page: Staff,
        plan: PlanId,
        before: Annotated[int, Query(alias="from", ge=1)],
        after: Annotated[int, Query(alias="to", ge=1)],
    ) -> HTMLResponse:
        told = await page.get(f"/v1/plans/{plan}/diff", **{"from": before, "to": after})
        old, new = [await page.get(f"/v1/plans/{plan}", version=version) for version in (before, after)]
        titles = {**_item_titles(page, old["document"]), **_item_titles(page, new["document"])}
        named = {key: page.text(title) for key, title in {**old["departments"], **new["departments"]}.items()}
        return page.render(
            "plan_changes.html.j2",
            plan=new,
            old=old,
            changes=told["items"],
            versions=(await page.get(f"/v1/plans/{plan}/versions"))["items"],
            place=lambda path: path_in_words(path, titles, page.language),
            value=partial(value_in_words, departments=named, language=page.language),
            concerns=CONCERNS,
            before=before,
            after=after,
        )


def _add_checking(site: FastAPI) -> None:
    @site.get("/plans/check", include_in_schema=False)
    async def check(page: Staff) -> HTMLResponse:
        return page.render("plan_check.html.j2")

    @site.post("/plans/check", include_in_schema=False)
    async def checked(page: Staff) -> HTMLResponse:
        _, body = await read_body(page.request, _TEXT)
        answer = await send(page, "/v1/plans/check", body, "application/yaml")
        told = answer.json()
        return page.render(
            "plan_findings.html.j2",
            problem=None if answer.is_success else told,
            told=told if answer.is_success else None,
            place=lambda path: path_in_words(path, {}, page.language),
            value=partial(value_in_words, departments={}, language=page.language),
            concerns=CONCERNS,
        )


def _at(task: dict[str, Any], level: str) -> bool:
    return (level != "standby" and task["levels"] is None) or level in (task["levels"] or ())


def _graph(page: Page, told: dict[str, Any], tasks: list[dict[str, Any]]) -> Graph | None:
    if not tasks:
        return None
    roles = [role["id"] for role in told["document"]["roles"]]
    return draw(tasks, roles, {task["id"]: page.text(task["title"]) for task in tasks})


def _name(page: Page, departments: dict[str, Any], department: str) -> str:
    return page.text(departments.get(department, department))


def _item_titles(page: Page, document: dict[str, Any]) -> dict[str, str]:
    lists = ("tasks", "roles", "levels", "reports", "stand_down")
    return {item["id"]: page.text(item["title"]) for name in lists for item in document[name]}
