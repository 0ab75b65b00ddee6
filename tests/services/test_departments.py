"""A department hears every order, works on it once, and is heard; the same on the fake broker and on a real one."""

import asyncio
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator, Set
from datetime import datetime
from pathlib import Path

import pytest

from schemas.assignment import Assignment
from schemas.envelope import write_value
from schemas.vocabulary import AssignmentState, Namespace, Notice, Status
from services.departments import Department, Order, OrderEndedError
from services.departments.journal import Journal
from services.departments.kafka import KafkaConnection
from services.platform.errors import ConfigurationError, RefusedError
from tests.services.test_departments_world import (
    EXERCISE,
    KafkaWorld,
    Log,
    MemoryWorld,
    World,
    again,
    apache_world,
    envelope_of,
    give,
    heard,
    kafka_world,
    order,
    running,
    until,
    words,
)

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
async def embedded(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[KafkaWorld]:
    async with kafka_world(tmp_path_factory.mktemp("broker")) as world:
        yield world


@pytest.fixture(scope="module")
async def apache(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[KafkaWorld]:
    async with apache_world(tmp_path_factory.mktemp("apache")) as world:
        yield world


@pytest.fixture(params=["memory", "embedded", pytest.param("apache", marks=pytest.mark.kafka)])
def world(request: pytest.FixtureRequest) -> World:
    found: World = MemoryWorld() if request.param == "memory" else request.getfixturevalue(request.param)
    return found


def joined(world: World, name: str, journal: Path | None = None) -> Department:
    return Department(name, namespace=EXERCISE, transport=world.transport(name), journal=journal, stop_within=0.2)


async def test_a_receipt_goes_out_before_the_handler_answers(world: World) -> None:
    name = await world.department()
    department = joined(world, name)
    message = order(name)
    states: list[AssignmentState] = []

    @department.on_order
    async def handle(order: Order) -> None:
        states.append(order.state)
        await order.commit(note="two cars", by="Sergeant Li")
        await order.start()
        await order.complete()

    async with running(department):
        await give(world, message)
        await until(lambda: len_is(world, name, 4))
    said = await heard(world, name)
    assert [message.answer.value for _, message in said] == ["deliver", "commit", "start", "complete"]
    assert states == [AssignmentState.DELIVERED]
    commit = said[1][1]
    assert (commit.assignment_id, commit.incident_id) == (message.assignment_id, message.incident_id)
    assert (commit.status, commit.department, commit.note, commit.by) == (
        Status.EXERCISE,
        name,
        "two cars",
        "Sergeant Li",
    )
    times = [message.answered_at for _, message in said]
    assert times == sorted(times)
    assert len({event_id for event_id, _ in said}) == 4


async def len_is(world: World, name: str, wanted: int) -> bool:
    return len(await world.records(name)) >= wanted


async def test_an_order_delivered_again_is_not_handled_again_but_answered_again(world: World) -> None:
    name = await world.department()
    department = joined(world, name)
    log = Log(department)
    message = order(name)
    async with running(department):
        await give(world, message)
        await until(lambda: len(log.orders) == 1)
        await log.orders[0].commit()
        await until(lambda: len_is(world, name, 2))
        await give(world, message)
        await until(lambda: len_is(world, name, 4))
    said = await heard(world, name)
    assert len(log.orders) == 1
    assert log.changes == []
    assert said[2:] == said[:2], "the same answers with the same event ids, in the same order"


async def test_what_was_handled_is_remembered_over_a_restart(world: World, tmp_path: Path) -> None:
    name = await world.department()
    message = order(name)
    logs = []
    for _ in range(2):
        department = joined(world, name, tmp_path / "journal")
        logs.append(Log(department))
        async with running(department):
            await give(world, message)
            await until(lambda: len_is(world, name, len(logs)))
    assert [len(log.orders) for log in logs] == [1, 0]
    assert await words(world, name) == ["deliver", "deliver"]


async def test_a_handler_that_was_cut_short_is_called_again_after_a_restart(world: World, tmp_path: Path) -> None:
    """The offset is committed by then, so nothing but the journal knows of the order."""
    name = await world.department()
    called: list[Order] = []
    for ends in (False, True):
        department = joined(world, name, tmp_path / "journal")

        @department.on_order
        async def handle(order: Order, ends: bool = ends) -> None:
            called.append(order)
            await order.commit()
            await asyncio.sleep(0 if ends else 60)
            await order.complete()

        async with running(department):
            if not ends:
                await give(world, order(name))
            wanted = 3 if ends else 2
            await until(lambda wanted=wanted: len_is(world, name, wanted))  # type: ignore[misc]
    assert called[0].id == called[1].id
    assert await words(world, name) == ["deliver", "commit", "complete"], "a commitment repeated is said once"


async def test_a_broker_that_lost_everything_hears_the_answers_again_with_the_same_ids(
    world: World, tmp_path: Path
) -> None:
    name = await world.department()
    department = joined(world, name, tmp_path / "journal")
    log = Log(department)
    message = order(name)
    async with running(department):
        await give(world, message)
        await until(lambda: len(log.orders) == 1)
        await log.orders[0].commit()
        await until(lambda: len_is(world, name, 2))
        before = await heard(world, name)
        await world.lose_everything(name)
        await give(world, message)  # Muster publishes its last word about every open order again
        await until(lambda: len_is(world, name, 2), seconds=60)
    assert await heard(world, name) == before
    assert len(log.orders) == 1


async def test_a_reminder_of_an_order_never_seen_is_an_order(world: World) -> None:
    name = await world.department()
    department = joined(world, name)
    log = Log(department)
    message = order(name, notice=Notice.REMINDED, revision=2)
    async with running(department):
        await give(world, message)
        await until(lambda: len(log.orders) == 1)
        await give(world, message.model_copy(update={"notice": Notice.ISSUED, "revision": 1}))
        await until(lambda: len_is(world, name, 2))
    assert (log.orders[0].notice, log.changes) == (Notice.REMINDED, [])
    assert await words(world, name) == ["deliver", "deliver"], "an older message only makes it answer again"


async def test_a_cancellation_of_an_order_never_seen_is_told_and_not_handled(world: World) -> None:
    name = await world.department()
    department = joined(world, name)
    log = Log(department)
    cancelled = order(name, notice=Notice.CANCELLED, revision=2, state=AssignmentState.CANCELLED, reason="false alarm")
    async with running(department):
        await give(world, cancelled)
        issued = {"notice": Notice.ISSUED, "revision": 1, "state": AssignmentState.ISSUED}
        await give(world, cancelled.model_copy(update=issued))
        await give(world, order(name))
        await until(lambda: len(log.orders) == 1)
        with pytest.raises(OrderEndedError, match=r"is cancelled already: false alarm"):
            await log.changes[0].commit()
        await until(lambda: len_is(world, name, 2))
    assert log.orders[0].id != cancelled.assignment_id
    assert log.notices == [Notice.CANCELLED]


async def test_every_later_word_reaches_the_hook_once_and_in_order(world: World) -> None:
    name = await world.department()
    department = joined(world, name)
    log = Log(department)
    first = order(name)
    reminded = again(first, Notice.REMINDED)
    escalated = again(reminded, Notice.ESCALATED, addressed_to="deputy")
    cancelled = again(escalated, Notice.CANCELLED, state=AssignmentState.EXPIRED)
    async with running(department):
        await give(world, first)
        await until(lambda: len(log.orders) == 1)
        for message in (reminded, escalated, escalated, reminded, cancelled):
            await give(world, message)
        await until(lambda: len(log.changes) == 3)
    assert log.notices == [Notice.REMINDED, Notice.ESCALATED, Notice.CANCELLED]
    assert len(log.orders) == 1


async def test_a_refused_answer_no_longer_counts_and_can_be_given_better(world: World) -> None:
    name = await world.department()
    department = joined(world, name)
    log = Log(department)
    message = order(name)
    async with running(department):
        await give(world, message)
        await until(lambda: len(log.orders) == 1)
        taken = log.orders[0]
        await taken.delegate("fire-rescue", "their hoses")
        assert taken.state is AssignmentState.SUPERSEDED
        await give(world, again(message, Notice.REFUSED, reason="delegate refused: fire-rescue has this task already"))
        await until(lambda: log.notices == [Notice.REFUSED])
        assert taken.is_open
        assert log.changes[0].reason == "delegate refused: fire-rescue has this task already"
        assert await taken.commit()
        await until(lambda: commits(world, name))
    assert "delegate" in await words(world, name)


async def commits(world: World, name: str) -> bool:
    return "commit" in await words(world, name)


async def test_a_copy_for_the_superior_is_told_without_receipt_or_answers(world: World) -> None:
    name = await world.department()
    department = joined(world, name)
    log = Log(department)
    copy = order("traffic-police", notice=Notice.ESCALATED, revision=3, addressed_to="superior")
    async with running(department):
        await give(world, copy, to=name)
        await give(world, copy, to=name)
        await give(world, order(name))
        await until(lambda: len(log.orders) == 1 and len(log.changes) == 1)
        assert log.changes[0].is_copy
        assert not log.orders[0].is_copy
        with pytest.raises(RefusedError, match="is traffic-police's; this is a copy"):
            await log.changes[0].commit()
        await until(lambda: len_is(world, name, 1))
    assert len(log.changes) == 1
    assert await words(world, name) == ["deliver"]


@pytest.mark.parametrize("status", [Status.ACTUAL, Status.SYSTEM, Status.DRAFT])
async def test_an_order_of_another_world_is_refused(
    world: World, status: Status, capsys: pytest.CaptureFixture[str]
) -> None:
    name = await world.department()
    department = joined(world, name)
    log = Log(department)
    async with running(department):
        await give(world, order(name, status=status))
        await give(world, order(name, status=Status.TEST))
        await until(lambda: len(log.orders) == 1)
        await until(lambda: len_is(world, name, 1))
    assert log.orders[0].status is Status.TEST
    assert department.counts.wrong_status == 1
    assert [message.status for _, message in await heard(world, name)] == [Status.TEST]
    assert "REFUSED" in "".join(capsys.readouterr()), "wherever this process's log goes by now"


async def test_bytes_that_cannot_be_read_are_counted_and_stop_nothing(world: World) -> None:
    name = await world.department()
    department = joined(world, name)
    log = Log(department)
    good = order(name)
    headers = envelope_of(good).headers()
    async with running(department):
        await world.publish(name, b"\xff\x00 not JSON", headers)
        await world.publish(name, write_value(good), [("ce_id", b"\xff")])
        await world.publish(name, b'{"assignment_id": 1}', headers)
        await give(world, good)
        await until(lambda: len(log.orders) == 1)
    assert department.counts.unreadable == 3
    assert log.orders[0].id == good.assignment_id


async def test_one_slow_handler_keeps_no_other_order_from_its_receipt_and_handler(world: World) -> None:
    name = await world.department()
    department = joined(world, name)
    seen: list[str] = []

    @department.on_order
    async def handle(order: Order) -> None:
        seen.append(order.task)
        if order.task == "slow":
            await asyncio.sleep(60)
        if order.task == "broken":
            raise RuntimeError("a bug of the department's own")

    async with running(department):
        for task in ("slow", "broken", "fine"):
            await give(world, order(name, task=task))
        await until(lambda: len_is(world, name, 3))
        await until(lambda: len(seen) == 3)
    assert department.handler_failures == 1


async def test_catching_up_reads_everything_without_sharing_in_the_group(world: World) -> None:
    name = await world.department()
    await give(world, order(name))
    visitor, listener = joined(world, name), joined(world, name)
    log = Log(listener)
    assert await visitor.catch_up(within=10)
    assert [(each.task, each.state) for each in visitor.orders()] == [("close-road", AssignmentState.DELIVERED)]
    visitor.close()
    async with running(listener):
        await until(lambda: len(log.orders) == 1)


async def test_answers_wait_in_the_journal_while_the_broker_is_away(tmp_path: Path) -> None:
    world = MemoryWorld()
    department = joined(world, "police", tmp_path / "journal")
    log = Log(department)
    async with running(department):
        await give(world, order("police"))
        await until(lambda: len(log.orders) == 1)
        await until(lambda: len_is(world, "police", 1))
        world.broker.go_away()
        await log.orders[0].commit()
        await log.orders[0].start()
    assert await words(world, "police") == ["deliver"]
    world.broker.come_back()
    async with running(joined(world, "police", tmp_path / "journal")):
        await until(lambda: len_is(world, "police", 3))
    assert await words(world, "police") == ["deliver", "commit", "start"]


async def test_a_department_connects_once_the_broker_is_there() -> None:
    world = MemoryWorld()
    world.broker.go_away()
    department = joined(world, "police")
    log = Log(department)
    async with running(department):
        await asyncio.sleep(0.05)
        world.broker.come_back()
        await give(world, order("police"))
        await until(lambda: len(log.orders) == 1)


async def test_without_any_broker_it_keeps_trying_and_still_stops() -> None:
    department = Department("police", namespace=EXERCISE, kafka="127.0.0.1:1")
    async with running(department):
        await asyncio.sleep(0.5)


async def test_a_journal_belongs_to_one_department_one_namespace_and_one_listener(tmp_path: Path) -> None:
    world = MemoryWorld()
    path = tmp_path / "journal"
    async with running(joined(world, "police", path)):
        await until(path.with_name("journal.lock").exists)
        await asyncio.sleep(0.01)
        with pytest.raises(ConfigurationError, match="another listener works with it"):
            await joined(world, "police", path).run()
    with pytest.raises(ConfigurationError, match="belongs to police in the exercise namespace, not to fire"):
        await joined(world, "fire", path).run()
    actual = Department("police", namespace=Namespace.ACTUAL, journal=path, transport=world.transport("police"))
    with pytest.raises(ConfigurationError, match="not to police in actual"):
        await actual.run()


async def test_stopping_lets_handlers_end_and_sends_what_they_said() -> None:
    world = MemoryWorld()
    department = Department("police", namespace=EXERCISE, transport=world.transport("police"), stop_within=5)
    began = asyncio.Event()

    @department.on_order
    async def handle(order: Order) -> None:
        began.set()
        await asyncio.sleep(0.05)
        await order.complete()

    task = asyncio.create_task(department.run())
    await give(world, order("police"))
    await began.wait()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert await words(world, "police") == ["deliver", "complete"]


async def test_only_so_many_handlers_work_at_once_and_an_order_that_ends_meanwhile_is_left_alone() -> None:
    world = MemoryWorld()
    department = Department("police", namespace=EXERCISE, transport=world.transport("police"), at_once=2)
    gate = asyncio.Event()
    called: list[str] = []

    @department.on_order
    async def handle(order: Order) -> None:
        called.append(order.task)
        await gate.wait()

    orders = [order("police", task=f"task-{number}") for number in range(5)]
    async with running(department):
        for message in orders:
            await give(world, message)
        await until(lambda: len_is(world, "police", 5))
        assert called == ["task-0", "task-1"], "every receipt is out, and only two handlers are at work"
        await give(world, again(orders[2], Notice.CANCELLED, state=AssignmentState.CANCELLED))
        await until(lambda: sum(each.is_open for each in department.orders()) == 4)
        gate.set()
        await until(lambda: len(called) == 4)
    assert "task-2" not in called


async def test_a_journal_that_cannot_be_written_for_a_while_loses_no_order(monkeypatch: pytest.MonkeyPatch) -> None:
    world = MemoryWorld()
    department = joined(world, "police")
    log = Log(department)
    put, tries = Journal.put, []

    def full_at_first(journal: Journal, message: Assignment, at: datetime) -> None:
        tries.append(message)
        if len(tries) < 3:
            raise sqlite3.OperationalError("database or disk is full")
        put(journal, message, at)

    monkeypatch.setattr(Journal, "put", full_at_first)
    async with running(department):
        await give(world, order("police"))
        await until(lambda: len(log.orders) == 1)
        await until(lambda: len_is(world, "police", 1))
    assert len(tries) == 3


async def test_copies_of_a_department_share_its_orders(embedded: KafkaWorld) -> None:
    name = await embedded.department()
    copies = [joined(embedded, name), joined(embedded, name)]
    logs = [Log(copy) for copy in copies]
    async with running(copies[0]), running(copies[1]):
        await until(lambda: all(len(shares(copy)) == 1 for copy in copies), seconds=30)
        orders = [order(name) for _ in range(12)]
        for message in orders:
            await give(embedded, message)
        await until(lambda: sum(len(log.orders) for log in logs) == 12)
    assert all(log.orders for log in logs)
    assert {each.id for log in logs for each in log.orders} == {each.assignment_id for each in orders}


def shares(department: Department) -> Set[object]:
    connection = department._connection
    if not isinstance(connection, KafkaConnection) or connection._consumer is None:
        return frozenset()
    consumer = connection._consumer._subscriber.consumer
    return frozenset(consumer.assignment()) if consumer else frozenset()


KILLED = """
import asyncio, sys
from pathlib import Path
from schemas.vocabulary import Namespace
from services.departments import Department
from services.platform.kafka import BRISK
from services.platform.logs import configure_logging

configure_logging()
department = Department(
    sys.argv[2], namespace=Namespace.EXERCISE, kafka=sys.argv[1], journal=Path(sys.argv[3]), pace=BRISK
)

@department.on_order
async def handle(order):
    await order.commit()
    print("working", flush=True)
    await asyncio.sleep(600)

asyncio.run(department.run())
"""


async def test_a_process_killed_by_9_in_a_handler_works_on_the_order_again(
    embedded: KafkaWorld, tmp_path: Path
) -> None:
    name = await embedded.department()
    journal = tmp_path / "journal"
    await give(embedded, order(name))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", KILLED, embedded.bootstrap, name, str(journal)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        cwd=REPOSITORY,
    )
    assert process.stdout is not None
    assert await asyncio.wait_for(process.stdout.readline(), 30) == b"working\n"
    process.send_signal(signal.SIGKILL)
    await process.communicate()
    department = joined(embedded, name, journal)
    log = Log(department)
    async with running(department):
        await until(lambda: len(log.orders) == 1)
        assert log.orders[0].state is AssignmentState.COMMITTED
        await log.orders[0].complete()
        await until(lambda: ends_with_complete(embedded, name))
    said = await heard(embedded, name)
    firsts = list(dict.fromkeys(event_id for event_id, _ in said))
    assert len(firsts) == 3, "receipt, commitment and completion, whatever was sent twice"


async def ends_with_complete(world: World, name: str) -> bool:
    return (await words(world, name))[-1:] == ["complete"]
