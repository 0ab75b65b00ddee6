"""Controlling a running drill from another process: what people ask for, and when its clock stood still, as rows."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import asyncpg
from uuid_utils.compat import uuid7

from schemas.vocabulary import Namespace
from services.drills.record import DrillError, DrillRow, Pool, read_drill, sql
from services.platform.clock import ScaledClock
from services.platform.logs import get_logger
from services.platform.postgres import TRANSIENT
from services.platform.runtime import Runtime
from services.platform.settings import Settings

CHANNEL = "muster_drill"
"""Notified before a drill's STARTEX, when its clock stops or goes on, and after its ENDEX."""
FOLLOW_EVERY = 5.0
"""Seconds between looks at the pauses, should a NOTIFY be missed."""
TAKEN_WITHIN = 10.0
"""Seconds in which a running controller takes what it is asked."""
LOOK_EVERY = 0.1

_log = get_logger(__name__)


class Action(StrEnum):
    """What can be asked of a running drill."""

    START = "start"
    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"
    INJECT = "inject"


@dataclass(frozen=True, slots=True)
class Request:
    """Something that a person asked of a drill."""

    id: UUID
    action: Action
    by: str
    inject: str | None = None
    reason: str | None = None


async def find_running(pool: "Pool[asyncpg.Record]", named: str | None) -> DrillRow:
    """Find a drill under way: by id, by its document's name, or the only one; raises `DrillError`."""
    rows = await pool.fetch(sql("running_drills"))
    found = [row["id"] for row in rows if named is None or named in (str(row["id"]), row["drill"])]
    if not found:
        what = f"drill {named}: does not run" if named else "no drill runs"
        raise DrillError(f"{what}; see `muster drill list`")
    if len(found) > 1:
        raise DrillError(f"{len(found)} drills are under way; name one by its id, from `muster drill list`")
    return await read_drill(pool, found[0])


async def ask(
    pool: "Pool[asyncpg.Record]",
    drill: DrillRow,
    action: Action,
    *,
    by: str,
    reason: str | None = None,
    inject: str | None = None,
) -> None:
    """Ask a running drill for something and wait until it is done; raises `DrillError` when it is refused."""
    request = uuid7()
    await pool.execute(sql("ask_control"), request, drill.id, action, inject, by, reason)
    deadline = asyncio.get_running_loop().time() + TAKEN_WITHIN
    while True:
        row = await pool.fetchrow("SELECT taken_at, refused FROM drill_controls WHERE id = $1", request)
        if row is not None and row["taken_at"] is not None:
            break
        if asyncio.get_running_loop().time() > deadline:
            await pool.execute(sql("settle_control"), request, "its controller did not take it in time")
            raise DrillError(f"drill {drill.id}: its controller does not answer; does `muster drill run` still run?")
        await asyncio.sleep(LOOK_EVERY)
    if row["refused"] is not None:
        raise DrillError(f"drill {drill.document.id}: {row['refused']}")


async def requests(pool: "Pool[asyncpg.Record]", drill_id: UUID) -> Sequence[Request]:
    """List what is asked of a drill and not yet taken, in order."""
    rows = await pool.fetch(sql("waiting_controls"), drill_id)
    return [Request(row["id"], Action(row["action"]), row["by"], row["inject"], row["reason"]) for row in rows]


async def settle(pool: "Pool[asyncpg.Record]", request: Request, refused: str | None = None) -> None:
    """Note that a request was taken, or why it was refused."""
    await pool.execute(sql("settle_control"), request.id, refused)


async def note_pause(
    pool: "Pool[asyncpg.Record]", drill_id: UUID, since: datetime, by: str, reason: str | None
) -> None:
    """Note that a drill's clock stands still, and tell the other processes that go by it."""
    await pool.execute(sql("begin_pause"), drill_id, since, by, reason)
    await tell(pool)


async def note_resume(pool: "Pool[asyncpg.Record]", drill_id: UUID, until: datetime) -> None:
    """Note that it goes on."""
    await pool.execute("UPDATE drill_pauses SET until = $2 WHERE drill_id = $1 AND until IS NULL", drill_id, until)
    await tell(pool)


async def tell(pool: "Pool[asyncpg.Record]") -> None:
    """Have every process that follows the exercise's clock look again."""
    await pool.execute(f"NOTIFY {CHANNEL}")


def pausable(settings: Settings) -> Settings:
    """Give an exercise's process a clock that can follow a drill's; others keep theirs.

    For ``muster serve`` and ``muster up``, before `make_runtime`; call `follow_pauses` on the runtime after it.
    """
    if settings.namespace is not Namespace.EXERCISE or settings.clock_start is not None:
        return settings
    return settings.model_copy(update={"clock_start": datetime.now(UTC), "clock_speed": 1.0})


def follow_pauses(runtime: Runtime) -> None:
    """Let a process of the exercise namespace go by the clock of the drill under way; call it before the start.

    It stands still with the drill. A process that `pausable` made also takes on the drill's start and speed, and goes
    by the wall again after ENDEX; one that was given a clock keeps it.
    """
    clock = runtime.clock
    if runtime.namespace is not Namespace.EXERCISE or not isinstance(clock, ScaledClock):
        return
    follower = _Follower(runtime.pool, clock, takes_on=clock.speed == 1 and clock.start <= datetime.now(UTC))
    runtime.every(follower.follow)


async def are_followers(pool: "Pool[asyncpg.Record]") -> bool:
    """Say whether processes serve the exercise that take on a drill's clock; then a drill needs none of its own."""
    return bool(await pool.fetchval(sql("are_followers")))


class _Follower:
    def __init__(self, pool: "Pool[asyncpg.Record]", clock: ScaledClock, *, takes_on: bool) -> None:
        self._pool = pool
        self._clock = clock
        self._takes_on = takes_on
        self._own = (clock.start, clock.speed)
        self._news = asyncio.Event()

    async def follow(self) -> None:
        """Take over what the drill under way goes by; what was before this process began counts too."""
        while True:
            try:
                async with self._pool.acquire() as connection:
                    await connection.add_listener(CHANNEL, self._heard)
                    try:
                        if self._takes_on:
                            await connection.execute(sql("be_follower"))
                        while True:
                            self._news.clear()
                            await self._look(connection)
                            await self._rest()
                    finally:
                        if not connection.is_closed():
                            await connection.remove_listener(CHANNEL, self._heard)
            except TRANSIENT as error:
                _log.warning("the exercise's clock is not followed; trying again", error=repr(error))
                await asyncio.sleep(1)

    async def _look(self, connection: Any) -> None:
        drill = await connection.fetchrow(sql("running_clock")) if self._takes_on else None
        rows = await connection.fetch(sql("running_pauses"), drill["id"] if drill is not None else None)
        start, speed = (drill["clock_start"], drill["speed"]) if drill is not None else self._own
        # At once, with nothing awaited in between: nobody may read the one without the others.
        self._clock.start, self._clock.speed = start, speed
        self._clock.pauses = tuple((row["since"], row["until"]) for row in rows)

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(FOLLOW_EVERY):
                await self._news.wait()
        except TimeoutError:
            return

    def _heard(self, *_: object) -> None:
        self._news.set()
