"""A running Muster to look at, and Debian's Chromium to look at it with."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from playwright.async_api import Browser, BrowserContext, Page, Playwright, expect

from services.platform.access.opening import DEMO_PASSWORD
from tests.e2e.test_up import Up

DESK = {"width": 1440, "height": 900}
PHONE = {"width": 360, "height": 740}
PATIENCE_MS = 20_000
expect.set_options(timeout=PATIENCE_MS)


async def chromium(playwright: Playwright) -> Browser:
    """Start Debian's Chromium."""
    program = shutil.which("chromium")
    assert program is not None, "chromium is missing: apt-get install chromium"
    return await playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])


@dataclass(frozen=True)
class Site:
    """Where the console is, and a browser to open it in."""

    up: Up
    browser: Browser

    @asynccontextmanager
    async def visit(
        self, login: str | None, *, phone: bool = False, language: str = "en", dark: bool = False
    ) -> AsyncIterator[Page]:
        """Open a browser of one person's own, signed in; any error of a script fails the test."""
        context = await self.browser.new_context(
            base_url=self.up.http,
            viewport=PHONE if phone else DESK,  # type: ignore[arg-type] # a size is a mapping
            has_touch=phone,
            locale="zh-CN" if language == "zh" else "en-GB",
            timezone_id="Asia/Shanghai",
            color_scheme="dark" if dark else "light",
        )
        context.set_default_timeout(PATIENCE_MS)
        page = await context.new_page()
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda line: errors.append(line.text) if "Content Security Policy" in line.text else None)
        try:
            if login is not None:
                await sign_in(context, login)
            yield page
        finally:
            await context.close()
        assert not errors, errors


async def sign_in(context: BrowserContext, login: str, password: str = DEMO_PASSWORD) -> None:
    """Sign in by the API that the page uses; the story of the page itself is a test of its own."""
    answer = await context.request.post("/v1/session", data={"login": login, "password": password})
    assert answer.ok, await answer.text()
