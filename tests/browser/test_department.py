"""A department on its phone: orders come by themselves, one tap answers, a lost connection loses or doubles nothing."""

import asyncio
import io
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.async_api import Page, Route, expect
from pypdf import PdfReader
from uuid_utils.compat import uuid7

from tests.browser.visit import Site
from tests.browser.world import INCIDENTS, World
from tests.services.support import until

pytestmark = pytest.mark.browser

BACK_WITHIN_MS = 15_000


def world_of(site: Site) -> World:
    return World(site.up.http, site.up.token)


async def chemical(site: Site, headline: str, *, exercise: bool = False) -> str:
    """Report a release somewhere of its own, so that no other test's incident takes it in."""
    told = {**INCIDENTS[0], "headline": headline, "areas": [{"description": f"Place {uuid7()}"}]}
    told["occurred_at"] = datetime.now(UTC).isoformat()
    return await world_of(site).report(told, exercise=exercise)


async def order_of(site: Site, incident: str, department: str, task: str) -> str:
    for assignment in await world_of(site).assignments(incident, at_least=4):
        if (assignment["department"], assignment["task"]) == (department, task):
            return str(assignment["id"])
    raise AssertionError(f"{department} has no order {task}")


async def shown(site: Site, order: str) -> dict[str, Any]:
    found: dict[str, Any] = await world_of(site).call("GET", f"/v1/assignments/{order}")
    return found


def entries(order: dict[str, Any], entry: str) -> int:
    return sum(said["entry"] == entry for said in order["said"])


def stands(site: Site, order: str, state: str) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        return bool((await shown(site, order))["state"] == state)

    return look


CALLS = """
    window.heard = { tones: 0, notices: [] };
    const start = OscillatorNode.prototype.start;
    OscillatorNode.prototype.start = function (...given) { window.heard.tones += 1; return start.apply(this, given); };
    ServiceWorkerRegistration.prototype.showNotification = async function (title, options) {
        window.heard.notices.push([title, options.body]);
    };
"""


async def test_a_new_order_is_heard_and_seen_by_whoever_asked_for_it(site: Site) -> None:
    async with site.visit("traffic-police", phone=True) as page:
        await page.context.grant_permissions(["notifications"], origin=site.up.http)
        await page.add_init_script(CALLS)
        await page.goto("/departments/traffic-police")
        await expect(page.locator("#live")).to_have_attribute("data-state", "live")
        await page.locator("#alerts").click()
        await expect(page.locator("#alerts")).to_have_attribute("aria-pressed", "true")
        # Asked again and again from here: the page's own policy lets nobody evaluate text in it.
        await until(lambda: page.evaluate("window.heard.tones === 2"))  # what a call sounds like, once asked for
        order = await order_of(site, await chemical(site, "Gas at the bus station"), "traffic-police", "divert-traffic")
        await expect(page.locator(f'[data-order="{order}"]')).to_be_visible()
        await until(lambda: page.evaluate("window.heard.tones >= 7 && window.heard.notices.length > 0"))
        (title, body), *_ = await page.evaluate("window.heard.notices")
        shown = await page.locator(f'[data-order="{order}"]').get_attribute("data-title")
        assert (title, body) == ("New order", shown)


async def test_an_order_comes_by_itself_and_one_tap_answers_it(site: Site) -> None:
    async with site.visit("fire-rescue", phone=True) as page:
        await page.goto("/departments/fire-rescue")
        await expect(page.locator("#live")).to_have_attribute("data-state", "live")
        incident = await chemical(site, "Acid on the slip road")
        order = await order_of(site, incident, "fire-rescue", "establish-command")
        card = page.locator(f'[data-order="{order}"]')
        await expect(card).to_be_visible()
        await until(lambda: delivered(site, order))
        await card.get_by_role("button", name="Commit").click()
        await expect(card).to_have_attribute("data-state", "committed")
        await card.get_by_role("button", name="Start").click()
        await expect(card).to_have_attribute("data-state", "started")
        await card.get_by_text("More").click()
        await card.get_by_role("button", name="Progress").click()
        await page.locator("#say-progress textarea").fill("Two engines there, the third on its way")
        await page.locator("#say-progress button.primary").click()
        await card.get_by_role("button", name="Complete").click()
        await until(stands(site, order, "completed"))
    said = await shown(site, order)
    assert [each["note"] for each in said["said"] if each["entry"] == "progress_noted"] == [
        "Two engines there, the third on its way"
    ]
    assert {each["by"] for each in said["said"] if each["entry"] != "assignment_delivered"} == {"Fire and Rescue"}


async def delivered(site: Site, order: str) -> bool:
    return (await shown(site, order))["times"]["delivered_at"] is not None


async def test_a_read_back_is_asked_for_and_a_refusal_says_why(site: Site) -> None:
    order = await order_of(site, await chemical(site, "Tank lorry on its side"), "police", "isolate")
    async with site.visit("police", phone=True) as page:
        await page.goto(f"/assignments/{order}")
        await until(stands(site, order, "acknowledged"))
        await page.locator(f'[data-order="{order}"]').get_by_role("button", name="Commit").click()
        dialog = page.locator("#say-read_back")
        await expect(dialog).to_contain_text("Isolation zone of at least 100 m")
        await dialog.locator("textarea").fill("We close 100 m all round")
        await dialog.locator("button.primary").click()
        await until(stands(site, order, "committed"))
        await expect(page.locator(".sheet")).to_contain_text("We close 100 m all round")


async def test_what_is_tapped_without_a_connection_is_kept_and_sent_once(site: Site) -> None:
    order = await order_of(site, await chemical(site, "Smell of ammonia"), "ems", "triage-decontaminate")
    async with site.visit("ems", phone=True) as page:
        await page.goto("/departments/ems")
        card = page.locator(f'[data-order="{order}"]')
        await card.get_by_role("button", name="Commit").click()
        await expect(card).to_have_attribute("data-state", "committed")
        await page.context.set_offline(offline=True)
        await expect(page.locator("#away")).to_contain_text("No connection")
        await card.get_by_role("button", name="Start").click()
        await expect(card.locator(".order-waiting")).to_contain_text("waiting to be sent")
        await expect(page.locator("#waiting")).to_contain_text("Start")
        await page.context.set_offline(offline=False)
        await until(stands(site, order, "started"))
        await expect(page.locator("#waiting")).to_be_hidden()
        await expect(page.locator("#away")).to_be_hidden()
        await expect(card).to_have_attribute("data-state", "started")
    assert entries(await shown(site, order), "assignment_started") == 1


async def test_what_is_kept_outlives_the_page(site: Site) -> None:
    order = await order_of(site, await chemical(site, "Solvent in the sewer"), "ems", "triage-decontaminate")
    async with site.visit("ems", phone=True) as page:
        await page.goto("/departments/ems")
        await page.route("**/answers", lambda route: route.abort())
        await page.locator(f'[data-order="{order}"]').get_by_role("button", name="Commit").click()
        await expect(page.locator("#waiting")).to_contain_text("Commit")
        await page.unroute("**/answers")
        await page.reload()
        await until(stands(site, order, "committed"))


async def test_an_answer_lost_on_its_way_back_is_sent_again_and_counts_once(site: Site) -> None:
    """Every obstacle is kept, so a second one would show."""
    order = await order_of(site, await chemical(site, "Leaking drums"), "ems", "triage-decontaminate")
    lost: list[str] = []

    async def lose(route: Route) -> None:
        request = route.request
        if not lost and (request.post_data_json or {}).get("answer") == "block":
            await route.fetch()
            lost.append(request.headers["idempotency-key"])
            await route.abort()
        else:
            await route.continue_()

    async with site.visit("ems", phone=True) as page:
        await page.goto("/departments/ems")
        await page.route("**/answers", lose)
        card = page.locator(f'[data-order="{order}"]')
        await card.get_by_text("More").click()
        await card.get_by_role("button", name="Blocked").click()
        await page.locator("#say-block textarea").fill("The gate is locked")
        async with page.expect_response(
            lambda answer: answer.url.endswith("/answers") and answer.status == 200
        ) as again:
            await page.locator("#say-block button.primary").click()
        assert (await again.value).request.headers["idempotency-key"] == lost[0]
        await expect(card).to_contain_text("Blocked")
    assert [each["description"] for each in (await shown(site, order))["obstacles"]] == ["The gate is locked"]


async def test_what_cannot_be_answered_any_more_is_said_and_not_sent_again(site: Site) -> None:
    order = await order_of(site, await chemical(site, "Gas bottles burn"), "ems", "triage-decontaminate")
    async with site.visit("ems", phone=True) as page:
        await page.goto("/departments/ems")
        await page.route("**/answers", lambda route: route.abort())
        card = page.locator(f'[data-order="{order}"]')
        await card.get_by_role("button", name="Commit").click()
        await expect(page.locator("#waiting")).to_contain_text("Commit")
        await world_of(site).answer({"id": order, "department": "ems"}, {"answer": "decline", "reason": "no crew"})
        await until(stands(site, order, "declined"))
        await page.unroute("**/answers")
        await page.locator("[data-flush]").click()
        await expect(page.locator("#turned-down")).to_contain_text("declined already")
        await expect(page.locator("#waiting")).to_be_hidden()


async def test_an_order_sheet_is_one_page_on_paper(site: Site) -> None:
    incident = await chemical(site, "Chlorine leak at the water works", exercise=True)
    found = await world_of(site).call("GET", f"/v1/incidents/{incident}", exercise=True)
    while not found["assignments"]:
        await asyncio.sleep(0.2)
        found = await world_of(site).call("GET", f"/v1/incidents/{incident}", exercise=True)
    order = next(each["id"] for each in found["assignments"] if each["department"] == "police")
    for language, title, outside in (("en", "AssignmentList", "Whatwastold"), ("zh", "应急处置任务单", "通知记录")):
        async with site.visit("police", language=language) as page:
            await page.goto(f"/exercise/assignments/{order}")
            paper = PdfReader(io.BytesIO(await page.pdf(prefer_css_page_size=True)))
        assert len(paper.pages) == 1, language
        text = "".join(paper.pages[0].extract_text().split())
        assert title in text
        assert "EXERCISEEXERCISE" in text or "演练演练" in text
        assert outside not in text, "the sheet only"


async def test_a_double_click_reports_once(site: Site) -> None:
    place = f"Place {uuid7()}"
    async with site.visit("officer") as page:
        await page.goto("/report")
        await page.locator(".kind", has_text="Hazardous substances").click()
        await page.locator('[name="event"]').fill("Chemical release")
        await page.locator("[data-areas]").fill(place)
        await page.locator(".severity-Severe").click()
        await expect(page.locator("#preview")).to_contain_text("Close the isolation zone")
        await expect(page.locator("#by-form [data-sum]")).to_have_text(re.compile(r"orders to \d+ departments"))
        await page.locator("#by-form .report-send").dblclick()
        await page.wait_for_url("**/incidents/*")
        incident = page.url.rpartition("/")[2]
    listed = await world_of(site).call("GET", "/v1/incidents?limit=100")
    texts = [each["id"] for each in listed.get("items", listed.get("incidents")) if each["id"] == incident]
    assert texts == [incident]
    report = (await world_of(site).call("GET", f"/v1/incidents/{incident}"))["report"]
    assert [area["description"] for area in report["areas"]] == [place]


async def test_a_faulty_alert_is_explained_and_a_good_one_is_sent_as_it_is(site: Site) -> None:
    async with site.visit("officer") as page:
        await page.goto("/report")
        await page.locator("#tab-cap").click()
        await page.locator("[data-cap-text]").fill("<alert><nonsense/></alert>")
        await expect(page.locator("#preview")).to_contain_text("is no CAP alert")
        await page.locator("[data-cap-text]").fill(alert())
        await expect(page.locator("#preview")).to_contain_text("Close the isolation zone")
        await page.locator("#by-cap .report-send").click()
        await page.wait_for_url("**/incidents/*")


def alert() -> str:
    sent = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S-00:00")
    return (
        '<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2">'
        f"<identifier>{uuid7()}</identifier><sender>desk@example.org</sender><sent>{sent}</sent>"
        "<status>Actual</status><msgType>Alert</msgType><scope>Public</scope><info><category>CBRNE</category>"
        "<event>Chemical release</event><urgency>Immediate</urgency><severity>Severe</severity>"
        f"<certainty>Observed</certainty><area><areaDesc>Place {uuid7()}</areaDesc></area></info></alert>"
    )


async def test_without_a_connection_the_app_opens_and_says_so(site: Site) -> None:
    async with site.visit("police", phone=True) as page:
        await page.goto("/departments/police")
        await page.evaluate("navigator.serviceWorker.ready.then(() => true)")
        await until(lambda: kept(page))
        await page.context.set_offline(offline=True)
        await page.goto("/departments/police")
        await expect(page.locator("#offline")).to_contain_text("No connection")
        await expect(page.locator("[data-order]")).to_have_count(0)
        await page.context.set_offline(offline=False)
        await expect(page.locator("#live")).to_be_visible(timeout=BACK_WITHIN_MS)


async def kept(page: Page) -> bool:
    return bool(await page.evaluate("caches.match('/offline').then((found) => Boolean(found))"))
