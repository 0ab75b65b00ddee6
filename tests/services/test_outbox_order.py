"""Messages that were committed and never published: each is taken by one, and none overtakes an earlier one."""

from uuid import UUID

import asyncpg
from uuid_utils.compat import uuid7

from services.platform.outbox import LEASE, SWEEP_AT_MOST
from services.platform.postgres import Connection, Pool
from services.platform.queries import query
from tests.services.record_support import decide
from tests.services.support import publish_shipped, report


async def swept(connection: Connection, at_most: int = SWEEP_AT_MOST) -> list[asyncpg.Record]:
    return await connection.fetch(query("sweep_messages"), "actual", LEASE, at_most, None)


def by_type(rows: list[asyncpg.Record]) -> set[tuple[UUID, str]]:
    return {(row["incident_id"], row["type"]) for row in rows}


async def test_two_who_sweep_at_once_never_share_the_messages_of_one_incident_and_type(pool: Pool) -> None:
    """Or the one might publish the later of them first: as after an outage, when much waits and several sweep."""
    await publish_shipped(pool)
    first, second = report(), report()
    await decide(pool, [first, second])
    assert await pool.execute("UPDATE outbox SET lease_until = clock_timestamp() - $1::interval", LEASE)
    every = await pool.fetchval("SELECT count(*) FROM outbox")
    async with pool.acquire() as one, pool.acquire() as other:
        async with one.transaction():
            mine = await swept(one, 3)
            theirs = await swept(other)
            claimed = await other.fetch(query("claim_messages"), [first.incident_id, second.incident_id], LEASE, None)
        assert len(mine) == 3
        assert by_type(mine).isdisjoint(by_type(theirs))
        assert claimed == []
        await one.execute("UPDATE outbox SET published_at = now() WHERE seq = ANY ($1)", [row["seq"] for row in mine])
        left = await other.fetch(query("claim_messages"), [first.incident_id, second.incident_id, uuid7()], LEASE, None)
    assert len(mine) + len(theirs) + len(left) == every
