"""People, tokens and the audit over HTTP: who may change what, what is told once, and what stays on record."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import asyncpg
import httpx
import pytest
from structlog.testing import capture_logs

from schemas.vocabulary import Namespace, Role
from services.platform.access.access import REFUSALS
from services.platform.postgres import Pool, connect
from services.platform.rights import role_name
from tests.services.access_support import PASSWORD, Browser, Site, audited, clock_of, site_on
from tests.services.support import publish_shipped

TABLES = ("people", "sessions", "tokens", "sign_in_attempts", "oidc_sign_ins", "audit")


@pytest.fixture
async def site(pool: Pool) -> AsyncIterator[Site]:
    async with site_on(pool) as site:
        await site.add("boss", Role.ADMINISTRATOR)
        yield site


@pytest.fixture
async def boss(site: Site) -> Browser:
    browser = Browser(site)
    await browser.sign_in("boss")
    return browser


async def bearing(site: Site, text: str, method: str, path: str, **given: Any) -> httpx.Response:
    """Ask with a token and nothing else: no cookie, no origin, no CSRF token."""
    return await Browser(site).client.request(method, path, headers={"Authorization": f"Bearer {text}"}, **given)


async def test_a_new_person_signs_in_with_a_password_that_was_told_once(site: Site, boss: Browser, pool: Pool) -> None:
    await publish_shipped(pool)
    given = {"login": "zhang.wei", "name": "张伟", "roles": ["department"], "departments": ["police"]}
    answer = await boss.ask("POST", "/v1/people", json=given)
    told = answer.json()
    assert (answer.status_code, answer.headers["location"]) == (201, f"/v1/people/{told['id']}")
    assert {**given, "must_change": True, "external": False}.items() <= told.items()
    again = await boss.ask("POST", "/v1/people", json=given)
    assert (again.status_code, "is taken" in again.json()["detail"]) == (409, True)
    shown = await boss.ask("GET", f"/v1/people/{told['id']}")
    assert "one_time_password" not in shown.text
    unchanged = await boss.ask("GET", f"/v1/people/{told['id']}", headers={"If-None-Match": shown.headers["etag"]})
    assert unchanged.status_code == 304
    newcomer = Browser(site)
    assert (await newcomer.sign_in("zhang.wei", told["one_time_password"])).json()["must_change"] is True
    assert ("Name of boss", "person.add", "zhang.wei", "done") in await audited(site)


NOBODY_CAN_BE: tuple[tuple[dict[str, Any], str], ...] = (
    ({"roles": ["king"]}, "roles.0"),
    ({"roles": []}, "roles"),
    ({"roles": ["department"]}, "departments: go with the role department"),
    ({"departments": ["police"]}, "departments: go with the role department"),
    ({"roles": ["department"], "departments": ["moon-base"]}, "moon-base"),
    ({"login": " x"}, "login: must have"),
    ({"name": "a\nb"}, "name: must have"),
    ({"name": ""}, "name"),
    ({"password": "chosen by somebody else"}, "password"),
)


async def test_a_person_who_can_not_be_is_told_why(boss: Browser, pool: Pool) -> None:
    await publish_shipped(pool)
    for change, detail in NOBODY_CAN_BE:
        given = {"login": "x", "name": "X", "roles": ["planner"]} | change
        answer = await boss.ask("POST", "/v1/people", json=given)
        assert (answer.status_code, detail in answer.json()["detail"]) == (422, True), answer.text


async def test_people_are_listed_by_login_a_page_at_a_time(site: Site, boss: Browser) -> None:
    for name in ("delta", "Alpha", "charlie"):
        await site.add(name)
    first = (await boss.ask("GET", "/v1/people?limit=3")).json()
    assert [person["login"] for person in first["items"]] == ["Alpha", "boss", "charlie"]
    second = (await boss.ask("GET", f"/v1/people?limit=3&cursor={first['next']}")).json()
    assert ([person["login"] for person in second["items"]], second["next"]) == (["delta"], None)
    assert (await boss.ask("GET", "/v1/people?cursor=rubbish")).status_code == 422


async def test_a_change_is_on_the_audit_with_what_was_before(site: Site, boss: Browser) -> None:
    person = await site.add("officer")
    answer = await boss.ask("PATCH", f"/v1/people/{person.id}", json={"roles": ["planner", "evaluator"]})
    assert (answer.status_code, answer.json()["roles"]) == (200, ["planner", "evaluator"])
    [entry] = (await boss.ask("GET", "/v1/audit?action=person.change")).json()["items"]
    assert (entry["by"], entry["target"], entry["address"]) == ("Name of boss", "officer", "127.0.0.1")
    assert entry["detail"] == {"roles": [["duty_officer"], ["evaluator", "planner"]]}


async def test_somebody_is_left_to_administer_whatever_happens(site: Site, boss: Browser) -> None:
    me = (await boss.ask("GET", "/v1/session")).json()["id"]
    for change in ({"disabled": True}, {"roles": ["planner"]}):
        answer = await boss.ask("PATCH", f"/v1/people/{me}", json=change)
        assert (answer.status_code, "last administrator" in answer.json()["detail"]) == (409, True)
    await site.add("deputy", Role.ADMINISTRATOR)
    assert (await boss.ask("PATCH", f"/v1/people/{me}", json={"disabled": True})).status_code == 200


async def test_a_password_that_was_reset_ends_the_sessions_and_the_waiting(site: Site, boss: Browser) -> None:
    person = await site.add("officer")
    officer = Browser(site)
    await officer.sign_in("officer")
    for _ in range(5):
        await Browser(site).sign_in("officer", "not the password")
    assert (await Browser(site).sign_in("officer")).status_code == 429
    told = (await boss.ask("POST", f"/v1/people/{person.id}/password")).json()
    assert (await officer.ask("GET", "/v1/session")).status_code == 401
    assert (await Browser(site).sign_in("officer", told["one_time_password"])).json()["must_change"] is True
    missing = await boss.ask("POST", "/v1/people/01890000-0000-7000-8000-000000000000/password")
    assert (missing.status_code, missing.json()["type"]) == (404, "urn:muster:problem:unknown-person")


async def test_a_token_is_told_once_and_needs_no_cookie(site: Site, boss: Browser) -> None:
    soon = (site.access.now() + timedelta(days=1)).isoformat()
    given = {"name": "gauge", "scopes": ["duty_officer"], "expires_at": soon}
    key = {"Idempotency-Key": "one-token"}
    answer = await boss.ask("POST", "/v1/tokens", json=given, headers=key)
    told = answer.json()
    assert answer.status_code == 201
    assert told["token"].startswith(f"muster_{told['id'].replace('-', '')}_")
    again = await boss.ask("POST", "/v1/tokens", json=given, headers=key)
    assert (again.status_code, "shown then" in again.json()["detail"]) == (409, True)
    assert (await bearing(site, told["token"], "POST", "/v1/deeds")).json() == "gauge"
    [listed] = (await boss.ask("GET", "/v1/tokens")).json()["items"]
    assert "token" not in listed
    assert (listed["created_by"], listed["last_used_at"] is not None) == ("Name of boss", True)


NOT_ISSUED: tuple[tuple[dict[str, Any], str], ...] = (
    ({"expires_at": None}, "expires_at"),
    ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at: must be after now"),
    ({"expires_at": "2199-01-01T00:00:00Z"}, "within 366 days"),
    ({"scopes": []}, "scopes"),
    ({"scopes": ["everything"]}, "scopes"),
    ({"scopes": ["department"]}, "departments: go with the scope department"),
    ({"departments": ["police"]}, "departments: go with the scope department"),
)


async def test_a_token_without_scope_or_end_is_not_issued(site: Site, boss: Browser) -> None:
    soon = (site.access.now() + timedelta(days=1)).isoformat()
    for change, detail in NOT_ISSUED:
        given = {"name": "gauge", "scopes": ["planner"], "expires_at": soon} | change
        answer = await boss.ask("POST", "/v1/tokens", json=given)
        assert (answer.status_code, detail in answer.json()["detail"]) == (422, True), answer.text
    assert await site.access.tokens.list() == []


async def test_a_token_that_expired_was_revoked_or_was_made_up_is_refused_with_the_reason(
    site: Site, boss: Browser
) -> None:
    text = await site.token("duty_officer", hours=1)
    assert (await bearing(site, text, "POST", "/v1/deeds")).status_code == 200
    clock_of(site).forward(hours=1)
    clock_of(site).forward(seconds=1)
    late = await bearing(site, text, "POST", "/v1/deeds")
    assert (late.status_code, "it expired at" in late.json()["detail"]) == (401, True)
    assert late.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    text = await site.token("duty_officer")
    id_ = text.split("_")[1]
    assert (await boss.ask("DELETE", f"/v1/tokens/{id_}")).json()["revoked_at"] is not None
    assert "it was revoked" in (await bearing(site, text, "POST", "/v1/deeds")).json()["detail"]
    known, other = await site.token("duty_officer"), await site.token("auditor")
    for made_up in (
        "",
        "x",
        "muster_",
        "muster_1_2",
        f"{known[:-1]}{'x' if known[-1] != 'x' else 'y'}",
        f"{known.rsplit('_', 1)[0]}_" if known.count("_") == 2 else f"muster_{known.split('_')[1]}_",
        f"muster_{known.split('_')[1]}_{other.split('_', 2)[2]}",
    ):
        answer = await bearing(site, made_up, "POST", "/v1/deeds")
        assert (answer.status_code, answer.json()["type"]) == (401, "urn:muster:problem:bad-token"), made_up
    basic = await Browser(site).client.post("/v1/deeds", headers={"Authorization": "Basic Ym9zczpwYXNz"})
    assert basic.status_code == 401


async def test_a_bad_token_is_refused_even_beside_a_good_cookie(boss: Browser) -> None:
    assert (await boss.ask("GET", "/v1/session", headers={"Authorization": "Bearer x"})).status_code == 401


async def test_a_token_does_what_its_scopes_say_and_nothing_else(site: Site) -> None:
    reporting = await site.token("report")
    assert (await bearing(site, reporting, "POST", "/v1/reports")).json() == "robot"
    assert (await bearing(site, reporting, "POST", "/v1/deeds")).status_code == 403
    assert (await bearing(site, reporting, "GET", "/v1/people")).status_code == 403
    police = await site.token("department", departments=("police",))
    assert (await bearing(site, police, "GET", "/v1/departments/police")).json() is True
    assert (await bearing(site, police, "GET", "/v1/departments/health")).json() is False
    assert (await bearing(site, police, "POST", "/v1/reports")).status_code == 403
    change = {"current": PASSWORD, "new": "another long password"}
    assert (await bearing(site, police, "POST", "/v1/session/password", json=change)).status_code == 403


async def test_auditors_read_and_change_nothing(site: Site, boss: Browser) -> None:
    await site.add("auditor", Role.AUDITOR)
    auditor = Browser(site)
    await auditor.sign_in("auditor")
    for path in ("/v1/people", "/v1/tokens", "/v1/audit"):
        assert (await auditor.ask("GET", path)).status_code == 200
    me = (await auditor.ask("GET", "/v1/session")).json()["id"]
    promoted = await auditor.ask("PATCH", f"/v1/people/{me}", json={"roles": ["administrator"]})
    assert (promoted.status_code, promoted.json()["detail"]) == (403, "this takes the role administrator")
    [entry] = (await boss.ask("GET", "/v1/audit?outcome=not-allowed")).json()["items"]
    assert (entry["by"], entry["action"], entry["target"]) == ("Name of auditor", "refused", f"PATCH /v1/people/{me}")


async def test_the_audit_is_read_backwards_and_by_what_is_asked_for(site: Site, boss: Browser) -> None:
    for number in range(7):
        await site.access.note(None, "test.note", f"target {number}")
        clock_of(site).forward(minutes=1)
    everything: list[str] = []
    cursor = ""
    while True:
        page = (await boss.ask("GET", f"/v1/audit?action=test&limit=3{cursor}")).json()
        everything += [entry["target"] for entry in page["items"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert everything == [f"target {number}" for number in reversed(range(7))]
    one = (await boss.ask("GET", "/v1/audit", params={"target": "target 3"})).json()["items"]
    since = (await boss.ask("GET", "/v1/audit", params={"action": "test", "since": one[0]["at"]})).json()["items"]
    until = (await boss.ask("GET", "/v1/audit", params={"action": "test", "until": one[0]["at"]})).json()["items"]
    assert (len(since), len(until)) == (4, 3)
    for bad in ("x", "WyJhIl0", "WyItMSJd", "WyI5OTk5OTk5OTk5OTk5OTk5OTk5OTkiXQ"):
        assert (await boss.ask("GET", f"/v1/audit?cursor={bad}")).status_code == 422


async def test_the_audit_can_be_added_to_and_nothing_else(site: Site, pool: Pool) -> None:
    await site.access.note(None, "test.note", "x\0y\n", why="nul \0", many={"b", "a"}, at=site.access.now())
    for change in ("UPDATE audit SET by = 'somebody else'", "DELETE FROM audit", "TRUNCATE audit"):
        with pytest.raises(asyncpg.RestrictViolationError, match="append-only"):
            await pool.execute(change)
    entry = (await site.access.audit.list())[0]
    assert (entry.target, entry.detail["why"], entry.detail["many"]) == ("x y ", "nul  ", ["a", "b"])


async def test_what_no_route_puts_on_the_audit_is_put_there_all_the_same(site: Site) -> None:
    await site.add("officer")
    browser = Browser(site)
    await browser.sign_in("officer")
    before = len(await audited(site))
    await browser.ask("POST", "/v1/deeds")
    await bearing(site, await site.token("report"), "POST", "/v1/reports")
    await browser.ask("GET", "/v1/session")
    await browser.ask("POST", "/v1/nowhere")
    assert (await audited(site))[before:] == [
        ("Name of officer", "request", "POST /v1/deeds", "done"),
        ("robot", "request", "POST /v1/reports", "done"),
    ]


async def test_a_flood_of_strangers_does_not_fill_the_audit(site: Site) -> None:
    stranger = Browser(site)
    for _ in range(REFUSALS + 40):
        assert (await stranger.client.post("/v1/deeds")).status_code == 401
    assert len(await site.access.audit.list(at_most=500)) == REFUSALS
    clock_of(site).forward(minutes=1)
    await stranger.client.post("/v1/deeds")
    assert (await site.access.audit.list())[0].detail["others_before"] == 40


async def test_reading_without_leave_is_refused_and_not_audited(site: Site) -> None:
    assert (await Browser(site).client.get("/v1/people")).status_code == 401
    assert await audited(site) == []


async def test_the_services_of_a_namespace_are_kept_from_all_of_it(database: str, pool: Pool) -> None:
    for namespace in Namespace:
        own = await connect(database, size=1, role=role_name(namespace))
        for table in TABLES:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await own.fetch(f"SELECT * FROM {table}")  # noqa: S608
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await own.execute(f"DELETE FROM {table}")  # noqa: S608
        await own.close()
    assert await pool.fetchval("SELECT count(*) FROM pg_class WHERE relname = ANY ($1)", list(TABLES)) == len(TABLES)


async def test_what_was_done_stays_done_when_the_audit_can_not_be_written(site: Site, pool: Pool) -> None:
    await pool.execute("ALTER TABLE audit ADD CONSTRAINT full_disk CHECK (false) NOT VALID")
    with capture_logs() as logged:
        await site.access.note(None, "test.note", "target")
    [line] = logged
    assert (line["log_level"], line["action"], line["target"]) == ("error", "test.note", "target")
