"""Outsiders: everyone who should not get in tries the whole served site, and leaves nothing but a line on the audit.

The table is the test: who comes, what they ask for, what they are told. Beside it `tests/services/access_routes.py`
has every route for every role, `tests/integration/test_kafka_access.py` the same for Kafka.
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from uuid_utils.compat import uuid7

from schemas.vocabulary import Namespace, Role
from services.cli.processes import make_runtime
from services.cli.site import make_sites
from services.platform.access.access import Access
from services.platform.access.headers import Headers
from services.platform.access.passwords import Passwords
from services.platform.access.people import new_person
from services.platform.access.settings import AccessSettings
from services.platform.postgres import Pool
from services.platform.webhooks import sign
from tests.services.access_support import QUICK
from tests.services.support import publish_shipped, settings
from tests.services.test_intake_http import FIRE

TABLE = """
who comes                               asks for                                             is told
---------------------------------------+----------------------------------------------------+---------------------------
nobody                                  POST /v1/incidents                                   401 not-signed-in
nobody                                  GET /v1/incidents                                    401 not-signed-in
nobody                                  GET /v1/audit                                        401 not-signed-in
forged identity headers                 POST /v1/incidents                                   401 not-signed-in
forged forwarded headers                POST /v1/incidents                                   401 not-signed-in
an expired token                        POST /v1/incidents                                   401 bad-token
a revoked token                         POST /v1/incidents                                   401 bad-token
a token with another's secret           POST /v1/incidents                                   401 bad-token
a token in another scheme               POST /v1/incidents                                   401 bad-token
a session that has ended                POST /v1/incidents                                   401 not-signed-in
a session of a disabled person          POST /v1/incidents                                   401 not-signed-in
a one-time password not yet changed     POST /v1/incidents                                   401 password-change-needed
a reporting token                       GET /v1/incidents                                    403 not-allowed
a reporting token                       POST /v1/incidents/{incident}/commands               403 not-allowed
a planner's token                       POST /v1/incidents                                   403 not-allowed
a department's token                    POST /v1/incidents                                   403 not-allowed
another department's token              GET /v1/departments/police/assignments               403 not-allowed
another department's session            GET /v1/departments/police/assignments               403 not-allowed
another department's token              GET /v1/assignments/{order}                          404 unknown-assignment
another department's token              POST /v1/assignments/{order}/answers                 404 unknown-assignment
another department's session            POST /v1/assignments/{order}/answers                 404 unknown-assignment
an exercise's token                     POST /v1/incidents                                   403 other-world
an exercise's token                     GET /v1/incidents                                    403 other-world
a real token                            POST /exercise/v1/incidents                          403 other-world
a real token                            GET /exercise/v1/incidents                           403 other-world
a duty officer with a drill's report    POST /v1/incidents                                   422 invalid
a duty officer with a real report       POST /exercise/v1/incidents                          422 invalid
a session without its CSRF token        POST /v1/incidents                                   403 forged
a session with another's CSRF token     POST /v1/incidents                                   403 forged
a session from another origin           POST /v1/incidents                                   403 forged
a session from another site             POST /v1/incidents                                   403 forged
a session under another host's name     POST /v1/incidents                                   421 about:blank
a webhook without a signature           POST /v1/feeds/weather                               401 bad-signature
a webhook with a forged signature       POST /v1/feeds/weather                               401 bad-signature
a webhook with a changed body           POST /v1/feeds/weather                               401 bad-signature
a webhook that is stale                 POST /v1/feeds/weather                               401 bad-signature
a webhook from tomorrow                 POST /v1/feeds/weather                               401 bad-signature
a webhook that is replayed              POST /v1/feeds/weather                               200 repeated
a webhook replayed with another body    POST /v1/feeds/weather                               409 conflict
a webhook of the exercise's feed        POST /v1/feeds/weather                               401 bad-signature
a webhook of the real feed              POST /exercise/v1/feeds/drill-feed                   401 bad-signature
"""
ADDRESS = "192.0.2.55"
REAL = {**FIRE, "status": "Actual"}
FEED, DRILL_FEED = b"the weather service's own secret", b"the drill's own feed's secret"
COUNTED = ("reports", "outbox", "inbox", "dead_letters", "alerts", "people", "tokens")
Asking = tuple[dict[str, str], bytes]


@dataclass
class Whole:
    """All that is served, both worlds, and somebody for each line of the table."""

    pool: Pool
    access: Access
    client: httpx.AsyncClient
    order: str
    incident: str
    people: dict[str, Any] = field(default_factory=dict)

    async def token(self, *scopes: str, departments: tuple[str, ...] = (), world: Namespace | None = None) -> str:
        now = self.access.now()
        worlds = [world] if world else list(Namespace)
        _, text = await self.access.tokens.issue(
            "robot",
            scopes=scopes,
            departments=departments,
            by="test",
            now=now,
            expires_at=now + timedelta(hours=1),
            namespaces=worlds,
        )
        return text

    async def session(self, name: str) -> dict[str, str]:
        now = self.access.now()
        token = await self.access.sessions.begin(self.people[name], ADDRESS, now)
        found = await self.access.sessions.find(token, now, may_rotate=False)
        assert found is not None
        return {"cookie": f"muster_session={token}", "x-csrf-token": str(found.caller.csrf)}

    async def counts(self) -> dict[str, int]:
        return {name: await self.pool.fetchval(f"SELECT count(*) FROM {name}") for name in COUNTED}  # noqa: S608


async def _bearer(text: str) -> Asking:
    return {"authorization": f"Bearer {text}"}, b""


def _call(key: bytes, *, age: float = 0, id_: str = "msg-x", body: dict[str, Any] | None = None) -> Asking:
    content = json.dumps(body or REAL).encode()
    return sign(key, id_, datetime.now(UTC) - timedelta(seconds=age), content), content


async def _expired(whole: Whole) -> Asking:
    text = await whole.token(Role.DUTY_OFFICER)
    await whole.pool.execute("UPDATE tokens SET expires_at = now() - interval '1 second'")
    return await _bearer(text)


async def _revoked(whole: Whole) -> Asking:
    text = await whole.token(Role.DUTY_OFFICER)
    await whole.pool.execute("UPDATE tokens SET revoked_at = now()")
    return await _bearer(text)


async def _mixed(whole: Whole) -> Asking:
    one, other = await whole.token(Role.DUTY_OFFICER), await whole.token(Role.DUTY_OFFICER)
    return await _bearer(f"{one.rsplit('_', 1)[0] if one.count('_') == 2 else one[:40]}_{other.split('_', 2)[2]}")


async def _ended(whole: Whole) -> Asking:
    headers = await whole.session("officer")
    await whole.access.sessions.end_all(whole.people["officer"])
    return headers, b""


async def _disabled(whole: Whole) -> Asking:
    headers = await whole.session("gone")
    await whole.access.people.change(whole.people["gone"], whole.access.now(), disabled=True)
    return headers, b""


async def _replayed(whole: Whole) -> Asking:
    headers, body = _call(FEED, id_="msg-replayed")
    first = await whole.client.post("/v1/feeds/weather", content=body, headers={**headers, **_JSON})
    assert first.status_code in {200, 202}, first.text
    return headers, body


async def _replayed_otherwise(whole: Whole) -> Asking:
    await _replayed(whole)
    return _call(FEED, id_="msg-replayed", body=REAL | {"event": "Another fire"})


_JSON = {"content-type": "application/json"}
_IDENTITY = (
    "X-Remote-User",
    "Remote-User",
    "X-Forwarded-User",
    "X-Forwarded-Email",
    "X-Auth-Request-User",
    "X-Muster-By",
)
_DRILL = json.dumps(FIRE).encode()


def _who() -> dict[str, Callable[[Whole], Awaitable[Asking]]]:
    """Say for each name in the table what it sends, besides the path."""

    def token(*scopes: str, body: bytes = b"", **given: Any) -> Callable[[Whole], Awaitable[Asking]]:
        async def make(whole: Whole) -> Asking:
            return {"authorization": f"Bearer {await whole.token(*scopes, **given)}"}, body

        return make

    def session(name: str, **headers: str | None) -> Callable[[Whole], Awaitable[Asking]]:
        async def make(whole: Whole) -> Asking:
            given = {key.replace("_", "-"): value for key, value in headers.items()}
            if given.get("x-csrf-token") == "another's":
                given["x-csrf-token"] = (await whole.session("planner"))["x-csrf-token"]
            both = {**await whole.session(name), **given}
            return {key: value for key, value in both.items() if value is not None}, b""

        return make

    def plain(headers: dict[str, str], body: bytes = b"") -> Callable[[Whole], Awaitable[Asking]]:
        async def make(_: Whole) -> Asking:
            return headers, body

        return make

    def call(*given: Any, changed: bool = False, **named: Any) -> Callable[[Whole], Awaitable[Asking]]:
        async def make(_: Whole) -> Asking:
            headers, body = _call(*given, **named)
            return headers, body.replace(b"30", b"99") if changed else body

        return make

    health = ("health-commission",)
    return {
        "nobody": plain({}),
        "forged identity headers": plain(dict.fromkeys(_IDENTITY, "officer")),
        "forged forwarded headers": plain({"X-Forwarded-For": "127.0.0.1", "Forwarded": "for=127.0.0.1;proto=https"}),
        "an expired token": _expired,
        "a revoked token": _revoked,
        "a token with another's secret": _mixed,
        "a token in another scheme": plain({"authorization": "Basic b2ZmaWNlcjpvZmZpY2Vy"}),
        "a session that has ended": _ended,
        "a session of a disabled person": _disabled,
        "a one-time password not yet changed": session("fresh"),
        "a reporting token": token("report"),
        "a planner's token": token(Role.PLANNER),
        "a department's token": token(Role.DEPARTMENT, departments=("police",)),
        "another department's token": token(Role.DEPARTMENT, departments=health),
        "another department's session": session("health"),
        "an exercise's token": token(Role.DUTY_OFFICER, world=Namespace.EXERCISE),
        "a real token": token(Role.DUTY_OFFICER, world=Namespace.ACTUAL),
        "a duty officer with a drill's report": token(Role.DUTY_OFFICER, body=_DRILL),
        "a duty officer with a real report": token(Role.DUTY_OFFICER),
        "a session without its CSRF token": session("officer", **{"x-csrf-token": None}),
        "a session with another's CSRF token": session("officer", **{"x-csrf-token": "another's"}),
        "a session from another origin": session("officer", origin="https://evil.example"),
        "a session from another site": session("officer", **{"sec-fetch-site": "cross-site"}),
        "a session under another host's name": session("officer", host="evil.example"),
        "a webhook without a signature": plain({}),
        "a webhook with a forged signature": call(b"what somebody else made up"),
        "a webhook with a changed body": call(FEED, changed=True),
        "a webhook that is stale": call(FEED, age=301),
        "a webhook from tomorrow": call(FEED, age=-86_400),
        "a webhook that is replayed": _replayed,
        "a webhook replayed with another body": _replayed_otherwise,
        "a webhook of the exercise's feed": call(DRILL_FEED),
        "a webhook of the real feed": call(FEED),
    }


@pytest.fixture
async def whole(pool: Pool, database: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Whole]:
    feeds = {"actual": {"weather": FEED.decode()}, "exercise": {"drill-feed": DRILL_FEED.decode()}}
    monkeypatch.setenv("MUSTER_FEEDS", json.dumps(feeds))
    await publish_shipped(pool)
    access = Access(pool, AccessSettings(), passwords=Passwords(QUICK))
    runtimes = [await make_runtime(settings(database, "127.0.0.1:9", each), "test", ("intake",)) for each in Namespace]
    sites = make_sites(runtimes, access, pages=True)
    served = Headers(sites.app, access.settings)
    transport = httpx.ASGITransport(served, client=(ADDRESS, 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080") as client:
        found = Whole(pool, access, client, str(uuid7()), str(uuid7()))
        for name, roles, departments in (
            ("officer", [Role.DUTY_OFFICER], []),
            ("gone", [Role.DUTY_OFFICER], []),
            ("fresh", [Role.DUTY_OFFICER], []),
            ("planner", [Role.PLANNER], []),
            ("health", [Role.DEPARTMENT], ["health-commission"]),
        ):
            person = new_person(name, name, roles, departments, must_change=name == "fresh")
            found.people[name] = (await access.people.add(person, None, access.now())).id
        await pool.execute(
            "INSERT INTO assignments (id, activation_id, incident_id, status, task, role, department, issued_at, state,"
            " revision, silent, missed, rung) VALUES ($1, $1, $2, 'Actual', 't', 'r', 'police', now(), 'issued', 1,"
            " false, '{}', 0)",
            found.order,
            found.incident,
        )
        yield found
    for drain in sites.drains:
        await drain()
    for runtime in runtimes:
        await runtime.pool.close()


def rows() -> list[tuple[str, str, str, int, str]]:
    """Read the table: who, method, path, status, kind."""
    found = []
    for line in TABLE.strip().splitlines()[2:]:
        who, asks, told = line[:40].strip(), line[40:93].split(), line[93:].split()
        found.append((who, asks[0], asks[1], int(told[0]), told[1]))
    return found


async def test_nobody_gets_in_who_should_not(whole: Whole) -> None:
    """Each is told what the table says, nothing is stored, and what was tried is on the audit with its address."""
    who = _who()
    assert {row[0] for row in rows()} == who.keys(), "each has a line, and each line somebody"
    wrong = []
    for name, method, path, status, kind in rows():
        headers, body = await who[name](whole)
        path = path.format(order=whole.order, incident=whole.incident)
        content = body or (json.dumps(REAL).encode() if method == "POST" else b"")
        before, noted = await whole.counts(), len(await whole.access.audit.list(at_most=500))
        answer = await whole.client.request(method, path, content=content, headers={**_JSON, **headers})
        told = answer.json()
        said = "repeated" if told.get("repeated") else told.get("type", "").removeprefix("urn:muster:problem:")
        if (answer.status_code, said) != (status, kind):
            wrong.append(f"{name}: {method} {path}: {answer.status_code} {said} {told.get('detail')}")
        after = await whole.counts()
        if status == 422:
            after["dead_letters"] -= 1  # kept, so that a sender's mistake can be looked at
        if after != before:
            wrong.append(f"{name}: {method} {path}: left something behind: {before} {after}")
        audit = await whole.access.audit.list(at_most=500)
        if status in {401, 403} and method == "POST" and len(audit) != noted + 1:
            wrong.append(f"{name}: {method} {path}: not on the audit")
        if {entry.address for entry in audit} - {ADDRESS}:
            wrong.append(f"{name}: the audit has another address than it came from")
    assert wrong == [], "\n".join(wrong)


async def test_those_who_may_come_in(whole: Whole) -> None:
    """The same requests with what they lacked are taken, so that the table doesn't pass for another reason."""
    for headers, path, body in (
        ({"authorization": f"Bearer {await whole.token(Role.DUTY_OFFICER)}"}, "/v1/incidents", REAL),
        ({"authorization": f"Bearer {await whole.token('report')}"}, "/exercise/v1/incidents", FIRE),
        (
            {"authorization": f"Bearer {await whole.token(Role.DUTY_OFFICER, world=Namespace.EXERCISE)}"},
            "/exercise/v1/incidents",
            FIRE,
        ),
        (await whole.session("officer"), "/v1/incidents", REAL),
        (_call(FEED)[0], "/v1/feeds/weather", REAL),
        (_call(DRILL_FEED, body=FIRE)[0], "/exercise/v1/feeds/drill-feed", FIRE),
    ):
        answer = await whole.client.post(path, content=json.dumps(body).encode(), headers={**_JSON, **headers})
        assert answer.status_code == 202, (path, answer.text)
    police = {"authorization": f"Bearer {await whole.token(Role.DEPARTMENT, departments=('police',))}"}
    assert (await whole.client.get("/v1/departments/police/assignments", headers=police)).status_code == 200
