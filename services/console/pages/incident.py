"""The incident pages: all incidents, and one with everything about it and what a duty officer can do."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal
from urllib.parse import urlencode
from uuid import UUID

from fastapi import FastAPI, Query
from fastapi.responses import HTMLResponse
from pydantic import BeforeValidator

from schemas.timeline import Entry
from schemas.vocabulary import Role
from services.console.page import STAFF_PAGE, Page, page_for
from services.console.pages.incident_view import Incident, Names, make_incident
from services.platform.problem import ProblemError

PAGE = 50
"""Incidents, or entries of a timeline, on one page."""
DEPARTMENTS_AT_MOST = 200
"""Departments that a dialog offers."""
GROUPS: Mapping[str, tuple[Entry, ...]] = {
    "reports": (Entry.REPORTED, Entry.UPDATED, Entry.REPEATED, Entry.CANCEL_RECEIVED, Entry.JOINED, Entry.NO_PLAN),
    "decisions": (
        Entry.PLAN_MATCHED,
        Entry.ACTIVATED,
        Entry.STANDBY,
        Entry.LEVEL_CHANGED,
        Entry.LEVEL_SUGGESTED,
        Entry.STOOD_DOWN,
        Entry.CLOSED,
        Entry.CONFIRMATION_OVERDUE,
        Entry.TASK_ADDED,
        Entry.INFORMED,
        Entry.COMMAND_REFUSED,
    ),
    "orders": (Entry.ISSUED, Entry.DELEGATED, Entry.CANCELLED, Entry.SUPERSEDED, Entry.EXPIRED, Entry.UNFILLED),
    "answers": (
        Entry.DELIVERED,
        Entry.ACKNOWLEDGED,
        Entry.COMMITTED,
        Entry.DECLINED,
        Entry.STARTED,
        Entry.ARRIVED,
        Entry.PROGRESSED,
        Entry.COMPLETED,
        Entry.FAILED,
        Entry.ANSWER_REFUSED,
    ),
    "delays": (Entry.OVERDUE, Entry.REMINDED, Entry.ESCALATED, Entry.UNFILLED, Entry.CONFIRMATION_OVERDUE),
    "obstacles": (Entry.BLOCKED, Entry.OBSTACLE_TAKEN, Entry.OBSTACLE_RESOLVED),
}
"""Kinds of entries that a person looks for together."""

DECIDED = (
    Entry.ACTIVATED,
    Entry.LEVEL_CHANGED,
    Entry.STOOD_DOWN,
    Entry.CLOSED,
    Entry.TASK_ADDED,
    Entry.INFORMED,
    Entry.OBSTACLE_TAKEN,
    Entry.OBSTACLE_RESOLVED,
    Entry.CANCEL_RECEIVED,
)
"""What another person decides and everybody who looks at the incident is told at once."""

Staff = Annotated[Page, page_for(*STAFF_PAGE)]
Anyone = Annotated[Page, page_for()]
Ask = Literal["activate", "level", "task", "remind", "reassign", "take", "resolve", "inform", "stand-down", "close"]
Moment = Annotated[datetime | None, Query(), BeforeValidator(lambda given: given or None)]


def add_incident(site: FastAPI) -> None:
    """Add the pages."""

    @site.get("/incidents", include_in_schema=False)
    async def incidents(page: Staff, state: str = "open", q: str = "", cursor: str | None = None) -> HTMLResponse:
        found = await page.get("/v1/incidents", state=state, q=q or None, cursor=cursor, limit=PAGE)
        return page.render("incidents.html.j2", found=found, state=state, q=q, cursor=cursor)

    @site.get("/incidents/{incident_id}", include_in_schema=False)
    async def incident(page: Anyone, incident_id: UUID, as_of: Moment = None) -> HTMLResponse:
        it, reports, timeline, curves = await asyncio.gather(
            _gather(page, incident_id, as_of),
            page.get(f"/v1/incidents/{incident_id}/reports"),
            _timeline(page, incident_id, _Filter(), as_of),
            _curves(page, incident_id, as_of),
        )
        return page.render(
            "incident.html.j2",
            it=it,
            id=it.id,
            names=it.names,
            reports=reports["items"],
            as_of=as_of,
            acts=_may_decide(page) and as_of is None,
            others={kind.value: page.word(kind.value, "Entry") for kind in DECIDED},
            curves=curves,
            **timeline,
        )

    @site.get("/incidents/{incident_id}/now", include_in_schema=False)
    async def now(page: Anyone, incident_id: UUID) -> HTMLResponse:
        """Give the sections that follow the record, each to be put in the place of its former self."""
        it, reports = await asyncio.gather(
            _gather(page, incident_id, None), page.get(f"/v1/incidents/{incident_id}/reports")
        )
        acts = _may_decide(page)
        return page.render("incident_now.html.j2", it=it, id=it.id, reports=reports["items"], as_of=None, acts=acts)

    @site.get("/incidents/{incident_id}/ask/{name}", include_in_schema=False)
    async def ask(
        page: Annotated[Page, page_for(Role.DUTY_OFFICER)],
        incident_id: UUID,
        name: Ask,
        plan: str = "",
        level: str = "",
        assignment_id: str = "",
        obstacle_id: str = "",
    ) -> HTMLResponse:
        """Give the dialog of one decision."""
        it = await _gather(page, incident_id, None)
        order = next((each for each in it.orders if str(each.assignment.id) == assignment_id), None)
        plans = await page.get("/v1/plans", limit=500) if name == "activate" else {"items": []}
        return page.render(
            "incident_ask.html.j2",
            it=it,
            name=name,
            wanted={"plan": plan, "level": level, "assignment_id": assignment_id, "obstacle_id": obstacle_id},
            order=order,
            trouble=next((each for each in it.obstacles if str(each.obstacle.id) == obstacle_id), None),
            taken=it.holders(order) if order else frozenset(),
            told=[title for _, title, orders in it.by_department if any(each.is_open for each in orders)],
            plans=plans["items"],
        )

    @site.get("/incidents/{incident_id}/curves", include_in_schema=False)
    async def curves(page: Anyone, incident_id: UUID) -> HTMLResponse:
        return page.render("incident_curves.html.j2", curves=await _curves(page, incident_id, None), as_of=None)

    @site.get("/incidents/{incident_id}/entries", include_in_schema=False)
    async def entries(
        page: Anyone,
        incident_id: UUID,
        group: str = "",
        department: str = "",
        attention: bool = False,
        q: str = "",
        cursor: str | None = None,
        as_of: Moment = None,
    ) -> HTMLResponse:
        wanted = _Filter(group, department, attention, q)
        names, told = await asyncio.gather(
            _names(page, incident_id, as_of), _timeline(page, incident_id, wanted, as_of, cursor)
        )
        return page.render("incident_entries.html.j2", id=incident_id, as_of=as_of, names=names[0], **told)

    @site.get("/incidents/{incident_id}/reports/{event_id}", include_in_schema=False)
    async def report(page: Anyone, incident_id: UUID, event_id: UUID) -> HTMLResponse:
        found = await page.get(f"/v1/incidents/{incident_id}/reports/{event_id}")
        return page.render("incident_report.html.j2", report=found, id=incident_id)


def _may_decide(page: Page) -> bool:
    return page.caller is not None and Role.DUTY_OFFICER in page.caller.roles


class _Filter:
    """Which entries of the timeline are shown."""

    def __init__(self, group: str = "", department: str = "", attention: bool = False, q: str = "") -> None:
        self.group = group if group in GROUPS else ""
        self.department = department
        self.attention = attention
        self.q = q

    def query(self) -> dict[str, Any]:
        """Write it as the API's query."""
        return {
            **({"entry": [kind.value for kind in GROUPS[self.group]]} if self.group else {}),
            **({"department": self.department} if self.department else {}),
            **({"attention": "true"} if self.attention else {}),
            **({"q": self.q} if self.q else {}),
        }


async def _timeline(
    page: Page, incident_id: UUID, wanted: _Filter, as_of: datetime | None, cursor: str | None = None
) -> dict[str, Any]:
    query = wanted.query() | ({"as_of": as_of.isoformat()} if as_of else {})
    found = await page.get(f"/v1/incidents/{incident_id}/timeline", **query, limit=PAGE, cursor=cursor)
    return {"entries": found["items"], "next": found["next"], "wanted": wanted, "query": urlencode(query, doseq=True)}


async def _curves(page: Page, incident_id: UUID, as_of: datetime | None) -> dict[str, Any]:
    moment = as_of.isoformat() if as_of else None
    found = await _unless_undecided(page, f"/v1/incidents/{incident_id}/curves", as_of=moment)
    return {"points": found.get("points", []), "as_of": moment}


async def _gather(page: Page, incident_id: UUID, as_of: datetime | None) -> Incident:
    moment = as_of.isoformat() if as_of else None
    view, (names, plans) = await asyncio.gather(
        page.get(f"/v1/incidents/{incident_id}", as_of=moment), _names(page, incident_id, as_of)
    )
    return make_incident(view, plans, names)


async def _names(page: Page, incident_id: UUID, as_of: datetime | None) -> tuple[Names, list[Any]]:
    moment = as_of.isoformat() if as_of else None
    plans, departments = await asyncio.gather(
        _unless_undecided(page, f"/v1/incidents/{incident_id}/plans", as_of=moment),
        page.get("/v1/departments", limit=DEPARTMENTS_AT_MOST),
    )
    items: list[Any] = plans.get("items", [])
    return Names(page, items, departments["items"]), items


async def _unless_undecided(page: Page, path: str, **query: Any) -> dict[str, Any]:
    """Ask for what is there only once the first report has been decided about."""
    try:
        found: dict[str, Any] = await page.get(path, **query)
    except ProblemError as problem:
        if problem.status is not HTTPStatus.NOT_FOUND:
            raise
        return {}
    return found
