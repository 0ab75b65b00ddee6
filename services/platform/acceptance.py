"""Takes a message in for good: kept byte for byte together with the message that announces it, then published.

What was accepted is durable before the sender hears of it. The broker may be away: the outbox's sweeper publishes
what could not be published at once.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

import asyncpg
from uuid_utils.compat import uuid7

from schemas.acknowledgement import Acknowledgement
from schemas.command import CommandBase
from schemas.envelope import ACKNOWLEDGEMENT, COMMAND, INCIDENT, ContractError, read_message, write_value
from schemas.incident import IncidentReport
from schemas.vocabulary import Namespace
from services.platform.alerts import resolve_alerts
from services.platform.clock import Clock
from services.platform.decider import statuses
from services.platform.errors import RefusedError
from services.platform.logs import get_logger
from services.platform.outbox import LEASE, Draft, Outgoing, envelope_of
from services.platform.postgres import Connection, Pool
from services.platform.queries import query

PUBLISH_WITHIN = 1.0
"""Seconds for which a sender's answer waits for the broker; publishing goes on after that."""
_TRIES = 3

Told = IncidentReport | CommandBase | Acknowledgement

_log = get_logger(__name__)


class ConflictError(RefusedError):
    """An idempotency key that was used before, for something else."""


class InvalidError(RefusedError):
    """A message that is well-formed and can't be taken here; the text says why."""


class Publisher(Protocol):
    """What accepting needs of the outbox (`services.platform.outbox.Outbox`)."""

    async def publish(self, messages: Sequence[Outgoing], incidents: Iterable[UUID]) -> None:
        """Publish what has just been committed, then what others have committed behind it."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """What came of it. ``repeated``: it was accepted before, and this is the answer given then."""

    incident_id: UUID
    event_id: UUID
    repeated: bool


@dataclass(frozen=True, slots=True)
class Request:
    """Who asks and with what: kept with the message.

    ``origin`` names the way in, as ``http:/v1/cap``. ``idempotency_key`` None: every request is a new one.
    """

    origin: str
    idempotency_key: str | None
    content_type: str
    body: bytes


class Acceptance:
    """Takes in what belongs to one namespace; ``source`` signs its messages."""

    def __init__(self, pool: Pool, outbox: Publisher, clock: Clock, namespace: Namespace, source: str) -> None:
        self._pool = pool
        self._outbox = outbox
        self._clock = clock
        self._namespace = namespace
        self._source = source
        self._publishing: set[asyncio.Task[None]] = set()

    async def take(self, told: Told, topic: str, request: Request) -> Accepted:
        """Take one message in for a topic, named as on the broker.

        The same ``idempotency_key`` with the same bytes gets the first answer again and stores nothing; with other
        bytes it raises `ConflictError`. A report whose alert is known joins that alert's incident, whatever it says.
        Raises `InvalidError` for a message that its readers could not take; database errors go to the caller, and
        then nothing was stored.
        """
        for tries_left in reversed(range(_TRIES)):
            try:
                accepted, messages = await self._store(told, topic, request)
                break
            except (asyncpg.TransactionRollbackError, _TakenMeanwhileError):
                if not tries_left:
                    raise
        if not accepted.repeated:
            await self._publish(messages, accepted.incident_id)
        return accepted

    async def given_before(self, request: Request) -> Accepted | None:
        """Give the first answer again where the request's key is known; raises `ConflictError` as `take` does."""
        if request.idempotency_key is None:
            return None
        async with self._pool.acquire() as connection:
            return await self._known(connection, request.idempotency_key, request)

    async def drain(self) -> None:
        """Wait until nothing is being published any more; call it before the broker is stopped."""
        while self._publishing:
            await asyncio.wait(self._publishing)

    async def _known(self, connection: Connection, key: str, request: Request) -> Accepted | None:
        known = await connection.fetchrow(query("find_accepted"), key, statuses(self._namespace))
        return None if known is None else _again(known, request)

    async def _store(self, told: Told, topic: str, request: Request) -> tuple[Accepted, list[Outgoing]]:
        event_id = uuid7()
        key = request.idempotency_key or str(event_id)
        async with self._pool.acquire() as connection, connection.transaction():
            known = await self._known(connection, key, request)
            if known is not None:
                return known, []
            draft = self._draft(event_id, told, topic)
            if isinstance(told, IncidentReport) and (told.alert or told.references):
                incident_id = (await resolve_alerts(connection, [told]))[id(told)]
                draft = self._draft(event_id, told.model_copy(update={"incident_id": incident_id}), topic)
            row = await connection.fetchrow(
                query("accept_report"),
                event_id,
                draft.incident_id,
                told.status.value,
                request.origin,
                key,
                request.content_type,
                request.body,
                draft.envelope.time,
                self._namespace.value,
                draft.topic,
                draft.envelope.type,
                draft.envelope.source,
                draft.value.decode(),
                LEASE,
            )
            if row is None:
                raise _TakenMeanwhileError
        _log.info("accepted", incident_id=str(draft.incident_id), event_id=str(event_id), origin=request.origin)
        messages = [] if row["behind"] else [draft.with_seq(row["seq"])]
        return Accepted(draft.incident_id, event_id, repeated=False), messages

    def _draft(self, event_id: UUID, told: Told, topic: str) -> Draft:
        kind = _kind(told)
        envelope = envelope_of(event_id, kind, self._source, told.incident_id, self._clock.now(), told.status)
        value = write_value(told)
        try:
            # What a service could not read must be refused here, while somebody is there to be told.
            read_message(envelope.headers(), value, kind)
        except ContractError as error:
            raise InvalidError(str(error)) from None
        return Draft(topic, told.incident_id, envelope, value, self._namespace)

    async def _publish(self, messages: list[Outgoing], incident_id: UUID) -> None:
        task = asyncio.create_task(self._publish_quietly(messages, incident_id))
        self._publishing.add(task)
        task.add_done_callback(self._publishing.discard)
        await asyncio.wait([task], timeout=PUBLISH_WITHIN)

    async def _publish_quietly(self, messages: list[Outgoing], incident_id: UUID) -> None:
        try:
            await self._outbox.publish(messages, [incident_id])
        except Exception as error:  # noqa: BLE001 - it is on record; no fault of the broker's undoes that
            _log.warning("publishing is left to the sweeper", incident_id=str(incident_id), error=repr(error))


class _TakenMeanwhileError(RefusedError):
    """Another request with the same key was first; the next try finds it."""


def _kind(told: Told) -> str:
    if isinstance(told, IncidentReport):
        return INCIDENT
    return ACKNOWLEDGEMENT if isinstance(told, Acknowledgement) else COMMAND


def _again(known: asyncpg.Record, request: Request) -> Accepted:
    if known["body"] != request.body or known["origin"] != request.origin:
        raise ConflictError(
            f"idempotency key {request.idempotency_key}: was used before for something else;"
            " send the same request again, or a new key"
        )
    return Accepted(known["incident_id"], known["event_id"], repeated=True)
