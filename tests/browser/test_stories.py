"""The three users' whole stories, as they click and read them, and what goes wrong around them."""

import asyncio
import re
import signal
from datetime import UTC, datetime

import pytest
from playwright.async_api import Page, expect
from uuid_utils.compat import uuid7

from services.platform.access.opening import DEMO_PASSWORD
from tests.browser.visit import Site
from tests.browser.world import World, play

pytestmark = pytest.mark.browser

A_MINUTE_MS = 100_000
"""The shortest deadline of a shipped plan is a minute, and its reminder half a minute later."""
DRILL_MS = 200_000


def somewhere() -> str:
    """Name a place that no other test's incident is at, so that neither joins the other."""
    return f"Place {uuid7()}"


async def door(page: Page, login: str, password: str = DEMO_PASSWORD) -> None:
    await page.get_by_label("Login").fill(login)
    await page.get_by_label("Password", exact=True).fill(password)
    await page.get_by_role("button", name="Sign in", exact=True).click()


async def decide(page: Page, button: str, *, why: str, **fields: str) -> None:
    """Open a decision's dialog, fill it in, say why, send it."""
    await page.locator(button).first.click()
    dialog = page.locator("#ask")
    await expect(dialog).to_be_visible()
    for name, value in fields.items():
        field = dialog.locator(f"[name={name}]")
        if await field.first.get_attribute("type") == "radio":
            await dialog.locator(f"[name={name}][value='{value}']").check()
        else:
            await field.select_option(value)
    await dialog.locator("[name=reason]").fill(why)
    for check in await dialog.locator("input[type=checkbox][required]").all():
        await check.check()
    await dialog.locator(".decide button:not([data-close])").click()


async def test_from_a_report_to_a_closed_incident(site: Site) -> None:
    place = somewhere()
    async with site.visit(None) as officer, site.visit("ems", phone=True) as crew:
        # The door, and where the officer wanted to go.
        await officer.goto("/report")
        await expect(officer).to_have_url(re.compile("/sign-in"))
        await door(officer, "officer")
        await expect(officer).to_have_url(re.compile("/report$"))

        # A report that no plan answers.
        await officer.locator("label.kind", has=officer.locator("input[value=Other]")).click()
        await officer.locator("[name=event]").fill("Train stands on the bridge")
        await officer.locator("[name=headline]").fill("A regional train has stopped on the river bridge")
        await officer.locator("[data-areas]").fill(place)
        await officer.locator("label.severity-Moderate").click()
        await officer.get_by_role("button", name="Report it").click()
        await expect(officer).to_have_url(re.compile("/incidents/[0-9a-f-]{36}$"))
        incident = officer.url.rpartition("/")[2]
        await expect(officer.locator("#part-head")).to_contain_text("No plan is in force")

        # It is on the board, and asks for a plan.
        await officer.goto("/")
        row = officer.locator(f"li.incident[data-id='{incident}']")
        await expect(row).to_contain_text("No plan answers it")
        await row.get_by_role("link").first.click()

        # The officer chooses one; a department's phone has the order without being asked to look.
        await crew.goto("/departments/ems")
        await expect(crew.locator("#live")).to_have_attribute("data-state", "live")
        await decide(officer, "#do-activate", why="People may be hurt", plan="mass-casualty-traffic", level="II")
        await expect(officer.locator("#toasts")).to_contain_text("Done: Activate a plan")
        order = crew.locator("[data-order]", has_text="river bridge").filter(has_text="Triage everybody")
        await expect(order).to_be_visible()
        await order.get_by_role("button", name="Commit").click()
        await expect(order).to_have_attribute("data-state", "committed")
        await expect(officer.locator("#part-tasks")).to_contain_text("Committed")

        # The others stay silent: the clock runs out, they are reminded, and both are seen without a reload.
        await expect(officer.locator("#entries")).to_contain_text("Deadline missed", timeout=A_MINUTE_MS)
        await expect(officer.locator("#entries")).to_contain_text("Reminded", timeout=A_MINUTE_MS)
        await officer.goto("/")
        await expect(row).to_have_class(re.compile("incident-late"))
        await officer.goto(f"/incidents/{incident}")

        # The level rises, and the department hears of it.
        await decide(officer, "[data-ask=level]", why="Forty passengers", level="I")
        await expect(officer.locator("#part-head .level-I")).to_be_visible()

        # It ends, twice asked.
        await decide(officer, "#do-close", why="Everybody is off the train")
        await expect(officer.locator("#part-head")).to_contain_text("Closing")
        await decide(officer, "#do-close", why="No scene to record")
        await expect(officer.locator("#part-head .chip").first).to_have_text("Closed")


async def test_a_planner_runs_a_drill_twice_and_compares(site: Site) -> None:
    async with site.visit("planner") as page:
        await page.goto("/exercise/drills")
        await page.locator("[data-open=start-chemical-release]").click()
        dialog = page.locator("#start-chemical-release")
        await dialog.locator("[name=seed]").fill("11")
        await dialog.get_by_role("button", name="Start the drill").click()
        await expect(page).to_have_url(re.compile("/exercise/drills/[0-9a-f-]{36}$"))
        first = page.url.rpartition("/")[2]
        await expect(page.get_by_role("link", name="PDF", exact=True)).to_be_visible(timeout=DRILL_MS)
        second = await play(World(site.up.http, site.up.token), "chemical-release", seed=12)
        await page.goto(f"/exercise/drills/compare?base={first}&candidate={second}")
        await expect(page.locator("main")).to_contain_text(
            re.compile("can't tell|insufficient data|better|worse", re.IGNORECASE)
        )
        await expect(page.locator("main")).to_contain_text("Turnout")


async def test_a_wrong_password_says_no_more_than_that(site: Site) -> None:
    async with site.visit(None) as page:
        for login in ("auditor", "nobody-of-that-name"):
            await page.goto("/sign-in")
            await door(page, login, "not the password")
            await expect(page.locator(".problem")).to_have_text("The login or the password is wrong.")
        assert "muster_session" not in str(await page.context.cookies())


async def test_a_page_of_another_role_is_refused_in_words(site: Site) -> None:
    async with site.visit("fire-rescue") as page:
        answer = await page.goto("/people")
        assert answer is not None
        assert answer.status == 403
        await expect(page.locator("main")).to_contain_text("You may not see this")
        answer = await page.goto("/departments/police")
        assert answer is not None
        assert answer.status == 403


async def test_a_lost_connection_is_loud_and_mends_itself(site: Site) -> None:
    async with site.visit("officer") as page:
        await page.goto("/")
        await expect(page.locator("#live")).to_have_attribute("data-state", "live")
        # A server that stands still: the connection stays, and nothing comes over it any more.
        site.up.process.send_signal(signal.SIGSTOP)
        try:
            await expect(page.locator("#lost")).to_contain_text("No live view since")
        finally:
            site.up.process.send_signal(signal.SIGCONT)
        await expect(page.locator("#lost")).to_be_hidden()
        await expect(page.locator("#live")).to_have_attribute("data-state", "live")


async def test_two_officers_at_once_put_a_plan_into_force_once(site: Site) -> None:
    world = World(site.up.http, site.up.token)
    incident = await world.report(
        {
            "categories": ["Other"],
            "event": "Silo on fire",
            "severity": "Moderate",
            "areas": [{"description": somewhere()}],
            "occurred_at": datetime.now(UTC).isoformat(),
        }
    )
    async with site.visit("officer") as one, site.visit("officer") as other:
        for page in (one, other):
            await page.goto(f"/incidents/{incident}")
            await expect(page.locator("#live")).to_have_attribute("data-state", "live")
            await expect(page.locator("#part-head")).to_contain_text("No plan is in force")
        await asyncio.gather(
            *(decide(page, "#do-activate", why="It burns", plan="high-rise-fire", level="III") for page in (one, other))
        )
        for page in (one, other):
            await expect(page.locator("#part-head .level-III")).to_be_visible()
            await expect(page.locator("#toasts")).to_contain_text(re.compile("Done|Refused"))
        said = [await page.locator("#toasts").inner_text() for page in (one, other)]
        assert sorted("already activated" in text for text in said) == [False, True]
    found = await world.call("GET", f"/v1/incidents/{incident}")
    assert [activation["state"] for activation in found["activations"]] == ["activated"]
    tasks = [(each["task"], each["department"]) for each in found["assignments"]]
    assert len(tasks) == len(set(tasks))
