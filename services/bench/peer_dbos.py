"""A peer: DBOS, one durable workflow for each incident, with a step for each of its six orders.

Each step publishes an order and is recorded in Postgres by DBOS, so that a workflow that was interrupted goes on where
it stopped. It doesn't match plans, keeps no timeline and no assignments of its own; workflows aren't batched.
"""

import asyncio
import json
import logging
import sys
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from dbos import DBOS, SetWorkflowID

AT_ONCE = 50
"""Workflows that run at the same time."""

_given: dict[str, Any] = json.loads(sys.argv[1]) if __name__ == "__main__" else {}
_client: dict[str, AIOKafkaProducer] = {}


@DBOS.step()  # type: ignore[untyped-decorator, unused-ignore]
async def give(department: str, report: dict[str, Any]) -> str:
    """Give one order."""
    order = {"department": department, "incident_id": report["incident_id"], "headline": report["headline"]}
    key = report["incident_id"].encode()
    await _client["producer"].send_and_wait(_given["orders"][department], json.dumps(order).encode(), key=key)
    return department


@DBOS.workflow()  # type: ignore[untyped-decorator, unused-ignore]
async def respond(report: dict[str, Any]) -> int:
    """Respond to one incident."""
    for department in _given["departments"]:
        await give(department, report)
    return len(_given["departments"])


async def main() -> None:
    """Work until killed."""
    logging.getLogger("dbos").setLevel(logging.ERROR)
    _client["producer"] = AIOKafkaProducer(
        bootstrap_servers=_given["kafka"], acks="all", enable_idempotence=_given["idempotent"]
    )
    await _client["producer"].start()
    consumer = AIOKafkaConsumer(
        _given["topic"],
        bootstrap_servers=_given["kafka"],
        group_id="bench.dbos",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    await consumer.start()
    limit = asyncio.Semaphore(AT_ONCE)

    async def one(event: str, report: dict[str, Any]) -> None:
        async with limit:
            with SetWorkflowID(event):
                handle = await DBOS.start_workflow_async(respond, report)
            await handle.get_result()

    while True:
        found = await consumer.getmany(timeout_ms=1_000, max_records=200)
        records = [record for each in found.values() for record in each]
        if records:
            await asyncio.gather(
                *(one(dict(record.headers)["ce_id"].decode(), json.loads(record.value)) for record in records)
            )
            await consumer.commit()


if __name__ == "__main__":
    DBOS(config={"name": "bench", "system_database_url": _given["database"]})
    DBOS.launch()
    asyncio.run(main())
