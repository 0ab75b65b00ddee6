"""How late deadlines fire with few and with many open: what falls due is spread over some seconds, in both at once."""

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg
from uuid_utils.compat import uuid7

from schemas.envelope import INCIDENT
from schemas.vocabulary import Namespace
from services.bench import contenders, material
from services.bench.figures import Row, Target, figure, percentile, quotients
from services.bench.plan import Plan
from services.bench.stage import BenchError, Stage
from services.domain.decision import Reported
from services.platform.clock import SystemClock
from services.platform.decider import Decider, Incoming
from services.platform.embedded.broker import EmbeddedBroker
from services.platform.kafka import Origin
from services.platform.postgres import connect
from services.platform.published import PublishedPlaybook
from services.platform.rights import role_name
from services.playbooks.stored import directory_from, plan_from

DUE_EACH_SECOND = 20
TURNS = 3
LEAD = 2.0
"""Seconds before the first of them falls due."""
_COPY = """
WITH one AS (SELECT id FROM incidents LIMIT 1), more AS (
    SELECT gen_random_uuid() AS id, n FROM generate_series(1, $1::integer) AS n
), incident AS (
    INSERT INTO incidents SELECT (jsonb_populate_record(i, jsonb_build_object('id', more.id))).*
    FROM incidents AS i CROSS JOIN more WHERE i.id = (SELECT id FROM one)
), activation AS (
    INSERT INTO activations
    SELECT (jsonb_populate_record(a, jsonb_build_object('id', more.id, 'incident_id', more.id))).*
    FROM activations AS a CROSS JOIN more WHERE a.incident_id = (SELECT id FROM one)
)
INSERT INTO assignments
SELECT (jsonb_populate_record(a, jsonb_build_object(
    'id', gen_random_uuid(), 'incident_id', more.id, 'activation_id', more.id, 'acknowledge_by', $2::timestamptz,
    'next_due_at', $2::timestamptz))).*
FROM assignments AS a CROSS JOIN more WHERE a.incident_id = (SELECT id FROM one)
"""
_DUE = """
UPDATE assignments AS a SET acknowledge_by = due.at, next_due_at = due.at
FROM (
    SELECT id, $1::timestamptz + (row_number() OVER ()) * interval '1 second' / $3 AS at
    FROM (SELECT id FROM (
            SELECT id, row_number() OVER (PARTITION BY incident_id ORDER BY id) AS turn
            FROM assignments WHERE next_due_at > now() + interval '1 hour'
          ) AS open ORDER BY turn LIMIT $2) AS chosen
) AS due
WHERE a.id = due.id
"""
_LATE = (
    "SELECT extract(epoch FROM recorded_at - occurred_at)::float8 AS late FROM timeline"
    " WHERE entry = 'deadline_missed' AND recorded_at >= $1"
)
TWOFOLD = Target(at_most=2)
QUARTER = Target(at_most=250)


async def run(stage: Stage, plan: Plan) -> list[Row]:
    """Let deadlines fall due beside few and beside many others that wait."""
    names = [f"{count:,}" for count in plan.deadlines]
    databases = [await _furnish(stage, count) for count in plan.deadlines]
    late: dict[str, list[float]] = {name: [] for name in names}
    due = int(plan.deadline_seconds * DUE_EACH_SECOND)
    for _ in range(TURNS):
        for name, dsn in zip(names, databases, strict=True):
            connection = await asyncpg.connect(dsn)
            try:
                begun = datetime.now(UTC)
                await connection.execute(_DUE, begun + timedelta(seconds=LEAD), due, DUE_EACH_SECOND)
                await asyncio.sleep(LEAD + plan.deadline_seconds + 1)
                found = [row["late"] for row in await connection.fetch(_LATE, begun)]
            finally:
                await connection.close()
            if len(found) != due:
                raise BenchError(f"{len(found)} of {due} deadlines fired")
            late[name].append(percentile(found, 0.99) * 1000)
    rows = []
    for name, values in late.items():
        title = f"lateness of deadlines, p99, {name} open"
        target = QUARTER if name == names[-1] else None
        rows.append(Row("deadlines", f"deadlines.{name}", title, figure(values, "ms"), target=target))
    growth = quotients(late[names[-1]], late[names[0]])
    title = f"lateness of deadlines, p99, {names[-1]} open of {names[0]}"
    rows.append(Row("deadlines", "deadlines.growth", title, growth, of=f"{names[0]} open", target=TWOFOLD))
    return rows


async def _furnish(stage: Stage, count: int) -> str:
    """Make so many open assignments, from those of one incident, and let escalation watch them.

    Each database has a broker of its own, as every Muster has.
    """
    database = await stage.database(contenders.wordings())
    pool = await connect(database, size=2, role=role_name(Namespace.ACTUAL))
    playbook = PublishedPlaybook(pool, plan_from, directory_from)
    decider = Decider(pool, playbook, SystemClock(), Namespace.ACTUAL, "bench")
    await decider.decide([Incoming(Reported(uuid7(), material.report()), INCIDENT, Origin("bench", 0, 0, None))])
    await pool.close()
    connection = await asyncpg.connect(database)
    try:
        far = datetime.now(UTC) + timedelta(hours=8)
        await connection.execute(_COPY, count // material.TASKS, far)
        await connection.execute("ANALYZE")
    finally:
        await connection.close()
    broker = EmbeddedBroker(stage.folder / f"broker-{count}")
    stage.stack.push_async_callback(broker.stop)
    kafka = await broker.start()
    stage.living += broker.processes
    await stage.muster("escalation", database, MUSTER_KAFKA=kafka, MUSTER_EMBEDDED_BROKER="true")
    return database
