"""A real incident that arrives during a drill is served first, and the drill can say so."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import REGISTRY

from schemas.vocabulary import Namespace, Status
from services.dispatch import service as dispatch
from services.platform.postgres import Pool, connect
from services.platform.precedence import Precedence, real_incidents_during
from services.platform.rights import role_name
from services.platform.runtime import Runtime
from services.playbooks.stored import directory_from, plan_from
from tests.services.support import publish_shipped, report, send, sent_report, settings, until
from tests.services.test_asof import MINUTE, Played

pytestmark = pytest.mark.long


async def test_an_exercise_waits_while_the_real_is_in_hand_and_a_moment_after() -> None:
    precedence = Precedence(quiet=0.2)
    assert await precedence.give_way() == 0
    with precedence.serving(incidents=True):
        waiting = asyncio.create_task(precedence.give_way())
        await asyncio.sleep(0.1)
        assert not waiting.done()
    assert 0.25 < await waiting < 1.5
    with precedence.serving(incidents=False):
        pass
    assert await precedence.give_way() == 0


async def test_an_exercise_beside_a_flood_of_real_ones_is_slowed_and_not_stopped() -> None:
    precedence = Precedence(quiet=10, at_most=0.2)
    precedence.arrived()
    assert 0.2 <= await precedence.give_way() < 1.5


async def test_the_real_is_decided_before_the_exercise_that_came_first(pool: Pool, database: str, broker: str) -> None:
    """Behind 300 waiting exercises, real reports are decided at once, and the exercises after them."""
    await publish_shipped(pool)
    runtimes: list[Runtime] = []
    for namespace in Namespace:
        configured = settings(database, broker, namespace).model_copy(update={"batch": 5})
        runtime = await Runtime.open(configured, "test", plan_from, directory_from)
        dispatch.attach(runtime)
        runtimes.append(runtime)
    real, exercise = runtimes
    exercise.precedence = real.precedence
    before = REGISTRY.get_sample_value("muster_exercise_gave_way_total") or 0
    async with real, exercise:
        await send(broker, *[sent_report(report(status=Status.EXERCISE)) for _ in range(300)])
        await until(lambda: pool.fetchval("SELECT count(*) > 0 FROM inbox WHERE status = 'Exercise'"))
        told = [report() for _ in range(5)]
        await send(broker, *[sent_report(each) for each in told])
        await until(lambda: pool.fetchval("SELECT count(*) = 5 FROM inbox WHERE status = 'Actual'"))
        left = 300 - await pool.fetchval("SELECT count(*) FROM inbox WHERE status = 'Exercise'")
        await until(lambda: pool.fetchval("SELECT count(*) = 300 FROM inbox WHERE status = 'Exercise'"), 60)
    assert left > 100
    assert (REGISTRY.get_sample_value("muster_exercise_gave_way_total") or 0) > before
    last_real = await pool.fetchval("SELECT max(decided_at) FROM inbox WHERE status = 'Actual'")
    soon = await pool.fetchval(
        "SELECT count(*) FROM inbox WHERE status = 'Exercise' AND decided_at - $1 BETWEEN '0 s' AND '0.4 s'::interval",
        last_real,
    )
    assert soon <= 10  # a batch of five on each side of the moment at most: the rest holds back


async def test_another_process_learns_of_real_incidents_from_the_record(pool: Pool, database: str) -> None:
    """The exercise's own role, which can't read a real row, is told that one came in just now."""
    await publish_shipped(pool)
    own = await connect(database, size=1, role=role_name(Namespace.EXERCISE))
    precedence = Precedence(quiet=5, at_most=0.1)
    watching = asyncio.create_task(precedence.watch(own))
    try:
        await asyncio.sleep(0.4)
        assert await precedence.give_way() == 0
        await Played(pool).begin()

        async def gives_way() -> bool:
            return await precedence.give_way() > 0

        assert await until(gives_way)
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await own.close()


async def test_a_drill_is_told_how_many_real_incidents_came_in_and_when_and_not_which(
    pool: Pool, database: str
) -> None:
    """First reports within the span count once each; updates, other times and other exercises don't."""
    await publish_shipped(pool)
    start = datetime.now(UTC)
    before, during, drilled = Played(pool), Played(pool), Played(pool, Status.EXERCISE)
    before.clock.time = start - MINUTE
    during.clock.time = drilled.clock.time = start + MINUTE
    for played in (before, during, drilled):
        await played.begin()
    before.clock.time = during.clock.time = start + 2 * MINUTE
    await before.say(headline="more of it")
    await during.say(headline="more of it")
    own = await connect(database, size=1, role=role_name(Namespace.EXERCISE))
    try:
        found = await real_incidents_during(own, start, start + 10 * MINUTE)
        assert found.count == 1
        assert abs(found.times[0] - (start + MINUTE)) < timedelta(seconds=1)
        assert (await real_incidents_during(own, start + 5 * MINUTE, start + 10 * MINUTE)).count == 0
        assert await own.fetchval("SELECT count(*) FROM inbox WHERE status = 'Actual'") == 0
    finally:
        await own.close()
    assert not await pool.fetchval(
        "SELECT has_function_privilege('public', 'real_incidents(timestamptz, timestamptz)', 'EXECUTE')"
    )
