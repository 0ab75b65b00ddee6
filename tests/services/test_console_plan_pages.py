"""The planner's pages as they are written, in both languages: drawings, conditions in words, charts, changes."""

import asyncio
import re
from collections.abc import AsyncIterator
from html import unescape
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from schemas.vocabulary import Namespace, Role
from services.console.assets import STATIC
from services.console.page import TEMPLATES
from services.console.pages.plan_charts import curve, worths
from services.console.pages.plan_conditions import Said, flat, in_words
from services.console.pages.plan_graph import WIDTH, draw, place, shorten
from services.console.pages.plan_words import path_in_words, span, value_in_words
from services.console.pages.plans import add_plans
from services.console.plans import add_plans_api
from services.console.preview import add_preview
from services.console.site import add_console
from services.drills.http_simulate import add_simulate
from services.intake.cap import parse_cap
from services.platform.postgres import Pool
from services.platform.published import publish
from services.playbooks.plans import canonical, digest, parse_plan, written_conditions
from tests.playbooks.sample import PLAN, TODAY, directory, rewritten
from tests.services.console_world import NOBODY, Door, HandWorld, api, client_for, person
from tests.services.support import publish_shipped

CALLERS = (
    person("Planner Xu", Role.PLANNER),
    person("Auditor Wang", Role.AUDITOR),
    person("Medic Zhou", Role.DEPARTMENT, departments=["ems"]),
)
ROOTS = {"shared": "", "actual": "", "exercise": "/exercise"}
SHIPPED = sorted((Path(__file__).parents[2] / "playbooks" / "plans").glob("*.yaml"))
LEAK = {"categories": ["CBRNE"], "event": "Chlorine leak", "severity": "Severe", "urgency": "Immediate",
        "certainty": "Observed", "areas": [{"description": "Park"}], "parameters": {"quantity_t": 2.5}}  # fmt: skip


class Site:
    """The site with the planner's pages, and a client for each person."""

    def __init__(self, pool: Pool) -> None:
        app = api(Door(*CALLERS))
        add_plans_api(app, pool, pool, today=lambda: TODAY)
        self.simulations = add_simulate(app, pool)
        add_preview(app, HandWorld(pool), parse_cap)
        add_console(app, Namespace.ACTUAL, app.state.access, [add_plans], ROOTS)
        self.clients = {name: client_for(app, name) for name in (*(caller.name for caller in CALLERS), NOBODY)}

    async def read(self, path: str, who: str = "Planner Xu", language: str = "en", status: int = 200) -> str:
        headers = {"Accept": "text/html", "Accept-Language": language}
        found = await self.clients[who].get(path, headers=headers)
        assert found.status_code == status, found.text
        assert "style=" not in found.text, "the pages may have no inline styles"
        return found.text

    async def post(self, path: str, body: str | dict[str, Any], language: str = "en") -> httpx.Response:
        headers = {"Accept": "text/html", "Accept-Language": language}
        if isinstance(body, str):
            return await self.clients["Planner Xu"].post(
                path, content=body, headers=headers | {"Content-Type": "text/plain"}
            )
        return await self.clients["Planner Xu"].post(path, json=body, headers=headers)


@pytest.fixture
async def site(pool: Pool) -> AsyncIterator[Site]:
    site = Site(pool)
    yield site
    await site.simulations.drain()
    for client in site.clients.values():
        await client.aclose()


async def put_into_force(pool: Pool, text: str) -> None:
    wording, words = parse_plan(text, "plan.yaml")[0], directory()
    await publish(pool, [(digest(wording), wording.id, wording.version, canonical(wording))],
                  (digest(words), canonical(words)))  # fmt: skip


def said(text: str) -> str:
    """The words of a page."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", text)).split())


async def test_the_catalogue_shows_plans_and_marks_overdue_reviews(site: Site, pool: Pool) -> None:
    await put_into_force(pool, rewritten("review_by: 2027-03-31", "review_by: 2026-01-31"))
    english, chinese = await site.read("/plans"), await site.read("/plans", language="zh-CN")
    assert "River flood" in said(english)
    assert "河流洪水" in said(chinese)
    assert "chip-overdue" in english
    assert "Reviews overdue: 1" in said(english)
    assert "River flood" in await site.read("/plans?category=Met&kind=special&late=true")
    assert "No plan in force is like that" in await site.read("/plans?category=Fire")
    await site.read("/plans", who="Medic Zhou", status=403)
    await site.read("/plans", who=NOBODY, status=303)


async def test_a_plan_is_drawn_and_told_in_words(site: Site, pool: Pool) -> None:
    await put_into_force(pool, PLAN)
    shown = await site.read("/plans/river-flood")
    words = said(shown)
    assert shown.count('<g class="task ') == 4, "every task, report and stand-down task has a bar"
    assert shown.count("marker-end=") == 1, "the road waits for the watch"
    for expected in (
        "severity at least Moderate",
        "depth > 2.5",
        "2 of Department of fire, Department of water, Department of traffic",
        "Department of police → Department of traffic",
        "+1 min reminder",
        "1 h from the report",
        "County rules",
        "alarmed after 10 min without a decision",
    ):
        assert expected in words, expected
    chinese = said(await site.read("/plans/river-flood", language="zh-CN"))
    for expected in ("严重程度不低于“较重”", "需2家", "1分 催办", "自接报起", "县级规定"):
        assert expected in chinese, expected
    first = await site.read("/plans/river-flood?level=standby")
    assert first.count('<g class="task ') == 1, "only the watch is asked for on standby"
    await site.read("/plans/no-such-plan", status=404)
    assert "Try it" not in await site.read("/plans/river-flood", who="Auditor Wang")


@pytest.mark.parametrize("language", ["en", "zh-CN"])
async def test_every_shipped_plan_has_its_page(site: Site, pool: Pool, language: str) -> None:
    await publish_shipped(pool)
    for file in SHIPPED:
        shown = await site.read(f"/plans/{file.stem}", language=language)
        assert shown.count('<svg class="chart plan-graph"') == 2
        assert "lints clean" in shown or "检查通过" in shown


async def test_what_changed_stands_side_by_side(site: Site, pool: Pool) -> None:
    await put_into_force(pool, PLAN)
    newer = rewritten("version: 1", "version: 2").replace("deputies: [traffic]", "deputies: [fire]")
    await put_into_force(pool, newer.replace("complete: 1h30m", "complete: 2h"))
    shown = await site.read("/plans/river-flood/changes?from=1&to=2")
    assert "Role “Cordon” › deputies" in said(shown)
    assert "<del>Department of traffic</del>" in shown
    assert "<ins>Department of fire</ins>" in shown
    assert "<ins>2 h</ins>" in shown
    assert "任务 “封闭道路”›时限›完成" in said(
        await site.read("/plans/river-flood/changes?from=1&to=2", language="zh-CN")
    )
    assert "The two say the same" in await site.read("/plans/river-flood/changes?from=2&to=2")
    assert "This version is not in force" in await site.read("/plans/river-flood?version=1")
    await site.read("/plans/river-flood/changes?from=1&to=7", status=404)


async def test_a_pasted_text_is_checked_with_a_way_to_each_line(site: Site, pool: Pool) -> None:
    await put_into_force(pool, PLAN)
    assert "data-check=" in await site.read("/plans/check")
    found = await site.post("/plans/check", rewritten("department: police", "department: polise"))
    assert re.search(r'data-line="\d+"', found.text)
    assert "did you mean" in said(found.text)
    assert "What it changes" in said(found.text)
    bad = await site.post("/plans/check", "id: a\n\tb: c\n", language="zh-CN")
    assert (bad.status_code, "line 2: a tab is used to indent" in bad.text) == (200, True)
    clean = await site.post("/plans/check", rewritten("id: river-flood", "id: lake-flood"))
    assert "a new plan" in said(clean.text)


async def test_an_incident_is_tried_on_a_plan(site: Site, pool: Pool) -> None:
    await publish_shipped(pool)
    form = await site.read("/plans/hazardous-chemical-release/try")
    assert 'name="report.parameters.quantity_t"' in form
    assert 'name="confirm_after"' not in form, "an automatic plan waits for nobody"
    told = await site.post("/plans/hazardous-chemical-release/try", LEAK)
    assert "This plan answers" in said(told.text)
    assert "Close the isolation zone" in said(told.text)
    other = await site.post("/plans/missing-child/try", LEAK, language="zh-CN")
    assert "本预案不会自行响应" in said(other.text)
    bad = await site.post("/plans/missing-child/try", LEAK | {"severity": "Bad"})
    assert (bad.status_code, "severity" in bad.text) == (200, True)
    await site.read("/plans/missing-child/try", who="Auditor Wang", status=403)


async def test_a_simulation_is_followed_and_shown_as_charts(site: Site, pool: Pool) -> None:
    await publish_shipped(pool)
    plan = "hazardous-chemical-release"
    asked = (await site.post(f"/v1/plans/{plan}/simulate", {"report": LEAK, "runs": 40})).json()
    page = f"/plans/{plan}/simulations/{asked['id']}"
    waiting = await site.read(page)
    assert 'hx-trigger="load delay' in waiting
    simulation = site.simulations.find(asked["id"])
    assert simulation is not None
    await asyncio.wait_for(simulation.ended.wait(), 90)
    shown, words = await site.read(page), said(await site.read(page))
    assert "hx-trigger" not in shown
    assert shown.count('<svg class="chart curve"') == 2
    assert "n = 40" in words
    assert {"p50", "p90", "p95", "Never"} <= set(words.split())
    assert "mean" not in words.split()
    assert "Quantity, tonnes = 2.5" in words
    assert "每个替补与轮询单位的作用" in await site.read(f"{page}/now", language="zh-CN")
    await site.read(f"/plans/{plan}/simulations/{'0' * 32}", status=404)


@pytest.mark.parametrize(
    ("source", "en", "zh"),
    [
        ("severity_rank >= 3", "severity at least Severe", "严重程度不低于“严重”"),
        ('urgency == "Immediate" && hour >= 7', "urgency is Immediate and at 07:00 or later", None),
        ("has(parameters.deaths) && parameters.deaths >= 10.0", "Dead ≥ 10", "死亡人数 ≥ 10"),
        ("!has(parameters.age) || parameters.age >= 3.0", "Age, years not known or Age, years ≥ 3", None),
        ("parameters.temperature_c <= -5.0", "Temperature, °C ≤ -5", None),
        ('parameters["wind speed"] > 3.5', "wind speed > 3.5", None),
        ("size(areas) >= 5", "at least 5 areas are named", None),
        ('categories.exists(c, c == "Fire" || c == "Met")', "category Fire or Meteorological", "类别为火灾或气象"),
        ('headline.matches("(?i).*(flood|rain).*") || headline.contains("暴雨")',
         "the headline mentions “flood”, “rain”, “暴雨”", None),
        ('event.contains("a") && event.contains("b")', "the event mentions “a” and the event mentions “b”", None),
        ('!(event.contains("a") || event.contains("b"))',
         "not: the event mentions “a”, “b”", "除非：事件名称提到“a”、“b”"),
        ('severity_rank >= 3 && headline.matches("a[bc]d")',
         'severity at least Severe and headline.matches("a[bc]d")', None),
        ("matches(x) || hour < 5", "matches(x) or before 05:00", None),
        ("a.b == 3 ? true : false", "a.b == 3 ? true:false", None),
        ("hour != 3", "hour != 3", None),
        ("((", "((", None),
    ],
)  # fmt: skip
def test_conditions_are_said_in_words_or_left_as_they_are_written(source: str, en: str, zh: str | None) -> None:
    words = in_words(source)
    assert flat(words, "en").replace(" ", "") == en.replace(" ", "")
    if zh is not None:
        assert flat(words, "zh") == zh


def pieces(words: Said) -> list[Said]:
    return [words] if words.text else [piece for part in words.parts for piece in pieces(part)]


def test_nearly_every_condition_that_is_shipped_has_words() -> None:
    found = [
        piece
        for file in SHIPPED
        for _, source in written_conditions(parse_plan(file.read_text(encoding="utf-8"), str(file))[0])
        for piece in pieces(in_words(source))
    ]
    assert len(found) > 200
    assert sum(piece.code for piece in found) <= 0.02 * len(found)


def task(name: str, begins: int, ends: int, *after: str, role: str = "cordon") -> dict[str, Any]:
    return {"id": name, "role": role, "begins": begins, "ends": ends, "acknowledge": "1m", "start": "5m",
            "complete": "1h", "after": list(after), "kind": "task"}  # fmt: skip


def test_bars_lie_within_the_drawing_and_time_runs_to_the_right() -> None:
    tasks = [task("a", 0, 3_600), task("b", 3_600, 90_000, "a", role="boats"), task("c", 0, 60)]
    graph = draw(tasks, ["cordon", "boats", "nobody"], {"a": "A" * 500, "b": "疏散" * 90, "c": "C"})
    bars = {bar.task["id"]: bar for lane in graph.lanes for bar in lane.bars}
    assert [lane.role for lane in graph.lanes] == ["cordon", "boats"]
    for bar in bars.values():
        assert 0 <= bar.begins < bar.answered <= (bar.started or bar.ends) <= bar.ends <= WIDTH
        assert bar.label.endswith("…") or len(bar.label) == 1
    assert bars["a"].ends == bars["b"].begins
    assert [arrow.before for arrow in graph.arrows] == ["a"]
    ticks = [tick.x for tick in graph.ticks]
    assert all(left < right for left, right in pairwise(ticks))
    assert place(90_000, 90_000) > place(3_600, 90_000) > place(60, 90_000) > place(0, 90_000)
    assert shorten("short", 200) == "short"


def test_a_curve_that_some_never_reach_stays_below_the_top() -> None:
    drawn = curve([float(each) for each in range(1, 91)] + [None] * 10, 0.1)
    assert drawn is not None
    assert [mark.percent for mark in drawn.marks] == [50, 90], "the 95th never comes"
    heights = [float(point.split(",")[1]) for point in drawn.line.split()]
    assert heights == sorted(heights, reverse=True)
    assert drawn.never is not None
    assert abs(min(heights) - drawn.never) < 1
    assert curve([None] * 100, 1.0) is None


def test_the_most_missed_candidate_comes_first() -> None:
    def candidate(name: str, difference: float, without: float | str | None) -> dict[str, Any]:
        return {"department": name, "called_in": 0.5, "completion_p90": {"with": 600.0, "without": without},
                "runs_with_unfilled_task": {"with": 0.0, "without": difference, "difference": difference}}  # fmt: skip

    rows = worths([candidate("a", 0.0, 600.0), candidate("b", 0.2, "never"), candidate("c", 0.0, 1_200.0)])
    assert [row.candidate["department"] for row in rows] == ["b", "a", "c"]
    assert [(row.before, row.after) for row in rows] == [(0.5, None), (0.5, 0.5), (0.5, 1.0)]


def test_spans_and_places_are_said_as_people_say_them() -> None:
    assert [span(value, "en") for value in ("1h30m", "90s", "180d", 0, 5_400.4)] == [
        "1 h 30 min",
        "1 min 30 s",
        "180 d",
        "0 s",
        "1 h 30 min",
    ]
    assert span("1h30m", "zh") == "1小时30分"
    assert path_in_words("match.minimum.severity", {}, "en") == "when it answers › at least › severity"
    assert path_in_words("tasks[x].unheard_of", {"x": "Watch"}, "en") == "Task “Watch” › unheard_of"
    assert value_in_words("roles[a].deputies", "police, fire", {"police": "Police"}, "en") == "Police, fire"
    assert value_in_words("levels", "nothing", {}, "en") == "–"
    assert value_in_words("levels", None, {}, "en") is None


def test_the_pages_files_are_there_and_have_no_inline_script() -> None:
    assert {"plans.css", "plans.js"} <= {file.name for file in STATIC.iterdir()}
    for name in TEMPLATES.list_templates(filter_func=lambda name: name.startswith("plan")):
        source, *_ = TEMPLATES.loader.get_source(TEMPLATES, name) if TEMPLATES.loader else ("",)
        assert "style=" not in source
        assert not re.search(r"<script(?! src=)", source)
        assert not re.search(r"\son\w+=", source)
