"""A source for ansible-rulebook: records of a topic as events; tells on another topic what the rules have taken."""

import json
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer


async def main(queue: Any, args: dict[str, Any]) -> None:
    """Feed the rules. The queue holds one event: once the next is taken in, the rules are done with the one before."""
    given = json.loads(args["given"]) if isinstance(args["given"], str) else args["given"]
    producer = AIOKafkaProducer(bootstrap_servers=given["kafka"])
    consumer = AIOKafkaConsumer(
        given["topic"], bootstrap_servers=given["kafka"], group_id="bench.ansible", auto_offset_reset="earliest"
    )
    await producer.start()
    await consumer.start()
    async for record in consumer:
        await queue.put(json.loads(record.value))
        await producer.send(given["done"], b"1")
