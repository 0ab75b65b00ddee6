"""What tests of access share: a site with its routes and nothing else, a clock to turn, and browsers that sign in."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import httpx
from argon2 import PasswordHasher
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

from schemas.vocabulary import Role
from services.platform.access.access import Access
from services.platform.access.guard import allow, everyone
from services.platform.access.headers import Headers
from services.platform.access.http import add_access
from services.platform.access.passwords import Passwords
from services.platform.access.people import Person, new_person
from services.platform.access.principal import Principal
from services.platform.access.settings import AccessSettings
from services.platform.postgres import Pool
from services.platform.problem_answers import add_problems

BASE = "http://127.0.0.1:8080"
PASSWORD = "a fine long password"  # noqa: S105 - nobody's
QUICK = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
"""Hashes as the real one does, with little work: most tests are about something else."""


class TurnedClock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.time = datetime.now(UTC)

    def now(self) -> datetime:
        return self.time

    def at(self, wall: datetime) -> datetime:
        return wall

    def seconds_until(self, moment: datetime) -> float:
        return (moment - self.time).total_seconds()

    def forward(self, **span: float) -> None:
        self.time += timedelta(**span)


class Browser:
    """One browser: keeps its cookies, and the token that its pages would send."""

    def __init__(self, site: "Site", address: str = "127.0.0.1", base: str = BASE) -> None:
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(site.served, client=(address, 1)), base_url=base, follow_redirects=False
        )
        self.csrf = ""

    async def sign_in(self, login: str, password: str = PASSWORD, **headers: str) -> httpx.Response:
        answer = await self.client.post("/v1/session", json={"login": login, "password": password}, headers=headers)
        if answer.is_success:
            self.csrf = answer.json()["csrf"]
        return answer

    async def ask(self, method: str, path: str, **given: Any) -> httpx.Response:
        headers = {"X-CSRF-Token": self.csrf, **given.pop("headers", {})}
        return await self.client.request(method, path, headers=headers, **given)

    @property
    def cookie(self) -> str | None:
        return self.client.cookies.get("muster_session") or self.client.cookies.get("__Host-muster_session")


class Site:
    """Access's own routes, one that only duty officers may call, and a stream."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self.app = FastAPI(docs_url=None, redoc_url=None)
        add_problems(self.app)
        add_access(self.app, access)
        self.served = Headers(self.app, access.settings)

        @self.app.post("/v1/deeds")
        async def deed(caller: Annotated[Principal, allow(Role.DUTY_OFFICER)]) -> str:
            return caller.name

        @self.app.post("/v1/reports")
        async def report(caller: Annotated[Principal, allow(Role.DUTY_OFFICER, reporting=True)]) -> str:
            return caller.name

        @self.app.get("/v1/departments/{department}")
        async def department(department: str, caller: Annotated[Principal, allow()]) -> bool:
            return caller.may_act_for(department)

        @self.app.get("/v1/ticks", dependencies=[everyone()])
        async def ticks() -> StreamingResponse:
            async def parts() -> AsyncIterator[bytes]:
                yield b"data: 1\n\n"
                yield b"data: 2\n\n"

            return StreamingResponse(parts(), media_type="text/event-stream")

        @self.app.get("/v1/fault", dependencies=[everyone()])
        async def fault() -> None:
            raise RuntimeError("a bug")

    async def add(self, login: str, *roles: Role, departments: tuple[str, ...] = (), **given: Any) -> Person:
        """Put a person on record with `PASSWORD`."""
        person = new_person(login, f"Name of {login}", roles or (Role.DUTY_OFFICER,), departments, **given)
        hashed = await self.access.passwords.hash(PASSWORD)
        return await self.access.people.add(person, hashed, self.access.now())

    async def token(self, *scopes: str, departments: tuple[str, ...] = (), **lives: float) -> str:
        """Issue a token and give its text."""
        now = self.access.now()
        _, text = await self.access.tokens.issue(
            "robot",
            scopes=scopes,
            departments=departments,
            by="test",
            now=now,
            expires_at=now + timedelta(**(lives or {"hours": 1})),
        )
        return text


@asynccontextmanager
async def site_on(pool: Pool, settings: AccessSettings | None = None) -> AsyncIterator[Site]:
    """A site on a test's own database."""
    passwords = Passwords(QUICK)
    yield Site(Access(pool, settings or AccessSettings(), clock=TurnedClock(), passwords=passwords))


def clock_of(site: Site) -> TurnedClock:
    """The clock that a test may turn."""
    assert isinstance(site.access.clock, TurnedClock)
    return site.access.clock


async def audited(site: Site) -> list[tuple[str | None, str, str | None, str]]:
    """Who did what to whom with which outcome, oldest first."""
    return [(e.by, e.action, e.target, e.outcome) for e in reversed(await site.access.audit.list())]
