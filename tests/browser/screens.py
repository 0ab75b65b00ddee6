"""``make screens``: a picture of every page, in both languages, light and dark, for a desk and for a phone.

Writes ``docs/screens/<language>-<theme>-<size>/<page>.webp``. It starts a Muster of its own and plays a drill on it.
"""

import asyncio
import base64
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.async_api import Page, async_playwright

from services.platform.embedded.ports import free_ports
from tests.browser.tour import TOUR
from tests.browser.visit import Site, chromium
from tests.browser.world import World, furnish
from tests.e2e.test_up import muster_up

DOCS = Path(__file__).parents[2] / "docs" / "screens"
SETTLED_MS = 700
QUALITY = 88
LOOKS = tuple((language, dark, phone) for language in ("en", "zh") for dark in (False, True) for phone in (False, True))


async def picture(page: Page, *, whole: bool) -> bytes:
    """Take a picture of what is seen of a page, or of all of it: WebP, a quarter of what PNG takes."""
    devtools = await page.context.new_cdp_session(page)
    wanted: dict[str, Any] = {"format": "webp", "quality": QUALITY, "captureBeyondViewport": whole}
    if whole:
        size = (await devtools.send("Page.getLayoutMetrics"))["cssContentSize"]
        wanted["clip"] = {**size, "scale": 1}
    return base64.b64decode((await devtools.send("Page.captureScreenshot", wanted))["data"])


def name(language: str, dark: bool, phone: bool) -> str:
    """Call a look by its name."""
    return f"{language}-{'dark' if dark else 'light'}-{'phone' if phone else 'desk'}"


async def take(folder: Path, wanted: list[str]) -> None:
    """Take the pictures of these pages, or of all."""
    with tempfile.TemporaryDirectory() as place:
        (port,) = free_ports(1)
        async with muster_up(Path(place), port) as up, async_playwright() as playwright:
            browser = await chromium(playwright)
            site = Site(up, browser)
            world = await furnish(World(up.http, up.token))
            for language, dark, phone in LOOKS:
                look = folder / name(language, dark, phone)
                look.mkdir(parents=True, exist_ok=True)
                stops = [stop for stop in TOUR if not wanted or stop.name in wanted]
                for login in dict.fromkeys(stop.login for stop in stops):
                    async with site.visit(login, phone=phone, language=language, dark=dark) as page:
                        for stop in stops:
                            if stop.login == login:
                                await page.goto(stop.path.format(**world.ids))
                                await page.wait_for_timeout(SETTLED_MS)
                                (look / f"{stop.name}.webp").write_bytes(await picture(page, whole=phone))
                                print(look.name, stop.name, flush=True)
            await browser.close()


def gallery() -> str:
    """Write the page that shows every picture."""
    lines = ["# Every page of the console\n", "Taken by `make screens`.\n"]
    for stop in TOUR:
        lines.append(f"## {stop.name}\n")
        for phone in (False, True):
            looks = [name(*look) for look in LOOKS if look[2] is phone]
            lines += ["| " + " | ".join(looks) + " |", "|---" * len(looks) + "|"]
            lines.append("| " + " | ".join(f"![{look}]({look}/{stop.name}.webp)" for look in looks) + " |\n")
    return "\n".join(lines)


if __name__ == "__main__":
    asyncio.run(take(DOCS, sys.argv[1:]))
    (DOCS / "README.md").write_text(gallery())
