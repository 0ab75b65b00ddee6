"""Controlling a drill from another process, and having drills start by themselves.

``muster drill start|pause|resume|stop|inject`` speak to a running drill through rows in Postgres; ``due`` and
``schedule`` look after what must be exercised.
"""

import getpass
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Annotated

import typer

from schemas.base import format_duration
from schemas.vocabulary import Namespace
from services.cli.drill_stage import remembered
from services.cli.output import JsonFlag, console, fail, print_json, print_table, run
from services.cli.own_servers import start_servers
from services.cli.plan import load_folder
from services.cli.servers import DATA, running, settings
from services.drills.control import Action, ask, find_running
from services.drills.scenario import load_scenario
from services.drills.schedule import (
    Schedule,
    add_schedule,
    list_due,
    list_schedules,
    next_time,
    remove_schedule,
)
from services.platform.migrations import migrate
from services.platform.postgres import Pool, connect
from services.playbooks.plans import parse_plan
from services.playbooks.problem import PlaybookError
from services.playbooks.yaml_source import read_text

schedule_app = typer.Typer(help="Have drills start by themselves inside `muster up`.", no_args_is_help=True)

PLAYBOOKS = Path("playbooks")

Drill = Annotated[
    str | None, typer.Argument(metavar="DRILL", help="Its id or its document's; by default the one that runs.")
]
Reason = Annotated[str | None, typer.Option(help="Why; kept on record.")]
By = Annotated[str | None, typer.Option(help="Who asks; you, by default.")]
Database = Annotated[str | None, typer.Option(help="A database's address.")]
DataDir = Annotated[Path, typer.Option(help="The --data-dir of a drill that runs on servers of its own.")]
UpData = Annotated[Path, typer.Option(help="The --data-dir of the `muster up` that shall start the drills.")]
Playbooks = Annotated[Path, typer.Option(help="The folder with plans/ and departments.yaml.")]
DRILL_DATA = DATA / "drill"


def register(app: typer.Typer) -> None:
    """Add these commands to ``muster drill``."""
    for name, command in (
        ("start", start),
        ("pause", pause),
        ("resume", resume),
        ("stop", stop),
        ("inject", inject),
        ("due", due),
    ):
        app.command(name=name)(command)
    app.add_typer(schedule_app, name="schedule")


@run
async def start(drill: Drill = None, by: By = None, database: Database = None, data_dir: DataDir = DRILL_DATA) -> None:
    """Begin a drill that `muster drill run --hold` holds at STARTEX."""
    await _ask(drill, Action.START, by, database, data_dir)


@run
async def pause(
    drill: Drill = None,
    reason: Reason = None,
    by: By = None,
    database: Database = None,
    data_dir: DataDir = DRILL_DATA,
) -> None:
    """Let a drill stand still: its clock stops, and no deadline falls due."""
    await _ask(drill, Action.PAUSE, by, database, data_dir, reason=reason)


@run
async def resume(drill: Drill = None, by: By = None, database: Database = None, data_dir: DataDir = DRILL_DATA) -> None:
    """Let a drill go on."""
    await _ask(drill, Action.RESUME, by, database, data_dir)


@run
async def stop(
    drill: Drill = None,
    reason: Reason = None,
    by: By = None,
    database: Database = None,
    data_dir: DataDir = DRILL_DATA,
) -> None:
    """End a drill now (ENDEX); its incidents are closed and it is reported as stopped."""
    await _ask(drill, Action.STOP, by, database, data_dir, reason=reason)


@run
async def inject(
    drill: Annotated[str, typer.Argument(metavar="DRILL", help="The drill's id or its document's.")],
    name: Annotated[str, typer.Argument(metavar="INJECT", help="One of its injects that has not been played.")],
    by: By = None,
    database: Database = None,
    data_dir: DataDir = DRILL_DATA,
) -> None:
    """Play an inject now: a manual one, or another before its time."""
    await _ask(drill, Action.INJECT, by, database, data_dir, inject=name)


async def _ask(
    drill: str | None,
    action: Action,
    by: str | None,
    database: str | None,
    data_dir: Path,
    *,
    reason: str | None = None,
    inject: str | None = None,
) -> None:
    async with _pool(database, data_dir) as pool:
        found = await find_running(pool, drill)
        await ask(pool, found, action, by=by or _who(), reason=reason, inject=inject)
    done = {
        Action.START: "has begun",
        Action.PAUSE: "stands still",
        Action.RESUME: "goes on",
        Action.STOP: "ends",
        Action.INJECT: f"has inject {inject}",
    }[action]
    console.print(f"Drill {found.document.id} {done}.")


@run
async def due(
    database: Database = None,
    data_dir: DataDir = DRILL_DATA,
    playbooks: Playbooks = PLAYBOOKS,
    everything: Annotated[bool, typer.Option("--all", help="Plans that are not overdue too.")] = False,
    gate: Annotated[bool, typer.Option("--gate", help="Exit with 1 when a plan is overdue.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """List the plans whose exercise is overdue: never exercised to the end, or too long ago."""
    plans = [parse_plan(read_text(path), str(path))[0] for path in sorted((playbooks / "plans").glob("*.yaml"))]
    async with _pool(database, data_dir, start=True) as pool:
        found = await list_due(pool, plans)
    now = datetime.now(UTC)
    overdue = [each for each in found if each.is_overdue(now)]
    shown = found if everything else overdue
    if as_json:
        print_json(
            [
                {
                    "plan": each.plan,
                    "every": format_duration(each.every),
                    "last": each.last_at,
                    "due": each.due_at,
                    "overdue": each.is_overdue(now),
                }
                for each in shown
            ]
        )
    else:
        rows = [
            (
                each.plan,
                format_duration(each.every),
                f"{each.last_at:%F}" if each.last_at else "never",
                f"{each.due_at:%F}" if each.due_at else "now",
                "overdue" if each.is_overdue(now) else None,
            )
            for each in shown
        ]
        print_table("Exercises", ("plan", "every", "last exercised", "due", ""), rows)
        console.print(f"{len(overdue)} of {len(found)} plans are overdue.")
    if gate and overdue:
        raise typer.Exit(1)


@schedule_app.command(name="add")
@run
async def add_command(
    file: Annotated[Path, typer.Argument(help="A drill, such as playbooks/drills/night-tower-fire.yaml.")],
    every: Annotated[int, typer.Option(min=1, max=3660, help="Days from one to the next.")],
    at: Annotated[str, typer.Option(help="The local time it starts at, like 02:40.")],
    timezone: Annotated[str, typer.Option(help="Whose local time, like Asia/Shanghai.")] = "UTC",
    name: Annotated[str | None, typer.Option(help="What to call the schedule; the drill's id, by default.")] = None,
    seed: Annotated[int | None, typer.Option(help="Always this seed; another one each time, by default.")] = None,
    by: By = None,
    database: Database = None,
    data_dir: UpData = DATA / "up",
    playbooks: Playbooks = PLAYBOOKS,
    as_json: JsonFlag = False,
) -> None:
    """Have a drill start every so many days, from the next time the clocks show --at; it runs in real time."""
    try:
        moment = time.fromisoformat(at)
    except ValueError:
        fail(f"--at {at}: is no time of day; write one like 02:40", 2)
    plans, directory = load_folder(playbooks)
    try:
        document = load_scenario(file, plans, directory).document
    except PlaybookError as error:
        fail(str(error.problems[0]))
    next_at = next_time(datetime.now(UTC), moment, timezone)
    schedule = Schedule(name or document.id, document.id, file.absolute(), every, moment, timezone, next_at, seed)
    async with _pool(database, data_dir, start=True) as pool:
        await add_schedule(pool, schedule, by or _who())
    print_json(schedule) if as_json else console.print(f"{schedule.name} starts next at {next_at:%F %R} UTC.")


@schedule_app.command(name="list")
@run
async def list_command(database: Database = None, data_dir: UpData = DATA / "up", as_json: JsonFlag = False) -> None:
    """List the schedules."""
    async with _pool(database, data_dir, start=True) as pool:
        found = await list_schedules(pool)
    if as_json:
        print_json(found)
        return
    rows = [
        (
            each.name,
            each.drill,
            f"every {each.every_days} d at {each.at:%H:%M} {each.timezone}",
            f"{each.next_at:%F %R} UTC",
            f"{each.last_at:%F %R}" if each.last_at else None,
            each.last_outcome,
        )
        for each in found
    ]
    print_table("Schedules", ("name", "drill", "when", "next", "last", "how it went"), rows)


@schedule_app.command(name="remove")
@run
async def remove_command(
    name: Annotated[str, typer.Argument(help="A schedule's name.")],
    database: Database = None,
    data_dir: UpData = DATA / "up",
) -> None:
    """Take a schedule out of force."""
    async with _pool(database, data_dir, start=True) as pool:
        await remove_schedule(pool, name)
    console.print(f"{name} is not scheduled any more.")


@asynccontextmanager
async def _pool(database: str | None, data_dir: Path, *, start: bool = False) -> AsyncIterator[Pool]:
    """Connect to the database that is named, that of a drill under way, or that of the ``muster up`` that runs here.

    ``start``: when there is none of these, start the embedded one whose data lie in the folder.
    """
    address = database or os.environ.get("MUSTER_DATABASE") or remembered(data_dir)
    async with AsyncExitStack() as stack:
        if address is None and not running():
            if not start:
                fail(f"no drill runs on servers in {data_dir}; name its --data-dir, or its --database")
            # No broker is needed; any address keeps one from being started.
            address = (await start_servers(stack, kafka="-", database=None, data_dir=data_dir)).database
        pool = await connect(settings(database=address).postgres(Namespace.EXERCISE), size=2)
        stack.push_async_callback(pool.close)
        await migrate(pool)
        yield pool


def _who() -> str:
    try:
        return getpass.getuser()
    except OSError:
        return "unknown"
