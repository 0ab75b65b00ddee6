"""What leaves Muster: signed, tried again, on record, and never an exercise that has no business out there."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr
from uuid_utils.compat import uuid7

from schemas.timeline import Entry, TimelineEntry
from schemas.vocabulary import Namespace, Status
from services.dispatch import service as dispatch
from services.platform import outbound
from services.platform.errors import ConfigurationError, RefusedError
from services.platform.outbound import NotTakenError, Webhook, WebhookSettings, attach
from services.platform.postgres import Pool
from services.platform.queries import query
from services.platform.runtime import Runtime
from services.playbooks.stored import directory_from, plan_from
from tests.services.record_support import decide
from tests.services.support import publish_shipped, report, send, sent_report, settings, until

SECRET = "whsec_" + base64.b64encode(b"a secret of the duty officer's pager").decode()


@dataclass
class Pager:
    """A duty officer's pager: an HTTP server that keeps what it is told and answers as a test wants."""

    answers: Callable[[int], int] = lambda _: 204
    calls: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self.calls.append((headers, body))
        status = self.answers(len(self.calls))
        writer.write(f"HTTP/1.1 {status} Word\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    @property
    def told(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.calls]


@asynccontextmanager
async def pager(answers: Callable[[int], int] = lambda _: 204) -> AsyncIterator[Pager]:
    found = Pager(answers)
    server = await asyncio.start_server(found.take, "127.0.0.1", 0)
    found.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hooks?token=hidden"
    async with server:
        yield found


def entry(status: Status = Status.ACTUAL, **given: Any) -> TimelineEntry:
    now = datetime.now(UTC)
    values: dict[str, Any] = {
        "entry_id": uuid7(),
        "incident_id": uuid7(),
        "status": status,
        "entry": Entry.ESCALATED,
        "attention": True,
        "department": "police",
        "reason": "acknowledge deadline missed",
        "occurred_at": now,
        "recorded_at": now,
    }
    return TimelineEntry(**values | given)


@asynccontextmanager
async def webhook(url: str, *participants: str) -> AsyncIterator[Webhook]:
    made = Webhook(url, SECRET, participants=frozenset(participants))
    try:
        yield made
    finally:
        await made.close()


async def test_a_call_is_signed_so_that_it_can_be_checked() -> None:
    """Anyone with the secret can check who sent it and when; the secret and the address's own stay hidden."""
    async with pager() as officer, webhook(officer.url) as way:
        said = entry()
        await way.send(said, "emergency-management")
        ((headers, body),) = officer.calls
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        key = base64.b64decode(SECRET[6:])
        expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        assert headers["webhook-signature"] == f"v1,{expected}"
        assert headers["webhook-id"] == str(said.entry_id)
        assert abs(int(headers["webhook-timestamp"]) - datetime.now(UTC).timestamp()) < 60
        (told,) = officer.told
        assert (told["status"], told["to"], told["data"]["department"]) == ("Actual", "emergency-management", "police")
        assert "hidden" not in way.target


@pytest.mark.parametrize("status", [Status.EXERCISE, Status.TEST, Status.SYSTEM, Status.DRAFT])
async def test_nothing_but_the_real_leaves_except_to_a_participant(status: Status) -> None:
    async with pager() as officer:
        async with webhook(officer.url, "fire-rescue") as way:
            with pytest.raises(RefusedError, match=r"must not reach emergency-management: .* not listed"):
                await way.send(entry(status), "emergency-management")
        assert officer.calls == []
        async with webhook(officer.url, "emergency-management") as way:
            await way.send(entry(status), "emergency-management")
        assert [told["status"] for told in officer.told] == [status.value]


async def test_a_pager_that_is_busy_is_tried_again_with_the_same_id() -> None:
    async with pager(lambda call: 503 if call < 3 else 200) as officer, webhook(officer.url) as way:
        await way.send(entry(), "emergency-management")
        assert len(officer.calls) == 3
        assert len({headers["webhook-id"] for headers, _ in officer.calls}) == 1


async def test_what_is_turned_down_for_good_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with pager(lambda _: 410) as officer, webhook(officer.url) as way:
        with pytest.raises(NotTakenError, match="410"):
            await way.send(entry(), "emergency-management")
        assert len(officer.calls) == 1
    monkeypatch.setattr(outbound, "RETRY_WITHIN", 0.5)
    async with webhook(officer.url) as way:
        with pytest.raises(NotTakenError) as error:
            await way.send(entry(), "emergency-management")
        assert error.value.later
        assert "hidden" not in str(error.value)


def test_a_webhook_needs_a_secret_and_a_web_address() -> None:
    for url, secret in (("ftp://example.org", SECRET), ("http://example.org", "")):
        with pytest.raises(ConfigurationError, match="secret"):
            Webhook(url, secret)


@asynccontextmanager
async def telling(
    database: str, broker: str, namespace: Namespace, url: str, *participants: str
) -> AsyncIterator[Runtime]:
    """Dispatch with a pager attached."""
    runtime = await Runtime.open(settings(database, broker, namespace), "test", plan_from, directory_from)
    dispatch.attach(runtime)
    configured = WebhookSettings(url=url, secret=SecretStr(SECRET))
    assert attach(runtime, configured, frozenset(participants))
    async with runtime:
        yield runtime


async def settled(pool: Pool, outcome: str) -> bool:
    return bool(await pool.fetchval("SELECT count(*) FROM outbound_calls WHERE outcome = $1", outcome))


async def test_the_duty_officer_is_told_of_what_needs_attention_and_of_nothing_else(
    pool: Pool, database: str, broker: str
) -> None:
    """A report that no plan answers reaches the pager; the ordinary course of another does not."""
    await publish_shipped(pool)
    async with pager() as officer, telling(database, broker, Namespace.ACTUAL, officer.url):
        lost = report(categories=("Other",), event="Something odd", severity="Minor")
        await send(broker, sent_report(report()), sent_report(lost))
        await until(lambda: settled(pool, "sent"))
        attention = await pool.fetch("SELECT entry_id FROM timeline WHERE attention")
        assert [told["data"]["entry_id"] for told in officer.told] == [str(row["entry_id"]) for row in attention]
        assert [told["data"]["entry"] for told in officer.told] == ["no_plan_matched"]
        row = await pool.fetchrow("SELECT * FROM outbound_calls")
    assert row is not None
    assert (row["incident_id"], row["status"], row["department"]) == (
        lost.incident_id,
        "Actual",
        "emergency-management",
    )
    assert "hidden" not in row["target"]


async def test_an_exercise_is_kept_in_and_that_is_on_record(pool: Pool, database: str, broker: str) -> None:
    await publish_shipped(pool)
    lost = report(status=Status.EXERCISE, categories=("Other",), event="Something odd", severity="Minor")
    async with pager() as officer, telling(database, broker, Namespace.EXERCISE, officer.url):
        await send(broker, sent_report(lost))
        await until(lambda: settled(pool, "refused"))
        assert officer.calls == []
        assert "not listed" in await pool.fetchval("SELECT reason FROM outbound_calls")


async def test_a_call_that_failed_is_on_record_and_is_made_again(
    pool: Pool, database: str, broker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pager that was away hears of it once it is back, once."""
    monkeypatch.setattr(outbound, "RETRY_WITHIN", 0.2)
    monkeypatch.setattr(outbound, "TRY_AGAIN_EVERY", 0.3)
    await publish_shipped(pool)
    back = False
    async with (
        pager(lambda _: 200 if back else 503) as officer,
        telling(database, broker, Namespace.ACTUAL, officer.url),
    ):
        await send(broker, sent_report(report(categories=("Other",), event="Something odd", severity="Minor")))
        await until(lambda: settled(pool, "failed"))
        back = True
        await until(lambda: settled(pool, "sent"))
        tries = len(officer.calls)
        await asyncio.sleep(1)
        assert len(officer.calls) == tries
        assert await pool.fetchval("SELECT count(*) FROM outbound_calls") == 1


async def test_the_duty_officer_is_told_also_of_what_the_broker_lost_before_it_was_read(
    pool: Pool, database: str, broker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record has it; but what is only a moment old is still on its way."""
    await publish_shipped(pool)
    odd = report(categories=("Other",), event="Something odd", severity="Minor")
    await decide(pool, [odd])
    assert await pool.execute("DELETE FROM outbox WHERE type = 'muster.timeline'") != "DELETE 0"
    terms = (["Actual"], outbound.TRY_AGAIN_FOR, outbound.TOLD_WITHIN)
    assert await pool.fetch(query("untold_outbound"), *terms) == []
    monkeypatch.setattr(outbound, "TRY_AGAIN_EVERY", 0.3)
    monkeypatch.setattr(outbound, "TOLD_WITHIN", timedelta(0))
    async with pager() as officer, telling(database, broker, Namespace.ACTUAL, officer.url):
        await until(lambda: settled(pool, "sent"))
        await asyncio.sleep(1)
    assert [UUID(told["data"]["incident_id"]) for told in officer.told] == [odd.incident_id]


async def test_nobody_is_told_of_a_drill_that_was_imported(pool: Pool) -> None:
    """It was played elsewhere, and its entries never were messages here."""
    await publish_shipped(pool)
    odd = report(status=Status.EXERCISE, categories=("Other",), event="Something odd", severity="Minor")
    await decide(pool, [odd])
    terms = (["Exercise"], outbound.TRY_AGAIN_FOR, timedelta(0))
    assert len(await pool.fetch(query("untold_outbound"), *terms)) == 1
    await pool.execute(
        "INSERT INTO drills (id, drill, version, document, status, seed, speed, clock_start, started_at, incident_ids,"
        " imported_at) VALUES ($1, 'played-elsewhere', 1, '{}', 'Exercise', 1, 1, now(), now(), $2, now())",
        uuid7(),
        [odd.incident_id],
    )
    assert await pool.fetch(query("untold_outbound"), *terms) == []


async def test_without_an_address_nothing_is_attached(database: str) -> None:
    runtime = await Runtime.open(settings(database, "127.0.0.1:1"), "test", plan_from, directory_from)
    assert not attach(runtime, WebhookSettings())
    await runtime.pool.close()


async def test_who_takes_part_in_a_drill_is_looked_up_by_its_incident() -> None:
    drilled = entry(Status.EXERCISE)

    async def listed(incident_id: UUID) -> frozenset[str]:
        return frozenset({"police"} if incident_id == drilled.incident_id else ())

    async def unknown(_: UUID) -> frozenset[str]:
        raise OSError("the database is away")

    async with pager() as found:
        way = Webhook(found.url, SECRET, listed=listed)
        await way.send(drilled, "police")
        with pytest.raises(RefusedError):
            await way.send(drilled, "fire")
        with pytest.raises(RefusedError):
            await way.send(entry(Status.EXERCISE), "police")
        await way.close()
        lost = Webhook(found.url, SECRET, listed=unknown)
        with pytest.raises(NotTakenError) as raised:
            await lost.send(drilled, "police")
        assert raised.value.later, "it may go better in a moment"
        await lost.send(entry(), "police")
        await lost.close()
    assert len(found.calls) == 2
