"""The way of the data through real servers: a report becomes orders, answers come back, silence is escalated."""

import asyncio
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from uuid_utils.compat import uuid7

from schemas.command import Close
from schemas.envelope import COMMAND
from schemas.topics import COMMANDS, DEAD_LETTERS, topic_name
from schemas.vocabulary import Answer, MessageType, Namespace, Status
from services.dispatch import service as dispatch
from services.escalation import service as escalation
from services.platform.embedded.apache import ApacheKafka
from services.platform.embedded.broker import EmbeddedBroker
from services.platform.invariants import check_invariants
from services.platform.postgres import Pool
from services.platform.runtime import Runtime
from services.playbooks.stored import directory_from, plan_from
from services.tracking import service as tracking
from tests.services.support import (
    PLAYBOOKS,
    answer,
    publish_shipped,
    report,
    send,
    sent,
    sent_answer,
    sent_report,
    settings,
    until,
)

pytestmark = pytest.mark.usefixtures("running")


@pytest.fixture(params=["embedded", pytest.param("apache", marks=pytest.mark.kafka)])
async def broker(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """An empty broker of the test's own: the embedded one, or Apache Kafka."""
    server = EmbeddedBroker(tmp_path) if request.param == "embedded" else ApacheKafka(tmp_path)
    yield await server.start()
    await server.stop()


@pytest.fixture
async def running(pool: Pool, database: str, broker: str, request: pytest.FixtureRequest) -> AsyncIterator[Runtime]:
    """Dispatch, tracking and escalation in one process, with the shipped plans in force."""
    await publish_shipped(pool)
    embedded = "embedded" in request.node.name
    configured = settings(database, broker, embedded=embedded)
    runtime = await Runtime.open(configured, "test", plan_from, directory_from)
    for service in (dispatch, tracking, escalation):
        service.attach(runtime)
    async with runtime:
        yield runtime


async def assignments(pool: Pool, incident: object) -> list[asyncpg.Record]:
    return await pool.fetch("SELECT * FROM assignments WHERE incident_id = $1 ORDER BY issued_at, id", incident)


async def assert_sound(pool: Pool) -> None:
    async def published() -> bool:
        return bool(await pool.fetchval("SELECT NOT EXISTS (SELECT FROM outbox WHERE published_at IS NULL)"))

    await until(published)
    broken = [finding for finding in await check_invariants(pool) if finding.broken]
    assert not broken, broken


async def test_report_becomes_orders_and_answers_come_back(pool: Pool, broker: str) -> None:
    """A report is matched, its orders go out, an answer moves its assignment, and every invariant holds."""
    told = report()
    await send(broker, sent_report(told))
    rows = await until(lambda: assignments(pool, told.incident_id))
    outcome = await pool.fetchval("SELECT outcome FROM inbox WHERE incident_id = $1", told.incident_id)
    assert outcome == "activated"
    first = rows[0]
    await send(broker, sent_answer(answer(first, Answer.COMMIT)))

    async def committed() -> object:
        return await pool.fetchval("SELECT committed_at FROM assignments WHERE id = $1", first["id"])

    assert await until(committed)
    await assert_sound(pool)


async def test_a_clean_stop_leaves_nothing_unpublished(pool: Pool, broker: str, running: Runtime) -> None:
    """What was decided before a stop is on the broker after it, though it is published beside the next batch."""
    await send(broker, *(sent_report(report()) for _ in range(60)))
    await until(lambda: pool.fetchval("SELECT count(*) > 0 FROM inbox"))
    await running.stop()
    assert await pool.fetchval("SELECT count(*) > 0 AND count(*) = count(published_at) FROM outbox")


async def send_unbounded(
    kafka: str, topic: str, key: bytes, value: bytes, headers: list[tuple[str, bytes]]
) -> KafkaError | None:
    """Send as one would who knows no limit; Apache Kafka refuses what is too large, the embedded broker does not."""
    producer = AIOKafkaProducer(bootstrap_servers=kafka, max_request_size=64_000_000)
    await producer.start()
    try:
        await producer.send_and_wait(topic, value, key=key, headers=headers)
    except KafkaError as error:
        return error
    finally:
        await producer.stop()
    return None


async def dead_letters_on(kafka: str, at_least: int) -> int:
    """Count the records of the dead-letters topic, once there are so many."""
    consumer = AIOKafkaConsumer(
        topic_name(DEAD_LETTERS, Namespace.ACTUAL), bootstrap_servers=kafka, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        seen = 0
        while seen < at_least and (found := await consumer.getmany(timeout_ms=2_000)):
            seen += sum(len(records) for records in found.values())
    finally:
        await consumer.stop()
    return seen if seen >= at_least else 0


async def test_repeats_and_bad_messages_stop_nothing(pool: Pool, broker: str, request: pytest.FixtureRequest) -> None:
    """Repeats change nothing; what is invalid ends as a dead letter with its reason; the rest goes on."""
    told = report()
    event = uuid7()
    topic, key, value, headers = sent_report(told, event)
    await send(
        broker,
        (topic, key, b"not json", headers),
        (topic, key, b'"\xff\xfe"', headers),
        (topic, key, value, [pair for pair in headers if pair[0] != "ce_status"]),
        (topic, key, value.replace(b"Chlorine", rb"\u0000"), headers),
        sent_report(report(status=Status.EXERCISE)) and (topic, *sent_report(report(status=Status.EXERCISE))[1:]),
        (topic, key, value, headers),
        (topic, key, value, headers),
    )
    embedded = "embedded" in request.node.name
    too_large = await send_unbounded(broker, topic, key, b"x" * 10_000_000, headers)
    assert too_large is None if embedded else isinstance(too_large, MessageSizeTooLargeError)
    rows = await until(lambda: assignments(pool, told.incident_id))
    orders = len(rows)
    mine, other = rows[0], next(row for row in rows if row["department"] != rows[0]["department"])
    done = answer(mine, Answer.COMPLETE)
    again = uuid7()
    await send(
        broker,
        sent_answer(answer(mine, Answer.COMMIT), topic_of=other["department"]),
        sent_answer(answer(mine, Answer.COMMIT, department=other["department"])),
        sent_answer(answer(mine, Answer.COMMIT, assignment_id=uuid7())),
        sent_answer(answer(mine, Answer.COMMIT, incident_id=uuid7())),
        sent_answer(done, again),
        sent_answer(done, again),
        sent_answer(answer(mine, Answer.DECLINE, reason="too late")),
    )

    async def all_decided() -> bool:
        letters = await pool.fetchval("SELECT count(*) FROM dead_letters")
        refused = await pool.fetchval("SELECT count(*) FROM timeline WHERE entry = 'answer_refused'")
        return bool(letters >= (10 if embedded else 9) and refused >= 2)

    await until(all_decided)
    reasons = [row["reason"] for row in await pool.fetch("SELECT reason FROM dead_letters ORDER BY received_at")]
    for expected in (
        "Invalid JSON",
        "invalid unicode",
        "header ce_status: is missing",
        "10000000 bytes" if embedded else "",
        "NUL",
        "Exercise does not belong in the actual namespace",
        f"can't answer on the topic of {other['department']}",
        "there is no such assignment",
        "there is no such incident",
        f"the assignment is {mine['department']}'s",
    ):
        assert any(expected in reason for reason in reasons), (expected, reasons)
    assert len(reasons) == (10 if embedded else 9)
    announced = await until(lambda: dead_letters_on(broker, len(reasons)))
    assert announced == len(reasons)
    after = await pool.fetchrow("SELECT * FROM assignments WHERE id = $1", mine["id"])
    assert after is not None
    assert after["state"] == "completed"
    assert await pool.fetchval("SELECT count(*) FROM inbox WHERE event_id = $1", again) == 1
    assert len(await pool.fetch("SELECT FROM timeline WHERE entry = 'assignment_issued'")) >= orders
    await assert_sound(pool)


async def test_update_of_an_alert_finds_its_incident(pool: Pool, broker: str) -> None:
    """A CAP update that names another incident id joins the incident of the alert it references."""
    identity = {"sender": "test@example.org", "identifier": str(uuid4()), "sent": datetime.now(UTC)}
    first = report(alert=identity)
    update = report(
        alert={**identity, "identifier": str(uuid4()), "sent": datetime.now(UTC)},
        references=(identity,),
        message_type=MessageType.UPDATE,
    )
    await send(broker, sent_report(first))
    await until(lambda: assignments(pool, first.incident_id))
    await send(broker, sent_report(update))

    async def updated() -> object:
        return await pool.fetchval(
            "SELECT count(*) FROM timeline WHERE incident_id = $1 AND entry = 'incident_updated'", first.incident_id
        )

    assert await until(updated) == 1
    assert await pool.fetchval("SELECT count(*) FROM incidents") == 1
    await assert_sound(pool)


async def test_a_replayed_dead_letter_has_its_effect_once_it_is_right(
    pool: Pool, broker: str, database: str, request: pytest.FixtureRequest
) -> None:
    """A command that came before its incident is set aside, and applies when replayed; a second replay is refused."""
    told = report()
    early = Close(
        incident_id=told.incident_id, status=Status.ACTUAL, by="Li", reason="over", decided_at=datetime.now(UTC)
    )
    await send(broker, sent(early, COMMAND, topic_name(COMMANDS, Namespace.ACTUAL)))
    letter = await until(lambda: pool.fetchval("SELECT id FROM dead_letters"))
    await send(broker, sent_report(told))
    await until(lambda: assignments(pool, told.incident_id))
    environment = {
        "PATH": "/usr/bin:/bin",
        "MUSTER_DATABASE": database,
        "MUSTER_KAFKA": broker,
        "MUSTER_EMBEDDED_BROKER": str("embedded" in request.node.name).lower(),
    }

    async def muster(*arguments: str) -> tuple[int | None, str]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "services.cli", "dead-letters", *arguments),
            cwd=PLAYBOOKS.parent,
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        out, _ = await process.communicate()
        return process.returncode, out.decode()

    code, shown = await muster("show", str(letter))
    assert (code, "there is no such incident" in shown) == (0, True), shown
    code, said = await muster("replay", str(letter))
    assert code == 0, said

    async def stood_down() -> object:
        return await pool.fetchval("SELECT bool_and(state = 'stood_down') FROM activations")

    assert await until(stood_down)
    code, said = await muster("replay", str(letter))
    assert (code, "replayed already" in said) == (1, True)
