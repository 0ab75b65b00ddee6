"""The floor: the work that has to be done whoever does it, with nothing around it. A process of its own.

``getmany``, ``json.loads``, one COPY for each table in one transaction, ``send`` for each message, then the commit of
the offsets. It writes the rows and publishes the messages that Muster does, with the same bytes, from templates: no
model, no check, no plan, no decision, no lock, no inbox to ask, no outbox. What it would have to do again after a crash
it would do again (its rows' ids are random, so twice).
"""

import asyncio
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord

from services.bench.templates import Message, Rows, Template
from services.platform.kafka import FETCH_BYTES

BATCH = 1_000
"""Records taken at once at most; Muster's own default."""


class Floor:
    """Reads one set of topics and writes another."""

    def __init__(self, given: dict[str, Any]) -> None:
        self._given = given
        self._template = Template(json.loads(Path(given["template"]).read_text()))
        self._work = self._incidents if given["work"] == "incidents" else self._answers

    async def run(self) -> None:
        """Work until killed."""
        given = self._given
        self._database = await asyncpg.connect(given["database"])
        # Not idempotent, as Muster's isn't: a broker that keeps count of producers for 10,000 topics spends more.
        self._producer = AIOKafkaProducer(
            bootstrap_servers=given["kafka"],
            acks="all",
            max_batch_size=64 * 1024,
            max_request_size=FETCH_BYTES,
        )
        await self._producer.start()
        for topic in sorted(self._template.topics):
            asked = self._producer.client.add_topic(topic)
        await asked
        consumer = AIOKafkaConsumer(
            *given["topics"],
            bootstrap_servers=given["kafka"],
            group_id=given["group"],
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=FETCH_BYTES,
            fetch_max_wait_ms=given["fetch_wait_ms"],
            session_timeout_ms=given["session_ms"],
            heartbeat_interval_ms=given["heartbeat_ms"],
        )
        await consumer.start()
        while True:
            found = await consumer.getmany(timeout_ms=1_000, max_records=BATCH)
            records = [record for each in found.values() for record in each]
            if records:
                await self._publish(await self._work(records))
                await consumer.commit()

    async def _incidents(self, records: "Sequence[ConsumerRecord[Any, Any]]") -> list[Message]:
        rows: Rows = {table: [] for table in self._template.tables}
        messages: list[Message] = []
        now = datetime.now(UTC)
        for record in records:
            said = json.loads(record.value)
            event = dict(record.headers)["ce_id"].decode()
            ids = {"incident": said["incident_id"], "event": event}
            messages += self._template.write(ids, now, rows)
        async with self._database.transaction():
            for table, columns in self._template.tables.items():
                await self._database.copy_records_to_table(table, records=rows[table], columns=columns)
        return messages

    async def _answers(self, records: "Sequence[ConsumerRecord[Any, Any]]") -> list[Message]:
        rows: Rows = {table: [] for table in self._template.tables}
        messages: list[Message] = []
        now = datetime.now(UTC)
        changed: list[UUID] = []
        for record in records:
            said = json.loads(record.value)
            event = dict(record.headers)["ce_id"].decode()
            changed.append(UUID(said["assignment_id"]))
            ids = {"incident": said["incident_id"], "assignment": said["assignment_id"], "event": event}
            messages += self._template.write(ids, now, rows)
        async with self._database.transaction():
            await self._database.execute(
                "UPDATE assignments SET state = 'committed', committed_at = $2, next_due_at = start_by,"
                " answered_by = 'Duty captain' WHERE id = ANY ($1::uuid[])",
                changed,
                now,
            )
            for table, columns in self._template.tables.items():
                await self._database.copy_records_to_table(table, records=rows[table], columns=columns)
        return messages

    async def _publish(self, messages: Sequence[Message]) -> None:
        waiting = [
            await self._producer.send(topic, value, key=key, headers=headers) for topic, key, value, headers in messages
        ]
        await asyncio.gather(*waiting)


if __name__ == "__main__":
    uvloop.run(Floor(json.loads(sys.argv[1])).run())
