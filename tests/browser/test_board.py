"""The board in a browser: what changes is put in place, the focus stays, a lost stream is said and made good."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI
from playwright.async_api import Page, async_playwright, expect
from uuid_utils.compat import uuid7

from schemas.envelope import ACKNOWLEDGEMENT
from schemas.vocabulary import Answer, Namespace, Role, Severity
from services.console.board_api import add_board_api
from services.console.live import Hub
from services.console.pages.board import add_board
from services.console.site import add_console, add_static
from services.domain.decision import Answered
from services.platform.access.headers import Headers
from services.platform.access.settings import AccessSettings
from services.platform.decider import Incoming
from services.platform.embedded.ports import free_ports
from services.platform.http import serve
from services.platform.kafka import Origin
from services.platform.postgres import Pool
from tests.browser.visit import chromium
from tests.services.console_world import Door, HandWorld, api, person
from tests.services.support import answer, publish_shipped, report, until

pytestmark = pytest.mark.browser

DOOR = Door(person("Chen", Role.DUTY_OFFICER))


class Desk:
    """A served board, and a browser that shows it."""

    def __init__(self, pool: Pool) -> None:
        self.world = HandWorld(pool)
        self.hub = Hub(pool, Namespace.ACTUAL, self.world.playbook)
        self.app: FastAPI = api(DOOR)
        add_board_api(self.app, self.hub)
        add_static(self.app)
        roots = {"actual": "", "shared": ""}
        add_console(self.app, Namespace.ACTUAL, DOOR, [lambda site: add_board(site, self.hub)], roots)
        (self.port,) = free_ports(1)
        self.page: Page
        self._serving: list[asyncio.Task[None]] = []

    async def serve(self) -> None:
        served = Headers(self.app, AccessSettings())
        self._serving = [
            asyncio.create_task(self.hub.follow()),
            asyncio.create_task(serve(served, "127.0.0.1", self.port)),
        ]
        await self.hub.ready()

    async def stop(self) -> None:
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def nobody_follows(self) -> bool:
        return not self.hub._listeners

    async def open(self, **given: Any) -> str:
        told = report(**given)
        await self.world.report(told)
        return str(told.incident_id)

    async def says(self, incident: str, department: str, kind: Answer) -> None:
        row = await self.world.pool.fetchrow(
            "SELECT * FROM assignments WHERE incident_id = $1 AND department = $2", incident, department
        )
        assert row is not None
        said = answer(row, kind, answered_at=self.world.clock.now())
        await self.world._decide(Incoming(Answered(uuid7(), said), ACKNOWLEDGEMENT, Origin("test", 0, 0, None)))

    async def order(self) -> list[str]:
        found: list[str] = await self.page.eval_on_selector_all("[data-id]", "rows => rows.map(row => row.dataset.id)")
        return found


@pytest.fixture
async def desk(pool: Pool) -> AsyncIterator[Desk]:
    await publish_shipped(pool)
    desk = Desk(pool)
    await desk.serve()
    async with async_playwright() as playwright:
        browser = await chromium(playwright)
        context = await browser.new_context(locale="en-GB")
        await context.add_cookies([{"name": "as", "value": "Chen", "url": f"http://127.0.0.1:{desk.port}"}])
        desk.page = await context.new_page()
        errors: list[str] = []
        desk.page.on("pageerror", lambda error: errors.append(str(error)))
        await desk.page.goto(f"http://127.0.0.1:{desk.port}/")
        yield desk
        await browser.close()
    await desk.stop()
    assert not errors


async def test_incidents_come_change_and_go_without_a_reload(desk: Desk) -> None:
    page = desk.page
    await expect(page.get_by_text("Nothing is open")).to_be_visible()
    await page.evaluate("window.here = true")
    first = await desk.open(severity=Severity.MODERATE)
    await expect(page.locator(f'[data-id="{first}"]')).to_be_visible()
    await expect(page.get_by_text("Nothing is open")).to_be_hidden()
    worst = await desk.open(severity=Severity.EXTREME)
    await expect(page.locator('[data-count="open"]').first).to_have_text("2")
    assert await desk.order() == [worst, first]
    police = page.locator(f'[data-id="{first}"] .cell', has_text="Public Security Bureau")
    await expect(police).to_contain_text("Not received")
    await desk.says(first, "police", Answer.DELIVER)
    await expect(police).to_contain_text("No answer")
    await desk.says(first, "police", Answer.COMMIT)
    await expect(police).to_contain_text("Committed")
    assert await page.evaluate("window.here")


async def test_the_focus_stays_with_its_incident(desk: Desk) -> None:
    """Also when the row is drawn anew, and when it moves."""
    page = desk.page
    second = await desk.open()
    await expect(page.locator("[data-id]")).to_have_count(1)
    await page.keyboard.press("j")  # a letter does nothing before the list has the focus
    await page.locator("[data-id] h2 a").focus()
    focused = f'document.activeElement.closest("[data-id]")?.dataset.id === "{second}"'
    assert await page.evaluate(focused)
    await desk.says(second, "police", Answer.COMMIT)
    await expect(page.locator(f'[data-id="{second}"] .cell', has_text="Public Security")).to_contain_text("Committed")
    assert await page.evaluate(focused)
    first = await desk.open(severity=Severity.EXTREME)
    await expect(page.locator("[data-id]")).to_have_count(2)
    assert await desk.order() == [first, second]
    assert await page.evaluate(focused)
    await page.keyboard.press("k")
    assert not await page.evaluate(focused)
    await page.keyboard.press("j")
    await page.keyboard.press("j")
    assert await page.evaluate(focused)


async def test_a_clock_counts_to_the_deadline_and_on(desk: Desk) -> None:
    await desk.open()
    clock = desk.page.locator(".incident-clock [data-due]")
    await expect(clock).to_be_visible()
    before = await clock.text_content()
    await expect(clock).not_to_have_text(before or "")


async def test_a_lost_stream_is_said_loudly_and_made_good(desk: Desk) -> None:
    page = desk.page
    known = await desk.open()
    await expect(page.locator("[data-id]")).to_have_count(1)
    await expect(page.locator("#live")).to_have_attribute("data-state", "live")
    await desk.stop()
    await expect(page.locator("#lost")).to_be_visible(timeout=20_000)
    await expect(page.locator("#lost")).to_contain_text("No live view since")
    await desk.says(known, "police", Answer.COMMIT)
    missed = await desk.open(severity=Severity.EXTREME)
    await desk.serve()
    await expect(page.locator("#lost")).to_be_hidden(timeout=20_000)
    await expect(page.locator(f'[data-id="{missed}"]')).to_be_visible()
    await expect(page.locator(f'[data-id="{known}"] .cell', has_text="Public Security")).to_contain_text("Committed")
    assert await desk.order() == [missed, known]


async def test_a_page_that_nobody_sees_lets_go_and_misses_nothing(desk: Desk) -> None:
    page = desk.page
    live = page.locator("#live")
    await page.clock.install()
    await page.reload()
    await expect(live).to_have_attribute("data-state", "live")
    await page.evaluate("""() => {
        window.seen = (seen) => {
            Object.defineProperty(document, "hidden", { get: () => !seen, configurable: true });
            document.dispatchEvent(new Event("visibilitychange"));
        };
        window.seen(false);
    }""")
    await page.clock.fast_forward(30_000)
    await expect(live).to_have_attribute("data-state", "waiting")
    await until(desk.nobody_follows)
    incident = await desk.open()
    await page.evaluate("window.seen(true)")
    await expect(page.locator(f'[data-id="{incident}"]')).to_be_visible()
    await expect(live).to_have_attribute("data-state", "live")


async def test_the_wall_fits_its_screen(desk: Desk) -> None:
    for _ in range(7):
        await desk.open(headline="A very long headline that tells more than anybody can read from four metres away")
    await expect(desk.page.locator("[data-id]")).to_have_count(7)
    for size in ({"width": 1920, "height": 1080}, {"width": 3840, "height": 2160}, {"width": 1280, "height": 720}):
        await desk.page.set_viewport_size(size)  # type: ignore[arg-type] # a size is a mapping
        await desk.page.goto(f"http://127.0.0.1:{desk.port}/wall")
        await expect(desk.page.locator("[data-id]")).to_have_count(5)
        await expect(desk.page.locator("[data-total]")).to_have_text("7")
        lowest = await desk.page.evaluate(
            "Math.max(...[...document.querySelectorAll('.cell, .more')].filter(el => el.offsetParent)"
            ".map(el => el.getBoundingClientRect().bottom))"
        )
        assert lowest <= size["height"]
        spills = await desk.page.evaluate(
            "[...document.querySelectorAll('.incident')].filter(row => row.scrollHeight > row.clientHeight + 2).length"
        )
        assert spills == 0, size
