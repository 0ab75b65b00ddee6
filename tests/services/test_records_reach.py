"""What is read for an answer: the orders that it may lead to look at, and no others."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from uuid_utils.compat import uuid7

from schemas.envelope import ACKNOWLEDGEMENT
from schemas.vocabulary import Answer, Namespace, Severity
from services.domain.decision import Answered
from services.domain.filling import reach
from services.domain.incident import Assignment, Incident
from services.domain.playbook import Playbook
from services.platform import decider as deciding
from services.platform.clock import SystemClock
from services.platform.decider import Decider, Incoming
from services.platform.outbox import LEASE
from services.platform.postgres import Pool
from services.platform.published import PublishedPlaybook
from services.platform.records import add_reach, load
from services.playbooks.stored import directory_from, plan_from
from tests.services.record_support import NOWHERE, decide
from tests.services.support import answer, publish_shipped, report


async def read_for(pool: Pool, playbook: Playbook, incident: UUID, *answered: UUID) -> Incident:
    async with pool.acquire() as connection, connection.transaction():
        known = await load(connection, [incident], {incident: answered})
        return (await add_reach(connection, known, playbook.frozen))[incident]


async def read_whole(pool: Pool, incident: UUID) -> Incident:
    async with pool.acquire() as connection, connection.transaction():
        return (await load(connection, [incident]))[incident]


def near(whole: Incident, playbook: Playbook, *answered: UUID) -> dict[UUID, Assignment]:
    """Choose from all assignments those that answers may lead to look at."""
    tasks: set[tuple[UUID, str]] = set()
    for each in (whole.assignments[id_] for id_ in answered):
        plan = playbook.frozen[whole.activations[each.activation_id].digest]
        tasks |= {(each.activation_id, name) for name in reach(plan, each.task)}
    return {id_: each for id_, each in whole.assignments.items() if (each.activation_id, each.task) in tasks}


async def test_an_answer_reads_the_orders_of_its_task_and_of_those_that_wait_for_it(pool: Pool) -> None:
    """While one order after the other is completed, and tasks that come after others are given out."""
    await publish_shipped(pool)
    said, other = report(severity=Severity.EXTREME), report(severity=Severity.EXTREME)
    await decide(pool, [said, other])
    published = PublishedPlaybook(pool, plan_from, directory_from)
    decider = Decider(pool, published, SystemClock(), Namespace.ACTUAL, "test")
    playbook = await published.current()
    smaller = farther = 0
    done: set[UUID] = set()
    while True:
        whole = await read_whole(pool, said.incident_id)
        waiting = [each for each in whole.assignments.values() if each.state.is_open and each.id not in done]
        if not waiting:
            break
        for some in (waiting[:1], waiting[:3]):
            ids = [each.id for each in some]
            found = await read_for(pool, playbook, said.incident_id, *ids)
            expected = near(whole, playbook, *ids)
            assert found.assignments == expected
            assert (found.report, found.activations, found.phase) == (whole.report, whole.activations, whole.phase)
            smaller += len(expected) < len(whole.assignments)
            farther += len({each.task for each in expected.values()} - {each.task for each in some}) > 0
        row = await pool.fetchrow("SELECT * FROM assignments WHERE id = $1", waiting[0].id)
        assert row is not None
        told = Answered(uuid7(), answer(row, Answer.COMPLETE))
        await decider.decide([Incoming(told, ACKNOWLEDGEMENT, NOWHERE)])
        done.add(waiting[0].id)
    assert smaller
    assert farther
    # An id that is nobody's yet may be that of an order to come, which what is decided before it leads to.
    whole = await read_whole(pool, said.incident_id)
    for stranger in (uuid4(), *(await read_whole(pool, other.incident_id)).assignments):
        assert await read_for(pool, playbook, said.incident_id, next(iter(whole.assignments)), stranger) == whole


async def test_an_incident_that_is_closing_is_read_whole(pool: Pool) -> None:
    """It is over once nothing of it is open, whichever task that is of."""
    await publish_shipped(pool)
    said = report()
    await decide(pool, [said])
    playbook = await PublishedPlaybook(pool, plan_from, directory_from).current()
    await pool.execute("UPDATE incidents SET phase = 'closing' WHERE id = $1", said.incident_id)
    whole = await read_whole(pool, said.incident_id)
    assert len(whole.assignments) > 1
    found = await read_for(pool, playbook, said.incident_id, next(iter(whole.assignments)))
    assert found == whole


async def test_thousands_of_messages_are_given_longer_to_get_out(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or a sweeper would send them all again while the first still sends them."""
    await publish_shipped(pool)
    few, many = report(), report()
    await decide(pool, [few])
    monkeypatch.setattr(deciding, "LEASE_EACH", timedelta(seconds=10))
    await decide(pool, [many])
    held = "SELECT max(extract(epoch FROM lease_until - now()))::float8 FROM outbox WHERE incident_id = $1"
    assert await pool.fetchval(held, few.incident_id) <= LEASE.total_seconds()
    messages = await pool.fetchval("SELECT count(*) FROM outbox WHERE incident_id = $1", many.incident_id)
    assert 10 * (messages - 1) < await pool.fetchval(held, many.incident_id) <= 10 * messages


async def test_what_is_in_force_is_read_again_only_when_it_has_changed(pool: Pool) -> None:
    """A directory of ten thousand departments takes a second to read, and every service looks again each minute."""
    await publish_shipped(pool)
    published = PublishedPlaybook(pool, plan_from, directory_from)
    before = await published.current()
    published._stale = True
    assert await published.current() is before
    await pool.execute(
        "INSERT INTO publication (plans, directory)"
        " SELECT plans[2:], directory FROM publication ORDER BY id DESC LIMIT 1"
    )
    published._stale = True
    after = await published.current()
    assert len(after.published.by_id) == len(before.published.by_id) - 1
