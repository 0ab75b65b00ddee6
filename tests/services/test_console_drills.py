"""Drills over HTTP: read, started, controlled, corrected, rated, compared, scheduled, taken out and brought in."""

import asyncio
import io
import json
import secrets
import zipfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest
from fastapi import FastAPI
from uuid_utils.compat import uuid7

from schemas.timeline import Entry
from schemas.vocabulary import Namespace, Role
from services.drills.control import requests, settle
from services.drills.corrections import correct
from services.drills.http import add_drills
from services.drills.outside import participants
from services.drills.reading import read_report
from services.drills.record import Ending, begin, end, read_drill, sql
from services.drills.starting import Launch, Settle
from services.platform.cursor import write_cursor
from services.platform.postgres import Pool, connect
from services.platform.published import PublishedPlaybook
from services.platform.rights import role_name
from services.playbooks.stored import directory_from, plan_from
from tests.conftest import TEMPLATE, database_named
from tests.playbooks.sample import directory
from tests.services.console_world import NOBODY, Door, api, client_for, person
from tests.services.drill_history import DRILL, INCIDENT, History, at, document, write_drill
from tests.services.support import PLAYBOOKS, publish_shipped

PLANNER = person("Wang Li", Role.PLANNER)
EVALUATOR = person("Zhao Min", Role.EVALUATOR)
AUDITOR = person("Audit", Role.AUDITOR)
MEDIC = person("medic", Role.DEPARTMENT, departments=["ems"])
URL = f"/v1/drills/{DRILL}"


class Stage:
    """Stands where the processes of drills are started: remembers what it was asked, and can say how it went."""

    def __init__(self) -> None:
        self.launched: list[Launch] = []
        self.settles: list[Settle] = []

    def launch(self, launch: Launch, settle: Settle) -> None:
        self.launched.append(launch)
        self.settles.append(settle)


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture
async def app(database: str, stage: Stage) -> AsyncIterator[FastAPI]:
    """The exercise's API, on connections that are held to the exercise."""
    held = await connect(database, size=4, role=role_name(Namespace.EXERCISE))
    made = api(Door(PLANNER, EVALUATOR, AUDITOR, MEDIC))
    add_drills(made, held, PublishedPlaybook(held, plan_from, directory_from), PLAYBOOKS, launcher=stage)
    yield made
    await held.close()


@asynccontextmanager
async def clients(app: FastAPI, *names: str) -> AsyncIterator[list[httpx.AsyncClient]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(client_for(app, name)) for name in names]


@pytest.fixture
async def planner(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with client_for(app, PLANNER.name) as client:
        yield client


@asynccontextmanager
async def controlled(pool: Pool, drill: UUID, refused: str | None = None) -> AsyncIterator[list[str]]:
    """A drill's process: it holds the drill, and takes whatever it is asked."""
    taken: list[str] = []

    async def take() -> None:
        while True:
            for each in await requests(pool, drill):
                taken.append(f"{each.action} {each.inject or '-'} by {each.by}: {each.reason or '-'}")
                await settle(pool, each, refused)
            await asyncio.sleep(0.02)

    async with pool.acquire() as connection:
        await connection.execute(sql("hold_drill"), drill)
        work = asyncio.create_task(take())
        try:
            yield taken
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)


async def under_way(pool: Pool) -> History:
    """A drill that has begun and not ended."""
    await write_drill(pool)
    await pool.execute("UPDATE drills SET ended_at = NULL, ending = NULL")
    return History(pool)


# Reading


async def test_a_drill_is_listed_and_shown_whole(pool: Pool, planner: httpx.AsyncClient) -> None:
    await write_drill(pool)
    (line,) = (await planner.get("/v1/drills")).json()["items"]
    assert (line["id"], line["state"], line["ending"], line["title"]["zh"]) == (str(DRILL), "over", "finished", "洪水")
    answer = await planner.get(URL)
    shown = answer.json()
    assert shown["clock"] == {
        "start": at(0).isoformat().replace("+00:00", "Z"),
        "now": None,
        "elapsed": 600,
        "duration": 1800,
        "speed": 60,
        "paused": False,
    }
    (inject,) = shown["injects"]
    assert (inject["state"], inject["expected"], inject["played_after"]) == ("played", "evaluator", 0)
    departments = {each["id"]: each for each in shown["departments"]}
    assert departments["water"]["orders"] == 2
    assert departments["water"]["late"] == 1
    assert departments["traffic"]["blocked"] == 1
    assert [each["id"] for each in shown["opened"]] == [str(INCIDENT)]
    tag = answer.headers["ETag"]
    assert tag.startswith('W/"')
    assert (await planner.get(URL, headers={"If-None-Match": tag})).status_code == 304


async def test_the_list_goes_on_where_a_page_ended(pool: Pool, planner: httpx.AsyncClient) -> None:
    await write_drill(pool)
    for hours in range(1, 4):
        await pool.execute(
            "INSERT INTO drills (id, drill, version, document, status, seed, speed, clock_start, started_at, ended_at,"
            " ending) SELECT $1, drill, version, document, status, seed, speed, clock_start, started_at + $2, ended_at"
            " + $2, ending FROM drills WHERE id = $3",
            uuid7(),
            timedelta(hours=hours),
            DRILL,
        )
    pages, cursor = [], None
    for _ in range(3):
        page = (await planner.get("/v1/drills", params={"limit": 2, **({"cursor": cursor} if cursor else {})})).json()
        pages.append([each["started_at"] for each in page["items"]])
        if (cursor := page["next"]) is None:
            break
    assert [len(page) for page in pages] == [2, 2]
    told = [each for page in pages for each in page]
    assert told == sorted(told, reverse=True)
    far = write_cursor("0001-01-01T00:00:00+14:00", str(DRILL))
    for odd in ("nonsense", far, write_cursor("2026-01-01", str(DRILL)), write_cursor("x", "y")):
        assert (await planner.get("/v1/drills", params={"cursor": odd})).status_code == 422


async def test_a_drill_nobody_plays_any_more_is_broken_and_one_that_is_played_runs(
    pool: Pool, planner: httpx.AsyncClient
) -> None:
    await under_way(pool)
    assert (await planner.get(URL)).json()["state"] == "broken"
    async with controlled(pool, DRILL):
        shown = (await planner.get(URL)).json()
        assert shown["state"] == "running"
        assert shown["real_incidents"] == 0
        await pool.execute(
            "INSERT INTO drill_pauses (drill_id, status, since, by) VALUES ($1, 'Exercise', $2, 'li')",
            DRILL,
            at(1),
        )
        assert (await planner.get(URL)).json()["state"] == "paused"
        await pool.execute("UPDATE drill_pauses SET since = $1", at(0))
        assert (await planner.get(URL)).json()["state"] == "held"


async def test_what_waits_for_a_person_is_told_from_what_comes_by_itself(
    pool: Pool, planner: httpx.AsyncClient
) -> None:
    await under_way(pool)
    first = document().injects[0]
    more: list[dict[str, Any]] = [
        {"id": "caller", "kind": "message", "of": "water-rises", "manual": True, "says": {"en": "Hello", "zh": "喂"}},
        {"id": "later", "kind": "incident", "at": "20m", "report": {"categories": ["Met"]}, "met_when": "orders > 0"},
        {"id": "then", "kind": "message", "of": "later", "manual": True, "says": {"en": "Hello", "zh": "喂"}},
    ]
    words = {"title": {"en": "x", "zh": "x"}, "expectation": {"en": "x", "zh": "x"}}
    drill = document(injects=[first.model_dump(mode="json"), *({**words, **each} for each in more)])
    await pool.execute("UPDATE drills SET document = $1::jsonb", drill.model_dump_json())
    async with controlled(pool, DRILL):
        injects = {each["id"]: each for each in (await planner.get(URL)).json()["injects"]}
    seen = {name: (each["state"], each["expected"], each["can_be_played"]) for name, each in injects.items()}
    assert seen == {
        "water-rises": ("played", "evaluator", False),
        "caller": ("manual", "evaluator", True),
        "later": ("to_come", "to_come", True),
        "then": ("held_up", "evaluator", False),
    }


async def test_the_shipped_scenarios_are_there_to_be_played(pool: Pool, planner: httpx.AsyncClient) -> None:
    assert (await planner.get("/v1/drills/scenarios")).status_code == 503
    await publish_shipped(pool)
    found = (await planner.get("/v1/drills/scenarios")).json()
    by_id = {each["id"]: each for each in found["items"]}
    assert found["can_start"] is True
    assert all(each["problems"] == [] for each in found["items"])
    assert by_id["dispatch-dies"]["kills"] == ["dispatch", "tracking"]
    assert by_id["chemical-release"]["plans"] == ["hazardous-chemical-release"]
    assert by_id["chemical-release"]["duration"] == 45 * 60


async def test_plans_that_were_never_exercised_are_overdue(pool: Pool, planner: httpx.AsyncClient) -> None:
    await write_drill(pool)
    (due,) = (await planner.get("/v1/drills/due")).json()["items"]
    assert (due["plan"], due["every"], due["last_at"]) == (
        "river-flood",
        "180d",
        at(0).isoformat().replace("+00:00", "Z"),
    )


async def test_roles_decide_who_may_do_what(pool: Pool, app: FastAPI) -> None:
    await write_drill(pool)
    async with clients(app, EVALUATOR.name, AUDITOR.name, MEDIC.name, NOBODY) as (evaluator, auditor, medic, nobody):
        assert (await auditor.get(URL)).status_code == 200
        assert (await medic.get(URL)).status_code == 403
        assert (await nobody.get(URL)).status_code == 401
        control = {"action": "stop", "reason": "because"}
        assert (await evaluator.post(f"{URL}/controls", json=control)).status_code == 403
        assert (await auditor.post(f"{URL}/ratings", json={"objective": "soon", "rating": "P"})).status_code == 403
        assert (await evaluator.post(f"{URL}/ratings", json={"objective": "soon", "rating": "P"})).status_code == 201
    missing = uuid7()
    async with client_for(app, AUDITOR.name) as auditor:
        assert (await auditor.get(f"/v1/drills/{missing}")).status_code == 404
        assert (await auditor.get("/v1/drills/not-an-id")).status_code == 422


# Starting and controlling


async def test_a_drill_is_started_once_and_says_that_it_starts(
    pool: Pool, planner: httpx.AsyncClient, stage: Stage
) -> None:
    await publish_shipped(pool)
    asked = {"scenario": "night-tower-fire", "speed": 30, "seed": 4, "announced": False}
    answer = await planner.post("/v1/drills", json=asked, headers={"Idempotency-Key": "one"})
    again = await planner.post("/v1/drills", json=asked, headers={"Idempotency-Key": "one"})
    assert (answer.status_code, again.status_code) == (202, 202)
    assert again.json() == answer.json()
    (launch,) = stage.launched
    assert str(launch.drill_id) == answer.json()["id"]
    assert (launch.seed, launch.speed, launch.announced, launch.hold) == (4, 30, False, False)
    assert launch.file == PLAYBOOKS / "drills" / "night-tower-fire.yaml"
    shown = (await planner.get(f"/v1/drills/{launch.drill_id}")).json()
    assert (shown["state"], shown["by"], shown["injects"]) == ("starting", PLANNER.name, [])
    second = await planner.post("/v1/drills", json=asked)
    assert second.status_code == 409
    assert "another drill runs or is being started" in second.json()["detail"]
    await stage.settles[0]("failed: muster: broker: is away")
    shown = (await planner.get(f"/v1/drills/{launch.drill_id}")).json()
    assert (shown["state"], shown["outcome"]) == ("not_started", "failed: muster: broker: is away")
    other = await planner.post("/v1/drills", json={"scenario": "two-incidents"}, headers={"Idempotency-Key": "one"})
    assert other.status_code == 409, "a key is for one request"
    assert (await planner.post("/v1/drills", json=asked)).status_code == 202


async def test_what_can_not_be_started_is_refused_with_the_reason(
    pool: Pool, planner: httpx.AsyncClient, stage: Stage
) -> None:
    await publish_shipped(pool)
    unknown = await planner.post("/v1/drills", json={"scenario": "nothing"})
    assert (unknown.status_code, "there is none" in unknown.json()["detail"]) == (422, True)
    kills = await planner.post("/v1/drills", json={"scenario": "dispatch-dies"})
    assert (kills.status_code, "kills dispatch, tracking" in kills.json()["detail"]) == (409, True)
    for wrong in ({"speed": 0.5}, {"speed": 5000}, {"seed": 0}, {"by": "somebody else"}):
        assert (await planner.post("/v1/drills", json={"scenario": "two-incidents", **wrong})).status_code == 422
    async with pool.acquire() as other:
        await other.execute("SELECT pg_advisory_lock(hashtext('muster.drill'))")
        running = await planner.post("/v1/drills", json={"scenario": "two-incidents"})
        assert running.status_code == 409
        await other.execute("SELECT pg_advisory_unlock(hashtext('muster.drill'))")
    assert stage.launched == []


async def test_of_two_who_start_at_once_one_does(pool: Pool, planner: httpx.AsyncClient, stage: Stage) -> None:
    await publish_shipped(pool)
    answers = await asyncio.gather(*(planner.post("/v1/drills", json={"scenario": "two-incidents"}) for _ in range(4)))
    assert sorted(each.status_code for each in answers) == [202, 409, 409, 409]
    assert len(stage.launched) == 1


async def test_a_running_drill_does_what_it_is_asked_in_the_callers_name(
    pool: Pool, planner: httpx.AsyncClient
) -> None:
    await under_way(pool)
    async with controlled(pool, DRILL) as taken:
        for body in (
            {"action": "pause", "reason": "a real call"},
            {"action": "resume"},
            {"action": "inject", "inject": "water-rises"},
            {"action": "stop", "reason": "enough"},
        ):
            answer = await planner.post(f"{URL}/controls", json=body)
            assert answer.status_code == 200, answer.text
            assert answer.json()["by"] == PLANNER.name
        assert taken == [
            "pause - by Wang Li: a real call",
            "resume - by Wang Li: -",
            "inject water-rises by Wang Li: -",
            "stop - by Wang Li: enough",
        ]
    shown = (await planner.get(URL)).json()
    assert [each["action"] for each in shown["controls"]] == ["stop", "inject", "resume", "pause"]


async def test_a_second_tap_on_pause_does_nothing_twice(pool: Pool, planner: httpx.AsyncClient) -> None:
    await under_way(pool)
    body, key = {"action": "pause", "reason": "a real call"}, {"Idempotency-Key": "tap"}
    async with controlled(pool, DRILL) as taken:
        first = await planner.post(f"{URL}/controls", json=body, headers=key)
        second = await planner.post(f"{URL}/controls", json=body, headers=key)
    assert (first.status_code, second.status_code, second.headers["Idempotent-Replayed"]) == (200, 200, "true")
    assert len(taken) == 1


async def test_a_refusal_is_told_and_may_be_asked_again(pool: Pool, planner: httpx.AsyncClient) -> None:
    await under_way(pool)
    key = {"Idempotency-Key": "again"}
    async with controlled(pool, DRILL, refused="it runs already"):
        refused = await planner.post(f"{URL}/controls", json={"action": "resume"}, headers=key)
    assert (refused.status_code, refused.json()["detail"]) == (409, "drill flood-drill: it runs already")
    async with controlled(pool, DRILL):
        assert (await planner.post(f"{URL}/controls", json={"action": "resume"}, headers=key)).status_code == 200
    for odd in ({"action": "stop"}, {"action": "inject"}, {"action": "pause", "reason": "x", "inject": "a"}):
        assert (await planner.post(f"{URL}/controls", json=odd)).status_code == 422
    await end(pool, await read_drill(pool, DRILL), at(10), Ending.FINISHED)
    over = await planner.post(f"{URL}/controls", json={"action": "resume"})
    assert (over.status_code, "it is over" in over.json()["detail"]) == (409, True)


# Reports


async def test_the_report_comes_as_data_as_a_page_and_for_printing(pool: Pool, planner: httpx.AsyncClient) -> None:
    await write_drill(pool)
    await pool.execute("UPDATE drills SET real_incidents = 2")
    told = (await planner.get(f"{URL}/report")).json()
    assert told["real_incidents"] == 2
    assert told["departments"]["water"]["never"] == 1
    assert told["names"]["water"]["zh"]
    assert told["objectives"][0]["title"]["en"] == "Somebody closes the road soon"
    page = await planner.get(f"{URL}/report.html?language=zh")
    assert "2起真实事件" in page.text
    assert "2 real incidents came in meanwhile" in page.text
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    for language in ("en", "zh"):
        printed = await planner.get(f"{URL}/report.pdf?language={language}")
        assert printed.content.startswith(b"%PDF")
        assert f"-{language}.pdf" in printed.headers["Content-Disposition"]
    assert (await planner.get(f"{URL}/report.pdf?language=fr")).status_code == 422


async def test_a_correction_counts_in_the_callers_name(pool: Pool, app: FastAPI) -> None:
    await write_drill(pool)
    started = next(each for each in (await read_report(pool, DRILL)).timeline if each.entry is Entry.COMMITTED)
    async with client_for(app, EVALUATOR.name) as evaluator:
        said = {"entry_id": str(started.id), "after": 105, "reason": "heard on the radio"}
        answer = await evaluator.post(f"{URL}/corrections", json=said)
        assert (answer.status_code, answer.json()["by"]) == (201, EVALUATOR.name)
        outside = await evaluator.post(f"{URL}/corrections", json={**said, "after": 1e9})
        assert (outside.status_code, "is not between STARTEX" in outside.json()["detail"]) == (422, True)
        strange = await evaluator.post(f"{URL}/corrections", json={**said, "entry_id": str(uuid7())})
        assert strange.status_code == 422
    moment = next(each for each in (await read_report(pool, DRILL)).timeline if each.id == started.id)
    assert moment.at == at(1.75)


async def test_the_timeline_is_read_by_the_page(pool: Pool, planner: httpx.AsyncClient) -> None:
    await write_drill(pool)
    last = (await read_report(pool, DRILL)).timeline[-1].id
    await correct(pool, DRILL, last, occurred_at=at(0.1), reason="r", by="b")
    told = (await planner.get(f"{URL}/report")).json()["timeline"]
    found, cursor = [], None
    while True:
        query = {"limit": "4"} | ({"cursor": cursor} if cursor else {})
        page = (await planner.get(f"{URL}/timeline", params=query)).json()
        found += page["items"]
        cursor = page["next"]
        if cursor is None:
            break
    assert found == told
    assert str(last) in [each["id"] for each in found[:4]]
    water = (await planner.get(f"{URL}/timeline", params={"department": "water"})).json()
    assert water == {"items": [each for each in told if each["department"] == "water"], "next": None}
    for odd in ({"cursor": "x"}, {"cursor": write_cursor("a", "b", "c")}, {"limit": "501"}):
        assert (await planner.get(f"{URL}/timeline", params=odd)).status_code == 422


async def test_only_an_evaluator_fills_the_evaluation_guide_in(pool: Pool, app: FastAPI) -> None:
    await write_drill(pool)
    async with client_for(app, EVALUATOR.name) as evaluator:
        for rating, notes in (("S", "at first"), ("M", "on second thoughts")):
            answer = await evaluator.post(
                f"{URL}/ratings", json={"objective": "soon", "rating": rating, "notes": notes}
            )
            assert answer.status_code == 201
        assert (await evaluator.post(f"{URL}/ratings", json={"objective": "none", "rating": "P"})).status_code == 409
        (objective,) = (await evaluator.get(URL)).json()["objectives"]
        assert (objective["rating"], objective["by"]) == ("M", EVALUATOR.name)
        (sheet,) = (await evaluator.get(f"{URL}/report")).json()["evaluation_guide"]
        assert (sheet["rating"], sheet["notes"], sheet["evaluator"]) == ("M", "on second thoughts", EVALUATOR.name)
        page = (await evaluator.get(f"{URL}/report.html")).text
        assert 'value="M" checked' in page
        printed = await evaluator.get(f"{URL}/report.pdf")
        assert printed.status_code == 200
    with pytest.raises(asyncpg.RestrictViolationError):
        await pool.execute("UPDATE drill_ratings SET rating = 'P'")


async def test_a_rating_travels_with_its_drill(pool: Pool, planner: httpx.AsyncClient, postgres: str) -> None:
    await write_drill(pool)
    await planner.post(f"{URL}/ratings", json={"objective": "soon", "rating": "P"})
    zipped = (await planner.get(f"{URL}/export")).content
    assert "rows/drill_ratings.jsonl" in zipfile.ZipFile(io.BytesIO(zipped)).namelist()
    again = await planner.post("/v1/drills/import", content=zipped, headers={"Content-Type": "application/zip"})
    assert again.json() == {**again.json(), "new": False, "rows": 0}
    name = f"test_{secrets.token_hex(6)}"
    connection = await asyncpg.connect(postgres)
    await connection.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    elsewhere = await connect(database_named(postgres, name))
    held = await connect(database_named(postgres, name), size=2, role=role_name(Namespace.EXERCISE))
    app = api(Door(PLANNER))
    add_drills(app, held, PublishedPlaybook(held, plan_from, directory_from), PLAYBOOKS)
    async with client_for(app, PLANNER.name) as there:
        taken = await there.post("/v1/drills/import", content=zipped, headers={"Content-Type": "application/zip"})
        assert (taken.status_code, taken.json()["new"]) == (200, True)
        shown = (await there.get(URL)).json()
        assert (shown["imported"], shown["objectives"][0]["rating"]) == (True, "P")
        damaged = await there.post(
            "/v1/drills/import", content=zipped[:-40], headers={"Content-Type": "application/zip"}
        )
        assert damaged.status_code == 422
        assert "/" not in damaged.json()["detail"].split(":")[0], "where it lay for a moment is nobody's business"
        nothing = await there.post("/v1/drills/import", content=b"x", headers={"Content-Type": "text/plain"})
        assert nothing.status_code == 415
        cannot = await there.post("/v1/drills", json={"scenario": "two-incidents"})
        assert cannot.status_code == 409
    await held.close()
    await elsewhere.close()
    with suppress(asyncpg.InsufficientPrivilegeError):  # as in conftest: a vacuum of the server's own
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await connection.close()


# Improvements, comparison, schedules


async def test_an_improvement_item_lives_until_it_is_closed(pool: Pool, app: FastAPI) -> None:
    await write_drill(pool)
    async with clients(app, EVALUATOR.name, AUDITOR.name) as (evaluator, auditor):
        proposed = (await evaluator.post(f"{URL}/proposals", json={})).json()
        assert len(proposed["new"]) >= 1
        assert (await evaluator.post(f"{URL}/proposals", json={})).json()["new"] == []
        own = {"drill_id": str(DRILL), "title": "Buy radios", "owner": "fire", "due": "2020-01-01"}
        added = await evaluator.post("/v1/improvements", json=own)
        assert (added.status_code, added.json()["state"], added.json()["title"]["zh"]) == (201, "overdue", "Buy radios")
        assert (await evaluator.post("/v1/improvements", json=own)).status_code == 409
        (late,) = (await auditor.get("/v1/improvements?state=overdue")).json()["items"]
        item = f"/v1/improvements/{late['id']}"
        moved = await evaluator.patch(item, json={"due": "2099-01-01", "owner": "police", "reason": "no money"})
        assert (moved.json()["state"], moved.json()["owner"]) == ("open", "police")
        closed = await evaluator.patch(item, json={"state": "closed", "reason": "bought"})
        assert closed.json()["history"][-1]["by"] == EVALUATOR.name
        assert (await evaluator.patch(item, json={"state": "closed", "reason": "again"})).status_code == 409
        opened = await evaluator.patch(item, json={"state": "open", "owner": "fire", "reason": "they don't work"})
        assert (opened.json()["state"], opened.json()["owner"]) == ("open", "fire")
        assert (await evaluator.patch(item, json={"reason": "nothing"})).status_code == 422
        assert (
            await evaluator.patch(f"/v1/improvements/{uuid7()}", json={"due": "2099-01-01", "reason": "x"})
        ).status_code == 404
        pages, cursor = 0, None
        seen: list[str] = []
        while pages == 0 or cursor:
            params = {"limit": "1", "state": "all"} | ({"cursor": cursor} if cursor else {})
            page = (await auditor.get("/v1/improvements", params=params)).json()
            seen += [each["id"] for each in page["items"]]
            cursor, pages = page["next"], pages + 1
        assert seen == [*proposed["new"], late["id"]]


async def test_drills_are_compared_with_curves_and_names(pool: Pool, planner: httpx.AsyncClient) -> None:
    await write_drill(pool)
    second = uuid7()
    await pool.execute(
        "INSERT INTO drills (id, drill, version, document, status, seed, speed, clock_start, started_at, ended_at,"
        " ending, incident_ids) SELECT $1, drill, version, document, status, 8, speed, clock_start, started_at,"
        " ended_at, ending, incident_ids FROM drills",
        second,
    )
    answer = await planner.get("/v1/drills/compare", params={"base": str(DRILL), "candidate": str(second)})
    found = answer.json()
    assert answer.status_code == 200, answer.text
    assert found["outcome"] in {"cant_tell", "insufficient_data"}
    turnout = next(row for row in found["rows"] if row["segment"] == "turnout" and row["department"] is None)
    assert turnout["base"]["n"] == 3
    assert turnout["curves"]["base"] == [[30.0, 0.3333], [240.0, 0.6667]], "the silent one is in no point"
    assert found["names"]["water"]["en"]
    twice = await planner.get("/v1/drills/compare", params={"base": f"{DRILL},{DRILL}", "candidate": str(second)})
    assert twice.status_code == 409
    nothing = await planner.get("/v1/drills/compare", params={"base": "x", "candidate": str(second)})
    assert nothing.status_code == 422
    unknown = await planner.get("/v1/drills/compare", params={"base": str(uuid7()), "candidate": str(second)})
    assert unknown.status_code == 404
    trend = (await planner.get("/v1/drills/trend?plan=river-flood")).json()
    assert [each["seed"] for each in trend["drills"]] == [7, 8]
    assert (await planner.get("/v1/drills/trend?plan=other")).status_code == 404


async def test_a_schedule_is_made_listed_and_taken_out_of_force(pool: Pool, planner: httpx.AsyncClient) -> None:
    await publish_shipped(pool)
    body = {"scenario": "night-tower-fire", "every_days": 30, "at": "02:40", "timezone": "Asia/Shanghai"}
    made = await planner.post("/v1/drills/schedules", json=body)
    assert (made.status_code, made.json()["name"], made.json()["at"]) == (201, "night-tower-fire", "02:40")
    assert (await planner.post("/v1/drills/schedules", json=body)).status_code == 409
    for wrong in ({"at": "25:00"}, {"timezone": "Mars/Base"}, {"scenario": "nothing"}, {"every_days": 0}):
        answer = await planner.post("/v1/drills/schedules", json={**body, "name": "other", **wrong})
        assert answer.status_code == 422, wrong
    (listed,) = (await planner.get("/v1/drills/schedules")).json()["items"]
    next_at = datetime.fromisoformat(listed["next_at"])
    assert (f"{next_at.astimezone(UTC):%H:%M}", next_at > datetime.now(UTC)) == ("18:40", True)
    assert (await planner.delete("/v1/drills/schedules/night-tower-fire")).status_code == 200
    assert (await planner.delete("/v1/drills/schedules/night-tower-fire")).status_code == 404
    assert (await planner.get("/v1/drills/schedules")).json()["items"] == []


async def test_bodies_are_read_within_bounds_and_strictly(planner: httpx.AsyncClient) -> None:
    many = await planner.post(
        "/v1/drills", content=json.dumps({"scenario": "x" * 1_100_000}), headers={"Content-Type": "application/json"}
    )
    assert many.status_code == 413
    assert (await planner.post("/v1/drills", content="[]", headers={"Content-Type": "text/plain"})).status_code == 415
    twice = '{"scenario": "a", "scenario": "b"}'
    assert (
        await planner.post("/v1/drills", content=twice, headers={"Content-Type": "application/json"})
    ).status_code == 400


def test_every_route_is_described(app: FastAPI) -> None:
    described = app.openapi()
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            assert operation["operationId"], (method, path)
            assert operation["description"], (method, path)
            assert {"401", "403"} <= set(operation["responses"]), (method, path)


async def test_a_drill_reaches_only_who_takes_part_in_it(pool: Pool) -> None:
    await write_drill(pool)
    assert await participants(pool, INCIDENT) == frozenset()
    await pool.execute("UPDATE drills SET seats = $1::jsonb", json.dumps({"fire": "real", "water": "stand-in"}))
    assert await participants(pool, INCIDENT) == {"fire"}
    real = document(duty_officer="real").model_dump_json()
    await pool.execute("UPDATE drills SET document = $1::jsonb", real)
    assert await participants(pool, INCIDENT) == {"fire", directory().duty_officer}
    assert await participants(pool, uuid7()) == frozenset(), "an incident of no drill"


async def test_a_drill_in_which_nothing_happened_can_be_read_and_compared_too(
    pool: Pool, planner: httpx.AsyncClient
) -> None:
    """Ended while it was held at STARTEX."""
    history = await write_drill(pool)
    empty = replace(history.row(), id=uuid7(), seed=9)
    await begin(pool, empty)
    await end(pool, empty, at(0), Ending.STOPPED, real_incidents=0)
    url = f"/v1/drills/{empty.id}"
    assert (await planner.get(url)).json()["clock"]["elapsed"] == 0
    for path in ("/report", "/report.html", "/report.pdf", "/export"):
        assert (await planner.get(f"{url}{path}")).status_code == 200, path
    both = await planner.get("/v1/drills/compare", params={"base": str(DRILL), "candidate": str(empty.id)})
    assert both.json()["outcome"] == "insufficient_data"
    alone = await planner.get("/v1/drills/compare", params={"base": str(empty.id), "candidate": str(empty.id)})
    assert alone.json()["rows"] == []
    unreadable = {"entry_id": str(uuid7()), "note": "\x00", "reason": "x"}
    assert (await planner.post(f"{url}/corrections", json=unreadable)).status_code == 422
