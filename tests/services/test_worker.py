"""What a worker does about a batch that can't be decided as a whole."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

import asyncpg
from aiokafka import ConsumerRecord
from structlog.testing import capture_logs

from schemas.envelope import INCIDENT
from schemas.vocabulary import Namespace
from services.dispatch.service import admit_report
from services.domain.decision import Decision, Outcome
from services.platform.decider import Incoming, Settled
from services.platform.kafka import read_record
from services.platform.postgres import Pool
from services.platform.worker import Worker
from tests.services.support import report, sent_report


class Refusing:
    """Stands where a decider stands: has no room for more than some, and can't decide one of them."""

    def __init__(self, at_most: int, bad: UUID | None = None) -> None:
        self.at_most, self.bad = at_most, bad
        self.decided: list[UUID] = []

    async def decide(self, batch: Sequence[Incoming]) -> Settled:
        if len(batch) > self.at_most:
            raise asyncpg.OutOfMemoryError("out of shared memory")
        if any(incoming.event.id == self.bad for incoming in batch):
            raise LookupError("nobody foresaw this")
        self.decided += [incoming.event.id for incoming in batch]
        return Settled([Decision(Outcome.APPLIED, "done", None) for _ in batch])


def received(number: int) -> list[Any]:
    at = int(datetime.now(UTC).timestamp() * 1000)
    sent = [sent_report(report()) for _ in range(number)]
    records = [
        cast("Any", ConsumerRecord)(topic, 0, place, at, 0, key, value, None, len(key), len(value), headers)
        for place, (topic, key, value, headers) in enumerate(sent)
    ]
    return [read_record(record, INCIDENT) for record in records]


async def test_a_batch_that_the_database_has_no_room_for_is_decided_in_parts_in_its_order(pool: Pool) -> None:
    """However often it is tried: PostgreSQL has a table of locks of one size for all."""
    decider, records = Refusing(at_most=3), received(20)
    await Worker(pool, cast("Any", decider), None, Namespace.ACTUAL, admit_report).handle(records)
    assert decider.decided == [record.envelope.id for record in records]


async def test_one_record_that_can_not_be_decided_is_set_aside_and_no_other(pool: Pool) -> None:
    records = received(20)
    decider = Refusing(at_most=20, bad=records[7].envelope.id)
    with capture_logs() as logs:
        await Worker(pool, cast("Any", decider), None, Namespace.ACTUAL, admit_report).handle(records)
    assert [line["event"] for line in logs].count("message can't be decided") == 1
    assert decider.decided == [record.envelope.id for record in records if record is not records[7]]
    assert await pool.fetchval("SELECT array_agg(position) FROM dead_letters") == [7]
