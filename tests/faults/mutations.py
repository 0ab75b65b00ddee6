"""Safeguards taken out one by one, each under the fault that it is there for: proof that the suite can fail."""

import asyncio
from dataclasses import dataclass
from random import Random

from tests.faults.nemesis import SLOW, Deed, Fault, forget_brokers, kill_all, mend
from tests.faults.world import HOSTS, World

WITHIN = 30.0
"""Seconds after the load in which all must come to rest; what is lost never does."""


@dataclass(frozen=True, slots=True)
class Mutation:
    """One safeguard, by its name in `tests.faults.service`, and what is done while it is missing."""

    safeguard: str | None
    fault: Fault
    within: float = WITHIN


async def kill_in_hand(world: World, chance: Random) -> None:
    """Kill dispatch and tracking with -9 while they hold records that the database doesn't take yet."""
    del chance
    for host in HOSTS:
        world.to_database[host].cut()
    await asyncio.sleep(4)
    workers = [member for member in world.members if member[0] in {"dispatch", "tracking"}]
    await world.kill(*workers)
    mend(world)
    await asyncio.gather(*(world.spawn(member) for member in workers))


async def kill_before_commit(world: World, chance: Random) -> None:
    """Kill dispatch and tracking with -9 while the brokers don't get to hear what they are done with."""
    del chance
    for host in HOSTS:
        for link in world.to_brokers[host]:
            link.delay = SLOW  # so that much is on its way
    await asyncio.sleep(5)
    for host in HOSTS:
        for link in world.to_brokers[host]:
            link.cut()
    await asyncio.sleep(1)
    workers = [member for member in world.members if member[0] in {"dispatch", "tracking"}]
    await world.kill(*workers)
    mend(world)
    await asyncio.gather(*(world.spawn(member) for member in workers))


async def slow_database(world: World, chance: Random) -> None:
    """Delay everything between the services and the database."""
    del chance
    for host in HOSTS:
        world.to_database[host].delay = 0.05
    await asyncio.sleep(10)
    mend(world)


def _fault(do: Deed) -> Fault:
    return Fault(do.__name__.replace("_", " "), (do.__doc__ or "").rstrip("."), do)


MUTATIONS = (
    Mutation(None, _fault(kill_in_hand), within=120),
    Mutation("inbox", _fault(kill_before_commit)),
    Mutation("outbox sweeper", _fault(kill_all)),
    Mutation("commit after effect", _fault(kill_in_hand)),
    Mutation("timer lease", _fault(slow_database)),
    Mutation(
        "broker watch",
        Fault("forget brokers", "brokers lose all data", forget_brokers, loses_topics=True, retells=True),
    ),
)
"""The first has nothing taken out: what is found in the others is not the fault's own doing."""
