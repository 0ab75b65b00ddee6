"""What the connections of a service promise, against a real server."""

import asyncio
from datetime import UTC, datetime

import pytest
from uuid_utils.compat import uuid7

from schemas.vocabulary import Namespace, Status
from services.platform.outbox import Draft, envelope_of
from services.platform.postgres import IDLE_IN_TRANSACTION, TRANSIENT, Pool, connect
from services.platform.records import NEW_ASSIGNMENT


async def test_a_client_that_falls_silent_does_not_keep_its_locks(pool: Pool, database: str) -> None:
    """As when its host has gone: what it held up goes on, and should it come back, it may try again."""
    assert await pool.fetchval("SHOW idle_in_transaction_session_timeout") == IDLE_IN_TRANSACTION
    silent = await connect(database, size=1)
    connection = await silent.acquire()
    await connection.execute("SET idle_in_transaction_session_timeout = '100ms'")
    await connection.execute("BEGIN")
    await connection.execute("SELECT pg_advisory_xact_lock(7)")
    await asyncio.wait_for(pool.execute("SELECT pg_advisory_xact_lock(7)"), timeout=10)
    with pytest.raises(TRANSIENT):
        await connection.execute("SELECT 1")
    silent.terminate()


async def test_rows_without_names_are_in_the_order_of_their_types(pool: Pool) -> None:
    """Orders and messages reach Postgres as tuples: each value comes back under its own name."""
    columns = (
        "SELECT array_agg(attname::text ORDER BY attnum) FROM pg_attribute JOIN pg_type ON typrelid = attrelid"
        " WHERE typname = $1 AND attnum > 0"
    )
    assert tuple(await pool.fetchval(columns, "new_assignment")) == NEW_ASSIGNMENT
    incident, order = uuid7(), uuid7()
    envelope = envelope_of(uuid7(), "a type", "a source", incident, datetime.now(UTC), Status.TEST)
    draft = Draft("a topic", incident, envelope, b"{}", Namespace.EXERCISE, order)
    row = await pool.fetchrow("SELECT * FROM unnest($1::new_message[])", [draft.row()])
    assert row is not None
    assert dict(row) == {
        "event_id": envelope.id,
        "incident_id": incident,
        "status": "Test",
        "namespace": "exercise",
        "topic": "a topic",
        "type": "a type",
        "assignment_id": order,
        "time": envelope.time,
        "source": "a source",
        "value": "{}",
    }
