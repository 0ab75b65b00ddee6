"""Every page, in both languages: nothing serious for axe-core, nothing wider than a phone, no script that fails."""

import pytest
from playwright.async_api import Page

from services.console.assets import MODULES
from tests.browser.tour import TOUR, Stop
from tests.browser.visit import PHONE, Site
from tests.browser.world import World

pytestmark = pytest.mark.browser

AXE = (MODULES / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
SERIOUS = {"serious", "critical"}
NAMES = [stop.name for stop in TOUR]


async def findings(page: Page) -> list[str]:
    """Ask axe-core; run in the page's own world, so the page's policy stays as it is."""
    await page.evaluate(AXE)
    found = await page.evaluate("rules => axe.run(document, rules)", RULES)
    return [
        f"{rule['impact']} {rule['id']}: {node['html'][:160]}"
        for rule in found["violations"]
        if rule["impact"] in SERIOUS
        for node in rule["nodes"][:3]
    ]


@pytest.mark.parametrize("stop", TOUR, ids=NAMES)
async def test_axe_finds_nothing_serious(site: Site, world: World, stop: Stop) -> None:
    found: list[str] = []
    for language, dark in (("en", False), ("zh", True)):
        async with site.visit(stop.login, language=language, dark=dark) as page:
            answer = await page.goto(stop.path.format(**world.ids))
            assert answer is not None
            assert answer.status == 200, stop.path
            await page.wait_for_timeout(500)
            found += [f"{language}: {each}" for each in await findings(page)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("stop", TOUR, ids=NAMES)
async def test_a_phone_shows_it_without_scrolling_sideways(site: Site, world: World, stop: Stop) -> None:
    async with site.visit(stop.login, phone=True, language="zh") as page:
        await page.goto(stop.path.format(**world.ids))
        await page.wait_for_timeout(300)
        width = await page.evaluate("document.documentElement.scrollWidth")
        assert width <= PHONE["width"], f"{stop.path} is {width} px wide"


async def test_nothing_is_asked_of_the_internet(site: Site, world: World) -> None:
    asked: list[str] = []
    async with site.visit("officer") as page:
        page.on("request", lambda request: asked.append(request.url))
        for stop in TOUR:
            if stop.login == "officer":
                await page.goto(stop.path.format(**world.ids))
    assert asked
    assert [url for url in asked if not url.startswith((site.up.http, "data:"))] == []
