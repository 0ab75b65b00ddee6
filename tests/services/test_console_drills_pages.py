"""The planner's pages: what a drill can be asked for is there for whom it is, and pages say what the record says."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from uuid_utils.compat import uuid7

from schemas.vocabulary import Namespace, Role
from services.console.inbox import add_inbox_api
from services.console.pages import plots
from services.console.pages.drill_words import offset, share, span
from services.console.pages.drills import add_drills_pages
from services.console.pages.scorecards import add_scorecards
from services.console.scorecards import add_scorecards_api
from services.console.site import add_console
from services.drills.http import add_drills
from services.platform.postgres import Pool
from tests.services.console_world import Door, HandWorld, api, client_for, person
from tests.services.drill_history import DRILL, HOSTILE, INCIDENT, at, document, write_drill
from tests.services.support import PLAYBOOKS, publish_shipped
from tests.services.test_console_drills import Stage, controlled, under_way

CALLERS = (
    person("Planner Xu", Role.PLANNER),
    person("Evaluator Zhao", Role.EVALUATOR),
    person("Auditor Qi", Role.AUDITOR),
    person("Medic Zhou", Role.DEPARTMENT, departments=["water"]),
)
ROOTS = {"shared": "", "actual": "", "exercise": "/exercise"}
URL = f"/drills/{DRILL}"


@pytest.fixture
def app(pool: Pool) -> FastAPI:
    world = HandWorld(pool, Namespace.EXERCISE)
    made = api(Door(*CALLERS))
    add_inbox_api(made, world)
    add_scorecards_api(made, pool, world.namespace)
    add_drills(made, pool, world.playbook, PLAYBOOKS, launcher=Stage())
    add_console(made, world.namespace, made.state.access, [add_drills_pages, add_scorecards], ROOTS)
    return made


@asynccontextmanager
async def reader(app: FastAPI, who: str, language: str = "en") -> AsyncIterator[httpx.AsyncClient]:
    async with client_for(app, who) as client:
        client.cookies.set("muster_language", language)
        client.headers["Accept"] = "text/html"
        yield client


async def read(app: FastAPI, who: str, path: str, language: str = "en", status: int = 200) -> str:
    async with reader(app, who, language) as client:
        answer = await client.get(path)
        assert answer.status_code == status, answer.text
        return answer.text


def said(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page))


async def test_the_overview_offers_what_can_be_played_and_what_must_be(pool: Pool, app: FastAPI) -> None:
    await publish_shipped(pool)
    page = await read(app, "Planner Xu", "/drills")
    assert 'data-open="start-chemical-release"' in page
    assert 'data-open="start-dispatch-dies"' not in page, "it kills services that others use"
    assert "overdue" in said(page)
    assert "No drill is on record yet." in said(page)
    looked_at = await read(app, "Auditor Qi", "/drills", "zh")
    assert 'data-open="start-' not in looked_at
    assert "应演练预案" in looked_at
    await read(app, "Medic Zhou", "/drills", status=403)


async def test_the_control_room_shows_each_inject_and_what_may_be_done(pool: Pool, app: FastAPI) -> None:
    await under_way(pool)
    manual = {
        "id": "caller",
        "kind": "message",
        "of": "water-rises",
        "manual": True,
        "title": {"en": "A caller's <b>word</b>", "zh": "来电"},
        "expectation": {"en": "Passed on", "zh": "转告"},
        "says": {"en": "Hello", "zh": "喂"},
    }
    first = document().injects[0].model_dump(mode="json")
    await pool.execute("UPDATE drills SET document = $1", document(injects=[first, manual]).model_dump_json())
    async with controlled(pool, DRILL):
        page = await read(app, "Planner Xu", URL)
        assert 'id="play-caller"' in page
        assert "A caller&#39;s &lt;b&gt;word&lt;/b&gt;" in page
        assert 'id="to-pause"' in page
        assert "waits for you" in said(page)
        part = await read(app, "Auditor Qi", f"{URL}/now", "zh")
        assert "<html" not in part
        assert 'id="to-pause"' not in part, "who only looks is offered nothing to press"
        assert "等待人工注入" in part
        real = "INSERT INTO inbox (event_id, incident_id, status, type, outcome, reason, topic, partition, position,"
        await pool.execute(
            f"{real} decided_at) VALUES ($1, $1, 'Actual', 'muster.incident', 'activated', '', 't', 0, 0, now())",
            uuid7(),
        )
        assert "A real incident came in meanwhile" in said(await read(app, "Planner Xu", URL))
    broken = await read(app, "Planner Xu", URL)
    assert "Nobody plays this drill any more" in said(broken)
    assert 'id="to-stop"' not in broken


async def test_a_page_that_watches_a_drill_is_read_anew_at_its_end(pool: Pool, app: FastAPI) -> None:
    await write_drill(pool)
    async with reader(app, "Planner Xu") as client:
        assert (await client.get(f"{URL}/now")).headers["HX-Refresh"] == "true"


@pytest.mark.parametrize(("language", "words"), [("en", "orders never answered"), ("zh", "任务从未应答")])
async def test_a_drill_that_is_over_shows_its_numbers_and_ways_out(
    pool: Pool, app: FastAPI, language: str, words: str
) -> None:
    await write_drill(pool, title=HOSTILE)
    await pool.execute("UPDATE drills SET real_incidents = 3")
    page = await read(app, "Evaluator Zhao", URL, language)
    assert words in said(page)
    assert "<script>alert" not in page
    for way in ("report.html", "report.pdf", "export"):
        assert f"/v1/drills/{DRILL}/{way}" in page
    assert 'data-open="rate"' in page
    assert re.search(r"<b class=\"never-word\">3</b>", page)
    assert 'data-open="rate"' not in await read(app, "Auditor Qi", URL, language)


async def test_a_page_passes_on_only_what_can_be_an_id_or_a_name(app: FastAPI) -> None:
    for path in ("/drills/%1a", "/drills/%1a/now", "/drills/x%3Fa=b/timeline", "/scorecards/%1b", "/scorecards/a%3Fb"):
        await read(app, "Planner Xu", path, status=422)


async def test_corrections_are_made_at_the_entry_and_stay_visible(pool: Pool, app: FastAPI) -> None:
    await write_drill(pool)
    async with reader(app, "Evaluator Zhao") as client:
        page = (await client.get(f"{URL}/timeline?department=traffic")).text
        entry = re.findall(r'<tr id="e-([0-9a-f-]+)"', page)[-1]
        assert "&#34;entry_id&#34;" in page
        told = {"entry_id": entry, "note": "Seen from the bridge", "reason": "two witnesses"}
        assert (await client.post(f"/v1/drills/{DRILL}/corrections", json=told)).status_code == 201
        assert "Seen from the bridge (two witnesses)" in said((await client.get(f"{URL}/timeline")).text)


async def test_a_long_timeline_is_turned_by_the_page(pool: Pool, app: FastAPI) -> None:
    await write_drill(pool)
    await pool.execute(
        "INSERT INTO timeline (entry_id, incident_id, status, entry, attention, detail, occurred_at, recorded_at)"
        " SELECT gen_random_uuid(), $1, 'Exercise', 'progress_noted', false, '{}', $2, $2"
        " FROM generate_series(1, 600)",
        INCIDENT,
        at(3),
    )
    count = await pool.fetchval("SELECT count(*) FROM timeline WHERE recorded_at <= $1", at(10))
    async with reader(app, "Auditor Qi") as client:
        first = (await client.get(f"{URL}/timeline")).text
        (following,) = re.findall(r'rel="next" href="([^"]+)"', first)
        second = (await client.get(f"{URL}/timeline{unescape(following)}")).text
        assert 'rel="next"' not in second
        assert "From the beginning" in second
        over = (await client.get(URL)).text
        cut = (await client.get(f"/v1/drills/{DRILL}/report.html")).text
    ids = re.findall(r'<tr id="e-([0-9a-f-]+)"', first + second)
    assert (len(ids), len(set(ids))) == (count, count)
    assert f"({count})" in over
    assert f"Entries 1-500 of {count}" in cut


async def test_two_drills_are_compared_in_words_numbers_and_pictures(pool: Pool, app: FastAPI) -> None:
    await write_drill(pool)
    second = uuid7()
    await pool.execute(
        "INSERT INTO drills (id, drill, version, document, status, seed, speed, clock_start, started_at, ended_at,"
        " ending, incident_ids) SELECT $1, drill, version, document, status, 8, 30, clock_start, started_at,"
        " ended_at, ending, incident_ids FROM drills",
        second,
    )
    page = await read(app, "Planner Xu", f"/drills/compare?base={DRILL}&candidate={second}", "zh")
    assert "倍速不同" in page, "what weighs on it is said in the reader's language"
    assert page.count('<svg class="forest') >= 4
    assert re.search(r"无法判定|样本不足", page)
    choose = await read(app, "Planner Xu", "/drills/compare")
    assert choose.count("<option") == 4
    odd = await read(app, "Planner Xu", f"/drills/compare?base={uuid7()}&candidate={second}")
    assert "there is none on record" in odd
    assert "insufficient data" in said(await read(app, "Planner Xu", "/drills/trend?plan=river-flood"))
    assert "No drill of it" in said(await read(app, "Planner Xu", "/drills/trend?plan=other"))


async def test_an_overdue_item_is_marked_and_offers_what_can_be_done(pool: Pool, app: FastAPI) -> None:
    await write_drill(pool)
    async with reader(app, "Evaluator Zhao") as client:
        own = {"drill_id": str(DRILL), "title": "Buy radios", "owner": "fire", "due": "2020-01-01"}
        assert (await client.post("/v1/improvements", json=own)).status_code == 201
        page = (await client.get("/improvements")).text
    assert "Buy radios" in page
    assert 'class="card item overdue"' in page
    assert 'data-open="close-item"' in page
    assert 'data-open="close-item"' not in await read(app, "Auditor Qi", "/improvements?state=overdue")


async def test_scorecards_say_who_is_meant_and_who_never_responded(pool: Pool, app: FastAPI) -> None:
    await write_drill(pool)
    await pool.execute("UPDATE drills SET seats = $1::jsonb", json.dumps({"water": "real"}))
    page = said(await read(app, "Planner Xu", "/scorecards?months=60"))
    assert "Scorecards: drills" in page
    assert "were answered by a simulation" in page
    assert "1 100 %" in page, "one order of the water works was never answered"
    own = await read(app, "Medic Zhou", "/scorecards/water?months=60", "zh")
    assert '<path class="never"' in own
    await read(app, "Medic Zhou", "/scorecards/fire", status=403)


# Pictures


def test_a_spark_leaves_a_gap_where_nothing_is_told_and_marks_never() -> None:
    drawn = plots.spark([10.0, 20.0, None, "never", 5.0], width=100, height=30)
    assert len(drawn.lines) == 1, "one run of two points"
    assert len(drawn.dots) == 3
    assert len(drawn.nevers) == 1
    low, high = (min(drawn.dots, key=lambda dot: -dot[1]), min(drawn.dots, key=lambda dot: dot[1]))
    assert (low[0], high[0]) == (95.0, 27.5), "the smallest is the lowest"
    assert plots.spark([]).dots == ()


def test_curves_end_where_the_share_ends_and_share_one_scale() -> None:
    drawn = plots.curves({"base": [(10.0, 0.5), (20.0, 1.0)], "candidate": [(10.0, 0.5)]})
    assert drawn.ticks[-1].value == 20.0
    assert drawn.base.endswith("V10.0H710.0")
    assert drawn.candidate.endswith("V84.0H710.0"), "half of them never answered"
    assert plots.curves({"base": [], "candidate": []}).base == ""


def test_who_never_answered_stands_apart() -> None:
    orders: list[dict[str, Any]] = [
        {"took": took, "within": within, "issued_at": "2026-06-01T08:00:00Z", "task": "triage"}
        for took, within in ((5.0, True), (90.0, False), ("never", False), (None, None))
    ]
    drawn = plots.dots(orders)
    assert [dot.kind for dot in drawn.dots] == ["kept", "late", "never"]
    assert drawn.dots[2].x > drawn.never_from > drawn.dots[1].x


def test_an_interval_stands_where_its_probability_is() -> None:
    row = plots.forest({"value": 0.5, "interval": [0.25, 1.0]}, "cant_tell")
    assert (row.value, row.low, row.high) == (row.half, 48.0, row.right)
    assert plots.forest({"value": None, "interval": None}, "insufficient_data").low is None


@pytest.mark.parametrize(
    ("seconds", "written"),
    [(4.24, "4.2 s"), (31, "31 s"), (59.6, "1:00"), (187, "3:07"), (3900, "1:05:00"), (-75, "-1:15"), (259_200, "3 d")],
)
def test_a_span_is_read_at_a_glance(seconds: float, written: str) -> None:
    assert span(seconds) == written


def test_only_all_is_a_hundred_per_cent_and_only_none_is_nought() -> None:
    assert [share(value) for value in (1.0, 0.999, 0.001, 0.0, None)] == ["100 %", "99 %", "1 %", "0 %", "–"]
    assert (offset(270), offset(None)) == ("T+0:04:30", "–")
