"""How long the record is kept: terms by status, legal holds, and giving up whole months whose term is over.

An incident's record goes as a whole: its rows in every table, once the month of its last entry is older than its
status's term, it is over, and nobody holds it. A month's partition in which nothing else is left is dropped; one with
something to keep (an incident that is held, open, or of a status with a longer term) is written anew with just that,
which costs as much as what is kept. All of it happens in one transaction. The head of the chain stays, and tells that
there was a record.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from schemas.vocabulary import Status
from services.platform.errors import RefusedError
from services.platform.postgres import Connection, Pool
from services.platform.queries import query

SHORTEST = timedelta(days=30)
"""The shortest term: much longer than the broker's memory, so that nothing given up is told again from there."""

_OF_INCIDENT = ("activations", "obstacles", "openings", "reports", "alerts", "inbox", "outbox", "outbound_calls")


@dataclass(frozen=True, slots=True)
class Term:
    """How long incidents of a status are kept after their last entry."""

    status: str
    days: int
    by: str
    set_at: datetime


@dataclass(frozen=True, slots=True)
class Hold:
    """An incident that is kept whatever its term."""

    incident_id: UUID
    reason: str
    by: str
    held_at: datetime


@dataclass(frozen=True, slots=True)
class PartitionPlan:
    """What giving up comes to in one partition: ``expired`` rows go, ``kept`` stay."""

    name: str
    expired: int
    kept: int

    @property
    def action(self) -> str:
        """Say what happens to it: it is left alone, dropped, or written anew."""
        if not self.expired:
            return "leave"
        return "drop" if not self.kept and not self.name.endswith("_default") else "rewrite"


@dataclass(frozen=True, slots=True)
class Applied:
    """What was, or would be, given up."""

    incidents: tuple[UUID, ...]
    partitions: tuple[PartitionPlan, ...]


async def terms(pool: Pool) -> list[Term]:
    """List the terms that are set; a status without one is kept for ever."""
    rows = await pool.fetch("SELECT status, days, by, set_at FROM retention ORDER BY status")
    return [Term(**row) for row in rows]


async def set_term(pool: Pool, status: Status, days: int | None, *, by: str) -> None:
    """Set a status's term in days, or with None keep it for ever; raises `RefusedError` for one that is too short."""
    if days is None:
        await pool.execute("DELETE FROM retention WHERE status = $1", status.value)
        return
    if days < SHORTEST.days:
        raise RefusedError(f"{days} days: the shortest term is {SHORTEST.days} days")
    await pool.execute(
        "INSERT INTO retention (status, days, by) VALUES ($1, $2, $3) ON CONFLICT (status)"
        " DO UPDATE SET days = excluded.days, by = excluded.by, set_at = clock_timestamp()",
        status.value,
        days,
        by,
    )


async def holds(pool: Pool) -> list[Hold]:
    """List the holds in force, oldest first."""
    rows = await pool.fetch(
        "SELECT incident_id, reason, by, held_at FROM holds WHERE released_at IS NULL ORDER BY held_at"
    )
    return [Hold(**row) for row in rows]


async def hold(pool: Pool, incident_id: UUID, *, reason: str, by: str) -> None:
    """Keep an incident whatever its term; raises `RefusedError` for one that is unknown or held already."""
    if not await pool.fetchval("SELECT EXISTS (SELECT FROM incidents WHERE id = $1)", incident_id):
        raise RefusedError(f"incident {incident_id}: is not on record")
    try:
        await pool.execute("INSERT INTO holds (incident_id, reason, by) VALUES ($1, $2, $3)", incident_id, reason, by)
    except asyncpg.UniqueViolationError:
        raise RefusedError(f"incident {incident_id}: is held already") from None


async def release(pool: Pool, incident_id: UUID, *, reason: str, by: str) -> None:
    """End a hold; raises `RefusedError` where there is none."""
    done = await pool.fetchval(
        "UPDATE holds SET released_by = $2, released_reason = $3, released_at = clock_timestamp()"
        " WHERE incident_id = $1 AND released_at IS NULL RETURNING true",
        incident_id,
        by,
        reason,
    )
    if not done:
        raise RefusedError(f"incident {incident_id}: is not held")


async def apply_terms(pool: Pool, *, really: bool) -> Applied:
    """Give up what is over its term, or only say what that would be; harmless to repeat."""
    async with pool.acquire() as connection, connection.transaction(readonly=not really):
        if really:
            await connection.execute("SELECT pg_advisory_xact_lock(hashtext('muster.retention'))")
        expired = [row["id"] for row in await connection.fetch(query("expired_incidents"))]
        plans = [await _look(connection, row["name"], expired) for row in await connection.fetch(query("partitions"))]
        if really and expired:
            for row, plan in zip(await connection.fetch(query("partitions")), plans, strict=True):
                await _carry_out(connection, row["parent"], row["bound"], plan, expired)
            for table in _OF_INCIDENT:
                # The names are this module's own; ids are bound.
                await connection.execute(f"DELETE FROM {table} WHERE incident_id = ANY ($1)", expired)  # noqa: S608
            await connection.execute("DELETE FROM incidents WHERE id = ANY ($1)", expired)
            await connection.execute(
                "UPDATE chains SET forgotten_at = clock_timestamp() WHERE incident_id = ANY ($1)", expired
            )
    return Applied(tuple(expired), tuple(plans))


async def _look(connection: Connection, name: str, expired: list[UUID]) -> PartitionPlan:
    counted = "count(*) FILTER (WHERE incident_id = ANY ($1)), count(*) FILTER (WHERE incident_id <> ALL ($1))"
    row = await connection.fetchrow(f'SELECT {counted} FROM "{name}"', expired)  # noqa: S608 - of the catalogue
    return PartitionPlan(name, *(row or (0, 0)))


async def _carry_out(connection: Connection, parent: str, bound: str, plan: PartitionPlan, expired: list[UUID]) -> None:
    if plan.action == "leave":
        return
    name = plan.name
    if plan.action == "drop":
        await connection.execute(f'DROP TABLE "{name}"')
        return
    await connection.execute(f'ALTER TABLE {parent} DETACH PARTITION "{name}"')
    await connection.execute(f'ALTER TABLE "{name}" RENAME TO "{name}_old"')
    await connection.execute(f'CREATE TABLE "{name}" PARTITION OF {parent} {bound} WITH (fillfactor = 80)')
    # Rows keep their numbers: the stream's readers know them by these.
    columns = ", ".join(
        f'"{row["attname"]}"'
        for row in await connection.fetch(
            "SELECT attname FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped",
            f'"{name}"',
        )
    )
    await connection.execute(
        f'INSERT INTO "{name}" ({columns}) OVERRIDING SYSTEM VALUE'  # noqa: S608
        f' SELECT {columns} FROM "{name}_old" WHERE incident_id <> ALL ($1)',
        expired,
    )
    await connection.execute(f'DROP TABLE "{name}_old"')
