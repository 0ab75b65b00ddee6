"""How records leave: what can't be sent keeps nothing else back, and is not overtaken by what comes after it."""

import asyncio
from typing import Any, cast
from unittest.mock import AsyncMock, patch

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaTimeoutError

from services.platform import kafka_publishing
from services.platform.kafka_publishing import _publish_part, publish_all


class Refusing:
    """Stands where a producer stands: batches hold three, the first does not get out."""

    def __init__(self, failing: int) -> None:
        self.failing = failing
        self.client = self.cluster = self
        self.sent: list[list[bytes]] = []
        self._within: list[bytes] = []

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        return None if topic.startswith("missing") else {0}

    async def partitions_for(self, _: str) -> set[int]:
        await asyncio.sleep(3_600)
        return set()

    def create_batch(self) -> Any:
        self._within = []
        return self

    def append(self, *, timestamp: None, key: bytes, value: bytes, headers: object) -> object | None:
        del timestamp, key, headers
        if len(self._within) == 3:
            return None
        self._within.append(value)
        return self

    def close(self) -> None: ...

    async def send_batch(self, batch: object, topic: str, *, partition: int) -> "asyncio.Future[None]":
        del batch, topic, partition
        self.sent.append(self._within)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if len(self.sent) <= self.failing:
            done.set_exception(KafkaTimeoutError())
        else:
            done.set_result(None)
        return done


async def test_what_speaks_of_the_same_incident_is_not_sent_when_what_comes_before_it_failed() -> None:
    """Or the later word would be there first; what speaks of others goes out."""
    producer: Any = Refusing(failing=1)
    told = [(key, str(number).encode()) for number, key in enumerate([b"a", b"b", b"a", b"c", b"a", b"d", b"b", b"c"])]
    messages = [("orders", key, value, cast("list[tuple[str, bytes]]", [])) for key, value in told]
    results: list[BaseException | None] = [None] * len(messages)
    client = cast("AIOKafkaProducer", producer)
    await _publish_part(client, messages, TopicPartition("orders", 0), range(len(messages)), results)
    assert producer.sent == [[b"0", b"1", b"2"], [b"3", b"5", b"7"]]
    assert [error is None for error in results] == [key in {b"c", b"d"} for key, _ in told]


async def test_topics_that_are_not_there_keep_nothing_from_those_that_are() -> None:
    """Looked for one message after the other, and before anything is sent, each would have all others wait."""
    names = ["missing", "missing", "there", "missing-too", "missing", "there"]
    producer: Any = Refusing(failing=0)
    with (
        patch.object(kafka_publishing, "_client", lambda _: producer),
        patch.object(kafka_publishing, "learn_topics", AsyncMock()),
        patch.object(kafka_publishing, "KNOWN_WITHIN", 0.1),
    ):
        publishing = asyncio.create_task(publish_all(producer, [(name, b"key", b"value", []) for name in names]))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert producer.sent == [[b"value", b"value"]], "it doesn't even wait"
        errors = await publishing
    assert [error is None for error in errors] == [name == "there" for name in names]
