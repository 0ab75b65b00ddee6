"""What intake accepts arrives on the broker: at once when it is there, by the sweeper when it was away."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRecord

from schemas.envelope import INCIDENT, read_message
from schemas.vocabulary import Namespace
from services.intake.accept import Intake
from services.intake.cap import parse_cap
from services.platform.acceptance import Accepted
from services.platform.clock import SystemClock
from services.platform.embedded.ports import free_ports
from services.platform.kafka import make_broker
from services.platform.outbox import Outbox
from services.platform.postgres import Pool
from services.platform.topics import create_topics
from tests.contract.test_cap import ALERT, NOW

TOPIC = "muster.exercise.incidents"


@pytest.fixture
async def consumer(broker: str) -> AsyncIterator["AIOKafkaConsumer[bytes, bytes]"]:
    await create_topics(broker, Namespace.EXERCISE, [], replication=1)
    consumer = AIOKafkaConsumer(TOPIC, bootstrap_servers=broker, auto_offset_reset="earliest")
    await consumer.start()
    yield consumer
    await consumer.stop()


async def accept(intake: Intake, text: str) -> Accepted:
    body = text.encode()
    report = parse_cap(body, reported_at=NOW)
    return await intake.accept(report, origin="test", idempotency_key=None, content_type="text/xml", body=body)


async def next_record(consumer: "AIOKafkaConsumer[bytes, bytes]") -> "ConsumerRecord[bytes, bytes]":
    return await asyncio.wait_for(consumer.getone(), 20)


async def test_what_is_accepted_arrives_under_its_incidents_key(
    pool: Pool, broker: str, consumer: "AIOKafkaConsumer[bytes, bytes]"
) -> None:
    kafka = make_broker(broker, client_id="intake-test")
    await kafka.start()
    intake = Intake(pool, Outbox(pool, kafka, Namespace.EXERCISE), SystemClock(), Namespace.EXERCISE)
    accepted = await accept(intake, ALERT)
    record = await next_record(consumer)
    assert record.key == str(accepted.incident_id).encode()
    envelope, report = read_message(record.headers, record.value, INCIDENT)
    assert (envelope.id, report.event) == (accepted.event_id, "High-rise fire")
    await intake.drain()
    assert await pool.fetchval("SELECT count(*) FROM outbox WHERE published_at IS NULL") == 0
    await kafka.stop()


async def test_what_was_accepted_while_the_broker_was_away_arrives_later_in_order(
    pool: Pool, broker: str, consumer: "AIOKafkaConsumer[bytes, bytes]"
) -> None:
    away = make_broker(f"127.0.0.1:{free_ports(1)[0]}", client_id="intake-test")
    intake = Intake(pool, Outbox(pool, away, Namespace.EXERCISE), SystemClock(), Namespace.EXERCISE)
    first = await accept(intake, ALERT)
    second = await accept(intake, ALERT.replace("14th", "15th"))
    await intake.drain()
    assert await pool.fetchval("SELECT count(*) FROM outbox WHERE published_at IS NULL") == 2
    kafka = make_broker(broker, client_id="intake-test")
    await kafka.start()
    await pool.execute("UPDATE outbox SET lease_until = clock_timestamp() - $1::interval", timedelta(seconds=1))
    assert await Outbox(pool, kafka, Namespace.EXERCISE).sweep() == 2
    arrived = [await next_record(consumer), await next_record(consumer)]
    assert first.incident_id == second.incident_id
    read = [read_message(record.headers, record.value, INCIDENT) for record in arrived]
    assert [envelope.id for envelope, _ in read] == [first.event_id, second.event_id]
    assert [report.headline for _, report in read] == ["Fire on the 14th floor", "Fire on the 15th floor"]
    await kafka.stop()
