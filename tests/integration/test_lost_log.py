"""What a group commits when its broker has lost all data while it was at work, on Apache Kafka."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from uuid_utils.compat import uuid7

from schemas.envelope import INCIDENT
from schemas.topics import INCIDENTS, topic_name
from schemas.vocabulary import Namespace
from services.platform.embedded.apache import ApacheKafka
from services.platform.kafka import Received, Record, consume, make_broker
from services.platform.kafka_commits import member_of
from services.platform.topics import create_topics
from tests.services.support import report, send, sent_report, until

pytestmark = pytest.mark.kafka
GROUP = "test"
TOPIC = topic_name(INCIDENTS, Namespace.ACTUAL)


async def committed(bootstrap: str) -> list[int | None]:
    """Ask how far the group is said to have read."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=GROUP, enable_auto_commit=False)
    await consumer.start()
    try:
        return [await consumer.committed(TopicPartition(TOPIC, number)) for number in range(INCIDENTS.partitions)]
    finally:
        await consumer.stop()


async def test_what_was_read_before_the_broker_lost_all_is_not_committed_to_its_new_life(tmp_path: Path) -> None:
    """Or the group would begin in the new log where it had stopped in the old, behind records that nobody has read."""
    taken: set[UUID] = set()
    in_hand, go_on, is_settled, may_join = (asyncio.Event() for _ in range(4))

    async def handle(records: Sequence[Record]) -> None:
        in_hand.set()
        await go_on.wait()
        taken.update(record.envelope.id for record in records if isinstance(record, Received))

    async def is_in_hand() -> bool:
        await send(cluster.bootstrap, sent_report(told))
        return in_hand.is_set()

    async def is_nobody() -> bool:
        return member_of(consumer).generation < 0

    async def commit(done: dict[TopicPartition, int]) -> None:
        try:
            await committing(done)
        finally:
            is_settled.set()

    async def join(subscription: Any) -> bool:
        if await is_nobody():
            await may_join.wait()  # or it is a moment's chance whether a commit is tried while it is nobody
        return bool(await joining(subscription))

    async def all_is_read() -> bool:
        return {event_id for _, event_id in later} <= taken

    told = report()
    cluster = ApacheKafka(tmp_path, brokers=1)
    await cluster.start()
    await create_topics(cluster.bootstrap, Namespace.ACTUAL, [], replication=1)
    client = make_broker(cluster.bootstrap, client_id=GROUP)
    consume(client, handle, expected=INCIDENT, group=GROUP, topics=[TOPIC])
    await client.start()
    consumer = client.subscribers[0].consumer  # type: ignore[attr-defined]
    try:
        await until(is_in_hand, seconds=60)
        committing, consumer.commit = consumer.commit, commit
        joining, consumer._coordinator._do_rejoin_group = consumer._coordinator._do_rejoin_group, join
        cluster.kill(1)
        await cluster.stop()
        cluster.wipe()
        await cluster.start()
        await create_topics(cluster.bootstrap, Namespace.ACTUAL, [], replication=1)
        await until(is_nobody, seconds=60)
        go_on.set()
        await asyncio.wait_for(is_settled.wait(), 30)
        assert await committed(cluster.bootstrap) == [None] * INCIDENTS.partitions
        later = [(told, uuid7()) for _ in range(9)]
        await send(cluster.bootstrap, *(sent_report(*each) for each in later))
        may_join.set()
        await until(all_is_read, seconds=60)
    finally:
        go_on.set()
        may_join.set()
        await client.stop()
        await cluster.stop()
