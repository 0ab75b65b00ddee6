"""A namespace as the console sees it, on a real database and without a broker: what is published is decided at once."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import httpx
from fastapi import FastAPI, Request
from uuid_utils.compat import uuid7

from schemas.envelope import ACKNOWLEDGEMENT, INCIDENT, read_message
from schemas.incident import IncidentReport
from schemas.vocabulary import Namespace, Role
from services.domain.decision import Answered, Decision, Reported
from services.platform.access.principal import Principal
from services.platform.decider import Decider, Incoming, Settled
from services.platform.kafka import Origin
from services.platform.outbox import Outgoing
from services.platform.postgres import Pool
from services.platform.problem import ProblemError
from services.platform.problem_answers import add_problems
from services.platform.published import PublishedPlaybook
from services.platform.queries import query
from services.playbooks.stored import directory_from, plan_from

NOBODY = ""


class HandClock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.time = datetime.now(UTC).replace(microsecond=0)

    def now(self) -> datetime:
        return self.time

    def at(self, wall: datetime) -> datetime:
        return wall

    def seconds_until(self, moment: datetime) -> float:
        return (moment - self.time).total_seconds()


class HandOutbox:
    """Stands where the outbox stands and keeps what it is told to publish."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.published: list[Outgoing] = []

    async def publish(self, messages: Sequence[Outgoing], incidents: Iterable[UUID]) -> None:
        del incidents
        self.published += messages
        await self._pool.execute(query("mark_published"), [message.seq for message in messages])


class HandWorld:
    """One namespace: `services.console.world.World`, with hands for time, dispatch and tracking."""

    def __init__(self, pool: Pool, namespace: Namespace = Namespace.ACTUAL) -> None:
        self.namespace = namespace
        self.pool = pool
        self.outbox = HandOutbox(pool)
        self.clock = HandClock()
        self.playbook = PublishedPlaybook(pool, plan_from, directory_from)
        self._decider = Decider(pool, self.playbook, self.clock, namespace, "test")

    async def report(self, told: IncidentReport) -> list[asyncpg.Record]:
        """Let dispatch decide a report; give the assignments that follow."""
        await self._decide(Incoming(Reported(uuid7(), told), INCIDENT, Origin("test", 0, 0, None)))
        return await self.pool.fetch(
            "SELECT * FROM assignments WHERE incident_id = $1 ORDER BY issued_at, id", told.incident_id
        )

    async def track(self) -> list[Decision]:
        """Let tracking decide the answers that were published."""
        decided = []
        for message in self.outbox.published:
            envelope, told = read_message(message.envelope.headers(), message.value, ACKNOWLEDGEMENT)
            origin = Origin(message.topic, 0, message.seq, None)
            decided.append(await self._decide(Incoming(Answered(envelope.id, told), ACKNOWLEDGEMENT, origin)))
        self.outbox.published.clear()
        return decided

    async def wait(self, span: timedelta) -> None:
        """Let time pass second by second, doing what falls due."""
        for _ in range(int(span.total_seconds())):
            self.clock.time += timedelta(seconds=1)
            await self._publish(await self._decider.pass_time(10))

    async def _decide(self, incoming: Incoming) -> Decision:
        settled = await self._decider.decide([incoming])
        await self._publish(settled)
        return settled.decisions[0]

    async def _publish(self, settled: Settled) -> None:
        await self.pool.execute(query("mark_published"), [message.seq for message in settled.messages])


def person(name: str, *roles: Role, departments: Iterable[str] = ()) -> Principal:
    """Somebody who has signed in."""
    return Principal(uuid7(), name, frozenset(roles), frozenset(departments), session=uuid7(), csrf="token")


class Door:
    """Knows callers by a cookie that holds their name; stands where sign-in stands."""

    def __init__(self, *callers: Principal) -> None:
        self._callers = {caller.name: caller for caller in callers}

    async def identify(self, request: Request) -> Principal | None:
        return self._callers.get(request.cookies.get("as", NOBODY))

    async def note(self, *_: Any, **__: Any) -> None:
        """The audit is another's."""

    async def refused(self, request: Request, caller: Principal | None, problem: ProblemError) -> None:
        """The audit is another's."""


def api(door: Door) -> FastAPI:
    """An application with nothing in it yet."""
    app = FastAPI()
    app.state.access = door
    add_problems(app)
    return app


def client_for(app: FastAPI, name: str) -> httpx.AsyncClient:
    """A client of somebody who has signed in, or of `NOBODY`."""
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app, raise_app_exceptions=True),
        base_url="http://muster",
        cookies={"as": name} if name else {},
    )
