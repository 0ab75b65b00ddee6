"""The door and the administration as pages: what is shown to whom, in both languages, with no script inline."""

import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from schemas.vocabulary import Namespace, Role
from services.console.pages.people import add_people_pages
from services.console.pages.sign_in import add_sign_in
from services.console.site import add_console
from services.platform.access.guard import everyone
from services.platform.access.oidc import Provider
from services.platform.access.opening import DEMO_PASSWORD
from services.platform.access.settings import OidcSettings
from services.platform.postgres import Pool
from tests.services.access_support import PASSWORD, Browser, Site, site_on
from tests.services.support import publish_shipped

HTML = {"Accept": "text/html"}
CHINESE = {"Accept": "text/html", "Accept-Language": "zh-CN"}


@pytest.fixture
async def site(pool: Pool) -> AsyncIterator[Site]:
    await publish_shipped(pool)
    async with site_on(pool) as site:
        await site.add("boss", Role.ADMINISTRATOR)
        await site.add("auditor", Role.AUDITOR)

        @site.app.get("/v1/departments", dependencies=[everyone()])
        async def departments() -> dict[str, Any]:
            found = await site.access.people.departments()
            return {"items": [{"id": id_, "title": {"en": en, "zh": zh}} for id_, en, zh in found], "next": None}

        roots = {"shared": "", "actual": ""}
        add_console(site.app, Namespace.ACTUAL, site.access, [add_sign_in, add_people_pages], roots)
        yield site


async def signed_in(site: Site, login: str) -> Browser:
    browser = Browser(site)
    assert (await browser.sign_in(login)).status_code == 200
    return browser


def clean(answer: httpx.Response) -> str:
    """The page, which holds nothing that the policy would keep a browser from running or showing."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/html")
    assert not re.search(r"<script(?![^>]*\bsrc=)|\sstyle=|\son\w+=|javascript:", answer.text)
    return answer.text


async def test_who_is_not_signed_in_is_asked_to_and_sent_on_afterwards(site: Site) -> None:
    answer = await Browser(site).client.get("/people?cursor=x", headers=HTML)
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=/people%3Fcursor%3Dx")
    page = clean(await Browser(site).client.get(answer.headers["location"], headers=HTML))
    assert 'data-enter="/v1/session"' in page
    assert 'data-then="/people?cursor=x"' in page
    elsewhere = clean(await Browser(site).client.get("/sign-in?next=//evil.example", headers=HTML))
    assert "evil.example" not in elsewhere
    assert "登录 Muster" in clean(await Browser(site).client.get("/sign-in", headers=CHINESE))


async def test_the_door_shows_the_ways_in_that_there_are(site: Site, pool: Pool) -> None:
    page = clean(await Browser(site).client.get("/sign-in", headers=HTML))
    assert "/v1/session/oidc" not in page
    assert DEMO_PASSWORD not in page
    given = {"issuer": "https://login.example.org", "client_id": "muster", "client_secret": SecretStr("s3cret")}
    site.access.provider = Provider(OidcSettings(**given, label="City <login>"), pool)  # type: ignore[arg-type]
    site.access.demo = True
    page = clean(await Browser(site).client.get("/sign-in?next=/people", headers=HTML))
    assert 'href="/v1/session/oidc?next=/people"' in page
    assert "Sign in with City &lt;login&gt;" in page
    assert "s3cret" not in page
    assert DEMO_PASSWORD in page


async def test_a_problem_that_a_link_brings_is_shown_as_text(site: Site) -> None:
    page = clean(await Browser(site).client.get("/sign-in?problem=<script>alert(1)</script>", headers=HTML))
    assert "&lt;script&gt;alert(1)" in page


async def test_who_has_signed_in_goes_on_and_who_must_change_the_password_does_that_first(site: Site) -> None:
    boss = await signed_in(site, "boss")
    answer = await boss.client.get("/sign-in?next=/people", headers=HTML)
    assert (answer.status_code, answer.headers["location"]) == (303, "/people")
    await site.add("new", Role.ADMINISTRATOR, must_change=True)
    new = await signed_in(site, "new")
    answer = await new.client.get("/people", headers=HTML)
    assert answer.headers["location"] == "/sign-in?next=/people"
    page = clean(await new.client.get("/sign-in?next=/people", headers=HTML))
    assert "one-time" in page
    assert 'data-enter="/v1/session/password"' in page
    assert new.csrf in page
    change = {"current": PASSWORD, "new": "a password of my own"}
    assert (await new.ask("POST", "/v1/session/password", json=change)).status_code == 200
    clean(await new.client.get("/people", headers=HTML))
    clean(await new.client.get("/password", headers=CHINESE))


async def test_administrators_change_what_auditors_only_read(site: Site) -> None:
    person = await site.add("zhang.wei", Role.DEPARTMENT, departments=("police",))
    await site.token("report")
    boss, auditor = await signed_in(site, "boss"), await signed_in(site, "auditor")
    for path, forms in (
        ("/people", ('data-send="/v1/people"', f'hx-get="/people/{person.id}"')),
        ("/people/tokens", ('data-send="/v1/tokens"', 'data-method="DELETE"')),
    ):
        changing = clean(await boss.client.get(path, headers=HTML))
        reading = clean(await auditor.client.get(path, headers=HTML))
        for form in forms:
            assert form in changing
            assert form not in reading.replace('data-send="/v1/session" data-method="DELETE"', "")
    page = clean(await auditor.client.get("/people", headers=CHINESE))
    assert "单位人员" in page
    assert "市公安局" in page
    dialog = clean(await boss.client.get(f"/people/{person.id}", headers=HTML))
    assert re.search(r'value="police" checked', dialog)
    assert (await auditor.client.get(f"/people/{person.id}", headers=HTML)).status_code == 403
    officer = await site.add("officer")
    assert officer.login == "officer"
    refused = await (await signed_in(site, "officer")).client.get("/people", headers=HTML)
    assert refused.status_code == 403


async def test_the_audit_is_found_by_what_who_and_outcome_and_shows_markup_as_text(site: Site) -> None:
    boss = await signed_in(site, "boss")
    await Browser(site).sign_in("boss", "not the password")
    person = await site.add("officer")
    await boss.ask("PATCH", f"/v1/people/{person.id}", json={"roles": ["planner", "evaluator"], "name": "<b>Bold</b>"})
    everything = clean(await boss.client.get("/people/audit", headers=HTML))
    assert "duty_officer → evaluator, planner" in everything
    assert "&lt;b&gt;Bold&lt;/b&gt;" in everything
    failed = clean(await boss.client.get("/people/audit?outcome=wrong-password", headers=CHINESE))
    assert "密码错误" in failed
    assert "→" not in failed
    assert "Nothing of that kind" in clean(await boss.client.get("/people/audit?by=nobody", headers=HTML))


async def test_long_lists_go_on_on_the_next_page(site: Site) -> None:
    boss = await signed_in(site, "boss")
    for number in range(110):
        await site.access.note(None, "test.note", f"target {number}")
    first = clean(await boss.client.get("/people/audit?action=test", headers=HTML))
    older = re.search(r'href="(\?[^"]*cursor=[^"]+)"', first)
    assert older is not None
    second = clean(await boss.client.get(f"/people/audit{older[1].replace('&amp;', '&')}", headers=HTML))
    assert "target 9<" in second
    assert "target 109" not in second
