"""What leaves Muster for the world outside: a webhook that tells the duty officer what needs attention.

An adapter refuses by itself whatever is not Actual, unless the department it speaks to takes part in the drill. Calls
are signed (`services.platform.webhooks`), and each is put on record, sent or not. A call may be made twice when a
process dies in between; ``webhook-id`` is then the same.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol
from uuid import UUID

import httpx
import stamina
from prometheus_client import Counter
from pydantic import HttpUrl, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from schemas.envelope import TIMELINE
from schemas.timeline import TimelineEntry
from schemas.topics import TIMELINES, topic_name
from schemas.vocabulary import Namespace, Status
from services.platform.decider import statuses
from services.platform.entries import entry_of
from services.platform.errors import ConfigurationError, MusterError, RefusedError
from services.platform.kafka import Received, Record
from services.platform.logs import get_logger
from services.platform.postgres import TRANSIENT, Pool
from services.platform.queries import query
from services.platform.runtime import Runtime
from services.platform.secret_files import secret_from
from services.platform.webhooks import key_of, sign
from services.platform.worker import retry_for_ever

SERVICE = "outbound"
TIMEOUT = 5.0
"""Seconds for one call."""
RETRY_WITHIN = 10.0
"""Seconds for all tries of one call, before it is put on record as failed and tried again later."""
TRY_AGAIN_EVERY = 30.0
TRY_AGAIN_FOR = timedelta(hours=1)
"""How often, in seconds, and for how long failed calls are tried again."""
TOLD_WITHIN = timedelta(minutes=1)
"""After this an entry whose message has not come is told of from the record; the broker may have lost it."""
AT_ONCE = 16
"""Incidents that are told of at the same time."""
_TRY_AGAIN = frozenset({408, 425, 429})

Listed = Callable[[UUID], Awaitable[frozenset[str]]]
"""Gives the departments that take part in the drill which an incident belongs to; none where it belongs to none."""

CALLS = Counter("muster_outbound_calls_total", "Calls to the world outside, by outcome.", ["namespace", "outcome"])

_log = get_logger(__name__)


class WebhookSettings(BaseSettings):
    """``MUSTER_WEBHOOK_URL``, ``_SECRET`` (or ``_SECRET_FILE``); without an address nothing is sent."""

    model_config = SettingsConfigDict(env_prefix="MUSTER_WEBHOOK_", env_file=".env", extra="ignore", frozen=True)

    url: HttpUrl | None = None
    secret: SecretStr | None = None
    secret_file: Path | None = None


class NotTakenError(MusterError):
    """The other side did not take a call; ``later`` says whether another try may go better."""

    def __init__(self, message: str, *, later: bool) -> None:
        super().__init__(message)
        self.later = later


class Outbound(Protocol):
    """A way to somebody outside."""

    @property
    def target(self) -> str:
        """Name where it goes, without anything secret."""

    async def send(self, entry: TimelineEntry, department: str) -> None:
        """Tell ``department`` of an entry. Raises `RefusedError` when it must not, `NotTakenError` when it can't."""


def check_may_leave(status: Status, department: str, participants: frozenset[str]) -> None:
    """Raise `RefusedError` for what is not Actual, unless the department takes part in the drill."""
    if status is not Status.ACTUAL and department not in participants:
        raise RefusedError(f"{status} must not reach {department}: it is not listed as a participant of the drill")


class Webhook:
    """Posts entries as JSON to one address. ``participants`` are the drill's, empty beside real operations.

    ``listed`` looks them up by the incident, where the process outlives a drill.
    """

    def __init__(
        self,
        url: str,
        secret: str,
        *,
        participants: frozenset[str] = frozenset(),
        listed: Listed | None = None,
        client: httpx.AsyncClient | None = None,
    ) -> None:
        parts = httpx.URL(url)
        if parts.scheme not in {"http", "https"} or not secret:
            raise ConfigurationError("webhook: give an http or https address, and a secret to sign with")
        self.target = str(parts.copy_with(userinfo=b"", query=None, fragment=None))
        self._url = url
        self._key = key_of(secret)
        self._participants = participants
        self._listed = listed
        self._client = client or httpx.AsyncClient(timeout=TIMEOUT)

    async def send(self, entry: TimelineEntry, department: str) -> None:
        """Post one entry; tries again for `RETRY_WITHIN` seconds while the other side is away or too busy."""
        check_may_leave(entry.status, department, await self._participants_of(entry))
        body = json.dumps(
            {
                "type": "muster.attention.v1",
                "timestamp": entry.recorded_at.isoformat(),
                "status": entry.status.value,
                "to": department,
                "data": entry.model_dump(mode="json", exclude_none=True),
            },
            ensure_ascii=False,
        ).encode()
        async for attempt in stamina.retry_context(
            on=lambda error: isinstance(error, NotTakenError) and error.later,
            attempts=None,
            timeout=RETRY_WITHIN,
            wait_initial=0.2,
            wait_max=3.0,
        ):
            with attempt:
                await self._post(str(entry.entry_id), body)

    async def _participants_of(self, entry: TimelineEntry) -> frozenset[str]:
        if self._listed is None or entry.status is Status.ACTUAL:
            return self._participants
        try:
            return self._participants | await self._listed(entry.incident_id)
        except TRANSIENT as error:
            raise NotTakenError(f"who takes part in the drill is not known: {error!r}", later=True) from error

    async def _post(self, id_: str, body: bytes) -> None:
        headers = {"content-type": "application/json", **sign(self._key, id_, datetime.now(UTC), body)}
        try:
            answer = await self._client.post(self._url, content=body, headers=headers)
        except httpx.HTTPError as error:
            raise NotTakenError(f"{self.target}: {error or type(error).__name__}", later=True) from error
        if not answer.is_success:
            later = answer.status_code in _TRY_AGAIN or answer.is_server_error
            raise NotTakenError(f"{self.target}: {answer.status_code} {answer.reason_phrase}", later=later)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._client.aclose()


class Alarms:
    """Tells the duty officer of what needs attention, and puts on record what came of it."""

    def __init__(self, runtime: Runtime, way: Outbound) -> None:
        self._runtime = runtime
        self._pool: Pool = runtime.pool
        self._way = way

    async def handle(self, records: Sequence[Record]) -> None:
        """Take a batch of the timeline. Incidents are told of side by side, each one's entries in their order."""
        by_incident: defaultdict[UUID, list[TimelineEntry]] = defaultdict(list)
        for record in records:
            # What can't be read here is looked after by those who wrote it: the record has it in any case.
            entry = record.message if isinstance(record, Received) else None
            if isinstance(entry, TimelineEntry) and self._is_ours(entry):
                by_incident[entry.incident_id].append(entry)
        slots = asyncio.Semaphore(AT_ONCE)

        async def one(entries: list[TimelineEntry]) -> None:
            async with slots:
                for entry in entries:
                    await self._settle(entry)

        await asyncio.gather(*(one(entries) for entries in by_incident.values()))

    def _is_ours(self, entry: TimelineEntry) -> bool:
        return entry.attention and Namespace.of(entry.status) is self._runtime.namespace

    async def _settle(self, entry: TimelineEntry) -> None:
        async for attempt in retry_for_ever():
            with attempt:
                known = await self._pool.fetchval(
                    "SELECT outcome FROM outbound_calls WHERE entry_id = $1", entry.entry_id
                )
                officer = (await self._runtime.playbook.current()).directory.duty_officer
        if known in {"sent", "refused"}:
            return
        outcome, reason = "sent", None
        try:
            await self._way.send(entry, officer)
        except RefusedError as error:
            outcome, reason = "refused", str(error)
        except NotTakenError as error:
            outcome, reason = "failed", str(error)
            _log.error("not told outside", incident_id=str(entry.incident_id), reason=reason)
        CALLS.labels(self._runtime.namespace.value, outcome).inc()
        async for attempt in retry_for_ever():
            with attempt:
                await self._pool.execute(
                    query("settle_outbound"),
                    entry.entry_id,
                    entry.incident_id,
                    entry.status.value,
                    officer,
                    self._way.target,
                    outcome,
                    reason,
                )

    async def try_again(self) -> None:
        """Try failed calls again, and make those whose message never came, until cancelled."""
        while True:
            await asyncio.sleep(TRY_AGAIN_EVERY)
            try:
                rows = await self._pool.fetch(
                    query("untold_outbound"), statuses(self._runtime.namespace), TRY_AGAIN_FOR, TOLD_WITHIN
                )
            except TRANSIENT as error:
                _log.warning("untold entries not looked at", error=repr(error))
                continue
            for row in rows:
                await self._settle(entry_of(row))


def attach(
    runtime: Runtime,
    settings: WebhookSettings,
    participants: frozenset[str] = frozenset(),
    *,
    listed: Listed | None = None,
) -> bool:
    """Let a process tell the duty officer; False when no address is set.

    ``participants``, and those that ``listed`` gives for an incident, are the departments that a drill may reach.
    Raises `ConfigurationError` without a secret.
    """
    if settings.url is None:
        return False
    secret = secret_from("MUSTER_WEBHOOK_SECRET", settings.secret, settings.secret_file)
    text = secret.get_secret_value() if secret else ""
    alarms = Alarms(runtime, Webhook(str(settings.url), text, participants=participants, listed=listed))
    runtime.consume(SERVICE, alarms.handle, expected=TIMELINE, topics=[topic_name(TIMELINES, runtime.namespace)])
    runtime.every(alarms.try_again)
    return True
