"""The first start, the operator's own token, and the commands about people and tokens."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from schemas.vocabulary import Role
from services.platform.access.access import Access
from services.platform.access.opening import (
    DEMO_PASSWORD,
    LIVES,
    demo_people,
    first_run,
    is_demo,
    local_token,
    open_access,
)
from services.platform.access.settings import AccessSettings
from services.platform.postgres import Pool
from services.platform.problem import ProblemError
from tests.services.access_support import Browser, Site, audited, clock_of, site_on
from tests.services.support import PLAYBOOKS, publish_shipped


@pytest.fixture
async def site(pool: Pool) -> AsyncIterator[Site]:
    async with site_on(pool) as site:
        yield site


async def test_the_first_start_makes_one_administrator_whatever_number_of_processes_start(pool: Pool) -> None:
    several = [Access(pool, AccessSettings()) for _ in range(4)]
    found = await asyncio.gather(*(first_run(access) for access in several))
    [password] = [text for text in found if text is not None]
    assert await first_run(several[0]) is None
    async with site_on(pool) as site:
        [person] = await site.access.people.list()
        assert (person.login, person.roles, person.must_change) == ("admin", ("administrator",), True)
        browser = Browser(site)
        assert (await browser.sign_in("admin", password)).json()["must_change"] is True
        refused = await browser.ask("GET", "/v1/people")
        assert refused.json()["type"] == "urn:muster:problem:password-change-needed"
        change = {"current": password, "new": "a password of my own"}
        browser.csrf = (await browser.ask("POST", "/v1/session/password", json=change)).json()["csrf"]
        assert (await browser.ask("GET", "/v1/people")).status_code == 200


async def test_the_demo_has_somebody_for_every_role_and_department(site: Site, pool: Pool) -> None:
    await publish_shipped(pool)
    logins = await demo_people(site.access)
    assert {"admin", "officer", "planner", "evaluator", "auditor", "fire-rescue", "police"} <= set(logins)
    assert await demo_people(site.access) == []
    assert await first_run(site.access) is None
    assert await is_demo(site.access)
    held = {role for person in await site.access.people.list() for role in person.roles}
    assert held == {role.value for role in Role}
    browser = Browser(site)
    told = (await browser.sign_in("fire-rescue", DEMO_PASSWORD)).json()
    assert (told["departments"], told["roles"], told["must_change"]) == (["fire-rescue"], ["department"], False)


async def test_where_there_is_somebody_no_demo_is_added(site: Site) -> None:
    await site.add("boss", Role.ADMINISTRATOR)
    assert await demo_people(site.access) == []
    assert not await is_demo(site.access)
    assert len(await site.access.people.list()) == 1


async def test_the_operator_s_token_lives_while_its_process_does(site: Site) -> None:
    token = await local_token(site.access, "li")
    caller = await site.access.tokens.find(token.text, site.access.now())
    assert (caller.name, caller.is_staff, Role.DEPARTMENT in caller.roles) == ("li", True, False)
    clock_of(site).forward(seconds=LIVES.total_seconds() - 1)
    await site.access.tokens.prolong(token.id, site.access.now() + LIVES)
    clock_of(site).forward(seconds=LIVES.total_seconds() - 1)
    assert (await site.access.tokens.find(token.text, site.access.now())).name == "li"
    await token.revoke()
    await site.access.tokens.prolong(token.id, site.access.now() + LIVES)
    with pytest.raises(ProblemError, match="it was revoked"):
        await site.access.tokens.find(token.text, site.access.now())


async def test_access_is_opened_with_what_the_environment_says(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUSTER_PUBLIC_URL", "https://muster.example.org/")
    monkeypatch.setenv("MUSTER_HOSTS", "muster.lan, 10.0.0.7")
    monkeypatch.setenv("MUSTER_SESSION_IDLE", "PT30M")
    monkeypatch.setenv("MUSTER_OIDC_ISSUER", "https://login.example.org")
    monkeypatch.setenv("MUSTER_OIDC_CLIENT_ID", "muster")
    access = await open_access(database, size=1)
    assert access.settings.public_url == "https://muster.example.org"
    assert access.settings.hosts == ("muster.lan", "10.0.0.7")
    assert access.settings.session_idle.total_seconds() == 1800
    assert access.provider is not None
    await access.close()


async def muster(database: str, *arguments: str) -> tuple[int, Any]:
    """Run a command on a test's own database."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MUSTER_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.cli", *arguments),
        cwd=Path(PLAYBOOKS).parent,
        env={**clean, "MUSTER_DATABASE": database},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, json.loads(out) if out.startswith((b"{", b"[")) else (out + err).decode()


async def test_people_are_administered_from_the_command_line(site: Site, pool: Pool, database: str) -> None:
    await publish_shipped(pool)
    code, told = await muster(database, "user", "add", "zhang", "--name", "张伟", "--role", "planner", "--json")
    assert (code, told["login"]) == (0, "zhang")
    assert (await Browser(site).sign_in("zhang", told["one_time_password"])).json()["must_change"] is True
    member = ("--role", "department", "--department", "police")
    code, changed = await muster(database, "user", "roles", "ZHANG", *member, "--json")
    assert (code, changed["roles"], changed["departments"]) == (0, ["department"], ["police"])
    code, said = await muster(database, "user", "list")
    assert code == 0
    assert "张伟" in said
    code, fresh = await muster(database, "user", "password", "zhang", "--json")
    assert (await Browser(site).sign_in("zhang", fresh["one_time_password"])).status_code == 200
    assert (await muster(database, "user", "disable", "zhang"))[0] == 0
    assert (await Browser(site).sign_in("zhang", fresh["one_time_password"])).status_code == 401
    for arguments, code, words in (
        (("user", "add", "zhang", "--role", "planner"), 1, "is taken"),
        (("user", "roles", "nobody", "--role", "planner"), 1, "there is none"),
        (("user", "roles", "zhang", "--role", "department", "--department", "moon"), 1, "moon"),
        (("user", "add", "x", "--role", "king"), 2, "king"),
    ):
        ended, said = await muster(database, *arguments)
        assert (ended, words in said) == (code, True), said
    by = {entry[0] for entry in await audited(site) if entry[1] in {"person.add", "person.change"}}
    assert len(by) == 1
    assert by != {None}


async def test_tokens_are_administered_from_the_command_line(site: Site, database: str) -> None:
    issue = ("token", "issue", "gauge", "--scope", "report", "--expires", "12h")
    code, told = await muster(database, *issue, "--json")
    assert code == 0
    caller = await site.access.tokens.find(told["token"], site.access.now())
    assert (caller.name, caller.may_report, caller.roles) == ("gauge", True, frozenset())
    code, said = await muster(database, *issue)
    assert (code, said.startswith("muster_")) == (0, True)
    code, listed = await muster(database, "token", "list", "--json")
    assert (len(listed), "token" in listed[0]) == (2, False)
    code, revoked = await muster(database, "token", "revoke", told["id"], "--json")
    assert (code, revoked[0]["revoked_at"] is not None) == (0, True)
    for arguments, ended, words in (
        (("token", "issue", "x", "--scope", "king", "--expires", "1h"), 1, "king"),
        (("token", "issue", "x", "--scope", "planner", "--expires", "9999999d"), 1, "within 366 days"),
        (("token", "issue", "x", "--scope", "planner", "--expires", "soon"), 2, "write a duration"),
        (("token", "issue", "x", "--scope", "planner"), 2, "--expires"),
        (("token", "revoke", "01890000-0000-7000-8000-000000000000"), 1, "there is none"),
    ):
        code, said = await muster(database, *arguments)
        assert (code, words in said) == (ended, True), said
