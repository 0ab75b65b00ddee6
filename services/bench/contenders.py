"""Who competes: Muster's services, the floor and others, each on topics and tables of its own."""

import asyncio
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import asyncpg
from aiokafka import TopicPartition

from schemas.incident import IncidentReport
from services.bench import material
from services.bench.material import TASKS, sent_answer, sent_report
from services.bench.stage import RepeatedError, Spent, Stage, Topics
from services.bench.templates import mould
from services.platform.embedded.process import ChildProcess
from services.platform.kafka import BRISK, STEADY
from services.playbooks.stored import Wordings

Record = tuple[str, bytes, bytes, list[tuple[str, bytes]]]
"""A record to send: topic, key, value, headers."""
FLOOR = "bench.floor"
TRIES = 3
"""Times that a turn is taken until no message comes twice in it."""
ENTRIES = 3 + TASKS
"""Timeline entries of one incident: it was reported, a plan matched, it was activated, each assignment was issued."""
PLANS = 16
"""Plans in force in every scenario that doesn't say otherwise; one of them answers."""


@dataclass
class Contender:
    """Takes records from where it is given them, and is done once all its results are on the broker."""

    name: str
    topics: Topics
    database: str
    processes: list[ChildProcess] = field(default_factory=list)
    results: dict[str, tuple[list[TopicPartition], int]] = field(default_factory=dict)
    """By kind of work: the partitions that its results go to, and how many results one record has."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One contender's turn: how long it took for so many records, and what was spent meanwhile."""

    records: int
    seconds: float
    spent: Spent

    @property
    def rate(self) -> float:
        """Records a second."""
        return self.records / self.seconds


def wordings(plans: int = PLANS, departments: int = TASKS) -> Wordings:
    """Make a plan that answers what is reported, and others that don't."""
    return material.wordings([material.plan("bench"), *material.others(plans - 1)], departments)


async def muster(stage: Stage, *services: str, **more: str) -> Contender:
    """Start Muster's services on a database of their own; ``more`` is put into their environment."""
    database = await stage.database(wordings())
    topics = Topics("", TASKS)
    await stage.topics(topics.all())
    contender = Contender("muster", topics, database)
    for service in services:
        contender.processes.append(await stage.muster(service, database, **more))
    contender.results = _results(topics)
    return contender


def _results(topics: Topics) -> dict[str, tuple[list[TopicPartition], int]]:
    return {
        "incidents": (topics.orders() + topics.entries(), TASKS + ENTRIES),
        "acknowledgements": (topics.entries(), 1),
    }


async def floor(stage: Stage, like: Contender, *works: str) -> Contender:
    """Start the floor for these kinds of work; it writes what ``like`` has written about a sample."""
    topics = Topics(FLOOR, TASKS)
    await stage.topics(topics.all())
    contender = Contender("floor", topics, await stage.database(wordings()), results=_results(topics))
    moulds = await sample(stage, like, *works)
    for work in works:
        await start_floor(stage, contender, work, moulds[work])
    return contender


async def start_floor(stage: Stage, contender: Contender, work: str, mould_: dict[str, Any], group: str = "") -> None:
    """Start the floor's process for one kind of work."""
    topics = contender.topics
    sources = [topics.incidents] if work == "incidents" else [topics.acknowledgements(n) for n in range(TASKS)]
    pace = BRISK if stage.embedded else STEADY
    file = stage.folder / f"{group or work}.json"
    file.write_text(json.dumps(mould_))
    given = {
        "work": work,
        "database": contender.database,
        "kafka": stage.kafka,
        "topics": sources,
        "group": group or f"{FLOOR}.{work}",
        "template": str(file),
        "fetch_wait_ms": pace.fetch_wait_ms,
        "session_ms": pace.session_ms,
        "heartbeat_ms": pace.heartbeat_ms,
    }
    contender.processes.append(await stage.program(f"floor {work}", "services.bench.floor", given))


async def sample(
    stage: Stage, like: Contender, *works: str, said: IncidentReport | None = None, prefix: str = f"{FLOOR}."
) -> dict[str, dict[str, Any]]:
    """Let Muster handle one incident, and one answer if asked for, and take moulds of what it writes.

    ``prefix`` is put before the topics that it wrote to.
    """
    moulds: dict[str, dict[str, Any]] = {}
    connection = await asyncpg.connect(like.database)
    try:
        said = said or material.report()
        await take_turn(stage, like, "incidents", [(like.topics.incidents, *sent_report(said))])
        event = await connection.fetchval("SELECT event_id FROM inbox WHERE incident_id = $1", said.incident_id)
        key = str(said.incident_id).encode()
        told = await stage.messages(like.results["incidents"][0], key)
        moulds["incidents"] = await mould(connection, event, {said.incident_id: "incident"}, told, prefix)
        if "acknowledgements" in works:
            row = await connection.fetchrow(
                "SELECT id, department FROM assignments WHERE incident_id = $1 ORDER BY id", said.incident_id
            )
            assert row is not None  # noqa: S101 - its orders have just come
            before = await stage.count(like.results["acknowledgements"][0])
            topic = f"muster.actual.acknowledgements.{row['department']}"
            await stage.send(topic, [sent_answer(row["id"], said.incident_id, row["department"])])
            await stage.until(like.results["acknowledgements"][0], before + 1)
            event = await connection.fetchval(
                "SELECT event_id FROM inbox WHERE incident_id = $1 AND type = 'muster.acknowledgement'",
                said.incident_id,
            )
            known = {said.incident_id: "incident", row["id"]: "assignment"}
            told = (await stage.messages(like.results["acknowledgements"][0], key))[ENTRIES:]
            moulds["acknowledgements"] = await mould(connection, event, known, told, prefix)
    finally:
        await connection.close()
    return moulds


async def take_turn(stage: Stage, contender: Contender, work: str, records: Sequence[Record]) -> Turn:
    """Send records as fast as the broker takes them, and wait until every result is on the broker."""
    partitions, each = contender.results[work]
    loop = asyncio.get_running_loop()
    before = await stage.count(partitions)
    spent = stage.spent(*contender.processes)
    begun = loop.time()
    await stage.send_all(records)
    await stage.until(partitions, before + each * len(records))
    seconds = loop.time() - begun
    return Turn(len(records), seconds, stage.spent(*contender.processes).since(spent))


async def undisturbed(stage: Stage, each: Contender, work: str, some: Callable[[], Sequence[Record]]) -> Turn:
    """Take a turn; one in which a message came twice can't be told from one that ended early, and is taken again."""
    for _ in range(TRIES - 1):
        with suppress(RepeatedError):
            return await take_turn(stage, each, work, some())
        await stage.quiet(each.results[work][0])
    return await take_turn(stage, each, work, some())


def reports(contender: Contender, count: int) -> list[Record]:
    """Make reports for a contender."""
    return [(contender.topics.incidents, *sent_report()) for _ in range(count)]


class Answers:
    """Answers to a contender's open assignments, each given once: a commitment to each."""

    def __init__(self, contender: Contender) -> None:
        self._contender = contender
        self._given: list[tuple[UUID, UUID, str]] = []

    async def read(self) -> int:
        """Read which assignments wait for an answer, and say how many do."""
        connection = await asyncpg.connect(self._contender.database)
        try:
            rows = await connection.fetch(
                "SELECT id, incident_id, department FROM assignments WHERE state = 'issued'"
                " ORDER BY issued_at, task, id"
            )
        finally:
            await connection.close()
        self._given = [(row["id"], row["incident_id"], row["department"]) for row in rows]
        return len(rows)

    def __len__(self) -> int:
        return len(self._given)

    def take(self, count: int) -> list[Record]:
        """Answer so many more of them."""
        some, self._given = self._given[:count], self._given[count:]
        topic = self._contender.topics
        return [
            (topic.acknowledgements(int(who.rpartition("-")[2])), *sent_answer(id_, incident_id, who))
            for id_, incident_id, who in some
        ]
