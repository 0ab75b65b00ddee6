"""A fleet of service processes that can be killed, the people they serve, and an account of what those saw.

The people keep their own books: what they reported, which orders reached them, what they answered. The record in
Postgres is held against these books, not against what the services believe.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError
from uuid_utils.compat import uuid7

from schemas.acknowledgement import Acknowledgement
from schemas.assignment import Assignment
from schemas.envelope import ACKNOWLEDGEMENT, Envelope, write_value
from schemas.topics import ACKNOWLEDGEMENTS, ASSIGNMENTS, department_pattern, topic_name
from schemas.vocabulary import Answer, Namespace
from services.platform.access.opening import open_access
from services.platform.access.principal import REPORT
from services.platform.embedded.ports import free_ports

REPO = Path(__file__).parents[2]
COPIES = 2
SERVICES = ("intake", "dispatch", "tracking", "escalation")


class Fleet:
    """Every service as processes of their own."""

    def __init__(self, folder: Path, *, kafka: str, database: str, **environment: str) -> None:
        self._folder = folder
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("MUSTER_")},
            "MUSTER_KAFKA": kafka,
            "MUSTER_DATABASE": database,
            "MUSTER_LOG_LEVEL": "warning",
            "PYTHONUNBUFFERED": "1",
            **environment,
        }
        self.members = [(service, copy) for service in SERVICES for copy in range(COPIES)]
        self.ports = dict(zip(self.members, free_ports(len(self.members)), strict=True))
        self._processes: dict[tuple[str, int], asyncio.subprocess.Process] = {}

    @property
    def intakes(self) -> list[str]:
        """Where reports can be sent."""
        return [f"http://127.0.0.1:{self.ports['intake', copy]}" for copy in range(COPIES)]

    async def start(self, member: tuple[str, int]) -> None:
        """Start one process."""
        service, copy = member
        with (self._folder / f"{service}-{copy}.log").open("ab") as log:
            self._processes[member] = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "services.cli", "serve", service, "--port", str(self.ports[member])),
                cwd=REPO,
                env=self._environment,
                stdout=log,
                stderr=log,
            )

    async def start_all(self) -> None:
        """Start everything and wait until it is ready."""
        for member in self.members:
            await self.start(member)
        for member in self.members:
            await self.until_ready(member)

    async def until_ready(self, member: tuple[str, int], seconds: float = 90) -> None:
        """Wait until a process says that it is ready."""
        end = asyncio.get_running_loop().time() + seconds
        async with httpx.AsyncClient(timeout=5) as client:
            while True:
                with suppress(httpx.HTTPError):
                    if (await client.get(f"http://127.0.0.1:{self.ports[member]}/health/ready")).status_code == 200:
                        return
                assert self._processes[member].returncode is None, self.log(member)
                assert asyncio.get_running_loop().time() < end, f"{member} is not ready: {self.log(member)}"
                await asyncio.sleep(0.2)

    def log(self, member: tuple[str, int]) -> str:
        """Read the end of a process's log."""
        return (self._folder / f"{member[0]}-{member[1]}.log").read_text(errors="replace")[-3_000:]

    async def kill(self, member: tuple[str, int]) -> None:
        """Kill one process with -9."""
        self._processes[member].kill()
        await self._processes[member].wait()

    async def stop_all(self) -> float:
        """Ask every process to stop; return how many seconds the slowest took."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        running = [process for process in self._processes.values() if process.returncode is None]
        for process in running:
            process.terminate()
        waiting = [asyncio.create_task(process.wait()) for process in running]
        if waiting:
            await asyncio.wait(waiting, timeout=30)
        for process in running:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return loop.time() - begun


async def reporting_token(database: str) -> str:
    """Issue a token that lets a feed report incidents, and nothing else."""
    access = await open_access(database, size=1)
    try:
        now = access.now()
        lives = timedelta(hours=1)
        _, text = await access.tokens.issue("fleet", scopes=[REPORT], by="test", now=now, expires_at=now + lives)
        return text
    finally:
        await access.close()


@dataclass(slots=True)
class Reporters:
    """People who report incidents and try again until they are heard; ``taken`` maps event ids to incidents."""

    intakes: Sequence[str]
    token: str
    taken: dict[UUID, UUID] = field(default_factory=dict)

    async def report(self, number: int, *, per_second: float) -> None:
        """Report so many incidents at a steady rate."""
        limits = httpx.Limits(max_connections=50)
        async with httpx.AsyncClient(timeout=10, limits=limits) as client, asyncio.TaskGroup() as group:
            for which in range(number):
                group.create_task(self._one(client, which))
                await asyncio.sleep(1 / per_second)

    async def _one(self, client: httpx.AsyncClient, which: int) -> None:
        body = {
            "status": "Actual",
            "message_type": "Alert",
            "categories": ["Met"],
            "event": "Flash flood watch",
            "urgency": "Expected",
            "severity": "Minor",
            "certainty": "Possible",
            "areas": [{"description": f"District {uuid7()}"}],
            "reported_by": "fleet",
        }
        headers = {"Idempotency-Key": f'"{uuid7()}"', "Authorization": f"Bearer {self.token}"}
        for turn in range(1_000):
            base = self.intakes[(which + turn) % len(self.intakes)]
            with suppress(httpx.HTTPError):
                answer = await client.post(f"{base}/v1/incidents", json=body, headers=headers)
                if answer.is_success:
                    accepted = answer.json()
                    self.taken[UUID(accepted["event_id"])] = UUID(accepted["incident_id"])
                    return
                assert answer.status_code in {429, 503}, answer.text
            await asyncio.sleep(0.2)
        raise AssertionError("nobody would take the report")


class Departments:
    """All departments at once: each order is received and committed to, and answered again when it comes again.

    ``answers`` maps each assignment to the event ids of its answers; ``orders`` counts the messages that told of it.
    """

    def __init__(self, kafka: str) -> None:
        self._kafka = kafka
        self.answers: dict[UUID, list[tuple[UUID, Acknowledgement]]] = {}
        self.orders: dict[UUID, int] = {}

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Listen and answer while the context lasts."""
        task = asyncio.create_task(self._listen())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _listen(self) -> None:
        while True:
            with suppress(KafkaError, OSError):
                await self._listen_once()
            await asyncio.sleep(0.5)

    async def _listen_once(self) -> None:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._kafka.split(","),
            group_id="fleet-departments",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            metadata_max_age_ms=5_000,
            fetch_max_wait_ms=100,
            session_timeout_ms=6_000,
            heartbeat_interval_ms=1_000,
        )
        producer = AIOKafkaProducer(bootstrap_servers=self._kafka.split(","), acks="all")
        consumer.subscribe(pattern=department_pattern(ASSIGNMENTS, Namespace.ACTUAL))
        try:
            await consumer.start()
            await producer.start()
            while True:
                found = await consumer.getmany(timeout_ms=500, max_records=500)
                orders = [record for records in found.values() for record in records]
                answers = [a for record in orders for a in self._answer(Assignment.model_validate_json(record.value))]
                await asyncio.gather(*[await producer.send(**answer) for answer in answers])
                if found:
                    await consumer.commit()
        finally:
            await consumer.stop()
            await producer.stop()

    def _answer(self, order: Assignment) -> list[dict[str, Any]]:
        self.orders[order.assignment_id] = self.orders.get(order.assignment_id, 0) + 1
        if order.assignment_id not in self.answers:
            self.answers[order.assignment_id] = [
                (uuid7(), _acknowledgement(order, kind)) for kind in (Answer.DELIVER, Answer.COMMIT)
            ]
        return [_message(event_id, answer) for event_id, answer in self.answers[order.assignment_id]]


def _acknowledgement(order: Assignment, kind: Answer) -> Acknowledgement:
    return Acknowledgement(
        assignment_id=order.assignment_id,
        incident_id=order.incident_id,
        status=order.status,
        department=order.department,
        answer=kind,
        answered_at=datetime.now(UTC),
        read_back="as ordered",
    )


def _message(event_id: UUID, answer: Acknowledgement) -> dict[str, Any]:
    subject = str(answer.incident_id)
    envelope = Envelope(event_id, ACKNOWLEDGEMENT, "fleet", subject, answer.answered_at, answer.status)
    return {
        "topic": topic_name(ACKNOWLEDGEMENTS, Namespace.ACTUAL, answer.department),
        "key": subject.encode(),
        "value": write_value(answer),
        "headers": envelope.headers(),
    }


async def unsettled(connection: "asyncpg.Connection[asyncpg.Record]", reporters: Reporters) -> str:
    """Say what is still on its way; empty when everything has come to rest."""
    decided = await connection.fetchval("SELECT count(*) FROM inbox WHERE event_id = ANY ($1)", list(reporters.taken))
    waiting = await connection.fetchval(
        "SELECT count(*) FROM assignments WHERE state IN ('issued', 'delivered', 'acknowledged')"
    )
    unpublished = await connection.fetchval("SELECT count(*) FROM outbox WHERE published_at IS NULL")
    left = {"undecided": len(reporters.taken) - decided, "unanswered": waiting, "unpublished": unpublished}
    return ", ".join(f"{name} {count}" for name, count in left.items() if count)


async def audit(
    connection: "asyncpg.Connection[asyncpg.Record]", reporters: Reporters, departments: Departments
) -> list[str]:
    """Hold the record against the people's own books; every difference is a finding."""
    findings: list[str] = []
    decisions = await connection.fetch(
        "SELECT event_id, count(*) AS n, min(outcome) AS outcome FROM inbox WHERE event_id = ANY ($1) GROUP BY 1",
        list(reporters.taken),
    )
    decided = {row["event_id"]: row for row in decisions}
    for event_id, incident_id in reporters.taken.items():
        row = decided.get(event_id)
        if row is None or row["n"] != 1 or row["outcome"] != "activated":
            findings.append(f"report {event_id} of {incident_id}: {dict(row) if row else 'not decided'}")
    assignments = await connection.fetch("SELECT * FROM assignments")
    held: dict[tuple[Any, ...], int] = {}
    for row in assignments:
        key = (row["activation_id"], row["task"], row["department"])
        held[key] = held.get(key, 0) + 1
        if row["id"] not in departments.orders:
            findings.append(f"assignment {row['id']}: its order never reached {row['department']}")
        if row["delivered_at"] is None or (row["committed_at"] is None and row["state"] != "superseded"):
            findings.append(f"assignment {row['id']}: {row['state']}, though it was received and committed to")
    findings += [f"given {times} times: {key}" for key, times in held.items() if times > 1]
    known = {row["id"] for row in assignments}
    findings += [f"order {id_}: unknown to the record" for id_ in departments.orders if id_ not in known]
    sent = [event_id for answers in departments.answers.values() for event_id, _ in answers]
    recorded = await connection.fetchval("SELECT count(*) FROM inbox WHERE event_id = ANY ($1)", sent)
    if recorded != len(sent):
        findings.append(f"answers: {len(sent)} sent, {recorded} on record")
    twice = await connection.fetchval(
        "SELECT count(*) FROM (SELECT FROM timeline WHERE entry IN ('assignment_committed', 'assignment_delivered')"
        " GROUP BY assignment_id, entry HAVING count(*) > 1) AS found"
    )
    if twice:
        findings.append(f"answers told twice in the timeline: {twice}")
    return findings
