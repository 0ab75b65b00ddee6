"""A department's pages, made for a phone first: its orders, one order as a sheet, and the directory."""

from functools import partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import FastAPI
from fastapi.responses import HTMLResponse, RedirectResponse

from schemas.base import Slug, Text
from schemas.vocabulary import Answer, AssignmentState
from services.console.page import Page, page_for
from services.console.pages.phone import add_phone

SHOWN = 100
"""Orders on one page of the inbox."""

_UNANSWERED = (Answer.START, Answer.BLOCK, Answer.DELEGATE)
_NEXT: dict[AssignmentState, tuple[Answer, ...]] = {
    AssignmentState.ISSUED: (Answer.COMMIT, Answer.DECLINE),
    AssignmentState.DELIVERED: (Answer.COMMIT, Answer.DECLINE),
    AssignmentState.ACKNOWLEDGED: (Answer.COMMIT, Answer.DECLINE),
    AssignmentState.COMMITTED: (Answer.START, Answer.BLOCK),
    AssignmentState.STARTED: (Answer.ARRIVE, Answer.COMPLETE, Answer.BLOCK),
}
"""The answers that are one tap away in each state; the first one is what is usually said next."""
_ALSO: dict[AssignmentState, tuple[Answer, ...]] = {
    AssignmentState.ISSUED: _UNANSWERED,
    AssignmentState.DELIVERED: _UNANSWERED,
    AssignmentState.ACKNOWLEDGED: _UNANSWERED,
    AssignmentState.COMMITTED: (Answer.COMPLETE, Answer.PROGRESS, Answer.DELEGATE, Answer.FAIL),
    AssignmentState.STARTED: (Answer.PROGRESS, Answer.DELEGATE, Answer.FAIL),
}
_TAKES_ON = {Answer.COMMIT, Answer.START, Answer.COMPLETE}
_WORDS = {
    Answer.DECLINE: "reason",
    Answer.BLOCK: "reason",
    Answer.FAIL: "reason",
    Answer.DELEGATE: "reason",
    Answer.PROGRESS: "note",
}
"""The words that an answer can't be given without."""


_REASONS = {
    "acknowledge deadline missed": Text(en="not answered in time", zh="未按时应答"),
    "start deadline missed": Text(en="not started in time", zh="未按时开始"),
    "complete deadline missed": Text(en="not completed in time", zh="未按时完成"),
    "others have taken it on": Text(en="others have taken it on", zh="已由其他单位承担"),
    "the task is not asked for any more": Text(en="the task is not asked for any more", zh="该任务不再需要"),
    "the plan was stood down": Text(en="the plan was stood down", zh="响应已终止"),
}
"""Reasons that the engine gives in its own words; a person's are shown as they were written."""


def add_department(site: FastAPI) -> None:
    """Add the pages."""

    @site.get("/departments", include_in_schema=False)
    async def directory(page: Annotated[Page, page_for()]) -> HTMLResponse:
        departments = await _directory(page)
        return page.render("departments.html.j2", departments=departments, titles=_titles(page, departments))

    @site.get("/orders", include_in_schema=False)
    async def own(page: Annotated[Page, page_for()]) -> RedirectResponse:
        departments = sorted(page.caller.departments) if page.caller else []
        return RedirectResponse(page.url(f"/departments/{departments[0]}" if departments else "/departments"), 303)

    @site.get("/departments/{department}", include_in_schema=False)
    async def inbox(page: Annotated[Page, page_for()], department: Slug, cursor: str | None = None) -> HTMLResponse:
        return page.render("department.html.j2", **await _inbox(page, department, cursor))

    @site.get("/departments/{department}/orders", include_in_schema=False)
    async def orders(page: Annotated[Page, page_for()], department: Slug, cursor: str | None = None) -> HTMLResponse:
        return page.render("department_orders.html.j2", **await _inbox(page, department, cursor))

    @site.get("/assignments/{assignment_id}", include_in_schema=False)
    async def order(page: Annotated[Page, page_for()], assignment_id: UUID) -> HTMLResponse:
        return page.render("order.html.j2", **await _sheet(page, assignment_id))

    @site.get("/assignments/{assignment_id}/state", include_in_schema=False)
    async def state(page: Annotated[Page, page_for()], assignment_id: UUID) -> HTMLResponse:
        return page.render("order_state.html.j2", **await _sheet(page, assignment_id))

    add_phone(site)


async def _directory(page: Page) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        answer = await page.get("/v1/departments", limit=200, cursor=cursor)
        found += answer["items"]
        cursor = answer["next"]
        if cursor is None:
            return found


def _titles(page: Page, departments: list[dict[str, Any]]) -> dict[str, str]:
    return {each["id"]: page.text(each["title"]) for each in departments}


def _reason(page: Page, reason: str | None) -> str:
    return page.text(_REASONS.get(reason or "", reason))


async def _inbox(page: Page, department: str, cursor: str | None) -> dict[str, Any]:
    answer = await page.get(f"/v1/departments/{department}/assignments", state="all", limit=SHOWN, cursor=cursor)
    departments = await _directory(page)
    orders = [(AssignmentState(found["state"]).is_open, _order(page, found)) for found in answer["items"]]
    return {
        **_names(page, departments, department),
        "cursor": cursor,
        "open": [order for is_open, order in orders if is_open],
        "over": [order for is_open, order in orders if not is_open],
        "older": answer["next"],
    }


async def _sheet(page: Page, assignment_id: UUID) -> dict[str, Any]:
    found = await page.get(f"/v1/assignments/{assignment_id}")
    departments = await _directory(page)
    return {
        **_names(page, departments, found["department"]),
        "decides": next((each for each in departments if each["decides"]), None),
        **_order(page, found),
    }


def _names(page: Page, departments: list[dict[str, Any]], own: str) -> dict[str, Any]:
    """Give what names the departments and words the reasons that a page shows."""
    return {
        "departments": departments,
        "department": next((each for each in departments if each["id"] == own), None),
        "titles": _titles(page, departments),
        "phones": {each["id"]: each["duty_phone"] for each in departments},
        "reason": partial(_reason, page),
    }


def _order(page: Page, found: dict[str, Any]) -> dict[str, Any]:
    """Say with an order what its reader may answer to it now."""
    state = AssignmentState(found["state"])
    mine = page.caller is not None and page.caller.may_act_for(found["department"]) and not found["is_copy"]
    asks = found["told"]["read_back"] and not found["read_back"]
    arrived = found["times"]["arrived_at"] is not None

    def steps(answers: dict[AssignmentState, tuple[Answer, ...]]) -> list[dict[str, str]]:
        wanted = [each for each in answers.get(state, ()) if mine and not (arrived and each is Answer.ARRIVE)]
        return [{"answer": each.value, "needs": _needs(each, asks=asks)} for each in wanted]

    return {"order": found, "told": found["told"], "mine": mine, "steps": steps(_NEXT), "also": steps(_ALSO)}


def _needs(answer: Answer, *, asks: bool) -> str:
    return _WORDS.get(answer) or ("read_back" if asks and answer in _TAKES_ON else "")
