"""The planner's pages: what to exercise, the control room of a drill, its report, comparison, improvement items."""

from typing import Annotated, Any

from fastapi import FastAPI
from fastapi.responses import HTMLResponse

from schemas.base import Id
from services.console.page import STAFF_PAGE, Page, page_for
from services.console.pages import drill_words as words
from services.console.pages import plots
from services.platform.problem import ProblemError

LIVE = frozenset({"starting", "held", "running", "paused", "broken"})
"""States of a drill that belong at the head of the page."""
PAGE = 30
"""Past drills on one page."""

FEW = 5
"""Orders from which a curve says more than its numbers do."""

Staff = Annotated[Page, page_for(*STAFF_PAGE)]


def add_drills_pages(site: FastAPI) -> None:
    """Add the pages to the exercise's site."""
    _add_overview(site)
    _add_comparison(site)
    _add_improvements(site)
    _add_drill(site)


def _add_overview(site: FastAPI) -> None:
    @site.get("/drills", include_in_schema=False)
    async def drills(page: Staff, cursor: str | None = None) -> HTMLResponse:
        found = await page.get("/v1/drills", limit=PAGE, cursor=cursor)
        past = [each for each in found["items"] if each["state"] not in LIVE]
        over = [each["id"] for each in past if each["state"] == "over"]
        return page.render(
            "drills.html.j2",
            words=words,
            running=[each for each in found["items"] if each["state"] in LIVE],
            past=past,
            more=found["next"],
            candidate=over[0] if len(over) > 1 else None,
            base=over[1] if len(over) > 1 else None,
            scenarios=await page.get("/v1/drills/scenarios"),
            due=await page.get("/v1/drills/due"),
            schedules=await page.get("/v1/drills/schedules"),
        )

    @site.get("/drills/running", include_in_schema=False)
    async def running(page: Staff) -> HTMLResponse:
        found = await page.get("/v1/drills", limit=5)
        now = [each for each in found["items"] if each["state"] in LIVE]
        return page.render("drills_running.html.j2", words=words, running=now)


def _add_comparison(site: FastAPI) -> None:
    @site.get("/drills/compare", include_in_schema=False)
    async def compare(page: Staff, base: str | None = None, candidate: str | None = None) -> HTMLResponse:
        found, problem = None, None
        if base and candidate:
            try:
                found = await page.get("/v1/drills/compare", base=base, candidate=candidate)
            except ProblemError as error:
                problem = error.detail
        rows = found["rows"] if found else []
        drills = await page.get("/v1/drills", limit=100)
        return page.render(
            "drill_compare.html.j2",
            words=words,
            base=base,
            candidate=candidate,
            problem=problem,
            drills=[each for each in drills["items"] if each["state"] == "over"],
            found=found,
            forest=[plots.forest(row["probability_slower"], row["outcome"]) for row in rows],
            curves=[(row, plots.curves(row["curves"])) for row in rows if _has_curve(row)],
            row_name=lambda row: _row_name(page, row, found["names"] if found else {}),
            difference=lambda value: _difference(page, value),
        )

    @site.get("/drills/trend", include_in_schema=False)
    async def trend(page: Staff, plan: str) -> HTMLResponse:
        try:
            found = await page.get("/v1/drills/trend", plan=plan)
        except ProblemError as error:
            if error.status != 404:
                raise
            found = None
        segments = found["segments"].items() if found else ()
        sparks = {
            name: {key: plots.spark([row[key] for row in rows], width=240, height=48) for key in ("p50", "p90")}
            for name, rows in segments
        }
        return page.render("drill_trend.html.j2", words=words, plan=plan, trend=found, sparks=sparks)


def _add_improvements(site: FastAPI) -> None:
    @site.get("/improvements", include_in_schema=False)
    async def improvements(
        page: Staff, state: str = "open", drill: str | None = None, cursor: str | None = None
    ) -> HTMLResponse:
        found = await page.get("/v1/improvements", state=state, drill=drill, cursor=cursor)
        departments = await page.get("/v1/departments", limit=200)
        names = {each["id"]: each["title"] for each in departments["items"]}
        return page.render("improvements.html.j2", words=words, found=found, state=state, drill=drill, names=names)


def _add_drill(site: FastAPI) -> None:
    @site.get("/drills/{drill_id}", include_in_schema=False)
    async def drill(page: Staff, drill_id: Id) -> HTMLResponse:
        shown = await page.get(f"/v1/drills/{drill_id}")
        if shown["state"] != "over":
            return page.render("drill.html.j2", words=words, drill=shown)
        report = await page.get(f"/v1/drills/{drill_id}/report")
        others = await page.get("/v1/drills", limit=100)
        return page.render(
            "drill_over.html.j2",
            words=words,
            drill=shown,
            report=report,
            ratings={each["id"]: each for each in shown["objectives"]},
            unanswered=sum(each["never"] for each in report["departments"].values()),
            others=[each for each in others["items"] if each["state"] == "over" and each["id"] != shown["id"]],
        )

    @site.get("/drills/{drill_id}/now", include_in_schema=False)
    async def now(page: Staff, drill_id: Id) -> HTMLResponse:
        shown = await page.get(f"/v1/drills/{drill_id}")
        answer = page.render("drill_now.html.j2", words=words, drill=shown)
        if shown["state"] == "over":
            answer.headers["HX-Refresh"] = "true"
        return answer

    @site.get("/drills/{drill_id}/timeline", include_in_schema=False)
    async def timeline(page: Staff, drill_id: Id, department: str = "", cursor: str | None = None) -> HTMLResponse:
        shown = await page.get(f"/v1/drills/{drill_id}")
        found = await page.get(f"/v1/drills/{drill_id}/timeline", department=department or None, cursor=cursor)
        start = words.instant(shown["started_at"])
        entries = [
            {
                **each,
                "offset": words.offset(words.instant(each["at"]) - start),
                "recorded_offset": words.offset(words.instant(each["recorded_as"]) - start)
                if "recorded_as" in each
                else None,
            }
            for each in found["items"]
        ]
        return page.render(
            "drill_timeline.html.j2",
            words=words,
            drill=shown,
            names={each["id"]: each["title"] for each in shown["departments"]},
            entries=entries,
            following=found["next"],
            cursor=cursor,
            department=department,
        )


def _row_name(page: Page, row: dict[str, Any], names: dict[str, Any]) -> str:
    if row["department"] is None:
        return page.word(row["segment"])
    name = page.text(names.get(row["department"]) or row["department"])
    return f"{name}, {page.word(row['segment'])}"


def _has_curve(row: dict[str, Any]) -> bool:
    return row["department"] is None and max(row["base"]["n"], row["candidate"]["n"]) >= FEW


def _difference(page: Page, value: float | str | None) -> str:
    if value is None:
        return words.NONE_YET
    if isinstance(value, str):
        return f"{'−' if value.startswith('-') else '+'}{page.text(words.NEVER)}"
    return f"{'+' if value > 0 else ''}{words.span(value)}"
