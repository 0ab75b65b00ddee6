"""A console that is served for real, so that its streams can be followed; entries written as services write them."""

import asyncio
import json
import random
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
import httpx
from fastapi import FastAPI
from uuid_utils.compat import uuid7

from schemas.vocabulary import Namespace
from services.console.live import Hub
from services.platform.http import serve
from services.platform.postgres import Pool
from services.platform.published import PublishedPlaybook
from services.platform.queries import query
from services.playbooks.stored import directory_from, plan_from
from tests.services.support import until


def make_hub(pool: Pool, namespace: Namespace = Namespace.ACTUAL) -> Hub:
    """A hub that compiles plans as services do."""
    return Hub(pool, namespace, PublishedPlaybook(pool, plan_from, directory_from))


@asynccontextmanager
async def served(app: FastAPI, *hubs: Hub) -> AsyncIterator[str]:
    """Serve an application on a free port while its hubs follow the record; gives its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    work = [asyncio.create_task(hub.follow()) for hub in hubs]
    work.append(asyncio.create_task(serve(app, "127.0.0.1", port)))
    for hub in hubs:
        assert await hub.ready()
    for _ in range(100):
        with suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            await writer.wait_closed()
            break
        await asyncio.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        for task in work:
            task.cancel()
        await asyncio.gather(*work, return_exceptions=True)


@dataclass
class Event:
    """One server-sent event."""

    kind: str
    data: dict[str, Any]
    id: str | None


async def follow(client: httpx.AsyncClient, url: str, **given: Any) -> AsyncGenerator[Event, None]:
    """Follow a stream until it ends or is left."""
    async with client.stream("GET", url, **given) as answer:
        assert answer.status_code == 200, await answer.aread()
        found: dict[str, str] = {}
        async for line in answer.aiter_lines():
            if line:
                name, _, value = line.partition(": ")
                found[name] = value
            elif found:
                if "event" in found:
                    yield Event(found["event"], json.loads(found["data"]), found.get("id"))
                found = {}


@dataclass
class Reader:
    """A client that loses its connection every now and then and takes the stream up again."""

    client: httpx.AsyncClient
    url: str
    chance: random.Random
    params: dict[str, str] = field(default_factory=dict)
    last: str | None = None
    entries: list[dict[str, Any]] = field(default_factory=list)
    connections: int = 0

    async def read(self, enough: Callable[["Reader"], bool]) -> None:
        """Read until it is enough."""
        while not enough(self):
            headers = {"Last-Event-ID": self.last} if self.last else {}
            self.connections += 1
            patience = self.chance.uniform(0.02, 0.6)
            with suppress(TimeoutError, httpx.RemoteProtocolError):
                async with asyncio.timeout(patience):
                    await self._connect(headers, enough)

    async def _connect(self, headers: dict[str, str], enough: Callable[["Reader"], bool]) -> None:
        # Taken as a whole: what arrived in full counts, however the connection ended.
        async for event in follow(self.client, self.url, headers=headers, params=self.params):
            assert event.kind != "reset"
            if event.kind == "entry":
                self.entries.append(event.data)
            self.last = event.id or self.last
            if enough(self):
                return


_INSERT = (
    "INSERT INTO timeline"
    " (entry_id, incident_id, status, entry, department, attention, detail, occurred_at, recorded_at)"
    " SELECT id, $2, $3, 'progress_noted', $4, false, jsonb_build_object('n', $5::int + n - 1, 'note', $7::text,"
    " 'departments', to_jsonb($8::text[])), $6, $6"
    " FROM unnest($1::uuid[]) WITH ORDINALITY AS each (id, n)"
)


async def write(
    connection: "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]",
    incident_id: UUID,
    first: int,
    entries: int,
    *,
    status: str = "Actual",
    department: str | None = None,
    note: str = "",
    told: Sequence[str] = (),
) -> None:
    """Write so many entries, numbered from ``first`` on; the caller's transaction holds the incident."""
    ids = [uuid7() for _ in range(entries)]
    await connection.execute(_INSERT, ids, incident_id, status, department, first, datetime.now(UTC), note, list(told))


async def hold(connection: "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]", incident_id: UUID) -> None:
    """Hold an incident as every worker does that decides about it."""
    await connection.execute(query("lock_incidents"), [incident_id])


async def listened(hub: Hub, readers: int = 1) -> None:
    """Wait until so many readers follow."""

    async def all_are_there() -> bool:
        return len(hub._listeners) >= readers

    await until(all_are_there)


async def shown(hub: Hub, incidents: int) -> None:
    """Wait until the board has so many incidents."""

    async def all_are_there() -> bool:
        return hub.board.counts.open == incidents

    await until(all_are_there)
