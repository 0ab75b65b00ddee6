"""Deciding beside each other about the same happenings: nobody waits for one who waits for him."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, cast

import asyncpg
import pytest
from uuid_utils.compat import uuid7

from schemas.command import StandDown
from schemas.envelope import ACKNOWLEDGEMENT, COMMAND, INCIDENT
from schemas.incident import Area, IncidentReport
from schemas.timeline import Entry
from schemas.vocabulary import Answer, MessageType, Namespace
from services.domain.decision import Answered, Commanded, Outcome, Reported
from services.platform.clock import SystemClock
from services.platform.decider import Decider, Incoming
from services.platform.postgres import Pool, connect
from services.platform.published import PublishedPlaybook, publish
from services.playbooks.stored import directory_from, plan_from
from tests.services.record_support import NOWHERE, wrong
from tests.services.support import answer, publish_shipped, report, shipped

HAPPENINGS = 20
ROUNDS = 6


def told(reports: Sequence[IncidentReport]) -> list[Incoming]:
    return [Incoming(Reported(uuid7(), each), INCIDENT, NOWHERE) for each in reports]


def stood_down(reports: Sequence[IncidentReport]) -> list[Incoming]:
    commands = [
        StandDown(
            incident_id=each.incident_id,
            status=each.status,
            by="officer",
            reason="it is over",
            decided_at=datetime.now(UTC),
            plan=None,
        )
        for each in reports
    ]
    return [Incoming(Commanded(uuid7(), each), COMMAND, NOWHERE) for each in commands]


def answered(rows: Sequence[asyncpg.Record]) -> list[Incoming]:
    return [Incoming(Answered(uuid7(), answer(row, Answer.COMMIT)), ACKNOWLEDGEMENT, NOWHERE) for row in rows]


async def test_a_storm_of_reports_that_join_deadlocks_nobody(pool: Pool) -> None:
    """With updates, answers and stand-downs of what they join; a deadlock would raise, and the first cost a second."""
    await publish_shipped(pool)
    one, two, three, four = (
        Decider(pool, PublishedPlaybook(pool, plan_from, directory_from), SystemClock(), Namespace.ACTUAL, "test")
        for _ in range(4)
    )
    places = [(Area(description=f"Riverside {number}"),) for number in range(HAPPENINGS)]
    first = [report(areas=place) for place in places]
    await one.decide(told(first))
    orders = await pool.fetch("SELECT * FROM assignments")
    for round_ in range(ROUNDS):
        news = {"message_type": MessageType.UPDATE, "reported_at": datetime.now(UTC), "headline": f"Round {round_}"}
        joining = [report(areas=place) for place in (places, places[::-1])[round_ % 2]]
        await asyncio.gather(
            one.decide(told(joining)),
            two.decide(told([each.model_copy(update=news) for each in first])),
            three.decide(answered(orders[round_::ROUNDS])),
            four.decide(stood_down(first[round_::ROUNDS])),
        )
    joined = await pool.fetchval("SELECT count(*) FROM inbox WHERE outcome = $1", Outcome.JOINED)
    assert joined > HAPPENINGS
    assert await pool.fetchval("SELECT count(*) FROM timeline WHERE entry = $1", Entry.JOINED) == 2 * joined
    assert await wrong(pool) == []


async def test_the_plans_are_read_though_every_connection_is_held_by_one_who_waits_for_them(
    pool: Pool, database: str
) -> None:
    """As when a process begins with much to do; PostgreSQL would end all of them after 15 seconds."""
    await publish_shipped(pool)
    small = await connect(database, size=2)
    decider = Decider(
        small, PublishedPlaybook(small, plan_from, directory_from), SystemClock(), Namespace.ACTUAL, "test"
    )
    await asyncio.wait_for(asyncio.gather(*(decider.decide(told([report()])) for _ in range(2))), 10)
    await small.close()


class Cut:
    """Stands where a connection stands that was cut."""

    async def fetchrow(self, _: str) -> None:
        raise ConnectionResetError


async def test_plans_that_could_not_be_read_are_read_by_the_next_who_asks(pool: Pool) -> None:
    published = PublishedPlaybook(pool, plan_from, directory_from)
    await publish(pool, shipped().plans[:1], shipped().directory)
    assert len((await published.current()).published.by_id) == 1
    await publish_shipped(pool)
    published._on_notify()
    with pytest.raises(ConnectionResetError):
        await published.current(connection=cast("Any", Cut()))
    assert len((await published.current()).published.by_id) == len(shipped().plans)
