"""Nothing is lost and nothing happens twice while the embedded broker forgets; `tests.faults` is about Apache Kafka."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from services.platform.embedded.broker import EmbeddedBroker
from services.platform.postgres import Pool
from tests.integration.fleet import REPO, Departments, Fleet, Reporters, audit, reporting_token, unsettled
from tests.services.support import publish_shipped

STOP_WITHIN = 30
"""Seconds for all processes to stop: each has 15, on a machine that is shared."""
INCIDENTS = 200
RATE = 15
"""Reports a second."""
SETTLE = 240
"""Seconds that everything may take to come to rest once reports end."""


@pytest.fixture
async def books(pool: Pool, database: str) -> "AsyncIterator[asyncpg.Connection[asyncpg.Record]]":
    """A connection of the auditors' own, to a database with the shipped plans in force."""
    await publish_shipped(pool)
    connection = await asyncpg.connect(database)
    yield connection
    await connection.close()


async def come_to_rest(connection: "asyncpg.Connection[asyncpg.Record]", reporters: Reporters) -> None:
    for _ in range(SETTLE * 2):
        left = await unsettled(connection, reporters)
        if not left:
            return
        await asyncio.sleep(0.5)
    pytest.fail(f"not at rest after {SETTLE} s: {left}")


async def doctor(database: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.cli", "doctor", "--invariants", "--json"),
        cwd=REPO,
        env={"MUSTER_DATABASE": database, "PATH": "/usr/bin:/bin"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()
    return out.decode()


async def test_broker_that_forgets_everything_loses_nothing(
    books: "asyncpg.Connection[asyncpg.Record]", database: str, tmp_path: Path
) -> None:
    """The embedded broker dies with all it held, twice, in the middle of the incidents; processes die beside it."""
    server = EmbeddedBroker(tmp_path / "broker")
    kafka = await server.start()
    fleet = Fleet(tmp_path, kafka=kafka, database=database, MUSTER_EMBEDDED_BROKER="true")
    reporters, departments = (
        Reporters(fleet.intakes, await reporting_token(database)),
        Departments(kafka),
    )
    try:
        await fleet.start_all()
        async with departments.listening():
            reporting = asyncio.create_task(reporters.report(INCIDENTS, per_second=RATE))
            for _ in range(2):
                await asyncio.sleep(INCIDENTS / RATE / 3)
                server.kill()
                await fleet.kill(("dispatch", 0))
                await asyncio.sleep(1)
                await server.start()
                await fleet.start(("dispatch", 0))
            await reporting
            await come_to_rest(books, reporters)
        assert len(reporters.taken) == INCIDENTS
        findings = await audit(books, reporters, departments)
        assert not findings, findings[:10]
        await doctor(database)
        assert await fleet.stop_all() < STOP_WITHIN
    finally:
        await fleet.stop_all()
        await server.stop()
