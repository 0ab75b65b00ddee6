"""``make screens``: a picture of every page, in both languages, light and dark, for a desk and for a phone.

Writes ``docs/screens/<language>-<theme>-<size>/<page>.png``. It starts a Muster of its own and plays a drill on it.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

from playwright.async_api import async_playwright

from services.platform.embedded.ports import free_ports
from tests.browser.tour import TOUR
from tests.browser.visit import Site, chromium
from tests.browser.world import World, furnish
from tests.e2e.test_up import muster_up

DOCS = Path(__file__).parents[2] / "docs" / "screens"
SETTLED_MS = 700
LOOKS = tuple((language, dark, phone) for language in ("en", "zh") for dark in (False, True) for phone in (False, True))


async def take(folder: Path, wanted: list[str]) -> None:
    """Take the pictures of these pages, or of all."""
    with tempfile.TemporaryDirectory() as place:
        (port,) = free_ports(1)
        async with muster_up(Path(place), port) as up, async_playwright() as playwright:
            browser = await chromium(playwright)
            site = Site(up, browser)
            world = await furnish(World(up.http, up.token))
            for language, dark, phone in LOOKS:
                look = folder / f"{language}-{'dark' if dark else 'light'}-{'phone' if phone else 'desk'}"
                look.mkdir(parents=True, exist_ok=True)
                stops = [stop for stop in TOUR if not wanted or stop.name in wanted]
                for login in dict.fromkeys(stop.login for stop in stops):
                    async with site.visit(login, phone=phone, language=language, dark=dark) as page:
                        for stop in stops:
                            if stop.login == login:
                                await page.goto(stop.path.format(**world.ids))
                                await page.wait_for_timeout(SETTLED_MS)
                                await page.screenshot(path=look / f"{stop.name}.png", full_page=phone)
                                print(look.name, stop.name, flush=True)
            await browser.close()


if __name__ == "__main__":
    asyncio.run(take(DOCS, sys.argv[1:]))
