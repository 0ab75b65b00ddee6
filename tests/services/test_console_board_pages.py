"""The board's pages: who is shown them, what a browser is told when something changes, and how often it is drawn."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from uuid_utils.compat import uuid7

from schemas.envelope import ACKNOWLEDGEMENT
from schemas.vocabulary import Answer, Namespace, Role, Severity, Status
from services.console.board_api import add_board_api
from services.console.live import Hub
from services.console.page import Page
from services.console.pages.board import add_board
from services.console.site import add_console
from services.domain.decision import Answered
from services.platform.decider import Incoming
from services.platform.kafka import Origin
from services.platform.postgres import Pool
from tests.services.console_world import Door, HandWorld, api, person
from tests.services.live_world import Event, follow, listened, served, shown
from tests.services.support import answer, publish_shipped, report, until

DOOR = Door(
    person("Chen", Role.DUTY_OFFICER),
    person("Wang", Role.DEPARTMENT, departments=["police"]),
    person("Nobody", Role.DEPARTMENT),
)
ROOTS = {"actual": "", "exercise": "/exercise", "shared": ""}


class World(HandWorld):
    """A world whose pages are served."""

    async def says(self, row: Any, kind: Answer) -> None:
        said = answer(row, kind, answered_at=self.clock.now())
        await self._decide(Incoming(Answered(uuid7(), said), ACKNOWLEDGEMENT, Origin("test", 0, 0, None)))


class Console:
    """Both worlds' pages behind one address."""

    def __init__(self, pool: Pool) -> None:
        self.actual = World(pool)
        self.exercise = World(pool, Namespace.EXERCISE)
        self.hubs = [Hub(pool, each.namespace, each.playbook) for each in (self.actual, self.exercise)]
        self.app = self._site(0, self.hubs[1])
        self.app.mount("/exercise", self._site(1, None))
        self.base = ""

    def _site(self, which: int, exercises: Hub | None) -> FastAPI:
        app, hub = api(DOOR), self.hubs[which]
        add_board_api(app, hub)
        add_console(app, hub.namespace, DOOR, [lambda site: add_board(site, hub, exercises)], ROOTS)
        return app

    def browser(self, who: str = "Chen", language: str = "en") -> httpx.AsyncClient:
        cookies = {"as": who, "muster_language": language}
        headers = {"Accept": "text/html"}
        return httpx.AsyncClient(base_url=self.base, cookies=cookies, headers=headers, timeout=60, trust_env=False)

    async def page(self, path: str = "/", **given: Any) -> str:
        async with self.browser(**given) as browser:
            found = await browser.get(path)
        assert found.status_code == 200, found.text
        return found.text


@pytest.fixture
async def console(pool: Pool) -> AsyncIterator[Console]:
    await publish_shipped(pool)
    console = Console(pool)
    async with served(console.app, *console.hubs) as console.base:
        yield console


async def boards(browser: httpx.AsyncClient, path: str, until: Any, **given: Any) -> list[dict[str, Any]]:
    """Follow a board until something is told."""
    found: list[dict[str, Any]] = []
    events = follow(browser, path, **given)
    async with asyncio.timeout(60), aclosing(events):
        async for event in events:
            if event.kind == "entry":
                found.append(event.data["board"])
            if until(found, event):
                return found
    raise AssertionError("the stream ended")


def alive(_: list[dict[str, Any]], event: Event) -> bool:
    return event.kind == "alive"


async def told(browser: httpx.AsyncClient, path: str, count: int) -> list[dict[str, Any]]:
    return await boards(browser, path, lambda found, _: len(found) == count)


async def test_an_empty_board_says_what_to_do(console: Console) -> None:
    page = await console.page()
    assert "Nothing is open" in page
    assert 'href="/report"' in page
    assert "当前没有演练" in await console.page("/exercise/", language="zh")


async def test_the_pages_show_the_open_incidents_in_both_languages(console: Console) -> None:
    await console.actual.report(report())
    await shown(console.hubs[0], 1)
    for path in ("/", "/wall"):
        assert "Chlorine leak at the water works" in await console.page(path)
        assert "Public Security Bureau" in await console.page(path)
        assert "市公安局" in await console.page(path, language="zh")
        assert "未送达" in await console.page(path, language="zh")


async def test_what_a_report_says_is_text_and_never_markup(console: Console) -> None:
    await console.actual.report(report(headline="<script>alert(1)</script>", event="</script><img src=x onerror=y>"))
    await shown(console.hubs[0], 1)
    page = await console.page()
    assert "&lt;script&gt;alert(1)" in page
    assert "<img" not in page


@pytest.mark.parametrize(
    ("who", "path", "status", "to"),
    [
        ("Wang", "/", 307, "/departments/police"),
        ("Wang", "/wall", 403, None),
        ("Wang", "/live/board", 403, None),
        ("Nobody", "/", 403, None),
        ("", "/", 303, "/sign-in?next=/"),
        ("", "/live/board", 303, "/sign-in?next=/live/board"),
        ("Wang", "/exercise/", 307, "/exercise/departments/police"),
    ],
)
async def test_everybody_comes_to_where_they_belong(
    console: Console, who: str, path: str, status: int, to: str | None
) -> None:
    async with console.browser(who) as browser:
        found = await browser.get(path)
    assert (found.status_code, found.headers.get("location")) == (status, to)


async def test_the_real_board_says_that_exercises_run_and_shows_none_of_them(console: Console) -> None:
    assert 'id="exercises" hidden' in await console.page()
    async with console.browser() as browser:
        following = asyncio.create_task(
            boards(browser, "/live/board", lambda found, _: bool(found) and found[-1]["exercises"] == 1)
        )
        await listened(console.hubs[0])
        await console.exercise.report(report(status=Status.EXERCISE, headline="Only a drill"))
        await following
    page = await console.page()
    assert 'id="exercises">' in page
    assert "Only a drill" not in page
    assert "Only a drill" in await console.page("/exercise/")


async def test_a_browser_is_told_of_rows_that_changed_and_of_their_order(console: Console) -> None:
    calm = (await console.actual.report(report(severity=Severity.MODERATE)))[0]["incident_id"]
    await shown(console.hubs[0], 1)
    async with console.browser() as browser:
        following = asyncio.create_task(told(browser, "/live/board", 4))
        await listened(console.hubs[0])
        worse = (await console.actual.report(report(severity=Severity.EXTREME, headline="It burns")))[0]["incident_id"]
        first, order, new, again = await following
    assert first["id"] == str(calm)
    assert order["order"] == [str(calm)]
    assert new["id"] == str(worse)
    assert "It burns" in new["html"]
    assert again["order"] == [str(worse), str(calm)]
    assert (again["counts"]["open"], again["total"]) == (2, 2)


async def test_a_browser_that_comes_back_is_told_only_what_it_has_not_had(console: Console) -> None:
    rows = await console.actual.report(report())
    other = (await console.actual.report(report()))[0]["incident_id"]
    await shown(console.hubs[0], 2)
    async with console.browser() as browser:
        last = ""
        events = follow(browser, "/live/board")
        async with aclosing(events):
            async for event in events:
                last = event.id or last
                if event.kind == "entry" and "order" in event.data["board"]:
                    break
        await console.actual.says(rows[0], Answer.COMMIT)
        await until(lambda: has_moved(console.hubs[0], int(last)))
        given = {"headers": {"Last-Event-ID": last}}
        found = await boards(browser, "/live/board", lambda got, _: "order" in (got or [{}])[-1], **given)
    assert [board.get("id") for board in found] == [str(rows[0]["incident_id"]), None]
    assert str(other) in found[-1]["order"]


async def test_a_browser_with_filters_is_told_of_what_passes_them(console: Console) -> None:
    await console.actual.report(report(severity=Severity.MODERATE))
    high = (await console.actual.report(report(severity=Severity.EXTREME)))[0]["incident_id"]
    await shown(console.hubs[0], 2)
    async with console.browser() as browser:
        row, order = await told(browser, "/live/board?level=I&limit=5", 2)
    assert (row["id"], order["order"], order["total"]) == (str(high), [str(high)], 1)
    assert order["counts"]["open"] == 2
    page = await console.page("/?level=I")
    assert page.count("data-id=") == 1


async def test_a_row_is_drawn_once_for_all_who_watch(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred browsers cost one drawing for each language and change, and all are told."""
    orders = await console.actual.report(report())
    (police,) = [each for each in orders if each["department"] == "police"]
    await shown(console.hubs[0], 1)
    drawn: list[str] = []
    fragment = Page.fragment

    def counted(self: Page, template: str, **context: Any) -> str:
        drawn.append(template)
        return fragment(self, template, **context)

    monkeypatch.setattr(Page, "fragment", counted)
    limits = httpx.Limits(max_connections=None)
    cookies = {"as": "Chen"}
    async with httpx.AsyncClient(
        base_url=console.base, cookies=cookies, limits=limits, timeout=60, trust_env=False
    ) as browser:
        following = [asyncio.create_task(told(browser, "/live/board", 4)) for _ in range(100)]
        await listened(console.hubs[0], 100)
        await until(lambda: has_drawn(drawn))
        await console.actual.says(police, Answer.COMMIT)
        found = await asyncio.gather(*following)
    assert drawn.count("board_row.html.j2") == 2
    assert len({board[2]["html"] for board in found}) == 1
    assert "Committed" in found[0][2]["html"]


async def has_moved(hub: Hub, revision: int) -> bool:
    return hub.board.revision > revision


async def has_drawn(drawn: list[str]) -> bool:
    return "board_row.html.j2" in drawn
