"""``/v1/operations`` and ``/v1/dead-letters``: whether everything runs, and what could not be taken."""

import asyncio
import base64
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Literal
from uuid import UUID

from fastapi import FastAPI, Query
from pydantic import BaseModel, Field

from schemas.vocabulary import Role
from services.console.lag import Lag, lags
from services.console.world import statement
from services.platform.access.guard import allow
from services.platform.access.principal import Principal
from services.platform.clock import SystemClock
from services.platform.dead_letters import list_letters, replay_letter, resolve_letter, show_headers, show_letter
from services.platform.errors import RefusedError
from services.platform.invariants import check_invariants
from services.platform.problem import ProblemError, documented
from services.platform.runtime import Runtime

_S = HTTPStatus
SHOWN_BYTES = 4_000
_PROCESSES = "SELECT * FROM connected_processes()"

Reader = Annotated[Principal, allow(Role.ADMINISTRATOR, Role.AUDITOR)]
Operator = Annotated[Principal, allow(Role.ADMINISTRATOR)]


class Process(BaseModel):
    """Processes that hold a connection to the database, by the name they give themselves."""

    name: str
    connections: int
    since: datetime


class Operations(BaseModel):
    """One look at everything. ``late_timers``: deadlines ten seconds past that no sweeper has taken."""

    ready: dict[str, bool]
    waiting: int = Field(description="Messages in the outbox that the broker doesn't have yet.")
    waiting_since: datetime | None
    decided: int = Field(description="Events decided in the last five minutes.")
    decided_last: datetime | None
    dead_letters: int
    late_timers: int
    broker_since: datetime | None
    plans_since: datetime | None
    processes: list[Process]
    consumers: list[Lag]


class Invariant(BaseModel):
    """One thing that must hold; see `services.platform.invariants`."""

    name: str
    looked_at: int
    broken: int
    examples: list[str]


class Invariants(BaseModel):
    """What the record proves."""

    holds: bool
    findings: list[Invariant]


class LetterLine(BaseModel):
    """A dead letter in a list."""

    id: UUID
    origin: str
    partition: int
    position: int
    reason: str
    received_at: datetime
    state: str
    bytes: int | None


class Letters(BaseModel):
    """A page of dead letters, newest first; ``next`` is the cursor of the page after."""

    items: list[LetterLine]
    next: str | None


class Letter(LetterLine):
    """A dead letter whole; ``text`` is its beginning as text, ``base64`` all of it."""

    headers: dict[str, str]
    broker_at: datetime | None
    resolved_at: datetime | None
    resolved_reason: str | None
    text: str
    base64: str


class Discard(BaseModel):
    """Why nobody needs it."""

    reason: Annotated[str, Field(min_length=1, max_length=2_000)]


def add_operations_api(app: FastAPI, runtime: Runtime) -> None:
    """Add the routes."""

    @app.get("/v1/operations", operation_id="show_operations", responses=documented(_S.FORBIDDEN))
    async def operations(_: Reader) -> Operations:
        """Say whether everything runs: readiness, what waits, which processes are connected, how far consumers are."""
        found, sessions, consumers, ready = await asyncio.gather(
            runtime.pool.fetchrow(statement("operations"), runtime.namespace.value),
            runtime.pool.fetch(_PROCESSES),
            lags(runtime),
            runtime.readiness(),
        )
        return Operations(
            ready=ready, **dict(found or {}), processes=[Process(**dict(row)) for row in sessions], consumers=consumers
        )

    @app.get("/v1/operations/invariants", operation_id="check_invariants", responses=documented(_S.FORBIDDEN))
    async def invariants(_: Reader) -> Invariants:
        """Prove over the record that nothing was lost and nothing happened twice; it reads much, so ask when needed."""
        found = await check_invariants(runtime.pool)
        findings = [
            Invariant(name=each.name, looked_at=each.looked_at, broken=each.broken, examples=list(each.examples))
            for each in found
        ]
        return Invariants(holds=not any(each.broken for each in found), findings=findings)

    _add_letters(app, runtime)


def _add_letters(app: FastAPI, runtime: Runtime) -> None:
    @app.get("/v1/dead-letters", operation_id="list_dead_letters", responses=documented(_S.UNPROCESSABLE_ENTITY))
    async def letters(
        _: Reader,
        state: Literal["open", "replayed", "discarded"] = "open",
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        cursor: UUID | None = None,
    ) -> Letters:
        """List messages that could not be taken, newest first."""
        rows = await list_letters(runtime.pool, runtime.namespace, state=state, at_most=limit + 1, before=cursor)
        items = [LetterLine(**dict(row)) for row in rows[:limit]]
        return Letters(items=items, next=str(items[-1].id) if len(rows) > limit else None)

    @app.get("/v1/dead-letters/{letter_id}", operation_id="show_dead_letter", responses=documented(_S.NOT_FOUND))
    async def letter(letter_id: UUID, _: Reader) -> Letter:
        """Show one whole: where it came from, why it was set aside, its headers and bytes."""
        return await _letter(runtime, letter_id)

    @app.post("/v1/dead-letters/{letter_id}/replay", operation_id="replay_dead_letter",
              responses=documented(_S.NOT_FOUND, _S.CONFLICT))  # fmt: skip
    async def replay(letter_id: UUID, caller: Operator) -> Letter:
        """Publish it again on the topic it came from, with a fresh event id."""
        await _letter(runtime, letter_id)
        try:
            await replay_letter(runtime.pool, runtime.broker, letter_id, by=caller.name)
        except RefusedError as error:
            raise ProblemError(_S.CONFLICT, str(error), kind="not-replayed") from None
        return await _letter(runtime, letter_id)

    @app.post("/v1/dead-letters/{letter_id}/discard", operation_id="discard_dead_letter",
              responses=documented(_S.NOT_FOUND, _S.CONFLICT, _S.UNPROCESSABLE_ENTITY))  # fmt: skip
    async def discard(letter_id: UUID, body: Discard, caller: Operator) -> Letter:
        """Set it aside for good; it stays in the table."""
        await _letter(runtime, letter_id)
        reason = f"{body.reason} ({caller.name})"
        if not await resolve_letter(runtime.pool, letter_id, "discarded", reason, now=SystemClock().now()):
            raise ProblemError(_S.CONFLICT, f"dead letter {letter_id}: it was resolved before", kind="resolved-before")
        return await _letter(runtime, letter_id)


async def _letter(runtime: Runtime, letter_id: UUID) -> Letter:
    try:
        row = await show_letter(runtime.pool, letter_id)
    except RefusedError:
        raise ProblemError(_S.NOT_FOUND, f"dead letter {letter_id}: there is none with this id") from None
    value = bytes(row["value"] or b"")
    facts = {name: row[name] for name in (*LetterLine.model_fields, *Letter.model_fields) if name in row}
    return Letter(
        **facts
        | {
            "bytes": len(value),
            "headers": dict(show_headers(row["headers"])),
            "text": value[:SHOWN_BYTES].decode("utf-8", "backslashreplace"),
            "base64": base64.b64encode(value).decode(),
        }
    )
