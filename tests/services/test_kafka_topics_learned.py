"""A first message to many topics at once asks the broker for all of them in one go."""

from collections.abc import Collection
from typing import Any
from unittest.mock import patch

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.client import AIOKafkaClient

from services.platform.kafka import make_broker
from services.platform.kafka_publishing import REFRESH_MS, _client, learn_topics, publish_all

TOPICS = [f"muster.actual.assignments.department-{number}" for number in range(50)]


async def test_new_topics_are_asked_for_together_and_not_one_after_the_other(broker: str) -> None:
    """As after a directory of thousands came into force: asked for one by one, each answer names all of them again."""
    admin = AIOKafkaAdminClient(bootstrap_servers=broker)
    await admin.start()
    await admin.create_topics([NewTopic(name, 1, 1) for name in TOPICS])
    await admin.close()
    asked: list[Collection[str]] = []
    ask = AIOKafkaClient._metadata_update

    async def counted(self: AIOKafkaClient, metadata: Any, topics: Collection[str]) -> Any:
        asked.append(topics)
        return await ask(self, metadata, topics)

    client = make_broker(broker, client_id="test")
    await client.connect()
    try:
        asked.clear()
        with patch.object(AIOKafkaClient, "_metadata_update", counted):
            errors = await publish_all(client, [(name, b"key", b"value", []) for name in TOPICS])
    finally:
        await client.stop()
    assert errors == [None] * len(TOPICS)
    assert len(asked) <= 2


async def test_a_producer_does_not_ask_for_all_its_topics_every_ten_seconds(broker: str) -> None:
    client = make_broker(broker, client_id="test")
    await client.connect()
    try:
        await learn_topics(client, TOPICS[:0])
        assert _client(client).client._metadata_max_age_ms == REFRESH_MS
    finally:
        await client.stop()
