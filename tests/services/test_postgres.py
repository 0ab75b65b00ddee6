"""What the connections of a service promise, against a real server."""

import asyncio

import pytest

from services.platform.postgres import IDLE_IN_TRANSACTION, TRANSIENT, Pool, connect


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
