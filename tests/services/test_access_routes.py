"""Every route and every role: the whole console is asked for everything by everybody."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from fastapi import FastAPI
from uuid_utils.compat import uuid7

from schemas.vocabulary import Namespace, Role
from services.cli.processes import make_runtime
from services.cli.site import make_sites
from services.console.lag import Lag
from services.platform.access.access import Access
from services.platform.access.guard import Everyone
from services.platform.access.people import new_person
from services.platform.access.principal import REPORT
from services.platform.access.routes import guards_of
from services.platform.access.settings import AccessSettings
from services.platform.http import health_app
from services.platform.postgres import Pool
from services.platform.runtime import Runtime
from tests.services.access_routes import TABLE
from tests.services.support import publish_shipped, settings

ASKED_FOR = "police"
"""The department whose name stands in every path that has one."""
PEOPLE: dict[str, tuple[tuple[Role, ...], tuple[str, ...]]] = {
    "duty_officer": ((Role.DUTY_OFFICER,), ()),
    "member": ((Role.DEPARTMENT,), (ASKED_FOR,)),
    "other": ((Role.DEPARTMENT,), ("health-commission",)),
    "planner": ((Role.PLANNER,), ()),
    "evaluator": ((Role.EVALUATOR,), ()),
    "auditor": ((Role.AUDITOR,), ()),
    "administrator": ((Role.ADMINISTRATOR,), ()),
}
STAFF = frozenset(PEOPLE) - {"member", "other"}
EVERYBODY = frozenset({*PEOPLE, "report", "nobody"})
WORDS = {
    "everyone": EVERYBODY,
    "session": EVERYBODY - {"nobody"},
    "known": frozenset(PEOPLE),
    "staff": STAFF,
    "department": frozenset({"member", "other"}),
}
UNANSWERED = 30.0
"""Seconds that an answer may take to begin."""


def expected() -> dict[str, frozenset[str]]:
    """Read the table: who may ask for what."""
    table: dict[str, frozenset[str]] = {}
    for line in TABLE.strip().splitlines():
        method, path, *words = line.split()
        names = frozenset(name for word in words for name in WORDS.get(word, {word}))
        assert names <= EVERYBODY, line
        assert f"{method} {path}" not in table, line
        table[f"{method} {path}"] = names
    return table


@dataclass
class Console:
    """All that `muster up` serves, and somebody of every role to ask it."""

    app: FastAPI
    access: Access
    people: dict[str, Any]
    token: str
    sessions: dict[str, dict[str, str]] = field(default_factory=dict)

    async def headers(self, name: str) -> dict[str, str]:
        """What this one sends: a browser's session, or a program's token for ``report``."""
        if name == "nobody":
            return {}
        if name == "report":
            return {"authorization": f"Bearer {self.token}"}
        if name in self.sessions:
            return self.sessions[name]
        now = self.access.now()
        token = await self.access.sessions.begin(self.people[name], "127.0.0.1", now)
        found = await self.access.sessions.find(token, now, may_rotate=False)
        assert found is not None
        self.sessions[name] = {"cookie": f"muster_session={token}", "x-csrf-token": str(found.caller.csrf)}
        return self.sessions[name]

    async def may(self, name: str, method: str, path: str) -> bool:
        """Ask, and say whether it was answered with anything but a refusal; a stream is left when it begins."""
        headers = {"host": "127.0.0.1", "content-type": "application/json"} | await self.headers(name)
        scope: dict[str, Any] = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "scheme": "http",
            "headers": [(key.encode(), value.encode()) for key, value in headers.items()],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
        }
        begun: asyncio.Future[tuple[int, str]] = asyncio.get_running_loop().create_future()
        body = [{"type": "http.request", "body": b"{}" if method != "GET" else b"", "more_body": False}]

        async def receive() -> Any:
            if body:
                return body.pop()
            return await asyncio.Event().wait()

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start" and not begun.done():
                location = dict(message["headers"]).get(b"location", b"").decode()
                begun.set_result((message["status"], location))

        def failed(task: asyncio.Task[None]) -> None:
            if not begun.done() and not task.cancelled():
                begun.set_exception(task.exception() or RuntimeError(f"{name}: {method} {path}: no answer"))

        task = asyncio.create_task(self.app(scope, receive, send))
        task.add_done_callback(failed)
        try:
            status, location = await asyncio.wait_for(asyncio.shield(begun), UNANSWERED)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        if (method, path) == ("DELETE", "/v1/session"):
            self.sessions.pop(name, None)
        assert status != 500, f"{name}: {method} {path}: {status}"
        return status not in {401, 403} and "/sign-in?" not in location


async def no_lags(runtime: Runtime) -> list[Lag]:
    del runtime
    return []


@pytest.fixture
async def console(pool: Pool, database: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Console]:
    # How far consumers are behind is asked of a broker; there is none here, and it would be waited for each time.
    monkeypatch.setattr("services.console.operations.lags", no_lags)
    await publish_shipped(pool)
    access = Access(pool, AccessSettings())
    people = {}
    for name, (roles, departments) in PEOPLE.items():
        people[name] = (await access.people.add(new_person(name, name, roles, departments), None, access.now())).id
    now = access.now()
    lives = access.settings.session_lifetime
    _, token = await access.tokens.issue("feed", scopes=[REPORT], by="test", now=now, expires_at=now + lives)
    runtimes = [await make_runtime(settings(database, "127.0.0.1:9", each), "test", ("intake",)) for each in Namespace]
    sites = make_sites(runtimes, access, pages=True)
    tasks = [asyncio.ensure_future(work()) for work in sites.background]
    yield Console(sites.app, access, people, token)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for runtime in runtimes:
        await runtime.pool.close()


def filled(path: str) -> str:
    """Fill a path's parameters in with what isn't there, but for a department that is."""
    known = {"department": ASKED_FOR, "plan": "no-such-plan", "name": "no-such-schedule"}
    return re.sub(r"\{(\w+)\}", lambda found: known.get(found[1], str(uuid7())), path)


async def test_every_route_has_exactly_one_guard_and_stands_in_the_table(console: Console) -> None:
    found = guards_of(console.app)
    assert [route for route in found if len(route.guards) != 1] == []
    routes = {f"{route.method} {route.path}" for route in found}
    assert sorted(routes ^ expected().keys()) == [], "each route stands in the table, and each line has its route"
    assert {guard for route in guards_of(health_app(lambda: True, _ready)) for guard in route.guards} == {Everyone()}


async def _ready() -> dict[str, bool]:
    return {}


async def test_everybody_may_do_what_the_table_says_and_nothing_else(console: Console) -> None:
    wrong = []
    for route, names in sorted(expected().items()):
        method, path = route.split()
        if path.startswith("/static/"):
            continue
        for name in sorted(EVERYBODY):
            may = await console.may(name, method, filled(path))
            if may is not (name in names):
                wrong.append(f"{route}: {name} {'may' if may else 'may not'}")
    assert wrong == [], "\n".join(wrong)


def test_a_route_without_a_guard_or_with_two_is_found() -> None:
    app = FastAPI(docs_url=None, redoc_url=None)
    inner = FastAPI(docs_url=None, redoc_url=None)

    @inner.get("/open")
    async def unguarded() -> None: ...

    app.mount("/inner", inner)
    found = {route.path: route.guards for route in guards_of(app)}
    assert found["/inner/open"] == ()
    assert found["/openapi.json"] == (Everyone(),)
