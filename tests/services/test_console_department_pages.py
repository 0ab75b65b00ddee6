"""A department's pages and the reporting form, as they are written: the browser's side is tested in a browser."""

import json
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from uuid_utils.compat import uuid7

from schemas.vocabulary import Namespace, Role, Status
from services.console.answers import add_answers
from services.console.assets import STATIC
from services.console.icons import make
from services.console.inbox import add_inbox_api
from services.console.pages.department import add_department
from services.console.pages.report import MEASURES, add_report
from services.console.preview import add_preview
from services.console.site import add_console
from services.domain.plan import Call, Condition, Level, Match, Plan, Task
from services.intake.cap import parse_cap
from services.platform.postgres import Pool
from services.playbooks.stored import plan_from
from tests.services.console_world import NOBODY, Door, HandWorld, api, client_for, person
from tests.services.support import publish_shipped, report, shipped

CALLERS = (
    person("Officer Wang", Role.DEPARTMENT, departments=["police"]),
    person("Medic Zhou", Role.DEPARTMENT, departments=["ems"]),
    person("Secretary Li", Role.DEPARTMENT, departments=["city-government"]),
    person("Duty officer Chen", Role.DUTY_OFFICER),
    person("Planner Xu", Role.PLANNER),
)
ROOTS = {"shared": "", "actual": "", "exercise": "/exercise"}
HTML = {"Accept": "text/html"}
CHINESE = {**HTML, "Accept-Language": "zh-CN"}


class Site:
    """One world's site, with a client for each person."""

    def __init__(self, world: HandWorld) -> None:
        self.world = world
        app = api(Door(*CALLERS))
        add_inbox_api(app, world)
        add_answers(app, world)
        add_preview(app, world, parse_cap)
        add_console(app, world.namespace, app.state.access, [add_department, add_report], ROOTS)
        self.clients = {name: client_for(app, name) for name in (*(caller.name for caller in CALLERS), NOBODY)}

    async def read(self, who: str, path: str, *, headers: dict[str, str] = HTML, status: int = 200) -> str:
        found = await self.clients[who].get(path, headers=headers)
        assert found.status_code == status, found.text
        return found.text

    async def order(self, department: str, **given: Any) -> str:
        status = Status.EXERCISE if self.world.namespace is Namespace.EXERCISE else Status.ACTUAL
        rows = await self.world.report(report(status=status, reported_at=self.world.clock.now(), **given))
        return next(str(row["id"]) for row in rows if row["department"] == department)

    async def answer(self, who: str, order: str, answer: str, **words: str) -> None:
        path = f"/v1/assignments/{order}/answers"
        taken = await self.clients[who].post(path, json={"answer": answer, **words})
        assert taken.status_code == 202, taken.text
        await self.world.track()


@pytest.fixture(params=[Namespace.ACTUAL])
async def site(pool: Pool, request: pytest.FixtureRequest) -> AsyncIterator[Site]:
    await publish_shipped(pool)
    site = Site(HandWorld(pool, request.param))
    yield site
    for client in site.clients.values():
        await client.aclose()


in_exercise = pytest.mark.parametrize("site", [Namespace.EXERCISE], indirect=True)


def said(text: str) -> str:
    """What a page says, without its tags."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", text))


def offered(text: str) -> list[tuple[str, str]]:
    """The answers that a page offers, with what each needs."""
    return re.findall(r'data-say="(\w+)" data-needs="(\w*)"', text)


async def test_an_inbox_offers_what_can_be_answered_now(site: Site) -> None:
    order = await site.order("police")
    new = await site.read("Officer Wang", "/departments/police")
    assert "Close the isolation zone" in new
    assert offered(new)[:2] == [("commit", "read_back"), ("decline", "reason")]
    assert "data-deliver" in new
    await site.answer("Officer Wang", order, "commit", read_back="100 m all round")
    committed = await site.read("Officer Wang", "/departments/police/orders")
    assert offered(committed)[:2] == [("start", ""), ("block", "reason")]
    await site.answer("Officer Wang", order, "start")
    await site.answer("Officer Wang", order, "arrive")
    started = await site.read("Officer Wang", "/departments/police/orders")
    assert offered(started)[:2] == [("complete", ""), ("block", "reason")], "nobody arrives twice"
    await site.answer("Officer Wang", order, "complete")
    over = await site.read("Officer Wang", "/departments/police/orders")
    assert offered(over) == []
    assert "Completed" in said(over)


async def test_staff_look_at_an_inbox_and_answer_nothing(site: Site) -> None:
    order = await site.order("police")
    inbox = await site.read("Duty officer Chen", "/departments/police")
    assert "Close the isolation zone" in inbox
    assert offered(inbox) == []
    assert "data-deliver" not in inbox
    assert offered(await site.read("Duty officer Chen", f"/assignments/{order}")) == []


async def test_silence_is_told_in_the_readers_language_and_a_copy_says_whom_to_call(site: Site) -> None:
    await site.order("police")
    await site.world.wait(timedelta(minutes=5))
    inbox = said(await site.read("Officer Wang", "/departments/police", headers=CHINESE))
    assert "已升级至副职 ：未按时应答" in inbox
    copies = await site.read("Secretary Li", "/departments/city-government")
    assert "Copy: Public Security Bureau" in said(copies)
    assert 'href="tel:555-0110"' in copies
    assert offered(copies.partition("Copy: Public Security Bureau")[2].partition("</article>")[0]) == []


async def test_pages_of_others_are_shown_as_a_problem(site: Site) -> None:
    order = await site.order("police")
    assert "no member of police" in said(await site.read("Medic Zhou", "/departments/police", status=403))
    assert "another department" in said(await site.read("Medic Zhou", f"/assignments/{order}", status=403))
    await site.read("Officer Wang", f"/assignments/{uuid7()}", status=404)
    found = await site.clients[NOBODY].get("/departments/police", headers=HTML)
    assert (found.status_code, found.headers["location"]) == (303, "/sign-in?next=/departments/police")


async def test_a_page_passes_on_only_what_can_be_a_departments_name(site: Site) -> None:
    for path in ("/departments/%1a", "/departments/police%3Fstate=all/orders"):
        await site.read("Duty officer Chen", path, status=422)


async def test_an_order_sheet_holds_the_nine_blocks_of_ics_204(site: Site) -> None:
    order = await site.order("police", description="Yellow cloud at the river road")
    await site.answer("Officer Wang", order, "commit", read_back="close 100 m all round")
    sheet = said(await site.read("Officer Wang", f"/assignments/{order}"))
    for part in (
        "1. Incident Chlorine leak at the water works", "2. Operational period", "3. Branch, group Hazardous chemical",
        "4. Operations personnel", "5. Resources assigned", "6. Work assignment Close the isolation zone",
        "7. Special instructions Start with 100 m", "8. Time limits", "9. Prepared by", order, "Officer Wang",
        "Command centre duty captain", "555-0110 ext. 1", "Isolation zone of at least 100 m", "close 100 m all round",
        "Yellow cloud at the river road", "Emergency Management Bureau",
    ):  # fmt: skip
        assert part in sheet, part
    assert "EXERCISE" not in sheet


async def test_the_chinese_sheet_says_the_same(site: Site) -> None:
    order = await site.order("police")
    await site.answer("Officer Wang", order, "commit", read_back="四周封控100米")
    sheet = said(await site.read("Officer Wang", f"/assignments/{order}", headers=CHINESE))
    for part in (
        "应急处置任务单", "封控初始隔离区", "市公安局", "指挥中心值班长", "四周至少100米隔离区已封闭",
        "初始隔离100米", "四周封控100米", "危险化学品泄漏事故专项应急预案", "签字", "已承担", "Officer Wang",
    ):  # fmt: skip
        assert part in sheet, part


@in_exercise
async def test_an_exercise_is_marked_on_every_page_and_on_paper(site: Site) -> None:
    order = await site.order("police")
    inbox = await site.read("Officer Wang", "/departments/police")
    assert 'class="exercise-banner"' in inbox
    assert 'class="order-exercise"' in inbox
    assert 'class="sheet-exercise"' in await site.read("Officer Wang", f"/assignments/{order}")
    form = await site.read("Duty officer Chen", "/report")
    assert '<input type="hidden" name="status" value="Exercise">' in form
    assert "This is an exercise" in form


async def test_the_real_form_says_that_it_is_real(site: Site) -> None:
    form = await site.read("Duty officer Chen", "/report")
    assert '<input type="hidden" name="status" value="Actual">' in form
    assert "This is real" in form
    await site.read("Planner Xu", "/report", status=403)


async def preview(site: Site, **given: Any) -> httpx.Response:
    told = {"status": "Actual", "message_type": "Alert", "reported_by": "desk", **given}
    return await site.clients["Duty officer Chen"].post("/report/preview", json=told, headers=HTML)


async def test_the_form_shows_who_would_be_told_what(site: Site) -> None:
    found = await preview(site, categories=["CBRNE"], event="Chlorine leak", severity="Severe", urgency="Immediate",
                          certainty="Observed", areas=[{"description": "Riverside"}])  # fmt: skip
    assert found.status_code == 200, found.text
    text = said(found.text)
    assert "Public Security Bureau Close the isolation zone 1m 3m 15m" in text
    assert re.search(r"At once: (\d+) orders to (\d+) departments", text)
    assert "after Set up the command post upwind; Identify the substance" in text
    assert 'data-asks="deaths' in found.text


async def test_the_form_says_what_can_not_be_reported(site: Site) -> None:
    none = await preview(site, categories=["Other"], event="Nothing that a plan knows")
    assert "No plan answers" in said(none.text)
    wrong = await preview(site, categories=["Fire"], severity="Awful")
    assert wrong.status_code == 422
    assert "severity" in said(wrong.text)


def conditions_of(plan: Plan) -> list[Condition]:
    holders: list[Match | Level | Task | Call] = [plan.match, *plan.levels, *plan.tasks.values(), *plan.calls]
    return [holder.when for holder in holders if holder.when is not None]


async def test_the_form_knows_every_figure_that_a_shipped_plan_decides_by() -> None:
    sources = [
        condition.source
        for _, _, _, document in shipped().plans
        for plan in [plan_from(json.loads(document))]
        for condition in conditions_of(plan)
    ]
    read = {name for source in sources for name in re.findall(r"\bparameters\.(\w+)", source)}
    assert {name.lower() for name in read} <= MEASURES.keys(), "a feed may write a name with a capital letter"


async def test_a_phone_can_keep_the_site_as_an_app(site: Site) -> None:
    manifest = json.loads(await site.read(NOBODY, "/manifest.webmanifest"))
    assert (manifest["start_url"], manifest["scope"], manifest["display"]) == ("/orders", "/", "standalone")
    for icon in manifest["icons"]:
        name = icon["src"].partition("?")[0].rpartition("/")[2]
        data = (STATIC / name).read_bytes()
        if name.endswith("png"):
            side = int.from_bytes(data[16:20], "big")
            assert icon["sizes"] == f"{side}x{side}"
    own = await site.clients["Officer Wang"].get("/orders", headers=HTML)
    assert own.headers["location"] == "/departments/police"


async def test_the_service_worker_keeps_the_shell_and_nothing_of_the_record(site: Site) -> None:
    text = await site.read(NOBODY, "/sw.js")
    shell = json.loads(text.partition("const SHELL = ")[2].partition(";\n")[0])
    assert shell["elsewhere"] == ["/exercise/"]
    assert all(path.startswith("/static/") and "?v=" in path for path in shell["files"])
    assert "cache.put" in text
    assert "/v1" not in text.partition("*/")[2], "the record is never looked for in what is kept"
    offline = await site.read(NOBODY, shell["offline"])
    assert "No connection" in offline
    assert "data-live" not in offline.partition("<body")[2].partition(">")[0].replace("data-live-word", "")


def test_the_committed_pictures_are_the_drawings(tmp_path: Path) -> None:
    for made in make(tmp_path):
        assert made.read_bytes() == (STATIC / made.name).read_bytes(), made.name


async def test_the_directory_page_shows_whom_to_call(site: Site) -> None:
    own = said(await site.read("Officer Wang", "/departments"))
    assert "Command centre duty captain" in own
    assert "Control room watch commander" not in own, "another department's persons"
    assert "555-0119" in own
    staff = said(await site.read("Duty officer Chen", "/departments"))
    assert "Control room watch commander" in staff
