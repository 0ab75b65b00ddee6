"""Signing in with an identity provider: the way there and back, and every way to come back with something false."""

import base64
import json
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc.jwk import OctKey, RSAKey
from pydantic import SecretStr, ValidationError

from schemas.vocabulary import Role
from services.platform.access.oidc import Provider
from services.platform.access.paths import own_path
from services.platform.access.settings import AccessSettings, OidcSettings, read_oidc
from services.platform.errors import ConfigurationError
from services.platform.postgres import Pool
from tests.services.access_support import BASE, Browser, Site, audited, clock_of, site_on
from tests.services.oidc_provider import CLIENT, SECRET, FakeProvider, running_provider
from tests.services.support import publish_shipped

CALLBACK = "/v1/session/oidc/callback"


@pytest.fixture
async def provider() -> AsyncIterator[FakeProvider]:
    async with running_provider() as provider:
        yield provider


def settings(provider: FakeProvider, **given: Any) -> OidcSettings:
    values: dict[str, Any] = {
        "issuer": provider.issuer,
        "client_id": CLIENT,
        "client_secret": SecretStr(SECRET),
        "roles": {"er-duty": "duty_officer"},
    }
    return OidcSettings(**(values | given))


@pytest.fixture
async def site(pool: Pool, provider: FakeProvider) -> AsyncIterator[Site]:
    await publish_shipped(pool)
    async with httpx.AsyncClient(trust_env=False) as client, site_on(pool) as site:
        site.access.provider = Provider(settings(provider), pool, client)
        yield site


async def sent_off(browser: Browser, target: str = "/incidents") -> str:
    """Begin; gives the provider's address that the browser is sent to."""
    answer = await browser.client.get("/v1/session/oidc", params={"next": target})
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


async def brought_back(browser: Browser, provider: FakeProvider, **changed: str) -> httpx.Response:
    """Go there and back, with something changed on the way."""
    query = provider.approve(await sent_off(browser)) | changed
    return await browser.client.get(CALLBACK, params=query)


async def test_who_the_provider_vouches_for_comes_in_with_the_roles_it_gives(
    site: Site, provider: FakeProvider
) -> None:
    browser = Browser(site)
    url = await sent_off(browser)
    query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    assert url.startswith(f"{provider.issuer}/authorize?")
    assert query["response_type"] == "code"
    assert query["redirect_uri"] == f"{BASE}{CALLBACK}"
    assert query["code_challenge_method"] == "S256"
    assert set(query["scope"].split()) >= {"openid"}
    answer = await browser.client.get(CALLBACK, params=provider.approve(url))
    assert (answer.status_code, answer.headers["location"]) == (303, "/incidents")
    me = (await browser.ask("GET", "/v1/session")).json()
    assert (me["name"], me["roles"]) == ("Li Na", ["duty_officer", "planner"])
    browser.csrf = me["csrf"]
    assert (await browser.ask("POST", "/v1/deeds")).json() == "Li Na"
    assert provider.credentials is not None
    assert base64.b64decode(provider.credentials.removeprefix("Basic ")) == b"muster:a+client%27s+secret"
    assert ("Li Na", "session.begin", "li.na", "done") in await audited(site)
    assert await site.access.pool.fetchval("SELECT count(*) FROM oidc_sign_ins") == 0


async def test_roles_follow_the_provider_at_each_sign_in_and_it_stays_the_same_person(
    site: Site, provider: FakeProvider
) -> None:
    await brought_back(Browser(site), provider)
    provider.claims |= {"name": "Li Na (fire)", "roles": "department", "departments": ["fire-rescue", "moon-base"]}
    browser = Browser(site)
    await brought_back(browser, provider)
    me = (await browser.ask("GET", "/v1/session")).json()
    assert (me["name"], me["roles"], me["departments"]) == ("Li Na (fire)", ["department"], ["fire-rescue"])
    [person] = await site.access.people.list()
    assert (str(person.id), person.login, person.external) == (me["id"], "li.na", True)


async def test_a_name_that_somebody_here_has_makes_nobody_that_person(site: Site, provider: FakeProvider) -> None:
    local = await site.add("li.na", Role.ADMINISTRATOR)
    browser = Browser(site)
    await brought_back(browser, provider)
    me = (await browser.ask("GET", "/v1/session")).json()
    assert me["id"] != str(local.id)
    assert "administrator" not in me["roles"]
    assert {person.login for person in await site.access.people.list()} == {"li.na", "li.na u-1"}


async def test_who_has_no_role_or_was_disabled_does_not_come_in(site: Site, provider: FakeProvider) -> None:
    provider.claims |= {"roles": ["staff", "king"]}
    answer = await brought_back(Browser(site), provider)
    assert (answer.status_code, "no role" in answer.json()["detail"]) == (403, True)
    assert await site.access.people.list() == []
    provider.claims |= {"roles": ["planner"]}
    await brought_back(Browser(site), provider)
    [person] = await site.access.people.list()
    await site.access.people.change(person.id, site.access.now(), disabled=True)
    answer = await brought_back(Browser(site), provider)
    assert (answer.status_code, "disabled" in answer.json()["detail"]) == (403, True)


async def refused(site: Site, answer: httpx.Response, why: str) -> None:
    """Nobody came in, and the reason is told and on the audit."""
    assert (answer.status_code, answer.json()["type"]) == (401, "urn:muster:problem:oidc"), answer.text
    assert why in answer.json()["detail"]
    assert not any("muster_session" in cookie for cookie in answer.headers.get_list("set-cookie"))
    assert await site.access.people.list() == []
    assert await site.access.pool.fetchval("SELECT count(*) FROM sessions") == 0
    assert (await audited(site))[-1][1:] == ("session.begin", None, "oidc")


async def test_an_answer_to_a_sign_in_of_another_browser_is_refused(site: Site, provider: FakeProvider) -> None:
    """Otherwise a stranger could sign a person in as the stranger."""
    query = provider.approve(await sent_off(Browser(site)))
    victim = Browser(site)
    await refused(site, await victim.client.get(CALLBACK, params=query), "not begun in this browser")
    await sent_off(victim)
    await refused(site, await victim.client.get(CALLBACK, params=query), "not begun in this browser")


async def test_a_wrong_state_is_refused(site: Site, provider: FakeProvider) -> None:
    await refused(site, await brought_back(Browser(site), provider, state="wrong"), "not begun in this browser")


async def test_an_answer_counts_once_and_not_for_long(site: Site, provider: FakeProvider) -> None:
    browser = Browser(site)
    query = provider.approve(await sent_off(browser))
    cookie = browser.client.cookies["muster_oidc"]
    clock_of(site).forward(minutes=11)
    again = {"Cookie": f"muster_oidc={cookie}"}
    await refused(site, await browser.client.get(CALLBACK, params=query, headers=again), "took too long")
    await refused(site, await Browser(site).client.get(CALLBACK, params=query, headers=again), "is over")


FALSE_CLAIMS: tuple[tuple[dict[str, Any], str], ...] = (
    ({"nonce": "of another sign-in"}, "nonce"),
    ({"nonce": None}, "nonce"),
    ({"iss": "https://evil.example"}, "iss"),
    ({"iss": None}, "iss"),
    ({"aud": "another-client"}, "aud"),
    ({"aud": None}, "aud"),
    ({"aud": ["muster", "another-client"]}, "azp"),
    ({"azp": "another-client"}, "azp"),
    ({"exp": int(time.time()) - 120}, "exp"),
    ({"exp": None}, "exp"),
    ({"iat": int(time.time()) + 600}, "in the future"),
    ({"sub": None}, "sub"),
    ({"sub": 7}, "sub"),
)


async def test_a_token_that_says_something_else_is_refused(site: Site, provider: FakeProvider) -> None:
    right = provider.claims
    for claims, why in FALSE_CLAIMS:
        provider.claims = right | claims
        await refused(site, await brought_back(Browser(site), provider), why)
    provider.claims = right
    assert (await brought_back(Browser(site), provider)).status_code == 303


def unsigned(provider: FakeProvider, nonce: str) -> str:
    """A token with the algorithm `none`, as an attacker would make it."""
    now = int(time.time())
    claims = {"iss": provider.issuer, "aud": CLIENT, "sub": "u-1", "iat": now, "exp": now + 300, "nonce": nonce}
    parts = [json.dumps(part).encode() for part in ({"alg": "none", "typ": "JWT"}, claims | {"roles": ["planner"]})]
    return ".".join([*(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts), ""])


async def test_a_token_without_a_signature_is_refused(site: Site, provider: FakeProvider) -> None:
    browser = Browser(site)
    query = provider.approve(await sent_off(browser))
    provider.token = unsigned(provider, provider.asked["nonce"])
    await refused(site, await browser.client.get(CALLBACK, params=query), "the id token is not good")


async def test_a_token_signed_with_the_published_key_as_if_it_were_a_secret_is_refused(
    site: Site, provider: FakeProvider
) -> None:
    provider.header = {"alg": "HS256", "kid": "k1"}
    provider.sign_with = OctKey.import_key(base64.urlsafe_b64encode(provider.key.as_pem(private=False)).decode())
    await refused(site, await brought_back(Browser(site), provider), "the id token is not good")


async def test_a_token_signed_with_another_key_is_refused(site: Site, provider: FakeProvider) -> None:
    provider.sign_with = RSAKey.generate_key(2048, {"kid": "k1"})
    await refused(site, await brought_back(Browser(site), provider), "the id token is not good")
    provider.header = {"alg": "RS256", "kid": "k2"}
    await refused(site, await brought_back(Browser(site), provider), "doesn't publish")


async def test_a_key_that_the_provider_has_changed_is_fetched_again(site: Site, provider: FakeProvider) -> None:
    assert (await brought_back(Browser(site), provider)).status_code == 303
    provider.key = RSAKey.generate_key(2048, {"kid": "k2", "use": "sig", "alg": "RS256"})
    provider.published, provider.sign_with, provider.header = (
        [provider.key],
        provider.key,
        {"alg": "RS256", "kid": "k2"},
    )
    clock_of(site).forward(seconds=31)
    assert (await brought_back(Browser(site), provider)).status_code == 303


async def test_an_answer_in_another_issuer_s_name_is_refused(site: Site, provider: FakeProvider) -> None:
    await refused(site, await brought_back(Browser(site), provider, iss="https://evil.example"), "another issuer")
    assert (await brought_back(Browser(site), provider, iss=provider.issuer)).status_code == 303


async def test_what_the_provider_refuses_is_told_on_the_sign_in_page_to_a_person(
    site: Site, provider: FakeProvider
) -> None:
    browser = Browser(site)
    query = {"state": provider.approve(await sent_off(browser))["state"], "error": "access_denied"}
    html = {"Accept": "text/html"}
    answer = await browser.client.get(CALLBACK, params=query, headers=html)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/sign-in?problem=the%20identity%20provider%20refused%3A%20access_denied"
    await refused(site, await brought_back(Browser(site), provider, code="another"), "answered 400")


FALSE_DESCRIPTIONS: tuple[tuple[dict[str, Any], str], ...] = (
    ({"issuer": "https://evil.example"}, "calls itself"),
    ({"token_endpoint": "http://evil.example/token"}, "must begin with https"),
    ({"jwks_uri": None}, "can't be used"),
)


async def test_a_description_that_does_not_fit_is_not_believed(site: Site, provider: FakeProvider) -> None:
    for metadata, why in FALSE_DESCRIPTIONS:
        provider.metadata = metadata
        answer = await Browser(site).client.get("/v1/session/oidc")
        assert (answer.status_code, why in answer.json()["detail"]) == (401, True), answer.text


async def test_without_a_provider_the_way_there_says_so(pool: Pool) -> None:
    async with site_on(pool) as site:
        answer = await Browser(site).client.get("/v1/session/oidc")
        assert (answer.status_code, answer.json()["type"]) == (404, "urn:muster:problem:no-identity-provider")


async def test_behind_tls_the_provider_is_told_the_public_address(pool: Pool, provider: FakeProvider) -> None:
    public = AccessSettings(public_url="https://muster.example.org")
    async with httpx.AsyncClient(trust_env=False) as client, site_on(pool, public) as site:
        site.access.provider = Provider(settings(provider), pool, client)
        browser = Browser(site, base="https://muster.example.org")
        answer = await browser.client.get("/v1/session/oidc")
        assert answer.headers["set-cookie"].startswith("__Host-muster_oidc=")
        provider.approve(answer.headers["location"])
        assert provider.asked["redirect_uri"] == f"https://muster.example.org{CALLBACK}"


@pytest.mark.parametrize(
    "target", ["https://evil.example", "//evil.example", "/\\evil.example", "evil", "", "/a\r\nSet-Cookie: x"]
)
def test_nobody_is_sent_to_another_site_afterwards(target: str) -> None:
    assert own_path(target) == "/"
    assert own_path("/incidents?open=1") == "/incidents?open=1"


def test_settings_that_would_be_unsafe_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_oidc() is None
    unsafe: tuple[dict[str, Any], ...] = (
        {"issuer": "http://login.example.org"},
        {"issuer": "https://login.example.org", "algorithms": "HS256"},
        {"issuer": "https://login.example.org", "algorithms": "RS256,none"},
        {"issuer": "https://login.example.org", "client_id": ""},
    )
    for given in unsafe:
        with pytest.raises(ValidationError):
            OidcSettings(**({"client_id": "muster"} | given))
    monkeypatch.setenv("MUSTER_OIDC_ISSUER", "https://login.example.org")
    with pytest.raises(ConfigurationError, match="client_id"):
        read_oidc()
    monkeypatch.setenv("MUSTER_OIDC_CLIENT_ID", "muster")
    monkeypatch.setenv("MUSTER_OIDC_ROLES", '{"er-duty": "duty_officer"}')
    monkeypatch.setenv("MUSTER_OIDC_SCOPES", "openid, groups")
    found = read_oidc()
    assert found is not None
    assert (found.roles, found.scopes) == ({"er-duty": "duty_officer"}, ("openid", "groups"))


async def test_roles_may_be_nested_in_the_claims(pool: Pool, provider: FakeProvider) -> None:
    provider.claims |= {"roles": None, "realm_access": {"roles": ["auditor"]}}
    given = settings(provider, roles_claim="realm_access.roles", client_secret=None)
    async with httpx.AsyncClient(trust_env=False) as client, site_on(pool) as site:
        site.access.provider = Provider(given, pool, client)
        browser = Browser(site)
        await brought_back(browser, provider)
        assert (await browser.ask("GET", "/v1/session")).json()["roles"] == ["auditor"]
        assert provider.credentials is None
