"""One running ``muster up`` for all stories, furnished with something to look at."""

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import async_playwright

from services.platform.embedded.ports import free_ports
from tests.browser.visit import Site, chromium
from tests.browser.world import World, furnish
from tests.e2e.test_up import muster_up


@pytest.fixture(scope="session")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """One running Muster for all stories, each of which makes incidents of its own."""
    (port,) = free_ports(1)
    async with muster_up(tmp_path_factory.mktemp("site"), port) as up, async_playwright() as playwright:
        browser = await chromium(playwright)
        yield Site(up, browser)
        await browser.close()


@pytest.fixture(scope="session")
async def world(site: Site) -> World:
    """The same Muster with incidents in every state and a drill that was played."""
    return await furnish(World(site.up.http, site.up.token))
