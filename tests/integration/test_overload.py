"""Ten times what can be sustained: memory stays bounded, some are asked to come again, and nothing taken is lost.

Every service is a process of its own on Apache Kafka. Real reports are decided one at a time by a database that takes
its time for each, so that this is what the flood is too much for, and not the processors that the flood comes from too.
Beside the flood over HTTP come those who write to Kafka themselves and can't be refused: reports in both worlds and a
department's answers, each sent many times over, as a program does that is caught in a loop.
"""

import asyncio
import json
import os
import re
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from time import monotonic
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest
from aiokafka import TopicPartition
from uuid_utils.compat import uuid7

from schemas.envelope import INCIDENT
from schemas.incident import MAX_TEXT
from schemas.topics import ACKNOWLEDGEMENTS, INCIDENTS, group_name
from schemas.vocabulary import Answer, Category, Namespace, Severity, Status
from services.console.lag import _behind
from services.platform.backlog import LONGEST, LOOK_EVERY, RESERVE
from services.platform.backlog import TOO_MUCH as KIND
from services.platform.embedded.apache import ApacheKafka
from services.platform.embedded.ports import free_ports
from services.platform.invariants import check_invariants
from services.platform.kafka import FETCH_BYTES
from services.platform.kafka_security import brokers_at
from services.platform.postgres import Pool
from services.platform.published import publish
from services.playbooks.stored import read_wordings
from tests.integration.fleet import REPO, reporting_token
from tests.integration.load import EVENT, body_of
from tests.services.support import Sent, answer, report, send, sent_answer, sent_report, until

pytestmark = [pytest.mark.kafka, pytest.mark.long, pytest.mark.timeout(600)]

TIMES = 10
LIMIT = 40
"""Real reports that may wait, in this test."""
ORDERS = 3
"""What one report leads to at once."""
MEASURE_FOR, FLOOD_FOR = 8.0, 20.0  # seconds
PATIENCE = 2.0
TOO_MUCH = f"urn:muster:problem:{KIND}"
PROBES = 10
MIB = 1024 * 1024
FETCHED = INCIDENTS.partitions * FETCH_BYTES / MIB
"""MiB that a consumer may have fetched and not handled yet."""
GROWTH = 4 * FETCHED
"""MiB that a process may grow under the flood: a whole answer of the broker as it comes in, as it is taken apart, and
again when the next one is asked for, and what is in hand."""
SERVICES: dict[str, dict[str, str]] = {
    "intake": {},
    "dispatch": {"MUSTER_BATCH": "1"},
    "tracking": {},
    "escalation": {},
    "outbound": {},
    "console": {},
    "dispatch exercise": {"MUSTER_BATCH": "20"},
}
RATE = "SELECT (count(*) - 1) / extract(epoch FROM max(decided_at) - min(decided_at)) FROM inbox"
SLOW = """
    CREATE FUNCTION be_slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.3); RETURN NEW; END';
    CREATE TRIGGER slow BEFORE INSERT ON inbox FOR EACH ROW
    WHEN (NEW.status = 'Actual' AND NEW.type = 'muster.incident') EXECUTE FUNCTION be_slow();
"""
OUT_OF_TURN = """
    SELECT count(*) FROM (
        SELECT decided_at < lag(decided_at) OVER (PARTITION BY topic, partition, part ORDER BY position) AS is_early
        FROM (
            SELECT *, CASE WHEN status = 'Actual' AND type = 'muster.incident' THEN 'all' ELSE xmin::text END AS part
            FROM inbox
        ) AS parted
    ) AS compared WHERE is_early
"""
"""What was decided before an older record of its partition: real reports, which are taken one at a time here, and what
is decided in batches, each in two parts beside each other, within its part."""
OVERTAKING = """
    WITH parts AS (
        SELECT topic, partition, xmin::text AS part, min(position) AS first, min(decided_at) AS begun FROM inbox
        GROUP BY 1, 2, 3
    )
    SELECT count(*) FROM parts AS part WHERE (
        SELECT count(*) FROM parts AS older
        WHERE (older.topic, older.partition) = (part.topic, part.partition)
            AND older.first < part.first AND older.begun > part.begun
    ) > 1
"""
"""Parts that were decided before more than one older one, which is the other of their batch."""
PLAYBOOKS = Path(__file__).parents[1] / "faults" / "playbooks"


class Fleet:
    """The processes, and what can be seen of them from outside."""

    def __init__(self, kafka: str, database: str, folder: Path) -> None:
        self.ports = dict(zip(SERVICES, free_ports(len(SERVICES)), strict=True))
        self.processes: dict[str, asyncio.subprocess.Process] = {}
        self._folder = folder
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("MUSTER_")},
            "MUSTER_KAFKA": kafka,
            "MUSTER_DATABASE": database,
            "MUSTER_LOG_LEVEL": "warning",
            "MUSTER_BACKLOG": str(LIMIT),
            # One token sends all of it here; how one caller is slowed down is shown elsewhere.
            "MUSTER_PRINCIPAL_RATE": "100000",
            "MUSTER_ADDRESS_RATE": "100000",
        }

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports['intake']}"

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        try:
            for name in SERVICES:
                self.processes[name] = await self._start(name)
            for port in self.ports.values():
                await until(lambda port=port: _ready(port), seconds=240)  # type: ignore[misc]
            yield
        finally:
            await asyncio.gather(*(_ended(process) for process in self.processes.values()))

    async def _start(self, name: str) -> asyncio.subprocess.Process:
        service, _, world = name.partition(" ")
        with (self._folder / f"{name}.log").open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "services.cli", "serve", service),
                *("--namespace", world or Namespace.ACTUAL, "--port", str(self.ports[name])),
                cwd=REPO,
                env=self._environment | SERVICES[name],
                stdout=log,
                stderr=log,
            )

    def memory(self) -> dict[str, float]:
        """Read the resident memory of each, in MiB."""
        statuses = {name: Path(f"/proc/{each.pid}/status").read_text() for name, each in self.processes.items()}
        return {name: int(text.split("VmRSS:")[1].split()[0]) / 1024 for name, text in statuses.items()}


async def _ended(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), 30)
    if process.returncode is None:
        process.kill()
        await process.wait()


async def _ready(port: int) -> bool:
    async with httpx.AsyncClient() as client:
        with suppress(httpx.HTTPError):
            return (await client.get(f"http://127.0.0.1:{port}/health/ready")).status_code == 200
    return False


async def _gave_way(port: int) -> float:
    """Read how many seconds an exercise has waited for the real."""
    async with httpx.AsyncClient() as client:
        told = (await client.get(f"http://127.0.0.1:{port}/metrics")).text
    return sum(map(float, re.findall(r"^muster_exercise_gave_way_seconds_total (\S+)", told, re.MULTILINE)))


async def _undecided(pool: Pool) -> int:
    sql = "SELECT count(*) FROM reports WHERE NOT EXISTS (SELECT FROM inbox WHERE inbox.event_id = reports.event_id)"
    return int(await pool.fetchval(sql))


async def _decided(pool: Pool) -> int:
    """Count decisions about reports that came over HTTP."""
    return int(await pool.fetchval("SELECT count(*) FROM inbox JOIN reports USING (event_id)"))


async def _is_empty(pool: Pool) -> bool:
    return await _undecided(pool) == 0


async def _flood(url: str, token: str, per_second: float, seconds: float, patience: float = 0) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.integration.load", url, token),
        *(str(per_second), str(seconds), str(patience)),
        cwd=REPO,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    books: dict[str, Any] = json.loads(out)
    return books


async def _probe(url: str, token: str, pool: Pool) -> tuple[float, list[UUID]]:
    """Report one after the other; give the median of the seconds from sending until the decision is on record."""
    took: list[float] = []
    taken: list[UUID] = []
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {token}"}) as client:
        for _ in range(PROBES):
            begun = monotonic()
            answered = await client.post(f"{url}/v1/incidents", json=body_of("Minor"))
            assert answered.status_code == 202, answered.text
            taken.append(UUID(answered.json()["event_id"]))
            await until(lambda: _is_empty(pool))
            took.append(monotonic() - begun)
    return median(took), taken


@dataclass(frozen=True)
class Loop:
    """A program that writes the same messages, of these ``events``, to a topic so many ``times``."""

    service: str
    namespace: Namespace
    partitions: int
    messages: list[Sent]
    events: list[UUID]
    times: int

    async def write(self, kafka: str) -> None:
        await send(kafka, *self.messages * self.times)

    @property
    def records(self) -> int:
        return len(self.messages) * self.times

    @property
    def mib(self) -> float:
        return sum(len(value) for _, _, value, _ in self.messages) * self.times / MIB

    async def behind(self, kafka: str) -> int:
        """Say how many records of the topic, others' too, its readers have not taken yet."""
        topic = self.messages[0][0]
        partitions = [TopicPartition(topic, each) for each in range(self.partitions)]
        return await _behind(brokers_at(kafka), group_name(self.namespace, self.service), partitions)


def _reports(status: Status, number: int, times: int, **given: Any) -> Loop:
    events = [uuid7() for _ in range(number)]
    texts = dict.fromkeys(("headline", "description", "instruction"), "x" * MAX_TEXT)
    messages = [sent_report(report(status=status, **texts, **given), id_) for id_ in events]
    return Loop("dispatch", Namespace.of(status) or Namespace.ACTUAL, INCIDENTS.partitions, messages, events, times)


def _answers(row: asyncpg.Record, number: int, times: int) -> Loop:
    events = [uuid7() for _ in range(number)]
    messages = [sent_answer(answer(row, Answer.DELIVER, note="x" * 4_000), id_) for id_ in events]
    return Loop("tracking", Namespace.ACTUAL, ACKNOWLEDGEMENTS.partitions, messages, events, times)


def _rebalances(folder: Path) -> list[str]:
    """List the groups whose members had to join anew, as the broker tells it, once for each time."""
    (log,) = folder.rglob("server.log")
    return re.findall(r"Preparing to rebalance group (muster\.\S+)", log.read_text(errors="replace"))


@pytest.fixture
async def kafka(tmp_path: Path) -> AsyncIterator[str]:
    cluster = ApacheKafka(tmp_path / "kafka", brokers=1)
    yield await cluster.start()
    await cluster.stop()


@dataclass
class Played:
    """What was seen: rates are decisions a second, memory is in MiB by process, the rest in seconds.

    ``drill_beside`` and ``drill_alone`` are the exercise's records a second while real reports waited and afterwards;
    ``gave_way`` is how long it held back in the first of the two, which lasted ``beside``. ``joined`` has the groups
    whose members had to join anew, before the flood and ``since``.
    """

    steady: dict[str, float]
    joined: list[str]
    loops: list[Loop]
    sustainable: float
    usual: float
    taken: set[UUID]
    memory: dict[str, float] = field(default_factory=dict)
    waiting: int = 0
    wild: dict[str, Any] = field(default_factory=dict)
    under_flood: float = 0
    left: int = 0
    recovery: float = 0
    beside: float = 0
    gave_way: float = 0
    drill_beside: float = 0
    drill_alone: float = 0
    unusual: float = 0
    since: list[str] = field(default_factory=list)

    @property
    def offered(self) -> float:
        return float(self.wild["sent"] / self.wild["seconds"])

    @property
    def grown(self) -> dict[str, float]:
        return {name: most - self.steady[name] for name, most in self.memory.items()}

    def __str__(self) -> str:
        wild, grown = self.wild, ", ".join(f"{name} {mib:.0f}" for name, mib in self.grown.items())
        return (
            f"\nsustainable {self.sustainable:.1f}/s; offered {self.offered:.0f}/s for {wild['seconds']:.0f} s"
            f" ({self.offered / self.sustainable:.1f} times), decided {self.under_flood:.1f}/s meanwhile"
            f"\n{json.dumps(wild['answers'])}; broken connections {wild['broken']}"
            f"\nRetry-After {min(wild['retry_after'])} to {max(wild['retry_after'])} s, refused within"
            f" {median(wild['latencies']['429']) * 1000:.0f} ms (median)"
            f"\nwaiting at most {self.waiting} (limit {LIMIT}, with the reserve {RESERVE * LIMIT})"
            f"\nwritten to topics: {', '.join(f'{each.records} records, {each.mib:.0f} MiB' for each in self.loops)}"
            f"\nmemory grew by MiB: {grown} (from {min(self.steady.values()):.0f} to {max(self.steady.values()):.0f})"
            f"\nexercise: {self.drill_beside:.0f} records/s beside the real, giving way for {self.gave_way:.0f} of"
            f" {self.beside:.0f} s; {self.drill_alone:.0f}/s alone"
            f"\n{self.left} left when the flood ended, decided after {self.recovery:.1f} s without help; a report took"
            f" {self.usual * 1000:.0f} ms before and {self.unusual * 1000:.0f} ms after"
            f"\ngroups joined anew {len(self.joined)} times at the start, {len(self.since)} times since"
        )


@asynccontextmanager
async def _watching(fleet: Fleet, pool: Pool, played: Played) -> AsyncIterator[None]:
    """Look twice a second at memory and at what waits."""

    async def watch() -> None:
        while True:
            for name, mib in fleet.memory().items():
                played.memory[name] = max(mib, played.memory.get(name, 0))
            played.waiting = max(played.waiting, await _undecided(pool))
            await asyncio.sleep(0.5)

    task = asyncio.create_task(watch())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _settle(fleet: Fleet, token: str, pool: Pool, folder: Path) -> Played:
    """Measure what can be sustained: as much as is decided while always something waits, of senders with patience."""
    calm = await _flood(fleet.url, token, 1_000, MEASURE_FOR, PATIENCE)
    sustainable = float(await pool.fetchval(RATE))
    await until(lambda: _is_empty(pool), seconds=60)
    usual, first = await _probe(fleet.url, token, pool)
    (order,) = await pool.fetch("SELECT * FROM assignments LIMIT 1")
    loops = [
        _reports(Status.EXERCISE, 200, 20),
        _reports(Status.ACTUAL, 10, 5, categories=(Category.OTHER,), event=EVENT, severity=Severity.MINOR),
        _answers(order, 10, 50),
    ]
    taken = {*map(UUID, calm["taken"]), *first}
    return Played(fleet.memory(), _rebalances(folder), loops, sustainable, usual, taken)


async def _overload(played: Played, fleet: Fleet, token: str, pool: Pool, kafka: str, folder: Path) -> None:
    """Flood, and wait until everything is as before."""
    exercise = played.loops[0]
    drill = fleet.ports["dispatch exercise"]
    writing = [asyncio.create_task(loop.write(kafka)) for loop in played.loops]
    gave_way, before, begun = await _gave_way(drill), await _decided(pool), monotonic()
    played.wild = await _flood(fleet.url, token, TIMES * played.sustainable, FLOOD_FOR)
    over = monotonic()
    played.under_flood = (await _decided(pool) - before) / (over - begun)
    played.left = await _undecided(pool)
    await asyncio.gather(*writing)
    await until(lambda: _is_empty(pool), seconds=120)
    played.recovery, played.beside = monotonic() - over, monotonic() - begun
    played.gave_way = await _gave_way(drill) - gave_way
    drilled = exercise.records - await exercise.behind(kafka)
    played.drill_beside = drilled / played.beside
    played.taken |= {*map(UUID, played.wild["taken"])}

    async def drained() -> bool:
        return not any([await loop.behind(kafka) for loop in played.loops])

    await until(drained, seconds=240)
    played.drill_alone = (exercise.records - drilled) / (monotonic() - begun - played.beside)
    played.unusual, last = await _probe(fleet.url, token, pool)
    played.taken |= {*last}
    await until(lambda: pool.fetchval("SELECT NOT EXISTS (SELECT FROM outbox WHERE published_at IS NULL)"))
    played.since = _rebalances(folder)[len(played.joined) :]


async def test_ten_times_the_sustainable_load_is_survived_and_forgotten(
    pool: Pool, database: str, kafka: str, tmp_path: Path
) -> None:
    wordings = read_wordings(PLAYBOOKS)
    await publish(pool, wordings.plans, wordings.directory)
    await pool.execute(SLOW)
    token = await reporting_token(database)
    fleet = Fleet(kafka, database, tmp_path)
    async with fleet.running():
        played = await _settle(fleet, token, pool, tmp_path)
        async with _watching(fleet, pool, played):
            await _overload(played, fleet, token, pool, kafka, tmp_path)
    print(played)
    _was_answered(played)
    exercise, real, answers = played.loops
    # Memory is bounded by what is fetched, not by what waits.
    assert exercise.mib > 1.5 * GROWTH
    assert all(mib < GROWTH for mib in played.grown.values()), played.grown
    # The oldest first, in each partition. The real first: the exercise gave way, and went on.
    assert await pool.fetchval(OUT_OF_TURN) == 0
    assert await pool.fetchval(OVERTAKING) == 0
    assert 0 < played.drill_beside < played.drill_alone
    assert played.gave_way > played.beside / 10
    # Nobody was thrown out, as the broker tells it.
    assert {group_name(each.namespace, each.service) for each in played.loops} <= set(played.joined)
    assert played.since == []
    # Nothing was lost, and nothing done twice.
    assert await pool.fetchval("SELECT count(*) FROM reports") == len(played.taken), "what was refused left nothing"
    decisions = await pool.fetch("SELECT event_id, outcome FROM inbox WHERE type = $1 AND status = 'Actual'", INCIDENT)
    assert {row["event_id"] for row in decisions} == played.taken | set(real.events)
    assert {row["outcome"] for row in decisions} == {"activated"}
    for loop in (exercise, answers):
        assert await pool.fetchval("SELECT count(*) FROM inbox WHERE event_id = ANY ($1)", loop.events) == len(
            loop.events
        )
    incidents = await pool.fetch("SELECT status, count(*) FROM incidents GROUP BY 1 ORDER BY 1")
    assert [tuple(row) for row in incidents] == [("Actual", len(decisions)), ("Exercise", len(exercise.events))]
    assert await pool.fetchval("SELECT count(*) FROM assignments") == ORDERS * len(decisions)
    assert await pool.fetchval("SELECT count(*) FROM dead_letters") == 0
    assert [each for each in await check_invariants(pool) if each.broken] == []


def _was_answered(played: Played) -> None:
    """See that it was a flood, and that its senders were taken in or asked to come again, and nothing else."""
    wild, answered = played.wild, Counter(played.wild["answers"])
    refused = answered[f"Minor 429 {TOO_MUCH}"]
    assert played.offered > 0.9 * TIMES * played.sustainable, "this machine can't offer it"
    assert refused > wild["sent"] / 2
    # The highest first: of the urgent fewer come than can be sustained, and all of them are taken in.
    assert answered["Extreme 202"] > 0
    assert refused + answered["Extreme 202"] + answered["Minor 202"] == sum(answered.values()) == wild["sent"]
    assert wild["broken"] == 0
    assert len(wild["retry_after"]) == refused
    assert 1 <= min(wild["retry_after"]) <= max(wild["retry_after"]) <= LONGEST
    assert played.waiting <= RESERVE * LIMIT + 2 * LOOK_EVERY * played.offered
    assert played.under_flood > played.sustainable / 5
    assert played.unusual < 3 * played.usual, "a report takes as long as before"
