"""The canary: a tiny exercise incident that is played beside real operations, for ever, and must have no real effect.

Each round goes the whole way through the running exercise services: report, orders, a department's answer, close.
`services.drills.witness` then looks for anything of it on the real side. A round that the services did not answer
proves nothing and is no success.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self
from uuid import UUID

import asyncpg
from prometheus_client import Counter, Gauge
from uuid_utils.compat import uuid7

from schemas import acls
from schemas.acknowledgement import Acknowledgement
from schemas.base import Message
from schemas.command import Activate, Close, CommandBase
from schemas.envelope import ACKNOWLEDGEMENT, COMMAND, INCIDENT, Envelope, write_value
from schemas.incident import Area, IncidentReport
from schemas.topics import ACKNOWLEDGEMENTS, COMMANDS, INCIDENTS, topic_name
from schemas.vocabulary import (
    Answer,
    Category,
    Certainty,
    MessageType,
    Namespace,
    Severity,
    Status,
    Urgency,
)
from services.drills.record import DrillError
from services.drills.witness import Leak, Way, Witness
from services.platform.kafka import make_broker
from services.platform.kafka_publishing import publish_all
from services.platform.postgres import connect
from services.platform.rights import role_name
from services.platform.settings import Settings

CANARY = "Muster canary"
"""Who reports and decides in a canary's incidents; by this name what an earlier one left behind is found."""
ANSWERED_WITHIN = 30.0
"""Seconds within which the services must have done each thing that is asked of them."""
LOOK_EVERY = 0.1
LEFT_BEHIND = timedelta(minutes=5)
"""Age at which a canary's open incident counts as left behind; another canary may be at work on a younger one."""
_SOURCE = "muster/canary"

REAL_EFFECTS = Counter("muster_canary_real_effects_total", "Real effects that a canary's exercise has had.", ["way"])
ROUNDS = Counter("muster_canary_rounds_total", "Rounds that a canary has played.", ["outcome"])
LAST_ROUND = Gauge("muster_canary_last_round_timestamp_seconds", "When a canary's last round ended, in Unix time.")
for _way in Way:
    REAL_EFFECTS.labels(_way.value)


@dataclass(frozen=True, slots=True)
class Round:
    """One round. ``answered``: the services did all that was asked; else ``reason`` says what they did not do.

    ``leaks`` are the real effects; ``proved`` is False where the real side could not be looked at.
    """

    number: int
    incident_id: UUID
    plan: str
    started_at: datetime
    seconds: float
    orders: int
    answered: bool
    proved: bool
    reason: str | None
    leaks: tuple[Leak, ...]

    @property
    def clean(self) -> bool:
        """Say whether the round proves that nothing leaks."""
        return self.answered and self.proved and not self.leaks


class UnansweredError(DrillError):
    """The exercise services did not do what the canary asked of them in time."""


class Canary:
    """Plays rounds; use as a context manager. ``plan`` None: the published plan with the fewest tasks."""

    def __init__(self, settings: Settings, *, plan: str | None = None, within: float = ANSWERED_WITHIN) -> None:
        self._settings = settings
        self._plan = plan
        self._within = within
        self._broker = make_broker(settings.brokers(Namespace.EXERCISE), client_id="muster-canary")
        self._rounds = 0
        self._pools: list[asyncpg.Pool[asyncpg.Record]] = []

    async def __aenter__(self) -> Self:
        self._own = await self._connect(Namespace.EXERCISE, "muster-canary")
        embedded = self._settings.embedded_broker
        watching = await self._connect(Namespace.ACTUAL, "muster-witness")
        self._witness = Witness(watching, self._settings.brokers(Namespace.ACTUAL), embedded=embedded)
        await self._broker.connect()
        return self

    async def _connect(self, namespace: Namespace, name: str) -> "asyncpg.Pool[asyncpg.Record]":
        address, role = self._settings.postgres(namespace), role_name(namespace, acls.CANARY)
        self._pools.append(await connect(address, size=2, name=name, role=role))
        return self._pools[-1]

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._broker.stop()
        for pool in self._pools:
            await pool.close()

    async def round(self) -> Round:
        """Play one round and look what it has done; raises `UnreachableError` without broker or database."""
        self._rounds += 1
        await self._clear_up()
        plan, level = await self._choose()
        incident_id, started_at = uuid7(), datetime.now(UTC)
        begun = asyncio.get_running_loop().time()
        mark = await self._witness.mark()
        reason: str | None = None
        answered = proved = True
        try:
            await self._play(incident_id, plan, level)
        except UnansweredError as error:
            answered, reason = False, str(error)
        leaks: list[Leak] = []
        try:
            leaks = await self._witness.leaks(mark, [incident_id])
        except DrillError as error:
            proved, reason = False, reason or str(error)
        orders = await self._own.fetchval("SELECT count(*) FROM assignments WHERE incident_id = $1", incident_id)
        done = Round(
            number=self._rounds,
            incident_id=incident_id,
            plan=plan,
            started_at=started_at,
            seconds=round(asyncio.get_running_loop().time() - begun, 3),
            orders=orders,
            answered=answered,
            proved=proved,
            reason=reason,
            leaks=tuple(leaks),
        )
        _count(done)
        return done

    async def _choose(self) -> tuple[str, str]:
        rows = await self._own.fetch(
            "SELECT document FROM plans WHERE digest IN"
            " (SELECT unnest(plans) FROM publication WHERE id = (SELECT max(id) FROM publication))"
        )
        documents = [json.loads(row["document"]) for row in rows]
        fit = [each for each in documents if self._plan in {None, each["id"]}]
        if not fit:
            raise DrillError(f"canary: no plan {self._plan or ''} is published; see `muster plan list`")
        # A plan that calls no other, with the fewest orders: a canary goes the whole way and bothers few.
        least = min(fit, key=lambda each: (len(each.get("calls") or ()), len(each["tasks"]), each["id"]))
        return least["id"], least["levels"][-1]["id"]

    async def _play(self, incident_id: UUID, plan: str, level: str) -> None:
        reported = await self._report(incident_id)
        await self._until(
            lambda: self._own.fetchval("SELECT true FROM inbox WHERE event_id = $1", reported),
            "nobody decided its report; do the exercise services run?",
        )
        await self._command(Activate, incident_id, plan=plan, level=level)
        rows = await self._until(
            lambda: self._own.fetch("SELECT * FROM assignments WHERE incident_id = $1 ORDER BY id", incident_id),
            f"no orders of {plan} were given",
        )
        await self._until(
            lambda: self._own.fetchval(
                "SELECT bool_and(published_at IS NOT NULL) FROM outbox WHERE incident_id = $1", incident_id
            ),
            "its orders were not published",
        )
        await self._answer(rows[0])
        await self._until(
            lambda: self._own.fetchval("SELECT committed_at FROM assignments WHERE id = $1", rows[0]["id"]),
            "nobody took its department's answer",
        )
        await self._close(incident_id)

    async def _close(self, incident_id: UUID) -> None:
        """Stand the plan down, then call the stand-down tasks off."""
        for phases in (["closing", "closed"], ["closed"]):
            await self._command(Close, incident_id)
            await self._until(
                lambda phases=phases: self._own.fetchval(  # type: ignore[misc]
                    "SELECT true FROM incidents WHERE id = $1 AND phase = ANY ($2)", incident_id, phases
                ),
                "its incident was not closed",
            )

    async def _clear_up(self) -> None:
        """Close what an earlier canary left open: it would be escalated for ever."""
        rows = await self._own.fetch(
            "SELECT id FROM incidents WHERE phase <> 'closed' AND status = 'Exercise'"
            " AND reported_at < $2 AND report ->> 'reported_by' = $1",
            CANARY,
            datetime.now(UTC) - LEFT_BEHIND,
        )
        for row in rows:
            for _ in range(2):
                await self._command(Close, row["id"])

    async def _until(self, look: Callable[[], Awaitable[Any]], what: str) -> Any:
        deadline = asyncio.get_running_loop().time() + self._within
        while not (found := await look()):
            if asyncio.get_running_loop().time() > deadline:
                raise UnansweredError(f"canary: {what} ({self._within:g} s)")
            await asyncio.sleep(LOOK_EVERY)
        return found

    async def _report(self, incident_id: UUID) -> UUID:
        report = IncidentReport(
            incident_id=incident_id,
            status=Status.EXERCISE,
            message_type=MessageType.ALERT,
            categories=(Category.OTHER,),
            event=CANARY,
            urgency=Urgency.UNKNOWN,
            severity=Severity.MINOR,
            certainty=Certainty.UNLIKELY,
            headline="EXERCISE: the canary sings. Nobody needs to do anything.",
            areas=(Area(description=f"Canary {incident_id}"),),
            reported_at=datetime.now(UTC),
            reported_by=CANARY,
        )
        return await self._publish(topic_name(INCIDENTS, Namespace.EXERCISE), INCIDENT, report, incident_id)

    async def _command(self, kind: type[CommandBase], incident_id: UUID, **more: Any) -> None:
        command = kind(
            incident_id=incident_id,
            status=Status.EXERCISE,
            by=CANARY,
            reason="a round of the canary",
            decided_at=datetime.now(UTC),
            **more,
        )
        await self._publish(topic_name(COMMANDS, Namespace.EXERCISE), COMMAND, command, incident_id)

    async def _answer(self, row: asyncpg.Record) -> None:
        answer = Acknowledgement(
            assignment_id=row["id"],
            incident_id=row["incident_id"],
            status=Status.EXERCISE,
            department=row["department"],
            answer=Answer.COMMIT,
            answered_at=datetime.now(UTC),
            by=CANARY,
            read_back="the canary sings",
        )
        topic = topic_name(ACKNOWLEDGEMENTS, Namespace.EXERCISE, row["department"])
        await self._publish(topic, ACKNOWLEDGEMENT, answer, row["incident_id"])

    async def _publish(self, topic: str, kind: str, message: Message, incident_id: UUID) -> UUID:
        envelope = Envelope(uuid7(), kind, _SOURCE, str(incident_id), datetime.now(UTC), Status.EXERCISE)
        record = (topic, str(incident_id).encode(), write_value(message), envelope.headers())
        (error,) = await publish_all(self._broker, [record])
        if error is not None:
            raise UnansweredError(f"canary: {topic} does not take messages: {error!r}")
        return envelope.id


def _count(done: Round) -> None:
    for leak in done.leaks:
        REAL_EFFECTS.labels(leak.way.value).inc()
    outcome = "leaked" if done.leaks else "clean" if done.clean else "unanswered" if not done.answered else "unproved"
    ROUNDS.labels(outcome).inc()
    LAST_ROUND.set_to_current_time()
