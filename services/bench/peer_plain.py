"""A peer: what a competent engineer writes first with FastStream. One message, one transaction, then its orders.

It validates with the same models and writes incident and assignments, row by row. It doesn't match plans (the tasks are
fixed), keeps no timeline, and loses orders when it dies between its commit and its publishing.
"""

import json
import sys
from datetime import UTC, datetime
from typing import Any

import asyncpg
import uvloop
from faststream import AckPolicy, FastStream
from faststream.kafka import KafkaBroker
from pydantic import BaseModel
from uuid_utils.compat import uuid7

from schemas.incident import IncidentReport

_INCIDENT = (
    "INSERT INTO incidents (id, status, phase, report, reported_at, cancelled, recorded_at)"
    " VALUES ($1, $2, 'open', $3, $4, false, $5) ON CONFLICT DO NOTHING"
)
_ASSIGNMENT = (
    "INSERT INTO assignments (id, activation_id, incident_id, status, task, role, department, issued_at, state,"
    " revision, silent, missed, rung) VALUES ($1, $2, $2, $3, $4, $4, $5, $6, 'issued', 1, false, '{}', 0)"
)


class Order(BaseModel):
    """What a department is told."""

    assignment_id: str
    incident_id: str
    department: str
    task: str
    headline: str | None
    description: str | None
    issued_at: datetime


async def main(given: dict[str, Any]) -> None:
    """Work until killed."""
    pool = await asyncpg.create_pool(given["database"], min_size=1, max_size=8)
    broker = KafkaBroker(given["kafka"], acks="all", enable_idempotence=given["idempotent"], logger=None)

    @broker.subscriber(
        given["topic"], group_id="bench.plain", auto_offset_reset="earliest", ack_policy=AckPolicy.NACK_ON_ERROR
    )
    async def handle(report: IncidentReport) -> None:
        orders = [
            Order(
                assignment_id=str(uuid7()),
                incident_id=str(report.incident_id),
                department=department,
                task=f"task-{number}",
                headline=report.headline,
                description=report.description,
                issued_at=datetime.now(UTC),
            )
            for number, department in enumerate(given["departments"])
        ]
        async with pool.acquire() as connection, connection.transaction():
            await connection.execute(
                _INCIDENT,
                report.incident_id,
                report.status,
                report.model_dump_json(),
                report.reported_at,
                datetime.now(UTC),
            )
            for order in orders:
                await connection.execute(
                    _ASSIGNMENT,
                    order.assignment_id,
                    report.incident_id,
                    report.status,
                    order.task,
                    order.department,
                    order.issued_at,
                )
        for order in orders:
            await broker.publish(order, given["orders"][order.department], key=order.incident_id.encode())

    await FastStream(broker, logger=None).run()


if __name__ == "__main__":
    uvloop.run(main(json.loads(sys.argv[1])))
