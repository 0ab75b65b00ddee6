"""The canary beside 500 real incidents on Apache Kafka: no real effect, and a leak is caught."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import asyncpg
import pytest

from schemas.topics import ASSIGNMENTS, topic_name
from schemas.vocabulary import Namespace
from services.drills.canary import Canary, Round
from services.drills.witness import Way
from services.platform.embedded.apache import ApacheKafka
from services.platform.kafka import make_broker
from services.platform.kafka_publishing import publish_all
from services.platform.postgres import Pool
from services.platform.settings import Settings
from tests.integration.fleet import REPO, Departments, Fleet, Reporters, audit, reporting_token, unsettled
from tests.services.support import publish_shipped, until

pytestmark = pytest.mark.kafka

INCIDENTS = 500
PER_SECOND = 10
EXERCISE = [("dispatch", 0), ("tracking", 0), ("escalation", 0)]
COMMAND = "from tests.services.test_canary import app; app()"


@pytest.fixture
async def kafka(tmp_path: Path) -> AsyncIterator[str]:
    """One Apache Kafka broker of the test's own."""
    cluster = ApacheKafka(tmp_path / "kafka", brokers=1)
    yield await cluster.start()
    await cluster.stop()


@pytest.fixture
async def fleets(pool: Pool, database: str, kafka: str, tmp_path: Path) -> AsyncIterator[Sequence[Fleet]]:
    """Two copies of every real service, and one of each that an exercise needs, as processes of their own."""
    await publish_shipped(pool)
    folders = [tmp_path / namespace for namespace in Namespace]
    for folder in folders:
        folder.mkdir()
    real = Fleet(folders[0], kafka=kafka, database=database)
    exercise = Fleet(folders[1], kafka=kafka, database=database, MUSTER_NAMESPACE="exercise")
    exercise.members = EXERCISE
    try:
        await real.start_all()
        await exercise.start_all()
        yield real, exercise
    finally:
        await asyncio.gather(real.stop_all(), exercise.stop_all())


def configured(database: str, kafka: str) -> Settings:
    return Settings(database=database, kafka=kafka, namespace=Namespace.EXERCISE)


async def test_the_canary_beside_500_real_incidents_has_no_real_effect(
    pool: Pool, database: str, kafka: str, fleets: Sequence[Fleet]
) -> None:
    """Round after round while 500 real incidents come in and are answered; the command itself says the same."""
    reporters, departments = (
        Reporters(fleets[0].intakes, await reporting_token(database)),
        Departments(kafka),
    )
    rounds: list[Round] = []
    books = await asyncpg.connect(database)
    try:
        async with departments.listening(), Canary(configured(database, kafka)) as canary:
            reporting = asyncio.create_task(reporters.report(INCIDENTS, per_second=PER_SECOND))
            while not reporting.done():
                rounds.append(await canary.round())
            await reporting

            async def at_rest() -> bool:
                return not await unsettled(books, reporters)

            await until(at_rest, 120)
            rounds.append(await canary.round())
        assert len(reporters.taken) == INCIDENTS
        print(f"{len(rounds)} rounds, {sum(each.orders for each in rounds)} orders of exercises,")
        print(f"seconds for a round: {[each.seconds for each in rounds]}")
        assert [each for each in rounds if not each.clean] == []
        assert len(rounds) >= 3
        # The auditors count what is real; what the canary left is looked at apart.
        real = [leak for each in rounds for leak in each.leaks]
        assert real == []
        ids = [each.incident_id for each in rounds]
        for table in ("incidents", "assignments", "timeline", "inbox", "outbox"):
            column = "id" if table == "incidents" else "incident_id"
            mixed = await pool.fetchval(
                f"SELECT count(*) FROM {table} WHERE {column} = ANY ($1) AND status <> 'Exercise'",  # noqa: S608
                ids,
            )
            assert mixed == 0
        assert await pool.fetchval("SELECT count(*) FROM incidents WHERE status = 'Actual'") == INCIDENTS
        assert not set(departments.orders) & {
            row["id"] for row in await pool.fetch("SELECT id FROM assignments WHERE status = 'Exercise'")
        }
        # The exercises' rows are put away for the auditors, who keep the books of the real ones.
        await pool.execute("DELETE FROM assignments WHERE status = 'Exercise'")
        findings = await audit(books, reporters, departments)
        assert not findings, findings[:10]
    finally:
        await books.close()


async def once(database: str, kafka: str) -> tuple[int | None, dict[str, object]]:
    """Run ``muster drill canary --once`` as a process."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MUSTER_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", COMMAND, "canary", "--once", "--json"),
        cwd=REPO,
        env={**environment, "MUSTER_DATABASE": database, "MUSTER_KAFKA": kafka},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert out, err.decode()
    return process.returncode, json.loads(out)


async def test_a_deliberate_leak_is_caught(pool: Pool, database: str, kafka: str, fleets: Sequence[Fleet]) -> None:
    """While a guard is off and an exercise's orders reach a real topic the command exits with 1, else with 0."""
    del fleets
    code, found = await once(database, kafka)
    assert (code, found["real_effects"]) == (0, 0), found
    broker = make_broker(kafka, client_id="leak")
    await broker.connect()
    copied: set[int] = set()

    async def leak() -> None:
        while True:
            rows = await pool.fetch(
                "SELECT * FROM outbox WHERE type = 'muster.assignment' AND status = 'Exercise' AND NOT seq = ANY ($1)",
                list(copied),
            )
            for row in rows:
                copied.add(row["seq"])
                department = row["topic"].rpartition(".")[2]
                topic = topic_name(ASSIGNMENTS, Namespace.ACTUAL, department)
                headers = [("ce_status", b"Exercise")]
                key, value = str(row["incident_id"]).encode(), row["value"].encode()
                errors = await publish_all(broker, [(topic, key, value, headers)])
                assert errors == [None]
            await asyncio.sleep(0.05)

    copied |= {row["seq"] for row in await pool.fetch("SELECT seq FROM outbox")}
    leaking = asyncio.create_task(leak())
    try:
        code, found = await once(database, kafka)
        assert code == 1
        assert found["answered"] is True
        assert found["clean"] is False
        leaks = found["leaks"]
        assert isinstance(leaks, list)
        assert {each["way"] for each in leaks} == {Way.MESSAGE}
        assert all(each["where"].startswith("muster.actual.assignments.") for each in leaks)
        assert len(leaks) >= 4
    finally:
        leaking.cancel()
        await asyncio.gather(leaking, return_exceptions=True)
        await broker.stop()
    code, found = await once(database, kafka)
    assert (code, found["real_effects"]) == (0, 0), found
