"""Drills that start by themselves, and plans whose exercise is overdue.

A schedule is a row: every so many days at a local time. Any number of processes may watch; one of them takes a
schedule that is due, and only while no drill runs on the database, so that there are never two at once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import asyncpg

from schemas.plan import PlanDocument
from services.drills.record import DrillError, Pool, sql
from services.platform.logs import get_logger
from services.platform.postgres import TRANSIENT

LOOK_EVERY = 5.0
"""Seconds between looks at what is due."""
LATE_AT_MOST = timedelta(hours=1)
"""How late a drill may start: nobody wants the night's drill at ten in the morning because the machine was off."""
MISSED = "missed: nothing ran at its time"

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Schedule:
    """One schedule. ``at`` is in ``timezone``, an IANA name; ``next_at`` is when it starts next."""

    name: str
    drill: str
    file: Path
    every_days: int
    at: time
    timezone: str
    next_at: datetime
    seed: int | None = None
    last_at: datetime | None = None
    last_outcome: str | None = None


Launch = Callable[[Schedule], Awaitable[str]]
"""Runs a schedule's drill to its end and says in a few words how it went; cancelled, it stops the drill."""


@dataclass(frozen=True, slots=True)
class Due:
    """When a plan was last exercised (None: never), and since when it must be again."""

    plan: str
    every: timedelta
    last_at: datetime | None
    due_at: datetime | None

    def is_overdue(self, now: datetime) -> bool:
        """Say whether its exercise is overdue."""
        return self.due_at is None or self.due_at <= now


def zone(name: str) -> ZoneInfo:
    """Look a time zone up; raises `DrillError`."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise DrillError(f"{name}: is no time zone; write one like Europe/Berlin or Asia/Shanghai") from error


def next_time(after: datetime, at: time, timezone: str, *, days: int = 0) -> datetime:
    """Give the first moment, so many days after a moment or later, when the clocks there show a time.

    A time that daylight saving skips is an hour later on that day.
    """
    there = zone(timezone)
    local = after.astimezone(there)
    day = local.date() + timedelta(days=days)
    while True:
        # Through UTC, so that a time which doesn't exist becomes one that does.
        found = datetime.combine(day, at, tzinfo=there).astimezone(UTC)
        if found > after:
            return found
        day += timedelta(days=1)


async def add_schedule(pool: "Pool[asyncpg.Record]", schedule: Schedule, by: str) -> None:
    """Keep a schedule; raises `DrillError` when the name is taken."""
    added = await pool.fetchval(
        sql("add_schedule"),
        schedule.name,
        schedule.drill,
        str(schedule.file),
        schedule.every_days,
        schedule.at,
        schedule.timezone,
        schedule.seed,
        schedule.next_at,
        by,
    )
    if added is None:
        raise DrillError(f"schedule {schedule.name}: is there already; remove it first, or give another --name")


async def list_schedules(pool: "Pool[asyncpg.Record]") -> Sequence[Schedule]:
    """List the schedules in force, the next first."""
    return [_schedule(row) for row in await pool.fetch(sql("list_schedules"))]


async def remove_schedule(pool: "Pool[asyncpg.Record]", name: str) -> None:
    """Take a schedule out of force; raises `DrillError` when there is none of this name."""
    removed = await pool.fetchval(
        "UPDATE drill_schedules SET removed_at = clock_timestamp()"
        " WHERE name = $1 AND removed_at IS NULL RETURNING name",
        name,
    )
    if removed is None:
        raise DrillError(f"schedule {name}: there is none; see `muster drill schedule list`")


async def list_due(pool: "Pool[asyncpg.Record]", plans: Sequence[PlanDocument]) -> list[Due]:
    """Say for each plan when it was exercised and must be again, the most urgent first."""
    last = {row["plan"]: row["last_at"] for row in await pool.fetch(sql("drill_due"))}
    found = [
        Due(plan.id, plan.exercise_every, at, at + plan.exercise_every if at is not None else None)
        for plan in plans
        for at in (last.get(plan.id),)
    ]
    first = datetime.min.replace(tzinfo=UTC)
    return sorted(found, key=lambda due: (due.due_at or first, due.plan))


async def watch_schedule(pool: "Pool[asyncpg.Record]", launch: Launch, *, look_every: float = LOOK_EVERY) -> None:
    """Start drills when they are due, one after the other, until cancelled; background work for ``muster up``."""
    while True:
        try:
            schedule = await take_due(pool, datetime.now(UTC))
            if schedule is not None:
                _log.warning("scheduled drill starts", schedule=schedule.name, drill=schedule.drill)
                await _note(pool, schedule, await launch(schedule))
                continue
        except TRANSIENT as error:
            _log.warning("schedules not looked at; trying again", error=repr(error))
        await asyncio.sleep(look_every)


async def take_due(pool: "Pool[asyncpg.Record]", now: datetime) -> Schedule | None:
    """Take the schedule that is due, and set its next time; None when none is, or a drill runs."""
    async with pool.acquire() as connection, connection.transaction():
        row = await connection.fetchrow(sql("claim_schedule"), now)
        if row is None:
            return None
        schedule = _schedule(row)
        is_late = schedule.next_at + LATE_AT_MOST < now
        is_free = await connection.fetchval("SELECT pg_try_advisory_xact_lock(hashtext('muster.drill'))")
        if not (is_late or is_free):
            return None
        following = next_time(schedule.next_at, schedule.at, schedule.timezone, days=schedule.every_days)
        while following <= now:
            following = next_time(following, schedule.at, schedule.timezone, days=schedule.every_days)
        await connection.execute(
            "UPDATE drill_schedules SET next_at = $2, last_at = CASE WHEN $3 THEN last_at ELSE $4 END,"
            " last_outcome = CASE WHEN $3 THEN $5 ELSE 'under way' END WHERE name = $1",
            schedule.name,
            following,
            is_late,
            now,
            MISSED,
        )
    return None if is_late else schedule


async def _note(pool: "Pool[asyncpg.Record]", schedule: Schedule, outcome: str) -> None:
    await pool.execute("UPDATE drill_schedules SET last_outcome = $2 WHERE name = $1", schedule.name, outcome)


def _schedule(row: Any) -> Schedule:
    names = ("name", "drill", "every_days", "at", "timezone", "next_at", "seed", "last_at", "last_outcome")
    return Schedule(file=Path(row["file"]), **{name: row[name] for name in names})
