"""How records leave: in batches by partition, each in the order in which its records were given."""

import asyncio
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
    await learn_topics(broker, {topic for topic, *_ in messages})
    client = _client(broker)
    results: list[BaseException | None] = [None] * len(messages)
    topics: dict[str, list[int]] = {}
    parts: dict[TopicPartition, list[int]] = {}
    for at, (topic, key, _, _) in enumerate(messages):
        try:
            if topic not in topics:
                topics[topic] = list(await client.partitions_for(topic))
        except (KafkaError, OSError) as error:
            results[at] = error
        else:
            parts.setdefault(TopicPartition(topic, _choose(key, topics[topic], topics[topic])), []).append(at)
    await asyncio.gather(*(_publish_part(client, messages, *part, results) for part in parts.items()))
    return results


async def _publish_part(
    client: AIOKafkaProducer,
    messages: Sequence[Outbound],
    partition: TopicPartition,
    part: Sequence[int],
    results: list[BaseException | None],
) -> None:
    """Publish what goes to one partition, in as few batches as hold it, one after the other."""
    begin = 0
    while begin < len(part):
        batch, end = client.create_batch(), begin
        while end < len(part):
            _, key, value, headers = messages[part[end]]
            # The first is taken whatever its size.
            if batch.append(timestamp=None, key=key, value=value, headers=headers) is None:
                break
            end += 1
        batch.close()
        try:
            await (await client.send_batch(batch, partition.topic, partition=partition.partition))
        except (KafkaError, OSError) as error:
            for at in part[begin:end]:
                results[at] = error
        begin = end


def _client(broker: KafkaBroker) -> AIOKafkaProducer:
    # FastStream's own way to it, through commands, middlewares and codecs, costs more than the sending itself.
    producer = broker.config.producer
    return producer._producer.producer  # type: ignore[attr-defined]  # noqa: SLF001 - it shows its client no other way
