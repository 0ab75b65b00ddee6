"""What tests of services share: messages as others would send them, and waiting for what they cause."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import asyncpg
from fastapi import Request
from uuid_utils.compat import uuid7

from schemas.acknowledgement import Acknowledgement
from schemas.base import Message
from schemas.envelope import ACKNOWLEDGEMENT, INCIDENT, Envelope, write_value
from schemas.incident import Area, IncidentReport
from schemas.topics import ACKNOWLEDGEMENTS, INCIDENTS, topic_name
from schemas.vocabulary import Answer, Category, Certainty, MessageType, Namespace, Role, Severity, Status, Urgency
from services.platform.access.principal import Principal
from services.platform.kafka import make_broker
from services.platform.kafka_publishing import publish_all
from services.platform.postgres import Pool
from services.platform.problem import ProblemError
from services.platform.published import publish
from services.platform.settings import Settings
from services.playbooks.stored import Wordings, read_wordings

PLAYBOOKS = Path(__file__).parents[2] / "playbooks"
OFFICER = Principal(uuid7(), "officer", frozenset({Role.DUTY_OFFICER}))
Sent = tuple[str, bytes, bytes, list[tuple[str, bytes]]]


def settings(database: str, kafka: str, namespace: Namespace = Namespace.ACTUAL, *, embedded: bool = True) -> Settings:
    """Settings for the embedded servers, or for Apache Kafka."""
    return Settings(database=database, kafka=kafka, embedded_broker=embedded, namespace=namespace)


@cache
def shipped() -> Wordings:
    """Read and check the shipped plans, once."""
    return read_wordings(PLAYBOOKS)


async def publish_shipped(pool: Pool) -> None:
    """Put the shipped plans into force."""
    wordings = shipped()
    await publish(pool, wordings.plans, wordings.directory)


def report(**given: Any) -> IncidentReport:
    """A chemical release that the shipped plan answers, unless told otherwise."""
    values: dict[str, Any] = {
        "incident_id": uuid7(),
        "status": Status.ACTUAL,
        "message_type": MessageType.ALERT,
        "categories": (Category.CBRNE,),
        "event": "Chemical release",
        "urgency": Urgency.IMMEDIATE,
        "severity": Severity.SEVERE,
        "certainty": Certainty.OBSERVED,
        "headline": "Chlorine leak at the water works",
        "areas": (Area(description=f"Riverside {uuid7()}"),),
        "reported_at": datetime.now(UTC),
        "reported_by": "test",
    }
    return IncidentReport(**(values | given))


def sent(message: Message, kind: str, topic: str, event_id: UUID | None = None) -> Sent:
    """A message of ours as it goes to the broker."""
    incident_id = str(message.incident_id)  # type: ignore[attr-defined]
    status = message.status  # type: ignore[attr-defined]
    envelope = Envelope(event_id or uuid7(), kind, "test", incident_id, datetime.now(UTC), status)
    return topic, incident_id.encode(), write_value(message), envelope.headers()


def sent_report(message: IncidentReport, event_id: UUID | None = None) -> Sent:
    """A report on its topic."""
    namespace = Namespace.of(message.status) or Namespace.ACTUAL
    return sent(message, INCIDENT, topic_name(INCIDENTS, namespace), event_id)


def answer(row: asyncpg.Record, kind: Answer, **given: Any) -> Acknowledgement:
    """A department's answer about an assignment's row."""
    values: dict[str, Any] = {
        "assignment_id": row["id"],
        "incident_id": row["incident_id"],
        "status": row["status"],
        "department": row["department"],
        "answer": kind,
        "answered_at": datetime.now(UTC),
        "read_back": "understood",
    }
    return Acknowledgement(**(values | given))


def sent_answer(message: Acknowledgement, event_id: UUID | None = None, topic_of: str | None = None) -> Sent:
    """An answer on its department's topic, or on another's."""
    namespace = Namespace.of(message.status) or Namespace.ACTUAL
    topic = topic_name(ACKNOWLEDGEMENTS, namespace, topic_of or message.department)
    return sent(message, ACKNOWLEDGEMENT, topic, event_id)


async def send(kafka: str, *messages: Sent) -> None:
    """Publish messages and wait until the broker has them."""
    broker = make_broker(kafka, client_id="test")
    await broker.connect()
    try:
        errors = [error for error in await publish_all(broker, messages) if error]
        assert not errors, errors
    finally:
        await broker.stop()


class NotedAccess:
    """Access without a database, for tests of other things: who bears one of its names is that one; keeps its notes."""

    def __init__(self, *callers: Principal) -> None:
        self.callers = {caller.name: caller for caller in callers or (OFFICER,)}
        self.noted: list[tuple[str, str, str | None, str]] = []

    def bearer(self, name: str) -> dict[str, str]:
        """The headers of one of its callers."""
        return {"Authorization": f"Bearer {self.callers[name].name}"}

    async def identify(self, request: Request) -> Principal | None:
        return self.callers.get(request.headers.get("authorization", "").removeprefix("Bearer "))

    async def note(
        self,
        caller: Principal | None,
        action: str,
        target: str | None = None,
        *,
        outcome: str = "done",
        request: Request | None = None,
        **detail: Any,
    ) -> None:
        del request, detail
        self.noted.append((caller.name if caller else "", action, target, outcome))

    async def refused(self, request: Request, caller: Principal | None, problem: ProblemError) -> None:
        await self.note(caller, "refused", request.url.path, outcome=str(problem.kind))


T = TypeVar("T")


async def until(look: Callable[[], Awaitable[T]], seconds: float = 20) -> T:
    """Look again and again until something true is found."""
    end = asyncio.get_running_loop().time() + seconds
    while True:
        found = await look()
        if found:
            return found
        assert asyncio.get_running_loop().time() < end, f"not seen within {seconds} s"
        await asyncio.sleep(0.05)
