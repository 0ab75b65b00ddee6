"""Everything that is done to the world, one thing at a time and several at once. Each heals what it has hurt."""

import asyncio
import signal
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import asyncpg
from aiokafka import AIOKafkaConsumer

from schemas.topics import ACKNOWLEDGEMENTS, COMMANDS, INCIDENTS, department_pattern, group_name, topic_name
from schemas.vocabulary import Namespace
from tests.faults.links import Link
from tests.faults.world import BROKERS, HOSTS, SMALL_DISK, World

WORKERS = ("dispatch", "tracking", "escalation")
NODES = range(1, BROKERS + 1)
PAUSED = 15.0
"""Seconds that a copy is stopped or cut off: longer than its group waits for it (`services.platform.kafka.STEADY`)."""
DOWN = 6.0
"""Seconds that a broker stays away; its partitions have moved on before that."""
SLOW = 0.15
"""Seconds that each byte takes while the network is slow, in each direction."""
WRONG_BY = 7 * 60.0
"""Seconds by which a clock is stepped."""

Deed = Callable[[World, Random], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class Fault:
    """One row of the table.

    ``steps_clock``: timers fire early or late, as they must with a wrong clock. ``loses_topics``: what the brokers had
    confirmed is gone. ``retells``: so departments say some answers again, later than they first did.
    """

    name: str
    what: str
    do: Deed
    subset: bool = False
    steps_clock: bool = False
    loses_topics: bool = False
    retells: bool = False
    needs_disk: bool = False


async def nothing(world: World, chance: Random) -> None:
    """Let the world be: what the others are compared with."""
    del world, chance
    await asyncio.sleep(8)


async def kill_each(world: World, chance: Random) -> None:
    """Kill every copy of every service with -9, one after the other."""
    members = chance.sample(world.members, len(world.members))
    for member in members:
        await world.kill(member)
        await asyncio.sleep(chance.uniform(0.2, 1.5))
        await world.spawn(member)
        await asyncio.sleep(chance.uniform(1.0, 2.0))


async def kill_all(world: World, chance: Random) -> None:
    """Kill every copy of every service with -9 at once, while the brokers are out of reach."""
    del chance
    for host in HOSTS:
        for link in world.to_brokers[host]:
            link.cut()
    await asyncio.sleep(3)
    await world.kill(*world.members)
    mend(world)
    await asyncio.gather(*(world.spawn(member) for member in world.members))


async def pause(world: World, chance: Random) -> None:
    """Stop one copy of each worker with SIGSTOP for longer than its group waits, and let it go on."""
    members = [(service, chance.choice(HOSTS)) for service in WORKERS]
    for member in members:
        world.signal(member, signal.SIGSTOP)
    await asyncio.sleep(PAUSED)
    for member in members:
        world.signal(member, signal.SIGCONT)


async def kill_broker(world: World, chance: Random) -> None:
    """Kill a broker that leads few partitions with -9, and start it again."""
    leader = await world.busiest_node()
    await _lose_broker(world, chance.choice([node for node in NODES if node != leader]))


async def kill_leader(world: World, chance: Random) -> None:
    """Kill the broker that leads most partitions with -9, and start it again."""
    del chance
    await _lose_broker(world, await world.busiest_node())


async def _lose_broker(world: World, node: int) -> None:
    world.kafka.kill(node)
    await asyncio.sleep(DOWN)
    await world.kafka.restart(node)


async def restart_brokers(world: World, chance: Random) -> None:
    """Kill all brokers with -9 at once, and start them again."""
    del chance
    for node in NODES:
        world.kafka.kill(node)
    await asyncio.sleep(2)
    await world.kafka.start()


async def forget_brokers(world: World, chance: Random) -> None:
    """Kill all brokers with -9, delete everything they have, and start an empty cluster."""
    for node in NODES:
        world.kafka.kill(node)
    await world.kill(("dispatch", chance.choice(HOSTS)))
    await world.kafka.stop()
    world.kafka.wipe()
    await world.note_gone()
    await world.kafka.start()
    await asyncio.gather(*(world.spawn(member) for member in world.members))


async def fill_disk(world: World, chance: Random) -> None:
    """Fill a broker's disk until it gives up, then make room and start it again."""
    del chance
    world.disk.fill()
    for _ in range(200):
        if not world.kafka.alive(SMALL_DISK):
            break
        await asyncio.sleep(0.1)
    world.disk.free()
    await world.kafka.restart(SMALL_DISK)


async def kill_database(world: World, chance: Random) -> None:
    """Kill PostgreSQL with -9, and start it again."""
    world.postgres.kill()
    await asyncio.sleep(chance.uniform(2, 4))
    await world.postgres.start()


async def lose_database(world: World, chance: Random) -> None:
    """Take a backup under load, drop the database later, and restore it with what the broker has since."""
    backup = world.folder / f"backup-{chance.randrange(1_000_000)}"
    await world.muster("backup", str(backup))
    await asyncio.sleep(chance.uniform(4, 8))
    server = await asyncpg.connect(world.dsn)
    try:
        await server.execute(f"DROP DATABASE {world.database.rsplit('/', 1)[1]} WITH (FORCE)")
    finally:
        await server.close()
    await world.muster("restore", str(backup))


async def cut_connections(world: World, chance: Random) -> None:
    """End every connection of every service with pg_terminate_backend, again and again."""
    connection = await asyncpg.connect(world.database)
    try:
        for _ in range(8):
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            await asyncio.sleep(chance.uniform(0.3, 1.5))
    finally:
        await connection.close()


async def slow_network(world: World, chance: Random) -> None:
    """Delay every byte between one host and everything else."""
    for link in world.links(chance.choice(HOSTS)):
        link.delay = SLOW
    await asyncio.sleep(12)
    mend(world)


async def part_from_brokers(world: World, chance: Random) -> None:
    """Drop everything between one host and the brokers."""
    await _cut(world, world.to_brokers[chance.choice(HOSTS)])


async def part_from_database(world: World, chance: Random) -> None:
    """Drop everything between one host and the database."""
    await _cut(world, [world.to_database[chance.choice(HOSTS)]])


async def part_departments(world: World, chance: Random) -> None:
    """Drop everything between the departments and the brokers."""
    del chance
    await _cut(world, world.to_brokers["field"])


async def _cut(world: World, links: Sequence[Link]) -> None:
    for link in links:
        link.cut()
    await asyncio.sleep(PAUSED)
    mend(world)


async def lose_host(world: World, chance: Random) -> None:
    """Lose a host with all that it was doing: its connections stay open at the servers, and nobody is behind them."""
    host = chance.choice(HOSTS)
    links = world.links(host)
    for link in links:
        link.delay = SLOW  # so that much is under way
    await asyncio.sleep(3)
    for link in links:
        link.cut()
    lost = [member for member in world.members if member[1] == host]
    await world.kill(*lost)
    for link in links:
        link.abandon()
    mend(world)
    await asyncio.gather(*(world.spawn(member) for member in lost))


async def step_clocks(world: World, chance: Random) -> None:
    """Step the wall clock of one copy of each worker by minutes, forwards or back, and set it right again."""
    members = [(service, chance.choice(HOSTS)) for service in WORKERS]
    ways = chance.sample([WRONG_BY, -WRONG_BY, WRONG_BY], len(members))
    for member, way in zip(members, ways, strict=True):
        world.step_clock(member, way)
    await asyncio.sleep(10)
    for member in members:
        world.step_clock(member, 0)


async def storm(world: World, chance: Random) -> None:
    """Let strangers join the groups of dispatch and tracking, take a share, read nothing, and leave, repeatedly."""
    bootstrap = world.kafka.bootstrap.split(",")
    namespace = Namespace.ACTUAL

    async def visit(service: str) -> None:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap,
            group_id=group_name(namespace, service),
            enable_auto_commit=False,
            heartbeat_interval_ms=1_000,
        )
        if service == "dispatch":
            consumer.subscribe([topic_name(topic, namespace) for topic in (INCIDENTS, COMMANDS)])
        else:
            consumer.subscribe(pattern=department_pattern(ACKNOWLEDGEMENTS, namespace))
        await consumer.start()
        try:
            await asyncio.sleep(chance.uniform(0.5, 2))
        finally:
            await consumer.stop()

    for _ in range(4):
        await asyncio.gather(visit("dispatch"), visit("tracking"))


async def deploy(world: World, chance: Random) -> None:
    """Replace every copy with one of a new version, one by one: SIGTERM, its end, the new one, ready.

    The new version is this one with another batch size, so that both are at work at once.
    """
    batch = str(chance.randrange(20, 100))
    for member in world.members:
        await world.terminate(member)
        await world.spawn(member, MUSTER_BATCH=batch)
        await world.until_ready([member])


def mend(world: World) -> None:
    """Make the network whole and quick again."""
    for link in world.links():
        link.mend()


def together(*deeds: Deed) -> Deed:
    """Do several things at once, each a little later than the one before."""

    async def do(world: World, chance: Random) -> None:
        async with asyncio.TaskGroup() as group:
            for deed in deeds:
                group.create_task(deed(world, Random(chance.random())))
                await asyncio.sleep(chance.uniform(0.5, 2))

    return do


FAULTS = (
    Fault("none", "nothing is done", nothing, subset=True),
    Fault(
        "brokers lose all data",
        "all three wiped, an empty cluster in their place",
        forget_brokers,
        loses_topics=True,
        retells=True,
        subset=True,
    ),
    Fault("kill each service", "kill -9 of every copy in turn", kill_each, subset=True),
    Fault("kill all services", "kill -9 of all copies at once, brokers out of reach", kill_all, subset=True),
    Fault("stop services", f"SIGSTOP of a dispatch, a tracking and an escalation for {PAUSED:.0f} s", pause),
    Fault("kill a broker", f"kill -9 of a follower, back after {DOWN:.0f} s", kill_broker),
    Fault(
        "kill the leader",
        f"kill -9 of the leader of most partitions, back after {DOWN:.0f} s",
        kill_leader,
        subset=True,
    ),
    Fault("restart all brokers", "kill -9 of all three, started again", restart_brokers),
    Fault("broker disk full", "the log folder of a broker is filled until it gives up", fill_disk, needs_disk=True),
    Fault("kill the database", "kill -9 of PostgreSQL, started again", kill_database, subset=True),
    Fault(
        "lose the database",
        "backed up under load, dropped later, restored with what the broker has since",
        lose_database,
        retells=True,
    ),
    Fault("cut connections", "pg_terminate_backend of every connection, 8 times", cut_connections),
    Fault("slow network", f"{SLOW * 1000:.0f} ms each way between a host and everything", slow_network),
    Fault("partition: brokers", f"a host can't reach the brokers for {PAUSED:.0f} s", part_from_brokers),
    Fault(
        "partition: database", f"a host can't reach the database for {PAUSED:.0f} s", part_from_database, subset=True
    ),
    Fault("partition: departments", f"no department reaches the brokers for {PAUSED:.0f} s", part_departments),
    Fault("lose a host", "a host vanishes; the servers never hear of it", lose_host),
    Fault(
        "step clocks",
        f"three services' clocks stepped by {WRONG_BY / 60:.0f} min",
        step_clocks,
        steps_clock=True,
        subset=True,
    ),
    Fault("rebalance storm", "strangers join and leave the groups", storm),
    Fault("deploy", "every copy replaced, one by one", deploy),
    Fault("mixture: leader, stops", "kill the leader, stop services", together(kill_leader, pause)),
    Fault(
        "mixture: database, network, storm",
        "kill the database, slow network, rebalance storm",
        together(kill_database, slow_network, storm),
    ),
    Fault(
        "mixture: partition, cuts, kills",
        "partition from brokers, cut connections, kill each service",
        together(part_from_brokers, cut_connections, kill_each),
    ),
)
"""All that is done, in the order of the table."""
