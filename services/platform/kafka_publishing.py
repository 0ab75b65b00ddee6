"""How records leave: in batches by partition, each in the order in which its records were given."""

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError
from faststream.kafka import KafkaBroker

from services.platform.kafka_partition import Partitioner

Outbound = tuple[str, bytes, bytes, list[tuple[str, bytes]]]
"""A record to publish: topic, key, value, headers."""
REFRESH_MS = 300_000
"""How often the producer asks where all its topics are, unasked: Kafka's own default. What moves, errors tell at once.

Consumers ask every ten seconds, for new topics that match their pattern. To read the answer for 10,000 topics keeps a
process from all else for a third of a second.
"""
KNOWN_WITHIN = 2.0
"""Seconds in which a topic that was just made has to be known; less than what is published may be kept from others."""
_choose = Partitioner()


async def learn_topics(broker: KafkaBroker, names: Iterable[str]) -> None:
    """Ask where all these topics are at once; or else the first message to each would ask for all that are known."""
    client = _client(broker).client
    client._metadata_max_age_ms = REFRESH_MS  # noqa: SLF001 - FastStream gives producer and consumers the same
    asked = [client.add_topic(name) for name in names if client.cluster.partitions_for_topic(name) is None]
    if asked:
        await asked[-1]


async def publish_all(broker: KafkaBroker, messages: Sequence[Outbound]) -> list[BaseException | None]:
    """Publish records and wait for every confirmation; one result for each: None, or why it isn't confirmed.

    The order of those with one key is kept. ``publish_batch`` would ignore keys; a batch made here costs half of
    handing over its records one by one, each with a confirmation of its own.
    """
    topics: dict[str, list[int]] = {}
    for at, (topic, *_) in enumerate(messages):
        topics.setdefault(topic, []).append(at)
    await learn_topics(broker, topics)
    results: list[BaseException | None] = [None] * len(messages)
    client = _client(broker)
    await asyncio.gather(*(_publish_to(client, messages, *each, results) for each in topics.items()))
    return results


async def _publish_to(
    client: AIOKafkaProducer,
    messages: Sequence[Outbound],
    topic: str,
    its: Sequence[int],
    results: list[BaseException | None],
) -> None:
    try:
        if (found := client.client.cluster.partitions_for_topic(topic)) is None:
            async with asyncio.timeout(KNOWN_WITHIN):
                found = await client.partitions_for(topic)
    except (KafkaError, OSError) as error:
        for at in its:
            results[at] = error
        return
    partitions = list(found)
    parts: dict[int, list[int]] = {}
    for at in its:
        parts.setdefault(_choose(messages[at][1], partitions, partitions), []).append(at)
    publish = (
        _publish_part(client, messages, TopicPartition(topic, each), part, results) for each, part in parts.items()
    )
    await (asyncio.gather(*publish) if len(parts) > 1 else next(publish))


async def _publish_part(
    client: AIOKafkaProducer,
    messages: Sequence[Outbound],
    partition: TopicPartition,
    part: Sequence[int],
    results: list[BaseException | None],
) -> None:
    """Publish what goes to one partition, in as few batches as hold it, one after the other.

    What has the key of a message that could not be sent isn't sent either: it would come before it.
    """
    left = deque(part)
    failed: dict[bytes, BaseException] = {}
    while left:
        batch = client.create_batch()
        sent: list[int] = []
        while left:
            _, key, value, headers = messages[left[0]]
            if key in failed:
                results[left.popleft()] = failed[key]
                continue
            # The first is taken whatever its size.
            if batch.append(timestamp=None, key=key, value=value, headers=headers) is None:
                break
            sent.append(left.popleft())
        if not sent:
            return
        batch.close()
        try:
            await (await client.send_batch(batch, partition.topic, partition=partition.partition))
        except (KafkaError, OSError) as error:
            for at in sent:
                results[at] = failed[messages[at][1]] = error


def _client(broker: KafkaBroker) -> AIOKafkaProducer:
    # FastStream's own way to it, through commands, middlewares and codecs, costs more than the sending itself.
    producer = broker.config.producer
    return producer._producer.producer  # type: ignore[attr-defined]  # noqa: SLF001 - it shows its client no other way
