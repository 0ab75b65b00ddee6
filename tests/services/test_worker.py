"""What a worker does about a batch that can't be decided as a whole."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

import asyncpg
import pytest
from aiokafka import ConsumerRecord
from structlog.testing import capture_logs
from uuid_utils.compat import uuid7

from schemas.acknowledgement import Acknowledgement
from schemas.envelope import ACKNOWLEDGEMENT, INCIDENT
from schemas.vocabulary import Answer, Namespace, Status
from services.dispatch.service import admit_report
from services.domain.decision import Decision, Outcome
from services.platform.clock import SystemClock
from services.platform.decider import Decider, Incoming, Settled
from services.platform.kafka import read_record
from services.platform.postgres import Pool
from services.platform.published import PublishedPlaybook
from services.platform.worker import Worker
from services.playbooks.stored import directory_from, plan_from
from services.tracking.service import admit as admit_answer
from tests.services.support import Sent, publish_shipped, report, sent_answer, sent_report


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


def record(sent: Sent, place: int) -> Any:
    topic, key, value, headers = sent
    at = int(datetime.now(UTC).timestamp() * 1000)
    return cast("Any", ConsumerRecord)(topic, 0, place, at, 0, key, value, None, len(key), len(value), headers)


def received(number: int) -> list[Any]:
    return [read_record(record(sent_report(report()), place), INCIDENT) for place in range(number)]


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


async def test_what_is_invalid_is_set_aside_though_its_worker_died_before(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the decision, which is on record, and the dead letter, which an operator sees; one letter in all."""

    async def die(*_: object) -> None:
        raise asyncio.CancelledError

    playbook = PublishedPlaybook(pool, plan_from, directory_from)
    decider = Decider(pool, playbook, SystemClock(), Namespace.ACTUAL, "test")
    worker = Worker(pool, decider, None, Namespace.ACTUAL, admit_answer)
    answer = Acknowledgement(
        assignment_id=uuid7(),
        incident_id=uuid7(),
        status=Status.ACTUAL,
        department="fire-service",
        answer=Answer.COMMIT,
        answered_at=datetime.now(UTC),
    )
    sent = sent_answer(answer)
    await publish_shipped(pool)
    records = [read_record(record(sent, 3), ACKNOWLEDGEMENT)]
    with monkeypatch.context() as patch:
        patch.setattr("services.platform.worker.set_aside", die)
        with pytest.raises(asyncio.CancelledError):
            await worker.handle(records)
    assert await pool.fetchval("SELECT count(*) FROM inbox WHERE outcome = 'invalid'") == 1
    assert await pool.fetchval("SELECT count(*) FROM dead_letters") == 0
    for _ in range(2):
        await worker.handle(records)
    letters = await pool.fetch("SELECT position, reason FROM dead_letters")
    assert [tuple(letter) for letter in letters] == [(3, "there is no such incident")]
    again = [read_record(record(sent, 4), ACKNOWLEDGEMENT)]
    await worker.handle(again)
    assert await pool.fetchval("SELECT count(*) FROM dead_letters") == 1, "said again it is a repeat"
    assert await pool.fetchval("SELECT count(*) FROM inbox") == 1
