"""Putting a drill on stage: simulated departments on their lines, services that may be killed, and who listens."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
from uuid_utils.compat import uuid7

from schemas.drill import InjectKind, Service
from services.cli.output import aside
from services.departments.client import Department
from services.departments.order import Order
from services.drills.conduct import Conduct
from services.drills.effects import Stage
from services.drills.losses import ServiceProcess
from services.drills.participant import NO_CREW, OBSTRUCTED, SimulatedDepartment
from services.drills.record import DrillError, Ending, Seat, sql
from services.drills.roll_call import listening
from services.drills.run import Controller, Watch
from services.drills.scenario import Scenario
from services.drills.seats import behave_of, simulated_tasks, take_seats
from services.drills.switchboard import Switchboard
from services.platform.clock import ScaledClock
from services.platform.embedded.ports import free_ports
from services.platform.embedded.process import ChildProcess
from services.platform.runtime import Runtime
from services.platform.settings import Settings

JOIN_WITHIN = 30.0
"""Wall seconds that the services get to join their groups before STARTEX."""
STAND_IN_AFTER = 3.0
"""Wall seconds that a department which has a stand-in gets to be there."""
LEADS = (8.0, 16.0, 32.0)
"""Wall seconds from agreeing on STARTEX with processes of their own to STARTEX; the next when they took longer."""


KNOWN_BEFORE = timedelta(seconds=1)
"""How long before STARTEX the processes that take on a drill's clock are told of it."""


@dataclass(frozen=True, slots=True)
class Run:
    """How one run differs from another of the same drill. ``wait`` is how long (s) real departments are awaited.

    ``followed``: the exercise's services run already and take on the drill's clock. ``drill_id``: the drill's own.
    """

    seed: int
    speed: float
    wait: float = 15.0
    hold: bool = False
    followed: bool = False
    drill_id: UUID = field(default_factory=uuid7)


def lost_services(scenario: Scenario) -> list[Service]:
    """List the services that a drill kills, which therefore run as processes of their own."""
    injects = scenario.document.injects
    killed = {each.service for each in injects if each.kind is InjectKind.SERVICE_LOSS and each.service is not None}
    return sorted(killed)


async def play(runtime: Runtime, scenario: Scenario, chosen: Run, watch: Watch, logs: Path) -> tuple[UUID, Ending]:
    """Play a drill on a runtime that is not started yet; ``logs`` is for the services that are killed."""
    stop = asyncio.Event()
    async with _alone(runtime.pool, chosen.drill_id):
        await runtime.watch.prepare()  # the topics, so that departments can listen before STARTEX
        seats = await _seats(runtime, scenario, chosen.wait)
        switchboard = Switchboard(runtime, simulated_tasks(scenario, seats))
        conducts = {name: Conduct(_clock(runtime)) for name in simulated_tasks(scenario, seats)}
        departments = [
            _simulate(runtime, scenario, switchboard, name, conduct, chosen) for name, conduct in conducts.items()
        ]
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(_at_work(runtime, switchboard, departments))
            await stack.enter_async_context(_interruptible(stop))
            await _joined(runtime, alone=chosen.speed > 1 and not chosen.followed)
            # Compiles the plans now, as any service that has run for a minute has done.
            await runtime.playbook.current()
            services, startex = await _start_services(stack, runtime.settings, scenario, chosen, logs)
            controller = Controller(
                runtime,
                scenario,
                seed=chosen.seed,
                speed=chosen.speed,
                watch=watch,
                stage=Stage(switchboard, conducts, services),
                seats=seats,
                startex=startex,
                ahead=KNOWN_BEFORE if chosen.followed else timedelta(0),
                hold=chosen.hold,
                drill_id=chosen.drill_id,
            )
            switchboard.is_ours = controller.owns
            switchboard.scene_of = controller.scene_of
            if chosen.hold:
                aside.print(f"The drill is held at STARTEX; it begins with: muster drill start {controller.row.id}")
            return controller.row.id, await controller.run(stop)


def remember(folder: Path, settings: Settings) -> Path:
    """Leave the addresses of a drill's own servers for `muster drill pause` and its like; for this user only."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "running.json"
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump({"database": settings.database, "kafka": settings.kafka, "pid": os.getpid()}, file)
    return path


def remembered(folder: Path) -> str | None:
    """Read the database's address of the drill that runs on servers of its own in this folder, if one does."""
    try:
        found = json.loads((folder / "running.json").read_text())
        os.kill(int(found["pid"]), 0)
    except (OSError, ValueError, KeyError):
        return None
    return str(found["database"])


def _clock(runtime: Runtime) -> ScaledClock:
    if not isinstance(runtime.clock, ScaledClock):
        raise DrillError("a drill runs by a clock of its own")
    return runtime.clock


async def _seats(runtime: Runtime, scenario: Scenario, wait: float) -> dict[str, Seat]:
    """Call the roll of those who should listen with their own consumer, and tell who is there."""
    awaited = scenario.awaited
    if not awaited:
        return take_seats(scenario, ())
    settings = runtime.settings
    aside.print(
        f"Waiting for {', '.join(awaited)}; this is an exercise. They listen with: MUSTER_KAFKA={settings.kafka}"
        f" muster department listen NAME --namespace exercise",
        soft_wrap=True,
    )
    required = [name for name in awaited if not scenario.participants[name].stand_in]
    there = await listening(settings.brokers(), required, within=wait)
    there |= await listening(settings.brokers(), set(awaited) - set(required), within=min(wait, STAND_IN_AFTER))
    seats = take_seats(scenario, there)
    for name in awaited:
        words = "a simulation stands in, as nobody listens" if seats[name] is Seat.STAND_IN else "is there"
        aside.print(f"{name}: {words}", style="yellow" if seats[name] is Seat.STAND_IN else "dim")
    return seats


def _simulate(
    runtime: Runtime,
    scenario: Scenario,
    switchboard: Switchboard,
    name: str,
    conduct: Conduct,
    chosen: Run,
) -> Department:
    rule = scenario.participants[name]
    department = Department(
        name,
        namespace=runtime.namespace,
        transport=switchboard.line(name),
        clock=runtime.clock,
        stop_within=0,
    )
    player = SimulatedDepartment(
        behave_of(rule, scenario.models),
        seed=chosen.seed,
        scene_of=lambda incident_id: switchboard.scene_of(incident_id),
        speed=chosen.speed,
        sleep=conduct.sleep,
        declines_because=rule.declines_because.en if rule.declines_because else NO_CREW,
        obstacle=rule.blocked.obstacle.en if rule.blocked else OBSTRUCTED,
    )

    async def handle(order: Order) -> None:
        await player.handle(conduct.play(order))

    department.on_order(handle)
    return department


async def _start_services(
    stack: AsyncExitStack, settings: Settings, scenario: Scenario, chosen: Run, logs: Path
) -> tuple[Mapping[Service, ServiceProcess], datetime | None]:
    """Start the services that the drill kills, each as ``muster serve`` does, and agree with them on STARTEX."""
    wanted = lost_services(scenario)
    if not wanted:
        return {}, None
    await asyncio.to_thread(logs.mkdir, parents=True, exist_ok=True)
    for lead in LEADS:
        startex = datetime.now(UTC) + timedelta(seconds=lead)
        ports = free_ports(len(wanted))
        made = {
            service: _service(service, settings, startex, chosen.speed, port, logs)
            for service, port in zip(wanted, ports, strict=True)
        }
        for each in made.values():
            stack.push_async_callback(each.stop)
            await each.start()
        await asyncio.gather(*(each.ready() for each in made.values()))
        if datetime.now(UTC) < startex:
            return made, startex
        for each in made.values():
            each.kill()
    raise DrillError(f"drill: {', '.join(wanted)} did not start in time; see {logs}")


def _service(
    service: Service, settings: Settings, startex: datetime, speed: float, port: int, logs: Path
) -> ServiceProcess:
    environment = {
        **os.environ,
        "MUSTER_KAFKA": settings.kafka,
        "MUSTER_DATABASE": settings.database,
        "MUSTER_EMBEDDED_BROKER": str(settings.embedded_broker).lower(),
        "MUSTER_NAMESPACE": str(settings.namespace),
        "MUSTER_CLOCK_START": startex.isoformat(),
        "MUSTER_CLOCK_SPEED": str(speed),
        "MUSTER_LOG_LEVEL": "warning",
    }
    command = [sys.executable, "-m", "services.cli", "serve", service, "--namespace", "exercise", "--port", str(port)]
    process = ChildProcess(f"muster serve {service}", command, log_file=logs / f"{service}.log", env=environment)
    return ServiceProcess(process, port)


@asynccontextmanager
async def _alone(pool: "asyncpg.Pool[asyncpg.Record]", drill_id: UUID) -> AsyncIterator[None]:
    """Keep a second drill out: the services of two would share their groups and not their clock."""
    async with pool.acquire() as connection:
        if not await connection.fetchval("SELECT pg_try_advisory_lock(hashtext('muster.drill'))"):
            raise DrillError("another drill runs on this database; wait for its end")
        await connection.execute(sql("hold_drill"), drill_id)
        yield


@asynccontextmanager
async def _at_work(runtime: Runtime, switchboard: Switchboard, departments: list[Department]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(department.run()) for department in departments]
    try:
        async with runtime:
            try:
                yield
                failures = sum(task.done() for task in tasks) + sum(each.handler_failures for each in departments)
            finally:
                await switchboard.mend()
                for department in departments:
                    department.stop()
                await asyncio.gather(*tasks, return_exceptions=True)
    finally:
        for task in tasks:
            task.cancel()
    if failures:
        # What looks like a department's silence in the report would be our own fault.
        raise DrillError(f"drill: simulated departments broke down {failures} times; see the log above")


@asynccontextmanager
async def _interruptible(stop: asyncio.Event) -> AsyncIterator[None]:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


async def _joined(runtime: Runtime, *, alone: bool) -> None:
    """Wait until every consumer has its share, so that joining a group is not taken for a slow answer.

    ``alone``: that is all there is. Another process that serves the exercise namespace goes by another clock.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + JOIN_WITHIN
    while not all(_has_share(subscriber, alone=alone) for subscriber in runtime.broker.subscribers):
        if loop.time() > deadline:
            raise DrillError(
                "drill: another process serves the exercise namespace on this broker, by the wall's clock;"
                " stop it, or run the drill with --speed 1"
            )
        await asyncio.sleep(0.05)


def _has_share(subscriber: Any, *, alone: bool) -> bool:
    consumer = subscriber.consumer
    if consumer is None or not consumer.assignment():
        return False
    parts = sum(len(consumer.partitions_for_topic(topic) or ()) for topic in consumer.subscription())
    return not alone or len(consumer.assignment()) >= parts
