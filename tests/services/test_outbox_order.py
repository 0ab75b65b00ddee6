"""Messages that were committed and never published: each is taken by one, and none overtakes an earlier one."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import asyncpg
import pytest
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


def touched(plan: dict[str, Any]) -> Iterator[int]:
    """Give the rows that each step of an executed plan has produced or looked at and passed over."""
    removed = sum(rows for name, rows in plan.items() if name.startswith("Rows Removed"))
    yield round((plan["Actual Rows"] + removed) * plan["Actual Loops"])
    for below in plan.get("Plans", ()):
        yield from touched(below)


@pytest.mark.parametrize("statement", ["claim_messages", "sweep_messages"])
async def test_what_waits_is_found_with_work_that_grows_with_it_not_with_its_square(pool: Pool, statement: str) -> None:
    """Also where the planner knows of none, as is usual: what waits after an outage had kept a sweeper for a minute."""
    incidents = [uuid7() for _ in range(12)]
    waiting = 2_000

    async def add(number: int, *, published: bool) -> None:
        await pool.execute(
            "INSERT INTO outbox (event_id, incident_id, status, namespace, topic, type, time, source, value,"
            " lease_until, published_at) SELECT gen_random_uuid(), ($1::uuid[])[1 + i % 12], 'Actual', 'actual', 't',"
            " CASE WHEN i % 4 > 0 THEN 'muster.timeline' ELSE 'muster.assignment' END, now(), 's', '{}',"
            " now() - interval '1 s', CASE WHEN $3 THEN now() END FROM generate_series(1, $2) AS i",
            *(incidents, number, published),
        )

    await add(10 * waiting, published=True)
    await pool.execute("ANALYZE outbox")
    await add(waiting, published=False)
    given = (incidents, LEASE, None) if statement == "claim_messages" else ("actual", LEASE, waiting, None)
    told = await pool.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {query(statement)}", *given)
    work = list(touched(json.loads(told)[0]["Plan"]))
    assert max(work) < 20 * waiting
    assert await pool.fetchval("SELECT count(*) FROM outbox WHERE lease_until > clock_timestamp()") == waiting
