"""What is done when the broker has begun another life, also when that doesn't go well at first."""

from datetime import timedelta

import pytest
from aiokafka.errors import KafkaConnectionError
from uuid_utils.compat import uuid7

from schemas.vocabulary import Namespace
from services.platform.epoch import BrokerWatch
from services.platform.outbox import LEASE
from services.platform.postgres import Pool
from services.platform.queries import query
from tests.services.record_support import decide
from tests.services.support import publish_shipped, report


async def test_who_fails_to_go_back_after_a_loss_does_so_at_the_next_look(pool: Pool, broker: str) -> None:
    """Or it would read on where the broker's former life had ended."""
    tries = 0

    async def go_back() -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise KafkaConnectionError("away for a moment")

    await publish_shipped(pool)
    watch = BrokerWatch(pool, broker, Namespace.ACTUAL, replication=1, on_loss=go_back)
    try:
        await watch.prepare()
        await watch._look()
        assert tries == 0
        await pool.execute("UPDATE epochs SET epoch = $1", uuid7())  # so that the broker has another life's marker
        with pytest.raises(KafkaConnectionError):
            await watch._look()
        await watch._look()
        await watch._look()
        assert tries == 2
    finally:
        await watch._hang_up()


async def test_a_second_recovery_that_fails_is_made_at_the_next_look(
    pool: Pool, broker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = BrokerWatch(pool, broker, Namespace.ACTUAL, replication=1)
    await publish_shipped(pool)
    await watch.prepare()
    await pool.execute("UPDATE epochs SET begun_at = begun_at - interval '1 hour', settled = false")

    async def fail(*_: object) -> int:
        raise ConnectionError("away for a moment")

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(watch, "_recover", fail)
        with pytest.raises(ConnectionError):
            await watch._settle()
    assert await pool.fetchval("SELECT NOT settled FROM epochs")
    await watch._settle()
    assert await pool.fetchval("SELECT settled FROM epochs")


async def test_what_was_published_under_a_long_lease_is_recovered_too(pool: Pool) -> None:
    """A large batch has more than the usual time for its messages; none of them is left with the former life."""
    await publish_shipped(pool)
    await decide(pool, [report()])
    orders = await pool.fetchval("SELECT count(*) FROM outbox WHERE type = 'muster.assignment'")
    begun_at = await pool.fetchval("SELECT clock_timestamp()")

    async def recovered(published: timedelta, lease: timedelta) -> int:
        await pool.execute(
            "UPDATE outbox SET published_at = $1::timestamptz + $2::interval, lease_until = $1 + $3::interval",
            *(begun_at, published, lease),
        )
        return len(
            await pool.fetch(query("recover_messages"), Namespace.ACTUAL.value, timedelta(hours=1), LEASE, begun_at)
        )

    assert orders > 0
    assert await recovered(timedelta(seconds=-1), timedelta(seconds=20)) == orders
    assert await recovered(timedelta(seconds=1), timedelta(seconds=20)) == orders
    assert await recovered(timedelta(seconds=9), timedelta(seconds=4)) == orders
    assert await recovered(timedelta(seconds=9), timedelta(seconds=20)) == 0


async def test_a_word_is_not_recovered_when_a_later_one_goes_out_anyway(pool: Pool) -> None:
    """Or the department would hear the earlier one last: the later may be on its way already."""
    await publish_shipped(pool)
    await decide(pool, [report()])
    await pool.execute("UPDATE outbox SET published_at = clock_timestamp()")
    orders = await pool.fetch("SELECT * FROM outbox WHERE type = 'muster.assignment'")
    followed = orders[0]["assignment_id"]
    await pool.execute(
        "INSERT INTO outbox (event_id, incident_id, status, namespace, topic, type, assignment_id, time, source, value,"
        " lease_until) SELECT gen_random_uuid(), incident_id, status, namespace, topic, type, assignment_id, time,"
        " source, value, lease_until FROM outbox WHERE assignment_id = $1",
        followed,
    )
    begun_at = await pool.fetchval("SELECT clock_timestamp() + interval '1 hour'")
    await pool.fetch(query("recover_messages"), Namespace.ACTUAL.value, timedelta(hours=1), LEASE, begun_at)
    waiting = await pool.fetch(
        "SELECT assignment_id FROM outbox WHERE published_at IS NULL AND assignment_id IS NOT NULL"
    )
    assert sorted(row["assignment_id"] for row in waiting) == sorted(row["assignment_id"] for row in orders)
    assert await pool.fetchval("SELECT count(*) FROM outbox WHERE assignment_id = $1", followed) == 2
    again = await pool.fetchval("SELECT published_at IS NULL FROM outbox WHERE seq = $1", orders[0]["seq"])
    assert not again
