"""What a service does with a batch of records: admit or set aside, decide on record, publish."""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime

import asyncpg
import stamina

from schemas.vocabulary import Namespace
from services.domain.decision import Answered, Commanded, Decision, Outcome, Reported
from services.platform.dead_letters import DeadLetter, announcement, set_aside
from services.platform.decider import Decider, Incoming
from services.platform.errors import UnpublishedError
from services.platform.kafka import Received, Record, Unreadable
from services.platform.logs import get_logger
from services.platform.one_line import one_line
from services.platform.outbox import Outbox
from services.platform.postgres import TRANSIENT, Pool

Admit = Callable[[Received], Reported | Commanded | Answered | str]
"""Turns a readable record into an event, or says in one sentence why it is not admitted."""

_EVERYDAY = frozenset({Outcome.APPLIED, Outcome.REPEATED})
"""What is one of thousands and on the timeline anyway: told by its number, unless the level is ``debug``."""
WAIT_AT_MOST = 5.0
"""Seconds, the longest pause between two tries of a transient failure."""

_log = get_logger(__name__)


def retry_for_ever(*, unless: type[Exception] | tuple[()] = ()) -> "stamina._core._RetryContextIterator":
    """Try again while the database is away, with back-off and jitter; nothing is dropped for being early."""

    def passes(error: Exception) -> bool:
        return isinstance(error, (*TRANSIENT, UnpublishedError)) and not isinstance(error, unless)

    return stamina.retry_context(on=passes, attempts=None, timeout=None, wait_initial=0.05, wait_max=WAIT_AT_MOST)


class Worker:
    """Takes the records of one kind of topic.

    Without an ``outbox`` what it decides is left for the services to publish; ``again_at`` says when a record was
    decided before, see `Incoming`.
    """

    def __init__(
        self,
        pool: Pool,
        decider: Decider,
        outbox: Outbox | None,
        namespace: Namespace,
        admit: Admit,
        again_at: Callable[[Received], datetime | None] = lambda _: None,
    ) -> None:
        self._pool = pool
        self._decider = decider
        self._outbox = outbox
        self._namespace = namespace
        self._admit = admit
        self._again_at = again_at

    async def handle(self, records: Sequence[Record]) -> None:
        """Take a batch. Returns once every record has had its effect or is set aside; then it may be committed."""
        batch: list[Incoming] = []
        sources: dict[int, Received] = {}
        letters: list[DeadLetter] = []
        for record in records:
            if isinstance(record, Unreadable):
                letters.append(letter_of(record, record.reason))
                continue
            event = self._admitted(record)
            if isinstance(event, str):
                letters.append(letter_of(record, event))
                continue
            incoming = Incoming(event, record.envelope.type, record.origin, self._again_at(record))
            sources[id(incoming)] = record
            batch.append(incoming)
        if batch:
            letters += await self._decide(batch, sources)
        if letters:
            async for attempt in retry_for_ever():
                with attempt:
                    await set_aside(self._pool, self._namespace, letters)
            if self._outbox is not None:
                await self._outbox.announce([announcement(letter, self._namespace) for letter in letters])

    def _admitted(self, record: Received) -> Reported | Commanded | Answered | str:
        if Namespace.of(record.envelope.status) is not self._namespace:
            return f"status: {record.envelope.status} does not belong in the {self._namespace} namespace"
        return self._admit(record)

    async def _decide(self, batch: Sequence[Incoming], sources: dict[int, Received]) -> list[DeadLetter]:
        try:
            # PostgreSQL has room for so many locks: too large a batch would find none however often it tries.
            async for attempt in retry_for_ever(unless=asyncpg.OutOfMemoryError if len(batch) > 1 else ()):
                with attempt:
                    settled = await self._decider.decide(batch)
        except Exception as error:  # noqa: BLE001 - whatever it is, one bad message must not stop the others
            if (half := len(batch) // 2) > 0:
                _log.warning("batch not decided; trying its halves", events=len(batch), error=one_line(repr(error)))
                first = await self._decide(batch[:half], sources)
                return first + await self._decide(batch[half:], sources)
            _log.exception("message can't be decided", incident_id=str(batch[0].incident_id))
            return [letter_of(sources[id(batch[0])], f"can't be decided: {type(error).__name__}: {error}")]
        _tell(batch, settled.decisions)
        if self._outbox is not None:
            await self._outbox.publish_soon(settled.messages, settled.incidents)
        return [
            letter_of(sources[id(incoming)], decision.reason)
            for incoming, decision in zip(batch, settled.decisions, strict=True)
            if decision.outcome is Outcome.INVALID
        ]


def letter_of(record: Record, reason: str) -> DeadLetter:
    """Make a letter that holds the very bytes of a record."""
    return DeadLetter(record.origin, one_line(reason), record.raw.key, record.raw.headers, record.raw.value)


def _tell(batch: Sequence[Incoming], decisions: Sequence[Decision]) -> None:
    everyday = 0
    told_too = _log.is_enabled_for(logging.DEBUG)
    for incoming, decision in zip(batch, decisions, strict=True):
        everyday += (is_everyday := decision.outcome in _EVERYDAY)
        if is_everyday and not told_too:
            continue
        _log.log(
            logging.DEBUG if is_everyday else logging.INFO,
            "decided",
            incident_id=str(incoming.incident_id),
            event_id=str(incoming.event.id),
            type=incoming.type,
            outcome=decision.outcome.value,
            reason=decision.reason,
            status=decision.incident.status.value if decision.incident else None,
            assignments=[str(order.message.assignment_id) for order in decision.orders],
        )
    if everyday:
        _log.info("decided as usual", events=everyday)
