"""Sessions: how long they last, how their tokens change, and what other sites can't do with them."""

import asyncio
from collections.abc import AsyncIterator, MutableMapping
from typing import Any

import httpx
import pytest

from services.platform.access.sessions import GRACE
from services.platform.access.settings import AccessSettings
from services.platform.postgres import Pool
from tests.services.access_support import BASE, PASSWORD, Browser, Site, audited, clock_of, site_on


@pytest.fixture
async def site(pool: Pool) -> AsyncIterator[Site]:
    async with site_on(pool) as site:
        await site.add("officer")
        yield site


async def signed_in(site: Site) -> Browser:
    browser = Browser(site)
    assert (await browser.sign_in("officer")).status_code == 200
    return browser


def with_cookie(browser: Browser, cookie: str | None) -> dict[str, str]:
    """Headers of a browser that has kept an older token."""
    browser.client.cookies.clear()
    return {"Cookie": f"muster_session={cookie}"}


async def test_a_session_ends_when_it_is_not_used_and_lasts_while_it_is(site: Site) -> None:
    browser = await signed_in(site)
    clock = clock_of(site)
    for _ in range(5):
        clock.forward(hours=1.9)
        assert (await browser.ask("GET", "/v1/session")).status_code == 200
    clock.forward(hours=2.1)
    assert (await browser.ask("GET", "/v1/session")).status_code == 401


async def test_a_session_ends_after_its_lifetime_however_much_it_is_used(site: Site) -> None:
    browser = await signed_in(site)
    for _ in range(14):
        assert (await browser.ask("GET", "/v1/session")).status_code == 200
        clock_of(site).forward(hours=1)
    assert (await browser.ask("GET", "/v1/session")).status_code == 401


async def test_the_token_changes_every_so_often_and_the_old_one_is_good_for_a_moment(site: Site) -> None:
    browser = await signed_in(site)
    before = browser.cookie
    clock_of(site).forward(minutes=31)
    answers = await asyncio.gather(*(browser.client.get("/v1/session") for _ in range(10)))
    assert {answer.status_code for answer in answers} == {200}
    assert sum("set-cookie" in answer.headers for answer in answers) == 1, "one of them brings the new token"
    after = browser.cookie
    assert after != before
    assert (await browser.ask("GET", "/v1/session")).json()["csrf"] == browser.csrf, "open pages go on"
    clock_of(site).forward(seconds=GRACE.total_seconds() - 1)
    old = with_cookie(browser, before)
    assert (await browser.client.get("/v1/session", headers=old)).status_code == 200


async def test_a_token_that_comes_back_after_it_was_changed_ends_the_session(site: Site) -> None:
    browser = await signed_in(site)
    stolen = browser.cookie
    clock_of(site).forward(minutes=31)
    await browser.ask("GET", "/v1/session")
    await browser.ask("GET", "/v1/session")
    clock_of(site).forward(seconds=GRACE.total_seconds() + 1)
    thief = Browser(site)
    assert (await thief.client.get("/v1/session", headers=with_cookie(thief, stolen))).status_code == 401
    assert (await browser.ask("GET", "/v1/session")).status_code == 401, (
        "nobody can tell which of the two is the person"
    )
    assert ("Name of officer", "session.end", None, "stale-token") in await audited(site)


async def test_an_answer_lost_on_its_way_does_not_sign_anybody_out(site: Site) -> None:
    """The browser never learns of the new token, keeps sending the old one, and is given another."""
    browser = await signed_in(site)
    kept = browser.cookie
    for _ in range(3):
        clock_of(site).forward(minutes=31)
        answer = await browser.client.get("/v1/session", headers=with_cookie(browser, kept))
        assert answer.status_code == 200
        assert "set-cookie" in answer.headers
    assert (await browser.ask("GET", "/v1/session")).status_code == 200


async def test_signing_in_again_ends_the_browser_s_session_before(site: Site) -> None:
    browser = await signed_in(site)
    before = browser.cookie
    assert (await browser.sign_in("officer")).status_code == 200
    assert browser.cookie != before
    assert (await browser.client.get("/v1/session", headers=with_cookie(browser, before))).status_code == 401


async def test_signing_out_ends_the_session_and_takes_the_cookie_back(site: Site) -> None:
    browser = await signed_in(site)
    before = browser.cookie
    answer = await browser.ask("DELETE", "/v1/session")
    assert answer.status_code == 204
    assert browser.cookie is None
    assert (await browser.client.get("/v1/session", headers=with_cookie(browser, before))).status_code == 401


async def test_who_is_disabled_or_loses_a_role_feels_it_at_once(site: Site) -> None:
    browser = await signed_in(site)
    caller = (await browser.ask("GET", "/v1/session")).json()
    assert (await browser.ask("POST", "/v1/deeds")).status_code == 200
    people, now = site.access.people, site.access.now()
    await people.change(caller["id"], now, roles=["planner"])
    assert (await browser.ask("POST", "/v1/deeds")).status_code == 403
    await people.change(caller["id"], now, disabled=True)
    assert (await browser.ask("GET", "/v1/session")).status_code == 401
    await people.change(caller["id"], now, disabled=False)
    assert (await browser.ask("GET", "/v1/session")).status_code == 401, "the session was ended, not held back"


FORGED: tuple[dict[str, str], ...] = (
    {"X-CSRF-Token": ""},
    {"X-CSRF-Token": "wrong"},
    {"X-CSRF-Token": "\u00e9".encode("latin-1").decode("latin-1")},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": "https://evil.example"},
    {"Origin": "http://127.0.0.1:9999"},
    {"Origin": "http://127.0.0.1.evil.example:8080"},
    {"Origin": "null"},
    {"Origin": "http://[::1"},
)


async def test_what_another_site_sends_in_a_person_s_name_is_refused(site: Site) -> None:
    browser = await signed_in(site)
    for headers in FORGED:
        raw = {"X-CSRF-Token": browser.csrf} | headers
        encoded = {name.encode(): value.encode("latin-1") for name, value in raw.items()}
        for method, path in (("POST", "/v1/deeds"), ("DELETE", "/v1/session"), ("POST", "/v1/session/password")):
            answer = await browser.client.request(method, path, headers=encoded, json={"current": "x", "new": "y"})
            assert (answer.status_code, answer.json()["type"]) == (403, "urn:muster:problem:forged"), headers
        assert (await audited(site))[-1] == ("Name of officer", "refused", "POST /v1/session/password", "forged")
    assert (await browser.ask("GET", "/v1/session")).status_code == 200


async def test_a_session_without_its_csrf_token_reads_and_changes_nothing(site: Site) -> None:
    browser = await signed_in(site)
    assert (await browser.client.get("/v1/departments/x")).status_code == 200
    assert (await browser.client.post("/v1/deeds")).status_code == 403
    same = {"Sec-Fetch-Site": "same-origin", "Origin": BASE}
    assert (await browser.ask("POST", "/v1/deeds", headers=same)).status_code == 200


async def test_another_site_can_not_sign_a_browser_in(site: Site) -> None:
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
        answer = await Browser(site).sign_in("officer", PASSWORD, **headers)
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers
    plain = {"Content-Type": "text/plain"}
    body = b'{"login": "officer", "password": "a fine long password"}'
    form = await Browser(site).client.post("/v1/session", content=body, headers=plain)
    assert form.status_code == 422, "a form of another site can't send JSON"


async def test_behind_a_proxy_the_public_address_is_the_origin(pool: Pool) -> None:
    async with site_on(pool, AccessSettings(public_url="https://muster.example.org")) as site:
        await site.add("officer")
        browser = Browser(site, base="http://muster.example.org")
        assert (await browser.sign_in("officer", Origin="https://muster.example.org")).status_code == 200
        assert (await Browser(site, base="http://muster.example.org").sign_in("officer", Origin="http://muster.example.org")).status_code == 403  # fmt: skip # noqa: E501


async def test_streams_pass_as_they_come_and_every_answer_has_the_headers(site: Site) -> None:
    for path, status in (("/v1/ticks", 200), ("/nowhere", 404), ("/v1/session", 401)):
        answer = await Browser(site).client.get(path)
        assert answer.status_code == status
        _has_headers(answer)
    client = httpx.AsyncClient(transport=httpx.ASGITransport(site.served, raise_app_exceptions=False), base_url=BASE)
    answer = await client.get("/v1/fault")
    assert answer.status_code == 500
    _has_headers(answer)
    parts: list[MutableMapping[str, Any]] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        parts.append(message)

    async def receive() -> MutableMapping[str, Any]:
        await asyncio.sleep(3600)
        return {}

    headers = [(b"host", b"127.0.0.1")]
    scope = {"type": "http", "method": "GET", "path": "/v1/ticks", "query_string": b"", "headers": headers}
    await site.served({**scope, "scheme": "http", "server": None, "client": None}, receive, send)
    bodies = [part["body"] for part in parts if part["type"] == "http.response.body"]
    assert bodies == [b"data: 1\n\n", b"data: 2\n\n", b""]


def _has_headers(answer: httpx.Response) -> None:
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"


HOSTS = (
    ("127.0.0.1:8080", 200),
    ("[::1]:8080", 200),
    ("192.0.2.7", 200),
    ("intake:8080", 200),
    ("MUSTER.example.org.", 200),
    ("intake.muster.svc", 200),
    ("svc", 200),
    ("evilsvc.example", 421),
    ("evil.example", 421),
    ("127.0.0.1.evil.example", 421),
    ("", 400),
)


async def test_a_name_that_others_can_make_point_here_is_not_answered(pool: Pool) -> None:
    async with site_on(pool, AccessSettings(hosts=("muster.example.org", ".svc"))) as site:
        for host, status in HOSTS:
            answer = await Browser(site).client.get("/v1/ticks", headers={"Host": host})
            assert answer.status_code == status, host
            if status != 200:
                assert answer.headers["content-type"] == "application/problem+json"


async def test_a_body_beyond_all_bounds_is_refused_before_and_while_it_is_read(site: Site) -> None:
    browser = Browser(site)
    declared = {"Content-Length": "99999999999"}
    answer = await browser.client.post("/v1/session", content=b"{}", headers=declared)
    assert answer.status_code == 413

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b" " * 100_000

    answer = await browser.client.post("/v1/session", content=endless(), headers={"Content-Type": "application/json"})
    assert answer.status_code == 413
