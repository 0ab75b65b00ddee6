"""The two worlds never meet: a namespace's role sees and writes its own rows only."""

import asyncpg
import pytest
from uuid_utils.compat import uuid7

from schemas.envelope import INCIDENT
from schemas.vocabulary import Namespace, Status
from services.domain.decision import Outcome, Reported
from services.platform.clock import SystemClock
from services.platform.decider import Decider, Incoming
from services.platform.kafka import Origin
from services.platform.postgres import Pool, connect
from services.platform.published import PublishedPlaybook
from services.platform.rights import role_name
from services.playbooks.stored import directory_from, plan_from
from tests.services.support import publish_shipped, report

WITH_STATUS = "SELECT relname FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid WHERE attname = 'status'"


async def decider(database: str, namespace: Namespace) -> tuple[Pool, Decider]:
    pool = await connect(database, size=2, role=role_name(namespace))
    playbook = PublishedPlaybook(pool, plan_from, directory_from)
    return pool, Decider(pool, playbook, SystemClock(), namespace, "test")


def incoming(status: Status, **given: object) -> Incoming:
    return Incoming(Reported(uuid7(), report(status=status, **given)), INCIDENT, Origin("test", 0, 0, None))


async def test_a_namespace_sees_and_writes_its_own_rows_only(pool: Pool, database: str) -> None:
    """What the actual role wrote the exercise role can't read, change, remove or add to, and the other way round."""
    await publish_shipped(pool)
    real = incoming(Status.ACTUAL)
    drilled = incoming(Status.EXERCISE)
    for namespace, event in ((Namespace.ACTUAL, real), (Namespace.EXERCISE, drilled)):
        own, decides = await decider(database, namespace)
        settled = await decides.decide([event])
        assert settled.decisions[0].outcome is Outcome.ACTIVATED
        assert await own.fetch("SELECT DISTINCT status FROM timeline") == [(event.event.report.status.value,)]  # type: ignore[union-attr]
        for table in ("incidents", "activations", "assignments", "timeline", "outbox", "inbox"):
            assert await own.fetchval(f"SELECT count(*) FROM {table}") > 0  # noqa: S608
            assert await own.fetchval(f"SELECT count(DISTINCT status) FROM {table}") == 1  # noqa: S608
        await own.close()
    exercise = await connect(database, size=1, role=role_name(Namespace.EXERCISE))
    changed = await exercise.execute("UPDATE incidents SET phase = 'closed' WHERE id = $1", real.incident_id)
    assert changed == "UPDATE 0"
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await exercise.execute("UPDATE outbox SET status = 'Actual'")
    for forbidden in ("DELETE FROM timeline", "UPDATE timeline SET reason = ''", "DELETE FROM incidents"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await exercise.execute(forbidden)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await exercise.execute("SELECT * FROM assignments_default")
    await exercise.close()


async def test_an_exercise_that_names_a_real_incident_is_refused_by_the_database(pool: Pool, database: str) -> None:
    """A drill's report under a real incident's id changes nothing and is not decided."""
    await publish_shipped(pool)
    real = incoming(Status.ACTUAL)
    own, decides = await decider(database, Namespace.ACTUAL)
    await decides.decide([real])
    await own.close()
    before = await pool.fetch("SELECT * FROM incidents")
    other, drills = await decider(database, Namespace.EXERCISE)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await drills.decide([incoming(Status.EXERCISE, incident_id=real.incident_id)])
    await other.close()
    assert await pool.fetch("SELECT * FROM incidents") == before
    assert await pool.fetchval("SELECT count(*) FROM inbox") == 1


async def test_every_table_that_has_a_status_is_guarded(pool: Pool) -> None:
    """A table added later can't be forgotten: whatever carries a status has both policies."""
    tables = await pool.fetch(
        f"{WITH_STATUS} AND relkind IN ('r', 'p') AND NOT relispartition AND relnamespace = 'public'::regnamespace"
    )
    guarded = await pool.fetch("SELECT tablename FROM pg_policies GROUP BY tablename HAVING count(*) = 2")
    assert {row[0] for row in tables} <= {row[0] for row in guarded}
    assert len(tables) >= 11
