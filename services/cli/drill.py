"""``muster drill``: exercise the plans on the real services with simulated departments, and read the reports back."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import asyncpg
import typer

from schemas.drill import MAX_SPEED, ParticipantRule
from schemas.vocabulary import Namespace
from services.cli.output import JsonFlag, aside, console, print_json, print_table, run
from services.cli.plan import load_folder
from services.cli.processes import ATTACH, make_runtime
from services.cli.servers import DATA
from services.cli.up import prepare, start_servers
from services.departments.client import Department
from services.drills.behaviour import behaviour_of
from services.drills.html import render
from services.drills.live import Screen
from services.drills.participant import NO_CREW, OBSTRUCTED, SimulatedDepartment
from services.drills.record import DrillError, Ending, list_drills
from services.drills.report import Report, read_report
from services.drills.run import Controller
from services.drills.scenario import Scenario, load_scenario
from services.drills.switchboard import Switchboard
from services.drills.table import as_json as figures
from services.drills.table import print_report
from services.platform.logs import configure_logging
from services.platform.migrations import migrate
from services.platform.postgres import connect
from services.platform.runtime import Runtime
from services.playbooks.problem import PlaybookError

app = typer.Typer(help="Exercise the plans, and read the reports back.", no_args_is_help=True)

JOIN_WITHIN = 30.0
"""Wall seconds that the services get to join their groups before STARTEX."""
NOT_YET = timedelta(days=1)
STOPPED = 130
"""Exit code of a drill that a person stopped, as a shell gives it."""

Kafka = Annotated[str | None, typer.Option(help="A broker's address, or `apache` to start one.")]
Database = Annotated[str | None, typer.Option(help="A database's address.")]
DataDir = Annotated[Path, typer.Option(help="Where the embedded servers keep their data.")]
Reports = Annotated[Path | None, typer.Option("--report", help="The folder that gets the HTML report.")]
DRILL_DATA = DATA / "drill"


@app.command(name="run")
@run
async def run_drill(
    file: Annotated[Path, typer.Argument(help="A drill, such as playbooks/drills/chemical-release.yaml.")],
    speed: Annotated[float | None, typer.Option(min=1, max=MAX_SPEED, help="Scenario seconds in a second.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed makes the departments decide the same.")] = 1,
    report: Reports = None,
    kafka: Kafka = None,
    database: Database = None,
    data_dir: DataDir = DRILL_DATA,
    playbooks: Annotated[Path, typer.Option(help="The folder with plans/ and departments.yaml.")] = Path("playbooks"),
    as_json: JsonFlag = False,
) -> None:
    """Play a drill and print its report. An objective that isn't met is a finding of the drill, not a failure."""
    scenario = _load(file, playbooks)
    configure_logging(form="console" if aside.is_terminal else "json", level="error")
    async with AsyncExitStack() as stack:
        aside.print("Starting broker, database and services ...", style="dim")
        configured = await start_servers(stack, kafka=kafka, database=database, data_dir=data_dir)
        pace = speed or float(scenario.document.speed)
        # Until STARTEX, when the controller starts it, the exercise's clock shows what the wall's does.
        clocked = {"namespace": Namespace.EXERCISE, "clock_start": datetime.now(UTC) + NOT_YET, "clock_speed": pace}
        runtime = await make_runtime(configured.model_copy(update=clocked), "drill", tuple(ATTACH))
        await prepare(runtime, playbooks)
        with Screen(scenario.document, pace, aside) as screen:
            drill_id, ending = await _play(runtime, scenario, seed, pace, screen)
        pool = await connect(configured.database, size=2)
        try:
            found = await read_report(pool, drill_id)
        finally:
            await pool.close()
        await _give(found, report or data_dir / "reports", as_json=as_json)
    if ending is Ending.STOPPED:
        raise typer.Exit(STOPPED)


def _load(file: Path, playbooks: Path) -> Scenario:
    plans, directory = load_folder(playbooks)
    try:
        return load_scenario(file, plans, directory)
    except PlaybookError as error:
        for problem in error.problems:
            aside.print(str(problem), style="red", soft_wrap=True, markup=False)
        raise typer.Exit(1) from None


async def _play(runtime: Runtime, scenario: Scenario, seed: int, speed: float, screen: Screen) -> tuple[UUID, Ending]:
    switchboard = Switchboard(runtime, scenario.participants)
    departments = [
        _simulate(runtime, switchboard, rule, seed=seed, speed=speed) for rule in scenario.participants.values()
    ]
    stop = asyncio.Event()
    async with _alone(runtime.pool), _at_work(runtime, departments), _interruptible(stop):
        await _joined(runtime, alone=speed > 1)
        await runtime.playbook.current()  # compiles the plans now, as any service that has run for a minute has done
        controller = Controller(runtime, scenario, seed=seed, speed=speed, watch=screen.show)
        return controller.row.id, await controller.run(stop)


def _simulate(
    runtime: Runtime, switchboard: Switchboard, rule: ParticipantRule, *, seed: int, speed: float
) -> Department:
    department = Department(
        rule.department,
        namespace=runtime.namespace,
        transport=switchboard.line(rule.department),
        clock=runtime.clock,
        stop_within=0,
    )

    player = SimulatedDepartment(
        partial(behaviour_of, rule),
        seed=seed,
        speed=speed,
        declines_because=rule.declines_because.en if rule.declines_because else NO_CREW,
        obstacle=rule.blocked.obstacle.en if rule.blocked else OBSTRUCTED,
    )
    department.on_order(player.handle)
    return department


@asynccontextmanager
async def _alone(pool: "asyncpg.Pool[asyncpg.Record]") -> AsyncIterator[None]:
    """Keep a second drill out: the services of two would share their groups and not their clock."""
    async with pool.acquire() as connection:
        if not await connection.fetchval("SELECT pg_try_advisory_lock(hashtext('muster.drill'))"):
            raise DrillError("another drill runs on this database; wait for its end")
        yield


@asynccontextmanager
async def _at_work(runtime: Runtime, departments: list[Department]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(department.run()) for department in departments]
    try:
        async with runtime:
            try:
                yield
                failures = sum(task.done() for task in tasks) + sum(each.handler_failures for each in departments)
            finally:
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


async def _give(report: Report, folder: Path, *, as_json: bool) -> None:
    path = folder / f"{report.drill.document.id}-{report.drill.started_at:%Y%m%d-%H%M%S}.html"
    await asyncio.to_thread(_write, path, render(report))
    if as_json:
        print_json({**figures(report), "report": str(path)})
    else:
        print_report(report, console)
        aside.print(f"Report: {path}   (again: muster drill report {report.drill.id})", soft_wrap=True)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


@asynccontextmanager
async def _database(database: str | None, data_dir: Path) -> "AsyncIterator[asyncpg.Pool[asyncpg.Record]]":
    async with AsyncExitStack() as stack:
        # No broker is needed to read; any address keeps one from being started.
        configured = await start_servers(stack, kafka="-", database=database, data_dir=data_dir)
        pool = await connect(configured.database, size=2)
        stack.push_async_callback(pool.close)
        await migrate(pool)
        yield pool


@app.command(name="list")
@run
async def list_command(database: Database = None, data_dir: DataDir = DRILL_DATA, as_json: JsonFlag = False) -> None:
    """List the drills on record."""
    async with _database(database, data_dir) as pool:
        drills = await list_drills(pool)
    if as_json:
        print_json(drills)
        return
    columns = ("id", "drill", "version", "seed", "speed", "STARTEX", "ended")
    rows = [
        (d["id"], d["drill"], d["version"], d["seed"], d["speed"], f"{d['started_at']:%F %T}", d["ending"])
        for d in drills
    ]
    print_table("Drills", columns, rows)


@app.command(name="report")
@run
async def report_command(
    drill: Annotated[UUID, typer.Argument(metavar="ID", help="A drill's id, from `muster drill list`.")],
    report: Reports = None,
    database: Database = None,
    data_dir: DataDir = DRILL_DATA,
    as_json: JsonFlag = False,
) -> None:
    """Read a drill's report back from the database."""
    async with _database(database, data_dir) as pool:
        found = await read_report(pool, drill)
    await _give(found, report or data_dir / "reports", as_json=as_json)
