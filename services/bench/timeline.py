"""A growing record: what writing, reading and a drill's report cost with 10^4 to 10^6 timeline rows."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7

from schemas.drill import DrillDocument
from schemas.envelope import ACKNOWLEDGEMENT, INCIDENT
from schemas.vocabulary import Namespace
from services.bench import contenders, material
from services.bench.figures import Row, Target, figure, quotients
from services.bench.plan import Plan
from services.bench.stage import Stage
from services.domain.decision import Answered, Reported
from services.drills.reading import read_report
from services.drills.record import DrillRow, Ending, begin, end, note_inject
from services.platform.clock import SystemClock
from services.platform.decider import Decider, Incoming
from services.platform.kafka import Origin
from services.platform.postgres import Pool, connect
from services.platform.published import PublishedPlaybook
from services.platform.rights import role_name
from services.playbooks.plans import digest
from services.playbooks.stored import directory_from, plan_from

TURNS = 3
EACH = 10
"""Entries of one assignment."""
WRITES, READS = 5, 40
"""How often a turn does what is soon done."""
THREEFOLD = Target(at_most=3)
HERE = Origin("bench", 0, 0, None)
_ACTIVATION = (
    "INSERT INTO activations (id, incident_id, status, plan, version, digest, state, matched_at, overridden, unfilled)"
    " VALUES ($1, $2, 'Exercise', 'bench', 1, $3, 'activated', $4, false, '{}')"
)
_INCIDENT = (
    "INSERT INTO incidents (id, status, phase, report, reported_at, cancelled, closed_at, recorded_at)"
    " VALUES ($1, 'Exercise', 'closed', '{}', $2, false, $2, $2)"
)
_ASSIGNMENTS = """
INSERT INTO assignments (id, activation_id, incident_id, status, task, role, department, issued_at, state, revision,
    silent, acknowledge_by, missed, rung, delivered_at, committed_at, started_at, completed_at, ended_at)
SELECT gen_random_uuid(), $1, $2, 'Exercise', 'task-' || n % 6, 'role-' || n % 6,
    $5::text || lpad((n % 6)::text, 5, '0'), at, 'completed', 1, false, at + interval '1 minute', '{}', 0,
    at + interval '1 second', at + (n % 600) * interval '100 ms', at + interval '2 minutes',
    at + interval '9 minutes', at + interval '9 minutes'
FROM generate_series(1, $4::integer) AS n CROSS JOIN (VALUES ($3::timestamptz)) AS begun (at)
"""
_TIMELINE = """
INSERT INTO timeline (entry_id, incident_id, status, entry, activation_id, assignment_id, department, attention, detail,
    occurred_at, recorded_at)
SELECT gen_random_uuid(), $1, 'Exercise',
    (ARRAY['assignment_issued', 'assignment_delivered', 'assignment_acknowledged', 'assignment_committed',
        'assignment_started', 'progress_noted', 'progress_noted', 'progress_noted', 'progress_noted',
        'assignment_completed'])[k],
    a.activation_id, a.id, a.department, false, jsonb_build_object('task', a.task, 'role', a.role, 'plan', 'bench'),
    told.at, told.at + interval '5 ms'
FROM assignments AS a CROSS JOIN generate_series(1, $2::integer) AS k CROSS JOIN LATERAL (SELECT (ARRAY[a.issued_at,
    a.delivered_at, a.committed_at, a.committed_at, a.started_at, a.started_at + interval '1 minute',
    a.started_at + interval '2 minutes', a.started_at + interval '3 minutes', a.started_at + interval '4 minutes',
    a.completed_at])[k]) AS told (at)
WHERE a.incident_id = $1
"""
_ALARM = """
WITH first AS (UPDATE drill_injects SET first_order_at = $2::timestamptz + interval '30 ms' WHERE incident_id = $1)
INSERT INTO timeline (entry_id, incident_id, status, entry, attention, detail, occurred_at, broker_at, recorded_at)
VALUES (gen_random_uuid(), $1, 'Exercise', 'incident_reported', false, '{}', $2, $2 + interval '5 ms',
    $2 + interval '10 ms')
"""
_AGGREGATE = """
SELECT department, entry, count(*) AS n, percentile_cont(ARRAY[0.5, 0.9, 0.95, 1]) WITHIN GROUP (
    ORDER BY extract(epoch FROM recorded_at - occurred_at)) AS took
FROM timeline WHERE incident_id = $1 AND recorded_at >= $2 GROUP BY department, entry
"""
"""The least that any report must do: look at each entry once and reckon percentiles for each department."""


async def run(stage: Stage, plan: Plan) -> list[Row]:
    """Furnish databases of growing size and ask each in turn."""
    shelves = [await _furnish(stage, count) for count in plan.rows]
    kinds: tuple[tuple[str, str, int, Callable[[_Shelf], Awaitable[None]]], ...] = (
        ("write", "an incident and its six answers decided and recorded", WRITES, _Shelf.write),
        ("read", "one incident's timeline read", READS, _Shelf.read),
        ("aggregate", "the bare aggregate over a drill of all rows", 1, _Shelf.aggregate),
        ("report", "the report of a drill of all rows", 1, _Shelf.report),
    )
    took: dict[tuple[str, int], list[float]] = {}
    for turn in range(TURNS + 1):
        for shelf in shelves:
            for key, _, times, work in kinds:
                begun = perf_counter()
                for _ in range(times):
                    await work(shelf)
                if turn:
                    took.setdefault((key, shelf.rows), []).append((perf_counter() - begun) * 1000 / times)
    rows = []
    few, many = plan.rows[0], plan.rows[-1]
    for key, title, *_ in kinds:
        rows += [
            Row(
                "timeline",
                f"timeline.{key}.{shelf.rows}",
                f"{title}, {shelf.rows:,} rows",
                figure(took[key, shelf.rows], "ms"),
            )
            for shelf in shelves
        ]
        if key in {"write", "read"}:
            growth = quotients(took[key, many], took[key, few])
            text = f"{title}, {many:,} rows of {few:,}"
            rows.append(Row("timeline", f"timeline.{key}.growth", text, growth, of=f"{few:,} rows"))
    ratio = quotients(took["report", many], took["aggregate", many])
    title = f"the report of a drill of {many:,} rows, of the bare aggregate"
    rows.append(Row("report", "report.ratio", title, ratio, of="aggregate", target=THREEFOLD))
    for shelf in shelves:
        await shelf.close()
    return rows


class _Shelf:
    """A database with so many timeline rows, all of one drill, and one real incident to work on."""

    def __init__(self, rows: int, owner: Pool, actual: Pool, drill: UUID, incident: UUID, begun: datetime) -> None:
        self.rows = rows
        self._owner = owner
        self._actual = actual
        self._drill = drill
        self._incident = incident
        self._begun = begun
        playbook = PublishedPlaybook(actual, plan_from, directory_from)
        self._decider = Decider(actual, playbook, SystemClock(), Namespace.ACTUAL, "bench")

    async def write(self) -> None:
        """Report an incident and answer its orders."""
        said = material.report()
        await self._decider.decide([Incoming(Reported(uuid7(), said), INCIDENT, HERE)])
        rows = await self._actual.fetch(
            "SELECT id, department FROM assignments WHERE incident_id = $1", said.incident_id
        )
        for row in rows:
            answer = material.answer(row["id"], said.incident_id, row["department"])
            await self._decider.decide([Incoming(Answered(uuid7(), answer), ACKNOWLEDGEMENT, HERE)])
        self._last = said.incident_id

    async def read(self) -> None:
        """Read an incident's timeline."""
        sql = "SELECT * FROM timeline WHERE incident_id = $1 ORDER BY recorded_at, entry_id"
        await self._actual.fetch(sql, self._last)

    async def aggregate(self) -> None:
        """Do the least."""
        await self._owner.fetch(_AGGREGATE, self._incident, self._begun)

    async def report(self) -> None:
        """Read the drill's report, and free what it was made from: that is its cost, not that of what comes next."""
        await read_report(self._owner, self._drill)
        await self._owner.fetchval("SELECT 1")

    async def close(self) -> None:
        """Leave the database."""
        await asyncio.gather(self._owner.close(), self._actual.close())


async def _furnish(stage: Stage, rows: int) -> _Shelf:
    dsn = await stage.database(contenders.wordings())
    owner = await connect(dsn, size=2)
    drill, incident, activation = uuid7(), uuid7(), uuid7()
    begun = datetime.now(UTC) - timedelta(hours=1)
    row = DrillRow(drill, DrillDocument.model_validate(_DRILL), 7, 1.0, begun, begun)
    await begin(owner, row)
    await note_inject(owner, drill, "alarm", uuid7(), incident, begun)
    await owner.execute(_ACTIVATION, activation, incident, digest(material.plan("bench")), begun)
    await owner.execute(_INCIDENT, incident, begun)
    await owner.execute(_ASSIGNMENTS, activation, incident, begun, rows // EACH, "department-", timeout=300)
    await owner.execute(_TIMELINE, incident, EACH, timeout=600)
    await end(owner, row, begun + timedelta(minutes=10), Ending.FINISHED)
    await owner.execute(_ALARM, incident, begun)
    await owner.execute("ANALYZE", timeout=300)
    return _Shelf(rows, owner, await connect(dsn, size=2, role=role_name(Namespace.ACTUAL)), drill, incident, begun)


_DRILL: dict[str, Any] = {
    "id": "bench-drill",
    "version": 1,
    "title": {"en": "Bench", "zh": "测量"},
    "purpose": {"en": "Shows what a report costs.", "zh": "检验报告的开销。"},
    "kind": {"content": "comprehensive", "form": "tabletop"},
    "announced": False,
    "plans": ["bench"],
    "speed": 1,
    "duration": "30m",
    "objectives": [
        {
            "id": "soon",
            "title": {"en": "Everybody answers soon", "zh": "尽快应答"},
            "criterion": {"segment": "turnout", "measure": "share", "within": "1m", "at_least": 90},
        }
    ],
    "targets": {"alarm_handling": "1m", "turnout": "2m"},
    "participants": [
        {
            "department": "default",
            "answer": {"median": "20s", "spread": "20s"},
            "start": {"median": "1m", "spread": "1m"},
            "work": {"median": "5m", "spread": "5m"},
        }
    ],
    "injects": [
        {
            "id": "alarm",
            "at": "0s",
            "kind": "incident",
            "title": {"en": "The alarm", "zh": "报警"},
            "expectation": {"en": "Everybody is told", "zh": "通知各方"},
            "report": {"categories": ["CBRNE"], "headline": {"en": "Chlorine leak", "zh": "氯气泄漏"}},
        }
    ],
}
