"""Reporting an incident: a form that a tired person gets right, with what would follow from it beside it."""

from http import HTTPStatus
from typing import Annotated, Any

import httpx
from fastapi import FastAPI
from fastapi.responses import HTMLResponse

from schemas.base import Text
from schemas.vocabulary import Certainty, Namespace, Role, Severity, Status, Urgency
from services.console.page import Page, page_for
from services.platform.access.origin import CSRF_HEADER
from services.platform.body import JSON, XML, read_body

_PASSED_ON = ("cookie", "host", "authorization", CSRF_HEADER.lower())

EVENTS = (
    Text(en="Chemical release", zh="危险化学品泄漏"),
    Text(en="Gas explosion", zh="燃气爆炸"),
    Text(en="High-rise fire", zh="高层建筑火灾"),
    Text(en="Traffic accident with many casualties", zh="重大道路交通事故"),
    Text(en="Urban flood", zh="城市内涝"),
    Text(en="Severe storm", zh="强对流天气"),
    Text(en="Earthquake", zh="地震"),
    Text(en="Tsunami warning", zh="海啸预警"),
    Text(en="Power outage", zh="大面积停电"),
    Text(en="Disease outbreak", zh="传染病疫情"),
    Text(en="Missing child", zh="儿童走失"),
    Text(en="School emergency", zh="校园突发事件"),
)
"""What is offered while the event is typed; anything else may be typed as well."""
MEASURES = {
    "deaths": Text(en="Dead", zh="死亡人数"),
    "casualties": Text(en="Casualties", zh="伤亡人数"),
    "trapped": Text(en="Trapped", zh="被困人数"),
    "cases": Text(en="Cases", zh="病例数"),
    "age": Text(en="Age, years", zh="年龄（岁）"),
    "quantity_t": Text(en="Quantity, tonnes", zh="泄漏量（吨）"),
    "height_m": Text(en="Height, m", zh="建筑高度（米）"),
    "households": Text(en="Households", zh="受影响户数"),
    "load_lost_percent": Text(en="Load lost, %", zh="减供负荷（%）"),
    "hazards": Text(en="Hazards at once", zh="并发灾种数"),
    "magnitude": Text(en="Magnitude", zh="震级"),
    "intensity": Text(en="Intensity", zh="烈度"),
    "wave_height_m": Text(en="Wave height, m", zh="浪高（米）"),
    "arrival_minutes": Text(en="Minutes to arrival", zh="到达时间（分钟）"),
    "wind_ms": Text(en="Wind, m/s", zh="风速（米/秒）"),
    "rain_mm_h": Text(en="Rain, mm/h", zh="雨强（毫米/时）"),
    "water_depth_m": Text(en="Water depth, m", zh="积水深（米）"),
    "water_above_warning_m": Text(en="Water above warning, m", zh="超警戒水位（米）"),
    "temperature_c": Text(en="Temperature, °C", zh="气温（℃）"),
    "distance_km": Text(en="Distance, km", zh="距离（公里）"),
}
"""What measures that plans decide by are called; a plan's own that isn't here is shown by its name."""


def add_report(site: FastAPI) -> None:
    """Add the pages."""

    @site.get("/report", include_in_schema=False)
    async def report(page: Annotated[Page, page_for(Role.DUTY_OFFICER)]) -> HTMLResponse:
        return page.render(
            "report.html.j2",
            status=Status.EXERCISE if page.world is Namespace.EXERCISE else Status.ACTUAL,
            events=EVENTS,
            severities=list(Severity),
            urgencies=list(Urgency),
            certainties=list(Certainty),
            measures=MEASURES,
        )

    @site.post("/report/preview", include_in_schema=False)
    async def preview(page: Annotated[Page, page_for(Role.DUTY_OFFICER)]) -> HTMLResponse:
        content_type, body = await read_body(page.request, JSON + XML)
        answer = await _ask(page, content_type, body)
        told: dict[str, Any] = answer.json()
        if not answer.is_success:
            return page.render("report_problem.html.j2", code=answer.status_code, problem=told)
        plans = told["plans"]
        at_once = (plan for plan in plans if plan["state"] == "activated")
        first = [order for plan in at_once for order in plan["told"] if not order["after"]]
        return page.render(
            "report_preview.html.j2",
            preview=told,
            answering=sorted((plan for plan in plans if plan["state"]), key=lambda plan: plan["state"] != "activated"),
            unsure=[plan for plan in plans if not plan["state"] and plan["answers"] == "unsure"],
            silent=[plan for plan in plans if not plan["state"] and plan["answers"] == "no"],
            orders=len(first),
            departments=len({order["department"] for order in first}),
        )


async def _ask(page: Page, content_type: str, body: bytes) -> httpx.Response:
    """Ask the API for a preview, as the person who asks for the page."""
    client: httpx.AsyncClient = page.request.app.state.api
    headers = {name: page.request.headers[name] for name in _PASSED_ON if name in page.request.headers}
    answer = await client.post("/v1/incidents/preview", content=body, headers=headers | {"Content-Type": content_type})
    if "json" not in answer.headers.get("content-type", ""):
        return httpx.Response(HTTPStatus.BAD_GATEWAY, json={"detail": answer.reason_phrase})
    return answer
