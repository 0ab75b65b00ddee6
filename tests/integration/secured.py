"""Trying out what a user may do on a secured cluster: each thing is really asked of the broker."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import uuid4

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import TopicAuthorizationFailedError
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.group import HeartbeatRequest

from services.platform.kafka_security import Brokers

TOPIC_DENIED = 29
GROUP_DENIED = 30
_FETCH_BYTES = 1_000_000
_WITHIN = 60.0

Right = tuple[str, str]
"""What can be done, and with which topic or group: ``("writes", "muster.actual.incidents")``."""


@dataclass(frozen=True)
class Cluster:
    """What there is to be tried."""

    topics: tuple[str, ...]
    groups: tuple[str, ...]


async def rights(user: Brokers, cluster: Cluster) -> set[Right]:
    """Try everything as one user, and say what succeeded."""
    client = AIOKafkaClient(**user.options(), client_id="trial")
    async with asyncio.timeout(_WITHIN):
        await client.bootstrap()
        try:
            found = {("reads", topic) for topic in cluster.topics if await _reads(client, topic)}
            for group in cluster.groups:
                found |= {(verb, group) for verb in await _with_group(client, group)}
        finally:
            await client.close()
        return found | await _written(user, cluster.topics) | await _created(user, cluster.topics)


async def _reads(client: AIOKafkaClient, topic: str) -> bool:
    request = FetchRequest(100, 1, _FETCH_BYTES, 0, [(topic, [(0, 0, _FETCH_BYTES)])])
    answer = await client.send(client.get_random_node(), request)
    [(_, [partition])] = answer.topics
    code, records = partition[1], partition[-1]
    assert code in {0, TOPIC_DENIED}, code
    assert bool(records) == (code == 0), f"{topic}: {code}, {len(records or b'')} bytes"
    return bool(code == 0)


async def _with_group(client: AIOKafkaClient, group: str) -> Iterable[str]:
    node = client.get_random_node()
    sees = (await client.send(node, FindCoordinatorRequest(group, 0))).error_code != GROUP_DENIED
    joins = (await client.send(node, HeartbeatRequest(group, -1, ""))).error_code != GROUP_DENIED
    return [verb for verb, may in (("sees", sees), ("joins", joins)) if may]


async def _written(user: Brokers, topics: Iterable[str]) -> set[Right]:
    producer = AIOKafkaProducer(**user.options(), acks="all", client_id="trial")

    async def write(topic: str) -> Right | None:
        try:
            # Sixteen bytes, as they are read from the topic that names the broker's life.
            await producer.send_and_wait(topic, uuid4().bytes, partition=0)
        except TopicAuthorizationFailedError:
            return None
        return ("writes", topic)

    await producer.start()
    try:
        found = await asyncio.gather(*map(write, topics))
    finally:
        await producer.stop()
    return {right for right in found if right is not None}


async def _created(user: Brokers, topics: Iterable[str]) -> set[Right]:
    """Ask for a topic beside each of these, for the asking only."""
    admin = AIOKafkaAdminClient(**user.options(), client_id="trial")
    await admin.start()
    try:
        wanted = [NewTopic(f"{topic}.more", 1, 1) for topic in topics]
        answer = await admin.create_topics(wanted, validate_only=True)
    finally:
        await admin.close()
    codes = {name: code for name, code, *_ in answer.topic_errors}
    assert set(codes.values()) <= {0, TOPIC_DENIED}, codes
    return {("creates", name.removesuffix(".more")) for name, code in codes.items() if code == 0}
