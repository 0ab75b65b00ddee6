"""What a subscription promises whatever happens to its handler or its group, against a real broker."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, cast
from uuid import UUID

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import TopicAuthorizationFailedError
from uuid_utils.compat import uuid7

from schemas.envelope import INCIDENT
from schemas.incident import IncidentReport
from schemas.topics import INCIDENTS, topic_name
from schemas.vocabulary import Namespace
from services.platform.kafka import BRISK, LANES, Received, Record, consume, make_broker
from services.platform.topics import create_topics
from tests.services.support import report, send, sent_report, until


class Shares:
    """Stands where aiokafka's consumer stands: each look finds one partition's records, or fails."""

    def __init__(self, *looks: list[str] | Exception) -> None:
        self._looks = list(looks)
        self._fetcher = self._coordinator = self
        self.generation, self.member_id = 1, "test"
        self._records = OrderedDict({TopicPartition("orders", number): None for number in range(len(looks))})

    async def getmany(self, *, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[str]]:
        del timeout_ms, max_records
        partition, _ = self._records.popitem(last=False)
        found = self._looks.pop(0)
        if isinstance(found, Exception):
            raise found
        return {partition: found}


async def test_what_was_read_is_handled_though_another_partition_can_not_be_read() -> None:
    """Also where that is another department's topic: what was read before would be passed by with the next commit."""

    async def handle(records: Sequence[Record]) -> None:
        del records

    client = make_broker("localhost:1", client_id="test")
    consumer = consume(client, handle, expected=INCIDENT, group="test", topics=["orders"])
    refused = TopicAuthorizationFailedError("orders")
    shares: Any = Shares(["first"], refused, ["second"])
    assert await consumer._next(shares) == ("first",)
    assert await consumer._next(shares) == ("second",)
    with pytest.raises(TopicAuthorizationFailedError):
        await consumer._next(cast("Any", Shares(refused)))


async def test_records_are_neither_passed_by_when_their_handler_fails_nor_lost_with_the_group(
    broker: str, caplog: pytest.LogCaptureFixture
) -> None:
    taken: list[UUID] = []
    failures = 0

    async def handle(records: Sequence[Record]) -> None:
        nonlocal failures
        if failures < 1:
            failures += 1
            raise LookupError("nobody foresaw this")
        for record in records:
            assert isinstance(record, Received)
            taken.append(record.envelope.id)

    async def seen(number: int) -> bool:
        return len(set(taken)) >= number

    await create_topics(broker, Namespace.ACTUAL, [], replication=1)
    client = make_broker(broker, client_id="test")
    topic = topic_name(INCIDENTS, Namespace.ACTUAL)
    consumer = consume(client, handle, expected=INCIDENT, group="test", topics=[topic], pace=BRISK)
    await client.start()
    try:
        await send(broker, sent_report(report()))
        await until(lambda: seen(1))
        assert failures == 1, "the same record was handed over again"

        coordinator = client.subscribers[0].consumer._coordinator  # type: ignore[attr-defined]
        coordinator._coordination_task.cancel()
        await asyncio.wait([coordinator._coordination_task])
        assert not consumer.is_alive()
        await consumer.mend()
        assert consumer.is_alive()
        await send(broker, sent_report(report()))
        # The first may come again: whether it was committed before the group was lost, nobody knows.
        await until(lambda: seen(2))
        assert "failed on partition assignment" not in caplog.text
    finally:
        await client.stop()


async def test_partitions_take_turns_so_that_what_waits_longest_in_each_comes_first(broker: str) -> None:
    taken: list[int] = []

    async def handle(records: Sequence[Record]) -> None:
        taken.extend(record.origin.partition for record in records)

    async def seen() -> bool:
        return len(taken) == 80

    await create_topics(broker, Namespace.ACTUAL, [], replication=1)
    await send(broker, *[sent_report(report()) for _ in range(80)])
    client = make_broker(broker, client_id="test")
    topic = topic_name(INCIDENTS, Namespace.ACTUAL)
    consume(client, handle, expected=INCIDENT, group="test", topics=[topic], pace=BRISK, batch=1)
    await client.start()
    try:
        await until(seen)
    finally:
        await client.stop()
    assert len(set(taken[: INCIDENTS.partitions])) == len(set(taken)) > 1


async def test_an_incidents_records_stay_together_in_their_order_while_others_are_handled_beside_them(
    broker: str,
) -> None:
    """Also where they are more than one batch of the producer holds."""
    taken: dict[UUID, list[UUID]] = {}
    at_work = most_at_work = 0

    async def handle(records: Sequence[Record]) -> None:
        nonlocal at_work, most_at_work
        at_work += 1
        most_at_work = max(most_at_work, at_work)
        await asyncio.sleep(0.01)  # what is handled beside this one begins
        for record in records:
            assert isinstance(record, Received)
            message = record.message
            assert isinstance(message, IncidentReport)
            taken.setdefault(message.incident_id, []).append(record.envelope.id)
        at_work -= 1

    async def seen() -> bool:
        return sum(map(len, taken.values())) == 120

    told = [report(description="x" * 10_000) for _ in range(20)]
    events = [(said, uuid7()) for _ in range(6) for said in told]
    await create_topics(broker, Namespace.ACTUAL, [], replication=1)
    await send(broker, *[sent_report(said, event_id) for said, event_id in events])
    client = make_broker(broker, client_id="test")
    topic = topic_name(INCIDENTS, Namespace.ACTUAL)
    consume(client, handle, expected=INCIDENT, group="test", topics=[topic], pace=BRISK)
    await client.start()
    try:
        await until(seen)
    finally:
        await client.stop()
    assert most_at_work == LANES
    assert taken == {said.incident_id: [event_id for of, event_id in events if of is said] for said in told}
