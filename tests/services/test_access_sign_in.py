"""Signing in: passwords, lock-out, one-time passwords, and what the cookie looks like."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator

import asyncpg
import pytest
from structlog.testing import capture_logs

from schemas.vocabulary import Role
from services.platform.access.errors import AccessError
from services.platform.access.lockout import ADDRESS_FAILURES, LOGIN_FAILURES
from services.platform.access.passwords import Passwords, check_password, one_time_password
from services.platform.access.settings import AccessSettings
from services.platform.postgres import Pool
from tests.services.access_support import PASSWORD, Browser, Site, audited, clock_of, site_on


@pytest.fixture
async def site(pool: Pool) -> AsyncIterator[Site]:
    async with site_on(pool) as site:
        yield site


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("eleven char", "has 11 characters"),
        ("x" * 257, "more than 256"),
        ("Officer-On-Duty", "is the login"),
        ("\uff4ffficer-on-duty", "is the login"),
        (" a fine long password", "begins or ends with a space"),
    ],
)
def test_a_password_that_is_too_easy_is_refused_with_the_reason(password: str, why: str) -> None:
    with pytest.raises(AccessError, match=why):
        check_password(password, "officer-on-duty")


async def test_a_password_is_kept_as_argon2id_with_its_parameters_and_a_salt_of_its_own() -> None:
    passwords = Passwords()
    one, other = await asyncio.gather(passwords.hash(PASSWORD), passwords.hash(PASSWORD))
    assert one != other
    assert one.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert await passwords.verify(one, PASSWORD)
    assert not await passwords.verify(one, PASSWORD + "!")
    assert not await passwords.verify(None, PASSWORD)
    assert not await passwords.verify("$argon2id$nonsense", PASSWORD)


async def test_the_same_characters_typed_another_way_are_the_same_password() -> None:
    passwords = Passwords()
    assert await passwords.verify(await passwords.hash("ca\u0301fe long enough"), "c\u00e1fe long enough")


def test_one_time_passwords_are_long_enough_and_never_the_same() -> None:
    made = {one_time_password() for _ in range(100)}
    assert len(made) == 100
    for password in made:
        check_password(password, "admin")


async def test_signing_in_tells_who_one_is_and_sets_a_cookie_scripts_can_not_read(site: Site) -> None:
    await site.add("Officer", Role.DUTY_OFFICER, Role.PLANNER)
    browser = Browser(site)
    answer = await browser.sign_in("officer")
    told = answer.json()
    assert (answer.status_code, told["name"], told["roles"]) == (200, "Name of Officer", ["duty_officer", "planner"])
    assert len(told["csrf"]) == 43
    [cookie] = answer.headers.get_list("set-cookie")
    name, _, rest = cookie.partition("=")
    assert name == "muster_session"
    attributes = {part.strip().lower() for part in rest.split(";")[1:]}
    assert attributes == {"httponly", "path=/", "samesite=lax", "max-age=50400"}
    assert (await browser.ask("GET", "/v1/session")).json() == told
    assert (await audited(site))[-1] == ("Name of Officer", "session.begin", "Officer", "done")


async def test_over_tls_the_cookie_is_secure_and_bound_to_the_host(pool: Pool) -> None:
    async with site_on(pool, AccessSettings(public_url="https://muster.example.org")) as site:
        await site.add("officer")
        browser = Browser(site, base="https://muster.example.org")
        answer = await browser.sign_in("officer", Origin="https://muster.example.org")
        [cookie] = answer.headers.get_list("set-cookie")
        assert cookie.startswith("__Host-muster_session=")
        assert "; secure" in cookie.lower()
        assert "domain" not in cookie.lower()
        assert answer.headers["strict-transport-security"].startswith("max-age=")
        assert (await browser.ask("GET", "/v1/session")).status_code == 200
        plain = {"Cookie": f"muster_session={browser.cookie}"}
        client = Browser(site, base="https://muster.example.org").client
        assert (await client.get("/v1/session", headers=plain)).status_code == 401, "anybody could have set that one"


async def test_no_password_is_taken_over_a_network_without_tls(site: Site) -> None:
    await site.add("officer")
    answer = await Browser(site, base="http://192.0.2.7:8080").sign_in("officer")
    assert (answer.status_code, answer.json()["type"]) == (403, "urn:muster:problem:not-secure")


async def test_a_wrong_login_and_a_wrong_password_can_not_be_told_apart(site: Site) -> None:
    await site.add("officer")
    gone = await site.add("gone")
    await site.access.people.change(gone.id, site.access.now(), disabled=True)
    answers = [
        await Browser(site).sign_in("officer", "not the password"),
        await Browser(site).sign_in("nobody", "not the password"),
        await Browser(site).sign_in("gone"),
    ]
    assert {answer.status_code for answer in answers} == {401}
    assert len({json.dumps(answer.json(), sort_keys=True) for answer in answers}) == 1
    assert all("set-cookie" not in answer.headers for answer in answers)
    assert await audited(site) == [
        (None, "session.begin", "officer", "wrong-password"),
        (None, "session.begin", None, "wrong-password"),
        (None, "session.begin", "gone", "disabled"),
    ]


async def test_an_unknown_login_costs_the_same_work(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    worked = 0
    real = Passwords._same

    def counted(self: Passwords, hashed: str, password: str) -> bool:
        nonlocal worked
        worked += 1
        return real(self, hashed, password)

    monkeypatch.setattr(Passwords, "_same", counted)
    await site.add("officer")
    for login in ("officer", "nobody"):
        worked = 0
        await Browser(site).sign_in(login, "not the password")
        assert worked == 1


@pytest.mark.parametrize("login", ["officer", "nobody"])
async def test_after_some_failures_a_login_must_wait_each_time_longer(site: Site, login: str) -> None:
    await site.add("officer")
    clock = clock_of(site)
    for _ in range(LOGIN_FAILURES):
        assert (await Browser(site).sign_in(login, "not the password")).status_code == 401
    waits = []
    for _ in range(8):
        answer = await Browser(site, address="198.51.100.9").sign_in(login)
        assert (answer.status_code, answer.json()["type"]) == (429, "urn:muster:problem:locked-out")
        waits.append(int(answer.headers["retry-after"]))
        assert f"in {waits[-1]} s" in answer.json()["detail"]
        clock.forward(seconds=waits[-1])
        assert (await Browser(site, address="198.51.100.9").sign_in(login, "not the password")).status_code == 401
    assert waits == [15, 30, 60, 120, 240, 480, 900, 900]


async def test_after_the_wait_the_right_password_is_taken_and_the_failures_forgotten(site: Site) -> None:
    await site.add("officer")
    for _ in range(LOGIN_FAILURES):
        await Browser(site).sign_in("officer", "not the password")
    clock_of(site).forward(seconds=15)
    assert (await Browser(site).sign_in("officer")).status_code == 200
    for _ in range(LOGIN_FAILURES - 1):
        assert (await Browser(site).sign_in("officer", "not the password")).status_code == 401
    assert (await Browser(site).sign_in("officer")).status_code == 200


async def test_trying_many_logins_from_one_address_must_wait_and_others_need_not(site: Site) -> None:
    await site.add("officer")
    site.access.passwords.verify = _never  # type: ignore[method-assign] # the hashing isn't what is tested here
    for number in range(ADDRESS_FAILURES):
        assert (await Browser(site, address="203.0.113.5").sign_in(f"name{number}", "not it")).status_code == 401
    assert (await Browser(site, address="203.0.113.5").sign_in("officer")).status_code == 429
    del site.access.passwords.verify
    assert (await Browser(site, address="203.0.113.6").sign_in("officer")).status_code == 200


async def _never(hashed: str | None, password: str) -> bool:
    del hashed, password
    return False


async def test_many_guesses_at_once_are_no_way_around_the_wait(site: Site) -> None:
    await site.add("officer")
    site.access.passwords.verify = _never  # type: ignore[method-assign] # the hashing isn't what is tested here
    answers = await asyncio.gather(*(Browser(site).sign_in("officer", f"guess {n}") for n in range(25)))
    assert sorted(answer.status_code for answer in answers) == [401] * LOGIN_FAILURES + [429] * (25 - LOGIN_FAILURES)


async def test_a_one_time_password_lets_in_to_change_it_and_to_nothing_else(site: Site) -> None:
    await site.add("new", must_change=True)
    browser = Browser(site)
    assert (await browser.sign_in("new")).json()["must_change"] is True
    refused = await browser.ask("POST", "/v1/deeds")
    assert (refused.status_code, refused.json()["type"]) == (401, "urn:muster:problem:password-change-needed")
    change = {"current": PASSWORD, "new": "another long password"}
    for faulty, detail in (
        ({**change, "new": "short"}, "at least 12"),
        ({**change, "new": PASSWORD}, "is the one you have"),
    ):
        answer = await browser.ask("POST", "/v1/session/password", json=faulty)
        assert (answer.status_code, detail in answer.json()["detail"]) == (422, True)
    answer = await browser.ask("POST", "/v1/session/password", json=change)
    assert (answer.status_code, answer.json()["must_change"]) == (200, False)
    browser.csrf = answer.json()["csrf"]
    assert (await browser.ask("POST", "/v1/deeds")).json() == "Name of new"
    assert (await Browser(site).sign_in("new")).status_code == 401
    assert (await Browser(site).sign_in("new", "another long password")).status_code == 200


async def test_changing_a_password_takes_the_current_one_and_ends_every_other_session(site: Site) -> None:
    await site.add("officer")
    here, there = Browser(site), Browser(site)
    await here.sign_in("officer")
    await there.sign_in("officer")
    before = here.cookie
    wrong = await here.ask("POST", "/v1/session/password", json={"current": "wrong", "new": "another long password"})
    assert (wrong.status_code, wrong.json()["type"]) == (403, "urn:muster:problem:wrong-password")
    assert (await there.ask("GET", "/v1/session")).status_code == 200
    changed = await here.ask("POST", "/v1/session/password", json={"current": PASSWORD, "new": "another long password"})
    assert changed.status_code == 200
    assert here.cookie != before
    assert (await here.ask("GET", "/v1/session")).status_code == 200
    assert (await there.ask("GET", "/v1/session")).status_code == 401


async def test_no_secret_is_logged_audited_or_kept(site: Site, pool: Pool, caplog: pytest.LogCaptureFixture) -> None:
    await site.add("officer")
    browser = Browser(site)
    with caplog.at_level(logging.DEBUG), capture_logs() as logged:
        await browser.sign_in("officer", "a wrong password 1")
        await browser.sign_in("a password in the wrong field", "a wrong password 2")
        await browser.sign_in("officer")
        await browser.ask("POST", "/v1/deeds", headers={"Authorization": "Bearer muster_00_secretish"})
    token = await site.token("planner")
    kept = []
    for table in ("people", "sessions", "tokens", "sign_in_attempts", "audit"):
        kept += [str(dict(row)) for row in await pool.fetch(f"SELECT * FROM {table}")]  # noqa: S608
    everything = "\n".join([*kept, caplog.text, str(logged)])
    for secret in (
        "a wrong password",
        "a password in the wrong field",
        PASSWORD,
        browser.cookie or "?",
        token.split("_")[2],
        "secretish",
    ):
        assert secret not in everything


async def test_logins_differ_in_more_than_capitals(site: Site, pool: Pool) -> None:
    await site.add("officer")
    await site.add("other")
    with pytest.raises(AccessError, match="is taken"):
        await site.add("OFFICER")
    with pytest.raises(asyncpg.UniqueViolationError):
        await pool.execute("UPDATE people SET login = 'Officer' WHERE login = 'other'")
