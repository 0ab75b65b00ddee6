"""How far the services' consumers are behind, as the broker tells it."""

import asyncio
from contextlib import suppress

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from pydantic import BaseModel

from schemas.topics import all_topics, group_name
from services.platform.kafka_security import Brokers
from services.platform.published import published_departments
from services.platform.runtime import Runtime

BROKER_WITHIN = 5.0
"""Seconds in which the broker must answer for one group."""
_TAKEN = {"incidents": "dispatch", "commands": "dispatch", "acknowledgements": "tracking"}
"""Which service takes which topic, by the topic's own name."""


class Lag(BaseModel):
    """How far a group of consumers is behind: records not yet taken; None where the broker doesn't tell."""

    group: str
    topic: str
    behind: int | None


async def lags(runtime: Runtime) -> list[Lag]:
    """Ask the broker how far each group is; the departments' topics are one line."""
    topics = all_topics(runtime.namespace, await published_departments(runtime.pool))
    found: list[Lag] = []
    for name, service in _TAKEN.items():
        partitions = [
            TopicPartition(at, n) for at, topic in topics if topic.name == name for n in range(topic.partitions)
        ]
        behind: int | None = None
        with suppress(KafkaError, OSError, TimeoutError):
            async with asyncio.timeout(BROKER_WITHIN):
                behind = await _behind(runtime.brokers, group_name(runtime.namespace, service), partitions)
        found.append(Lag(group=service, topic=name, behind=behind))
    return found


async def _behind(brokers: Brokers, group: str, partitions: list[TopicPartition]) -> int:
    # A consumer that is assigned its partitions by hand reads the group's commits without joining it.
    consumer = AIOKafkaConsumer(**brokers.options(), group_id=group, enable_auto_commit=False, request_timeout_ms=5_000)
    try:
        await consumer.start()
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        starts = await consumer.beginning_offsets(partitions)
        behind = 0
        for partition in partitions:
            at = await consumer.committed(partition)
            behind += max(0, ends[partition] - (starts[partition] if at is None else at))
        return behind
    finally:
        await consumer.stop()
