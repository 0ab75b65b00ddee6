"""What a subscription promises whatever happens to its handler or its group, against a real broker."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

from schemas.envelope import INCIDENT
from schemas.topics import INCIDENTS, topic_name
from schemas.vocabulary import Namespace
from services.platform.kafka import BRISK, Received, Record, consume, make_broker
from services.platform.topics import create_topics
from tests.services.support import report, send, sent_report, until


async def test_records_are_neither_passed_by_when_their_handler_fails_nor_lost_with_the_group(broker: str) -> None:
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
        return len(taken) >= number

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
        await until(lambda: seen(2))
        assert len(set(taken)) == 2
    finally:
        await client.stop()
