"""One trial: steady load, a fault in the middle of it, rest, and the checker's verdict."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from random import Random
from uuid import UUID

import asyncpg

from tests.faults.checker import LOSSES, REPEATS, Expected, Finding, Kind, check, recovery, redelivered, settled_at
from tests.faults.history import (
    AnswerSent,
    AnswerTaken,
    Decided,
    Entered,
    Held,
    History,
    Op,
    OrderRead,
    Record,
    ReportTaken,
    save,
)
from tests.faults.nemesis import Fault
from tests.faults.people import DEPARTMENTS, Departments, Reader, Reporters
from tests.faults.world import FIELD, HOSTS, World

PLAN = Expected(
    tasks=dict(zip(("assess", "assist", "sum-up", "keep-watch"), DEPARTMENTS, strict=True)),
    after={"sum-up": "assess"},
    reminded=frozenset({"keep-watch"}),
)
"""What ``playbooks/plans/fault-trial.yaml`` asks for."""
LEAD = 4.0
"""Seconds of load before the fault."""
TAIL = 4.0
"""Seconds of load after it."""
REST_WITHIN = 180.0
"""Seconds after the load's end within which all must have come to rest."""
PATIENCE = 90.0
"""Seconds that the department which waits to be reminded waits: longer than any fault lasts."""
PATIENCE_WITH_WRONG_CLOCKS = 10.0
"""The same where the reminder may rightly come minutes later."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table. ``recovery`` is None when it never came to rest; seconds otherwise."""

    fault: str
    what: str
    rate: float
    seconds: float
    incidents: int
    orders: int
    answers: int
    lost: int
    twice: int
    disorder: int
    redelivered: int
    recovery: float | None
    findings: tuple[Finding, ...]

    @property
    def sound(self) -> bool:
        """Whether nothing was found and all came to rest."""
        return not self.findings and self.recovery is not None


class Stage:
    """A world with people in it, ready for one trial after another."""

    def __init__(
        self, world: World, history: History, reporters: Reporters, departments: Departments, reader: Reader
    ) -> None:
        self.world = world
        self.history = history
        self.reporters = reporters
        self.departments = departments
        self.reader = reader

    async def run(self, fault: Fault, seed: int, *, within: float = REST_WITHIN) -> Row:
        """Do one fault to the world under load and judge what came of it."""
        chance = Random(f"{seed} {fault.name}")
        self.departments.patience = PATIENCE_WITH_WRONG_CLOCKS if fault.steps_clock else PATIENCE
        mark = len(self.history.ops)
        begun = self.history.now()
        async with self.reporters.reporting():
            await asyncio.sleep(LEAD)
            await fault.do(self.world, chance)
            ended = self.history.now()
            if fault.loses_topics:
                self.reader.begin_again()
                self.reader.turn_to_record(self.world.gone, self.world.gone_at)
            await asyncio.sleep(TAIL)
        seconds = self.history.now() - begun
        await self._rest(mark, within)
        ops = self.history.since(mark)
        record = await _read_record(self.world.database, ops)
        expected = replace(PLAN, retold=fault.retells, reminded=frozenset() if fault.steps_clock else PLAN.reminded)
        findings = check(ops, record, expected)
        save(ops, record, self.world.folder / f"history-{fault.name.replace(' ', '-').replace(':', '')}.jsonl")
        return _row(fault, self.reporters.rate, seconds, ops, findings, recovery(ops, PLAN, ended))

    async def _rest(self, mark: int, within: float) -> None:
        end = self.history.now() + within
        while self.history.now() < end:
            ops = self.history.since(mark)
            taken = {op.incident for op in ops if isinstance(op, ReportTaken)}
            sent = {op.event for op in ops if isinstance(op, AnswerSent)}
            confirmed = {op.event for op in ops if isinstance(op, AnswerTaken)}
            at_rest = not self.reporters.waiting and taken <= settled_at(ops, PLAN).keys() and sent <= confirmed
            if at_rest and await self._published():
                return
            await asyncio.sleep(0.5)

    async def _published(self) -> bool:
        connection = await asyncpg.connect(self.world.database)
        try:
            return not await connection.fetchval("SELECT EXISTS (SELECT FROM outbox WHERE published_at IS NULL)")
        finally:
            await connection.close()


@asynccontextmanager
async def staged(world: World, rate: float, name: str, *, without: str | None = None) -> AsyncIterator[Stage]:
    """Start every service on a database of its own, and let the people in; they go when the context ends."""
    await world.serve(name, without=without)
    history = History()
    intakes = [f"http://127.0.0.1:{world.ports['intake', host]}" for host in HOSTS]
    reader = Reader(history, world.kafka.bootstrap)
    reporters = Reporters(history, intakes, world.token.get_secret_value(), rate)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(world.stop_services)
        await stack.enter_async_context(reader.reading())
        departments = Departments(history, world.bootstrap(FIELD), PATIENCE)
        await stack.enter_async_context(departments.working())
        yield Stage(world, history, reporters, departments, reader)


def _row(
    fault: Fault, rate: float, seconds: float, ops: list[Op], findings: list[Finding], recovered: float | None
) -> Row:
    kinds = Counter(finding.kind for finding in findings)
    incidents = {op.incident for op in ops if isinstance(op, ReportTaken)}
    orders = {op.assignment for op in ops if isinstance(op, OrderRead) and op.incident in incidents}
    answers = {op.event for op in ops if isinstance(op, AnswerSent) and op.incident in incidents}
    return Row(
        fault=fault.name,
        what=fault.what,
        rate=rate,
        seconds=seconds,
        incidents=len(incidents),
        orders=len(orders),
        answers=len(answers),
        lost=sum(kinds[kind] for kind in LOSSES),
        twice=sum(kinds[kind] for kind in REPEATS),
        disorder=kinds[Kind.DISORDER],
        redelivered=redelivered(ops),
        recovery=recovered,
        findings=tuple(findings),
    )


async def _read_record(database: str, ops: list[Op]) -> Record:
    incidents = sorted({UUID(op.incident) for op in ops if isinstance(op, ReportTaken)})
    connection = await asyncpg.connect(database)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            decided = await connection.fetch("SELECT * FROM inbox WHERE incident_id = ANY ($1)", incidents)
            held = await connection.fetch("SELECT * FROM assignments WHERE incident_id = ANY ($1)", incidents)
            entered = await connection.fetch(
                "SELECT * FROM timeline WHERE incident_id = ANY ($1) ORDER BY seq", incidents
            )
    finally:
        await connection.close()
    return Record(
        tuple(Decided(str(row["event_id"]), str(row["incident_id"]), row["outcome"]) for row in decided),
        tuple(
            Held(str(row["id"]), str(row["incident_id"]), row["task"], row["department"], row["state"]) for row in held
        ),
        tuple(
            Entered(
                str(row["entry_id"]),
                str(row["incident_id"]),
                row["entry"],
                None if row["assignment_id"] is None else str(row["assignment_id"]),
            )
            for row in entered
        ),
    )
